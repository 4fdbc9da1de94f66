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
    secret::{BrowserId, BrowserSessionId},
    web::{
        page::Page,
        params::{self, Params},
    },
};

/// Where the page is, and where its form is sent.
pub const PATH: &str = "/consent";

/// The parameter that names the provider which somebody goes on to.
pub const WITH: &str = "with";

/// What was allowed before signing in, and what shows it.
const ALLOWED: &str = "allowed";
const PROOF: &str = "proof";

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
    /// Who is asked, if they have signed in, and where somebody else does.
    user: Option<(&'a str, String)>,
    /// The provider that they go to next, if they have not: its identifier and its name.
    next: Option<(&'a str, &'a str)>,
    again: bool,
    csrf: String,
}

impl ConsentPrompt<'_> {
    /// The page that asks `person`.
    pub fn ask(self, person: &SignedIn) -> Response {
        let here = ReturnTo::parse(&url(self.request)).unwrap_or_else(ReturnTo::home);
        let page = ConsentPage {
            name: self.shown_name(),
            prompt: self,
            user: Some((person.shown(), sign_in::url(&here, true))),
            next: None,
            again: false,
            csrf: csrf::token(&form(self.request), person.session.expose()),
        };
        Page(StatusCode::OK, page).into_response()
    }

    /// The page that asks whoever is at a browser, before they go to a provider and sign in there.
    /// `again`: even if it knows them.
    pub fn ask_before_sign_in(
        self,
        browser: &BrowserId,
        provider: (&str, &str),
        again: bool,
    ) -> Response {
        let page = ConsentPage {
            name: self.shown_name(),
            prompt: self,
            user: None,
            next: Some(provider),
            again,
            csrf: token_of_browser(browser, self.request),
        };
        Page(StatusCode::OK, page).into_response()
    }

    fn shown_name(&self) -> Option<String> {
        self.client_name.map(|name| readable(name, LONGEST_NAME))
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

/// Whether it shows that whoever is at that browser was asked, before they signed in.
pub fn is_answer_of_browser(browser: &BrowserId, request: &str, csrf: &str) -> bool {
    csrf::is_token(csrf, &form(request), browser.expose())
}

/// The token of a form that is answered before signing in.
pub(super) fn token_of_browser(browser: &BrowserId, request: &str) -> String {
    csrf::token(&form(request), browser.expose())
}

/// The address of a question.
pub fn url(request: &str) -> String {
    format!("{PATH}?request={request}")
}

/// The same for somebody who goes on to a provider.
pub fn url_before_sign_in(request: &str, provider: &str, again: bool) -> String {
    let again = if again { "&again=1" } else { "" };
    format!("{}&{WITH}={provider}{again}", url(request))
}

/// The question that somebody is on their way to.
pub(super) fn question_at(return_to: &ReturnTo) -> Option<&str> {
    let query = return_to
        .as_str()
        .strip_prefix(PATH)?
        .strip_prefix("?request=")?;
    query.split('&').next()
}

/// The address at which somebody goes on who has answered before they signed in.
pub(super) fn url_of_answered(
    return_to: &ReturnTo,
    allowed: &str,
    session: &BrowserSessionId,
) -> String {
    let Some(request) = question_at(return_to) else {
        return return_to.as_str().to_owned();
    };
    let proof = csrf::token(&answered(request, allowed), session.expose());
    let allowed = params::encode(allowed.as_bytes());
    format!("{}&{ALLOWED}={allowed}&{PROOF}={proof}", url(request))
}

/// What `person` allowed before they signed in, in the words of whoever asked. It is good for that
/// question, with the session that began when they came back.
pub fn answered_before<'a>(
    person: &SignedIn,
    request: &str,
    params: &'a Params,
) -> Option<&'a str> {
    let text = |name| params.only(name);
    let allowed = text(ALLOWED)?;
    let is_theirs = csrf::is_token(
        text(PROOF)?,
        &answered(request, allowed),
        person.session.expose(),
    );
    is_theirs.then_some(allowed)
}

fn form(request: &str) -> String {
    format!("consent form {request}")
}

fn answered(request: &str, allowed: &str) -> String {
    format!("answer before sign-in {request} {allowed}")
}
