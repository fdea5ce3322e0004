//! Compact JWS (RFC 7515 §7.1) and its header.

use std::borrow::Cow;

use postern_request::json::{Item, Value, parse_members};

use crate::algorithm::Algorithm;
use crate::jwk::{Key, MAX_KID_BYTES};
use crate::key_set::KeySet;
use crate::{SignatureVerifier, TokenError, base64url};

/// Longest token that is looked at, in bytes.
pub const MAX_TOKEN_BYTES: usize = 16_384;

/// Most keys that are tried for a token that names none: each try costs a signature check.
const MAX_TRIES: usize = 4;

/// A token in its parts, nothing of it verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompactJws<'a> {
    /// What the signature is over.
    pub signing_input: &'a str,
    /// The algorithm that the token claims; keys have the last word.
    pub algorithm: Algorithm,
    /// `kid`.
    pub key_id: Option<String>,
    /// Whether `typ` says that it is an access token (RFC 9068 §2.1), and not just any JWT.
    pub is_access_token: bool,
    /// Decoded claims, as JSON text.
    pub payload: Vec<u8>,
    /// Decoded signature.
    pub signature: Vec<u8>,
}

impl<'a> CompactJws<'a> {
    /// Takes a token apart.
    ///
    /// # Errors
    /// On anything but a signed access token with an algorithm that is known here.
    pub fn parse(token: &'a str) -> Result<Self, TokenError> {
        let parts = Parts::of(token, MAX_TOKEN_BYTES)?;
        let header = decode(parts.header)?;
        let header = Header::read(&header)?;
        let media_type = header.media_type.as_deref();
        let is_access_token = media_type.is_some_and(is_access_token_type);
        // Issuers from before RFC 9068 say `JWT`, or nothing.
        let is_plain = media_type.is_none_or(|typ| typ.eq_ignore_ascii_case("jwt"));
        if !is_access_token && !is_plain {
            return Err(TokenError::Type);
        }
        Ok(Self {
            signing_input: parts.signing_input,
            algorithm: header.algorithm,
            key_id: header.key_id.map(Cow::into_owned),
            is_access_token,
            payload: decode(parts.payload)?,
            signature: decode(parts.signature)?,
        })
    }

    /// Finds the key of a set that made the signature.
    ///
    /// # Errors
    /// [`TokenError::Key`] when no key fits the header, [`TokenError::Signature`] when none
    /// that does made it, and [`TokenError::Unverified`].
    pub fn verified_by<'k>(
        &self,
        keys: &'k KeySet,
        verifier: &mut dyn SignatureVerifier,
    ) -> Result<&'k Key, TokenError> {
        let mut known = false;
        for key in keys.candidates(self.algorithm, self.key_id.as_deref()).take(MAX_TRIES) {
            known = true;
            if check_signature(key, self.signing_input, &self.signature, verifier)? {
                return Ok(key);
            }
        }
        Err(if known { TokenError::Signature } else { TokenError::Key })
    }
}

/// One signature by one key. What has not the length of a signature by it is not shown to the
/// verifier, so garbage costs nothing.
pub(crate) fn check_signature(
    key: &Key,
    signing_input: &str,
    signature: &[u8],
    verifier: &mut dyn SignatureVerifier,
) -> Result<bool, TokenError> {
    if signature.len() != key.signature_bytes() {
        return Ok(false);
    }
    let holds = verifier.verify(key, signing_input.as_bytes(), signature);
    holds.map_err(TokenError::Unverified)
}

/// The three parts as they came, and what the signature is over.
pub(crate) struct Parts<'a> {
    pub(crate) signing_input: &'a str,
    pub(crate) header: &'a str,
    pub(crate) payload: &'a str,
    pub(crate) signature: &'a str,
}

impl<'a> Parts<'a> {
    pub(crate) fn of(token: &'a str, longest: usize) -> Result<Self, TokenError> {
        if token.len() > longest {
            return Err(TokenError::TooLong);
        }
        let (signing_input, signature) = token.rsplit_once('.').ok_or(TokenError::Form)?;
        let (header, payload) = signing_input.split_once('.').ok_or(TokenError::Form)?;
        if payload.contains('.') {
            return Err(TokenError::Form);
        }
        Ok(Self { signing_input, header, payload, signature })
    }
}

pub(crate) fn decode(part: &str) -> Result<Vec<u8>, TokenError> {
    base64url::decode(part).ok_or(TokenError::Form)
}

/// What of a JOSE header counts here (RFC 7515 §4.1).
pub(crate) struct Header<'a> {
    pub(crate) algorithm: Algorithm,
    pub(crate) key_id: Option<Cow<'a, str>>,
    /// `typ`
    pub(crate) media_type: Option<Cow<'a, str>>,
    /// `jwk`, which only a DPoP proof may bring along. Other keys in a header (`jku`, `x5u`,
    /// `x5c`) are never looked at.
    pub(crate) key: Option<Value>,
}

