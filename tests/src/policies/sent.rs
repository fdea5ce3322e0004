//! Requests of cases.

use std::net::IpAddr;

use serde_json::{Map, Value, json};

use super::token::{Place, Placed, Token};

/// The authority of a request that names none, and what TLS asks for.
pub const HOST: &str = "guarded.example.test";
/// The workload's port where no HTTP is spoken, as far as Istio knows.
pub const TCP_PORT: u16 = 9090;
/// The port that is called where none is named.
const PORT: u16 = 8080;
const METHOD: &str = "GET";
const PATH: &str = "/";
const SOURCE: &str = "127.0.0.1";

/// Who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Caller {
    /// `web` of the namespace `shop`, by mutual TLS.
    Web,
    /// The ingress gateway.
    Gateway,
    /// `stranger` of the namespace `elsewhere`.
    Stranger,
    /// `neighbour` of the workload's own namespace.
    Neighbour,
    /// Somebody without TLS.
    Plain,
}

impl Caller {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Web, Self::Gateway, Self::Stranger, Self::Neighbour, Self::Plain];

    /// As cases name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::Gateway => "gateway",
            Self::Stranger => "stranger",
            Self::Neighbour => "neighbour",
            Self::Plain => "plain",
        }
    }

    /// Namespace and service account; none without a certificate.
    #[must_use]
    pub const fn identity(self, home: &str) -> Option<(&str, &'static str)> {
        match self {
            Self::Web => Some(("shop", "web")),
            Self::Gateway => Some((super::ROOT, "istio-ingressgateway-service-account")),
            Self::Stranger => Some(("elsewhere", "stranger")),
            Self::Neighbour => Some((home, "neighbour")),
            Self::Plain => None,
        }
    }
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// Who calls.
    pub from: Caller,
    /// The address that the call comes from.
    pub source: IpAddr,
    /// The workload's port.
    pub port: u16,
    /// The method.
    pub method: String,
    /// The path, with its query.
    pub path: String,
    /// The authority.
    pub host: String,
    /// Header lines besides.
    pub headers: Vec<String>,
    /// Tokens.
    pub tokens: Vec<Placed>,
}

impl Default for Sent {
    fn default() -> Self {
        Self {
            from: Caller::Web,
            source: SOURCE.parse().expect("an address"),
            port: PORT,
            method: METHOD.to_owned(),
            path: PATH.to_owned(),
            host: HOST.to_owned(),
            headers: Vec::new(),
            tokens: Vec::new(),
        }
    }
}

const MEMBERS: [&str; 9] =
    ["from", "source", "port", "method", "path", "host", "headers", "tokens", "answer"];

impl Sent {
    /// Reads what is otherwise than usual.
    ///
    /// # Panics
    /// When something is misspelt.
    #[must_use]
    pub fn read(value: &Value) -> Self {
        let members = value.as_object().unwrap_or_else(|| panic!("no request: {value}"));
        for name in members.keys() {
            assert!(MEMBERS.contains(&name.as_str()), "`{name}` is nothing that a request has");
        }
        let usual = Self::default();
        let text = |member: &str, usual: String| {
            value[member].as_str().map(str::to_owned).unwrap_or(usual)
        };
        let list = |member: &str| value[member].as_array().cloned().unwrap_or_default();
        let name = text("from", usual.from.name().to_owned());
        let from = Caller::ALL.into_iter().find(|caller| caller.name() == name);
        let line = |line: &Value| line.as_str().expect("a header's line").to_owned();
        Self {
            from: from.unwrap_or_else(|| panic!("no caller `{name}`")),
            source: text("source", SOURCE.to_owned()).parse().expect("an address"),
            port: value["port"]
                .as_u64()
                .map_or(usual.port, |port| u16::try_from(port).expect("a port")),
            method: text("method", usual.method),
            path: text("path", usual.path),
            host: text("host", usual.host),
            headers: list("headers").iter().map(line).collect(),
            tokens: list("tokens").iter().map(Placed::read).collect(),
        }
    }

