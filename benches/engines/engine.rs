//! A server on one kind of store: one process, or two that share a database.

use std::{io, path::Path};

use crate::{
    connection::Connection,
    load::{CONNECTIONS, Same, Target},
    messages::{self, Caller, Era},
    person::{Granted, Person},
    refreshing::Refreshing,
    support::{Browser, Launch, OAuthClient, Program, Site, postgres::Postgres},
};

pub(crate) struct Engine<'a> {
    pub(crate) name: &'static str,
    replicas: Vec<(Program, Site)>,
    postgres: Option<&'a Postgres>,
}

impl<'a> Engine<'a> {
    pub(crate) fn memory() -> Self {
        Self::of("memory", vec![launch()], None)
    }

    /// With its file in this directory.
    pub(crate) fn sqlite(home: &Path) -> Self {
        let url = format!("sqlite://{}", home.join("state.db").display());
        Self::of("SQLite", vec![launch().env("DATABASE_URL", &url)], None)
    }

    /// So many replicas on one database.
    pub(crate) fn postgres(
        name: &'static str,
        replicas: usize,
        (postgres, url): (&'a Postgres, &str),
    ) -> Self {
        let launches = (0..replicas).map(|_| launch().env("DATABASE_URL", url));
        Self::of(name, launches.collect(), Some(postgres))
    }

    fn of(name: &'static str, launches: Vec<Launch>, postgres: Option<&'a Postgres>) -> Self {
        let programs = launches.into_iter().map(Launch::start);
        let replicas = programs.map(|program| {
            let site = program.site();
            (program, site)
        });
        Self {
            name,
            replicas: replicas.collect(),
            postgres,
        }
    }

    /// All processes at work.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let programs = self.replicas.iter().map(|(program, _)| program.pid());
        let database = self.postgres.map(Postgres::processes);
        programs.chain(database.into_iter().flatten()).collect()
    }

    /// Connections, spread over the replicas, each with somebody who has signed in.
    async fn people(&self) -> io::Result<Vec<(Connection, Person)>> {
        let Some((_, first)) = self.replicas.first() else {
            return Ok(Vec::new());
        };
        let mut browser = Browser::new(first);
        OAuthClient::register(first)
            .await
            .authorize_with(&mut browser)
            .await;
        let sites = self.replicas.iter().map(|(_, site)| site).cycle();
        let mut people = Vec::new();
        for site in sites.take(CONNECTIONS as usize) {
            let connection = Connection::open(site.addr()).await?;
            people.push((connection, Person::of(first, &browser)));
        }
        Ok(people)
    }

    /// The same with somebody who has allowed an app to call.
    async fn callers(&self) -> io::Result<Vec<(Connection, Person, Granted)>> {
        let mut callers = Vec::new();
        for (mut connection, person) in self.people().await? {
            let granted = person.authorize(&mut connection).await?;
            callers.push((connection, person, granted));
        }
        Ok(callers)
    }

    /// Calls a tool with a token, and in the older era a session, of each connection's own.
    pub(crate) async fn calling(&self, era: Era) -> io::Result<Target<Same>> {
        let mut workers = Vec::new();
        for (mut connection, person, granted) in self.callers().await? {
            let initialize = messages::initialize(&person.authority, &granted.access);
            let answer = connection.exchange(&initialize).await?.expect(200)?;
            let caller = Caller {
                session: answer.header("mcp-session-id")?.to_owned(),
                authority: person.authority,
                token: granted.access,
            };
            let call = messages::call_tool(&caller, era);
            workers.push((connection, Same(call.into())));
        }
        Ok(Target::of(self.processes(), workers))
    }

    /// Refreshes, each connection its own tokens.
    pub(crate) async fn refreshing(&self) -> io::Result<Target<Refreshing>> {
        let callers = self.callers().await?.into_iter();
        let workers = callers.map(|(connection, person, granted)| {
            let work = Refreshing::new(person.authority, granted);
            (connection, work)
        });
        Ok(Target::of(self.processes(), workers.collect()))
    }

    /// Lets new apps in, from their registration to their tokens.
    pub(crate) async fn authorizing(&self) -> io::Result<Target<Person>> {
        Ok(Target::of(self.processes(), self.people().await?))
    }
}

/// The program as it runs in production, but for the limits on strangers, of whom there are none.
fn launch() -> Launch {
    Launch::serving()
        .env("RUST_LOG", "warn")
        .env("RATE_LIMITS", "off")
        .env("PUBLIC_URL", "https://mcp.example.com")
}
