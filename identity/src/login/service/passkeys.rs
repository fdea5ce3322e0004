//! Passkeys: used to log in, and made by somebody who is logged in.
//!
//! What has to be kept between the browser's two requests stands in the volatile store, sealed for
//! the cookie that it was begun with, and apart from the log-in: a page may ask for a passkey and
//! send its form at once, and neither must undo the other. It is taken out before the answer is
//! looked at, so that a challenge is good once, whatever comes of it.

use std::sync::Arc;

use postern_request::UnixMillis;
use postern_store::durable::{FactorKind, FactorRecord, Sealed, UserRecord};
use postern_store::flows::SessionRecord;
use postern_store::{FlowKey, FlowKind, StoreError};

use super::LoginService;
use super::tries::{NOBODY, told};
use crate::login::flow::{FLOW_LIFE_MS, Factor, Input, advance};
use crate::login::{Caller, LoginError, Outcome};
use crate::metrics::{Means, OTHER_ROLE};
use crate::ports::{Ceremony, PasskeyError, Passkeys};
use crate::vault::Purpose;
use crate::{audit, random};

/// Most passkeys of one user.
const MAX_PASSKEYS: usize = 10;
/// Longest name of one, in characters.
const MAX_NAME_CHARS: usize = 64;
/// What one is called whose owner gave it no name.
const UNNAMED: &str = "Passkey";

/// Whose ceremony it is; the names keep both kinds apart in the store and in the seal.
#[derive(Clone, Copy)]
enum Begun<'a> {
    /// Of a log-in, by its cookie.
    LogIn(&'a [u8]),
    /// Of somebody who is logged in, by the session's id.
    Enrolment(&'a str),
}

impl Begun<'_> {
    fn name(self) -> Vec<u8> {
        let (kind, id) = match self {
            Self::LogIn(cookie) => ("passkey:login:", cookie),
            Self::Enrolment(session) => ("passkey:enrol:", session.as_bytes()),
        };
        [kind.as_bytes(), &random::sha256(id).0].concat()
    }

    fn key(self) -> FlowKey {
        FlowKey::of(FlowKind::Login, &self.name())
    }
}

impl LoginService {
    /// Whether anybody can have a passkey.
    #[must_use]
    pub fn has_passkeys(&self) -> bool {
        self.parts.tools.load().passkeys.is_some()
    }

    /// What the browser asks for somebody's passkey with, as JSON.
    ///
    /// # Errors
    /// [`LoginError::Expired`] where no log-in is under way, and those of the store.
    pub async fn passkey_options(
        &self,
        cookie: &[u8],
        now: UnixMillis,
    ) -> Result<String, LoginError> {
        let passkeys = self.passkeys()?;
        self.open(cookie, &self.rules(), now).await?;
        let ceremony = passkeys.start_login().map_err(broken)?;
        self.keep_ceremony(Begun::LogIn(cookie), ceremony, now).await
    }