    /// The other way round.
    #[must_use]
    pub fn write(&self) -> Value {
        let usual = Self::default();
        let mut members = Map::new();
        let mut differs = |name: &str, differs: bool, value: Value| {
            if differs {
                members.insert(name.to_owned(), value);
            }
        };
        differs("from", self.from != usual.from, json!(self.from.name()));
        differs("source", self.source != usual.source, json!(self.source.to_string()));
        differs("port", self.port != usual.port, json!(self.port));
        differs("method", self.method != usual.method, json!(self.method));
        differs("path", self.path != usual.path, json!(self.path));
        differs("host", self.host != usual.host, json!(self.host));
        differs("headers", !self.headers.is_empty(), json!(self.headers));
        let tokens: Vec<Value> = self.tokens.iter().map(Placed::write).collect();
        differs("tokens", !tokens.is_empty(), json!(tokens));
        Value::Object(members)
    }

    /// Whether Istio takes it for HTTP.
    #[must_use]
    pub const fn is_http(&self) -> bool {
        self.port != TCP_PORT
    }

    /// The path with the tokens that are parameters.
    #[must_use]
    pub fn target(&self, text_of: impl Fn(Token) -> String) -> String {
        let mut target = self.path.clone();
        for placed in &self.tokens {
            if let Place::Param(name) = &placed.place {
                target.push(if target.contains('?') { '&' } else { '?' });
                target.push_str(name);
                target.push('=');
                target.push_str(&text_of(placed.token));
            }
        }
        target
    }

    /// All headers but `host`, by name and value, tokens included.
    ///
    /// # Panics
    /// When a line has no colon.
    #[must_use]
    pub fn all_headers(&self, text_of: impl Fn(Token) -> String) -> Vec<(String, String)> {
        let mut headers = Vec::new();
        for line in &self.headers {
            let (name, value) = line.split_once(':').expect("a name, a colon and a value");
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        let mut bearers = Vec::new();
        for placed in &self.tokens {
            let text = text_of(placed.token);
            match &placed.place {
                Place::Bearer => bearers.push(format!("Bearer {text}")),
                Place::Header(name, prefix) => {
                    headers.push((name.clone(), format!("{prefix}{text}")))
                }
                Place::Cookie(name) => {
                    headers.push(("cookie".to_owned(), format!("{name}={text}")))
                }
                Place::Param(_) => {}
            }
        }
        if !bearers.is_empty() {
            headers.push(("authorization".to_owned(), bearers.join(", ")));
        }
        headers
    }

    /// The request in HTTP/1.1, with fresh tokens.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let target = self.target(Token::sign);
        let mut text = format!("{} {target} HTTP/1.1\r\nhost: {}\r\n", self.method, self.host);
        for (name, value) in self.all_headers(Token::sign) {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("content-length: 0\r\nconnection: close\r\n\r\n");
        text.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_as_they_are_written() {
        let usual = json!({});
        assert_eq!(Sent::read(&usual), Sent::default());
        assert_eq!(Sent::default().write(), usual);
        let other = json!({
            "from": "plain", "source": "127.0.0.9", "port": 9090, "method": "POST", "path": "/a?b",
            "host": "x", "headers": ["x-a: one"],
            "tokens": ["good", {"token": "other", "param": "t"}, {"token": "forged", "cookie": "c"},
                       {"token": "good", "header": "x-t", "prefix": "T "}],
        });
        assert_eq!(Sent::read(&other).write(), other);
    }

    #[test]
    fn tokens_stand_where_the_case_says() {
        let sent = Sent::read(&json!({"path": "/a?b", "tokens": [
            "good", "other", {"token": "good", "param": "t"},
        ]}));
        let name = |token: Token| token.name().to_owned();
        assert_eq!(sent.target(name), "/a?b&t=good");
        let expected = ("authorization".to_owned(), "Bearer good, Bearer other".to_owned());
        assert_eq!(sent.all_headers(name), [expected]);
    }
}
