//! Proof Key for Code Exchange (RFC 7636): whoever exchanges a code is whoever asked for it.
//!
//! S256 alone: `plain` shows the verifier to everybody who sees the request (RFC 9700 §2.1.1).

use postern_jose::base64url;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::OAuthError;

/// How challenges are made here, as metadata spells it.
pub const CHALLENGE_METHOD: &str = "S256";

/// What an authorization request commits to: the SHA-256 of a verifier that only its sender has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeChallenge([u8; 32]);

impl CodeChallenge {
    /// Reads `code_challenge` and `code_challenge_method`.
    ///
    /// # Errors
    /// `invalid_request` for a method but S256 (none means `plain`, RFC 7636 §4.3), for one
    /// without a challenge, and for a challenge that is no SHA-256 in base64url.
    pub fn parse(
        challenge: Option<&str>,
        method: Option<&str>,
    ) -> Result<Option<Self>, OAuthError> {
        match (challenge, method) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err(OAuthError::invalid_request(
                "The parameter code_challenge_method is there without code_challenge",
            )),
            (Some(challenge), Some(CHALLENGE_METHOD)) => hash_of(challenge)
                .map(|hash| Some(Self(hash)))
                .ok_or(OAuthError::invalid_request("The parameter code_challenge is malformed")),
            (Some(_), _) => {
                Err(OAuthError::invalid_request("The parameter code_challenge_method must be S256"))
            }
        }
    }

    /// Whether this is the verifier's.
    #[must_use]
    pub fn is_met_by(&self, verifier: &str) -> bool {
        let hash: [u8; 32] = Sha256::digest(verifier.as_bytes()).into();
        is_verifier(verifier) && bool::from(hash.as_slice().ct_eq(self.0.as_slice()))
    }

    /// The hash, to be kept.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 32] {
        self.0
    }

    /// Of a hash that was kept.
    #[must_use]
    pub const fn from_bytes(hash: [u8; 32]) -> Self {
        Self(hash)
    }
}

/// Whether a text can be a verifier (RFC 7636 §4.1).
///
/// # Errors
/// `invalid_request`
pub fn check_verifier(text: &str) -> Result<(), OAuthError> {
    if is_verifier(text) {
        Ok(())
    } else {
        Err(OAuthError::invalid_request("The parameter code_verifier is malformed"))
    }
}

fn is_verifier(text: &str) -> bool {
    (43..=128).contains(&text.len())
        && text.bytes().all(postern_request::token_places::is_unreserved)
}

/// 32 bytes in base64url, which has one spelling for them.
pub(crate) fn hash_of(text: &str) -> Option<[u8; 32]> {
    if text.len() != 43 {
        return None;
    }
    base64url::decode(text)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorCode;
    use proptest::prelude::*;

    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    fn parse(challenge: Option<&str>, method: Option<&str>) -> Result<bool, ErrorCode> {
        CodeChallenge::parse(challenge, method).map(|found| found.is_some()).map_err(|e| e.code)
    }

    #[test]
    fn the_example_of_appendix_b() {
        let challenge = CodeChallenge::parse(Some(CHALLENGE), Some("S256")).unwrap().unwrap();
        assert!(challenge.is_met_by(VERIFIER));
        assert_eq!(CodeChallenge::from_bytes(challenge.to_bytes()), challenge);
    }

    #[test]
    fn a_missing_or_plain_challenge_is_refused() {
        let refused = Err(ErrorCode::InvalidRequest);
        for (challenge, method, expected) in [
            (Some(CHALLENGE), Some("S256"), Ok(true)),
            (None, None, Ok(false)),
            (Some(CHALLENGE), None, refused),
            (Some(CHALLENGE), Some("plain"), refused),
            (Some(CHALLENGE), Some("s256"), refused),
            (Some(CHALLENGE), Some("S512"), refused),
            (None, Some("S256"), refused),
            (None, Some("plain"), refused),
        ] {
            assert_eq!(parse(challenge, method), expected, "{challenge:?} {method:?}");
        }
    }

    #[test]
    fn verifiers_and_challenges_have_their_form() {
        for (verifier, expected) in [
            (VERIFIER.to_owned(), true),
            ("a".repeat(43), true),
            ("-._~".repeat(32), true),
            ("a".repeat(42), false),
            ("a".repeat(129), false),
            (String::new(), false),
            (format!("{}+", "a".repeat(50)), false),
            (format!("{}é", "a".repeat(50)), false),
            (format!("{} ", "a".repeat(50)), false),
        ] {
            assert_eq!(check_verifier(&verifier).is_ok(), expected, "{verifier}");
        }
        for bad in [
            String::new(),
            "a".repeat(42),
            format!("{CHALLENGE}="),
            CHALLENGE.replace("-cM", "-cN"),
            CHALLENGE.replace('-', "+"),
            VERIFIER.repeat(2),
        ] {
            assert_eq!(parse(Some(&bad), Some("S256")), Err(ErrorCode::InvalidRequest), "{bad}");
        }
    }

    #[test]
    fn what_is_no_verifier_fits_nothing() {
        let short = "short";
        let challenge = CodeChallenge(Sha256::digest(short.as_bytes()).into());
        assert!(!challenge.is_met_by(short), "whoever could guess it could use the code");
    }

    proptest! {
        /// A challenge is met by its own verifier and by no other.
        #[test]
        fn only_the_verifier_of_the_challenge_fits(
            own in "[A-Za-z0-9._~-]{43,128}",
            other in "[A-Za-z0-9._~-]{43,128}",
        ) {
            let hash = Sha256::digest(own.as_bytes());
            let text = base64url::encode(&hash);
            let challenge = CodeChallenge::parse(Some(&text), Some("S256")).unwrap().unwrap();
            prop_assert!(challenge.is_met_by(&own));
            prop_assert_eq!(challenge.is_met_by(&other), own == other);
        }
    }
}
