//! What users do to their own factors, as far as their role lets them.

use postern_oauth::Secret;
use postern_request::UnixMillis;
use postern_store::durable::{FactorKind, UserRecord};
use postern_store::{FlowKey, FlowKind};

use super::LoginService;
use crate::login::LoginError;
use crate::login::factors::{FactorSummary, TotpEnrolment};

/// What says that a factor of a user is being taken away; their id stands behind it. No cookie of
/// a log-in is such a name, and it is no log-in.
const REMOVING: &[u8] = b"removing:";
/// For how long at most: far longer than the database may take.
const REMOVING_MS: u64 = 60_000;

/// What became of a factor that somebody wanted to take away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// It is gone.
    Done,
    /// There was no such one.
    Unknown,
    /// It is the last one, and the user's role asks for one.
    Last,
}

impl LoginService {
    /// Begins to set up an application for codes, for somebody who is logged in.
    ///
    /// # Errors
    /// [`LoginError::Limited`], [`LoginError::Blocked`] where the user has enough of them, and
    /// those of store and vault.
    pub async fn start_totp(
        &self,
        user: &UserRecord,
        now: UnixMillis,
    ) -> Result<TotpEnrolment, LoginError> {
        let rules = self.rules();
        self.parts.limits.take_enrolment(rules.replicas, &user.id, now).await?;
        self.parts.factors.start_totp(&user.id, &user.email, rules.title(), now).await
    }

    /// Finishes it by a code of the application, where it is one. Recovery codes come with it,
    /// where there are none: they are shown once.
    ///
    /// # Errors
    /// [`LoginError::Credentials`] where the code is wrong, [`LoginError::Expired`] where nothing
    /// was begun, and those of store and vault.
    pub async fn finish_totp(
        &self,
        user: &UserRecord,
        code: &str,
        now: UnixMillis,
    ) -> Result<Vec<Secret>, LoginError> {
        let factors = &self.parts.factors;
        let begun = factors.unfinished_totp(&user.id).await?.ok_or(LoginError::Expired)?;
        if !factors.confirm_totp(&user.id, &begun, code, now).await? {
            return Err(LoginError::Credentials);
        }
        if factors.known(&user.id).await?.recovery {
            return Ok(Vec::new());
        }
        factors.new_recovery_codes(&user.id, now).await
    }

    /// Other recovery codes: those from before are worth nothing any more. None where there is
    /// nothing to recover.
    ///
    /// # Errors
    /// [`LoginError::Limited`], and those of store and vault.
    pub async fn renew_recovery_codes(
        &self,
        user: &UserRecord,
        now: UnixMillis,
    ) -> Result<Vec<Secret>, LoginError> {
        let parts = &self.parts;
        if !parts.factors.known(&user.id).await?.has_factor() {
            return Ok(Vec::new());
        }
        parts.limits.take_enrolment(self.rules().replicas, &user.id, now).await?;
        parts.factors.new_recovery_codes(&user.id, now).await
    }

    /// Takes a factor away. Nothing ends by that; and whoever's role asks for a second factor keeps
    /// one. With the last one go the recovery codes, which stand in for it.
    ///
    /// One at a time: of two that take away two factors at once, each would find the other one's.
    ///
    /// # Errors
    /// [`LoginError::Busy`] while another one is taken away, and those of the stores.
    pub async fn remove_factor(
        &self,
        user: &UserRecord,
        factor_id: &str,
        now: UnixMillis,
    ) -> Result<Removal, LoginError> {
        let flows = &self.parts.flows;
        let key = FlowKey::of(FlowKind::Login, &[REMOVING, user.id.as_bytes()].concat());
        if !flows.put(key, REMOVING, REMOVING_MS, now).await? {
            return Err(LoginError::Busy);
        }
        let removed = self.remove_alone(user, factor_id, now).await;
        if let Err(error) = flows.take(key, now).await {
            tracing::warn!(%error, "no other factor of this user is taken away for a moment");
        }
        removed
    }

    async fn remove_alone(
        &self,
        user: &UserRecord,
        factor_id: &str,
        now: UnixMillis,
    ) -> Result<Removal, LoginError> {
        let factors = &self.parts.factors;
        let all = factors.list(&user.id).await?;
        let is_factor = |one: &&FactorSummary| one.kind != FactorKind::RecoveryCodes;
        if !all.iter().filter(is_factor).any(|one| one.id == factor_id) {
            return Ok(Removal::Unknown);
        }
        let is_last = all.iter().filter(is_factor).all(|one| one.id == factor_id);
        if is_last && self.asks_for_factor(user) {
            return Ok(Removal::Last);
        }
        if !factors.remove(&user.id, factor_id, &user.id, now).await? {
            return Ok(Removal::Unknown);
        }
        if is_last {
            for codes in all.iter().filter(|one| one.kind == FactorKind::RecoveryCodes) {
                factors.remove(&user.id, &codes.id, &user.id, now).await?;
            }
        }
        Ok(Removal::Done)
    }

    /// Whether nobody of the user's role gets in without a second factor.
    #[must_use]
    pub fn asks_for_factor(&self, user: &UserRecord) -> bool {
        self.rules().role(&user.role).is_some_and(|role| role.mfa)
    }
}

#[cfg(test)]
mod tests;
