//! See `tests/properties/proof.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| remote_mcp_auth_fuzz::holds("proof", input));
