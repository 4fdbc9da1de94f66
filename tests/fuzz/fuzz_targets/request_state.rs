//! See `tests/properties/request_state.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| remote_mcp_auth_fuzz::holds("request_state", input));
