//! Tokens of a case file: what they say, not who has signed them.

use std::collections::BTreeSet;

use postern_document::Position;
use postern_document::yaml::{Node, Problems};
use postern_jose::base64url;
use postern_request::json::Value;

use super::fields::{Fields, expected, json, members, text};
use super::room::Room;
use super::time;

/// How long a token is good that does not say it.
const LIFE_SECS: i64 = 600;
/// Most tokens of a file.
const MAX_TOKENS: usize = 1000;
/// Most claims that one of them says itself, or parameters of its header.
const MAX_MEMBERS: usize = 100;
const TOO_MANY: &str = "more than 100 of them, which no issuer writes: name fewer";
/// Most tokens that one is like, one after the other.
const MAX_LIKE: usize = 16;
const FIELDS: [&str; 20] = [
    "like",
    "issuer",
    "subject",
    "audiences",
    "scopes",
    "client_id",
    "tier",
    "role",
    "session",
    "device",
    "country",
    "claims",
    "without",
    "expires_in",
    "starts_in",
    "certificate",
    "proof_key",
    "header",
    "signature",
    "text",
];

/// A token of a case file.
#[derive(Debug, Clone, PartialEq)]
pub struct Token {
    /// Its name in the file.
    pub name: String,
    layer: Layer,
}

/// What a token is filled in with when it is made.
#[derive(Debug, Clone, Copy)]
pub struct Made<'a> {
    /// The time, in seconds since the epoch.
    pub now_secs: u64,
    /// `jti`
    pub token_id: &'a str,
    /// The thumbprint of the key that proofs are made with, as `jkt` has it.
    pub thumbprint: &'a str,
    /// `alg`
    pub algorithm: &'a str,
    /// `kid`
    pub key_id: Option<&'a str>,
}

impl Token {
    /// Text that is sent as it is, whatever it holds; none for a token that is to be made.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        self.layer.text.as_deref()
    }

    /// Whether its signature is to hold.
    #[must_use]
    pub fn is_signed(&self) -> bool {
        !self.layer.wrong.unwrap_or_default()
    }

    /// Whether it is bound to the key that proofs are made with.
    #[must_use]
    pub fn has_proof_key(&self) -> bool {
        self.layer.proof_key.unwrap_or_default()
    }

    /// `iss`, where it is text.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.layer.claims.iter().find(|(name, _)| name == "iss")?.1.as_str()
    }

    /// What it leaves out.
    pub(super) fn without(&self) -> &[String] {
        &self.layer.without
    }

    /// What it says, or what those say that it is like.
    pub(super) fn said(&self) -> impl Iterator<Item = &(String, Value)> {
        self.layer.claims.iter().chain(&self.layer.header)
    }

    /// Its header, as JSON.
    #[must_use]
    pub fn header(&self, made: &Made<'_>) -> String {
        let mut header = vec![
            ("alg".to_owned(), Value::String(made.algorithm.to_owned())),
            ("typ".to_owned(), Value::String("at+jwt".to_owned())),
        ];
        if let Some(id) = made.key_id {
            header.push(("kid".to_owned(), Value::String(id.to_owned())));
        }
        overlay(&mut header, &self.layer.header);
        Value::Object(header).to_string()
    }

    /// Its claims, as JSON.
    #[must_use]
    pub fn claims(&self, made: &Made<'_>) -> String {
        let at = |by: i64| {
            let secs = time::shifted(made.now_secs, by);
            Value::Integer(i64::try_from(secs).unwrap_or(i64::MAX))
        };
        let mut claims = vec![
            ("jti".to_owned(), Value::String(made.token_id.to_owned())),
            ("iat".to_owned(), at(0)),
            ("exp".to_owned(), at(self.layer.expires_in.unwrap_or(LIFE_SECS))),
        ];
        if let Some(start) = self.layer.starts_in {
            claims.push(("nbf".to_owned(), at(start)));
        }
        let mut bound = Vec::new();
        if let Some(hash) = self.layer.certificate {
            bound.push(("x5t#S256".to_owned(), Value::String(base64url::encode(&hash))));
        }
        if self.has_proof_key() {
            bound.push(("jkt".to_owned(), Value::String(made.thumbprint.to_owned())));
        }
        if !bound.is_empty() {
            claims.push(("cnf".to_owned(), Value::Object(bound)));
        }
        overlay(&mut claims, &self.layer.claims);
        claims.retain(|(name, _)| !self.layer.without.contains(name));
        Value::Object(claims).to_string()
    }
}

