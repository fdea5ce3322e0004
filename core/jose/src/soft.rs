//! Signature checks in plain Rust, for hosts that cannot do them.
//!
//! Inside WASM such a check costs some tenths of a millisecond, so whoever uses this keeps a
//! budget. ECDSA is left out: every Envoy that is supported checks it, and each curve would add
//! tens of kilobytes to every module. The feature `soft-p256` brings ES256, for tests.
//!
//! Only public keys are ever handled, so nothing has to take the same time for all of them.

mod modexp;
mod rsa;

#[cfg(feature = "soft-p256")]
use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
#[cfg(feature = "soft-p256")]
use sha2::{Digest as _, Sha256};

use crate::algorithm::{Algorithm, KeyType};
use crate::jwk::{Key, KeyMaterial};
use crate::{SignatureVerifier, VerifyError};

/// The pure-Rust verifier.
#[derive(Debug, Clone, Copy, Default)]
pub struct SoftVerifier;

impl SoftVerifier {
    /// Whether it knows an algorithm.
    #[must_use]
    pub const fn supports(algorithm: Algorithm) -> bool {
        match algorithm {
            Algorithm::Es256 => cfg!(feature = "soft-p256"),
            Algorithm::Es384 | Algorithm::Es512 => false,
            _ => true,
        }
    }
}

impl SignatureVerifier for SoftVerifier {
    fn verify(
        &mut self,
        key: &Key,
        signing_input: &[u8],
        signature: &[u8],
    ) -> Result<bool, VerifyError> {
        match &key.material {
            KeyMaterial::Rsa { modulus, exponent } if key.algorithm.key_type() == KeyType::Rsa => {
                Ok(rsa::verify(modulus, exponent, key.algorithm, signing_input, signature))
            }
            #[cfg(feature = "soft-p256")]
            KeyMaterial::Ec { curve: crate::algorithm::Curve::P256, x, y } => {
                Ok(p256(x, y, signing_input, signature).unwrap_or(false))
            }
            KeyMaterial::Rsa { .. } | KeyMaterial::Ec { .. } => Err(VerifyError::Unsupported),
            KeyMaterial::Ed25519 { point } => {
                Ok(ed25519(point, signing_input, signature).unwrap_or(false))
            }
        }
    }
}

/// None where key or signature is not one at all.
#[cfg(feature = "soft-p256")]
fn p256(x: &[u8], y: &[u8], input: &[u8], signature: &[u8]) -> Option<bool> {
    // SEC 1 §2.3.3: 4 for uncompressed.
    let point = [&[0x04], x, y].concat();
    let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(&point).ok()?;
    let signature = p256::ecdsa::Signature::from_slice(signature).ok()?;
    Some(key.verify_prehash(&Sha256::digest(input), &signature).is_ok())
}

/// Strictly: no second signature can be made of one, and neither key nor R may be of small
/// order (RFC 8032 §5.1.7, §8.4).
fn ed25519(point: &[u8], input: &[u8], signature: &[u8]) -> Option<bool> {
    let point: &[u8; 32] = point.try_into().ok()?;
    let key = ed25519_dalek::VerifyingKey::from_bytes(point).ok()?;
    let signature: &[u8; 64] = signature.try_into().ok()?;
    let signature = ed25519_dalek::Signature::from_bytes(signature);
    Some(key.verify_strict(input, &signature).is_ok())
}
