//! Errors (RFC 6749 §5.2 and the extensions' own) and their one rendering.

mod code;

use postern_request::denial::RenderedDenial;
use postern_request::{UnixMillis, headers, json};

pub use code::ErrorCode;

/// What proofs of possession may be signed with, as a challenge lists it (RFC 9449 §7.1).
const PROOF_ALGORITHMS: &str = "ES256 ES384 ES512 EdDSA RS256 RS384 RS512 PS256 PS384 PS512";

/// How the client tried to show who it is, so that a 401 asks for the same (RFC 6749 §5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ChallengeScheme {
    /// With a client's secret.
    #[default]
    Basic,
    /// With a token that whoever has it may use (RFC 6750 §3).
    Bearer,
    /// With a token that is bound to a key (RFC 9449 §7.1).
    Dpop,
}

/// A request that is turned away.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("{}: {description}", .code.as_str())]
pub struct OAuthError {
    /// What the client is told.
    pub code: ErrorCode,
    /// A text for people. Never holds request data, and none of the characters that RFC 6749
    /// §5.2 keeps out of `error_description`.
    pub description: &'static str,
    /// What is asked for with a 401 or 403.
    pub challenge: ChallengeScheme,
    /// What the log is told and the client is not: a stable word.
    why: Option<&'static str>,
}

/// By what clients are told.
impl PartialEq for OAuthError {
    fn eq(&self, other: &Self) -> bool {
        let told = |error: &Self| (error.code, error.description, error.challenge);
        told(self) == told(other)
    }
}

impl Eq for OAuthError {}

impl OAuthError {
    /// An error with its text.
    #[must_use]
    pub const fn new(code: ErrorCode, description: &'static str) -> Self {
        Self { code, description, challenge: ChallengeScheme::Basic, why: None }
    }