impl<'a> Header<'a> {
    pub(crate) fn read(text: &'a [u8]) -> Result<Self, TokenError> {
        let members = parse_members(text).map_err(|_| TokenError::Header)?;
        let (mut algorithm, mut key_id, mut media_type, mut key) = (None, None, None, None);
        for (name, item) in members {
            match (&*name, item) {
                ("alg", Item::String(alg)) => {
                    algorithm = Some(Algorithm::parse(&alg).ok_or(TokenError::Algorithm)?);
                }
                ("kid", Item::String(kid)) if kid.len() <= MAX_KID_BYTES => key_id = Some(kid),
                ("typ", Item::String(typ)) => media_type = Some(typ),
                ("jwk", Item::Other(jwk)) => key = Some(jwk),
                // No extension is known here, so none that is critical can be honoured (§4.1.11).
                ("crit", _) => return Err(TokenError::Critical),
                ("alg" | "kid" | "typ", _) => return Err(TokenError::Header),
                _ => {}
            }
        }
        let algorithm = algorithm.ok_or(TokenError::Header)?;
        Ok(Self { algorithm, key_id, media_type, key })
    }
}

/// RFC 9068 §2.1. Other types (DPoP proofs, logout tokens) are signed by the same keys and must not
/// pass for access tokens.
fn is_access_token_type(typ: &str) -> bool {
    ["at+jwt", "application/at+jwt"].iter().any(|known| typ.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(header: &str) -> String {
        format!("{}.{}.c2ln", base64url::encode(header.as_bytes()), base64url::encode(b"{}"))
    }

    #[test]
    fn headers_are_judged_before_anything_else() {
        for (header, expected) in [
            (r#"{"alg":"RS256"}"#, None),
            (r#"{"alg":"ES256","typ":"at+JWT","kid":"a","x5u":"https://evil.test"}"#, None),
            (r#"{"\u0061lg":"Ed\u0044SA","typ":"JW\u0054"}"#, None),
            (r#"{"alg":"none"}"#, Some(TokenError::Algorithm)),
            (r#"{"alg":"nOnE"}"#, Some(TokenError::Algorithm)),
            (r#"{"alg":"HS256"}"#, Some(TokenError::Algorithm)),
            (r#"{"alg":"rs256"}"#, Some(TokenError::Algorithm)),
            (r#"{"alg":["RS256"]}"#, Some(TokenError::Header)),
            (r#"{"alg":"RS256","alg":"ES256"}"#, Some(TokenError::Header)),
            (r#"{"alg":"RS256","\u0061lg":"ES256"}"#, Some(TokenError::Header)),
            (r#"{"alg":"RS256","kid":7}"#, Some(TokenError::Header)),
            (r#"{"typ":"JWT"}"#, Some(TokenError::Header)),
            (r#"{"alg":"RS256","typ":"dpop+jwt"}"#, Some(TokenError::Type)),
            (r#"{"alg":"RS256","crit":["b64"],"b64":false}"#, Some(TokenError::Critical)),
            (r#"{"alg":"RS256","crit":[]}"#, Some(TokenError::Critical)),
            (r#"["RS256"]"#, Some(TokenError::Header)),
            (r#"{"alg":"RS256"} {}"#, Some(TokenError::Header)),
            ("", Some(TokenError::Header)),
        ] {
            assert_eq!(CompactJws::parse(&token(header)).err(), expected, "{header}");
        }
        let long_kid = format!(r#"{{"alg":"RS256","kid":"{}"}}"#, "k".repeat(10_000));
        assert_eq!(CompactJws::parse(&token(&long_kid)).err(), Some(TokenError::Header));
    }

    #[test]
    fn three_parts_in_base64url_and_no_more() {
        let good = token(r#"{"alg":"RS256"}"#);
        for bad in [
            String::new(),
            "a.b".to_owned(),
            format!("{good}.x"),
            format!("{good}="),
            format!(" {good}"),
            good.replace('.', ".."),
        ] {
            assert_eq!(CompactJws::parse(&bad).err(), Some(TokenError::Form), "{bad}");
        }
        let long = format!("{good}{}", "A".repeat(MAX_TOKEN_BYTES));
        assert_eq!(CompactJws::parse(&long).err(), Some(TokenError::TooLong));
    }

    #[test]
    fn a_signature_of_another_length_is_shown_to_nobody() {
        struct Gullible(usize);
        impl SignatureVerifier for Gullible {
            fn verify(&mut self, _: &Key, _: &[u8], _: &[u8]) -> Result<bool, crate::VerifyError> {
                self.0 += 1;
                Ok(true)
            }
        }
        let keys = KeySet::parse(include_bytes!("../tests/keys/jwks.json")).unwrap();
        let mut verifier = Gullible(0);
        for (length, expected) in [(64, None), (0, Some(())), (63, Some(())), (256, Some(()))] {
            let signature = base64url::encode(&vec![1; length]);
            let header = base64url::encode(br#"{"alg":"ES256"}"#);
            let token = format!("{header}.e30.{signature}");
            let jws = CompactJws::parse(&token).unwrap();
            let error = jws.verified_by(&keys, &mut verifier).err();
            assert_eq!(error, expected.map(|()| TokenError::Signature), "{length}");
        }
        assert_eq!(verifier.0, 1);
    }
}
