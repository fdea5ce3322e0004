//! Each endpoint, each parameter: missing, empty, twice, too long, of another type, with bytes that
//! are no text. What comes back is an error of the RFCs and never a fault of ours, and nobody is sent
//! to an address that was not registered.

mod endpoints;

use endpoints::{Endpoint, Kind, all};
use postern_e2e::browser::{Browser, encode};
use postern_e2e::client::{Answer, Call, Client, Protocol};
use postern_e2e::documents;
use postern_e2e::gateway::Gateway;
use postern_e2e::oauth;
use serde_json::{Map, Value, json};

const STUDENT: &str = "ada@example.test";
const MEGABYTE: usize = 1 << 20;
/// As much as a request line of this client may hold.
const LONG_LINE: usize = 60_000;
/// Each one of so many is sent through Envoy, too.
const THROUGH_ENVOY: usize = 10;

/// What is done to one parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spoilt {
    Missing,
    Empty,
    Twice,
    Megabyte,
    Control,
    Nul,
    NotText,
    OtherType,
    Deep,
    Strange,
    Unknown,
}

impl Spoilt {
    const ALL: [Self; 11] = [
        Self::Missing,
        Self::Empty,
        Self::Twice,
        Self::Megabyte,
        Self::Control,
        Self::Nul,
        Self::NotText,
        Self::OtherType,
        Self::Deep,
        Self::Strange,
        Self::Unknown,
    ];

    /// The pairs of a query or a form, as they are written.
    fn encoded(self, parameters: &[(&str, String)], at: usize) -> String {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for (index, (name, value)) in parameters.iter().enumerate() {
            let value = encode(&[("", value)]).trim_start_matches('=').to_owned();
            let name = (*name).to_owned();
            if index != at {
                pairs.push((name, value));
                continue;
            }
            match self {
                Self::Missing => {}
                Self::Empty => pairs.push((name, String::new())),
                Self::Twice => {
                    pairs.push((name.clone(), value.clone()));
                    pairs.push((name, value));
                }
                Self::Megabyte => pairs.push((name, "a".repeat(MEGABYTE))),
                Self::Control => pairs.push((name, format!("{value}%0d%0aset-cookie:%20a=b%01"))),
                Self::Nul => pairs.push((name, format!("{value}%00"))),
                Self::NotText => pairs.push((name, "%ff%fe%80".to_owned())),
                Self::OtherType => pairs.push((format!("{name}%5b%5d"), value)),
                Self::Deep => pairs.push((name, "%5b".repeat(2_000))),
                Self::Strange => {
                    pairs.push((name, "https%3a%2f%2fevil.test%2f%22%3e%3cscript%3e%25".to_owned()))
                }
                Self::Unknown => {
                    pairs.push((name, value));
                    pairs.push(("unheard_of".to_owned(), "1".to_owned()));
                }
            }
        }
        let written = pairs.into_iter().map(|(name, value)| format!("{name}={value}"));
        written.collect::<Vec<_>>().join("&")
    }

    /// The members of a JSON object, as they are written.
    fn json(self, parameters: &[(&str, String)], at: usize) -> Vec<u8> {
        let mut object = members(parameters);
        let (name, text) = &parameters[at];
        let mut put = |value: Value| object.insert((*name).to_owned(), value);
        match self {
            Self::Missing => {
                object.remove(*name);
            }
            Self::Empty => drop(put(json!(""))),
            Self::Megabyte => drop(put(json!("a".repeat(MEGABYTE)))),
            Self::Control => drop(put(json!(format!("{text}\r\nset-cookie: a=b\u{1}")))),
            Self::Nul => drop(put(json!(format!("{text}\0")))),
            Self::OtherType => drop(put(json!({"a": [1, true, null]}))),
            Self::Strange => drop(put(json!(-1.5e300))),
            Self::Unknown => drop(object.insert("unheardOf".to_owned(), json!([1]))),
            Self::Twice => {
                let whole = Value::Object(object).to_string();
                let again = format!(",{}:{}}}", json!(name), value(text));
                return format!("{}{again}", &whole[..whole.len() - 1]).into_bytes();
            }
            Self::Deep => {
                let deep = format!("{}{}", "[".repeat(2_000), "]".repeat(2_000));
                return format!("{{{}:{deep}}}", json!(name)).into_bytes();
            }
            Self::NotText => {
                let mut bytes = format!("{{{}:\"", json!(name)).into_bytes();
                bytes.extend([0xff, 0xfe, b'"', b'}']);
                return bytes;
            }
        }
        Value::Object(object).to_string().into_bytes()
    }
}

