//! Why a signature was not checked, and why a token was refused.

/// Why a signature could not be checked: never the token's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The budget for costly checks is spent; a retry a second later may pass.
    #[error("the budget for signature checks is spent")]
    Budget,
    /// No verifier here knows the key's algorithm; a retry does not help.
    #[error("the key's algorithm is not supported here")]
    Unsupported,
}

/// Why a token was refused. Clients are told `invalid_token` and nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Longer than [`crate::MAX_TOKEN_BYTES`].
    #[error("too long")]
    TooLong,
    /// Not three base64url parts.
    #[error("not a compact JWS")]
    Form,
    /// The header is not an object of the expected members.
    #[error("bad header")]
    Header,
    /// The algorithm is none that is known here.
    #[error("unknown algorithm")]
    Algorithm,
    /// The header names extensions that must be understood (`crit`).
    #[error("unknown critical header")]
    Critical,
    /// The header's `typ` is not that of an access token.
    #[error("wrong type")]
    Type,
    /// The payload is not an object of the expected members.
    #[error("bad claims")]
    Claims,
    /// A claim that the issuer's tokens must have is not there.
    #[error("a required claim is missing")]
    Required,
    /// No configured issuer has this `iss`.
    #[error("unknown issuer")]
    Issuer,
    /// The issuer's keys are not there yet: never the token's fault; a retry may pass.
    #[error("the issuer's keys are missing")]
    KeysMissing,
    /// No key of the issuer fits the header.
    #[error("unknown key")]
    Key,
    /// The signature does not hold.
    #[error("bad signature")]
    Signature,
    /// Meant for somebody else.
    #[error("wrong audience")]
    Audience,
    /// Over, or over before it began.
    #[error("expired")]
    Expired,
    /// Not valid yet.
    #[error("not valid yet")]
    NotYet,
    /// Bound to a key or certificate (`cnf`) whose possession was not proven, or bound in a way
    /// that is not known here.
    #[error("proof of possession missing")]
    Confirmation,
    /// The signature could not be checked.
    #[error("signature not checked: {0}")]
    Unverified(VerifyError),
}

impl TokenError {
    /// Whether the token itself is not to blame, so that its holder may try again.
    #[must_use]
    pub const fn is_ours(self) -> bool {
        matches!(self, Self::KeysMissing | Self::Unverified(_))
    }

    /// What a client is told: a bad token is its own fault and no check is named; what is
    /// missing on our side is 503.
    #[must_use]
    pub fn to_denial(self) -> postern_request::Denial {
        if self.is_ours() {
            postern_request::Denial::unavailable(self.reason(), 1)
        } else {
            postern_request::Denial::invalid_token(self.reason())
        }
    }

    /// A stable word for logs and metrics.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::TooLong => "token_too_long",
            Self::Form => "token_form",
            Self::Header => "token_header",
            Self::Algorithm => "token_algorithm",
            Self::Critical => "token_critical",
            Self::Type => "token_type",
            Self::Claims => "token_claims",
            Self::Required => "token_claim_missing",
            Self::Issuer => "token_issuer",
            Self::KeysMissing => "keys_missing",
            Self::Key => "token_key",
            Self::Signature => "token_signature",
            Self::Audience => "token_audience",
            Self::Expired => "token_expired",
            Self::NotYet => "token_not_yet",
            Self::Confirmation => "token_confirmation",
            Self::Unverified(VerifyError::Budget) => "token_budget",
            Self::Unverified(VerifyError::Unsupported) => "token_unsupported",
        }
    }
}
