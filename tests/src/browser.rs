//! A browser without scripts: it keeps cookies, follows redirects, and fills in forms.
//!
//! It speaks to one gateway. Where a redirect leads elsewhere, to an application for example, it
//! stops and says where.

use std::collections::BTreeMap;

use crate::client::{Answer, Call, Client, Protocol};
use crate::ports;

/// More redirects than any log-in takes.
const MAX_REDIRECTS: usize = 12;

/// A browser, with its cookies.
#[derive(Debug, Clone)]
pub struct Browser {
    client: Client,
    origin: String,
    cookies: BTreeMap<String, String>,
    agent: String,
}

/// What a browser shows.
#[derive(Debug, Clone)]
pub struct Page {
    /// The target that this answered.
    pub target: String,
    /// The answer.
    pub answer: Answer,
}

/// A form, with what its fields hold before anybody writes into them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// Where it is sent, as a target.
    pub action: String,
    /// `get` or `post`
    pub method: String,
    /// Names and values; boxes that are not ticked are not there.
    pub fields: Vec<(String, String)>,
    /// The buttons that send a value: names and values.
    pub buttons: Vec<(String, String)>,
}

impl Browser {
    /// A browser of the gateway at this port, without cookies.
    #[must_use]
    pub fn new(port: u16) -> Self {
        Self {
            client: Client::new(Protocol::Http1, port),
            origin: format!("http://{}", ports::local(port)),
            cookies: BTreeMap::new(),
            agent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101".to_owned(),
        }
    }

    /// The same under another name.
    #[must_use]
    pub fn agent(mut self, agent: &str) -> Self {
        agent.clone_into(&mut self.agent);
        self
    }

    /// The same at another origin, of a gateway that has a name
    /// ([`Gateway::browser`](crate::gateway::Gateway::browser)).
    #[must_use]
    pub fn at(mut self, origin: &str) -> Self {
        origin.clone_into(&mut self.origin);
        self
    }

