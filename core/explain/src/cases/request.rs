//! The request of a case.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use postern_document::yaml::{Kind, Node, Problems};
use postern_document::{Document, Position};
use postern_request::headers;
use postern_request::token_places::is_token;

use super::Sent;
use super::fields::{Fields, expected, members, text, texts};
use super::key::ApiKey;
use super::proof;
use super::session;
use super::token::{self, Token};
use crate::peer::{entry, peer_id};

pub(super) const FIELDS: [&str; 13] = [
    "method",
    "scheme",
    "host",
    "path",
    "headers",
    "address",
    "certificate",
    "peer",
    "workload",
    "token",
    "proof",
    "api_key",
    "session",
];

/// What names in requests refer to.
pub(super) struct Named<'d> {
    pub(super) document: &'d Document,
    pub(super) tokens: Vec<Arc<Token>>,
    pub(super) keys: Vec<(String, Arc<ApiKey>)>,
}

/// What a file says of requests that do not say it themselves.
#[derive(Clone)]
pub(super) struct Defaults {
    pub(super) host: String,
    pub(super) scheme: String,
    pub(super) address: IpAddr,
    pub(super) workload: Option<String>,
}

/// What `each` has chosen for a case: the field, and the text in it.
pub(super) type Chosen<'c> = Vec<(&'c str, &'c str, Position)>;

/// How a text begins to name a token; `}` is the end of that.
const PLACE: &str = "{token.";

/// A piece of a text that may name tokens.
pub(super) enum Piece<'t> {
    Text(&'t str),
    Token(&'t Token),
}

/// The pieces of a text, in order: what names none of the tokens is text.
pub(super) fn pieces<'t>(
    text: &'t str,
    tokens: &'t [Arc<Token>],
) -> impl Iterator<Item = Piece<'t>> {
    let (first, others) = text.split_once(PLACE).map_or((text, None), |(a, b)| (a, Some(b)));
    let others = others.into_iter().flat_map(|others| others.split(PLACE));
    let named = others.flat_map(move |piece| {
        let named = piece.split_once('}').and_then(|(name, behind)| {
            let token = tokens.iter().find(|token| token.name == name)?;
            Some([Piece::Token(token), Piece::Text(behind)])
        });
        named.unwrap_or([Piece::Text(PLACE), Piece::Text(piece)])
    });
    std::iter::once(Piece::Text(first)).chain(named)
}

/// Reads `request`, and lets `chosen` fields go before its own.
pub(super) fn read(
    node: Option<&Node>,
    at: Position,
    chosen: &Chosen<'_>,
    defaults: &Defaults,
    named: &Named<'_>,
    problems: &mut Problems,
) -> Option<Sent> {
    let fields = match node {
        Some(node) => Some(Fields::open(node, &FIELDS, problems)?),
        None => None,
    };
    let reader = Reader { fields, at, chosen };
    let path = reader.text("path", problems);
    if path.is_none() {
        problems.report(reader.place("path"), "`path` is missing");
    }
    let headers = reader.field("headers", problems, sent_headers).unwrap_or_default();
    let token = reader.named("token", "token", &named.tokens, |token| &token.name, problems);
    let keys = &named.keys;
    let key = reader.named("api_key", "key", keys, |(name, _)| name, problems);
    let scheme = reader.text("scheme", problems).unwrap_or_else(|| defaults.scheme.clone());
    check_scheme(&scheme, reader.place("scheme"), problems);
    let (workload, peer) = reader.ends(defaults, named.document, problems);
    let mut sent = Sent {
        method: reader.text("method", problems).unwrap_or_else(|| "GET".to_owned()),
        scheme,
        host: reader.text("host", problems).unwrap_or_else(|| defaults.host.clone()),
        path: path?,
        headers,
        address: reader.field("address", problems, address).unwrap_or(defaults.address),
        certificate: reader.field("certificate", problems, token::certificate),
        peer,
        workload,
        token,
        placed: Vec::new(),
        proof: reader.field("proof", problems, proof::read),
        api_key: key.map(|(_, key)| key),
        session: reader.field("session", problems, |node, problems| {
            session::read(node, named.document, problems)
        }),
    };
    check_method(&sent.method, reader.place("method"), problems);
    if sent.proof.is_some() && sent.token.is_none() {
        problems.report(reader.place("proof"), "a proof is for the request's `token`");
    }
    if sent.session.is_some() && sent.api_key.is_some() {
        let message = "`session` and `api_key`: of the two a gateway looks at one";
        problems.report(reader.place("session"), message);
    }
    reader.check_once(&sent, problems);
    sent.placed = placed(&sent, &named.tokens, reader.at, problems);
    Some(sent)
}

/// The tokens that path and headers name.
fn placed(
    sent: &Sent,
    tokens: &[Arc<Token>],
    at: Position,
    problems: &mut Problems,
) -> Vec<Arc<Token>> {
    let values = sent.headers.iter().map(|(_, value)| value.as_str());
    let names = values.chain([sent.path.as_str()]).flat_map(|text| {
        let after = text.split(PLACE).skip(1);
        after.filter_map(|rest| rest.split_once('}')).map(|(name, _)| name)
    });
    let mut names: BTreeSet<&str> = names.collect();
    let is_named = |token: &&Arc<Token>| names.remove(token.name.as_str());
    let placed = tokens.iter().filter(is_named).cloned().collect();
    for name in names {
        problems.report(at, format!("there is no token `{name}`"));
    }
    placed
}

