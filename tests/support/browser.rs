//! A person's browser: it keeps cookies, follows redirects one at a time, reads forms and submits them.

use scraper::{Html, Selector};

use super::{Answer, PASSCODE, Params, Site};

/// A browser with its cookie jar.
#[derive(Clone)]
pub(crate) struct Browser {
    site: Site,
    cookies: Vec<Cookie>,
    headers: Vec<(String, String)>,
}

/// A cookie as the browser keeps it.
#[derive(Clone, Debug)]
pub(crate) struct Cookie {
    pub(crate) name: String,
    pub(crate) value: String,
    /// Names in lower case.
    pub(crate) attributes: Params,
}

/// Where a navigation ended.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// On a page of ours.
    Page(Page),
    /// At the client, outside.
    Client(Callback),
}

/// A page of ours.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    pub(crate) url: String,
    pub(crate) answer: Answer,
}

/// The client's redirect URI with what we sent along.
#[derive(Debug)]
pub(crate) struct Callback {
    pub(crate) url: String,
    pub(crate) status: u16,
}

/// The first form of a page.
#[derive(Debug, Clone)]
pub(crate) struct Form {
    pub(crate) action: String,
    pub(crate) fields: Params,
    pub(crate) buttons: Params,
}

impl Browser {
    pub(crate) fn new(site: &Site) -> Self {
        Self {
            site: site.clone(),
            cookies: Vec::new(),
            headers: Vec::new(),
        }
    }

    /// The same browser, of the same server at another address.
    pub(crate) fn moved_to(mut self, site: &Site) -> Self {
        self.site = site.clone();
        self
    }

    /// The same browser behind a proxy that names its address.
    pub(crate) fn behind(mut self, header: &str, address: &str) -> Self {
        self.headers.push((header.to_owned(), address.to_owned()));
        self
    }

    pub(crate) fn cookies(&self) -> &[Cookie] {
        &self.cookies
    }

    /// One request, no redirects.
    pub(crate) async fn visit(&mut self, url: &str) -> Answer {
        let mut request = self.site.get(url);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let path = url.strip_prefix(self.site.public_url()).unwrap_or(url);
        if let Some(cookies) = self.cookie_header(path) {
            request = request.header("cookie", &cookies);
        }
        let answer = request.send().await;
        self.keep_cookies(&answer);
        answer
    }

    /// One form post, no redirects. `headers` replace what a browser would have said; an empty one is not sent.
    pub(crate) async fn post(
        &mut self,
        url: &str,
        fields: &Params,
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut request = self
            .site
            .post(url)
            .header("origin", self.site.public_url())
            .header("sec-fetch-site", "same-origin")
            .form(fields);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        for (name, value) in headers {
            request = if value.is_empty() {
                request.without(name)
            } else {
                request.header(name, value)
            };
        }
        let path = url.strip_prefix(self.site.public_url()).unwrap_or(url);
        if let Some(cookies) = self.cookie_header(path) {
            request = request.header("cookie", &cookies);
        }
        let answer = request.send().await;
        self.keep_cookies(&answer);
        answer
    }

    /// Opens a URL and follows redirects until there is a page or the client.
    pub(crate) async fn open(&mut self, url: &str) -> Arrival {
        let answer = self.visit(url).await;
        self.follow(url, answer).await
    }

    /// Submits a form and follows redirects.
    pub(crate) async fn submit(&mut self, form: &Form) -> Arrival {
        let answer = self.post(&form.action, &form.fields, &[]).await;
        self.follow(&form.action, answer).await
    }

    /// Follows redirects from an answer.
    pub(crate) async fn follow(&mut self, url: &str, answer: Answer) -> Arrival {
        let (mut url, mut answer) = (url.to_owned(), answer);
        for _ in 0..10 {
            if !(300..400).contains(&answer.status) {
                return Arrival::Page(Page { url, answer });
            }
            // RFC 9700 §4.12: a 307 would repeat the form, passcode included, elsewhere.
            assert!(
                matches!(answer.status, 302 | 303),
                "a redirect that repeats the method: {answer:#?}"
            );
            let target = answer.header("location").to_owned();
            if target.starts_with('/') {
                url = self.site.url(&target);
            } else if target.starts_with(&format!("{}/", self.site.public_url())) {
                url = target;
            } else {
                return Arrival::Client(Callback {
                    url: target,
                    status: answer.status,
                });
            }
            answer = self.visit(&url).await;
        }
        panic!("redirected in circles, at last to {url}");
    }

