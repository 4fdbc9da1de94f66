//! Proof that whoever sends a request holds a key (DPoP, RFC 9449).
//!
//! A token that is bound to a key is worth nothing to whoever finds it. What a proof says is
//! checked in `proof.rs`; `nonces.rs` makes what a client that cannot be trusted with the time must
//! put into it. That a proof is new, the store can tell. What is then answered over HTTP is the
//! business of the rooms that ask.

mod nonces;
mod proof;

pub use nonces::Nonces;
pub use proof::{Expected, Proof, ProofError};
