//! Answers of the authorization endpoint, as values of `location` (RFC 6749 §4.1.2, RFC 9207).

use crate::{OAuthError, RedirectUri, Secret};

/// A request that is turned away at the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct AuthorizeError {
    /// Why.
    pub error: OAuthError,
    /// Where that is told; registered for the client.
    pub redirect_uri: String,
    /// `state`, as it came.
    pub state: Option<String>,
}

/// Where the browser goes with a code. `redirect_uri` is registered for the client.
#[must_use]
pub fn success(redirect_uri: &str, code: &Secret, state: Option<&str>, issuer: &str) -> String {
    let code = ("code", code.expose());
    let state = state.map(|state| ("state", state));
    let pairs = [Some(code), state, Some(("iss", issuer))];
    RedirectUri::with_query(redirect_uri, &pairs.into_iter().flatten().collect::<Vec<_>>())
}

/// Where the browser goes with an error.
#[must_use]
pub fn failure(error: &AuthorizeError, issuer: &str) -> String {
    let state = error.state.as_deref().map(|state| ("state", state));
    let pairs = [
        Some(("error", error.error.code.as_str())),
        Some(("error_description", error.error.description)),
        state,
        Some(("iss", issuer)),
    ];
    RedirectUri::with_query(&error.redirect_uri, &pairs.into_iter().flatten().collect::<Vec<_>>())
}
