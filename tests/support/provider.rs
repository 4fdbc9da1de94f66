//! A real identity provider, run by Node, and a person's browser at it.

use std::{fs, process::Stdio};

use reqwest::{Certificate as Trusted, Client, redirect::Policy};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

use super::{Callback, Certificate, outside};

/// A running provider. It ends when it is dropped.
pub(crate) struct IdentityProvider {
    pub(crate) issuer: String,
    certificate: Certificate,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl IdentityProvider {
    /// A provider at which we are `us`; `None`, with words, where it is not installed.
    pub(crate) async fn start(test: &str, redirect_uri: &str) -> Option<Self> {
        if !outside::has_node(test).await {
            return None;
        }
        outside::package(test, "oidc-provider")?;
        let certificate = Certificate::issue();
        let options = json!({
            "key": certificate.file("key.pem"),
            "certificate": certificate.file("certificate.pem"),
            "client": { "client_id": "us", "client_secret": SECRET, "grant_types": ["authorization_code", "refresh_token"] },
            "redirectUri": redirect_uri,
        });
        let mut child = Command::new("node")
            .arg("oidc-provider.mjs")
            .arg(options.to_string())
            .current_dir(outside::here("tests/clients"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("node");
        let stdin = child.stdin.take().expect("a pipe");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let issuer = timeout(outside::LIMIT, async {
            loop {
                let line = lines.next_line().await.expect("text").expect("an issuer");
                if let Some(issuer) = line.strip_prefix("issuer: ") {
                    return issuer.to_owned();
                }
            }
        });
        Some(Self {
            issuer: issuer.await.expect("the provider starts"),
            certificate,
            stdin,
            lines,
            _child: child,
        })
    }

    /// The file of its authority, for `SSL_CERT_FILE`.
    pub(crate) fn authority(&self) -> String {
        let path = self.certificate.file("authority.pem");
        path.display().to_string()
    }

    /// Whoever comes next signs in as that person.
    pub(crate) async fn expect(&mut self, person: Value) {
        let line = format!("{person}\n");
        let said = self.stdin.write_all(line.as_bytes()).await;
        said.expect("the provider listens");
        // It has its own things to say in between.
        let heard = timeout(outside::LIMIT, async {
            while let Some(line) = self.lines.next_line().await.expect("text") {
                if line == "ok" {
                    return;
                }
            }
            panic!("the provider is gone");
        });
        heard.await.expect("an answer");
    }

    /// Goes through the provider's pages, in a browser of its own. Where it sends the person back to.
    pub(crate) async fn visit(&self, departure: &Callback) -> String {
        let authority = fs::read(self.certificate.file("authority.pem")).expect("a file");
        visit(&authority, &self.issuer, &departure.url).await
    }
}

/// What we are known by at a provider.
pub(crate) const SECRET: &str = "a secret of two servers";

/// Follows redirects within a site, keeping its cookies, until one leads out.
async fn visit(authority: &[u8], site: &str, url: &str) -> String {
    #[expect(
        clippy::disallowed_methods,
        reason = "it goes to providers of our own, which are on loopback"
    )]
    let client = Client::builder()
        .tls_certs_merge([Trusted::from_pem(authority).expect("a certificate")])
        .redirect(Policy::none())
        .no_proxy()
        .build()
        .expect("an HTTP client");
    let mut cookies: Vec<(String, String)> = Vec::new();
    let mut url = url.to_owned();
    for _ in 0..10 {
        let sent: Vec<String> = cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let request = client.get(&url).header("cookie", sent.join("; "));
        let answer = request.send().await.expect("the provider answers");
        for cookie in answer.headers().get_all("set-cookie") {
            let cookie = cookie.to_str().expect("ASCII");
            let pair = cookie.split(';').next().unwrap_or_default();
            let (name, value) = pair.split_once('=').expect("a cookie");
            cookies.retain(|(known, _)| known != name);
            cookies.push((name.to_owned(), value.to_owned()));
        }
        let status = answer.status();
        let target = answer.headers().get("location").map(|l| {
            let target = l.to_str().expect("a URL");
            target.to_owned()
        });
        let Some(target) = target else {
            let body = answer.text().await.unwrap_or_default();
            panic!("{url} answers {status}: {body}");
        };
        if target.starts_with('/') {
            url = format!("{site}{target}");
        } else if target.starts_with(&format!("{site}/")) {
            url = target;
        } else {
            return target;
        }
    }
    panic!("the provider redirects in circles");
}
