//! Signature checks in plain Rust, for hosts that cannot do them.
//!
//! Inside WASM an RSA check costs near a millisecond, so whoever uses this keeps a budget.
//! ECDSA is left out: every Envoy that is supported checks it, and each curve would add tens of
//! kilobytes to every module. The feature `soft-p256` brings ES256, for tests.
//!
//! Only public keys are ever handled: the timing weakness of the `rsa` crate concerns private
//! ones.

#[cfg(feature = "soft-p256")]
use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
use rsa::signature::Verifier as _;
use rsa::{BigUint, Pkcs1v15Sign, RsaPublicKey, pss};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use crate::algorithm::Algorithm;
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
            KeyMaterial::Rsa { modulus, exponent } => {
                let (n, e) = (BigUint::from_bytes_be(modulus), BigUint::from_bytes_be(exponent));
                match RsaPublicKey::new_with_max_size(n, e, 8192) {
                    Ok(public) => rsa(public, key.algorithm, signing_input, signature),
                    Err(_) => Ok(false),
                }
            }
            #[cfg(feature = "soft-p256")]
            KeyMaterial::Ec { curve: crate::algorithm::Curve::P256, x, y } => {
                Ok(p256(x, y, signing_input, signature).unwrap_or(false))
            }
            KeyMaterial::Ec { .. } => Err(VerifyError::Unsupported),
            KeyMaterial::Ed25519 { point } => {
                Ok(ed25519(point, signing_input, signature).unwrap_or(false))
            }
        }
    }
}

/// RFC 8017 §8.1.2, §8.2.2, with the parameters of RFC 7518 §3.3, §3.5.
fn rsa(
    key: RsaPublicKey,
    algorithm: Algorithm,
    input: &[u8],
    signature: &[u8],
) -> Result<bool, VerifyError> {
    // Not the scheme `Pss` of the crate: that one takes a signature beyond the modulus too.
    let number = || pss::Signature::try_from(signature);
    Ok(match algorithm {
        Algorithm::Rs256 => {
            let scheme = Pkcs1v15Sign::new::<Sha256>();
            key.verify(scheme, &Sha256::digest(input), signature).is_ok()
        }
        Algorithm::Rs384 => {
            let scheme = Pkcs1v15Sign::new::<Sha384>();
            key.verify(scheme, &Sha384::digest(input), signature).is_ok()
        }
        Algorithm::Rs512 => {
            let scheme = Pkcs1v15Sign::new::<Sha512>();
            key.verify(scheme, &Sha512::digest(input), signature).is_ok()
        }
        Algorithm::Ps256 => {
            let key = pss::VerifyingKey::<Sha256>::new(key);
            number().is_ok_and(|number| key.verify(input, &number).is_ok())
        }
        Algorithm::Ps384 => {
            let key = pss::VerifyingKey::<Sha384>::new(key);
            number().is_ok_and(|number| key.verify(input, &number).is_ok())
        }
        Algorithm::Ps512 => {
            let key = pss::VerifyingKey::<Sha512>::new(key);
            number().is_ok_and(|number| key.verify(input, &number).is_ok())
        }
        Algorithm::Es256 | Algorithm::Es384 | Algorithm::Es512 | Algorithm::EdDsa => {
            return Err(VerifyError::Unsupported);
        }
    })
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
