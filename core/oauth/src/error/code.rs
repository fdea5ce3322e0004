//! Error codes of OAuth, OpenID Connect and their extensions.

/// What went wrong, and whose fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The client's: the request cannot be read. A retry does not help.
    InvalidRequest,
    /// The client's: the request is above a bound. Told as `invalid_request`.
    RequestTooLarge,
    /// The client's: who it is could not be shown.
    InvalidClient,
    /// The client's: it may not do this.
    UnauthorizedClient,
    /// The client's: no such grant here.
    UnsupportedGrantType,
    /// The client's: no such response type here (RFC 6749 §4.1.2.1).
    UnsupportedResponseType,
    /// The client's: a scope that is malformed or not its own.
    InvalidScope,
    /// The client's: a code or token that is none, is over, or is somebody else's.
    InvalidGrant,
    /// The user's: they said no, or may not say yes.
    AccessDenied,
    /// The client's: a resource that is none of ours, or that was not granted (RFC 8707 §2).
    InvalidTarget,
    /// The client's: a proof of possession that does not hold, or is missing (RFC 9449 §5).
    InvalidDpopProof,
    /// Nobody's: the user has not said anything yet (RFC 8628 §3.5).
    AuthorizationPending,
    /// The client's: it asks too often (RFC 8628 §3.5).
    SlowDown,
    /// The user's, who took too long (RFC 8628 §3.5).
    ExpiredToken,
    /// The client's: no such kind of token is revoked here (RFC 7009 §2.2.1).
    UnsupportedTokenType,
    /// The client's: an address that cannot be registered (RFC 7591 §3.2.2).
    InvalidRedirectUri,
    /// The client's: something else that cannot be registered (RFC 7591 §3.2.2).
    InvalidClientMetadata,
    /// The client's: what somebody has signed about it counts for nothing here (RFC 7591 §3.2.2).
    UnapprovedSoftwareStatement,
    /// Nobody's: the user would have to log in (OpenID Connect Core §3.1.2.6).
    LoginRequired,
    /// Nobody's: the user would have to agree.
    ConsentRequired,
    /// Nobody's: the user would have to do something else.
    InteractionRequired,
    /// Nobody's: the user would have to choose who they are.
    AccountSelectionRequired,
    /// The client's: `request` is not read here.
    RequestNotSupported,
    /// The client's: `request_uri` is not fetched from elsewhere.
    RequestUriNotSupported,
    /// The client's: `registration` is not read here.
    RegistrationNotSupported,
    /// The client's: it asks for an authentication that nobody can do here (RFC 9470 §5).
    UnmetAuthenticationRequirements,
    /// The client's: a pushed request that is none, or is over.
    InvalidRequestUri,
    /// The client's: no token was shown. Told as `invalid_token`, but the challenge names no
    /// error (RFC 6750 §3.1).
    TokenMissing,
    /// The client's: a token that does not hold (RFC 6750 §3.1).
    InvalidToken,
    /// The client's: a token that does not reach far enough (RFC 6750 §3.1).
    InsufficientScope,
    /// The client's, or of whoever tries its secrets: too many attempts to authenticate have
    /// failed. Told as `invalid_client`.
    TooManyAttempts,
    /// Ours; a retry does not help.
    ServerError,
    /// Ours, and it passes: something that the answer needs is not there at the moment.
    TemporarilyUnavailable,
}

impl ErrorCode {
    /// All of them.
    pub const ALL: [Self; 33] = [
        Self::InvalidRequest,
        Self::RequestTooLarge,
        Self::InvalidClient,
        Self::UnauthorizedClient,
        Self::UnsupportedGrantType,
        Self::UnsupportedResponseType,
        Self::InvalidScope,
        Self::InvalidGrant,
        Self::AccessDenied,
        Self::InvalidTarget,
        Self::InvalidDpopProof,
        Self::AuthorizationPending,
        Self::SlowDown,
        Self::ExpiredToken,
        Self::UnsupportedTokenType,
        Self::InvalidRedirectUri,
        Self::InvalidClientMetadata,
        Self::UnapprovedSoftwareStatement,
        Self::LoginRequired,
        Self::ConsentRequired,
        Self::InteractionRequired,
        Self::AccountSelectionRequired,
        Self::RequestNotSupported,
        Self::RequestUriNotSupported,
        Self::RegistrationNotSupported,
        Self::UnmetAuthenticationRequirements,
        Self::InvalidRequestUri,
        Self::TokenMissing,
        Self::InvalidToken,
        Self::InsufficientScope,
        Self::TooManyAttempts,
        Self::ServerError,
        Self::TemporarilyUnavailable,
    ];

    /// As `error` spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest | Self::RequestTooLarge => "invalid_request",
            Self::InvalidClient | Self::TooManyAttempts => "invalid_client",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidGrant => "invalid_grant",
            Self::AccessDenied => "access_denied",
            Self::InvalidTarget => "invalid_target",
            Self::InvalidDpopProof => "invalid_dpop_proof",
            Self::AuthorizationPending => "authorization_pending",
            Self::SlowDown => "slow_down",
            Self::ExpiredToken => "expired_token",
            Self::UnsupportedTokenType => "unsupported_token_type",
            Self::InvalidRedirectUri => "invalid_redirect_uri",
            Self::InvalidClientMetadata => "invalid_client_metadata",
            Self::UnapprovedSoftwareStatement => "unapproved_software_statement",
            Self::LoginRequired => "login_required",
            Self::ConsentRequired => "consent_required",
            Self::InteractionRequired => "interaction_required",
            Self::AccountSelectionRequired => "account_selection_required",
            Self::RequestNotSupported => "request_not_supported",
            Self::RequestUriNotSupported => "request_uri_not_supported",
            Self::RegistrationNotSupported => "registration_not_supported",
            Self::UnmetAuthenticationRequirements => "unmet_authentication_requirements",
            Self::InvalidRequestUri => "invalid_request_uri",
            Self::TokenMissing | Self::InvalidToken => "invalid_token",
            Self::InsufficientScope => "insufficient_scope",
            Self::ServerError => "server_error",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
        }
    }

    /// The HTTP status, where the answer is no redirect.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::InvalidClient | Self::TokenMissing | Self::InvalidToken => 401,
            Self::InsufficientScope => 403,
            Self::RequestTooLarge => 413,
            Self::TooManyAttempts => 429,
            Self::ServerError => 500,
            Self::TemporarilyUnavailable => 503,
            _ => 400,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_status_and_a_word() {
        for code in ErrorCode::ALL {
            assert!((400..=503).contains(&code.status()), "{code:?}");
            assert!(code.as_str().bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
        }
    }

    #[test]
    fn words_are_told_apart_but_for_those_that_are_meant_to_be_one() {
        let mut words = ErrorCode::ALL.map(ErrorCode::as_str).to_vec();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), ErrorCode::ALL.len() - 3);
    }
}