    /// A passkey in place of e-mail and password, or as the second factor of whoever has shown the
    /// first one. One that has made sure who uses it is two factors at once.
    ///
    /// # Errors
    /// As [`LoginService::password`].
    pub async fn passkey(
        &self,
        cookie: &[u8],
        answer: &str,
        remember: bool,
        caller: &Caller,
        now: UnixMillis,
    ) -> Result<Outcome, LoginError> {
        let rules = self.rules();
        let mut open = self.open(cookie, &rules, now).await?;
        let parts = &self.parts;
        let limits = &rules.login.limits;
        let taken = parts.limits.take_address(limits, rules.replicas, caller.ip, now).await?;
        let tried = match self.try_passkey(cookie, answer, now).await {
            Ok(tried) => tried,
            Err(error) => {
                // Nothing was tried.
                parts.limits.give_back(taken, now).await;
                return Err(error);
            }
        };
        let (user, is_right) = tried;
        let role = user.as_ref().map_or(OTHER_ROLE, |user| rules.role_label(&user.role));
        let user = match user {
            Some(user) if is_right => user,
            user => {
                parts.metrics.authentication(Means::Passkey, false, None);
                parts.metrics.login(role, false);
                let target = user.as_ref().map_or(NOBODY, |user| user.id.as_str());
                let by = [("by", "passkey")];
                self.write_down(&told(now, "login.failed", target, caller, &by)).await?;
                return self.refuse(open, now).await;
            }
        };
        let tier = rules.role(&user.role).and_then(|role| role.tier.as_deref());
        parts.metrics.authentication(Means::Passkey, true, tier);
        if !user.is_active {
            parts.metrics.login(role, false);
            self.write_down(&told(now, "login.blocked", &user.id, caller, &[])).await?;
            return Err(LoginError::Blocked);
        }
        let known = self.known(&user, &rules).await?;
        let is_second =
            open.flow.user.as_deref() == Some(user.id.as_str()) && !open.flow.passed.is_empty();
        let input = if is_second {
            Input::Second(Factor::VerifiedPasskey)
        } else {
            open.flow.remember = remember;
            open.flow.as_of = Some(user.updated_at);
            Input::First(Factor::VerifiedPasskey, &user.id)
        };
        let step = advance(&mut open.flow, input, known, now);
        let outcome = self.go_on(&rules, open, step, &user, caller, now).await;
        parts.limits.give_back(taken, now).await;
        outcome
    }

    /// What the browser makes a passkey with, as JSON, for somebody who is logged in.
    ///
    /// # Errors
    /// [`LoginError::Blocked`] where the user has enough of them; [`LoginError::Limited`]; those
    /// of the stores.
    pub async fn start_passkey(
        &self,
        user: &UserRecord,
        session: &SessionRecord,
        now: UnixMillis,
    ) -> Result<String, LoginError> {
        let passkeys = self.passkeys()?;
        let parts = &self.parts;
        parts.limits.take_enrolment(self.rules().replicas, &user.id, now).await?;
        let mut known = Vec::new();
        for factor in parts.store.factors_of(&user.id).await? {
            if factor.kind == FactorKind::Passkey {
                known.push(self.record_of(&factor)?);
            }
        }
        if known.len() >= MAX_PASSKEYS {
            return Err(LoginError::Blocked);
        }
        let ceremony = passkeys.start_registration(user, &known).map_err(broken)?;
        self.keep_ceremony(Begun::Enrolment(&session.id), ceremony, now).await
    }

    /// Keeps the passkey that the browser has made, under a name that its owner gave it.
    ///
    /// # Errors
    /// [`LoginError::Credentials`] where the answer does not hold or the passkey is there already,
    /// [`LoginError::Expired`] where none was begun, and those of store and vault.
    pub async fn finish_passkey(
        &self,
        user: &UserRecord,
        session: &SessionRecord,
        name: &str,
        answer: &str,
        now: UnixMillis,
    ) -> Result<(), LoginError> {
        let passkeys = self.passkeys()?;
        let state = self.take_ceremony(Begun::Enrolment(&session.id), now).await?;
        let state = state.ok_or(LoginError::Expired)?;
        let made = passkeys.finish_registration(&state, answer).map_err(|error| match error {
            PasskeyError::Answer => LoginError::Credentials,
            other => broken(other),
        })?;
        let id = random::uuid()?;
        let vault = &self.parts.vault;
        let factor = FactorRecord {
            sealed: vault.seal(Purpose::Passkey, &bound_to(&id, &user.id), &made.record)?,
            user_id: user.id.clone(),
            kind: FactorKind::Passkey,
            name: named(name),
            credential_id: Some(made.credential_id),
            last_step: 0,
            confirmed_at: Some(now),
            created_at: now,
            last_used_at: None,
            id: id.clone(),
        };
        let entry = audit::entry(now, &user.id, "mfa.enrolled", &id, &[("kind", "passkey")]);
        match self.parts.store.insert_factor(factor, &entry).await {
            // Somebody's already, whoever's: nobody is told whose.
            Err(StoreError::Conflict) => Err(LoginError::Credentials),
            other => Ok(other?),
        }
    }

