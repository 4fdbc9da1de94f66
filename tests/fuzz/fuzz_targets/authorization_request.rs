//! See `tests/properties/authorization_request.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| remote_mcp_auth_fuzz::holds(
    "authorization_request",
    input
));