/// The fields of one request, those that `each` has chosen first.
struct Reader<'r> {
    fields: Option<Fields<'r>>,
    at: Position,
    chosen: &'r Chosen<'r>,
}

impl<'r> Reader<'r> {
    fn place(&self, name: &str) -> Position {
        let chosen = self.chosen.iter().find(|(field, ..)| *field == name).map(|(.., at)| *at);
        let own = || self.fields.as_ref().map_or(self.at, |fields| fields.place(name));
        chosen.unwrap_or_else(own)
    }

    fn text(&self, name: &str, problems: &mut Problems) -> Option<String> {
        if let Some((_, text, at)) = self.chosen.iter().find(|(field, ..)| *field == name) {
            if self.fields.as_ref().is_some_and(|fields| fields.has(name)) {
                problems.report(*at, format!("`{name}` is in `each` and in `request`"));
            }
            return Some((*text).to_owned());
        }
        self.fields.as_ref()?.text(name, problems)
    }

    /// The workload that is called directly, and who calls it. Only there somebody calls who has a
    /// certificate of the mesh.
    fn ends(
        &self,
        defaults: &Defaults,
        document: &Document,
        problems: &mut Problems,
    ) -> (Option<String>, Option<String>) {
        let (at, of_peer) = (self.place("workload"), self.place("peer"));
        let named = self.text("workload", problems);
        // What is wrong with a name is said once.
        let is_wrong = named.as_ref().is_some_and(|name| entry(document, name).is_err());
        let workload = match named {
            Some(name) => workload(&name, at, document, problems),
            None => defaults.workload.clone(),
        };
        let peer = self.text("peer", problems).and_then(|text| {
            if workload.is_none() && !is_wrong {
                let message = "nobody outside has a certificate of the mesh: say by `workload` \
                               who is called directly";
                problems.report(of_peer, message);
            }
            let id = peer_id(document, &text);
            id.map_err(|message| problems.report(of_peer, message)).ok()
        });
        (workload, peer)
    }

    fn field<T>(
        &self,
        name: &str,
        problems: &mut Problems,
        read: impl FnOnce(&'r Node, &mut Problems) -> Option<T>,
    ) -> Option<T> {
        self.fields.as_ref()?.read(name, problems, read)
    }

    /// What the file has under the name in a field.
    fn named<T: Clone>(
        &self,
        field: &str,
        what: &str,
        all: &[T],
        name_of: impl Fn(&T) -> &String,
        problems: &mut Problems,
    ) -> Option<T> {
        let name = self.text(field, problems)?;
        let found = all.iter().find(|candidate| *name_of(candidate) == name);
        if found.is_none() {
            problems.report(self.place(field), format!("there is no {what} `{name}`"));
        }
        found.cloned()
    }

    /// What has a field of its own has no header beside it: nobody would know which is meant.
    fn check_once(&self, sent: &Sent, problems: &mut Problems) {
        for (field, header, is_set) in [
            ("token", headers::AUTHORIZATION, sent.token.is_some()),
            ("api_key", headers::API_KEY, sent.api_key.is_some()),
            ("proof", headers::DPOP, sent.proof.is_some()),
        ] {
            if is_set && sent.headers.iter().any(|(name, _)| name == header) {
                let message = format!("`{field}` and a header `{header}`: write one of them");
                problems.report(self.place(field), message);
            }
        }
    }
}

/// The workload of a name; none for the edge.
pub(super) fn workload(
    name: &str,
    at: Position,
    document: &Document,
    problems: &mut Problems,
) -> Option<String> {
    match entry(document, name) {
        Ok(workload) => workload.map(str::to_owned),
        Err(message) => {
            problems.report(at, message);
            None
        }
    }
}

fn check_method(method: &str, at: Position, problems: &mut Problems) {
    if !is_token(method.as_bytes()) {
        problems.report(at, "a method is one word");
    }
}

pub(super) fn check_scheme(scheme: &str, at: Position, problems: &mut Problems) {
    if !matches!(scheme, "http" | "https") {
        problems.report(at, "expected http or https");
    }
}

pub(super) fn address(node: &Node, problems: &mut Problems) -> Option<IpAddr> {
    let address = text(node, problems)?.parse().ok();
    if address.is_none() {
        problems.report(node.at, "expected an IP address");
    }
    address
}

/// Names and values; a list for a header that is sent several times.
fn sent_headers(node: &Node, problems: &mut Problems) -> Option<Vec<(String, String)>> {
    let mut sent = Vec::new();
    for (name, at, node) in members(node, problems)? {
        problems.within(name, |problems| {
            if !headers::is_lowercase_name(name) {
                problems.report(*at, "write a header's name in lower case");
            } else if matches!(name.as_str(), "host" | "connection" | "content-length") {
                problems.report(*at, "is written for every request; the host has a field");
            }
            let values = match &node.kind {
                Kind::List(_) => texts(node, problems),
                Kind::Map(_) => expected("text, or a list of texts", node, problems),
                _ => text(node, problems).map(|text| vec![(text, node.at)]),
            };
            for (value, at) in values.unwrap_or_default() {
                if value.chars().any(|found| found.is_control() && found != '\t') {
                    problems.report(at, "a header's value is one line");
                }
                sent.push((name.clone(), value));
            }
        });
    }
    Some(sent)
}
