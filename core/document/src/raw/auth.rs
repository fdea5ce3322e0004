//! Who may call a route, as it is written.

use postern_request::json::Value;

use crate::decode::{Decode, Elsewhere, Entries, Text, choice, record};
use crate::node::{Kind, Node};
use crate::problem::{Position, Problems};
use crate::schema;

record! {
    /// Who may call a route.
    pub struct RawAuthRules {
        /// Credentials, one of which is needed.
        any = "any": Vec<RawCredential>,
        /// Scopes, all of which are needed.
        scopes = "scopes": Vec<Text>,
        /// Let requests without a credential through, as nobody; a bad one is still refused.
        optional = "optional": Option<bool>,
        /// Only tokens of these issuers; of all by default. Asks nothing of API keys.
        issuers = "issuers": Option<Vec<Text>>,
        /// A token must be for one of these too (`aud`). Asks nothing of API keys.
        audiences = "audiences": Option<Vec<Text>>,
        /// Claims of a token, all of which must say one of their values. Asks nothing of API keys.
        claims = "claims": Option<Entries<Vec<Text>>>,
        /// Only tokens that are bound so, and proven. Asks nothing of API keys.
        proof = "proof": Option<RawProof>,
        /// Only callers who authenticated by several factors: required, or within 15m, for not longer ago.
        mfa = "mfa": Option<Text>,
        /// Send browsers without a session to log in: true, or the name of an outside provider.
        login = "login": Elsewhere<RawLoginAt>,
    }
}

choice! {
    /// Kinds of credential.
    pub enum RawCredential {
        /// A signed token.
        Jwt = "jwt",
        /// An API key.
        ApiKey = "api_key",
        /// A browser's session.
        Session = "session",
    }

    /// What a token must be bound to.
    pub enum RawProof {
        /// A key, proven with each request (RFC 9449).
        Dpop = "dpop",
        /// The client's certificate (RFC 8705).
        Certificate = "certificate",
    }
}

/// `none`, or the rules.
#[derive(Debug, Clone, PartialEq)]
pub enum RawAuth {
    /// Everybody, without any credential.
    None,
    /// Those who meet the rules.
    Rules(Box<RawAuthRules>),
}

impl Decode for RawAuth {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        match &node.kind {
            Kind::Text(text) if text == "none" => Some(Self::None),
            Kind::Map(_) => {
                RawAuthRules::decode(node, problems).map(|rules| Self::Rules(Box::new(rules)))
            }
            _ => {
                problems.report(node.at, "expected `none` or a mapping such as {any: [jwt]}");
                None
            }
        }
    }

    fn stand_in(at: Position) -> Option<Self> {
        Some(Self::Rules(Box::new(RawAuthRules {
            at,
            any: Vec::new(),
            scopes: Vec::new(),
            optional: None,
            issuers: None,
            audiences: None,
            claims: None,
            proof: None,
            mfa: None,
            login: Elsewhere::absent()?,
        })))
    }

    fn forms() -> String {
        "{any: [jwt]}, or none for everybody".to_owned()
    }

    fn encode(&self) -> Option<Value> {
        match self {
            Self::None => Some(Value::String("none".to_owned())),
            Self::Rules(rules) => rules.encode(),
        }
    }

    fn place(&self, path: &[&str]) -> Option<Position> {
        match self {
            Self::None => None,
            Self::Rules(rules) => rules.place(path),
        }
    }

    fn schema() -> Value {
        schema::any_of(vec![schema::one_of_words(&["none"]), RawAuthRules::schema()])
    }
}

/// Where browsers are sent that have no session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RawLoginAt {
    /// To the suite's own pages, or nowhere.
    Pages(bool),
    /// To an outside provider at once.
    Outside(Text),
}

impl Decode for RawLoginAt {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        match &node.kind {
            Kind::Bool(value) => Some(Self::Pages(*value)),
            Kind::Text(name) => Some(Self::Outside(Text { value: name.clone(), at: node.at })),
            _ => {
                problems.report(node.at, "expected `true`, or the name of an outside provider");
                None
            }
        }
    }

    fn encode(&self) -> Option<Value> {
        match self {
            Self::Pages(value) => value.encode(),
            Self::Outside(name) => name.encode(),
        }
    }

    fn place(&self, path: &[&str]) -> Option<Position> {
        match self {
            Self::Pages(_) => None,
            Self::Outside(name) => name.place(path),
        }
    }

    fn schema() -> Value {
        schema::any_of(vec![bool::schema(), Text::schema()])
    }
}
