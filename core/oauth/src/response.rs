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

/// Issued tokens, for the client that asked for them.
#[derive(Debug, Clone, Copy)]
pub struct TokenResponse<'a> {
    /// The token.
    pub access_token: &'a Secret,
    /// How it is presented.
    pub token_type: TokenType,
    /// How long it lives, in seconds.
    pub expires_in_secs: u64,
    /// What it allows.
    pub scopes: &'a ScopeSet,
    /// The token to go on with.
    pub refresh_token: Option<&'a Secret>,
    /// Who the user is (OpenID Connect Core §3.1.3.3).
    pub id_token: Option<&'a Secret>,
    /// What kind of token it is, where that was asked for (RFC 8693 §2.2.1).
    pub issued_token_type: Option<&'a str>,
}

impl TokenResponse<'_> {
    /// As JSON. `scope` is always told, so that a client need not know its own registration; an
    /// empty one has no spelling (RFC 6749 §3.3) and is left out.
    #[must_use]
    pub fn body(&self) -> String {
        let secrets = [("refresh_token", self.refresh_token), ("id_token", self.id_token)];
        let tokens = secrets.iter().filter_map(|(_, token)| *token).chain([self.access_token]);
        let capacity = tokens.map(|token| token.expose().len()).sum::<usize>() + 256;
        let mut body = String::with_capacity(capacity);
        body.push_str("{\"access_token\":");
        json::write_string(&mut body, self.access_token.expose());
        body.push_str(",\"token_type\":\"");
        body.push_str(self.token_type.as_str());
        body.push_str("\",\"expires_in\":");
        body.push_str(&self.expires_in_secs.to_string());
        for (name, token) in secrets {
            push_text(&mut body, name, token.map(Secret::expose));
        }
        if !self.scopes.is_empty() {
            push_text(&mut body, "scope", Some(&self.scopes.to_string()));
        }
        push_text(&mut body, "issued_token_type", self.issued_token_type);
        body.push('}');
        body
    }
}

fn push_text(body: &mut String, name: &str, text: Option<&str>) {
    if let Some(text) = text {
        body.extend([",\"", name, "\":"]);
        json::write_string(body, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_granted_scope_is_always_told() {
        let token = Secret::new("a.b.c".to_owned());
        let scopes = ScopeSet::parse("read write").unwrap();
        let answer = TokenResponse {
            access_token: &token,
            token_type: TokenType::Bearer,
            expires_in_secs: 60,
            scopes: &scopes,
            refresh_token: None,
            id_token: None,
            issued_token_type: None,
        };
        let expected = r#"{"access_token":"a.b.c","token_type":"Bearer","expires_in":60,"scope":"read write"}"#;
        assert_eq!(answer.body(), expected);
        let nothing = TokenResponse { scopes: &ScopeSet::default(), ..answer };
        assert!(!nothing.body().contains("scope"));
    }

    #[test]
    fn an_answer_has_the_rfcs_members() {
        let text = |text: &str| Secret::new(text.to_owned());
        let (access, refresh, id) = (text("a.b.c"), text("rt_x"), text("d.e.f"));
        let answer = TokenResponse {
            access_token: &access,
            token_type: TokenType::Dpop,
            expires_in_secs: 60,
            scopes: &ScopeSet::parse("openid").unwrap(),
            refresh_token: Some(&refresh),
            id_token: Some(&id),
            issued_token_type: Some("urn:ietf:params:oauth:token-type:access_token"),
        };
        let body = json::parse(answer.body().as_bytes()).unwrap();
        for (name, expected) in [
            ("access_token", "a.b.c"),
            ("token_type", "DPoP"),
            ("scope", "openid"),
            ("refresh_token", "rt_x"),
            ("id_token", "d.e.f"),
            ("issued_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ] {
            assert_eq!(body.get(name).and_then(json::Value::as_str), Some(expected));
        }
        assert_eq!(body.get("expires_in"), Some(&json::Value::Integer(60)));
    }
}
