//! The error codes of the contract.

/// Makes the enum and what each code is told as, from one line each.
macro_rules! codes {
    ($(
        $(#[doc = $doc:literal])+
        $(#[cfg($cfg:meta)])?
        $name:ident = $status:literal, $grpc:literal, $text:literal, $description:literal;
    )+) => {
        /// The error codes of the contract: what a stage of the gateway, or the server, answers
        /// with.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $(
                $(#[doc = $doc])+
                $(#[cfg($cfg)])?
                $name,
            )+
        }

        impl ErrorCode {
            /// Every code, in the order of their statuses.
            pub const ALL: &'static [Self] = &[$($(#[cfg($cfg)])? Self::$name,)+];

            /// The code as clients see it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $($(#[cfg($cfg)])? Self::$name => $text,)+ }
            }

            /// The HTTP status.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $($(#[cfg($cfg)])? Self::$name => $status,)+ }
            }

            /// The gRPC status (google.rpc.Code) for callers that speak gRPC.
            #[must_use]
            pub const fn grpc_status(self) -> u8 {
                match self { $($(#[cfg($cfg)])? Self::$name => $grpc,)+ }
            }

            /// What a client is told when the denial says nothing more exact.
            #[must_use]
            pub const fn description(self) -> &'static str {
                match self { $($(#[cfg($cfg)])? Self::$name => $description,)+ }
            }
        }
    };
}

// Status, gRPC status, the code's text, and what people are told.
codes! {
    /// 400: the request cannot be read one way only.
    BadRequest = 400, 3, "BAD_REQUEST", "The request cannot be understood";
    /// 401: no credential, where one is needed.
    Unauthorized = 401, 16, "UNAUTHORIZED", "Authentication is required";
    /// 401: a credential that does not hold.
    InvalidToken = 401, 16, "INVALID_TOKEN", "The access token is invalid";
    /// 401: a token that was revoked.
    TokenRevoked = 401, 16, "TOKEN_REVOKED", "The access token was revoked";
    /// 401: e-mail and password are not somebody's; never which of them.
    #[cfg(feature = "server")]
    InvalidCredentials = 401, 16, "INVALID_CREDENTIALS", "E-mail or password is wrong";
    /// 401: the password is right, and a second factor is missing or wrong.
    #[cfg(feature = "server")]
    MfaRequired = 401, 16, "MFA_REQUIRED", "A second factor is required";
    /// 401: the credential holds, and its holder has to authenticate again or with more
    /// (RFC 9470).
    #[cfg(feature = "server")]
    InsufficientUserAuthentication = 401, 16, "INSUFFICIENT_USER_AUTHENTICATION",
        "Another authentication is required";
    /// 403: not for this caller.
    Forbidden = 403, 7, "FORBIDDEN", "Access is denied";
    /// 403: the token lacks a scope that the route asks for.
    InsufficientScope = 403, 7, "INSUFFICIENT_SCOPE", "The access token lacks a required scope";
    /// 403: the account, or where the caller comes from, is shut out.
    #[cfg(feature = "server")]
    Blocked = 403, 7, "BLOCKED", "Access is blocked";
    /// 404: no such route.
    NotFound = 404, 12, "NOT_FOUND", "No such resource";
    /// 413: a body or header block above its bound.
    PayloadTooLarge = 413, 8, "PAYLOAD_TOO_LARGE", "The request is too large";
    /// 422: the request is well-formed, and a field of it says what it must not.
    #[cfg(feature = "server")]
    ValidationError = 422, 3, "VALIDATION_ERROR", "A field of the request is not valid";
    /// 429: a limit is used up.
    RateLimitExceeded = 429, 8, "RATE_LIMIT_EXCEEDED", "Too many requests";
    /// 502: the upstream did not answer properly.
    BadGateway = 502, 14, "BAD_GATEWAY", "The upstream service did not answer properly";
    /// 503: the service's circuit is open.
    CircuitOpen = 503, 14, "CIRCUIT_OPEN", "Circuit breaker open";
    /// 503: something of ours that the decision needs is not there.
    Unavailable = 503, 14, "UNAVAILABLE", "The service is not available at the moment";
    // gRPC's own table makes UNAVAILABLE of a 504 too, and so does Envoy.
    /// 504: the upstream took too long.
    GatewayTimeout = 504, 14, "GATEWAY_TIMEOUT", "The upstream service took too long";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_status_of_its_class() {
        for code in ErrorCode::ALL {
            assert!((400..=504).contains(&code.status()), "{code:?}");
            assert!((1..=16).contains(&code.grpc_status()), "{code:?}");
        }
        assert!(ErrorCode::ALL.is_sorted_by_key(|code| code.status()));
    }

    #[test]
    fn every_code_is_told_in_words_of_its_own() {
        for (at, code) in ErrorCode::ALL.iter().enumerate() {
            let text = code.as_str();
            assert!(text.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'), "{text}");
            assert!(!code.description().contains(['"', '\\']), "{text}");
            let mut others = ErrorCode::ALL.iter().skip(at + 1);
            assert!(others.all(|other| other.as_str() != text), "{text}");
        }
    }
}
