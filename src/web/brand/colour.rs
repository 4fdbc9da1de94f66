//! A brand's colour, made readable: whatever it is, text in it and on it keeps the contrast that
//! WCAG 2.2 §1.4.3 asks for, by day and by night.

use std::str::FromStr;

/// A colour of the screen: red, green and blue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Colour([u8; 3]);

/// WCAG 2.2 §1.4.3 (AA) asks for 4.5; some is left for what is laid over it.
const CONTRAST: f64 = 4.8;

/// What accents are seen on, as the stylesheet has it: the cards, by day and by night. On the page
/// behind these and on sunken fields it differs by less than the reserve.
const DAY: Colour = Colour([0xf4, 0xf5, 0xf7]);
const NIGHT: Colour = Colour([0x22, 0x27, 0x2f]);

const WHITE: Colour = Colour([0xff; 3]);
const BLACK: Colour = Colour([0; 3]);

impl Colour {
    /// What the stylesheet says of it: text and lines in it are as readable as they have to be, and
    /// on what is filled with it stands black or white.
    pub(super) fn style(self) -> String {
        let (fill, on_fill) = (self.hex(), self.text_on_it().hex());
        let day = self.readable_on(DAY, BLACK).hex();
        let night = self.readable_on(NIGHT, WHITE).hex();
        format!(
            ":root {{ --accent: {day}; --fill: {fill}; --on-fill: {on_fill}; }}\n\
             @media (prefers-color-scheme: dark) {{ :root {{ --accent: {night}; \
                 --fill: {fill}; --on-fill: {on_fill}; }} }}\n",
        )
    }

    /// The colour, mixed with as little of `other` as makes it readable.
    fn readable_on(self, ground: Self, other: Self) -> Self {
        (0..=50)
            .map(|step| self.mixed(other, f64::from(step) / 50.0))
            .find(|mixed| mixed.contrast(ground) >= CONTRAST)
            .unwrap_or(other)
    }

    /// White or black, whichever is read more easily.
    fn text_on_it(self) -> Self {
        if self.contrast(WHITE) >= self.contrast(BLACK) {
            WHITE
        } else {
            BLACK
        }
    }

    fn mixed(self, other: Self, share: f64) -> Self {
        let mut mixed = self.0;
        for (channel, theirs) in mixed.iter_mut().zip(other.0) {
            let value = f64::from(*channel) * (1.0 - share) + f64::from(theirs) * share;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a mean of two bytes is one"
            )]
            let value = value.round() as u8;
            *channel = value;
        }
        Self(mixed)
    }

    /// WCAG 2.2, “contrast ratio”.
    fn contrast(self, other: Self) -> f64 {
        let (a, b) = (self.luminance(), other.luminance());
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    /// WCAG 2.2, “relative luminance”.
    fn luminance(self) -> f64 {
        let [red, green, blue] = self.0.map(|channel| {
            let channel = f64::from(channel) / 255.0;
            if channel <= 0.04045 {
                channel / 12.92
            } else {
                ((channel + 0.055) / 1.055).powf(2.4)
            }
        });
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    fn hex(self) -> String {
        let [red, green, blue] = self.0;
        format!("#{red:02x}{green:02x}{blue:02x}")
    }
}

impl FromStr for Colour {
    type Err = &'static str;

    /// Reads `#1f5fbf`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const NONE: &str = "is not a colour such as #1f5fbf";
        let digits = text.strip_prefix('#').ok_or(NONE)?;
        let is_hex = digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u32::from_str_radix(digits, 16).ok().filter(|_| is_hex);
        let [_, red, green, blue] = number.ok_or(NONE)?.to_be_bytes();
        Ok(Self([red, green, blue]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contrast_of_black_on_white_is_what_wcag_says() {
        assert!((BLACK.contrast(WHITE) - 21.0).abs() < 1e-9);
        // The examples of WCAG's own understanding: #767676 just passes on white, #777777 does not.
        let grey = |text: &str| text.parse::<Colour>().unwrap().contrast(WHITE);
        assert!(grey("#767676") >= 4.5 && grey("#777777") < 4.5);
    }

    #[test]
    fn whatever_the_accent_is_it_can_be_read() {
        for red in (0..=255).step_by(51) {
            for green in (0..=255).step_by(51) {
                for blue in (0..=255).step_by(51) {
                    let accent = Colour([red, green, blue]);
                    assert!(accent.contrast(accent.text_on_it()) >= 4.5, "{accent:?}");
                    for (ground, other) in [(DAY, BLACK), (NIGHT, WHITE)] {
                        let shown = accent.readable_on(ground, other);
                        assert!(shown.contrast(ground) >= 4.5, "{accent:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_colour_that_can_be_read_stays_as_it_is() {
        let navy: Colour = "#123A7c".parse().unwrap();
        assert_eq!(navy.readable_on(DAY, BLACK), navy);
        assert!(navy.style().contains("#123a7c"));
    }

    #[test]
    fn what_is_no_colour_is_refused() {
        for bad in [
            "",
            "red",
            "#fff",
            "#12345g",
            "#+12345",
            "1f5fbf",
            "#1f5fbf00",
            "#ä23456",
        ] {
            assert!(bad.parse::<Colour>().is_err(), "{bad}");
        }
    }
}
