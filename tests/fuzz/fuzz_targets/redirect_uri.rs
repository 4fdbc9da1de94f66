//! See `tests/properties/redirect_uri.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| remote_mcp_auth_fuzz::holds("redirect_uri", input));
