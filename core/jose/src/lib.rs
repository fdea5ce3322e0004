//! Signed tokens: JWS (RFC 7515), JWK (RFC 7517) and JWT claims (RFC 7519, RFC 8725, RFC 9068);
//! tokens that are bound to a certificate (RFC 8705) or a key, and the proofs that go with the
//! latter (DPoP, RFC 9449).
//!
//! The crate parses and judges; it never computes a signature check itself unless the `soft`
//! feature is on. Who does (Envoy's BoringSSL, the server's AWS-LC) is handed in as a
//! [`SignatureVerifier`].
//!
//! Deliberately absent: HMAC algorithms and `none` (a verifier that does not know them cannot
//! be talked into them), keys that a token brings along (`jwk`, `jku`, `x5u`, `x5c`) but for
//! the one in a DPoP proof, encryption, and any memory: which proofs were seen before is for
//! whoever keeps state.

mod algorithm;
mod authentication;
pub mod base64url;
mod claims;
mod confirmation;
mod der;
pub mod dpop;
mod error;
mod jwk;
mod jws;
mod key_set;
#[cfg(feature = "soft")]
pub mod soft;
mod thumbprint;
mod token;
pub mod xfcc;

pub use algorithm::{Algorithm, Curve, HashFunction, KeyType};
pub use authentication::AuthenticationFacts;
pub use claims::{ClaimValue, Claims, ClaimsRules};
pub use confirmation::{Confirmation, Possession};
pub use der::{ec_spki, ecdsa_signature_to_der, ed25519_spki, rsa_spki};
pub use error::{TokenError, VerifyError};
pub use jwk::{Key, KeyMaterial, MAX_KID_BYTES};
pub use jws::{CompactJws, MAX_TOKEN_BYTES};
pub use key_set::{KeySet, KeySetError, MAX_KEYS, MAX_SET_BYTES, SkippedKey};
pub use token::{Freshness, Issuer, VerifiedToken, verify, verify_bound};

/// Checks one signature with one key.
pub trait SignatureVerifier {
    /// Whether `signature` (in its JWS form, RFC 7518 §3) over `signing_input` was made by
    /// the private half of `key`, with the algorithm that the key is bound to.
    ///
    /// # Errors
    /// When the check could not be made; see [`VerifyError`].
    fn verify(
        &mut self,
        key: &Key,
        signing_input: &[u8],
        signature: &[u8],
    ) -> Result<bool, VerifyError>;
}