    /// The gateway's origin.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The value of a cookie.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies.get(name).map(String::as_str)
    }

    /// All cookies, as they are sent.
    #[must_use]
    pub fn cookies(&self) -> String {
        let pairs = self.cookies.iter().map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join("; ")
    }

    /// Puts a cookie of somebody else's making into the jar.
    pub fn set_cookie(&mut self, name: &str, value: &str) {
        self.cookies.insert(name.to_owned(), value.to_owned());
    }

    /// Forgets a cookie.
    pub fn forget(&mut self, name: &str) {
        self.cookies.remove(name);
    }

    /// Shows a page as if its address had been typed, following redirects within the gateway.
    ///
    /// # Panics
    /// When it is a page of somebody else's.
    pub async fn open(&mut self, target: &str) -> Page {
        self.visit(target, "none").await
    }

    /// Follows a link of a page of the gateway's.
    pub async fn follow(&mut self, target: &str) -> Page {
        self.visit(target, "same-origin").await
    }

    /// Follows a link on a page of somebody else's.
    pub async fn come_from_elsewhere(&mut self, target: &str) -> Page {
        self.visit(target, "cross-site").await
    }

    async fn visit(&mut self, target: &str, site: &str) -> Page {
        let target = self.own(target).unwrap_or_else(|| panic!("{target} is no page of ours"));
        let answer = self.send(self.navigation("GET", &target, site)).await;
        self.settle(target, answer).await
    }

    /// Fills in the first form of a page, sends it, and follows where it leads. A name that the form
    /// has not is an error: nobody could write there.
    ///
    /// # Panics
    /// When there is no form, or it has not these fields.
    pub async fn submit(&mut self, page: &Page, values: &[(&str, &str)]) -> Page {
        let form = page.form();
        self.submit_form(&form, values).await
    }

    /// The same with a form of one's choice.
    ///
    /// # Panics
    /// When the form has not these fields.
    pub async fn submit_form(&mut self, form: &Form, values: &[(&str, &str)]) -> Page {
        let (target, answer) = self.send_form(form, values).await;
        self.settle(target, answer).await
    }

    /// Sends a form, and follows nothing.
    ///
    /// # Panics
    /// When the form has not these fields.
    pub async fn send_form(&mut self, form: &Form, values: &[(&str, &str)]) -> (String, Answer) {
        let encoded = encode(&form.filled_in(values));
        if form.method == "get" {
            let target = format!("{}?{encoded}", form.action);
            let call = self.navigation("GET", &target, "same-origin");
            return (target, self.send(call).await);
        }
        let origin = self.origin.clone();
        let call = self.navigation("POST", &form.action, "same-origin");
        let call = call.header("origin", origin).form(&encoded);
        (form.action.clone(), self.send(call).await)
    }

    /// Sends a call with the cookies, keeps those of its answer, and follows nothing.
    pub async fn send(&mut self, call: Call) -> Answer {
        let cookies = self.cookies();
        let call = if cookies.is_empty() { call } else { call.header("cookie", cookies) };
        let answer = self.client.send(&call).await;
        self.keep(&answer);
        answer
    }

    /// A call as a browser makes it that shows a page.
    #[must_use]
    pub fn navigation(&self, method: &str, target: &str, site: &str) -> Call {
        Call::new(method, target)
            .header("user-agent", self.agent.clone())
            .header("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
            .header("accept-language", "en")
            .header("sec-fetch-mode", "navigate")
            .header("sec-fetch-dest", "document")
            .header("sec-fetch-site", site)
    }

    async fn settle(&mut self, mut target: String, mut answer: Answer) -> Page {
        for _ in 0..MAX_REDIRECTS {
            let location = match answer.status {
                302 | 303 => answer.header("location").expect("a redirect says where").to_owned(),
                _ => return Page { target, answer },
            };
            let Some(next) = self.own(&location) else { return Page { target, answer } };
            target = next;
            answer = self.send(self.navigation("GET", &target, "same-origin")).await;
        }
        panic!("redirected {MAX_REDIRECTS} times, last to {target}");
    }

    /// The target of a location on this gateway.
    fn own(&self, location: &str) -> Option<String> {
        match location.strip_prefix(&self.origin) {
            Some(rest) if rest.starts_with('/') => Some(rest.to_owned()),
            _ => location.starts_with('/').then(|| location.to_owned()),
        }
    }

    fn keep(&mut self, answer: &Answer) {
        for value in answer.headers.get_all("set-cookie") {
            let text = value.to_str().expect("a cookie is text");
            let mut parts = text.split(';').map(str::trim);
            let pair = parts.next().and_then(|pair| pair.split_once('='));
            let (name, value) = pair.unwrap_or_else(|| panic!("not a cookie: {text}"));
            let ends = parts.any(|part| part.eq_ignore_ascii_case("max-age=0"));
            if ends {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}

impl Page {
    /// Where it sends the browser, away from the gateway.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    pub fn location(&self) -> String {
        let location = self.answer.header("location");
        location.unwrap_or_else(|| panic!("leads nowhere:\n{}", self.answer)).to_owned()
    }

    /// A parameter of [`Page::location`], decoded.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<String> {
        parameter(&self.location(), name)
    }

    /// Asserts a status.
    ///
    /// # Panics
    /// When it is another one.
    #[must_use]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.answer.status, status, "{}:\n{}", self.target, self.answer);
        self
    }

    /// The first form.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn form(&self) -> Form {
        let forms = self.forms();
        let first = forms.into_iter().next();
        first.unwrap_or_else(|| panic!("no form at {}:\n{}", self.target, self.answer))
    }

    /// All forms.
    #[must_use]
    pub fn forms(&self) -> Vec<Form> {
        let text = self.answer.text();
        let mut forms: Vec<Form> = Vec::new();
        let mut open = false;
        for tag in tags(&text) {
            match (tag.name.as_str(), open) {
                ("form", _) => {
                    let here = self.target.split('?').next().unwrap_or_default().to_owned();
                    forms.push(Form {
                        action: tag.value("action").filter(|to| !to.is_empty()).unwrap_or(here),
                        method: tag.value("method").unwrap_or_else(|| "get".to_owned()),
                        fields: Vec::new(),
                        buttons: Vec::new(),
                    });
                    open = true;
                }
                ("/form", _) => open = false,
                (name @ ("input" | "button"), true) => {
                    forms.last_mut().expect("a form").take(name, &tag);
                }
                _ => {}
            }
        }
        forms
    }
}

impl Form {
    fn take(&mut self, element: &str, tag: &Tag) {
        let Some(name) = tag.value("name") else { return };
        let kind = tag.value("type").unwrap_or_default();
        let value = tag.value("value").unwrap_or_default();
        match (element, kind.as_str()) {
            ("button", _) | (_, "submit") => self.buttons.push((name, value)),
            (_, "checkbox" | "radio") if tag.value("checked").is_none() => {
                // Not sent, but it can be ticked.
                self.buttons.push((name, value));
            }
            _ => self.fields.push((name, value)),
        }
    }

