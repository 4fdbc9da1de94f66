//! An OAuth 2.1 authorization server, the MCP endpoint it protects, and the tools behind it, in
//! one program.
//!
//! # The rooms
//!
//! [`oauth`] is the authorization server and [`mcp`] the resource server. They never name each
//! other and meet only at [`access`]: what does this token authorize? [`identity`] knows the
//! person at the browser and does not know OAuth. [`store`] knows atomic steps and does not know
//! HTTP; it has an engine in memory and one over SQLite or Postgres. [`model`] holds plain data and its legal moves, [`secret`] everything that must not be
//! seen, [`clock`] the time, [`jose`] the keys and signatures of others, [`dpop`] how a client
//! proves that it holds a key, [`web`] the manners that all rooms share, [`upstream`] what stands
//! behind the tools when it is another server. [`config`] is what the
//! operator wants; only the root turns it into the small settings that rooms get. Who may name
//! whom is a table in `tests/layering.rs`.
//!
//! # One walk through
//!
//! A client calls `/mcp` and is challenged ([`mcp`], `guard.rs`). It reads both metadata documents,
//! registers (`oauth/register.rs`) and sends the person's browser to `/authorize`
//! (`oauth/authorize.rs`), where the request is checked whole and kept. The person signs in
//! (`identity/sign_in.rs`), is asked (`identity/consent.rs`) and allows; what that means is decided
//! in `oauth/consent.rs`, and a code goes back to the client. The client redeems it
//! (`oauth/token/authorization_code.rs`): the store marks the code, begins a grant and keeps the
//! digests of its first tokens in one step. With the token the client calls `/mcp` again; the guard
//! looks it up, `transport.rs` reads the message, `dispatch.rs` finds the method and `tools` do it.
//!
//! # What always holds
//!
//! - A secret that somebody holds is stored as a digest and never logged. The one answer that must be given twice (a
//!   repeated refresh) is sealed under a key that only its receiver can make.
//! - Single use is a step of the store, not a check before a write. With a database, it has been
//!   written durably before anybody hears of it.
//! - Nothing is used up before the whole request has been checked.
//! - What strangers can add to is capped. What a person has allowed is never dropped to make room.
//! - No lock is held across an await. Checking a token writes nothing but, once a minute, that it
//!   was used.
//!
//! # What is deliberately absent
//!
//! TLS and HTTP/2 (the tunnel or the load balancer has them), JWT access tokens (an opaque one can
//! be revoked at once), the implicit and password grants, PKCE `plain`, tokens in URLs, wildcard
//! redirect URIs, JavaScript.

pub mod access;
pub mod admin;
mod app;
pub mod cli;
pub mod clock;
pub mod config;
mod connection;
pub mod dpop;
mod home;
pub mod identity;
pub mod jose;
pub mod mcp;
pub mod mcp_upstream;
pub mod model;
pub mod oauth;
mod router;
pub mod secret;
mod server;
pub mod store;
mod telemetry;
mod tunnel;
pub mod upstream;
pub mod web;

pub use app::StateError;
pub use server::{ServeError, Server, ServerBuilder};
pub use tokio_util::sync::CancellationToken;
pub use tunnel::TunnelError;
