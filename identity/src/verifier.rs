//! Signature checks by AWS-LC.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, VerificationAlgorithm,
};
use postern_jose::{Algorithm, Key, SignatureVerifier, VerifyError};

/// Most parsed keys that are kept: more than a document's issuers can publish at once.
const MAX_PARSED: usize = 1024;

/// Keys by their SubjectPublicKeyInfo; none for one that cannot be used.
type ParsedKeys = HashMap<Vec<u8>, Option<Arc<ParsedPublicKey>>>;

/// Checks signatures with AWS-LC, for `postern_jose::verify`.
///
/// Parsing a key costs a good part of an RSA check, so each key is parsed once. Clones share
/// what was parsed and are cheap: take one wherever a verifier must be mutable.
#[derive(Debug, Clone, Default)]
pub struct AwsLcVerifier {
    /// By SubjectPublicKeyInfo, which names the algorithm too. None: not a key at all, such as
    /// a point that is not on its curve.
    parsed: Arc<RwLock<ParsedKeys>>,
}

impl AwsLcVerifier {
    /// A verifier that has seen no key yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn parsed(&self, key: &Key) -> Option<Arc<ParsedPublicKey>> {
        // Nothing panics under this lock, so what a poisoned one guards is whole.
        let known = self.parsed.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known.get(&key.spki) {
            return found.clone();
        }
        drop(known);
        let algorithm: &'static dyn VerificationAlgorithm = match key.algorithm {
            Algorithm::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
            Algorithm::Es256 => &ECDSA_P256_SHA256_FIXED,
        };
        let made = ParsedPublicKey::new(algorithm, &key.spki).ok().map(Arc::new);
        let mut known = self.parsed.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_PARSED {
            // Keys come and go with rotations over months; starting over is simpler than age.
            known.clear();
        }
        known.insert(key.spki.clone(), made.clone());
        made
    }
}

impl SignatureVerifier for AwsLcVerifier {
    fn verify(
        &mut self,
        key: &Key,
        signing_input: &[u8],
        signature: &[u8],
    ) -> Result<bool, VerifyError> {
        let public = self.parsed(key);
        Ok(public.is_some_and(|public| public.verify_sig(signing_input, signature).is_ok()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signing_key::{self, encoding_key};
    use postern_jose::{KeyMaterial, base64url, ec_p256_spki};

    fn sign(algorithm: Algorithm, private: &[u8], message: &[u8]) -> Vec<u8> {
        let theirs = match algorithm {
            Algorithm::Rs256 => jsonwebtoken::Algorithm::RS256,
            Algorithm::Es256 => jsonwebtoken::Algorithm::ES256,
        };
        let key = encoding_key(algorithm, private).unwrap();
        base64url::decode(&jsonwebtoken::crypto::sign(message, &key, theirs).unwrap()).unwrap()
    }

    #[test]
    fn signatures_hold_for_their_key_and_message_alone() {
        let mut verifier = AwsLcVerifier::new();
        for algorithm in Algorithm::ALL {
            let new = signing_key::generate(algorithm).unwrap();
            let key = signing_key::public_key(&new.public_jwk).unwrap();
            let other = signing_key::generate(algorithm).unwrap();
            let other = signing_key::public_key(&other.public_jwk).unwrap();
            let signature = sign(algorithm, &new.private, b"message");
            for _ in 0..2 {
                assert_eq!(verifier.verify(&key, b"message", &signature), Ok(true));
                assert_eq!(verifier.verify(&key, b"massage", &signature), Ok(false));
                assert_eq!(verifier.verify(&other, b"message", &signature), Ok(false));
            }
            let mut tampered = signature.clone();
            tampered[10] ^= 1;
            assert_eq!(verifier.verify(&key, b"message", &tampered), Ok(false));
            for bad in [&signature[1..], &[], &[0; 64], &[0xff; 256]] {
                assert_eq!(verifier.verify(&key, b"message", bad), Ok(false));
            }
        }
        assert_eq!(verifier.parsed.read().unwrap().len(), 4, "each key is parsed once");
    }

    #[test]
    fn a_point_that_is_not_on_the_curve_verifies_nothing() {
        let (x, y) = (vec![1; 32], vec![2; 32]);
        let spki = ec_p256_spki(&x, &y);
        let key = Key {
            id: None,
            algorithm: Algorithm::Es256,
            material: KeyMaterial::P256 { x, y },
            spki,
        };
        let mut verifier = AwsLcVerifier::new();
        assert_eq!(verifier.verify(&key, b"message", &[1; 64]), Ok(false));
        assert_eq!(verifier.verify(&key, b"message", &[1; 64]), Ok(false));
    }
}
