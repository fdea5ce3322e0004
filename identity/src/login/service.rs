//! Logging in: what stands behind the pages and `/auth`.
//!
//! The order is that of a log-in: limits, the user, the password (hashed whether there is a user or
//! not), the second factor, the audit log, the session. What cannot be written to the audit log
//! does not happen.

mod account;
mod browser;
mod device;
mod direct;
mod outside;
mod own_factors;
mod passkeys;
mod tries;

pub use account::Consented;
pub use browser::Enrolled;
pub use own_factors::Removal;

use std::sync::Arc;
use std::time::Duration;

use postern_document::OnChange;
use postern_oauth::{Acr, Secret};
use postern_request::UnixMillis;
use postern_request::login::ReturnTo;
use postern_revocation::RevocationKind;
use postern_store::flows::SessionRecord;
use postern_store::{FlowKey, FlowKind, FlowStore, IdentityStore};
use zeroize::Zeroizing;

use super::factors::FactorService;
use super::flow::{FLOW_LIFE_MS, Factor, Flow};
use super::limits::LoginLimiter;
use super::rules::{CurrentLoginRules, LoginRules};
use super::tools::CurrentLoginTools;
use super::{Caller, LoginError, sessions};
use crate::ending::Ending;
use crate::held::Held;
use crate::metrics::{LoginMetrics, Means};
use crate::ports::RevokedTokens;
use crate::vault::Vault;
use crate::{IdentityError, audit, random};

/// Longest cookie that is looked at; ours are shorter.
const MAX_COOKIE_BYTES: usize = 128;

/// What logging in works with.
pub struct LoginParts {
    /// What the document says.
    pub rules: CurrentLoginRules,
    /// What that is carried out with.
    pub tools: CurrentLoginTools,
    /// Users and the audit log.
    pub store: Arc<dyn IdentityStore>,
    /// Log-ins that are under way, and sessions.
    pub flows: Arc<dyn FlowStore>,
    /// What was revoked.
    pub revoked: Arc<dyn RevokedTokens>,
    /// Counts tries.
    pub limits: LoginLimiter,
    /// Hashes what browsers show.
    pub vault: Vault,
    /// Second factors.
    pub factors: Arc<FactorService>,
    /// Ends sessions.
    pub ending: Arc<Ending>,
    /// What is counted.
    pub metrics: LoginMetrics,
}

/// Logs people in and out.
pub struct LoginService {
    parts: LoginParts,
}

/// What becomes of a session whose browser was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrowserVerdict {
    /// It goes on.
    Same,
    /// It is another one: the session counts again after [`LoginService::step_up`].
    AskSecondFactor,
    /// It is another one, and the session has ended.
    Ended,
}

/// A log-in that was found.
struct Open {
    key: FlowKey,
    /// What opens it.
    cookie: Zeroizing<Vec<u8>>,
    /// As it stands in the store.
    kept: Vec<u8>,
    flow: Flow,
}

impl LoginService {
    /// Puts the parts together.
    #[must_use]
    pub const fn new(parts: LoginParts) -> Self {
        Self { parts }
    }

    /// The rules that hold now.
    #[must_use]
    pub fn rules(&self) -> Arc<LoginRules> {
        self.parts.rules.load()
    }

