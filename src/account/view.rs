//! What the page shows of each connection, in words.

use std::collections::HashMap;

use askama::Template;

use super::{AccountState, moment::Moment};
use crate::{
    clock::Timestamp,
    identity::{SignedIn, csrf},
    model::{client_document::DocumentUrl, grant::Connection, plain_text::readable},
};

/// The most that are shown. Whoever has more has apps that connect anew each time.
const MOST_SHOWN: usize = 200;

/// The longest name of an app that is shown.
const LONGEST_NAME: usize = 100;

const SET_UP_HERE: &str = "Set up by the operator of this server";
const CLAIMED: &str = "Known by the name that it gave";

#[derive(Debug, Template)]
#[template(path = "account/account.html")]
pub(super) struct AccountPage<'a> {
    pub(super) user: &'a str,
    pub(super) csrf: String,
    pub(super) done: Option<Done>,
    pub(super) connections: Vec<Shown>,
    /// How many there are besides.
    pub(super) more: usize,
}

#[derive(Debug, Template)]
#[template(path = "account/signed_out.html")]
pub(super) struct SignedOutPage {
    pub(super) again: String,
}

/// A connection in words.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) id: String,
    pub(super) name: String,
    /// How that name is known.
    pub(super) known: String,
    pub(super) is_new: bool,
    pub(super) first: Moment,
    /// Empty where it was never used after it had begun.
    pub(super) last: Moment,
    pub(super) abilities: Vec<String>,
    pub(super) tools: Vec<String>,
    pub(super) device: Option<Box<str>>,
    pub(super) address: Option<String>,
}

/// What was just done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Done {
    Disconnected,
    AllDisconnected,
    /// It had been done before.
    Gone,
}

impl Done {
    const ALL: [(Self, &'static str); 3] = [
        (Self::Disconnected, "disconnected"),
        (Self::AllDisconnected, "all_disconnected"),
        (Self::Gone, "gone"),
    ];

    /// For an address. Nobody else can make a link that says so.
    pub(super) fn write(self, person: &SignedIn) -> String {
        let name = Self::ALL.iter().find(|(done, _)| *done == self);
        let name = name.map_or("", |(_, name)| name);
        format!("{name}.{}", csrf::token(name, person.session.expose()))
    }

    pub(super) fn read(text: &str, person: &SignedIn) -> Option<Self> {
        let (name, token) = text.split_once('.')?;
        let (done, name) = Self::ALL.iter().find(|(_, known)| *known == name)?;
        csrf::is_token(token, name, person.session.expose()).then_some(*done)
    }

    fn in_words(self) -> &'static str {
        match self {
            Self::Disconnected => "The app is disconnected. It cannot use your tools any more.",
            Self::AllDisconnected => "All apps are disconnected. None can use your tools any more.",
            Self::Gone => "It was disconnected already.",
        }
    }
}

/// How many of a person's connections are not shown.
pub(super) fn more(all: usize) -> usize {
    all.saturating_sub(MOST_SHOWN)
}

impl AccountPage<'_> {
    fn count_new(&self) -> usize {
        self.connections.iter().filter(|shown| shown.is_new).count()
    }
}

/// What a person has let in, in words. What came since they looked the last time is new.
pub(super) fn connections(
    account: &AccountState,
    connections: Vec<Connection>,
    last_visit: Option<Timestamp>,
    now: Timestamp,
) -> Vec<Shown> {
    let every_scope = account.scopes.all().map(|d| d.scope.clone()).collect();
    let offered = account.tools.opened_by(&every_scope);
    let titles: HashMap<&str, &str> = offered
        .iter()
        .map(|tool| (tool.name.as_str(), tool.title.as_str()))
        .collect();
    let shown = connections.into_iter().take(MOST_SHOWN);
    shown
        .map(|Connection { grant, tools }| {
            let title = |tool: &str| titles.get(tool).copied().unwrap_or(tool).to_owned();
            let known = match DocumentUrl::parse(&grant.client) {
                Ok(document) => format!("Published by {}", document.host()),
                Err(_) if account.clients.contains_key(&grant.client) => SET_UP_HERE.to_owned(),
                Err(_) => CLAIMED.to_owned(),
            };
            Shown {
                id: grant.id.to_string(),
                name: readable(&grant.client_name, LONGEST_NAME),
                known,
                is_new: last_visit.is_some_and(|last| grant.created_at > last),
                first: Moment::new(grant.created_at, now),
                last: Moment::new(grant.last_used_at, now),
                abilities: account.scopes.in_words(&grant.scopes),
                tools: tools.iter().map(|tool| title(tool)).collect(),
                device: grant.origin.device,
                address: grant.origin.address.map(|address| address.to_string()),
            }
        })
        .collect()
}
