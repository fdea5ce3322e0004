//! What ends, and how long that is remembered.

use std::sync::atomic::Ordering;

use postern_request::UnixMillis;
use postern_revocation::{Revocation, RevocationKind};
use postern_store::StoreError;
use postern_store::durable::MAX_PAGE;
use postern_store::flows::SessionRecord;

use super::{AFTER_EXPIRY_SECS, Ending};

/// A session that ends.
pub(super) struct Over {
    pub(super) id: String,
    /// How long its end is remembered, in seconds since the epoch.
    pub(super) until: u64,
}

impl Ending {
    /// The session, and what of it and of the grants that end with it is over.
    pub(super) async fn with_grants(
        &self,
        id: &str,
        now: UnixMillis,
    ) -> Result<(Option<SessionRecord>, Vec<Over>), StoreError> {
        let mut own = self.over(id, now);
        let Some(session) = self.flows.find_session(id, now).await? else {
            return Ok((None, vec![own]));
        };
        if session.client_id.is_some() {
            // It is worth what its family is, and that has an end which is never forgotten.
            return Ok((Some(session), vec![own]));
        }
        let lives_until = session.ends_at.as_secs().saturating_add(AFTER_EXPIRY_SECS);
        own.until = own.until.max(lives_until);
        let grants = self.grants_of(&session.user_id, id, now).await?;
        let mut all = vec![own];
        all.extend(grants.iter().map(|grant| self.over(grant, now)));
        Ok((Some(session), all))
    }

    /// A session whose end is remembered for longer than its access tokens live.
    pub(super) fn over(&self, id: &str, now: UnixMillis) -> Over {
        Over { id: id.to_owned(), until: now.as_secs().saturating_add(self.remember_secs) }
    }

    /// When no session of today is good any more, whatever has become of its end.
    pub(super) fn until_no_session_lives(&self, now: UnixMillis) -> u64 {
        let lives_secs = self.sessions_live_secs.load(Ordering::Relaxed);
        let lives_secs = lives_secs.saturating_add(AFTER_EXPIRY_SECS);
        now.as_secs().saturating_add(lives_secs.max(self.remember_secs))
    }

    pub(super) fn revocation(
        &self,
        kind: RevocationKind,
        value: &str,
        until: u64,
        now: UnixMillis,
    ) -> Result<Revocation, StoreError> {
        Revocation::at(now.as_secs(), kind, &*self.issuer, value, until)
            .map_err(|error| StoreError::Corrupt(error.to_string()))
    }

    /// The sessions of a user's families that have not ended, of one client or of all.
    pub(super) async fn families_of(
        &self,
        user_id: &str,
        client_id: Option<&str>,
    ) -> Result<Vec<String>, StoreError> {
        let (mut sessions, mut after) = (Vec::new(), None);
        loop {
            let page = self.store.families_of(user_id, after, MAX_PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            let lives = page.into_iter().filter(|family| {
                family.ended_at.is_none() && client_id.is_none_or(|id| family.client_id == id)
            });
            sessions.extend(lives.map(|family| family.session_id));
        }
        sessions.sort_unstable();
        sessions.dedup();
        Ok(sessions)
    }
}
