//! Ending sessions, families of refresh tokens and all that a user has: the one place that does.
//!
//! The order is always the same. What cannot be lost comes first: durable ends and revocations,
//! which every refresh and every use of a cookie asks for, so that nothing is good any more once
//! they are committed. Then the volatile store forgets what it has; where it does not answer, that
//! is tried again, because a revocation is forgotten earlier than a refresh token ends. The audit
//! log comes last: that something could not be written down keeps nothing alive.

mod leftover;
mod over;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use postern_request::UnixMillis;
use postern_revocation::{Revocation, RevocationKind};
use postern_store::durable::AuditEntry;
use postern_store::flows::SessionRecord;
use postern_store::{FlowKey, FlowKind, FlowStore, IdentityStore, StoreError};

use crate::metrics::{LoginMetrics, SessionEvent};
use crate::ports::Announce;
use crate::{MAX_LIFETIME_SECS, audit};

pub use leftover::retry_ends;
use leftover::{Leftover, Waiting};
use over::Over;

/// A grant with this scope outlives the browser's session that it came from (OpenID Connect Core
/// §11).
pub(crate) const OFFLINE_ACCESS: &str = "offline_access";

/// Clocks differ; what ended a moment ago may still be taken somewhere.
const AFTER_EXPIRY_SECS: u64 = 3600;
/// Most pages of a user's sessions that one call ends: far more than anybody has.
const MAX_PAGES: usize = 64;

/// Ends things, for good.
pub struct Ending {
    store: Arc<dyn IdentityStore>,
    flows: Arc<dyn FlowStore>,
    announce: Arc<dyn Announce>,
    issuer: Arc<str>,
    metrics: LoginMetrics,
    remember_secs: u64,
    sessions_live_secs: AtomicU64,
    waiting: Mutex<VecDeque<Waiting>>,
}

impl Ending {
    /// Ends what tokens of `issuer` stand for.
    #[must_use]
    pub fn new(
        store: Arc<dyn IdentityStore>,
        flows: Arc<dyn FlowStore>,
        announce: Arc<dyn Announce>,
        issuer: &str,
        metrics: LoginMetrics,
    ) -> Self {
        let issuer = Arc::from(issuer);
        // Longer than any access token lives.
        let remember_secs = MAX_LIFETIME_SECS + AFTER_EXPIRY_SECS;
        Self {
            store,
            flows,
            announce,
            issuer,
            metrics,
            remember_secs,
            sessions_live_secs: AtomicU64::new(0),
            waiting: Mutex::default(),
        }
    }

    /// The same, where people's sessions live for so long at most. The end of one whose record
    /// cannot be read, and that of all that a user has, is remembered for as long: the volatile
    /// store may be away for longer than it is asked again, and then still have the session.
    #[must_use]
    pub fn with_sessions_that_live(self, secs: u64) -> Self {
        self.sessions_live_for(secs);
        self
    }

    /// By another document they live for so long. Those that have begun before go on as they were:
    /// what is longest holds.
    pub fn sessions_live_for(&self, secs: u64) {
        self.sessions_live_secs.fetch_max(secs, Ordering::Relaxed);
    }

    /// The same, and what ends is remembered for so long, where that is longer. For whoever may
    /// not reach the store that sessions are in: a session that is still there is refused for as
    /// long as its end is remembered, so that has to be longer than any session lives.
    #[must_use]
    pub fn remembering(mut self, secs: u64) -> Self {
        self.remember_secs = self.remember_secs.max(secs.saturating_add(AFTER_EXPIRY_SECS));
        self
    }

    /// Ends a session, and where it is a browser's, the grants that came of it, but for those with
    /// `offline_access`. `why` is a word for the audit log and the revocations. Whether there was
    /// anything to end; tokens of the session are revoked in any case.
    ///
    /// # Errors
    /// Those of the stores. What was ended by then stays ended, and calling again ends the rest.
    pub async fn session(
        &self,
        id: &str,
        why: &'static str,
        by: &str,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let found = self.with_grants(id, now).await;
        // Of one that cannot be read nobody knows how long it lives.
        let alone = [Over { id: id.to_owned(), until: self.until_no_session_lives(now) }];
        let all = found.as_ref().map_or(alone.as_slice(), |(_, all)| all.as_slice());
        let families = self.end_durably(all, why, now).await?;
        let had_families = !families.is_empty();
        for family in families {
            self.forget_family(family, now).await;
        }
        let (session, all) = match found {
            Ok(found) => found,
            Err(error) => {
                let whole = Leftover::Whole { id: id.to_owned(), why, by: by.to_owned() };
                self.put_off(whole, now);
                return Err(error);
            }
        };
        let mut ended = session.is_some() || had_families;
        for over in &all {
            ended |= self.forget_session(&over.id, now).await;
        }
        if let Some(browsers) = session.as_ref().filter(|session| session.client_id.is_none()) {
            self.look_again(&browsers.user_id, id, why, now).await;
        }
        if ended {
            let user_id = session.map(|session| session.user_id).unwrap_or_default();
            let detail = [("user", user_id.as_str()), ("reason", why)];
            self.write_down(&audit::entry(now, by, "session.ended", id, &detail)).await;
        }
        Ok(ended)
    }

