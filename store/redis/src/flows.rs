//! [`RedisStore`] as the store of flows. Each call is one command or one script, and so one step
//! for all who call at the same time; Redis' clock decides what has ended.
//!
//! What is asked of a cluster goes again when its connection was lost on the way, whether it had
//! been done by then or not. Then a code counts as used, a value as taken, and a key as there
//! already: whoever asked fails, and nothing is given twice. A turn that is repeated was
//! done, or gets its own answer again.

mod answer;
mod pack;
pub(crate) mod script;
mod session;

use postern_request::UnixMillis;
use postern_store::flows::{
    FlowStore, MAX_SESSIONS_LISTED, NewFamily, Presented, Redeemed, SessionRecord, Standing, Turn,
    Turned, UsedApiKey,
};
use postern_store::{BoxFuture, FlowKey, FlowKind, StoreError};
use redis::{Cmd, Value};

use crate::RedisStore;
use crate::error::unexpected;
use crate::slots::all;

/// Commands of one call that are on their way at the same time: a decision must not stand behind
/// all that a call about many sessions asks for.
const AT_ONCE: usize = 16;
/// How long after its beginning a session may be listed and not written yet.
const BEGINNING_MS: u64 = 60_000;

impl FlowStore for RedisStore {
    fn put<'a>(
        &'a self,
        key: FlowKey,
        value: &'a [u8],
        keep_ms: u64,
        _: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            match self.call(pack::put(key, value, keep_ms)).await? {
                Value::Okay => Ok(true),
                Value::Nil => Ok(false),
                _ => Err(unexpected("to SET")),
            }
        })
    }

    fn peek(
        &self,
        key: FlowKey,
        _: UnixMillis,
    ) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        Box::pin(self.value("GET", key))
    }

    fn take(
        &self,
        key: FlowKey,
        _: UnixMillis,
    ) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        Box::pin(self.value("GETDEL", key))
    }

    fn swap<'a>(
        &'a self,
        key: FlowKey,
        from: &'a [u8],
        to: &'a [u8],
        _: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            // A code that was used stays so.
            if key.kind() == FlowKind::Code {
                return Ok(false);
            }
            self.done(pack::swap(self.scripts(), key, from, to)).await
        })
    }

    fn redeem_code<'a>(
        &'a self,
        key: FlowKey,
        mark: &'a [u8],
        _: UnixMillis,
    ) -> BoxFuture<'a, Result<Redeemed, StoreError>> {
        Box::pin(async move {
            if key.kind() != FlowKind::Code {
                return Ok(Redeemed::Unknown);
            }
            let answer = self.call(pack::redeem(self.scripts(), key, mark)).await?;
            answer::redeemed(answer).ok_or_else(|| unexpected("of the script that redeems"))
        })
    }

    fn start_family<'a>(
        &'a self,
        new: NewFamily<'a>,
        _: UnixMillis,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let is_new = self.done(pack::start_family(self.scripts(), &new)).await?;
            if is_new { Ok(()) } else { Err(StoreError::Conflict) }
        })
    }

    fn stand(
        &self,
        key: FlowKey,
        presented: Presented,
        grace_ms: u64,
        _: UnixMillis,
    ) -> BoxFuture<'_, Result<Standing, StoreError>> {
        Box::pin(async move {
            let call = pack::stand(self.scripts(), key, &presented, grace_ms);
            let answer = self.call(call).await?;
            answer::standing(answer).ok_or_else(|| unexpected("of the script of families"))
        })
    }

    fn turn<'a>(
        &'a self,
        turn: Turn<'a>,
        _: UnixMillis,
    ) -> BoxFuture<'a, Result<Turned, StoreError>> {
        Box::pin(async move {
            let answer = self.call(pack::turn(self.scripts(), &turn)).await?;
            answer::turned(answer).ok_or_else(|| unexpected("of the script of families"))
        })
    }

    fn look_family(
        &self,
        key: FlowKey,
        presented: Presented,
        _: UnixMillis,
    ) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        Box::pin(async move {
            let answer = self.call(pack::look_family(key)).await?;
            answer::look(answer, &presented).ok_or_else(|| unexpected("of a family"))
        })
    }

    fn end_family(
        &self,
        key: FlowKey,
        lock: Option<[u8; 32]>,
        _: UnixMillis,
    ) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        Box::pin(async move {
            let answer = self.call(pack::end_family(self.scripts(), key, lock.as_ref())).await?;
            answer::bytes(answer).ok_or_else(|| unexpected("of the script that ends families"))
        })
    }

    fn start_session<'a>(
        &'a self,
        session: &'a SessionRecord,
        _: UnixMillis,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            // The list comes first: of the two, a session that nobody lists would be the worse one
            // to be left with.
            self.list(session, session.created_at).await?;
            let is_new = self.done(pack::start_session(self.scripts(), session)).await?;
            if is_new { Ok(()) } else { Err(StoreError::Conflict) }
        })
    }

    fn find_session<'a>(
        &'a self,
        id: &'a str,
        _: UnixMillis,
    ) -> BoxFuture<'a, Result<Option<SessionRecord>, StoreError>> {
        Box::pin(self.session(id))
    }

    fn renew_session<'a>(
        &'a self,
        session: &'a SessionRecord,
        _: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            let answer = self.call(pack::renew_session(self.scripts(), session)).await?;
            let began = answer::began(&answer);
            let began = began.ok_or_else(|| unexpected("of the script that renews sessions"))?;
            if let Some(created_at) = began {
                // Its end may be another one now.
                self.list(session, created_at).await?;
            }
            Ok(began.is_some())
        })
    }

    fn end_session<'a>(
        &'a self,
        id: &'a str,
        _: UnixMillis,
    ) -> BoxFuture<'a, Result<Option<SessionRecord>, StoreError>> {
        Box::pin(async move {
            let ended = session::read(self.call(pack::end_session(self.scripts(), id)).await?)?;
            if let Some(session) = &ended {
                // It is over, whatever the list says: that is put right by whoever reads it.
                let member = [session::member(session.created_at, &session.id)];
                drop(self.call(pack::unlist(&session.user_id, &member)).await);
            }
            Ok(ended)
        })
    }

    fn sessions_of<'a>(
        &'a self,
        user_id: &'a str,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<Vec<SessionRecord>, StoreError>> {
        Box::pin(self.listed_sessions(user_id, now))
    }

    fn touch_sessions<'a>(
        &'a self,
        used: &'a [(String, UnixMillis)],
        _: UnixMillis,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        let call = |(id, at): &(String, UnixMillis)| pack::touch_session(self.scripts(), id, at.0);
        Box::pin(self.all_done(used.iter().map(call).collect()))
    }

    fn touch_api_keys<'a>(
        &'a self,
        used: &'a [UsedApiKey],
        _: UnixMillis,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        let call = |used: &UsedApiKey| pack::touch_key(self.scripts(), used);
        Box::pin(self.all_done(used.iter().map(call).collect()))
    }
}

