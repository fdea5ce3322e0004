//! The proof of possession in a request of the token endpoint (RFC 9449 §5). Checking it is
//! `postern_jose`'s, and whoever has a store remembers that it was shown.

use postern_jose::VerifyError;
use postern_jose::dpop::{DpopError, DpopRequest, LEEWAY_SECS, MAX_PROOF_BYTES};
use postern_request::UnixMillis;
use postern_request::headers::Single;

use crate::OAuthError;

/// How old a proof may be, in seconds: until then it has to be remembered.
pub const MAX_PROOF_AGE_SECS: u64 = 60;

/// A proof as it came; nothing of it is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenEndpointProof<'a>(&'a str);

impl<'a> TokenEndpointProof<'a> {
    /// Reads the header `DPoP`; none where there is none.
    ///
    /// # Errors
    /// `invalid_dpop_proof` for more than one (RFC 9449 §4.3, 1), and for what cannot be one.
    pub fn parse(header: Single<'a>) -> Result<Option<Self>, OAuthError> {
        let value = match header {
            Single::Absent => return Ok(None),
            Single::Repeated => return Err(OAuthError::invalid_dpop_proof()),
            Single::One(value) => value,
        };
        let text = core::str::from_utf8(value).ok();
        let text = text.filter(|text| !text.is_empty() && text.len() <= MAX_PROOF_BYTES);
        text.map(|text| Some(Self(text))).ok_or(OAuthError::invalid_dpop_proof())
    }

    /// The proof, for [`postern_jose::dpop::verify`].
    #[must_use]
    pub const fn as_str(&self) -> &'a str {
        self.0
    }

    /// The request that it has to be made for: a `POST` to `url`, which is the endpoint's by the
    /// issuer's name ([`ServerRules::url`](crate::ServerRules::url)), never by the request's
    /// `host`. There is no access token yet.
    #[must_use]
    pub const fn request(url: &'a str, now: UnixMillis) -> DpopRequest<'a> {
        DpopRequest {
            method: "POST",
            url,
            access_token_hash: None,
            nonces: &[],
            now,
            max_age_secs: MAX_PROOF_AGE_SECS,
            leeway_secs: LEEWAY_SECS,
        }
    }

    /// What the client is told of a proof that was refused.
    #[must_use]
    pub const fn refused(error: DpopError) -> OAuthError {
        match error {
            DpopError::Unverified(VerifyError::Budget) => OAuthError::unavailable(),
            _ => OAuthError::invalid_dpop_proof(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorCode;

    #[test]
    fn there_is_one_proof_or_none() {
        let long = "a".repeat(MAX_PROOF_BYTES + 1);
        let refused = Err(OAuthError::invalid_dpop_proof());
        for (header, expected) in [
            (Single::Absent, Ok(None)),
            (Single::One(b"a.b.c".as_slice()), Ok(Some("a.b.c"))),
            (Single::One(b""), refused),
            (Single::One(b"\xff"), refused),
            (Single::One(long.as_bytes()), refused),
            (Single::Repeated, refused),
        ] {
            let found = TokenEndpointProof::parse(header).map(|proof| proof.map(|p| p.as_str()));
            assert_eq!(found, expected, "{header:?}");
        }
    }

    #[test]
    fn a_proof_is_made_for_the_endpoint() {
        let request =
            TokenEndpointProof::request("https://gate.example/oauth2/token", UnixMillis(1));
        assert_eq!((request.method, request.access_token_hash), ("POST", None));
        assert_eq!(request.url, "https://gate.example/oauth2/token");
    }

    #[test]
    fn what_was_not_checked_for_want_of_time_is_our_fault() {
        let code = |error| TokenEndpointProof::refused(error).code;
        assert_eq!(code(DpopError::Signature), ErrorCode::InvalidDpopProof);
        assert_eq!(code(DpopError::Url), ErrorCode::InvalidDpopProof);
        let unverified = |error| code(DpopError::Unverified(error));
        assert_eq!(unverified(VerifyError::Unsupported), ErrorCode::InvalidDpopProof);
        assert_eq!(unverified(VerifyError::Budget), ErrorCode::TemporarilyUnavailable);
    }
}