    /// Ends a family of refresh tokens with its session. `why` is the action that the audit log is
    /// told, such as `refresh.reused`; one that had ended before is not told of again.
    ///
    /// Everything is tried, whatever fails: each part alone makes stolen tokens worth less.
    ///
    /// # Errors
    /// The first one of the stores.
    pub async fn family(
        &self,
        key: FlowKey,
        session_id: &str,
        why: &'static str,
        by: &str,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let entry = audit::entry(now, by, why, session_id, &[("family", key.to_hex().as_str())]);
        let ended = self.store.end_family(key.to_bytes(), now, why, &entry).await;
        if let Err(error) = &ended {
            // The entry goes with the end, so that it is lost, too.
            self.metrics.audit_failed();
            tracing::error!(%error, why, session_id, "a family's end was not kept");
        }
        let revoked = self.end_durably(&[self.over(session_id, now)], why, now).await;
        self.forget_family(key, now).await;
        for family in revoked.as_deref().unwrap_or_default() {
            self.forget_family(*family, now).await;
        }
        self.forget_session(session_id, now).await;
        ended.and(revoked).map(drop)
    }

    /// Ends everything that a user has: all sessions, all grants, all tokens until now. How many
    /// sessions there were, as far as the volatile store knows.
    ///
    /// # Errors
    /// As with [`Ending::session`].
    pub async fn user(
        &self,
        user_id: &str,
        why: &'static str,
        by: &str,
        now: UnixMillis,
    ) -> Result<u64, StoreError> {
        // Alone it ends everything that asks, for as long as it is remembered.
        let until = self.until_no_session_lives(now);
        let subject = self.revocation(RevocationKind::Subject, user_id, until, now)?;
        self.announce.revoke(vec![subject], why, now).await?;
        // Families may live for longer, so all of them end at once, and before anything that may
        // take its time: whoever is stopped from here on leaves nothing that comes back. After the
        // revocation: what asks from then on begins no more of them.
        for family in self.store.end_families_of_user(user_id, now, why).await? {
            self.forget_family(FlowKey::of_hash(FlowKind::Family, family), now).await;
        }
        let ended = self.forget_sessions_of(user_id, now).await;
        if ended.is_err() {
            self.put_off(Leftover::SessionsOf(user_id.to_owned()), now);
        }
        let count = ended.as_ref().copied().unwrap_or(0).to_string();
        let detail = [("sessions", count.as_str()), ("reason", why)];
        self.write_down(&audit::entry(now, by, "session.all_ended", user_id, &detail)).await;
        ended
    }

    /// Ends all sessions of a user but one, grants among them. What that one was granted ends,
    /// too: whoever changes a password wants the others out.
    ///
    /// # Errors
    /// As with [`Ending::session`].
    pub async fn others(
        &self,
        user_id: &str,
        keep: Option<&str>,
        why: &'static str,
        by: &str,
        now: UnixMillis,
    ) -> Result<u64, StoreError> {
        let mut count = 0;
        for _ in 0..MAX_PAGES {
            let page = self.flows.sessions_of(user_id, now).await?;
            let mut ended = false;
            for session in page.iter().filter(|session| Some(session.id.as_str()) != keep) {
                if self.session(&session.id, why, by, now).await? {
                    (ended, count) = (true, count + 1);
                }
            }
            if !ended {
                break;
            }
        }
        // Grants whose sessions the volatile store has lost.
        for session_id in self.families_of(user_id, None).await? {
            if Some(session_id.as_str()) != keep {
                self.session(&session_id, why, by, now).await?;
            }
        }
        Ok(count)
    }

    /// Takes back what a user lets a client do, and ends what the client has by it.
    ///
    /// # Errors
    /// As with [`Ending::session`].
    pub async fn consent(
        &self,
        user_id: &str,
        client_id: &str,
        by: &str,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        const WHY: &str = "consent_revoked";
        let detail = [("client", client_id)];
        let entry = audit::entry(now, by, "consent.revoked", user_id, &detail);
        self.store.delete_consent(user_id, client_id, &entry).await?;
        let mut sessions = self.families_of(user_id, Some(client_id)).await?;
        let found = self.flows.sessions_of(user_id, now).await?;
        let of_client = |session: &SessionRecord| session.client_id.as_deref() == Some(client_id);
        sessions.extend(found.into_iter().filter(of_client).map(|session| session.id));
        sessions.sort_unstable();
        sessions.dedup();
        for session_id in &sessions {
            self.session(session_id, WHY, by, now).await?;
        }
        Ok(())
    }

