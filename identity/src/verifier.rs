//! Signature checks by AWS-LC.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519,
    ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384,
    RSA_PSS_2048_8192_SHA512, VerificationAlgorithm,
};
use postern_jose::{Algorithm, Key, SignatureVerifier, VerifyError};

/// Most parsed keys that are kept for one algorithm: more than a document's issuers can publish
/// at once.
const MAX_PARSED: usize = 1024;

/// Keys by their SubjectPublicKeyInfo; none for one that cannot be used, such as a point that
/// is not on its curve.
type ParsedKeys = HashMap<Vec<u8>, Option<Arc<ParsedPublicKey>>>;

/// Checks signatures with AWS-LC, for `postern_jose::verify`.
///
/// Parsing a key costs a good part of an RSA check, so each key is parsed once. Clones share
/// what was parsed and are cheap: take one wherever a verifier must be mutable.
#[derive(Debug, Clone)]
pub struct AwsLcVerifier {
    /// By algorithm, because one RSA key may serve several. None for a verifier that does not
    /// remember.
    parsed: Option<Arc<RwLock<HashMap<Algorithm, ParsedKeys>>>>,
}

impl Default for AwsLcVerifier {
    fn default() -> Self {
        Self::new()
    }
}

impl AwsLcVerifier {
    /// A verifier that has seen no key yet.
    #[must_use]
    pub fn new() -> Self {
        Self { parsed: Some(Arc::default()) }
    }

    /// A verifier that remembers no keys: for proofs that bring their own, where everybody can
    /// bring as many as they like.
    #[must_use]
    pub const fn without_memory() -> Self {
        Self { parsed: None }
    }

    fn parsed(&self, key: &Key) -> Option<Arc<ParsedPublicKey>> {
        let parse = || ParsedPublicKey::new(ours(key.algorithm), &key.spki).ok().map(Arc::new);
        let Some(parsed) = &self.parsed else { return parse() };
        // Nothing panics under this lock, so what a poisoned one guards is whole.
        let known = parsed.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known.get(&key.algorithm).and_then(|keys| keys.get(&key.spki)) {
            return found.clone();
        }
        drop(known);
        let made = parse();
        let mut known = parsed.write().unwrap_or_else(PoisonError::into_inner);
        let keys = known.entry(key.algorithm).or_default();
        if keys.len() >= MAX_PARSED {
            // Keys come and go with rotations over months; starting over is simpler than age.
            keys.clear();
        }
        keys.insert(key.spki.clone(), made.clone());
        made
    }
}

/// By the library's name. RSA keys with fewer than 2048 or more than 8192 bits are refused, and
/// PSS wants a salt as long as the hash.
fn ours(algorithm: Algorithm) -> &'static dyn VerificationAlgorithm {
    match algorithm {
        Algorithm::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
        Algorithm::Rs384 => &RSA_PKCS1_2048_8192_SHA384,
        Algorithm::Rs512 => &RSA_PKCS1_2048_8192_SHA512,
        Algorithm::Ps256 => &RSA_PSS_2048_8192_SHA256,
        Algorithm::Ps384 => &RSA_PSS_2048_8192_SHA384,
        Algorithm::Ps512 => &RSA_PSS_2048_8192_SHA512,
        Algorithm::Es256 => &ECDSA_P256_SHA256_FIXED,
        Algorithm::Es384 => &ECDSA_P384_SHA384_FIXED,
        Algorithm::Es512 => &ECDSA_P521_SHA512_FIXED,
        Algorithm::EdDsa => &ED25519,
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
mod tests;