/// A value of JSON, where it reads as such, and text where it does not.
fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| json!(text))
}

fn members(parameters: &[(&str, String)]) -> Map<String, Value> {
    parameters.iter().map(|(name, text)| ((*name).to_owned(), value(text))).collect()
}

impl Endpoint {
    fn spoilt(&self, spoilt: Spoilt, at: usize) -> Call {
        let mut call = match self.kind {
            Kind::Query => {
                let mut query = spoilt.encoded(&self.parameters, at);
                query.truncate(LONG_LINE);
                Call::new(self.method, &format!("{}?{query}", self.target))
            }
            Kind::Form => {
                Call::new(self.method, &self.target).form(&spoilt.encoded(&self.parameters, at))
            }
            Kind::Json => Call::new(self.method, &self.target)
                .header("content-type", "application/json")
                .body(spoilt.json(&self.parameters, at)),
        };
        for (name, value) in &self.headers {
            call = call.header(name, value.clone());
        }
        call
    }

    fn good(&self) -> Call {
        let parameters: Vec<(&str, &str)> =
            self.parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut call = match self.kind {
            Kind::Query => {
                Call::new(self.method, &format!("{}?{}", self.target, encode(&parameters)))
            }
            Kind::Form => Call::new(self.method, &self.target).form(&encode(&parameters)),
            Kind::Json => Call::new(self.method, &self.target)
                .header("content-type", "application/json")
                .body(Value::Object(members(&self.parameters)).to_string()),
        };
        for (name, value) in &self.headers {
            call = call.header(name, value.clone());
        }
        call
    }
}

/// Everything is served, and nobody's log-ins are limited: there are thousands of tries.
fn document() -> String {
    let all = "oauth:\n  registration: {mode: open, scopes: [content.read]}\n  grants: \
               [authorization_code, refresh_token, client_credentials, device_code, \
               token_exchange]\n";
    let unlimited = "login:\n  limits:\n    pair: 100000/1m\n    email: 100000/1m\n    \
                     ip: 100000/1m\n";
    documents::IDENTITY.replacen("oauth:\n", all, 1).replacen("login:\n", unlimited, 1)
}

/// Another one for each request: what strangers may do is limited by address. A server without
/// proxies in front takes the last word for Envoy's.
fn address(number: usize) -> String {
    format!("198.51.{}.{}", (number / 200) % 200, number % 200 + 1)
}