    /// Begins a log-in; the value of its cookie.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn begin(
        &self,
        return_to: ReturnTo,
        wants: Acr,
        now: UnixMillis,
    ) -> Result<Secret, LoginError> {
        self.begin_within(return_to, wants, None, now).await
    }

    /// The same; where an outside provider says who somebody is, they have authenticated there
    /// within so many seconds.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn begin_within(
        &self,
        return_to: ReturnTo,
        wants: Acr,
        max_age_secs: Option<u64>,
        now: UnixMillis,
    ) -> Result<Secret, LoginError> {
        self.keep(&Flow { max_age_secs, ..Flow::new(return_to, wants, now) }, now).await
    }

    /// Begins another authentication of somebody who is logged in, by a second factor. It renews
    /// the session, and comes to nothing once that has ended. Whoever's password was not asked for
    /// by us begins anew.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn step_up(
        &self,
        session: &SessionRecord,
        return_to: ReturnTo,
        now: UnixMillis,
    ) -> Result<Secret, LoginError> {
        let mut flow = Flow::new(return_to, Acr::SeveralFactors, now);
        if session.client_id.is_none() && session.methods.iter().any(|method| method == "pwd") {
            flow.user = Some(session.user_id.clone());
            flow.passed = vec![Factor::PasswordBefore];
            flow.session = Some(session.id.clone());
            flow.remember = session.remember;
        }
        self.keep(&flow, now).await
    }

    /// Begins another authentication of somebody who is logged in, from the first factor on. It
    /// renews the session where the same user authenticates, and begins another one otherwise. An
    /// outside provider is asked for an authentication within `max_age_secs`.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn authenticate_again(
        &self,
        session: &SessionRecord,
        return_to: ReturnTo,
        wants: Acr,
        max_age_secs: u64,
        now: UnixMillis,
    ) -> Result<Secret, LoginError> {
        let mut flow = Flow::new(return_to, wants, now);
        flow.max_age_secs = Some(max_age_secs);
        if session.client_id.is_none() {
            flow.user = Some(session.user_id.clone());
            flow.session = Some(session.id.clone());
        }
        self.keep(&flow, now).await
    }

    /// The log-in of a cookie, where it is under way.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn flow(&self, cookie: &[u8], now: UnixMillis) -> Result<Option<Flow>, LoginError> {
        match self.open(cookie, &self.rules(), now).await {
            Ok(open) => Ok(Some(open.flow)),
            Err(LoginError::Expired) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The session of a browser's cookie: its secret is the right one, and neither the session nor
    /// what its user had until then was revoked.
    ///
    /// # Errors
    /// Those of the store: nobody knows then, which is not the same as none.
    pub async fn session(
        &self,
        cookie: Option<&[u8]>,
        now: UnixMillis,
    ) -> Result<Option<SessionRecord>, LoginError> {
        let Some((id, secret)) = cookie.and_then(sessions::read_cookie) else { return Ok(None) };
        let found = self.parts.flows.find_session(id, now).await?;
        let opened = found.filter(|session| {
            sessions::is_opened_by(session, secret) && !self.is_revoked(session, now)
        });
        self.parts.metrics.authentication(Means::Session, opened.is_some(), None);
        Ok(opened)
    }

    /// Whether a session's browser still shows what it showed when it began, and what becomes of
    /// the session where it does not.
    ///
    /// # Errors
    /// Those of the stores, where the session has to end.
    pub async fn judge_browser(
        &self,
        cookie: &[u8],
        session: &SessionRecord,
        caller: &Caller,
        now: UnixMillis,
    ) -> Result<BrowserVerdict, LoginError> {
        let rules = self.rules();
        let secret = sessions::read_cookie(cookie).map(|(_, secret)| secret).unwrap_or_default();
        let shown = sessions::fingerprint_of_browser(&rules, secret, caller);
        // A session from before the document looked at anything has nothing to be compared with.
        if shown.is_none() || session.fingerprint.is_none() || shown == session.fingerprint {
            return Ok(BrowserVerdict::Same);
        }
        tracing::warn!(session = session.id, "a session's browser shows something else of itself");
        match rules.login.fingerprint.on_change {
            OnChange::Log => Ok(BrowserVerdict::Same),
            OnChange::AskMfa => Ok(BrowserVerdict::AskSecondFactor),
            OnChange::End => {
                let ending = &self.parts.ending;
                ending.session(&session.id, "browser_changed", audit::SYSTEM, now).await?;
                Ok(BrowserVerdict::Ended)
            }
        }
    }

    /// What somebody without a cookie shows of themselves, as their session keeps it, and what
    /// becomes of one that began with something else; none where the document looks at nothing.
    #[must_use]
    pub fn fingerprint_of(&self, caller: &Caller) -> Option<([u8; 16], OnChange)> {
        let rules = self.rules();
        let shown = sessions::fingerprint(&rules, &self.parts.vault, caller)?;
        Some((shown, rules.login.fingerprint.on_change))
    }

    /// Ends a session, and what came of it.
    ///
    /// # Errors
    /// Those of the stores.
    pub async fn end_session(
        &self,
        id: &str,
        by: &str,
        now: UnixMillis,
    ) -> Result<bool, LoginError> {
        Ok(self.parts.ending.session(id, "logged_out", by, now).await?)
    }

    /// Ends everything that a user has; how many sessions that were.
    ///
    /// # Errors
    /// Those of the stores.
    pub async fn end_all(
        &self,
        user_id: &str,
        by: &str,
        now: UnixMillis,
    ) -> Result<u64, LoginError> {
        Ok(self.parts.ending.user(user_id, "logged_out_everywhere", by, now).await?)
    }

    /// Ends all sessions of a user but this one; how many those were.
    ///
    /// # Errors
    /// Those of the stores.
    pub async fn end_others(
        &self,
        user_id: &str,
        keep: &str,
        now: UnixMillis,
    ) -> Result<u64, LoginError> {
        const WHY: &str = "logged_out_elsewhere";
        Ok(self.parts.ending.others(user_id, Some(keep), WHY, user_id, now).await?)
    }

    /// The sessions of a user, newest first; those that were revoked are none.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn sessions_of(
        &self,
        user_id: &str,
        now: UnixMillis,
    ) -> Result<Vec<SessionRecord>, LoginError> {
        let mut sessions = self.parts.flows.sessions_of(user_id, now).await?;
        sessions.retain(|session| !self.is_revoked(session, now));
        Ok(sessions)
    }

    /// Second factors.
    #[must_use]
    pub const fn factors(&self) -> &Arc<FactorService> {
        &self.parts.factors
    }

    fn is_revoked(&self, session: &SessionRecord, now: UnixMillis) -> bool {
        let since = Some(session.authenticated_at.as_secs());
        let revoked = &self.parts.revoked;
        revoked.is_named_revoked(RevocationKind::Session, &session.id, None, now)
            || revoked.is_named_revoked(RevocationKind::Subject, &session.user_id, since, now)
    }

    /// When somebody who has logged in can begin something: now, or with the next second.
    ///
    /// Revocations count whole seconds, as tokens do, so that what begins within the second of one
    /// would be taken for older than it. Whoever ends all that they have and logs in at once waits
    /// for the rest of that second, instead of being logged out by it.
    async fn after_what_ended(&self, user_id: &str, now: UnixMillis) -> UnixMillis {
        let secs = now.as_secs();
        let revoked = &self.parts.revoked;
        if !revoked.is_named_revoked(RevocationKind::Subject, user_id, Some(secs), now) {
            return now;
        }
        let next = UnixMillis(secs.saturating_add(1).saturating_mul(1000));
        tokio::time::sleep(Duration::from_millis(next.0.saturating_sub(now.0))).await;
        next
    }

    async fn keep(&self, flow: &Flow, now: UnixMillis) -> Result<Secret, LoginError> {
        let cookie = random::secret()?;
        let key = FlowKey::of(FlowKind::Login, cookie.expose().as_bytes());
        let sealed = sealed(key, cookie.expose().as_bytes(), flow)?;
        let kept = self.parts.flows.put(key, &sealed, FLOW_LIFE_MS, now).await?;
        if kept { Ok(cookie) } else { Err(LoginError::Internal) }
    }

    async fn open(
        &self,
        cookie: &[u8],
        rules: &LoginRules,
        now: UnixMillis,
    ) -> Result<Open, LoginError> {
        if cookie.is_empty() || cookie.len() > MAX_COOKIE_BYTES {
            return Err(LoginError::Expired);
        }
        let key = FlowKey::of(FlowKind::Login, cookie);
        let kept = self.parts.flows.peek(key, now).await?.ok_or(LoginError::Expired)?;
        let flow = Held::LogIn
            .open(cookie, &key.to_bytes(), &kept)
            .and_then(|clear| Flow::decode(&clear, &rules.issuer, &rules.login.hosts))
            .filter(|flow| !flow.is_over(now))
            .ok_or(LoginError::Expired)?;
        Ok(Open { key, cookie: Zeroizing::new(cookie.to_vec()), kept, flow })
    }

    /// Keeps what has become of a log-in, where nobody else went on with it meanwhile.
    async fn save(&self, open: &Open, now: UnixMillis) -> Result<(), LoginError> {
        let to = sealed(open.key, &open.cookie, &open.flow)?;
        let is_kept = self.parts.flows.swap(open.key, &open.kept, &to, now).await?;
        if is_kept { Ok(()) } else { Err(LoginError::Expired) }
    }
}

/// A log-in as it is kept. Whoever reads the store reads nothing of where it leads to: that may be
/// a device's code, or a request that was pushed.
fn sealed(key: FlowKey, cookie: &[u8], flow: &Flow) -> Result<Vec<u8>, IdentityError> {
    Held::LogIn.seal(cookie, &key.to_bytes(), &flow.encode())
}

#[cfg(test)]
mod tests;
