//! See `tests/properties/client_metadata.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| remote_mcp_auth_fuzz::holds("client_metadata", input));