    /// Ends one access token, until it would have ended by itself (`expires_at` in seconds).
    ///
    /// # Errors
    /// Those of the durable store; it is not revoked then.
    pub async fn token(
        &self,
        jti: &str,
        expires_at: u64,
        by: &str,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let until = expires_at.saturating_add(AFTER_EXPIRY_SECS);
        let token = Revocation::at(now.as_secs(), RevocationKind::Token, &*self.issuer, jti, until)
            .map_err(|error| StoreError::Corrupt(error.to_string()))?;
        self.announce.revoke(vec![token], "revoked", now).await?;
        self.write_down(&audit::entry(now, by, "token.revoked", jti, &[])).await;
        Ok(())
    }

    /// The ids of the grants that end with a browser's session.
    async fn grants_of(
        &self,
        user_id: &str,
        parent: &str,
        now: UnixMillis,
    ) -> Result<Vec<String>, StoreError> {
        let all = self.flows.sessions_of(user_id, now).await?;
        let ends_too = |grant: &SessionRecord| {
            grant.parent.as_deref() == Some(parent)
                && !grant.scopes.iter().any(|scope| scope == OFFLINE_ACCESS)
        };
        Ok(all.into_iter().filter(ends_too).map(|grant| grant.id).collect())
    }

    /// Ends what has begun in a browser's session while that was ended. Whoever begins a grant
    /// keeps it first and looks for its session then, which is gone by now: one of the two finds
    /// out.
    async fn look_again(&self, user_id: &str, parent: &str, why: &'static str, now: UnixMillis) {
        if let Err(error) = self.end_grants_of(user_id, parent, why, now).await {
            tracing::warn!(%error, "what began in a session while it ended may live on for now");
            let (user_id, parent) = (user_id.to_owned(), parent.to_owned());
            self.put_off(Leftover::GrantsOf { user_id, parent, why }, now);
        }
    }

    async fn end_grants_of(
        &self,
        user_id: &str,
        parent: &str,
        why: &'static str,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let late = self.grants_of(user_id, parent, now).await?;
        if late.is_empty() {
            return Ok(());
        }
        let over: Vec<_> = late.iter().map(|id| self.over(id, now)).collect();
        for family in self.end_durably(&over, why, now).await? {
            self.forget_family(family, now).await;
        }
        for id in &late {
            self.forget_session(id, now).await;
        }
        Ok(())
    }

    /// Keeps the ends of sessions and of their families, and tells everybody.
    async fn end_durably(
        &self,
        sessions: &[Over],
        why: &'static str,
        now: UnixMillis,
    ) -> Result<Vec<FlowKey>, StoreError> {
        let mut families = Vec::new();
        let mut revoked = Vec::with_capacity(sessions.len());
        for Over { id, until } in sessions {
            let ended = self.store.end_families_of_session(id, now, why).await?;
            families.extend(ended.into_iter().map(|id| FlowKey::of_hash(FlowKind::Family, id)));
            revoked.push(self.revocation(RevocationKind::Session, id, *until, now)?);
        }
        self.announce.revoke(revoked, why, now).await?;
        Ok(families)
    }

    async fn forget_family(&self, key: FlowKey, now: UnixMillis) {
        if let Err(error) = self.flows.end_family(key, None, now).await {
            tracing::warn!(%error, "a family has ended, and the volatile store does not know yet");
            self.put_off(Leftover::Family(key), now);
        }
    }

    /// Whether it was there.
    async fn forget_session(&self, id: &str, now: UnixMillis) -> bool {
        match self.flows.end_session(id, now).await {
            Ok(Some(_)) => {
                self.metrics.session(SessionEvent::Ended);
                true
            }
            Ok(None) => false,
            Err(error) => {
                tracing::warn!(%error, "a session has ended, and the volatile store does not know");
                self.put_off(Leftover::Session(id.to_owned()), now);
                true
            }
        }
    }

    async fn forget_sessions_of(&self, user_id: &str, now: UnixMillis) -> Result<u64, StoreError> {
        let mut count = 0;
        for _ in 0..MAX_PAGES {
            let page = self.flows.sessions_of(user_id, now).await?;
            if page.is_empty() {
                break;
            }
            for session in &page {
                if self.flows.end_session(&session.id, now).await?.is_some() {
                    self.metrics.session(SessionEvent::Ended);
                    count += 1;
                }
            }
        }
        Ok(count)
    }

    async fn write_down(&self, entry: &AuditEntry) {
        if let Err(error) = self.store.append_audit(entry).await {
            self.metrics.audit_failed();
            tracing::error!(%error, action = entry.action, "what happened was not written down");
        }
    }
}

#[cfg(test)]
mod tests;