    /// Opens the authorization URL, signs in if asked, and stops at the consent page.
    pub(crate) async fn consent_page(&mut self, authorize_url: &str) -> Page {
        let page = self.open(authorize_url).await.page();
        let page = if page.asks_for_password() {
            self.sign_in(&page).await.page()
        } else {
            page
        };
        assert!(
            page.asks_for_consent(),
            "not a consent page: {:#?}",
            page.answer
        );
        page
    }

    /// Answers the sign-in page with the right passcode.
    pub(crate) async fn sign_in(&mut self, page: &Page) -> Arrival {
        let form = page.sign_in_form(PASSCODE);
        self.submit(&form).await
    }

    /// The whole way from the authorization URL to the client, allowing whatever is asked.
    pub(crate) async fn approve(&mut self, authorize_url: &str) -> Callback {
        self.decide(authorize_url, "allow").await
    }

    /// The whole way from the authorization URL to the client, refusing.
    pub(crate) async fn deny(&mut self, authorize_url: &str) -> Callback {
        self.decide(authorize_url, "deny").await
    }

    async fn decide(&mut self, authorize_url: &str, decision: &str) -> Callback {
        let arrival = self.open(authorize_url).await;
        let arrival = match arrival {
            Arrival::Page(page) if page.asks_for_password() => self.sign_in(&page).await,
            other => other,
        };
        match arrival {
            Arrival::Page(page) => self.submit(&page.decision(decision)).await.client(),
            Arrival::Client(callback) => callback,
        }
    }

    fn cookie_header(&self, path: &str) -> Option<String> {
        let secure = self.site.public_url().starts_with("https:");
        let sent = self.cookies.iter().filter(|cookie| {
            let scope = cookie.attributes.get("path").unwrap_or("/");
            path.starts_with(scope) && (secure || cookie.attributes.get("secure").is_none())
        });
        let pairs: Vec<_> = sent
            .map(|cookie| format!("{}={}", cookie.name, cookie.value))
            .collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }

    fn keep_cookies(&mut self, answer: &Answer) {
        for header in answer.headers.get_all("set-cookie") {
            let cookie = Cookie::parse(header.to_str().expect("a cookie in ASCII"));
            self.cookies.retain(|other| other.name != cookie.name);
            if !cookie.value.is_empty() && cookie.attributes.get("max-age") != Some("0") {
                self.cookies.push(cookie);
            }
        }
    }
}

impl Cookie {
    fn parse(header: &str) -> Self {
        let mut parts = header.split(';').map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (name.trim(), value.trim())
        });
        let (name, value) = parts.next().expect("a cookie with a name");
        let attributes = parts.fold(Params::default(), |attributes, (name, value)| {
            attributes.and(&name.to_ascii_lowercase(), value)
        });
        Self {
            name: name.to_owned(),
            value: value.to_owned(),
            attributes,
        }
    }
}

