//! Text that people read and others wrote: it must not be able to mislead.

/// Control characters, those that make text read in another order than it is written, and those
/// that are not seen at all: Unicode's `Default_Ignorable_Code_Point`, annotation marks, and the
/// Braille pattern without dots.
pub fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{2028}' | '\u{2029}' | '\u{fff9}'..='\u{fffb}' | '\u{2800}'
        )
        || matches!(
            c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}'
        )
        || matches!(c, '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}')
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(
            c,
            '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        )
        || matches!(c, '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}')
        || matches!(c, '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// What is left of a text without such characters, cut to a length at which it can be read.
pub fn readable(text: &str, longest: usize) -> String {
    let mut plain = text.chars().filter(|c| !is_deceptive(*c));
    let mut shown: String = plain.by_ref().take(longest).collect();
    if plain.next().is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_misleads_is_taken_out_and_what_is_endless_is_cut() {
        for (text, shown) in [
            ("Del\u{202e}gpj.exe", "Delgpj.exe"),
            ("two\r\nlines\0", "twolines"),
            ("a\u{200b}b\u{feff}", "ab"),
            ("ملفاتي", "ملفاتي"),
            ("0123456789", "0123456789"),
            ("0123456789x", "0123456789…"),
        ] {
            assert_eq!(readable(text, 10), shown, "{text:?}");
        }
    }
}
