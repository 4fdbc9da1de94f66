//! The consent page. It shows what it is told; what an answer means is for the asker to decide.

use askama::Template;
use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};

use super::{ReturnTo, SignedIn, csrf, sign_in};
use crate::{
    model::{
        offered_tool::{Effect, OfferedTool},
        plain_text::readable,
    },
    web::page::Page,
};

/// Where the page is, and where its form is sent.
pub const PATH: &str = "/consent";

/// The field of an answer that says which [`ConsentPrompt::appearance`] was shown.
pub const APPEARANCE: &str = "appearance";

/// Tools of one ability that are named. More would not be read.
const MOST_TOOLS: usize = 100;

/// The longest name that is shown. A longer one would push out of sight what is known of it.
const LONGEST_NAME: usize = 60;

/// A question to a person.
#[derive(Debug, Clone, Copy)]
pub struct ConsentPrompt<'a> {
    /// Names the question; comes back with the answer.
    pub request: &'a str,
    /// Tells what is shown of the one who asks from what might have been; comes back with the answer.
    pub appearance: &'a str,
    /// Who asks, in their own words, if they gave any.
    pub client_name: Option<&'a str>,
    /// How that is known.
    pub known: Known<'a>,
    /// Where the answer will be sent.
    pub destination: &'a str,
    /// Whether any program on the person's machine could be waiting there.
    pub is_local: bool,
    /// Where the tools are.
    pub resource: &'a str,
    /// What will be possible, in words.
    pub abilities: &'a [Ability],
}

/// How it is known who asks.
#[derive(Debug, Clone, Copy)]
pub enum Known<'a> {
    /// This host publishes it.
    PublishedBy(&'a str),
    /// The operator of this server set it up.
    SetUpHere,
    /// It says so itself.
    Claimed,
}

/// Something that will be possible.
#[derive(Debug)]
pub struct Ability {
    /// In words.
    pub description: String,
    /// The field that says yes to it; `None`: it cannot be left out.
    pub field: Option<String>,
    /// The tools that it opens.
    pub tools: Vec<OfferedTool>,
}

#[derive(Debug, Template)]
#[template(path = "identity/consent.html")]
struct ConsentPage<'a> {
    prompt: ConsentPrompt<'a>,
    name: Option<String>,
    user: &'a str,
    switch_user: String,
    csrf: String,
}

impl ConsentPrompt<'_> {
    /// The page that asks `person`.
    pub fn ask(self, person: &SignedIn) -> Response {
        let here = ReturnTo::parse(&url(self.request)).unwrap_or_else(ReturnTo::home);
        let page = ConsentPage {
            name: self.client_name.map(|name| readable(name, LONGEST_NAME)),
            prompt: self,
            user: person.user.as_str(),
            switch_user: sign_in::url(&here, true),
            csrf: csrf::token(&form(self.request), person.session.expose()),
        };
        Page(StatusCode::OK, page).into_response()
    }

    fn can_be_narrowed(&self) -> bool {
        self.abilities.iter().any(|ability| ability.field.is_some())
    }
}

impl Ability {
    /// What its tools do to the world, each once, the mildest first.
    fn badges(&self) -> Vec<Badge> {
        let mut effects: Vec<Effect> = self.tools.iter().map(|tool| tool.effect).collect();
        effects.sort_unstable();
        effects.dedup();
        effects.into_iter().map(Badge::from).collect()
    }

    fn shown(&self) -> impl Iterator<Item = (&str, Badge)> {
        let named = self.tools.iter().take(MOST_TOOLS);
        named.map(|tool| (tool.title.as_str(), tool.effect.into()))
    }

    fn more(&self) -> usize {
        self.tools.len().saturating_sub(MOST_TOOLS)
    }

    /// A few are seen at once.
    fn are_few(&self) -> bool {
        (1..=4).contains(&self.tools.len())
    }
}

/// The address of the question.
pub fn url(request: &str) -> String {
    format!("{PATH}?request={request}")
}

/// What an effect is called, and looks like.
struct Badge {
    class: &'static str,
    word: &'static str,
}

impl From<Effect> for Badge {
    fn from(effect: Effect) -> Self {
        let (class, word) = match effect {
            Effect::Reads => ("reads", "Reads"),
            Effect::Changes => ("changes", "Changes"),
            Effect::Destroys => ("destroys", "Can delete or overwrite"),
        };
        Self { class, word }
    }
}

/// Whether the token of an answer shows that `person` was asked that question.
pub fn is_answer_of(person: &SignedIn, request: &str, csrf: &str) -> bool {
    csrf::is_token(csrf, &form(request), person.session.expose())
}

fn form(request: &str) -> String {
    format!("consent form {request}")
}
