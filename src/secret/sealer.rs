//! Sealing: what is given away or stored, and must come back unread and unchanged.

use std::fmt;

use chacha20poly1305::{ChaCha20Poly1305, Key, KeyInit as _, Nonce, aead::Aead as _};
use hkdf::Hkdf;
use sha2::Sha256;

use super::{ServerKey, random_bytes};

/// Bytes of a nonce, which stands before what it sealed.
const NONCE: usize = 12;

/// Seals and opens with one key: ChaCha20-Poly1305 (RFC 8439 §2.8).
pub(crate) struct Sealer(ChaCha20Poly1305);

impl Sealer {
    /// With a key of the server's own.
    pub(crate) fn new(key: &ServerKey) -> Self {
        Self::of(*key.expose())
    }

    /// With a key that `secret` yields for `purpose` and for no other (HKDF-SHA-256, RFC 5869). An
    /// empty `salt` is none.
    pub(crate) fn derived(secret: &[u8], salt: &[u8], purpose: &str) -> Self {
        let mut key = [0; 32];
        Hkdf::<Sha256>::new(Some(salt), secret)
            .expand(purpose.as_bytes(), &mut key)
            .expect("32 bytes are within what HKDF-SHA256 can yield (RFC 5869 §2.3)");
        Self::of(key)
    }

    fn of(key: [u8; 32]) -> Self {
        Self(ChaCha20Poly1305::new(&Key::from(key)))
    }

    /// Seals under a nonce that was never used.
    pub(crate) fn seal(&self, plain: &[u8]) -> Vec<u8> {
        let nonce = random_bytes::<NONCE>();
        let sealed = self.0.encrypt(&Nonce::from(nonce), plain);
        let sealed = sealed.expect("nothing in memory is longer than 256 GiB (RFC 8439 §2.8)");
        [&nonce[..], &sealed].concat()
    }

    /// Opens; `None` if it was sealed with another key, or has been changed.
    pub(crate) fn open(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE>()?;
        self.0.decrypt(&Nonce::from(*nonce), sealed).ok()
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let digits = hex.as_bytes().chunks(2).map(str::from_utf8);
        digits
            .map(|digits| u8::from_str_radix(digits.unwrap(), 16).unwrap())
            .collect()
    }

    #[test]
    fn what_another_implementation_has_sealed_is_opened() {
        // By Python's cryptography: HKDF(SHA256(), 32, salt, b"purpose").derive(b"secret"), then
        // ChaCha20Poly1305(key).encrypt(bytes(range(12)), b"plain", None) behind those twelve bytes.
        for (sealer, sealed) in [
            (
                Sealer::new(&ServerKey::from_bytes([7; 32])),
                "000102030405060708090a0b5c19904a02c3bc0ed592364e9a0e7ad1715c394f9f",
            ),
            (
                Sealer::derived(b"secret", b"", "purpose"),
                "000102030405060708090a0ba8520ef43d29d7ea4a22d65793a7634dc2b6a705ea",
            ),
            (
                Sealer::derived(b"secret", b"salt", "purpose"),
                "000102030405060708090a0b8ed300179f92a4355f9e7942f2a2ddb26a75f1bacb",
            ),
        ] {
            assert_eq!(sealer.open(&bytes(sealed)).unwrap(), b"plain", "{sealed}");
        }
    }

    #[test]
    fn only_what_was_sealed_for_the_same_purpose_and_not_changed_opens() {
        let ours = Sealer::derived(b"secret", b"", "purpose");
        let mut sealed = ours.seal(b"plain");
        assert_eq!(ours.open(&sealed).unwrap(), b"plain");
        assert_ne!(ours.seal(b"plain"), sealed, "a nonce twice");
        for other in [
            Sealer::derived(b"another secret", b"", "purpose"),
            Sealer::derived(b"secret", b"salt", "purpose"),
            Sealer::derived(b"secret", b"", "another purpose"),
        ] {
            assert_eq!(other.open(&sealed), None);
        }
        for place in 0..sealed.len() {
            sealed[place] ^= 1;
            assert_eq!(ours.open(&sealed), None, "{place}");
            sealed[place] ^= 1;
        }
        assert_eq!(ours.open(b"short"), None);
    }
}