    /// The fields with these values; an empty value unticks a box.
    fn filled_in(&self, values: &[(&str, &str)]) -> Vec<(String, String)> {
        let mut filled = self.fields.clone();
        for (name, value) in values {
            let field = filled.iter_mut().find(|(field, _)| field == name);
            match field {
                Some(field) => (*value).clone_into(&mut field.1),
                None => {
                    let known = self.buttons.iter().any(|(button, _)| button == name);
                    assert!(known, "the form has no {name}: {self:?}");
                    filled.push(((*name).to_owned(), (*value).to_owned()));
                }
            }
        }
        filled
    }
}

/// A tag as it stands in a page.
struct Tag {
    name: String,
    attributes: Vec<(String, String)>,
}

impl Tag {
    fn value(&self, name: &str) -> Option<String> {
        self.attributes.iter().find(|(found, _)| found == name).map(|(_, value)| value.clone())
    }
}

/// The tags of a page of ours: attributes stand in double quotes or have no value.
fn tags(page: &str) -> Vec<Tag> {
    page.split('<')
        .skip(1)
        .filter_map(|rest| {
            let inside = rest.split('>').next()?;
            let (name, mut rest) = inside.split_once(char::is_whitespace).unwrap_or((inside, ""));
            let mut attributes = Vec::new();
            loop {
                rest = rest.trim_start();
                let Some(end) = rest.find(|c: char| c == '=' || c.is_whitespace()) else {
                    if !rest.is_empty() {
                        attributes.push((rest.to_owned(), String::new()));
                    }
                    break;
                };
                let name = &rest[..end];
                match rest[end..].strip_prefix("=\"") {
                    Some(after) => {
                        let (value, after) = after.split_once('"')?;
                        attributes.push((name.to_owned(), unescape(value)));
                        rest = after;
                    }
                    None => {
                        attributes.push((name.to_owned(), String::new()));
                        rest = &rest[end..];
                    }
                }
            }
            Some(Tag { name: name.to_owned(), attributes })
        })
        .collect()
}

fn unescape(text: &str) -> String {
    let named = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#34;", "\""), ("&#39;", "'")];
    let mut text = text.to_owned();
    for (escaped, plain) in named.into_iter().chain([("&#60;", "<"), ("&#62;", ">")]) {
        text = text.replace(escaped, plain);
    }
    text.replace("&#38;", "&").replace("&amp;", "&")
}

/// Pairs as a form or a query is written.
#[must_use]
pub fn encode<N: AsRef<str>, V: AsRef<str>>(pairs: &[(N, V)]) -> String {
    let written = pairs
        .iter()
        .map(|(name, value)| format!("{}={}", percent(name.as_ref()), percent(value.as_ref())));
    written.collect::<Vec<_>>().join("&")
}

fn percent(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// A parameter of a URL's query, decoded.
#[must_use]
pub fn parameter(url: &str, name: &str) -> Option<String> {
    let (_, query) = url.split_once('?')?;
    let query = query.split('#').next()?;
    query.split('&').find_map(|pair| {
        let (found, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(found) == name).then(|| decode(value))
    })
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits: String = rest.by_ref().take(2).map(char::from).collect();
                u8::from_str_radix(&digits, 16).unwrap_or_else(|_| panic!("{text}: %{digits}"))
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).expect("text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_read_as_browsers_read_them() {
        let body = concat!(
            r#"<form method="post" action="/a?b=1&amp;c=2"><input type="hidden" name="t" value="&#34;x">"#,
            r#"<input name="yes" type="checkbox" value="true" checked><input name="no" type="checkbox" value="true">"#,
            r#"<button type="submit" name="do" value="it">Do</button></form><input name="outside" value="1">"#,
        );
        let answer = Answer { status: 200, headers: hyper::HeaderMap::new(), body: body.into() };
        let page = Page { target: "/here?x=y".to_owned(), answer };
        let form = page.form();
        assert_eq!((form.action.as_str(), form.method.as_str()), ("/a?b=1&c=2", "post"));
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(form.fields, [pair("t", "\"x"), pair("yes", "true")]);
        assert_eq!(form.buttons, [pair("no", "true"), pair("do", "it")]);
    }

    #[test]
    fn queries_are_written_and_read_back() {
        let pairs = [("a b", "c&d=é"), ("e", "")];
        let url = format!("http://h/p?{}#f", encode(&pairs));
        for (name, value) in pairs {
            assert_eq!(parameter(&url, name).as_deref(), Some(value));
        }
        assert_eq!(parameter(&url, "f"), None);
    }
}
