//! Sessions, and which are whose.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use postern_request::UnixMillis;

use super::expiring::{Bounds, Expiring, Weighed};
use crate::flows::{MAX_SESSIONS_LISTED, SessionRecord};
use crate::{FlowKey, FlowKind, StoreError};

const BOUNDS: Bounds = Bounds { entries: 500_000, bytes: 256 << 20 };

/// All of them. A session and the list that it stands in change together, so one lock guards both:
/// it is held for a look-up, and what is found is copied afterwards.
pub(super) struct Sessions {
    all: Expiring<Arc<SessionRecord>>,
    /// By user: when each began and its key. None of them is empty.
    of_user: Lists,
}

type Lists = HashMap<FlowKey, BTreeSet<(UnixMillis, FlowKey)>>;

impl Weighed for Arc<SessionRecord> {
    fn weight(&self) -> usize {
        let lists = self.methods.iter().chain(&self.scopes);
        let optional = [&self.device_id, &self.client_id, &self.parent];
        let texts = lists.chain(optional.into_iter().flatten()).map(String::len);
        // The id and the user stand in the list too, as hashes.
        size_of::<SessionRecord>()
            + texts.sum::<usize>()
            + self.id.len()
            + self.user_id.len()
            + self.person.len()
    }
}

impl Default for Sessions {
    fn default() -> Self {
        Self { all: Expiring::new(BOUNDS), of_user: HashMap::new() }
    }
}

fn key_of(id: &str) -> FlowKey {
    FlowKey::of(FlowKind::Session, id.as_bytes())
}

fn list_of(user_id: &str) -> FlowKey {
    FlowKey::of(FlowKind::SessionsOf, user_id.as_bytes())
}

/// When a session ends that is not used any more.
fn end_of(session: &SessionRecord) -> UnixMillis {
    session.ends_at.min(UnixMillis(session.last_used.0.saturating_add(session.idle_ms)))
}

fn unlist(lists: &mut Lists, session: &SessionRecord) {
    let user = list_of(&session.user_id);
    let Some(list) = lists.get_mut(&user) else { return };
    list.remove(&(session.created_at, key_of(&session.id)));
    if list.is_empty() {
        lists.remove(&user);
    }
}

impl Sessions {
    pub(super) fn start(
        &mut self,
        session: &SessionRecord,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let key = key_of(&session.id);
        if self.all.get(key, now).is_some() {
            return Err(StoreError::Conflict);
        }
        self.all.sweep(now, |gone| unlist(&mut self.of_user, &gone));
        let record = Arc::new(session.clone());
        if let Some(ended) = self.all.put(key, record, end_of(session))? {
            unlist(&mut self.of_user, &ended);
        }
        let list = self.of_user.entry(list_of(&session.user_id)).or_default();
        list.insert((session.created_at, key));
        Ok(())
    }

    pub(super) fn find(&self, id: &str, now: UnixMillis) -> Option<Arc<SessionRecord>> {
        self.all.get(key_of(id), now).map(|kept| Arc::clone(&kept.value))
    }

    pub(super) fn renew(
        &mut self,
        session: &SessionRecord,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let found = self.find(&session.id, now);
        let Some(before) = found.filter(|before| before.user_id == session.user_id) else {
            return Ok(false);
        };
        let renewed = SessionRecord {
            created_at: before.created_at,
            last_used: before.last_used.max(session.last_used),
            ..session.clone()
        };
        self.replace(renewed).map(|()| true)
    }

    /// Puts a record in the place of one of the same user and beginning.
    fn replace(&mut self, session: SessionRecord) -> Result<(), StoreError> {
        let ends = end_of(&session);
        self.all.put(key_of(&session.id), Arc::new(session), ends).map(drop)
    }

    pub(super) fn end(&mut self, id: &str, now: UnixMillis) -> Option<Arc<SessionRecord>> {
        let kept = self.all.remove(key_of(id))?;
        unlist(&mut self.of_user, &kept.value);
        Some(kept).filter(|kept| kept.ends > now).map(|kept| kept.value)
    }

    pub(super) fn of(&self, user_id: &str, now: UnixMillis) -> Vec<Arc<SessionRecord>> {
        let list = self.of_user.get(&list_of(user_id)).into_iter().flatten();
        let live = list.rev().filter_map(|(_, key)| self.all.get(*key, now));
        live.take(MAX_SESSIONS_LISTED).map(|kept| Arc::clone(&kept.value)).collect()
    }

    pub(super) fn touch(
        &mut self,
        used: &[(String, UnixMillis)],
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        for (id, at) in used {
            let Some(before) = self.find(id, now).filter(|before| before.last_used < *at) else {
                continue;
            };
            self.replace(SessionRecord { last_used: *at, ..SessionRecord::clone(&before) })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
