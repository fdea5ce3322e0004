//! What every verifier is tried with. The tests of other crates that have one include this
//! folder by its path, so each verifier answers for the same cases.

pub mod jose;
pub mod oracle;
pub mod primitives;
pub mod rfc;

use postern_jose::{
    CompactJws, Key, KeySet, SignatureVerifier, TokenError, VerifyError, base64url,
};

/// A set of one JWK.
pub fn set_of(jwk: &str) -> KeySet {
    KeySet::parse(format!("{{\"keys\":[{jwk}]}}").as_bytes()).unwrap()
}

/// A JWK.
pub fn key_of(jwk: &str) -> Key {
    set_of(jwk).keys.remove(0)
}

/// Checks a JWS against a set, whatever its payload is.
pub fn judge(
    jws: &str,
    keys: &KeySet,
    verifier: &mut dyn SignatureVerifier,
) -> Result<(), TokenError> {
    CompactJws::parse(jws)?.verified_by(keys, verifier).map(drop)
}

/// The verifier does not know the algorithm, and says so.
pub fn is_unsupported(judged: Result<(), TokenError>) -> bool {
    judged == Err(TokenError::Unverified(VerifyError::Unsupported))
}

/// A part of a JWS.
pub fn encoded(text: &str) -> String {
    base64url::encode(text.as_bytes())
}
