//! What a request is made of, and what the tests of a rule make of it.

use std::net::IpAddr;

use postern_policies::{Attribute, Http, Test};
use serde_json::{Map, Value, json};

use super::super::witness::METHODS;
use super::addresses::{ANYWHERE, inside, is_within, outside};
use super::callers::like;
use super::token::ISSUER;

/// Most values of one test that are tried.
pub(super) const MOST: usize = 256;
/// What no policy has a reason to name.
pub(super) const PATH: &str = "/postern-review";
const HOST: &str = "postern-review.example.test";
/// The same, where what comes first is excluded.
const PATHS: [&str; 2] = [PATH, "/x9"];
const HOSTS: [&str; 2] = [HOST, "x9.example.test"];
/// The last of the methods is nobody's.
pub(super) const NOBODYS_METHOD: &str = "PURGE";
/// What stands for the rest of a pattern; the second where the first is excluded.
const FILLERS: [&str; 2] = ["x", "postern-review"];

/// A request that has no caller yet.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Draft {
    pub(super) ip: IpAddr,
    pub(super) remote_ip: Option<IpAddr>,
    pub(super) destination_ip: Option<IpAddr>,
    /// The port that a rule names.
    pub(super) port: Option<u16>,
    pub(super) sni: Option<String>,
    pub(super) http: Http,
    /// What a token must say; empty is no token.
    pub(super) claims: Map<String, Value>,
}

impl Draft {
    /// What nobody has a reason to name.
    pub(super) fn new() -> Self {
        let [method, path, host] = ["GET", PATH, HOST].map(str::to_owned);
        Self {
            ip: ANYWHERE,
            remote_ip: None,
            destination_ip: None,
            port: None,
            sni: None,
            http: Http { method, path, host, ..Http::default() },
            claims: Map::new(),
        }
    }

    /// What all of the tests take, as far as one can tell by looking at them one by one.
    pub(super) fn of(tests: &[&Test]) -> Self {
        let mut draft = Self::new();
        for test in tests {
            if let Some(first) = Choices::of(test).first {
                draft.set(&test.attribute, &first);
            }
        }
        draft
    }

    /// The same, then one for each further value of each test, and for each value that a test
    /// excludes; where no method is named, also one that nobody would.
    pub(super) fn all_of(tests: &[&Test]) -> Vec<Self> {
        let base = Self::of(tests);
        let mut all = vec![base.clone()];
        all.extend(base.further(tests));
        if !tests.iter().any(|test| test.attribute == Attribute::Method) {
            all.push(base.with(&Attribute::Method, NOBODYS_METHOD));
        }
        all
    }

    /// One for each further value of each test, and for each value that a test excludes.
    pub(super) fn further(&self, tests: &[&Test]) -> Vec<Self> {
        let mut all = Vec::new();
        for test in tests {
            let others = Choices::of(test).others;
            all.extend(others.iter().map(|text| self.with(&test.attribute, text)));
        }
        all
    }

    fn with(&self, attribute: &Attribute, text: &str) -> Self {
        let mut other = self.clone();
        other.set(attribute, text);
        other
    }

    fn set(&mut self, attribute: &Attribute, text: &str) {
        match attribute {
            Attribute::SourceIp => self.ip = text.parse().unwrap_or(ANYWHERE),
            Attribute::RemoteIp => self.remote_ip = text.parse().ok(),
            Attribute::DestinationIp => self.destination_ip = text.parse().ok(),
            Attribute::Port => self.port = text.parse().ok(),
            Attribute::Sni => self.sni = Some(text.to_owned()),
            Attribute::Method => text.clone_into(&mut self.http.method),
            Attribute::Path => text.clone_into(&mut self.http.path),
            Attribute::Host => text.clone_into(&mut self.http.host),
            Attribute::Header(name) => self.set_header(name, text),
            Attribute::RequestPrincipal => {
                let (issuer, subject) = text.rsplit_once('/').unwrap_or((text, "x"));
                self.claims.insert("iss".to_owned(), json!(issuer));
                self.claims.insert("sub".to_owned(), json!(subject));
            }
            Attribute::Audience => {
                self.claims.insert("aud".to_owned(), json!(text));
            }
            Attribute::Presenter => {
                self.claims.insert("azp".to_owned(), json!(text));
            }
            Attribute::Claim(names) => nest(&mut self.claims, names, text),
            // Certificates are the caller's, and metadata is left by filters.
            Attribute::Principal
            | Attribute::Namespace
            | Attribute::ServiceAccount
            | Attribute::TrustDomain
            | Attribute::Metadata { .. } => {}
        }
    }

    fn set_header(&mut self, name: &str, text: &str) {
        match name {
            ":method" => text.clone_into(&mut self.http.method),
            ":path" => text.clone_into(&mut self.http.path),
            ":authority" | "host" => text.clone_into(&mut self.http.host),
            _ => {
                self.http.headers.retain(|(known, _)| known != name);
                self.http.headers.push((name.to_owned(), text.to_owned()));
            }
        }
    }
}

/// Sets a claim, the outer names first.
fn nest(claims: &mut Map<String, Value>, names: &[String], text: &str) {
    let Some((name, inner)) = names.split_first() else { return };
    if inner.is_empty() {
        claims.insert(name.clone(), json!(text));
        return;
    }
    let member = claims.entry(name.clone()).or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(members) = member {
        nest(members, inner, text);
    }
}

/// What a test can be given.
struct Choices {
    /// What it takes; none where it is content with nothing.
    first: Option<String>,
    /// What else it takes, and what it excludes.
    others: Vec<String>,
}

