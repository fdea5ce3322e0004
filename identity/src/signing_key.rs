//! Key pairs: made, and published as JWK. What signs with them is in [`crate::sign`].

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair,
};
use postern_jose::{Algorithm, Key, KeySet, base64url};
use postern_request::json::Value;
use zeroize::Zeroizing;

use crate::{IdentityError, der, random};

/// What we sign with. Every other algorithm is for other people's tokens.
#[cfg(test)]
pub(crate) const SIGNING: [Algorithm; 3] = [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa];

/// A pair that nobody knows yet.
pub(crate) struct NewSigningKey {
    /// RFC 7638: the thumbprint of the public half, so that an id never means two keys.
    pub(crate) kid: String,
    /// The public half, as JSON text.
    pub(crate) public_jwk: String,
    /// The private half: a `PrivateKeyInfo` (RFC 5208) in DER.
    pub(crate) private: Zeroizing<Vec<u8>>,
}

/// Makes a pair: RSA with 2048 bits, P-256, or Ed25519.
pub(crate) fn generate(algorithm: Algorithm) -> Result<NewSigningKey, IdentityError> {
    match algorithm {
        Algorithm::Rs256 => generate_rsa(),
        Algorithm::Es256 => generate_p256(),
        Algorithm::EdDsa => generate_ed25519(),
        _ => None,
    }
    .ok_or(IdentityError::Crypto)
}

fn generate_rsa() -> Option<NewSigningKey> {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).ok()?;
    let (modulus, exponent) = der::rsa_public_numbers(pair.public_key().as_ref())?;
    let private: Pkcs8V1Der<'static> = pair.as_der().ok()?;
    let members = [
        ("e", base64url::encode(exponent)),
        ("kty", "RSA".to_owned()),
        ("n", base64url::encode(modulus)),
    ];
    Some(described(Algorithm::Rs256, members, private.as_ref()))
}

fn generate_p256() -> Option<NewSigningKey> {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).ok()?;
    // SEC 1 §2.3.3: 4 for uncompressed, then x and y.
    let (form, point) = pair.public_key().as_ref().split_first()?;
    let (x, y) = point.split_at_checked(32)?;
    if *form != 4 || y.len() != 32 {
        return None;
    }
    let private = pair.to_pkcs8v1().ok()?;
    let members = [
        ("crv", "P-256".to_owned()),
        ("kty", "EC".to_owned()),
        ("x", base64url::encode(x)),
        ("y", base64url::encode(y)),
    ];
    Some(described(Algorithm::Es256, members, private.as_ref()))
}

/// RFC 8037 §2.
fn generate_ed25519() -> Option<NewSigningKey> {
    let pair = Ed25519KeyPair::generate().ok()?;
    let private = pair.to_pkcs8v1().ok()?;
    let members = [
        ("crv", "Ed25519".to_owned()),
        ("kty", "OKP".to_owned()),
        ("x", base64url::encode(pair.public_key().as_ref())),
    ];
    Some(described(Algorithm::EdDsa, members, private.as_ref()))
}

/// `members` are those that RFC 7638 §3.2 hashes, in its order.
fn described<const N: usize>(
    algorithm: Algorithm,
    members: [(&str, String); N],
    private: &[u8],
) -> NewSigningKey {
    let mut jwk: Vec<(String, Value)> =
        members.into_iter().map(|(name, value)| (name.to_owned(), Value::String(value))).collect();
    let hashed = Value::Object(jwk.clone()).to_string();
    let kid = base64url::encode(&random::sha256(hashed.as_bytes()).0);
    for (name, value) in [("use", "sig"), ("alg", algorithm.as_str()), ("kid", kid.as_str())] {
        jwk.push((name.to_owned(), Value::String(value.to_owned())));
    }
    NewSigningKey {
        public_jwk: Value::Object(jwk).to_string(),
        kid,
        private: Zeroizing::new(private.to_vec()),
    }
}

/// The public half of a stored key.
pub(crate) fn public_key(public_jwk: &str) -> Option<Key> {
    let set = KeySet::parse(format!("{{\"keys\":[{public_jwk}]}}").as_bytes()).ok()?;
    set.keys.into_iter().next()
}

/// What `jsonwebtoken` signs with: it wants RSA keys as PKCS#1 and EC keys as PKCS#8.
#[cfg(test)]
pub(crate) fn encoding_key(
    algorithm: Algorithm,
    private: &[u8],
) -> Option<jsonwebtoken::EncodingKey> {
    use jsonwebtoken::EncodingKey;
    match algorithm {
        Algorithm::Rs256 => der::pkcs1_of_pkcs8(private).map(EncodingKey::from_rsa_der),
        Algorithm::Es256 => Some(EncodingKey::from_ec_der(private)),
        Algorithm::EdDsa => Some(EncodingKey::from_ed_der(private)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jsonwebtoken::jwk::{Jwk, ThumbprintHash};

    #[test]
    fn a_new_key_is_described_as_others_would() {
        for algorithm in SIGNING {
            let new = generate(algorithm).unwrap();
            let key = public_key(&new.public_jwk).unwrap();
            assert_eq!(key.algorithm, algorithm);
            assert_eq!(key.id.as_ref(), Some(&new.kid));

            let theirs: Jwk = serde_json::from_str(&new.public_jwk).unwrap();
            assert_eq!(theirs.thumbprint(ThumbprintHash::SHA256).unwrap(), new.kid);
            assert!(theirs.is_supported());
        }
    }

    /// RFC 7638 §3.1.
    #[test]
    fn the_thumbprint_of_the_rfc_comes_out() {
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR\
                 1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0\
                 h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91\
                 CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44\
                 -csFCur-kEgU8awapJzKnqDKgw";
        let members = [("e", "AQAB".to_owned()), ("kty", "RSA".to_owned()), ("n", n.to_owned())];
        let new = described(Algorithm::Rs256, members, &[]);
        assert_eq!(new.kid, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }
}
