//! What a rule asks of its caller, as `auth` and `peers` of a route.

use std::collections::{BTreeMap, BTreeSet};

use postern_policies::Attribute;
use postern_request::peers::PeerPattern;

use super::auth::{Auth, Rules};
use super::star::Star;
use super::tokens::Trust;

/// What one is asked by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asking<'a> {
    pub(super) trust: &'a Trust,
    /// The pods' port that requests come to; none where that is not known.
    pub(super) port: Option<u16>,
    pub(super) trust_domain: &'a str,
    /// The policy's own namespace.
    pub(super) namespace: &'a str,
    /// Whether it is known which pods ask, so that they can look at connections.
    pub(super) knows_pods: bool,
}

/// What meets a list of values: alternatives, each of which is enough.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) auths: Vec<Auth>,
    /// Values that could not be taken over, and why.
    pub(super) lost: Vec<(String, &'static str)>,
}

/// Longest name of a claim, in bytes.
const MAX_NAME: usize = 128;
const NEGATED: &str = "routes say what a caller must be, not what none must be";
const ADDRESS: &str = "routes know no addresses";
const HEADER: &str = "routes do not decide by headers, which callers write";
const PATTERN: &str = "routes compare it as it is, without `*`";
const NEVER: &str = "no issuer of this name is known here, so nothing ever matches";
const NO_PODS: &str = "which pods this is for is not known, and only they see who connects";

/// What the document asks for where a policy wants an attribute to be one of some values. Never
/// less than that.
pub(super) fn one_of(asking: &Asking<'_>, attribute: &Attribute, values: &[&str]) -> Asked {
    let mut asked = Asked::default();
    match attribute {
        Attribute::RequestPrincipal => asking.subjects(values, &mut asked),
        Attribute::Audience => {
            let exact = asked.exact(values, |_| true);
            asked.token(asking, exact, |rules, exact| rules.audiences = Some(exact));
        }
        Attribute::Presenter => asking.claim("azp", values, &mut asked),
        Attribute::Claim(names) => match names.as_slice() {
            [name] if !name.contains('.') && name.len() <= MAX_NAME && is_text(name) => {
                asking.claim(name, values, &mut asked);
            }
            _ => asked.lose(
                values,
                "the document writes it with a dot, and would take a claim of that very name first",
            ),
        },
        Attribute::Principal
        | Attribute::Namespace
        | Attribute::ServiceAccount
        | Attribute::TrustDomain => asking.peers(attribute, values, &mut asked),
        Attribute::Port => {
            let is_it = |port: u16| values.iter().any(|value| value.parse() == Ok(port));
            match asking.port {
                Some(port) if is_it(port) => asked.auths.push(Auth::default()),
                Some(_) => asked.lose(values, "requests come to another port of the service"),
                None => asked.lose(values, "to which port requests come is not known"),
            }
        }
        Attribute::SourceIp | Attribute::RemoteIp | Attribute::DestinationIp => {
            asked.lose(values, ADDRESS);
        }
        Attribute::Header(_) => asked.lose(values, HEADER),
        Attribute::Sni => asked.lose(values, "routes do not know the name of the handshake"),
        Attribute::Metadata { .. } => {
            asked.lose(values, "routes do not know what other filters found");
        }
        // These are the operation's own.
        Attribute::Host | Attribute::Method | Attribute::Path => asked.lose(values, NEGATED),
    }
    asked
}

/// Why a list of values that must not match is not taken over.
pub(super) fn none_of(attribute: &Attribute, values: &[&str]) -> Vec<(String, &'static str)> {
    let why = match attribute {
        Attribute::SourceIp | Attribute::RemoteIp | Attribute::DestinationIp => ADDRESS,
        Attribute::Header(_) => HEADER,
        _ => NEGATED,
    };
    values.iter().map(|value| ((*value).to_owned(), why)).collect()
}

