//! What a request is made of, and what the tests of a rule make of it.

use core::hash::{Hash, Hasher};
use std::collections::hash_map::DefaultHasher;
use std::net::IpAddr;
use std::rc::Rc;

use postern_policies::{Attribute, Http, JwtRule, Pattern, Test};
use postern_request::path::without_query;
use serde_json::{Map, Value, json};

use super::super::witness::METHODS;
use super::addresses::{ANYWHERE, inside, is_within, outside};
use super::allowance::Allowance;
use super::callers::like;
use super::examples::Made;
use super::token::{ISSUER, token};

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

/// What follows the path of a request whose `:path` has to end like this: it leaves the path itself
/// to those who compare that.
const BEHIND: char = '?';

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
    pub(super) fn of<'t>(asks: impl IntoIterator<Item = &'t Rc<Asks<'t>>>) -> Self {
        let mut draft = Self::new();
        for ask in asks {
            if let Some(first) = &ask.first {
                draft.set(&ask.test.attribute, first);
            }
        }
        draft
    }

    /// The same, then one for each further value of each test, and for each value that a test
    /// excludes; where no method is named, also one that nobody would.
    pub(super) fn all_of(asks: &[Rc<Asks<'_>>], work: &Allowance) -> Vec<Self> {
        let base = Self::of(asks);
        let mut all = vec![base.clone()];
        all.extend(base.further(asks, work));
        if !asks.iter().any(|ask| ask.test.attribute == Attribute::Method) {
            all.push(base.with(&Attribute::Method, NOBODYS_METHOD));
        }
        all
    }

    /// One for each further value of each test, and for each value that a test excludes.
    pub(super) fn further(&self, asks: &[Rc<Asks<'_>>], work: &Allowance) -> Vec<Self> {
        let mut all = Vec::new();
        for ask in asks {
            for text in &ask.others {
                if !work.spend_on(self.size()) {
                    return all;
                }
                all.push(self.with(&ask.test.attribute, text));
            }
        }
        all
    }

    /// How much it is to make another one of it.
    pub(super) fn size(&self) -> usize {
        4 + self.http.headers.len() / 2 + 4 * self.claims.len()
    }

    /// What is asked for, with the token that it takes where these are known.
    pub(super) fn made(self, issuers: &[&JwtRule]) -> Made {
        let mut http = self.http;
        http.tokens = token(issuers, &self.claims).into_iter().collect();
        let mut hasher = DefaultHasher::new();
        (&http.method, &http.path, &http.host, &http.headers).hash(&mut hasher);
        for (name, value) in &self.claims {
            (name, value.to_string()).hash(&mut hasher);
        }
        let hash = hasher.finish();
        Made { destination_ip: self.destination_ip, sni: self.sni, http, hash }
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
            ":path" => match text.strip_prefix(BEHIND) {
                Some(_) => {
                    let path = without_query(&self.http.path);
                    self.http.path = format!("{path}{text}");
                }
                None => text.clone_into(&mut self.http.path),
            },
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

/// A test, and what it can be given.
#[derive(Debug)]
pub(super) struct Asks<'t> {
    pub(super) test: &'t Test,
    /// What it takes; none where it is content with nothing.
    first: Option<String>,
    /// What else it takes, and what it excludes.
    others: Vec<String>,
}

impl<'t> Asks<'t> {
    pub(super) fn of(test: &'t Test, work: &Allowance) -> Self {
        let attribute = &test.attribute;
        let none = Self { test, first: None, others: Vec::new() };
        if attribute.is_from_certificate() || matches!(attribute, Attribute::Metadata { .. }) {
            return none;
        }
        let values = test.values.len().min(MOST);
        if !work.spend_on((2 + values).saturating_mul(2 + test.not_values.len())) {
            return none;
        }
        let excluded = Excluded::by(test);
        let sample = |pattern: &Pattern| {
            let samples = samples(attribute, pattern.as_str());
            let good = samples.iter().find(|text| !excluded.has(text));
            good.or(samples.first()).cloned()
        };
        let mut taken: Vec<String> = test.values.iter().take(MOST).filter_map(sample).collect();
        let others: Vec<String> = test
            .not_values
            .iter()
            .take(MOST)
            .filter_map(|not| samples(attribute, not.as_str()).into_iter().next())
            .collect();
        if test.values.is_empty() {
            let first = beside(attribute, test).into_iter().find(|text| !excluded.has(text));
            return Self { test, first, others };
        }
        taken.sort_by_cached_key(|text| excluded.has(text));
        let mut taken = taken.into_iter();
        let first = taken.next();
        Self { test, first, others: taken.chain(others).collect() }
    }
}

/// What a test excludes.
struct Excluded<'t> {
    attribute: &'t Attribute,
    /// As patterns whose stars stand for anything.
    patterns: Vec<String>,
}

impl<'t> Excluded<'t> {
    fn by(test: &'t Test) -> Self {
        let plain = |not: &Pattern| match test.attribute {
            Attribute::SourceIp | Attribute::RemoteIp | Attribute::DestinationIp => {
                not.as_str().to_owned()
            }
            Attribute::Port => not.as_str().trim_start_matches('0').to_owned(),
            Attribute::Host => not.as_str().to_ascii_lowercase(),
            _ => not.as_str().replace("{**}", "*").replace("{*}", "*"),
        };
        Self { attribute: &test.attribute, patterns: test.not_values.iter().map(plain).collect() }
    }

    /// Whether it takes a text, as far as the form of its values tells.
    fn has(&self, text: &str) -> bool {
        let mut patterns = self.patterns.iter();
        match self.attribute {
            Attribute::SourceIp | Attribute::RemoteIp | Attribute::DestinationIp => {
                let ip: Option<IpAddr> = text.parse().ok();
                ip.is_some_and(|ip| patterns.any(|pattern| is_within(pattern, ip)))
            }
            Attribute::Port => patterns.any(|pattern| pattern == text.trim_start_matches('0')),
            Attribute::Host => {
                let text = text.to_ascii_lowercase();
                patterns.any(|pattern| like(pattern, &text))
            }
            _ => patterns.any(|pattern| like(pattern, text)),
        }
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
        Attribute::Header(name) if name == ":path" => match pattern.strip_prefix('*') {
            Some(suffix) => vec![format!("{BEHIND}{suffix}"), format!("{BEHIND}x{suffix}")],
            None => FILLERS.map(|filler| fill(pattern, PATH, filler)).to_vec(),
        },
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
    fn what_a_path_header_ends_with_stands_behind_the_path() {
        let header = Attribute::Header(":path".to_owned());
        for (pattern, expected) in
            [("*x=1", "/a?x=1"), ("*", "/a?"), ("/b?x=1", "/b?x=1"), ("/b*", "/bx")]
        {
            let mut draft = Draft::new();
            draft.set(&Attribute::Path, "/a");
            draft.set(&header, &samples(&header, pattern)[0]);
            assert_eq!(draft.http.path, expected, "{pattern}");
        }
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
