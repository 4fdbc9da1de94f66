//! An OAuth 2.1 authorization server, the MCP endpoint it protects, and the tools behind it, in
//! one program.
//!
//! # The rooms
//!
//! [`oauth`] is the authorization server and [`mcp`] the resource server. They never name each
//! other and meet only at [`access`]: what does this token authorize? [`identity`] knows the
//! person at the browser and does not know OAuth; `account` shows that person what is connected.
//! [`store`] knows atomic steps and does not know HTTP; it has an engine in memory and one over
//! SQLite or Postgres. [`model`] holds plain data and its legal moves, [`secret`] everything that must
//! not be seen, [`clock`] the time, [`jose`] the keys and signatures of others, [`dpop`] how a client
//! proves that it holds a key, [`web`] the manners that all rooms share. [`upstream`] makes tools of
//! what is elsewhere: of APIs, which [`api`] describes, and of MCP servers ([`mcp_upstream`]); to
//! [`mcp`] they are tools like others. [`config`] is what the operator wants; only the root turns it
//! into the small settings that rooms get, and into others when it is read anew (`reload.rs`). Who may
//! name whom is a table in `tests/layering.rs`.
//!
//! # One walk through
//!
//! A client calls `/mcp` and is challenged ([`mcp`], `guard.rs`). It reads both metadata documents,
//! registers (`oauth/register.rs`) and sends the person's browser to `/authorize`
//! (`oauth/authorize.rs`), where the request is checked whole and kept. The person signs in
//! (`identity/sign_in.rs`, or elsewhere: `identity/providers`), is asked (`identity/consent.rs`) and
//! allows; what that means is decided in `oauth/consent`, and a code goes back to the client. The
//! client redeems it (`oauth/token/authorization_code.rs`): the store marks the code, begins a grant
//! and keeps the digests of its first tokens in one step. With the token the client calls `/mcp` again;
//! the guard looks it up, `transport.rs` reads the message, `dispatch.rs` finds the method and a tool
//! does it: here, with one request to an API (`upstream/tool.rs`), or at another MCP server
//! (`upstream/mcp/call.rs`).
//!
//! # What always holds
//!
//! - A secret that somebody holds is stored as a digest and never logged. The one answer that must be
//!   given twice (a repeated refresh) is sealed under a key that only its receiver can make.
//! - Single use is a step of the store, not a check before a write. With a database, it has been
//!   written durably before anybody hears of it.
//! - Nothing is used up before the whole request has been checked.
//! - What strangers can add to is capped. What a person has allowed is never dropped to make room.
//! - Nobody is sent to an identity provider on behalf of an app that they were not asked about
//!   (`identity/providers`).
//! - An upstream never sees what the client holds. Of a call it gets what is to be done, and of the
//!   person what this server signs, or what their provider gave for them.
//! - No lock is held across an await. Checking a token writes nothing but, once a minute, that it
//!   was used.
//!
//! # What is deliberately absent
//!
//! TLS and HTTP/2 (the tunnel or the load balancer has them), JWT access tokens (an opaque one can
//! be revoked at once), the implicit and password grants, PKCE `plain`, tokens in URLs, wildcard
//! redirect URIs, JavaScript.

pub mod access;
mod account;
pub mod admin;
pub mod api;
mod app;
pub mod cli;
pub mod clock;
pub mod config;
mod connection;
pub mod dpop;
mod home;
pub mod identity;
pub mod jose;
mod logo;
pub mod mcp;
pub mod mcp_upstream;
pub mod model;
pub mod oauth;
mod offering;
mod people;
mod reload;
mod router;
pub mod secret;
mod server;
mod state;
pub mod store;
mod telemetry;
mod tunnel;
pub mod upstream;
pub mod web;

pub use offering::Rehearsal;
pub use server::{ServeError, Server, ServerBuilder};
pub use state::StateError;
pub use tokio_util::sync::CancellationToken;
pub use tunnel::TunnelError;
