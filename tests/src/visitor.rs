//! Somebody in front of a browser that runs no scripts: it keeps cookies, follows redirects at the
//! gateway, and sends the forms of its pages.

use serde_json::Value;

use crate::client::{Answer, Call};
use crate::gateway::Gateway;
use crate::server;

/// RFC 7636, Appendix B.
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
/// What goes with it.
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// Most redirects that are followed.
const MOST_REDIRECTS: usize = 10;

/// Somebody who has an account.
#[derive(Debug, Clone)]
pub struct Person {
    /// What they log in with.
    pub email: String,
    /// Their password.
    pub password: String,
}

impl Person {
    /// A new user with a role of the gateway's document.
    ///
    /// # Panics
    /// When there is no durable store, or the command line makes none.
    pub async fn new(gateway: &Gateway, role: &str) -> Self {
        let durable = gateway.durable.as_ref().expect("a durable store");
        let document = gateway.document().display().to_string();
        let email = format!("{role}@example.test");
        let words = [
            "user",
            "create",
            "--json",
            "--generate",
            "--document",
            &document,
            "--email",
            &email,
            "--first-name",
            "Ada",
            "--last-name",
            "Lovelace",
            "--role",
            role,
        ];
        let made = server::run(durable.arguments(&words)).await.expect_success();
        let made: Value = serde_json::from_str(&made).expect("JSON");
        let password = made["password"].as_str().expect("a password").to_owned();
        Self { email, password }
    }
}

/// A browser at one gateway.
#[derive(Debug)]
pub struct Visitor<'g> {
    gateway: &'g Gateway,
    cookies: Vec<(String, String)>,
    /// The page that is shown: its path and query.
    at: String,
}

impl<'g> Visitor<'g> {
    /// One that has never been anywhere.
    #[must_use]
    pub const fn new(gateway: &'g Gateway) -> Self {
        Self { gateway, cookies: Vec::new(), at: String::new() }
    }

    /// Goes to a place at the gateway, and follows where that leads: until a page is shown, or it
    /// leads elsewhere.
    pub async fn go(&mut self, to: &str) -> Answer {
        let to = self.local(to).expect("a place at the gateway");
        let answer = self.exchange(Call::get(&to), &to).await;
        self.follow(answer).await
    }

    /// Sends the form of the page that is shown, with these fields besides its token, to where the
    /// page itself says; then follows.
    pub async fn send(&mut self, page: &Answer, fields: &str) -> Answer {
        let text = page.text();
        let action = between(&text, "<form method=\"post\" action=\"", "\"");
        let action = action.replace("&#38;", "&").replace("&amp;", "&");
        let csrf = between(&text, "name=\"csrf\" value=\"", "\"");
        let call = Call::post(&action)
            .header("origin", self.gateway.url(""))
            .header("sec-fetch-site", "same-origin")
            .form(&format!("csrf={csrf}&{fields}"));
        let answer = self.exchange(call, &action).await;
        self.follow(answer).await
    }

    /// Logs in on the page that is shown.
    pub async fn log_in(&mut self, page: &Answer, person: &Person) -> Answer {
        let Person { email, password } = person;
        let fields = format!("email={}&password={}", escaped(email), escaped(password));
        self.send(page, &fields).await
    }

    /// The page that is shown.
    #[must_use]
    pub fn at(&self) -> &str {
        &self.at
    }

    async fn follow(&mut self, mut answer: Answer) -> Answer {
        for _ in 0..MOST_REDIRECTS {
            let location = answer.header("location").map(str::to_owned);
            let Some(to) = location.and_then(|to| self.local(&to)) else { return answer };
            answer = self.exchange(Call::get(&to), &to).await;
        }
        panic!("it goes on and on:\n{answer}");
    }

    /// A place at the gateway, without scheme and host; none where it is elsewhere.
    fn local(&self, to: &str) -> Option<String> {
        let own = to.strip_prefix(&self.gateway.url("")).unwrap_or(to);
        own.starts_with('/').then(|| own.to_owned())
    }

    async fn exchange(&mut self, call: Call, at: &str) -> Answer {
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let call = match cookies.is_empty() {
            true => call,
            false => call.header("cookie", cookies.join("; ")),
        };
        let answer = self.gateway.send(&call).await;
        for cookie in answer.headers.get_all("set-cookie") {
            let text = cookie.to_str().expect("text");
            let (pair, attributes) = text.split_once(';').expect("attributes");
            let (name, value) = pair.split_once('=').expect("a value");
            self.cookies.retain(|(known, _)| known != name);
            if !attributes.contains("Max-Age=0") {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        at.clone_into(&mut self.at);
        answer
    }
}

/// What a query says, as it is written there.
///
/// # Panics
/// When it says nothing of that.
#[must_use]
pub fn parameter(url: &str, name: &str) -> String {
    let (_, query) = url.split_once('?').unwrap_or_else(|| panic!("no query in {url}"));
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let found = pairs.find(|(known, _)| *known == name);
    found.unwrap_or_else(|| panic!("no {name} in {url}")).1.to_owned()
}

/// A value as forms and queries have it.
#[must_use]
pub fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().fold(String::new(), |mut out, byte| {
        match plain(byte) {
            true => out.push(char::from(byte)),
            false => out.push_str(&format!("%{byte:02X}")),
        }
        out
    })
}

/// What stands between two texts.
fn between<'t>(text: &'t str, before: &str, after: &str) -> &'t str {
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("no {before} in {text}"));
    rest.split(after).next().unwrap_or_default()
}
