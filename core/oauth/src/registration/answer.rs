//! What was registered (RFC 7591 §3.2.1): everything, so that the client knows what of its own
//! words counts.

use postern_request::json::{self, Value};

use super::NewRegistration;
use crate::{RedirectUri, Secret};

/// The answer to a client that was registered.
#[derive(Debug, Clone, Copy)]
pub struct RegistrationAnswer<'a> {
    /// What was registered.
    pub registered: &'a NewRegistration,
    /// Its id.
    pub client_id: &'a str,
    /// Its secret, which is shown this once.
    pub secret: Option<&'a Secret>,
    /// When, in seconds since the epoch.
    pub issued_at_secs: u64,
}

impl RegistrationAnswer<'_> {
    /// As JSON.
    #[must_use]
    pub fn body(&self) -> String {
        let mut body = Value::Object(self.members()).to_string();
        if let Some(secret) = self.secret
            && body.pop().is_some()
        {
            body.push_str(",\"client_secret\":");
            json::write_string(&mut body, secret.expose());
            // It does not end by itself: the client does, when it is not used.
            body.push_str(",\"client_secret_expires_at\":0}");
        }
        body
    }

    fn members(&self) -> Vec<(String, Value)> {
        let new = self.registered;
        let issued_at = i64::try_from(self.issued_at_secs).unwrap_or(i64::MAX);
        let mut out = vec![
            member("client_id", text(self.client_id)),
            member("client_id_issued_at", Value::Integer(issued_at)),
            member("redirect_uris", uris(&new.redirect_uris)),
            member("token_endpoint_auth_method", text(new.auth_method.as_str())),
            member("grant_types", texts(new.grant_types.iter().map(|grant| grant.as_str()))),
            member("response_types", texts(new.response_types().iter().copied())),
            member("id_token_signed_response_alg", text(new.id_token_alg.as_str())),
            member("require_pushed_authorization_requests", Value::Bool(new.require_par)),
            member("dpop_bound_access_tokens", Value::Bool(new.bind_dpop)),
        ];
        // An empty one has no spelling (RFC 6749 §3.3).
        if !new.scopes.is_empty() {
            out.push(member("scope", text(&new.scopes.to_string())));
        }
        if !new.post_logout_redirect_uris.is_empty() {
            out.push(member("post_logout_redirect_uris", uris(&new.post_logout_redirect_uris)));
        }
        for (name, value) in [
            ("client_name", &new.name),
            ("client_uri", &new.client_uri),
            ("logo_uri", &new.logo_uri),
            ("policy_uri", &new.policy_uri),
            ("jwks_uri", &new.jwks_uri),
        ] {
            out.extend(value.as_deref().map(|value| member(name, text(value))));
        }
        out.extend(new.jwks.clone().map(|jwks| member("jwks", jwks)));
        out
    }
}

fn member(name: &str, value: Value) -> (String, Value) {
    (name.to_owned(), value)
}

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

fn texts<'a>(items: impl Iterator<Item = &'a str>) -> Value {
    Value::Array(items.map(text).collect())
}

fn uris(uris: &[RedirectUri]) -> Value {
    texts(uris.iter().map(RedirectUri::as_str))
}
