//! Errors of the token endpoint (RFC 6749 §5.2) and their one rendering.

use postern_request::denial::RenderedDenial;
use postern_request::{UnixMillis, headers, json};

/// What went wrong, and whose fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The client's: the request cannot be read. A retry does not help.
    InvalidRequest,
    /// The client's: the request is above a bound. Told as `invalid_request`.
    RequestTooLarge,
    /// The client's: who it is could not be shown.
    InvalidClient,
    /// The client's: it may not use this grant.
    UnauthorizedClient,
    /// The client's: no such grant here.
    UnsupportedGrantType,
    /// The client's: a scope that is malformed or not its own.
    InvalidScope,
    /// Ours; a retry does not help.
    ServerError,
    /// Ours, and it passes: something that the answer needs is not there at the moment.
    TemporarilyUnavailable,
}

impl ErrorCode {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::InvalidRequest,
        Self::RequestTooLarge,
        Self::InvalidClient,
        Self::UnauthorizedClient,
        Self::UnsupportedGrantType,
        Self::InvalidScope,
        Self::ServerError,
        Self::TemporarilyUnavailable,
    ];

    /// As `error` spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest | Self::RequestTooLarge => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope => "invalid_scope",
            Self::ServerError => "server_error",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
        }
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::InvalidRequest
            | Self::UnauthorizedClient
            | Self::UnsupportedGrantType
            | Self::InvalidScope => 400,
            Self::InvalidClient => 401,
            Self::RequestTooLarge => 413,
            Self::ServerError => 500,
            Self::TemporarilyUnavailable => 503,
        }
    }
}

/// A request of the token endpoint that is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}: {description}", .code.as_str())]
pub struct OAuthError {
    /// What the client is told.
    pub code: ErrorCode,
    /// A text for people. Never holds request data, and none of the characters that RFC 6749
    /// §5.2 keeps out of `error_description`.
    pub description: &'static str,
}

impl OAuthError {
    /// An error with its text.
    #[must_use]
    pub const fn new(code: ErrorCode, description: &'static str) -> Self {
        Self { code, description }
    }

    /// The one answer to a client that is unknown, switched off or could not prove itself:
    /// telling these apart would tell strangers which clients exist.
    #[must_use]
    pub const fn invalid_client() -> Self {
        Self::new(ErrorCode::InvalidClient, "Client authentication failed")
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

    /// The one rendering: the RFC's members, and the two that every error of the suite has.
    #[must_use]
    pub fn render(&self, correlation_id: &str, now: UnixMillis) -> RenderedDenial {
        let mut out = vec![
            ("content-type", "application/json".to_owned()),
            ("cache-control", "no-store".to_owned()),
            ("pragma", "no-cache".to_owned()),
            (headers::CORRELATION_ID, correlation_id.to_owned()),
        ];
        match self.code {
            // RFC 9110 §15.5.2 wants a challenge with every 401; RFC 6749 §5.2 names Basic for
            // clients that tried it. One answer for all keeps the two in step.
            ErrorCode::InvalidClient => {
                out.push(("www-authenticate", "Basic realm=\"postern\"".to_owned()));
            }
            ErrorCode::TemporarilyUnavailable => out.push(("retry-after", "1".to_owned())),
            _ => {}
        }
        RenderedDenial {
            status: self.code.status(),
            headers: out,
            body: self.body(correlation_id, now),
        }
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
        let header = |error: OAuthError, name: &str| {
            let rendered = error.render("id", UnixMillis(0));
            (rendered.status, rendered.headers.iter().any(|(header, _)| *header == name))
        };
        assert_eq!(header(OAuthError::server_error(), "retry-after"), (500, false));
        assert_eq!(header(OAuthError::unavailable(), "retry-after"), (503, true));
    }

    #[test]
    fn every_code_has_a_status_and_a_word() {
        for code in ErrorCode::ALL {
            assert!((400..=503).contains(&code.status()), "{code:?}");
            assert!(code.as_str().bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
        }
    }
}