impl Choices {
    fn of(test: &Test) -> Self {
        let attribute = &test.attribute;
        let none = Self { first: None, others: Vec::new() };
        if attribute.is_from_certificate() || matches!(attribute, Attribute::Metadata { .. }) {
            return none;
        }
        let is_excluded =
            |text: &String| test.not_values.iter().any(|not| takes(attribute, not.as_str(), text));
        let sample = |pattern: &postern_policies::Pattern| {
            let samples = samples(attribute, pattern.as_str());
            let good = samples.iter().find(|text| !is_excluded(text));
            good.or(samples.first()).cloned()
        };
        let mut taken: Vec<String> = test.values.iter().take(MOST).filter_map(sample).collect();
        let excluded: Vec<String> = test
            .not_values
            .iter()
            .take(MOST)
            .filter_map(|not| samples(attribute, not.as_str()).into_iter().next())
            .collect();
        if test.values.is_empty() {
            let first = beside(attribute, test).into_iter().find(|text| !is_excluded(text));
            return Self { first, others: excluded };
        }
        taken.sort_by_cached_key(&is_excluded);
        let mut taken = taken.into_iter();
        let first = taken.next();
        Self { first, others: taken.chain(excluded).collect() }
    }
}

/// What is none of what a test excludes.
fn beside(attribute: &Attribute, test: &Test) -> Vec<String> {
    let texts =
        |all: &[&str]| -> Vec<String> { all.iter().map(|text| (*text).to_owned()).collect() };
    match attribute {
        Attribute::Method => texts(&METHODS),
        Attribute::Path => texts(&PATHS),
        Attribute::Host => texts(&HOSTS),
        Attribute::SourceIp | Attribute::RemoteIp | Attribute::DestinationIp => {
            let beside = test.not_values.iter().filter_map(|not| outside(not.as_str()));
            core::iter::once(ANYWHERE).chain(beside).map(|ip| ip.to_string()).collect()
        }
        _ => Vec::new(),
    }
}

/// Whether a value takes a text, as far as its form tells.
fn takes(attribute: &Attribute, pattern: &str, text: &str) -> bool {
    match attribute {
        Attribute::SourceIp | Attribute::RemoteIp | Attribute::DestinationIp => {
            text.parse().is_ok_and(|ip| is_within(pattern, ip))
        }
        Attribute::Port => pattern.trim_start_matches('0') == text.trim_start_matches('0'),
        Attribute::Host => like(&pattern.to_ascii_lowercase(), &text.to_ascii_lowercase()),
        _ => like(&pattern.replace("{**}", "*").replace("{*}", "*"), text),
    }
}

/// Texts that a value takes.
fn samples(attribute: &Attribute, pattern: &str) -> Vec<String> {
    match attribute {
        Attribute::SourceIp | Attribute::RemoteIp | Attribute::DestinationIp => {
            inside(pattern).map(|ip| ip.to_string()).into_iter().collect()
        }
        Attribute::Method if pattern.contains('*') => {
            let fitting = METHODS.iter().filter(|method| like(pattern, method));
            fitting.map(|method| (*method).to_owned()).collect()
        }
        Attribute::Path => FILLERS.map(|filler| fill(pattern, PATH, filler)).to_vec(),
        Attribute::Host => {
            let ends_in_port = pattern.ends_with(":*");
            let fillers = if ends_in_port { ["443", "8443"] } else { FILLERS };
            fillers.map(|filler| fill(pattern, HOST, filler)).to_vec()
        }
        Attribute::RequestPrincipal => {
            if pattern == "*" {
                return vec![format!("{ISSUER}/somebody")];
            }
            let (issuer, subject) = pattern.rsplit_once('/').unwrap_or((pattern, "*"));
            let issuer = fill(issuer, ISSUER, "x");
            vec![format!("{issuer}/{}", fill(subject, "somebody", "x"))]
        }
        _ => FILLERS.map(|filler| fill(pattern, filler, filler)).to_vec(),
    }
}

/// A text that a pattern matches.
pub(super) fn fill(pattern: &str, default: &str, filler: &str) -> String {
    if pattern == "*" {
        return default.to_owned();
    }
    let plain = pattern.replace("{**}", &format!("{filler}/y")).replace("{*}", filler);
    match (plain.strip_suffix('*'), plain.strip_prefix('*')) {
        (Some(prefix), _) => format!("{prefix}{filler}"),
        (None, Some(suffix)) if suffix.starts_with('/') => format!("/{filler}{suffix}"),
        (None, Some(suffix)) => format!("{filler}{suffix}"),
        (None, None) => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_has_a_sample() {
        for (pattern, expected) in [
            ("*", "d"),
            ("/a", "/a"),
            ("/a*", "/ax"),
            ("*/a", "/x/a"),
            ("*.test", "x.test"),
            ("/a/{*}/{**}", "/a/x/x/y"),
        ] {
            assert_eq!(fill(pattern, "d", "x"), expected);
        }
        assert_eq!(samples(&Attribute::Host, "a.test:*")[0], "a.test:443");
        assert_eq!(samples(&Attribute::Method, "P*"), ["POST", "PUT", "PATCH", "PURGE"]);
    }

    #[test]
    fn nested_claims_are_nested() {
        let mut claims = Map::new();
        for (names, text) in [(vec!["a", "b"], "1"), (vec!["a", "c"], "2"), (vec!["d"], "3")] {
            let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
            nest(&mut claims, &names, text);
        }
        assert_eq!(Value::Object(claims), json!({"a": {"b": "1", "c": "2"}, "d": "3"}));
    }
}
