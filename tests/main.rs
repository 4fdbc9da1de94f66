//! The one test binary: every module is a chapter of what the server promises.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::unchecked_time_subtraction,
    reason = "a story that cannot go on has failed"
)]

// The neighbours of `signing`.
use remote_mcp_auth::jose::{Algorithm, PublicKey};

mod account;
mod admin;
mod authorization;
mod balanced;
mod bearer_challenges;
mod branding;
mod client_credentials;
mod client_documents;
mod client_management;
mod client_restarts;
mod conformance_fixture;
mod connection;
mod consent;
mod consent_in_words;
mod cors;
mod crashes;
mod curl_flows;
mod databases;
mod descriptions;
mod discovery;
mod documentation;
mod dpop;
mod every_method;
mod every_version;
mod fake_provider;
mod fastapi;
mod fetch;
mod gateway;
mod gateway_bridges;
mod gateway_children;
mod gateway_real;
mod gateway_several;
mod github_sign_in;
mod gotchas;
mod hostile_input;
mod hostile_registrations;
mod hostile_sizes;
mod http_tools;
mod identity_assertions;
mod introspection;
mod kept_tokens;
mod layering;
mod legacy_calls;
mod legacy_requests;
mod legacy_streams;
mod login;
mod loopback_redirects;
mod mcp_messages;
mod mcp_sessions;
mod mcp_tools;
mod modern_envelope;
mod modern_headers;
mod modern_round_states;
mod modern_rounds;
mod modern_streams;
mod modern_surface;
mod modern_task_input;
mod modern_tasks;
mod openapi;
mod outages;
mod pages;
mod private_key_jwt;
mod process;
mod prompts;
mod properties;
mod pushed_authorization;
mod real_clients;
mod refresh_rotation;
mod registration;
mod registration_limits;
mod registration_policy;
mod replicas;
mod replicated_tasks;
mod restart;
mod revocation;
mod scopes;
#[path = "../src/jose/signing.rs"]
mod signing;
mod store_contract;
mod support;
mod threats;
mod token_exchange;
mod token_limits;
mod upstream_identity;
mod upstream_refusals;
mod upstream_sign_in;
mod users;
