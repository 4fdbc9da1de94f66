//! What the operator says of the server on its pages.

use std::fs;

use fluent_uri::Uri;

use super::reader::Reader;
use crate::{
    model::plain_text::is_deceptive,
    web::brand::{BrandSettings, Image, MAX_IMAGE},
};

/// The longest name, in characters: it has to fit on the narrowest phone.
const LONGEST_NAME: usize = 60;

/// What pages show of the operator.
#[derive(Debug, Clone, Default)]
pub struct Branding {
    /// Words, colours and links.
    pub settings: BrandSettings,
    /// A picture.
    pub logo: Option<Logo>,
}

/// Where the logo comes from.
#[derive(Debug, Clone)]
pub enum Logo {
    /// It was read from a file.
    Image(Image),
    /// It is fetched from there, once the server runs.
    Url(String),
}

impl Reader<'_> {
    pub(super) fn branding(&mut self) -> Branding {
        Branding {
            settings: BrandSettings {
                name: self.optional("branding.name", name),
                accent: self.optional("branding.accent", |text| {
                    text.parse().map_err(str::to_owned)
                }),
                privacy_url: self.optional("branding.privacy_url", |text| link(text, &["https"])),
                support_url: self.optional("branding.support_url", |text| {
                    link(text, &["https", "mailto"])
                }),
            },
            logo: self.optional("branding.logo", logo),
        }
    }
}

fn name(text: &str) -> Result<String, String> {
    if text.is_empty() || text.chars().count() > LONGEST_NAME {
        return Err(format!("must have 1 to {LONGEST_NAME} characters"));
    }
    if text.chars().any(is_deceptive) {
        return Err("must not contain control or invisible characters".to_owned());
    }
    Ok(text.to_owned())
}

fn link(text: &str, schemes: &[&str]) -> Result<String, String> {
    let is_one = Uri::parse(text).is_ok_and(|uri| {
        let scheme = uri.scheme().as_str();
        let is_whole = match uri.authority() {
            Some(authority) => !authority.host().is_empty(),
            None => scheme.eq_ignore_ascii_case("mailto") && uri.path().as_str().contains('@'),
        };
        is_whole
            && schemes
                .iter()
                .any(|known| scheme.eq_ignore_ascii_case(known))
    });
    if is_one {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "must be a whole URL that begins with {}:",
            schemes.join(": or ")
        ))
    }
}

fn logo(text: &str) -> Result<Logo, String> {
    if text.contains("://") {
        return link(text, &["https"]).map(Logo::Url);
    }
    let size = fs::metadata(text).map_err(|error| format!("cannot be read: {error}"))?;
    if size.len() > MAX_IMAGE as u64 {
        return Err(format!("is larger than {} KiB", MAX_IMAGE / 1024));
    }
    let bytes = fs::read(text).map_err(|error| format!("cannot be read: {error}"))?;
    Image::new(bytes)
        .map(Logo::Image)
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn what_cannot_be_shown_is_refused_by_its_key() {
        for (key, value) in [
            (
                "branding.name",
                "a name that nobody would ever want to read on a phone, or anywhere",
            ),
            ("branding.name", "Paper\u{202e}liart"),
            ("branding.accent", "blue"),
            ("branding.privacy_url", "http://example.com/privacy"),
            ("branding.privacy_url", "javascript:alert(1)"),
            ("branding.privacy_url", "mailto:help@example.com"),
            ("branding.privacy_url", "https:///nowhere"),
            ("branding.support_url", "example.com/help"),
            ("branding.logo", "http://example.com/logo.png"),
            ("branding.logo", "there-is-no-such-file.png"),
            ("branding.logo", "Cargo.toml"),
        ] {
            let problem = Config::from_settings([(key, value)])
                .unwrap_err()
                .to_string();
            assert!(problem.contains(key), "{key}={value}: {problem}");
        }
        for (key, value) in [
            ("branding.name", "مكتبة الورق"),
            ("branding.accent", "#0a7d4f"),
            ("branding.support_url", "mailto:help@example.com"),
            ("branding.support_url", "https://example.com/help?from=mcp"),
            ("branding.logo", "https://example.com/logo.png"),
        ] {
            assert!(
                Config::from_settings([(key, value)]).is_ok(),
                "{key}={value}"
            );
        }
    }
}
