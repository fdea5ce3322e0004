//! Signing keys, as they are kept, without what is secret of them.

use postern_request::UnixMillis;

use super::SigningKeyRecord;

/// The public half of a key that signs tokens, or did: all that whoever checks tokens reads. A
/// user of the database that may read no more than this can run every role but `identity`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicSigningKey {
    /// `kid`
    pub kid: String,
    /// `alg`, as RFC 7518 spells it.
    pub algorithm: String,
    /// A JWK as JSON text.
    pub public_jwk: String,
    /// When it was made. It is published from then on.
    pub created_at: UnixMillis,
    /// From when on it may sign.
    pub activates_at: UnixMillis,
    /// From when on it is not published any more.
    pub retires_at: Option<UnixMillis>,
}

impl SigningKeyRecord {
    /// Its public half.
    #[must_use]
    pub fn public(&self) -> PublicSigningKey {
        PublicSigningKey {
            kid: self.kid.clone(),
            algorithm: self.algorithm.clone(),
            public_jwk: self.public_jwk.clone(),
            created_at: self.created_at,
            activates_at: self.activates_at,
            retires_at: self.retires_at,
        }
    }
}
