//! What holds whatever is sent: one file for each reader of what strangers send, with the promises
//! that it must keep for every input, and inputs that nobody thought of.
//!
//! The stable tests make inputs with `proptest`; the fuzz targets in `tests/fuzz` let a fuzzer make
//! them, which watches what the program does with them and so finds its way in further. Both hold
//! the answers against the same promises. Requests go through the whole router, in the process, so
//! what is tested is the readers with their real callers.

pub(crate) mod authorization_request;
pub(crate) mod bearer;
pub(crate) mod client_metadata;
pub(crate) mod house;
pub(crate) mod message;
pub(crate) mod proof;
pub(crate) mod redirect_uri;
pub(crate) mod request_state;
pub(crate) mod token_request;

#[cfg(test)]
mod seeds;

/// Panics where an input shows that a promise is not kept.
pub(crate) type Holds = fn(&[u8]);

/// Every reader, by the name of its fuzz target and of the directory with its seeds.
pub(crate) const READERS: [(&str, Holds); 8] = [
    ("authorization_request", authorization_request::holds),
    ("bearer", bearer::holds),
    ("client_metadata", client_metadata::holds),
    ("message", message::holds),
    ("proof", proof::holds),
    ("redirect_uri", redirect_uri::holds),
    ("request_state", request_state::holds),
    ("token_request", token_request::holds),
];
