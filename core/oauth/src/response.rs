//! Answers of the token endpoint (RFC 6749 §5.1).

use postern_request::json;

use crate::{ScopeSet, Secret};

/// Headers that keep an answer out of every cache.
pub const NO_STORE: [(&str, &str); 2] = [("cache-control", "no-store"), ("pragma", "no-cache")];

/// How a token is presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenType {
    /// Whoever has it may use it (RFC 6750).
    Bearer,
    /// With a proof of possession (RFC 9449 §5).
    Dpop,
}

impl TokenType {
    /// As `token_type` spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bearer => "Bearer",
            Self::Dpop => "DPoP",
        }
    }
}

/// An issued token, for the client that asked for it.
#[derive(Debug, Clone, Copy)]
pub struct TokenResponse<'a> {
    /// The token.
    pub access_token: &'a Secret,
    /// How long it lives, in seconds.
    pub expires_in_secs: u64,
    /// What it allows.
    pub scopes: &'a ScopeSet,
}

impl TokenResponse<'_> {
    /// As JSON. `scope` is always told, so that a client need not know its own registration.
    #[must_use]
    pub fn body(&self) -> String {
        let token = self.access_token.expose();
        let mut body = String::with_capacity(token.len() + 160);
        body.push_str("{\"access_token\":");
        json::write_string(&mut body, token);
        body.push_str(",\"token_type\":\"");
        body.push_str(TokenType::Bearer.as_str());
        body.push_str("\",\"expires_in\":");
        body.push_str(&self.expires_in_secs.to_string());
        if !self.scopes.is_empty() {
            body.push_str(",\"scope\":");
            json::write_string(&mut body, &self.scopes.to_string());
        }
        body.push('}');
        body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_the_rfcs_members() {
        let token = Secret::new("a.b.c".to_owned());
        let scopes = ScopeSet::parse("read write").unwrap();
        let answer = TokenResponse { access_token: &token, expires_in_secs: 60, scopes: &scopes };
        let body = json::parse(answer.body().as_bytes()).unwrap();
        for (name, expected) in
            [("access_token", "a.b.c"), ("token_type", "Bearer"), ("scope", "read write")]
        {
            assert_eq!(body.get(name).and_then(json::Value::as_str), Some(expected));
        }
        assert_eq!(body.get("expires_in"), Some(&json::Value::Integer(60)));
    }
}
