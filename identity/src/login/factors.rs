//! Second factors: set up, used, taken away.

use std::sync::Arc;

use postern_oauth::Secret;
use postern_request::UnixMillis;
use postern_store::IdentityStore;
use postern_store::durable::{FactorKind, FactorRecord};

use super::flow::Known;
use super::{LoginError, recovery, totp};
use crate::vault::{Purpose, Vault};
use crate::{audit, random};

/// Most applications that make one user's codes.
const MAX_TOTP: usize = 5;

/// Knows the factors of users.
pub struct FactorService {
    store: Arc<dyn IdentityStore>,
    vault: Vault,
}

/// An application is being set up; nobody is shown this twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TotpEnrolment {
    /// The factor, which counts once a code of it was shown.
    pub factor_id: String,
    /// The seed, as people type it.
    pub secret: Secret,
    /// The seed, as the QR code says it.
    pub uri: Secret,
}

/// What a code was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verified {
    /// One of an application.
    Totp,
    /// A recovery code, and so many are left.
    Recovery {
        /// How many.
        left: usize,
    },
    /// None that is good.
    Wrong,
}

/// A factor, as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactorSummary {
    /// Its id.
    pub id: String,
    /// What it is.
    pub kind: FactorKind,
    /// What its owner calls it.
    pub name: String,
    /// When it was made.
    pub created_at: UnixMillis,
    /// When it was used last.
    pub last_used_at: Option<UnixMillis>,
    /// How many recovery codes are left; none for other kinds.
    pub codes_left: Option<usize>,
}

impl FactorService {
    /// Keeps factors in a store, sealed by a vault.
    #[must_use]
    pub const fn new(store: Arc<dyn IdentityStore>, vault: Vault) -> Self {
        Self { store, vault }
    }

