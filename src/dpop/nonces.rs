//! Nonces that need no memory (RFC 9449 §8): each says under a seal which minutes it is good for.

use std::{fmt, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::{clock::Timestamp, secret::ServerKey};

/// How long the same nonce is handed out. It is good for as long again, so that nobody has to
/// hurry.
const PERIOD: Duration = Duration::from_mins(5);

/// Makes nonces and knows them again.
///
/// All clients get the same one. It need not be secret: it only keeps proofs from being made
/// ahead of time, and who cannot make it cannot do that.
pub struct Nonces(Vec<Hmac<Sha256>>);

impl Nonces {
    /// Nonces that only a holder of these keys can make. The first makes new ones.
    #[expect(
        clippy::missing_panics_doc,
        reason = "a key of 32 bytes is always taken"
    )]
    pub fn new(keys: &[ServerKey]) -> Self {
        let macs = keys.iter().map(|key| {
            Hmac::new_from_slice(key.expose()).expect("an HMAC takes keys of any length")
        });
        Self(macs.collect())
    }

    /// The nonce to hand out at this moment.
    pub fn current(&self, now: Timestamp) -> String {
        let seal = self
            .0
            .first()
            .map(|mac| sealing(mac, period(now)).finalize());
        seal.map_or_else(String::new, |seal| {
            URL_SAFE_NO_PAD.encode(seal.into_bytes())
        })
    }

    /// Whether a nonce is one of ours, from this period or the one before.
    pub fn is_good(&self, nonce: &str, now: Timestamp) -> bool {
        let Ok(presented) = URL_SAFE_NO_PAD.decode(nonce) else {
            return false;
        };
        // Compared in a time that does not depend on where the two differ.
        let is_of = |period| {
            let mut macs = self.0.iter();
            macs.any(|mac| sealing(mac, period).verify_slice(&presented).is_ok())
        };
        let this = period(now);
        is_of(this) || this.checked_sub(1).is_some_and(is_of)
    }
}

fn sealing(mac: &Hmac<Sha256>, period: u64) -> Hmac<Sha256> {
    mac.clone().chain_update(period.to_be_bytes())
}

impl fmt::Debug for Nonces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nonces([redacted])")
    }
}

fn period(now: Timestamp) -> u64 {
    now.as_secs() / PERIOD.as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_500_000_000);

    #[test]
    fn a_nonce_is_good_in_its_period_and_the_next() {
        let nonces = Nonces::new(&[ServerKey::from_bytes([7; 32])]);
        let nonce = nonces.current(START);
        let last = Duration::from_millis(299_999);
        assert_eq!(nonces.current(START + last), nonce);
        assert_ne!(nonces.current(START + PERIOD), nonce);
        for (age, expected) in [
            (Duration::ZERO, true),
            (last, true),
            (PERIOD, true),
            (PERIOD + last, true),
            (2 * PERIOD, false),
            (100 * PERIOD, false),
        ] {
            assert_eq!(nonces.is_good(&nonce, START + age), expected, "{age:?}");
        }
        // Nor is one that was not handed out yet.
        assert!(!nonces.is_good(&nonces.current(START + PERIOD), START));
    }

    #[test]
    fn what_others_made_is_not_good() {
        let nonces = Nonces::new(&[ServerKey::from_bytes([7; 32])]);
        let good = nonces.current(START);
        let foreign = Nonces::new(&[ServerKey::from_bytes([8; 32])]).current(START);
        let cut = &good[..40];
        let padded = format!("{good}=");
        for nonce in ["", "nonce", "ä", &foreign, cut, &padded] {
            assert!(!nonces.is_good(nonce, START), "{nonce}");
        }
        assert!(nonces.is_good(&nonces.current(Timestamp::default()), Timestamp::default()));
    }

    #[test]
    fn debug_output_gives_nothing_away() {
        let debug = format!("{:?}", Nonces::new(&[ServerKey::from_bytes([7; 32])]));
        assert_eq!(debug, "Nonces([redacted])");
    }
}
