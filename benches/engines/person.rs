//! Somebody who has signed in, and lets one app in after the other.

use std::io;

use serde_json::{Value, json};

use crate::{
    connection::{Answer, Connection},
    load::Work,
    support::{Browser, CHALLENGE, Params, REDIRECT_URI, Site, VERIFIER},
};

pub(crate) struct Person {
    /// Of the server's URL.
    pub(crate) authority: String,
    origin: String,
    cookies: String,
}

/// An app that was let in.
pub(crate) struct Granted {
    pub(crate) client: String,
    pub(crate) access: String,
    pub(crate) refresh: String,
}

impl Person {
    /// Whoever has signed in with this browser.
    pub(crate) fn of(site: &Site, browser: &Browser) -> Self {
        let cookies = browser.cookies().iter();
        let cookies: Vec<String> = cookies
            .map(|cookie| format!("{}={}", cookie.name, cookie.value))
            .collect();
        Self {
            authority: site.authority().to_owned(),
            origin: site.public_url().to_owned(),
            cookies: cookies.join("; "),
        }
    }

    /// A new app registers, asks, is allowed, and redeems its code: five requests.
    pub(crate) async fn authorize(&self, connection: &mut Connection) -> io::Result<Granted> {
        let metadata = json!({
            "redirect_uris": [REDIRECT_URI],
            "grant_types": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_method": "none",
        });
        let register = post(
            &self.authority,
            ("/register", ""),
            ("application/json", &metadata.to_string()),
        );
        let answer = connection.exchange(&register).await?.expect(201)?;
        let client = token(answer.body, "client_id")?;
        let form = Params::of([
            ("grant_type", "authorization_code"),
            ("code", &self.code(connection, &client).await?),
            ("redirect_uri", REDIRECT_URI),
            ("code_verifier", VERIFIER),
            ("client_id", &client),
        ]);
        let redeem = post_form(&self.authority, "/token", "", &form);
        let answer = connection.exchange(&redeem).await?.expect(200)?;
        Ok(Granted {
            access: token(answer.body, "access_token")?,
            refresh: token(answer.body, "refresh_token")?,
            client,
        })
    }

    /// What the person's browser brings back.
    async fn code(&self, connection: &mut Connection, client: &str) -> io::Result<String> {
        let question = Params::of([
            ("response_type", "code"),
            ("client_id", client),
            ("redirect_uri", REDIRECT_URI),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ]);
        let authorize = self.get(&format!("/authorize?{}", question.encoded()));
        let answer = connection.exchange(&authorize).await?.expect(303)?;
        let page = self.get(answer.header("location")?);
        let answer = connection.exchange(&page).await?.expect(200)?;
        let (action, form) = allowing(&answer)?;
        let headers = format!(
            "Origin: {}\r\nSec-Fetch-Site: same-origin\r\n{}",
            self.origin,
            self.cookie_line()
        );
        let allow = post_form(&self.authority, &action, &headers, &form);
        let answer = connection.exchange(&allow).await?.expect(303)?;
        let (_, query) = answer
            .header("location")?
            .split_once('?')
            .ok_or(io::ErrorKind::InvalidData)?;
        let answer = Params::parse(query);
        Ok(answer.get("code").ok_or(io::ErrorKind::InvalidData)?.into())
    }

    fn get(&self, path: &str) -> Vec<u8> {
        let path = path.strip_prefix(&self.origin).unwrap_or(path);
        let (authority, cookies) = (&self.authority, self.cookie_line());
        format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\n{cookies}\r\n").into_bytes()
    }

    fn cookie_line(&self) -> String {
        format!("Cookie: {}\r\n", self.cookies)
    }
}

impl Work for Person {
    async fn turn(&mut self, connection: &mut Connection) -> io::Result<()> {
        self.authorize(connection).await.map(|_| ())
    }
}

/// Where the page's form goes, and what it sends when the answer is yes. Looked for in the text: a
/// parser of HTML would cost more than what is measured.
fn allowing(page: &Answer<'_>) -> io::Result<(String, Params)> {
    let text = String::from_utf8_lossy(page.body);
    let attribute = |tag: &str, name: &str| -> io::Result<String> {
        let value = tag.split_once(&format!(" {name}=\""));
        let value = value.and_then(|(_, rest)| rest.split_once('"'));
        let (value, _) = value.ok_or_else(|| io::Error::other(text.clone().into_owned()))?;
        Ok(value.to_owned())
    };
    let (_, form) = text.split_once("<form").ok_or(io::ErrorKind::InvalidData)?;
    let action = attribute(form, "action")?;
    let mut fields = Params::of([("decision", "allow")]);
    for tag in form.split("<input").skip(1) {
        fields = fields.and(&attribute(tag, "name")?, &attribute(tag, "value")?);
    }
    Ok((action, fields))
}

pub(crate) fn post_form(authority: &str, path: &str, headers: &str, form: &Params) -> Vec<u8> {
    let body = form.encoded();
    let content = ("application/x-www-form-urlencoded", &*body);
    post(authority, (path, headers), content)
}

fn post(
    authority: &str,
    (path, headers): (&str, &str),
    (content_type, body): (&str, &str),
) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\n\
         Host: {authority}\r\n\
         Content-Type: {content_type}\r\n\
         {headers}\
         Content-Length: {length}\r\n\
         \r\n\
         {body}"
    )
    .into_bytes()
}

/// A text from a body of JSON.
pub(crate) fn token(body: &[u8], member: &str) -> io::Result<String> {
    let value: Value = serde_json::from_slice(body)?;
    let text = value.get(member).and_then(Value::as_str);
    Ok(text.ok_or(io::ErrorKind::InvalidData)?.to_owned())
}
