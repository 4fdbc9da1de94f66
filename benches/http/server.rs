//! The server that is measured: the real program, and someone who may use it.

use crate::{
    messages::{self, Caller},
    support::{Connected, Launch, McpClient, Program, Site, connect},
};

/// A running server. It ends when it is dropped.
pub(crate) struct Server {
    pub(crate) program: Program,
    pub(crate) site: Site,
    pub(crate) caller: Caller,
}

impl Server {
    pub(crate) async fn start(launch: Launch) -> Self {
        let program = launch.start();
        let site = program.site();
        let Connected { tokens, .. } = connect(&site).await;
        let client = McpClient::initialized(&site, &tokens.access, messages::LEGACY).await;
        let caller = Caller {
            authority: site.authority().to_owned(),
            token: tokens.access,
            session: client.session.expect("a session"),
        };
        Self {
            program,
            site,
            caller,
        }
    }
}

/// The program as it runs in production, but for the limits on strangers, of whom there are none.
pub(crate) fn launch() -> Launch {
    Launch::serving()
        .env("RUST_LOG", "warn")
        .env("RATE_LIMITS", "off")
}
