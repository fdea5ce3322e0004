//! Signing keys, by operators.

use postern_request::UnixMillis;

use super::Operators;
use crate::IdentityError;
use crate::admin::{
    Actor, KeySummary, Rotation, check_another_signs, list_keys, retire_key, rotate_keys,
};

/// Where nothing here opens signing keys.
const ELSEWHERE: &str = "signing keys are made by whoever has the key that seals them: a server \
                         with the role `identity`, or `postern keys rotate`";

impl Operators {
    /// All signing keys, oldest first.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn signing_keys(&self, now: UnixMillis) -> Result<Vec<KeySummary>, IdentityError> {
        list_keys(&*self.store, now).await
    }

    /// Makes a signing key.
    ///
    /// # Errors
    /// [`IdentityError::NotHere`] where nothing could seal it, and those of [`rotate_keys`].
    pub async fn rotate_signing_key(
        &self,
        rotation: Rotation,
        by: &Actor,
        now: UnixMillis,
    ) -> Result<KeySummary, IdentityError> {
        let kek = self.kek.as_ref().ok_or(IdentityError::NotHere(ELSEWHERE))?;
        let made = rotate_keys(&*self.store, kek, rotation, now).await?;
        let detail = [("algorithm", made.algorithm.as_str())];
        self.write_down("key.rotated", &made.kid, &detail, by, now).await?;
        Ok(made)
    }

    /// Takes a signing key out of use at once, with `even_the_last` also where nothing signs then;
    /// whether another one signs.
    ///
    /// # Errors
    /// [`IdentityError::UnknownKey`], [`IdentityError::LastSigningKey`] and those of the store.
    pub async fn retire_signing_key(
        &self,
        kid: &str,
        even_the_last: bool,
        by: &Actor,
        now: UnixMillis,
    ) -> Result<bool, IdentityError> {
        if !even_the_last {
            check_another_signs(&*self.store, kid, now).await?;
        }
        let another = retire_key(&*self.store, kid, now).await?;
        self.write_down("key.retired", kid, &[], by, now).await?;
        Ok(another)
    }
}
