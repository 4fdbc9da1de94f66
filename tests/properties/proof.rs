//! Proofs of possession (RFC 9449 §4.3), and with them signed messages and their keys.
//!
//! Input: a proof; or, after an `@`, changes to the one in RFC 9449 §4.1: a place in two bytes and
//! what is to stand there in one. That `proptest` finds no proof that is accepted stands beside
//! the reader, in `src/dpop/proof.rs`.

use remote_mcp_auth::{
    clock::Timestamp,
    dpop::{Expected, Nonces, Proof},
};

use super::request_state::changed;

/// RFC 9449 §4.1.
const EXAMPLE: &str = concat!(
    "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0",
    "VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10",
    "NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjo",
    "iUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.",
    "2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg",
);

/// Whatever is sent, the one proof that somebody with a key made is good and no other text is.
pub(crate) fn holds(input: &[u8]) {
    let proof = match input {
        [b'@', changes @ ..] => changed(EXAMPLE, changes),
        text => String::from_utf8_lossy(text).into_owned(),
    };
    let expected = Expected {
        method: "POST",
        htu: "https://server.example.com/token",
        access_token: None,
        now: Timestamp::from_millis(1_562_262_616_000),
        nonces: &Nonces::new(&[7; 32]),
    };
    let is_good = Proof::check(&proof, &expected).is_ok();
    assert_eq!(is_good, proof == EXAMPLE, "{proof}");
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    proptest! {
        #[test]
        fn no_change_to_a_proof_goes_unnoticed(changes in vec(any::<u8>(), 0..7)) {
            holds(&[b"@", &changes[..]].concat());
        }
    }
}
