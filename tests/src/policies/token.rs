//! Tokens of cases: what they say, whether they hold, and where they stand.

use serde_json::{Value, json};

use crate::keys::{self, Key};

/// Seconds that are long over, and a long time to come: further than Envoy lets clocks differ.
const AN_HOUR: u64 = 3600;

/// A token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token {
    /// Alice's, of `https://issuer.example.test`.
    Good,
    /// Bob's, of `https://other.example.test`.
    Other,
    /// Of an issuer that nobody knows.
    Unknown,
    /// Of the first issuer, and nobody's.
    Nameless,
    /// Alice's, and over.
    Expired,
    /// Alice's by its words, and signed by somebody else.
    Forged,
    /// No token.
    Garbage,
}

impl Token {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Good,
        Self::Other,
        Self::Unknown,
        Self::Nameless,
        Self::Expired,
        Self::Forged,
        Self::Garbage,
    ];

    /// As cases name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Other => "other",
            Self::Unknown => "unknown",
            Self::Nameless => "nameless",
            Self::Expired => "expired",
            Self::Forged => "forged",
            Self::Garbage => "garbage",
        }
    }

    fn of_name(name: &str) -> Self {
        let found = Self::ALL.into_iter().find(|token| token.name() == name);
        found.unwrap_or_else(|| panic!("no token `{name}`"))
    }

    /// What it says, without times; none where it is no token.
    #[must_use]
    pub fn claims(self) -> Option<Value> {
        let alice = || {
            json!({
                "iss": "https://issuer.example.test", "sub": "alice", "aud": "gateway",
                "azp": "app", "scope": "read write", "groups": ["staff", "admin"],
                "nested": {"role": "owner", "list": ["x", "zed"]}, "level": 3, "flag": true,
                "team": "a b",
            })
        };
        let of_others = |issuer: &str, subject: &str| {
            let audiences = ["api", "web"];
            json!({"iss": issuer, "sub": subject, "aud": audiences, "azp": "cli", "scope": "read"})
        };
        Some(match self {
            Self::Good | Self::Expired | Self::Forged => alice(),
            Self::Other => of_others("https://other.example.test", "bob"),
            Self::Unknown => of_others("https://nobody.example.test", "mallory"),
            Self::Nameless => json!({"iss": "https://issuer.example.test", "aud": "gateway"}),
            Self::Garbage => return None,
        })
    }

    /// The token itself, to be sent now.
    #[must_use]
    pub fn sign(self) -> String {
        let Some(mut claims) = self.claims() else { return "not.a.token".to_owned() };
        let now = keys::now();
        let is_over = self == Self::Expired;
        claims["iat"] = json!(now - 2 * AN_HOUR);
        claims["exp"] = json!(if is_over { now - AN_HOUR } else { now + AN_HOUR });
        let key = if self == Self::Forged { Key::Stranger } else { Key::Rsa };
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": "rsa-1"});
        key.sign(&header.to_string(), &claims.to_string())
    }
}

/// A token where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Which one.
    pub token: Token,
    /// Where.
    pub place: Place,
}

/// Where a token stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In `Authorization`, behind `Bearer `; several are in one header, with commas in between.
    Bearer,
    /// In another header, behind a prefix that may be empty.
    Header(String, String),
    /// In a query parameter.
    Param(String),
    /// In a cookie.
    Cookie(String),
}

impl Placed {
    /// In `Authorization`.
    #[must_use]
    pub const fn bearer(token: Token) -> Self {
        Self { token, place: Place::Bearer }
    }

    /// Reads a name, or `{token, header, prefix}`, `{token, param}` or `{token, cookie}`.
    pub(super) fn read(value: &Value) -> Self {
        if let Some(name) = value.as_str() {
            return Self::bearer(Token::of_name(name));
        }
        let text = |member: &str| value[member].as_str().map(str::to_owned);
        let token = Token::of_name(&text("token").unwrap_or_default());
        let header = text("header").map(|name| {
            let prefix = text("prefix").unwrap_or_default();
            Place::Header(name, prefix)
        });
        let place = header.or_else(|| text("param").map(Place::Param));
        let place = place.or_else(|| text("cookie").map(Place::Cookie));
        Self { token, place: place.unwrap_or_else(|| panic!("no place: {value}")) }
    }

    pub(super) fn write(&self) -> Value {
        let token = self.token.name();
        match &self.place {
            Place::Bearer => json!(token),
            Place::Header(name, prefix) if prefix.is_empty() => {
                json!({"token": token, "header": name})
            }
            Place::Header(name, prefix) => {
                json!({"token": token, "header": name, "prefix": prefix})
            }
            Place::Param(name) => json!({"token": token, "param": name}),
            Place::Cookie(name) => json!({"token": token, "cookie": name}),
        }
    }
}