    /// Whose passkey was shown, where there is such a one, and whether the answer holds.
    async fn try_passkey(
        &self,
        cookie: &[u8],
        answer: &str,
        now: UnixMillis,
    ) -> Result<(Option<UserRecord>, bool), LoginError> {
        const NOBODYS: (Option<UserRecord>, bool) = (None, false);
        let passkeys = self.passkeys()?;
        let store = &self.parts.store;
        let Some(state) = self.take_ceremony(Begun::LogIn(cookie), now).await? else {
            return Ok(NOBODYS);
        };
        let Ok(shown) = passkeys.credential_of(answer) else { return Ok(NOBODYS) };
        let found = store.find_passkey(&shown.credential_id).await?;
        let is_theirs = |factor: &FactorRecord| {
            factor.kind == FactorKind::Passkey
                && factor.confirmed_at.is_some()
                && factor.user_id == shown.user_id
        };
        let Some(factor) = found.filter(is_theirs) else { return Ok(NOBODYS) };
        let Some(user) = store.find_user(&factor.user_id).await? else { return Ok(NOBODYS) };
        let record = self.record_of(&factor)?;
        let used = match passkeys.finish_login(&state, answer, &record) {
            Ok(used) => used,
            Err(PasskeyError::Answer) => return Ok((Some(user), false)),
            Err(error) => return Err(broken(error)),
        };
        let to = match used.record {
            Some(record) => {
                let bound_to = bound_to(&factor.id, &factor.user_id);
                self.parts.vault.seal(Purpose::Passkey, &bound_to, &record)?
            }
            None => factor.sealed.clone(),
        };
        let step = factor.last_step;
        // Of two that show one counter at once one gets in.
        let is_first = store.use_factor(&factor.id, &factor.sealed, to, step, step, now).await?;
        Ok((Some(user), is_first && used.user_verified))
    }

    fn passkeys(&self) -> Result<Arc<dyn Passkeys>, LoginError> {
        // Whoever asks has looked whether there are any.
        self.parts.tools.load().passkeys.clone().ok_or(LoginError::Internal)
    }

    fn record_of(&self, factor: &FactorRecord) -> Result<Vec<u8>, LoginError> {
        let bound_to = bound_to(&factor.id, &factor.user_id);
        Ok(self.parts.vault.open(Purpose::Passkey, &bound_to, &factor.sealed)?.to_vec())
    }

    /// Keeps a ceremony's state in the place of the one before it; the options.
    async fn keep_ceremony(
        &self,
        begun: Begun<'_>,
        ceremony: Ceremony,
        now: UnixMillis,
    ) -> Result<String, LoginError> {
        let parts = &self.parts;
        let sealed = parts.vault.seal(Purpose::Passkey, &begun.name(), &ceremony.state)?;
        let key = begun.key();
        parts.flows.take(key, now).await?;
        // Of two pages that ask at once one has to ask again.
        if !parts.flows.put(key, &sealed.0, FLOW_LIFE_MS, now).await? {
            return Err(LoginError::Busy);
        }
        Ok(ceremony.options)
    }

    async fn take_ceremony(
        &self,
        begun: Begun<'_>,
        now: UnixMillis,
    ) -> Result<Option<Vec<u8>>, LoginError> {
        let Some(kept) = self.parts.flows.take(begun.key(), now).await? else { return Ok(None) };
        let opened = self.parts.vault.open(Purpose::Passkey, &begun.name(), &Sealed(kept))?;
        Ok(Some(opened.to_vec()))
    }
}

/// A record is worth nothing under another factor, and under another user.
fn bound_to(factor_id: &str, user_id: &str) -> Vec<u8> {
    ["passkey:", factor_id, ":", user_id].concat().into_bytes()
}

/// A name as it is shown: of one line, and not too long.
fn named(name: &str) -> String {
    let name: String =
        name.trim().chars().filter(|char| !char.is_control()).take(MAX_NAME_CHARS).collect();
    if name.is_empty() { UNNAMED.to_owned() } else { name }
}

/// Ours, or the store's: people are told that it failed.
fn broken(error: PasskeyError) -> LoginError {
    tracing::error!(%error, "a passkey failed");
    LoginError::Internal
}

#[cfg(test)]
mod tests;
