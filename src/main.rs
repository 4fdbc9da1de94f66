//! The program: see [`remote_mcp_auth::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    remote_mcp_auth::cli::run()
}