/// What is wrong with an answer to a spoilt request; nothing mostly.
fn wrong(endpoint: &Endpoint, answer: &Answer, origin: &str) -> Option<String> {
    let status = answer.status;
    if status >= 500 || status == 200 && answer.headers.contains_key("location") {
        return Some(format!("status {status}"));
    }
    if answer.headers.get_all("set-cookie").iter().any(|cookie| cookie.as_bytes() == b"a=b") {
        return Some("a header was smuggled".to_owned());
    }
    if let Some(location) = answer.headers.get("location") {
        let location = location.to_str().unwrap_or("no text");
        let ours = location.starts_with('/') && !location.starts_with("//");
        let known = [oauth::CALLBACK, origin].iter().any(|known| {
            let rest = location.strip_prefix(known);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['?', '/']))
        });
        if !ours && !known {
            return Some(format!("leads to {location}"));
        }
    }
    let content_type = answer.headers.get("content-type").map(|value| value.as_bytes().to_vec());
    let is_json = content_type.is_some_and(|kind| kind.starts_with(b"application/json"));
    if (400..500).contains(&status) && endpoint.answers_in_json {
        let code = is_json.then(|| answer.json()["error"].clone());
        let is_told = code.as_ref().is_some_and(Value::is_string);
        // What HTTP itself refuses has no body.
        if !is_told && ![413, 414, 431].contains(&status) {
            return Some(format!("no error code: {}", answer.text()));
        }
    }
    if answer.text().contains("<script>") {
        return Some("what was sent comes back as it was".to_owned());
    }
    None
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_sent_the_answer_is_one_of_the_rfcs() {
    let gateway = Gateway::builder().document(document()).durable().start().await;
    oauth::user(&gateway, STUDENT, "student").await;
    let direct = Client::new(Protocol::Http1, gateway.server.ports().public);
    let through = gateway.client(Protocol::Http1);
    let origin = Browser::new(gateway.port()).origin().to_owned();
    let endpoints = all(&gateway, STUDENT).await;
    let (mut sent, mut problems) = (0_usize, Vec::new());
    for endpoint in &endpoints {
        let good = direct.send(&endpoint.good().header("x-forwarded-for", address(sent))).await;
        if !endpoint.good_statuses.contains(&good.status) {
            problems.push(format!("{}: as it should be: {good}", endpoint.name));
        }
        for at in 0..endpoint.parameters.len() {
            for spoilt in Spoilt::ALL {
                let call = endpoint.spoilt(spoilt, at).header("x-forwarded-for", address(sent));
                let parameter = endpoint.parameters[at].0;
                let mut judge = |client: &str, answer: Result<Answer, String>| {
                    let what = match answer {
                        Ok(answer) => wrong(endpoint, &answer, &origin),
                        // A request line that nobody reads to its end.
                        Err(_) if spoilt == Spoilt::Megabyte => None,
                        Err(error) => Some(error),
                    };
                    if let Some(what) = what {
                        let name = endpoint.name;
                        problems.push(format!("{name} {parameter} {spoilt:?} {client}: {what}"));
                    }
                };
                judge("direct", direct.try_send(&call).await);
                if sent % THROUGH_ENVOY == 0 {
                    judge("through Envoy", through.try_send(&call).await);
                }
                sent += 1;
            }
        }
    }
    let log = gateway.server.log();
    assert!(!log.contains("panicked"), "{log}");
    assert!(sent > 1_000, "only {sent} requests");
    assert!(problems.is_empty(), "{} of {sent}:\n{}", problems.len(), problems.join("\n"));
    assert_eq!(gateway.server.health_status().await, "healthy");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_methods_and_other_bodies_are_refused() {
    let gateway = Gateway::builder().document(document()).durable().start().await;
    oauth::user(&gateway, STUDENT, "student").await;
    let direct = Client::new(Protocol::Http1, gateway.server.ports().public);
    let mut problems = Vec::new();
    for endpoint in all(&gateway, STUDENT).await {
        for method in ["PUT", "PATCH", "TRACE", "PROPFIND"] {
            let answer = direct.send(&Call::new(method, &endpoint.target)).await;
            if answer.status != 405 || !answer.headers.contains_key("allow") {
                problems.push(format!("{method} {}: {answer}", endpoint.target));
            }
        }
        if endpoint.kind == Kind::Query {
            continue;
        }
        for kind in ["text/plain", "multipart/form-data; boundary=x", "", "application/xml"] {
            let call = Call::new(endpoint.method, &endpoint.target)
                .header("content-type", kind)
                .body("a=b");
            let answer = direct.send(&call).await;
            // Nobody is logged in: pages may say just that.
            let is_page = !endpoint.answers_in_json && [200, 303].contains(&answer.status);
            if !is_page && !(400..500).contains(&answer.status) {
                problems.push(format!("{kind} at {}: {answer}", endpoint.target));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
