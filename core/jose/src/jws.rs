//! Compact JWS (RFC 7515 §7.1) and its header.

use postern_request::json::{self, Value};

use crate::jwk::{Algorithm, MAX_KID_BYTES};
use crate::{TokenError, base64url};

/// Longest token that is looked at, in bytes.
pub const MAX_TOKEN_BYTES: usize = 16_384;

/// A token in its parts, nothing of it verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompactJws<'a> {
    /// What the signature is over.
    pub signing_input: &'a str,
    /// The algorithm that the token claims; keys have the last word.
    pub algorithm: Algorithm,
    /// `kid`.
    pub key_id: Option<String>,
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
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::TooLong);
        }
        let (signing_input, signature) = token.rsplit_once('.').ok_or(TokenError::Form)?;
        let (header, payload) = signing_input.split_once('.').ok_or(TokenError::Form)?;
        if payload.contains('.') {
            return Err(TokenError::Form);
        }
        let decode = |part| base64url::decode(part).ok_or(TokenError::Form);
        let (algorithm, key_id) = read_header(&decode(header)?)?;
        Ok(Self {
            signing_input,
            algorithm,
            key_id,
            payload: decode(payload)?,
            signature: decode(signature)?,
        })
    }
}

fn read_header(text: &[u8]) -> Result<(Algorithm, Option<String>), TokenError> {
    let header = json::parse(text).map_err(|_| TokenError::Header)?;
    let members = header.as_object().ok_or(TokenError::Header)?;
    let (mut algorithm, mut key_id) = (None, None);
    for (name, value) in members {
        match (name.as_str(), value) {
            ("alg", Value::String(alg)) => {
                algorithm = Some(Algorithm::parse(alg).ok_or(TokenError::Algorithm)?);
            }
            ("kid", Value::String(kid)) if kid.len() <= MAX_KID_BYTES => {
                key_id = Some(kid.clone());
            }
            ("typ", Value::String(typ)) if is_access_token_type(typ) => {}
            ("typ", Value::String(_)) => return Err(TokenError::Type),
            // No extension is known here, so none that is critical can be honoured (§4.1.11).
            ("crit", _) => return Err(TokenError::Critical),
            ("alg" | "kid" | "typ", _) => return Err(TokenError::Header),
            // Keys that a token brings along (jwk, jku, x5u, x5c) are never looked at.
            _ => {}
        }
    }
    Ok((algorithm.ok_or(TokenError::Header)?, key_id))
}

/// RFC 9068 §2.1 and, for issuers from before it, plain `JWT`. Other types (DPoP proofs,
/// logout tokens) are signed by the same keys and must not pass for access tokens.
fn is_access_token_type(typ: &str) -> bool {
    ["at+jwt", "application/at+jwt", "jwt"].iter().any(|known| typ.eq_ignore_ascii_case(known))
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
            (r#"{"alg":"none"}"#, Some(TokenError::Algorithm)),
            (r#"{"alg":"HS256"}"#, Some(TokenError::Algorithm)),
            (r#"{"alg":"rs256"}"#, Some(TokenError::Algorithm)),
            (r#"{"alg":["RS256"]}"#, Some(TokenError::Header)),
            (r#"{"alg":"RS256","alg":"ES256"}"#, Some(TokenError::Header)),
            (r#"{"typ":"JWT"}"#, Some(TokenError::Header)),
            (r#"{"alg":"RS256","typ":"dpop+jwt"}"#, Some(TokenError::Type)),
            (r#"{"alg":"RS256","crit":["b64"],"b64":false}"#, Some(TokenError::Critical)),
            (r#"{"alg":"RS256","crit":[]}"#, Some(TokenError::Critical)),
            (r#"["RS256"]"#, Some(TokenError::Header)),
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
}
