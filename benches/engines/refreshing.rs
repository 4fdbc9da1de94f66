//! An app that refreshes all the time.

use std::io;

use crate::{
    connection::Connection,
    load::Work,
    person::{Granted, post_form, token},
    support::Params,
};

pub(crate) struct Refreshing {
    authority: String,
    client: String,
    refresh: String,
}

impl Refreshing {
    pub(crate) fn new(authority: String, granted: Granted) -> Self {
        Self {
            authority,
            client: granted.client,
            refresh: granted.refresh,
        }
    }
}

impl Work for Refreshing {
    async fn turn(&mut self, connection: &mut Connection) -> io::Result<()> {
        let form = Params::of([
            ("grant_type", "refresh_token"),
            ("refresh_token", &self.refresh),
            ("client_id", &self.client),
        ]);
        let request = post_form(&self.authority, "/token", "", &form);
        let answer = connection.exchange(&request).await?.expect(200)?;
        self.refresh = token(answer.body, "refresh_token")?;
        Ok(())
    }
}