impl Asked {
    fn lose(&mut self, values: &[&str], why: &'static str) {
        self.lost.extend(values.iter().map(|value| ((*value).to_owned(), why)));
    }

    /// Values without `*` that fit; the others are lost.
    fn exact(&mut self, values: &[&str], fits: impl Fn(&str) -> bool) -> BTreeSet<String> {
        let mut exact = BTreeSet::new();
        for value in values {
            match Star::read(value) {
                Star::Exact(text) if is_text(text) && fits(text) => {
                    exact.insert(text.to_owned());
                }
                Star::Exact(_) => self.lose(
                    &[*value],
                    "the document would take a number, a truth value or a list that reads the same",
                ),
                _ => self.lose(&[*value], PATTERN),
            }
        }
        exact
    }

    /// Asks for a token of anybody whom the proxy trusts.
    fn token(
        &mut self,
        asking: &Asking<'_>,
        values: BTreeSet<String>,
        write: impl FnOnce(&mut Rules, BTreeSet<String>),
    ) {
        if values.is_empty() {
            return;
        }
        let issuers = asking.trust.issuers.clone();
        if issuers.is_empty() {
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            return self.lose(&values, NEVER);
        }
        let mut rules = Rules { issuers, ..Rules::default() };
        write(&mut rules, values);
        self.auths.push(Auth::of_token(rules));
    }
}