    /// Why, as the log has it.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self.why {
            Some(why) => why,
            None => self.description,
        }
    }

    /// The same at an endpoint that is used with a token.
    #[must_use]
    pub const fn at_resource(self, challenge: ChallengeScheme) -> Self {
        Self { challenge, ..self }
    }

    /// The one answer to a client that is unknown, switched off or could not prove itself:
    /// telling these apart would tell strangers which clients exist.
    #[must_use]
    pub const fn invalid_client() -> Self {
        Self::new(ErrorCode::InvalidClient, "Client authentication failed")
    }

    /// The one answer for a while to whoever has failed at that too often, right or wrong: one who
    /// tries secrets does not learn any more which one is right.
    #[must_use]
    pub const fn too_many_attempts() -> Self {
        Self::new(ErrorCode::TooManyAttempts, "Too many attempts to authenticate have failed")
    }

    /// The request cannot be read.
    #[must_use]
    pub const fn invalid_request(description: &'static str) -> Self {
        Self::new(ErrorCode::InvalidRequest, description)
    }

    /// The one answer to a code or token that is unknown, over, spent, or somebody else's.
    #[must_use]
    pub const fn invalid_grant() -> Self {
        Self::new(
            ErrorCode::InvalidGrant,
            "The grant is invalid, has expired, was revoked, or is not this client's",
        )
    }

    /// The same, with what is wrong in a word for the log.
    #[must_use]
    pub const fn bad_grant(why: &'static str) -> Self {
        Self { why: Some(why), ..Self::invalid_grant() }
    }

    /// A scope that is malformed, or more than may be had.
    #[must_use]
    pub const fn invalid_scope(description: &'static str) -> Self {
        Self::new(ErrorCode::InvalidScope, description)
    }

    /// A resource that is none of ours, or that was not granted.
    #[must_use]
    pub const fn invalid_target() -> Self {
        Self::new(ErrorCode::InvalidTarget, "The resource is malformed, unknown or not granted")
    }

    /// The client may not do this.
    #[must_use]
    pub const fn unauthorized_client() -> Self {
        Self::new(ErrorCode::UnauthorizedClient, "The client may not use this grant type")
    }

    /// No such grant here.
    #[must_use]
    pub const fn unsupported_grant_type() -> Self {
        Self::new(ErrorCode::UnsupportedGrantType, "The grant type is not supported")
    }

    /// A proof of possession is missing, or does not hold.
    #[must_use]
    pub const fn invalid_dpop_proof() -> Self {
        Self::new(
            ErrorCode::InvalidDpopProof,
            "The DPoP proof is missing, is not made for this request, or does not hold",
        )
    }

    /// Something of ours failed for good; the log says what.
    #[must_use]
    pub const fn server_error() -> Self {
        Self::new(ErrorCode::ServerError, "The request could not be processed")
    }

    /// Something of ours is not there at the moment.
    #[must_use]
    pub const fn unavailable() -> Self {
        Self::new(
            ErrorCode::TemporarilyUnavailable,
            "The authorization server is not available at the moment",
        )
    }

    /// The HTTP status. A proof fails like any parameter at the token endpoint (RFC 9449 §5), and
    /// like the token that it goes with where one is used (§7.1).
    #[must_use]
    pub fn status(&self) -> u16 {
        match self.code {
            ErrorCode::InvalidDpopProof if self.challenge != ChallengeScheme::Basic => 401,
            code => code.status(),
        }
    }

    /// The one rendering: the RFC's members, and the two that every error of the suite has.
    #[must_use]
    pub fn render(&self, correlation_id: &str, now: UnixMillis) -> RenderedDenial {
        let mut out = vec![
            ("content-type", "application/json".to_owned()),
            ("cache-control", "no-store".to_owned()),
            ("pragma", "no-cache".to_owned()),
            (headers::CORRELATION_ID, correlation_id.to_owned()),
        ];
        if let Some(challenge) = self.challenge() {
            out.push(("www-authenticate", challenge));
        }
        let retry_after = match self.code {
            ErrorCode::TemporarilyUnavailable => Some("1"),
            ErrorCode::TooManyAttempts => Some("60"),
            _ => None,
        };
        if let Some(secs) = retry_after {
            out.push(("retry-after", secs.to_owned()));
        }
        RenderedDenial { status: self.status(), headers: out, body: self.body(correlation_id, now) }
    }

    /// RFC 9110 §15.5.2 wants a challenge with every 401. RFC 6749 §5.2 names Basic for clients
    /// that tried it; one answer for all clients keeps the two in step.
    fn challenge(&self) -> Option<String> {
        if !matches!(self.status(), 401 | 403) {
            return None;
        }
        let mut out = match self.challenge {
            ChallengeScheme::Basic => return Some("Basic realm=\"postern\"".to_owned()),
            ChallengeScheme::Bearer => "Bearer realm=\"postern\"".to_owned(),
            ChallengeScheme::Dpop => "DPoP realm=\"postern\"".to_owned(),
        };
        if self.code != ErrorCode::TokenMissing {
            out.extend([", error=\"", self.code.as_str(), "\""]);
        }
        if self.challenge == ChallengeScheme::Dpop {
            out.extend([", algs=\"", PROOF_ALGORITHMS, "\""]);
        }
        Some(out)
    }

    fn body(&self, correlation_id: &str, now: UnixMillis) -> String {
        let mut body = String::with_capacity(192);
        body.push_str("{\"error\":\"");
        body.push_str(self.code.as_str());
        body.push_str("\",\"error_description\":");
        json::write_string(&mut body, self.description);
        body.push_str(",\"correlation_id\":");
        json::write_string(&mut body, correlation_id);
        body.push_str(",\"timestamp\":\"");
        body.push_str(&now.to_rfc3339());
        body.push_str("\"}");
        body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(error: OAuthError, name: &str) -> (u16, Option<String>) {
        let rendered = error.render("id", UnixMillis(0));
        let found = rendered.headers.iter().find(|(header, _)| *header == name);
        (rendered.status, found.map(|(_, value)| value.clone()))
    }

    #[test]
    fn an_error_is_json_with_the_rfcs_members() {
        let rendered = OAuthError::invalid_client().render("id", UnixMillis(0));
        assert_eq!(rendered.status, 401);
        let body = json::parse(rendered.body.as_bytes()).unwrap();
        assert_eq!(body.get("error").unwrap().as_str(), Some("invalid_client"));
        assert!(body.get("error_description").unwrap().as_str().is_some());
        assert_eq!(body.get("correlation_id").unwrap().as_str(), Some("id"));
        let has = |name: &str| rendered.headers.iter().any(|(header, _)| *header == name);
        assert!(has("www-authenticate") && has("cache-control") && has("pragma"));
    }

    #[test]
    fn faults_of_ours_say_whether_a_retry_helps() {
        assert_eq!(header(OAuthError::server_error(), "retry-after"), (500, None));
        let unavailable = header(OAuthError::unavailable(), "retry-after");
        assert_eq!(unavailable, (503, Some("1".to_owned())));
    }

    #[test]
    fn a_challenge_is_in_the_scheme_that_was_tried() {
        use ChallengeScheme::{Basic, Bearer, Dpop};
        use ErrorCode::{
            InsufficientScope, InvalidClient, InvalidDpopProof, InvalidGrant, InvalidToken,
            TokenMissing,
        };
        for (code, scheme, status, expected) in [
            (InvalidClient, Basic, 401, Some("Basic realm=\"postern\"")),
            (InvalidGrant, Basic, 400, None),
            (InvalidGrant, Bearer, 400, None),
            (InvalidDpopProof, Basic, 400, None),
            (
                InvalidDpopProof,
                Dpop,
                401,
                Some(
                    "DPoP realm=\"postern\", error=\"invalid_dpop_proof\", algs=\"ES256 ES384 \
                     ES512 EdDSA RS256 RS384 RS512 PS256 PS384 PS512\"",
                ),
            ),
            (TokenMissing, Bearer, 401, Some("Bearer realm=\"postern\"")),
            (InvalidToken, Bearer, 401, Some("Bearer realm=\"postern\", error=\"invalid_token\"")),
            (
                InsufficientScope,
                Bearer,
                403,
                Some("Bearer realm=\"postern\", error=\"insufficient_scope\""),
            ),
            (
                InvalidToken,
                Dpop,
                401,
                Some(
                    "DPoP realm=\"postern\", error=\"invalid_token\", algs=\"ES256 ES384 ES512 \
                     EdDSA RS256 RS384 RS512 PS256 PS384 PS512\"",
                ),
            ),
        ] {
            let error = OAuthError::new(code, "Text").at_resource(scheme);
            let (told, challenge) = header(error, "www-authenticate");
            assert_eq!((told, challenge.as_deref()), (status, expected), "{code:?} {scheme:?}");
        }
    }
}
