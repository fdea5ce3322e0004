//! Signature checks in plain Rust, for hosts that cannot do them.
//!
//! Inside WASM an RSA check costs near a millisecond, so whoever uses this keeps a budget.
//! Only public keys are ever handled: the timing weakness of the `rsa` crate concerns private
//! ones.

use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
use rsa::{BigUint, Pkcs1v15Sign, RsaPublicKey};
use sha2::{Digest as _, Sha256};

use crate::jwk::{Key, KeyMaterial};
use crate::{SignatureVerifier, VerifyError};

/// The pure-Rust verifier.
#[derive(Debug, Clone, Copy, Default)]
pub struct SoftVerifier;

impl SignatureVerifier for SoftVerifier {
    fn verify(
        &mut self,
        key: &Key,
        signing_input: &[u8],
        signature: &[u8],
    ) -> Result<bool, VerifyError> {
        let hash = Sha256::digest(signing_input);
        Ok(match &key.material {
            KeyMaterial::Rsa { modulus, exponent } => {
                let numbers = (BigUint::from_bytes_be(modulus), BigUint::from_bytes_be(exponent));
                RsaPublicKey::new_with_max_size(numbers.0, numbers.1, 8192).is_ok_and(|key| {
                    key.verify(Pkcs1v15Sign::new::<Sha256>(), &hash, signature).is_ok()
                })
            }
            KeyMaterial::P256 { x, y } => {
                let point = [&[0x04], x.as_slice(), y.as_slice()].concat();
                let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(&point);
                let signature = p256::ecdsa::Signature::from_slice(signature);
                match (key, signature) {
                    (Ok(key), Ok(signature)) => key.verify_prehash(&hash, &signature).is_ok(),
                    _ => false,
                }
            }
        })
    }
}