/// Puts members over others of the same names.
pub(super) fn overlay(below: &mut Vec<(String, Value)>, above: &[(String, Value)]) {
    for (name, value) in above {
        match below.iter_mut().find(|(known, _)| known == name) {
            Some((_, place)) => value.clone_into(place),
            None => below.push((name.clone(), value.clone())),
        }
    }
}

/// What one entry of `tokens` says, beside the one that it is like.
#[derive(Debug, Clone, Default, PartialEq)]
struct Layer {
    claims: Vec<(String, Value)>,
    without: Vec<String>,
    header: Vec<(String, Value)>,
    expires_in: Option<i64>,
    starts_in: Option<i64>,
    certificate: Option<[u8; 32]>,
    proof_key: Option<bool>,
    /// Whether the signature is to be wrong.
    wrong: Option<bool>,
    text: Option<String>,
}

impl Layer {
    /// This one over another.
    fn over(self, below: &Self) -> Self {
        let mut claims = below.claims.clone();
        overlay(&mut claims, &self.claims);
        let mut header = below.header.clone();
        overlay(&mut header, &self.header);
        let said = |name: &String| self.claims.iter().any(|(known, _)| known == name);
        let mut without = self.without.clone();
        without.extend(below.without.iter().filter(|name| !said(name)).cloned());
        Self {
            claims,
            without,
            header,
            expires_in: self.expires_in.or(below.expires_in),
            starts_in: self.starts_in.or(below.starts_in),
            certificate: self.certificate.or(below.certificate),
            proof_key: self.proof_key.or(below.proof_key),
            wrong: self.wrong.or(below.wrong),
            text: self.text.or_else(|| below.text.clone()),
        }
    }
}

/// An entry that is read and not resolved yet.
struct Entry {
    name: String,
    at: Position,
    like: Option<(String, Position)>,
    layer: Layer,
}

/// Reads `tokens`.
pub(super) fn read(node: &Node, room: &mut Room, problems: &mut Problems) -> Vec<Token> {
    let Some(members) = members(node, problems) else { return Vec::new() };
    if members.len() > MAX_TOKENS {
        let message = format!("at most {MAX_TOKENS} tokens in a file: write another file");
        problems.report(node.at, message);
        return Vec::new();
    }
    let entries: Vec<Entry> = members
        .iter()
        .filter_map(|(name, _, node)| problems.within(name, |problems| entry(name, node, problems)))
        .collect();
    let mut tokens = Vec::with_capacity(entries.len());
    for entry in &entries {
        let Some(layer) = resolve(entry, &entries, problems) else { continue };
        let token = Token { name: entry.name.clone(), layer };
        if room.take_token(&token, entry.at, problems).is_none() {
            break;
        }
        tokens.push(token);
    }
    tokens
}

/// The entry over all that it is like, directly or not.
fn resolve(entry: &Entry, entries: &[Entry], problems: &mut Problems) -> Option<Layer> {
    let mut seen = BTreeSet::from([entry.name.as_str()]);
    let mut layer = entry.layer.clone();
    let mut like = &entry.like;
    while let Some((name, at)) = like {
        let path = format!("tokens.{}.like", entry.name);
        if !seen.insert(name) {
            problems.report_as(*at, &path, format!("`{name}` is like itself"));
            return None;
        }
        let Some(next) = entries.iter().find(|candidate| candidate.name == *name) else {
            problems.report_as(*at, &path, format!("there is no token `{name}`"));
            return None;
        };
        if seen.len() > MAX_LIKE + 1 {
            let message = format!("it is like more than {MAX_LIKE} tokens, one like the other");
            problems.report_as(*at, &path, message);
            return None;
        }
        layer = layer.over(&next.layer);
        like = &next.like;
    }
    Some(layer)
}

