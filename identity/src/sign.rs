//! Signatures of ours.
//!
//! A key pair is parsed, and checked, once. `jsonwebtoken` would do that for every token, and with
//! RSA it costs about as much as the signature itself; so it is what tests compare with, and no
//! more.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use postern_jose::{Algorithm, base64url};
use postern_oauth::Secret;
use postern_request::json::write_string;

use crate::IdentityError;

/// A key pair of ours.
pub(crate) enum Pair {
    /// RS256
    Rsa(RsaKeyPair),
    /// ES256
    Ec(EcdsaKeyPair),
    /// EdDSA
    Ed(Ed25519KeyPair),
}

/// What a token is, as its header says (`typ`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// RFC 9068 §2.1.
    Access,
    /// OpenID Connect Core §2, which wants no type of its own.
    Id,
}

impl TokenKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Access => "at+jwt",
            Self::Id => "JWT",
        }
    }
}

/// A key pair, and the headers of what it signs.
pub(crate) struct SigningPair {
    #[cfg(test)]
    pub(crate) kid: String,
    pair: Pair,
    access_header: String,
    id_header: String,
}

impl Pair {
    /// Reads a private key; none when the bytes are not one of this algorithm.
    pub(crate) fn open(algorithm: Algorithm, private: &[u8]) -> Option<Self> {
        match algorithm {
            Algorithm::Rs256 => RsaKeyPair::from_pkcs8(private).ok().map(Self::Rsa),
            Algorithm::Es256 => {
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, private);
                pair.ok().map(Self::Ec)
            }
            Algorithm::EdDsa => Ed25519KeyPair::from_pkcs8(private).ok().map(Self::Ed),
            _ => None,
        }
    }

    /// A signature as JWS wants it (RFC 7518 §3): that of ES256 is two numbers of one length.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, IdentityError> {
        let failed = |_| IdentityError::Crypto;
        match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
                    .map_err(failed)?;
                Ok(signature)
            }
            Self::Ec(pair) => {
                let signature = pair.sign(&SystemRandom::new(), message).map_err(failed)?;
                Ok(signature.as_ref().to_vec())
            }
            Self::Ed(pair) => Ok(pair.try_sign(message).map_err(failed)?.as_ref().to_vec()),
        }
    }
}

impl SigningPair {
    /// Reads a private key; none when the bytes are not one of this algorithm.
    pub(crate) fn open(algorithm: Algorithm, kid: &str, private: &[u8]) -> Option<Self> {
        Some(Self {
            #[cfg(test)]
            kid: kid.to_owned(),
            pair: Pair::open(algorithm, private)?,
            access_header: header(algorithm, TokenKind::Access, kid),
            id_header: header(algorithm, TokenKind::Id, kid),
        })
    }

    /// Signs claims: a compact JWS (RFC 7515 §7.1).
    pub(crate) fn sign(&self, kind: TokenKind, claims: &[u8]) -> Result<Secret, IdentityError> {
        let header = match kind {
            TokenKind::Access => &self.access_header,
            TokenKind::Id => &self.id_header,
        };
        let mut token = [header.as_str(), ".", &base64url::encode(claims)].concat();
        let signature = self.pair.sign(token.as_bytes())?;
        token.push('.');
        token.push_str(&base64url::encode(&signature));
        Ok(Secret::new(token))
    }
}

fn header(algorithm: Algorithm, kind: TokenKind, kid: &str) -> String {
    let mut header = ["{\"alg\":\"", algorithm.as_str(), "\",\"typ\":\"", kind.as_str()].concat();
    header.push_str("\",\"kid\":");
    write_string(&mut header, kid);
    header.push('}');
    base64url::encode(header.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signing_key::{self, SIGNING};
    use jsonwebtoken::jwk::Jwk;
    use jsonwebtoken::{DecodingKey, Validation, decode, decode_header};

    /// Another library reads the header and finds that the signature holds.
    #[test]
    fn another_library_agrees() {
        for algorithm in SIGNING {
            let new = signing_key::generate(algorithm).unwrap();
            let pair = SigningPair::open(algorithm, &new.kid, &new.private).unwrap();
            let jwk: Jwk = serde_json::from_str(&new.public_jwk).unwrap();
            let key = DecodingKey::from_jwk(&jwk).unwrap();
            for (kind, typ) in [(TokenKind::Access, "at+jwt"), (TokenKind::Id, "JWT")] {
                let token = pair.sign(kind, br#"{"sub":"a"}"#).unwrap();
                let header = decode_header(token.expose()).unwrap();
                assert_eq!(header.alg, algorithm.as_str().parse().unwrap());
                assert_eq!(header.typ.as_deref(), Some(typ));
                assert_eq!(header.kid.as_ref(), Some(&new.kid));
                let mut validation = Validation::new(header.alg);
                validation.required_spec_claims.clear();
                validation.validate_exp = false;
                let decoded =
                    decode::<serde_json::Value>(token.expose(), &key, &validation).unwrap();
                assert_eq!(decoded.claims, serde_json::json!({"sub": "a"}));
            }
        }
    }

    /// The same library, signing with the same key, and PKCS #1 v1.5 has no random part.
    #[test]
    fn an_rsa_signature_is_the_one_that_another_library_makes() {
        let new = signing_key::generate(Algorithm::Rs256).unwrap();
        let pair = Pair::open(Algorithm::Rs256, &new.private).unwrap();
        let theirs = signing_key::encoding_key(Algorithm::Rs256, &new.private).unwrap();
        let theirs =
            jsonwebtoken::crypto::sign(b"message", &theirs, jsonwebtoken::Algorithm::RS256);
        assert_eq!(base64url::encode(&pair.sign(b"message").unwrap()), theirs.unwrap());
    }

    #[test]
    fn only_keys_of_the_algorithm_are_read() {
        for algorithm in SIGNING {
            let new = signing_key::generate(algorithm).unwrap();
            for other in SIGNING {
                let opens = Pair::open(other, &new.private).is_some();
                assert_eq!(opens, other == algorithm, "{algorithm:?} as {other:?}");
            }
            assert!(Pair::open(algorithm, b"junk").is_none());
            assert!(Pair::open(Algorithm::Ps256, &new.private).is_none());
        }
    }
}
