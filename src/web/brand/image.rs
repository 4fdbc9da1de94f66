//! Pictures that we are willing to serve: only what its first bytes show to be one of a few kinds in
//! which nothing can run. SVG is none of them: it can hold scripts.

use axum::body::Bytes;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

/// The largest. A logo of a few hundred pixels has some 20 KB.
pub const MAX_IMAGE: usize = 256 * 1024;

/// A picture.
#[derive(Debug, Clone)]
pub struct Image {
    kind: Kind,
    bytes: Bytes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Png,
    Jpeg,
    Gif,
    Webp,
}

/// Why something is not served as a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// It would be a burden on every page.
    #[error("is larger than {} KiB", MAX_IMAGE / 1024)]
    TooLarge,
    /// Its bytes are not what such a picture begins with.
    #[error("is not a PNG, JPEG, GIF or WebP image (SVG can hold scripts and is not accepted)")]
    Unknown,
}

impl Image {
    /// Judges bytes, whatever they were called.
    pub fn new(bytes: impl Into<Bytes>) -> Result<Self, ImageError> {
        let bytes = bytes.into();
        if bytes.len() > MAX_IMAGE {
            return Err(ImageError::TooLarge);
        }
        let kind = Kind::of(&bytes).ok_or(ImageError::Unknown)?;
        Ok(Self { kind, bytes })
    }

    /// The picture itself.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// What to serve it as.
    pub fn media_type(&self) -> &'static str {
        match self.kind {
            Kind::Png => "image/png",
            Kind::Jpeg => "image/jpeg",
            Kind::Gif => "image/gif",
            Kind::Webp => "image/webp",
        }
    }

    pub(super) fn extension(&self) -> &'static str {
        match self.kind {
            Kind::Png => "png",
            Kind::Jpeg => "jpg",
            Kind::Gif => "gif",
            Kind::Webp => "webp",
        }
    }

    /// Tells it from every other.
    pub(super) fn fingerprint(&self) -> String {
        let mut name = URL_SAFE_NO_PAD.encode(Sha256::digest(&self.bytes));
        name.truncate(22);
        name
    }
}

impl Kind {
    fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(Self::Png),
            [0xff, 0xd8, 0xff, ..] => Some(Self::Jpeg),
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Self::Gif),
            [
                b'R',
                b'I',
                b'F',
                b'F',
                _,
                _,
                _,
                _,
                b'W',
                b'E',
                b'B',
                b'P',
                ..,
            ] => Some(Self::Webp),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_real_pictures_are_pictures() {
        for (bytes, media_type) in [
            (&b"\x89PNG\r\n\x1a\n rest"[..], "image/png"),
            (b"\xff\xd8\xff\xe0 rest", "image/jpeg"),
            (b"GIF89a rest", "image/gif"),
            (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        ] {
            let image = Image::new(bytes.to_vec()).unwrap();
            assert_eq!(image.media_type(), media_type);
        }
        for bytes in [
            &b""[..],
            b"<svg xmlns=\"http://www.w3.org/2000/svg\" onload=\"alert(1)\"/>",
            b"<!doctype html><script>alert(1)</script>",
            b"\x89PNG",
            b"RIFF\0\0\0\0WAVE",
        ] {
            let refused = Image::new(bytes.to_vec()).err();
            assert_eq!(refused, Some(ImageError::Unknown), "{bytes:?}");
        }
        let mut large = b"\x89PNG\r\n\x1a\n".to_vec();
        large.resize(MAX_IMAGE + 1, 0);
        assert_eq!(Image::new(large).err(), Some(ImageError::TooLarge));
    }
}