    /// What of a user's factors says what may be asked for.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn known(&self, user_id: &str) -> Result<Known, LoginError> {
        let factors = self.confirmed(user_id).await?;
        let has = |kind| factors.iter().any(|factor| factor.kind == kind);
        let has_codes = |factor: &FactorRecord| {
            factor.kind == FactorKind::RecoveryCodes && recovery::left(&factor.sealed) > 0
        };
        Ok(Known {
            totp: has(FactorKind::Totp),
            passkey: has(FactorKind::Passkey),
            recovery: factors.iter().any(has_codes),
            ..Known::default()
        })
    }

    /// The factors that count, oldest first.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn list(&self, user_id: &str) -> Result<Vec<FactorSummary>, LoginError> {
        let summary = |factor: FactorRecord| FactorSummary {
            codes_left: (factor.kind == FactorKind::RecoveryCodes)
                .then(|| recovery::left(&factor.sealed)),
            id: factor.id,
            kind: factor.kind,
            name: factor.name,
            created_at: factor.created_at,
            last_used_at: factor.last_used_at,
        };
        Ok(self.confirmed(user_id).await?.into_iter().map(summary).collect())
    }

    /// Begins to set an application up. One that was begun before and never finished is given up.
    /// `title` and `account` are what the application shows.
    ///
    /// # Errors
    /// [`LoginError::Blocked`] where the user has enough of
    /// them, and those of store and vault.
    pub async fn start_totp(
        &self,
        user_id: &str,
        account: &str,
        title: &str,
        now: UnixMillis,
    ) -> Result<TotpEnrolment, LoginError> {
        let mut count = 0;
        for factor in self.store.factors_of(user_id).await? {
            if factor.kind != FactorKind::Totp {
                continue;
            }
            count += 1;
            if factor.confirmed_at.is_none() {
                let entry =
                    audit::entry(now, user_id, "mfa.removed", &factor.id, &[("why", "unfinished")]);
                self.store.delete_factor(user_id, &factor.id, &entry).await?;
                count -= 1;
            }
        }
        if count >= MAX_TOTP {
            return Err(LoginError::Blocked);
        }
        let seed = random::bytes::<{ totp::SEED_BYTES }>()?;
        let factor_id = random::uuid()?;
        let factor = FactorRecord {
            sealed: self.vault.seal(Purpose::Totp, factor_id.as_bytes(), seed.as_slice())?,
            id: factor_id.clone(),
            user_id: user_id.to_owned(),
            kind: FactorKind::Totp,
            name: "totp".to_owned(),
            credential_id: None,
            last_step: 0,
            confirmed_at: None,
            created_at: now,
            last_used_at: None,
        };
        let entry = audit::entry(now, user_id, "mfa.started", &factor_id, &[("kind", "totp")]);
        self.store.insert_factor(factor, &entry).await?;
        let (secret, uri) = totp::enrolment(seed.as_slice(), title, account);
        Ok(TotpEnrolment { factor_id, secret, uri })
    }

    /// Finishes it, by a code of the application; whether it is one.
    ///
    /// # Errors
    /// Those of store and vault.
    pub async fn confirm_totp(
        &self,
        user_id: &str,
        factor_id: &str,
        code: &str,
        now: UnixMillis,
    ) -> Result<bool, LoginError> {
        let factors = self.store.factors_of(user_id).await?;
        let is_it = |factor: &&FactorRecord| {
            factor.id == factor_id
                && factor.kind == FactorKind::Totp
                && factor.confirmed_at.is_none()
        };
        let Some(factor) = factors.iter().find(is_it) else { return Ok(false) };
        if !self.use_totp(factor, &digits_of(code), now).await? {
            return Ok(false);
        }
        let entry = audit::entry(now, user_id, "mfa.enrolled", factor_id, &[("kind", "totp")]);
        Ok(self.store.confirm_factor(factor_id, now, &entry).await?)
    }

    /// The application that is being set up and was not heard of yet.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn unfinished_totp(&self, user_id: &str) -> Result<Option<String>, LoginError> {
        let is_begun = |factor: &FactorRecord| {
            factor.kind == FactorKind::Totp && factor.confirmed_at.is_none()
        };
        let factors = self.store.factors_of(user_id).await?;
        Ok(factors.into_iter().find(is_begun).map(|factor| factor.id))
    }

    /// New recovery codes, in place of all that there were. They are shown once.
    ///
    /// # Errors
    /// Those of store and vault.
    pub async fn new_recovery_codes(
        &self,
        user_id: &str,
        now: UnixMillis,
    ) -> Result<Vec<Secret>, LoginError> {
        for factor in self.store.factors_of(user_id).await? {
            if factor.kind == FactorKind::RecoveryCodes {
                let entry =
                    audit::entry(now, user_id, "mfa.removed", &factor.id, &[("why", "replaced")]);
                self.store.delete_factor(user_id, &factor.id, &entry).await?;
            }
        }
        let factor_id = random::uuid()?;
        let (codes, sealed) = recovery::make(&self.vault, &factor_id)?;
        let factor = FactorRecord {
            id: factor_id.clone(),
            user_id: user_id.to_owned(),
            kind: FactorKind::RecoveryCodes,
            name: "recovery codes".to_owned(),
            sealed,
            credential_id: None,
            last_step: 0,
            confirmed_at: Some(now),
            created_at: now,
            last_used_at: None,
        };
        let kind = [("kind", "recovery_codes")];
        let entry = audit::entry(now, user_id, "mfa.enrolled", &factor_id, &kind);
        self.store.insert_factor(factor, &entry).await?;
        Ok(codes)
    }

    /// Uses a code, of an application or a recovery code; of two calls with one code at most one
    /// finds it good.
    ///
    /// # Errors
    /// Those of store and vault.
    pub async fn verify(
        &self,
        user_id: &str,
        code: &str,
        now: UnixMillis,
    ) -> Result<Verified, LoginError> {
        let factors = self.confirmed(user_id).await?;
        let of_kind = |kind| factors.iter().filter(move |factor| factor.kind == kind);
        if let Some(code) = recovery::read(code) {
            for factor in of_kind(FactorKind::RecoveryCodes) {
                let spent = recovery::spend(&self.vault, &factor.id, &factor.sealed, &code);
                let Some((rest, left)) = spent else { continue };
                let step = factor.last_step;
                let used = self
                    .store
                    .use_factor(&factor.id, &factor.sealed, rest, step, step, now)
                    .await?;
                return Ok(if used { Verified::Recovery { left } } else { Verified::Wrong });
            }
            return Ok(Verified::Wrong);
        }
        let digits = digits_of(code);
        for factor in of_kind(FactorKind::Totp) {
            if self.use_totp(factor, &digits, now).await? {
                return Ok(Verified::Totp);
            }
        }
        Ok(Verified::Wrong)
    }

    /// Takes a factor away; whether the user had it. `by` is who wants that.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn remove(
        &self,
        user_id: &str,
        factor_id: &str,
        by: &str,
        now: UnixMillis,
    ) -> Result<bool, LoginError> {
        let entry = audit::entry(now, by, "mfa.removed", factor_id, &[("user", user_id)]);
        Ok(self.store.delete_factor(user_id, factor_id, &entry).await?)
    }

    async fn use_totp(
        &self,
        factor: &FactorRecord,
        digits: &str,
        now: UnixMillis,
    ) -> Result<bool, LoginError> {
        let seed = self.vault.open(Purpose::Totp, factor.id.as_bytes(), &factor.sealed)?;
        let last = factor.last_step;
        let Some(step) = totp::matching_step(&seed, digits, last, now) else { return Ok(false) };
        let same = factor.sealed.clone();
        Ok(self.store.use_factor(&factor.id, &factor.sealed, same, last, step, now).await?)
    }

    async fn confirmed(&self, user_id: &str) -> Result<Vec<FactorRecord>, LoginError> {
        let mut factors = self.store.factors_of(user_id).await?;
        factors.retain(|factor| factor.confirmed_at.is_some());
        Ok(factors)
    }
}

/// Applications show codes in groups, and people type the space.
fn digits_of(typed: &str) -> String {
    typed.chars().filter(|char| *char != ' ').take(totp::DIGITS + 1).collect()
}

#[cfg(test)]
mod tests;