impl Arrival {
    #[track_caller]
    pub(crate) fn page(self) -> Page {
        match self {
            Self::Page(page) => page,
            Self::Client(callback) => panic!("went to the client: {callback:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn client(self) -> Callback {
        match self {
            Self::Client(callback) => callback,
            Self::Page(page) => panic!("stayed here: {page:#?}"),
        }
    }
}

impl Page {
    pub(crate) fn asks_for_password(&self) -> bool {
        self.has("form input[type=password][name=password]")
    }

    pub(crate) fn asks_for_consent(&self) -> bool {
        self.has("form [name=decision][value=allow]")
    }

    /// Whether an element that the selector names is there.
    pub(crate) fn has(&self, selector: &str) -> bool {
        let selector = Selector::parse(selector).expect("a selector");
        Html::parse_document(&self.answer.body)
            .select(&selector)
            .next()
            .is_some()
    }

    /// Where the link of these words leads.
    #[track_caller]
    pub(crate) fn link(&self, words: &str) -> String {
        let links = Selector::parse("a[href]").expect("a selector");
        let document = Html::parse_document(&self.answer.body);
        let mut links = document.select(&links);
        let link = links.find(|link| link.text().collect::<String>().trim() == words);
        let href = link.and_then(|link| link.attr("href").map(str::to_owned));
        href.unwrap_or_else(|| panic!("no link “{words}” on {:#?}", self.answer))
    }

    /// What a person reads in each element that the selector names, blanks folded.
    pub(crate) fn texts(&self, selector: &str) -> Vec<String> {
        let selector = Selector::parse(selector).expect("a selector");
        let document = Html::parse_document(&self.answer.body);
        let found = document.select(&selector);
        let texts = found.map(|element| element.text().collect::<Vec<_>>().join(" "));
        texts
            .map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect()
    }

    /// The same as one text.
    pub(crate) fn text_of(&self, selector: &str) -> String {
        self.texts(selector).join(" ")
    }

    /// The values of the fields that the selector names.
    pub(crate) fn values(&self, selector: &str) -> Vec<String> {
        let selector = Selector::parse(selector).expect("a selector");
        let document = Html::parse_document(&self.answer.body);
        let found = document.select(&selector);
        let values = found.filter_map(|element| element.attr("value"));
        values.map(str::to_owned).collect()
    }

    /// What a person reads: the text without the tags, blanks folded.
    pub(crate) fn text(&self) -> String {
        let document = Html::parse_document(&self.answer.body);
        let read = Selector::parse("title, main").expect("a selector");
        let texts: Vec<&str> = document.select(&read).flat_map(|e| e.text()).collect();
        let text = texts.join(" ");
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The sign-in form, filled in with this passcode.
    #[track_caller]
    pub(crate) fn sign_in_form(&self, passcode: &str) -> Form {
        let form = self.form();
        assert!(
            form.fields.get("password").is_some(),
            "not a sign-in page: {:#?}",
            self.answer
        );
        let form = match form.fields.get("username") {
            Some("") => form.set("username", "owner"),
            _ => form,
        };
        form.set("password", passcode)
    }

    /// The sign-in form, filled in by somebody who has a name here.
    #[track_caller]
    pub(crate) fn sign_in_form_of(&self, username: &str, password: &str) -> Form {
        self.sign_in_form(password).set("username", username)
    }

    /// The consent form, answered.
    #[track_caller]
    pub(crate) fn decision(&self, decision: &str) -> Form {
        let form = self.form();
        assert!(
            form.buttons.clone() != form.buttons.clone().without("decision"),
            "not a consent page: {:#?}",
            self.answer
        );
        form.set("decision", decision)
    }

    /// The first form, with the fields that submitting it would send.
    #[track_caller]
    pub(crate) fn form(&self) -> Form {
        self.form_by("form")
    }

    /// The form with the button of a provider.
    #[track_caller]
    pub(crate) fn provider_form(&self, id: &str) -> Form {
        self.form_by(&format!("form[action='/sign-in/{id}']"))
    }

    /// The first form that the selector names.
    #[track_caller]
    pub(crate) fn form_by(&self, selector: &str) -> Form {
        let document = Html::parse_document(&self.answer.body);
        let select = |selector: &str| Selector::parse(selector).expect("a selector");
        let form = document.select(&select(selector)).next();
        let Some(form) = form else {
            panic!("no {selector} on {:#?}", self.answer);
        };
        let method = form.attr("method").unwrap_or("get");
        assert!(
            method.eq_ignore_ascii_case("post"),
            "passcodes and decisions do not belong in URLs"
        );
        let named = |selector| {
            form.select(&select(selector))
                .fold(Params::default(), |fields, element| {
                    fields.and(
                        element.attr("name").unwrap_or_default(),
                        element.attr("value").unwrap_or_default(),
                    )
                })
        };
        let action = match form.attr("action") {
            None | Some("") => self.url.clone(),
            Some(action) => action.to_owned(),
        };
        Form {
            action,
            fields: named("input[name]:not([type=submit], [type=checkbox]:not([checked]))"),
            buttons: named("button[name], input[type=submit][name]"),
        }
    }
}

impl Form {
    /// The same form with one field filled in.
    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.fields = self.fields.set(name, value);
        self
    }

    /// The same form with one field taken out.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.fields = self.fields.without(name);
        self
    }
}

impl Callback {
    /// What was sent along in the query.
    pub(crate) fn params(&self) -> Params {
        assert!(
            !self.url.contains('#'),
            "an answer in a fragment: {}",
            self.url
        );
        let query = self.url.split_once('?').map_or("", |(_, query)| query);
        Params::parse(query)
    }

    #[track_caller]
    pub(crate) fn code(&self) -> String {
        let params = self.params();
        let Some(code) = params.get("code") else {
            panic!("no code in {}", self.url);
        };
        code.to_owned()
    }

    /// Checks that it carries this error, with an explanation and the issuer, and no code.
    // RFC 6749 §4.1.2.1; RFC 9207 §2: `iss` is in error responses too.
    #[track_caller]
    pub(crate) fn assert_error(&self, code: &str, issuer: &str) -> String {
        let params = self.params();
        assert_eq!(params.get("error"), Some(code), "{}", self.url);
        assert_eq!(params.get("iss"), Some(issuer), "{}", self.url);
        assert_eq!(params.get("code"), None, "{}", self.url);
        let description = params.get("error_description").unwrap_or_default();
        assert!(
            !description.is_empty(),
            "a refusal that does not explain itself: {}",
            self.url
        );
        description.to_owned()
    }
}
