//! Tokens that are bound to something their holder must show (RFC 7800, `cnf`).

use postern_request::Denial;
use postern_request::json::Value;
use subtle::ConstantTimeEq as _;

use crate::{TokenError, base64url};

/// What a token is bound to. Nothing at all for a bearer token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Confirmation {
    /// `x5t#S256`: SHA-256 of the client's certificate in DER (RFC 8705 §3.1).
    pub certificate: Option<[u8; 32]>,
    /// `jkt`: the thumbprint of the client's key (RFC 9449 §6.1).
    pub key: Option<[u8; 32]>,
}

/// What a request has proven to possess.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Possession {
    /// SHA-256 of the certificate of its TLS connection; see [`crate::xfcc`].
    pub certificate: Option<[u8; 32]>,
    /// The thumbprint of the key of its DPoP proof; see [`crate::dpop`].
    pub key: Option<[u8; 32]>,
}

impl Confirmation {
    /// Reads `cnf`. A way of binding that is not known here cannot be checked, so a token that
    /// has one is refused, whatever else it is bound to.
    pub(crate) fn read(cnf: &Value) -> Result<Self, TokenError> {
        let members = cnf.as_object().ok_or(TokenError::Confirmation)?;
        let mut confirmation = Self::default();
        for (name, value) in members {
            let place = match name.as_str() {
                "x5t#S256" => &mut confirmation.certificate,
                "jkt" => &mut confirmation.key,
                _ => return Err(TokenError::Confirmation),
            };
            *place = Some(hash(value).ok_or(TokenError::Confirmation)?);
        }
        // `{}` binds to nothing, which is not what whoever wrote it can have meant.
        if confirmation.is_bound() { Ok(confirmation) } else { Err(TokenError::Confirmation) }
    }

    /// Whether the token is more than a bearer token.
    #[must_use]
    pub const fn is_bound(&self) -> bool {
        self.certificate.is_some() || self.key.is_some()
    }

    /// Whether a token goes with the scheme that it was sent with. One that is bound to a key is
    /// no bearer token (RFC 9449 §7.1, §7.2), and whoever sends another one with a proof takes it
    /// for what it is not.
    ///
    /// # Errors
    /// The refusal.
    pub fn check_scheme(&self, with_proof: bool) -> Result<(), Denial> {
        if self.key.is_some() == with_proof {
            Ok(())
        } else {
            Err(Denial::invalid_token("dpop_scheme"))
        }
    }

    /// Whether a request has shown everything that the token is bound to.
    ///
    /// # Errors
    /// [`TokenError::Confirmation`] when something is missing or is another one.
    pub fn check(&self, shown: &Possession) -> Result<(), TokenError> {
        let proven = |bound: Option<[u8; 32]>, shown: Option<[u8; 32]>| match (bound, shown) {
            (None, _) => true,
            (Some(bound), Some(shown)) => bool::from(bound.as_slice().ct_eq(shown.as_slice())),
            (Some(_), None) => false,
        };
        if proven(self.certificate, shown.certificate) && proven(self.key, shown.key) {
            Ok(())
        } else {
            Err(TokenError::Confirmation)
        }
    }
}

/// 32 bytes in base64url.
fn hash(value: &Value) -> Option<[u8; 32]> {
    base64url::decode(value.as_str()?)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use postern_request::json;

    fn read(text: &str) -> Result<Confirmation, TokenError> {
        Confirmation::read(&json::parse(text.as_bytes()).unwrap())
    }

    #[test]
    fn known_bindings_are_read_and_no_others() {
        // What RFC 8705 §3.1 shows has stray bits at its end, so nobody can have encoded it.
        let example = r#"{"x5t#S256":"bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"}"#;
        assert_eq!(read(example).err(), Some(TokenError::Confirmation));
        let certificate = r#"{"x5t#S256":"A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0"}"#;
        assert_eq!(read(certificate).unwrap().certificate.unwrap()[..2], [3, 128]);
        let key = read(r#"{"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}"#).unwrap();
        assert!(key.certificate.is_none() && key.key.is_some() && key.is_bound());
        for other in [
            "{}",
            "[]",
            "null",
            r#"{"jwk":{}}"#,
            r#"{"kid":"a"}"#,
            r#"{"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I","osc":{}}"#,
            r#"{"jkt":"0ZcOCORZNYy"}"#,
            r#"{"jkt":7}"#,
            r#"{"x5t":"A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0"}"#,
        ] {
            assert_eq!(read(other).err(), Some(TokenError::Confirmation), "{other}");
        }
    }

    #[test]
    fn a_token_that_is_bound_to_a_key_has_a_scheme_of_its_own() {
        let (hash, nothing) = (Some([1; 32]), Confirmation::default());
        for (bound, with_proof, fits) in [
            (nothing, false, true),
            (nothing, true, false),
            (Confirmation { key: hash, ..nothing }, true, true),
            (Confirmation { key: hash, ..nothing }, false, false),
            (Confirmation { certificate: hash, ..nothing }, false, true),
            (Confirmation { certificate: hash, ..nothing }, true, false),
            (Confirmation { certificate: hash, key: hash }, true, true),
        ] {
            let refused = bound.check_scheme(with_proof).err().map(|denial| denial.reason);
            assert_eq!(refused, (!fits).then_some("dpop_scheme"), "{bound:?} {with_proof}");
        }
    }

    #[test]
    fn everything_that_a_token_is_bound_to_must_be_shown() {
        let (a, b) = (Some([1; 32]), Some([2; 32]));
        for (bound, shown, expected) in [
            ((None, None), (None, None), true),
            ((None, None), (a, b), true),
            ((a, None), (a, None), true),
            ((a, None), (None, None), false),
            ((a, None), (b, a), false),
            ((None, b), (None, b), true),
            ((None, b), (b, None), false),
            ((a, b), (a, b), true),
            ((a, b), (a, None), false),
        ] {
            let confirmation = Confirmation { certificate: bound.0, key: bound.1 };
            let shown = Possession { certificate: shown.0, key: shown.1 };
            assert_eq!(confirmation.check(&shown).is_ok(), expected, "{bound:?} {shown:?}");
        }
    }
}