impl RedisStore {
    /// What a command answers that reads a value, if there is one. Of a code there is none.
    async fn value(&self, command: &str, key: FlowKey) -> Result<Option<Vec<u8>>, StoreError> {
        if key.kind() == FlowKind::Code {
            return Ok(None);
        }
        let answer = self.call(pack::of_key(command, key)).await?;
        answer::bytes(answer).ok_or_else(|| unexpected("to GET"))
    }

    /// Whether a script did what it was called for.
    async fn done(&self, call: Cmd) -> Result<bool, StoreError> {
        answer::done(&self.call(call).await?).ok_or_else(|| unexpected("of a script of flows"))
    }

    /// Calls that nobody waits for, a few at a time; it ends with the first few that fail.
    async fn all_done(&self, mut calls: Vec<Cmd>) -> Result<(), StoreError> {
        while !calls.is_empty() {
            let some = calls.drain(..calls.len().min(AT_ONCE));
            let some: Vec<_> = some.map(|call| self.call(call)).collect();
            for answer in all(some).await {
                answer?;
            }
        }
        Ok(())
    }

    async fn session(&self, id: &str) -> Result<Option<SessionRecord>, StoreError> {
        session::read(self.call(pack::find_session(id)).await?)
    }

    /// Puts a session that began then on the list of its user's.
    async fn list(
        &self,
        session: &SessionRecord,
        created_at: UnixMillis,
    ) -> Result<(), StoreError> {
        self.call(pack::list_session(self.scripts(), session, created_at)).await.map(drop)
    }

    async fn listed_session(&self, member: &str) -> Result<Option<SessionRecord>, StoreError> {
        match session::read_member(member) {
            Some((_, id)) => self.session(id).await,
            None => Ok(None),
        }
    }

    async fn listed_sessions(
        &self,
        user_id: &str,
        now: UnixMillis,
    ) -> Result<Vec<SessionRecord>, StoreError> {
        let listed = self.call(pack::listed(user_id)).await?;
        let members: Vec<String> =
            redis::from_redis_value(listed).map_err(|_| unexpected("of a list of sessions"))?;
        let (mut live, mut gone) = (Vec::new(), Vec::new());
        for members in members.chunks(AT_ONCE) {
            let found = members.iter().map(|member| self.listed_session(member));
            for (member, found) in members.iter().zip(all(found.collect()).await) {
                match found? {
                    // Whose it is, the session says: what was begun with an id that another one
                    // had was listed too.
                    Some(session) if is_listed_as(&session, user_id, member) => live.push(session),
                    _ if is_beginning(member, now) => {}
                    _ => gone.push(member.clone()),
                }
            }
        }
        if !gone.is_empty() {
            // They are looked up once more where this fails.
            drop(self.call(pack::unlist(user_id, &gone)).await);
        }
        live.sort_by(|a, b| (b.created_at, &b.id).cmp(&(a.created_at, &a.id)));
        live.truncate(MAX_SESSIONS_LISTED);
        Ok(live)
    }
}

fn is_listed_as(session: &SessionRecord, user_id: &str, member: &str) -> bool {
    session.user_id == user_id && session::member(session.created_at, &session.id) == member
}

/// Whether somebody may be about to write this session.
fn is_beginning(member: &str, now: UnixMillis) -> bool {
    session::read_member(member).is_some_and(|(began, _)| now.millis_since(began) < BEGINNING_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_that_is_about_to_be_written_stays_listed() {
        let now = UnixMillis(1_000_000);
        assert!(is_beginning("1000000:s", now));
        assert!(is_beginning("940001:s", now), "it began just within a minute");
        assert!(!is_beginning("940000:s", now));
        assert!(is_beginning("1000500:s", now), "by a clock that is ahead");
        assert!(!is_beginning("nonsense", now));
    }
}