impl Asking<'_> {
    /// `issuer/subject`, apart at the last slash.
    fn subjects(&self, values: &[&str], asked: &mut Asked) {
        // The subjects that are asked for, by issuer; none is any subject.
        let mut wanted: BTreeMap<&str, Option<BTreeSet<String>>> = BTreeMap::new();
        for value in values {
            let (issuer, subject) = match value.rsplit_once('/') {
                _ if *value == "*" => (None, None),
                Some(("*", subject)) if !subject.contains('*') => (None, Some(subject)),
                Some((issuer, "*")) if !issuer.starts_with('*') => (Some(issuer), None),
                Some((issuer, subject)) if !value.contains('*') => (Some(issuer), Some(subject)),
                Some(_) => {
                    asked.lose(&[*value], PATTERN);
                    continue;
                }
                None => {
                    let why = if value.contains('*') { PATTERN } else { NEVER };
                    asked.lose(&[*value], why);
                    continue;
                }
            };
            let is_meant = |known: &&String| issuer.is_none_or(|issuer| issuer == known.as_str());
            let mut found = self.trust.issuers.keys().filter(is_meant).peekable();
            if found.peek().is_none() || subject.is_some_and(|subject| !is_text(subject)) {
                asked.lose(&[*value], NEVER);
                continue;
            }
            for issuer in found {
                let subjects = wanted.entry(issuer).or_insert_with(|| Some(BTreeSet::new()));
                match (subject, subjects) {
                    (None, subjects) => *subjects = None,
                    (Some(subject), Some(subjects)) => {
                        subjects.insert(subject.to_owned());
                    }
                    (Some(_), None) => {}
                }
            }
        }
        for (issuer, subjects) in wanted {
            let Some(audiences) = self.trust.issuers.get(issuer) else { continue };
            let issuers = [(issuer.to_owned(), audiences.clone())].into();
            let claims = subjects.into_iter().map(|subjects| ("sub".to_owned(), subjects));
            let rules = Rules { issuers, claims: claims.collect(), ..Rules::default() };
            asked.add(Auth::of_token(rules));
        }
    }

    fn claim(&self, name: &str, values: &[&str], asked: &mut Asked) {
        if matches!(name, "sub" | "iss") && values.contains(&"*") {
            // Every token has one, or is none to the document.
            let any = BTreeSet::from([String::new()]);
            return asked.token(self, any, |_, _| {});
        }
        if name == "scope" {
            return self.scope(values, asked);
        }
        // What Istio takes apart the document compares as a whole.
        let is_list = self.trust.lists.contains(name);
        // These are texts in whatever the document takes for a token.
        let is_always_text = matches!(name, "iss" | "sub" | "aud");
        let exact = asked.exact(values, |value| {
            !(is_list && value.contains(' ')) && (is_always_text || !reads_otherwise(value))
        });
        let name = name.to_owned();
        asked.token(self, exact, |rules, exact| {
            rules.claims.insert(name, exact);
        });
    }

    /// Scopes of a route are all needed, values of a policy one of them.
    fn scope(&self, values: &[&str], asked: &mut Asked) {
        let is_scope = |text: &str| {
            !text.is_empty() && text.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
        };
        match values {
            [scope] if is_scope(scope) && matches!(Star::read(scope), Star::Exact(_)) => {
                let scope = BTreeSet::from([(*scope).to_owned()]);
                asked.token(self, scope, |rules, scope| rules.scopes = scope);
            }
            [_] => asked.lose(values, PATTERN),
            _ => asked.lose(values, "a route asks for all of its scopes, not for one of several"),
        }
    }

    fn peers(&self, attribute: &Attribute, values: &[&str], asked: &mut Asked) {
        if !self.knows_pods {
            return asked.lose(values, NO_PODS);
        }
        let mut peers = BTreeSet::new();
        for value in values {
            match self.peer(attribute, value) {
                Some(peer) => {
                    peers.insert(peer);
                }
                None => asked
                    .lose(&[*value], "peers are SPIFFE ids, or all ids below one; this is neither"),
            }
        }
        if !peers.is_empty() {
            asked.auths.push(Auth::of_peers(peers));
        }
    }

    /// A SPIFFE id, or a pattern of some; what Istio takes by the value, or less.
    fn peer(&self, attribute: &Attribute, value: &str) -> Option<String> {
        let (trust_domain, own_namespace) = (self.trust_domain, self.namespace);
        let text = match attribute {
            Attribute::Principal => {
                let own = value.strip_prefix("cluster.local/");
                // `cluster.local` stands for the mesh's own domain, in names that are whole.
                match own.filter(|_| value.split('/').count() == 5) {
                    Some(rest) => format!("spiffe://{trust_domain}/{rest}"),
                    None => format!("spiffe://{value}"),
                }
            }
            Attribute::Namespace => format!("spiffe://{trust_domain}/ns/{value}/*"),
            Attribute::ServiceAccount => {
                let (namespace, name) = value.split_once('/').unwrap_or((own_namespace, value));
                format!("spiffe://{trust_domain}/ns/{namespace}/sa/{name}")
            }
            Attribute::TrustDomain => format!("spiffe://{value}/*"),
            _ => return None,
        };
        // An asterisk within a namespace or a domain would be one in the middle of an id.
        PeerPattern::parse(&text).ok().map(|peer| peer.to_string())
    }
}

impl Asked {
    /// One more alternative, together with one that differs in one thing alone.
    fn add(&mut self, auth: Auth) {
        for known in &mut self.auths {
            if let Some(either) = known.or(&auth) {
                *known = either;
                return;
            }
        }
        self.auths.push(auth);
    }
}

/// All pairs of alternatives that can be met together. More than `most` are cut off, which lets in
/// less.
pub(super) fn both(a: &[Auth], b: &[Auth], most: usize) -> Vec<Auth> {
    let pairs = a.iter().flat_map(|a| b.iter().filter_map(move |b| a.and(b)));
    pairs.take(most).collect()
}

/// What can be written into a document, and found in a token.
fn is_text(text: &str) -> bool {
    (1..=1024).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// Whether a claim that is no text would be taken for this one: the document compares numbers and
/// truth values as they are written, Istio not at all.
fn reads_otherwise(text: &str) -> bool {
    let is_number = text.parse::<i64>().is_ok_and(|number| number.to_string() == text);
    is_number || matches!(text, "true" | "false")
}