fn entry(name: &str, node: &Node, problems: &mut Problems) -> Option<Entry> {
    let fields = Fields::open(node, &FIELDS, problems)?;
    let like = fields.text("like", problems).map(|name| (name, fields.place("like")));
    let mut layer = Layer { claims: named_claims(&fields, problems), ..Layer::default() };
    if let Some(more) = fields.read("claims", problems, values) {
        overlay(&mut layer.claims, &more);
    }
    layer.header = fields.read("header", problems, values).unwrap_or_default();
    let without = fields.texts("without", problems).unwrap_or_default();
    if without.len() > MAX_MEMBERS {
        problems.report(fields.place("without"), TOO_MANY);
        return None;
    }
    layer.without = without.into_iter().map(|(name, _)| name).collect();
    layer.expires_in = fields.read("expires_in", problems, span);
    layer.starts_in = fields.read("starts_in", problems, span);
    layer.certificate = fields.read("certificate", problems, certificate);
    layer.proof_key = fields.flag("proof_key", problems);
    layer.wrong = fields.read("signature", problems, signature);
    layer.text = fields.read("text", problems, text);
    Some(Entry { name: name.to_owned(), at: node.at, like, layer })
}

/// The claims that have fields of their own.
fn named_claims(fields: &Fields<'_>, problems: &mut Problems) -> Vec<(String, Value)> {
    let mut claims = Vec::new();
    for (field, claim) in [
        ("issuer", "iss"),
        ("subject", "sub"),
        ("client_id", "client_id"),
        ("tier", "tier"),
        ("role", "role"),
        ("session", "sessionId"),
        ("device", "deviceId"),
        ("country", "country"),
    ] {
        if let Some(text) = fields.text(field, problems) {
            claims.push((claim.to_owned(), Value::String(text)));
        }
    }
    let list = |field: &str, problems: &mut Problems| {
        let texts = fields.texts(field, problems)?;
        Some(texts.into_iter().map(|(text, _)| text).collect::<Vec<_>>())
    };
    if let Some(audiences) = list("audiences", problems) {
        let audiences = audiences.into_iter().map(Value::String).collect();
        claims.push(("aud".to_owned(), Value::Array(audiences)));
    }
    if let Some(scopes) = list("scopes", problems) {
        claims.push(("scope".to_owned(), Value::String(scopes.join(" "))));
    }
    claims
}

/// Claims or header parameters: names, and whatever they say.
pub(super) fn values(node: &Node, problems: &mut Problems) -> Option<Vec<(String, Value)>> {
    let members = members(node, problems)?;
    if members.len() > MAX_MEMBERS {
        problems.report(node.at, TOO_MANY);
        return None;
    }
    Some(members.iter().map(|(name, _, node)| (name.clone(), json(node))).collect())
}

pub(super) fn span(node: &Node, problems: &mut Problems) -> Option<i64> {
    let text = text(node, problems)?;
    let secs = time::seconds(&text);
    if secs.is_none() {
        problems.report(node.at, format!("expected {}", time::SPAN));
    }
    secs
}

/// Whether a signature is to be wrong.
pub(super) fn signature(node: &Node, problems: &mut Problems) -> Option<bool> {
    match text(node, problems)?.as_str() {
        "good" => Some(false),
        "wrong" => Some(true),
        _ => expected("good or wrong", node, problems),
    }
}

/// SHA-256 of a certificate, in hexadecimal.
pub(super) fn certificate(node: &Node, problems: &mut Problems) -> Option<[u8; 32]> {
    let text = text(node, problems)?;
    let hash = postern_jose::xfcc::sha256_from_hex(text.as_bytes());
    if hash.is_none() {
        problems.report(node.at, "expected SHA-256 of a certificate: 64 hexadecimal digits");
    }
    hash
}

#[cfg(test)]
mod tests;
