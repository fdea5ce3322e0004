//! Proofs of possession of a key (DPoP) beside a token: what they say, not who has made them.

use postern_document::yaml::{Kind, Node, Problems};
use postern_request::json::Value;

use super::fields::{Fields, expected, text};
use super::time;
use super::token::{overlay, signature, span, values};

const FIELDS: [&str; 6] = ["claims", "header", "age", "key", "signature", "text"];

/// A proof that a request brings along.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Proof {
    claims: Vec<(String, Value)>,
    header: Vec<(String, Value)>,
    age_secs: i64,
    other_key: bool,
    wrong: bool,
    text: Option<String>,
}

/// What a proof is filled in with when it is made.
#[derive(Debug, Clone, Copy)]
pub struct Proven<'a> {
    /// The time, in seconds since the epoch.
    pub now_secs: u64,
    /// `jti`
    pub proof_id: &'a str,
    /// `htm`
    pub method: &'a str,
    /// `htu`, without the query.
    pub url: &'a str,
    /// `ath`
    pub token_hash: &'a str,
    /// `alg`
    pub algorithm: &'a str,
    /// The public key, as JSON.
    pub key: &'a Value,
}

impl Proof {
    /// Text that is sent as it is; none for a proof that is to be made.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// Whether its signature is to hold.
    #[must_use]
    pub const fn is_signed(&self) -> bool {
        !self.wrong
    }

    /// Whether it is made by another key than the one that tokens are bound to.
    #[must_use]
    pub const fn is_by_other_key(&self) -> bool {
        self.other_key
    }

    /// What it says of its own.
    pub(super) fn said(&self) -> impl Iterator<Item = &(String, Value)> {
        self.claims.iter().chain(&self.header)
    }

    /// Its header, as JSON.
    #[must_use]
    pub fn header(&self, proven: &Proven<'_>) -> String {
        let mut header = vec![
            ("typ".to_owned(), Value::String("dpop+jwt".to_owned())),
            ("alg".to_owned(), Value::String(proven.algorithm.to_owned())),
            ("jwk".to_owned(), proven.key.clone()),
        ];
        overlay(&mut header, &self.header);
        Value::Object(header).to_string()
    }

    /// Its claims, as JSON.
    #[must_use]
    pub fn claims(&self, proven: &Proven<'_>) -> String {
        let made = time::shifted(proven.now_secs, -self.age_secs);
        let text = |text: &str| Value::String(text.to_owned());
        let mut claims = vec![
            ("jti".to_owned(), text(proven.proof_id)),
            ("htm".to_owned(), text(proven.method)),
            ("htu".to_owned(), text(proven.url)),
            ("iat".to_owned(), Value::Integer(i64::try_from(made).unwrap_or(i64::MAX))),
            ("ath".to_owned(), text(proven.token_hash)),
        ];
        overlay(&mut claims, &self.claims);
        Value::Object(claims).to_string()
    }
}

/// Reads `good`, or what is special about a proof.
pub(super) fn read(node: &Node, problems: &mut Problems) -> Option<Proof> {
    match &node.kind {
        Kind::Text(word) if word == "good" => return Some(Proof::default()),
        Kind::Map(_) => {}
        _ => return expected("good, or a mapping of what is special about it", node, problems),
    }
    let fields = Fields::open(node, &FIELDS, problems)?;
    Some(Proof {
        claims: fields.read("claims", problems, values).unwrap_or_default(),
        header: fields.read("header", problems, values).unwrap_or_default(),
        age_secs: fields.read("age", problems, span).unwrap_or_default(),
        other_key: fields.read("key", problems, key).unwrap_or_default(),
        wrong: fields.read("signature", problems, signature).unwrap_or_default(),
        text: fields.read("text", problems, text),
    })
}

/// Whether it is another key than the tokens'.
fn key(node: &Node, problems: &mut Problems) -> Option<bool> {
    match text(node, problems)?.as_str() {
        "own" => Some(false),
        "other" => Some(true),
        _ => expected("own or other", node, problems),
    }
}

#[cfg(test)]
mod tests {
    use postern_document::yaml::parse;

    use super::*;

    fn proof(text: &str) -> (Option<Proof>, usize) {
        let mut problems = Problems::new(vec!["a.yaml".to_owned()]);
        let node = parse(text, 0, &mut problems).unwrap();
        let proof = read(&node, &mut problems);
        (proof, problems.into_sorted().len())
    }

    #[test]
    fn a_proof_is_good_but_for_what_is_said() {
        let key = Value::String("jwk".to_owned());
        let proven = Proven {
            now_secs: 100,
            proof_id: "p",
            method: "GET",
            url: "http://a.test/b",
            token_hash: "h",
            algorithm: "ES256",
            key: &key,
        };
        let (good, _) = proof("good");
        let good = good.unwrap();
        assert_eq!(good.header(&proven), r#"{"typ":"dpop+jwt","alg":"ES256","jwk":"jwk"}"#);
        assert_eq!(
            good.claims(&proven),
            r#"{"jti":"p","htm":"GET","htu":"http://a.test/b","iat":100,"ath":"h"}"#
        );
        assert!(good.is_signed() && !good.is_by_other_key());
        let (odd, _) = proof("{age: 2m, claims: {htm: POST}, key: other, signature: wrong}");
        let odd = odd.unwrap();
        assert!(odd.claims(&proven).contains(r#""htm":"POST""#) && odd.is_by_other_key());
        assert!(odd.claims(&proven).contains(r#""iat":0,"#) && !odd.is_signed());
    }

    #[test]
    fn what_is_no_proof_is_reported() {
        for bad in ["bad", "[good]", "{ages: 2m}", "{key: mine}"] {
            assert_eq!(proof(bad).1, 1, "{bad}");
        }
    }
}
