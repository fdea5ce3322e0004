//! The port to what logging in and granting keep for a while: codes, families of refresh tokens,
//! pushed requests, device codes, sessions and tickets.
//!
//! It is volatile. A store that loses it logs everybody out and brings nothing back that was
//! ended: what ended for good is in the durable store ([`crate::durable::GrantStore`],
//! [`crate::durable::RevocationStore`]). No secret arrives here in clear: keys are hashes, tokens
//! come as hashes, and what an answer holds is sealed by whoever keeps it.
//!
//! Values are bytes that only their writer reads. `now` is the moment of the call; a store with a
//! clock of its own goes by that one.
//!
//! Every implementation passes the suite in `contract`.

mod code;
#[cfg(any(test, feature = "contract"))]
pub mod contract;
mod family;
mod key;
mod session;

use std::sync::Arc;

use postern_request::UnixMillis;

use crate::{BoxFuture, StoreError};

pub use code::Redeemed;
pub use family::{NewFamily, Presented, Standing, Turn, Turned};
pub use key::{FlowKey, FlowKind};
pub use session::{MAX_SESSIONS_LISTED, SessionRecord, UsedApiKey};

/// What logging in and granting keep for a while.
///
/// Each method is one atomic step: of calls at the same time, on whichever replica, one alone
/// takes, redeems, swaps or turns.
///
/// # Errors
/// Every method: [`StoreError::Unavailable`] when the store cannot be asked (a retry may help) or
/// has no room, [`StoreError::Corrupt`] when it holds what nobody here wrote. Nothing is changed
/// then, as far as is known: a call that was not answered may have been carried out.
pub trait FlowStore: Send + Sync {
    /// Keeps a value under a key that is not there yet; false where it is.
    fn put<'a>(
        &'a self,
        key: FlowKey,
        value: &'a [u8],
        keep_ms: u64,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, StoreError>>;

    /// The value under a key. Codes are redeemed, and show nothing here.
    fn peek(
        &self,
        key: FlowKey,
        now: UnixMillis,
    ) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>>;

    /// Takes a value out; of calls at the same time one alone gets it. Not for codes either.
    fn take(
        &self,
        key: FlowKey,
        now: UnixMillis,
    ) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>>;

    /// Puts `to` in the place of `from`, keeping its end; false where something else stands.
    fn swap<'a>(
        &'a self,
        key: FlowKey,
        from: &'a [u8],
        to: &'a [u8],
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, StoreError>>;

    /// Uses a code once. `mark` is told to whoever comes later, until the code's end.
    fn redeem_code<'a>(
        &'a self,
        key: FlowKey,
        mark: &'a [u8],
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<Redeemed, StoreError>>;

    /// Begins a family of refresh tokens; [`StoreError::Conflict`] where it is there already.
    fn start_family<'a>(
        &'a self,
        new: NewFamily<'a>,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<(), StoreError>>;

    /// How a token of a family stands. Once a spent one is shown whose time of grace is over, all of
    /// them are [`Standing::Reused`], until whoever is told has ended the family.
    fn stand(
        &self,
        key: FlowKey,
        presented: Presented,
        grace_ms: u64,
        now: UnixMillis,
    ) -> BoxFuture<'_, Result<Standing, StoreError>>;

    /// Exchanges the current token of a family for the next one, and keeps the answer for those
    /// who ask again within the time of grace. What has happened meanwhile is judged anew. Of
    /// tokens that were spent within that time, the last one is known at least.
    fn turn<'a>(
        &'a self,
        turn: Turn<'a>,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<Turned, StoreError>>;

    /// The grant, where the token is the current one. It changes nothing: introspection must not
    /// end a family.
    fn look_family(
        &self,
        key: FlowKey,
        presented: Presented,
        now: UnixMillis,
    ) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>>;

    /// Ends a family; its grant, the first time. With a lock, only where that fits: whoever has
    /// any token of it may end it (RFC 7009 §2.1), and nobody who knows its name alone.
    fn end_family(
        &self,
        key: FlowKey,
        lock: Option<[u8; 32]>,
        now: UnixMillis,
    ) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>>;

    /// Begins a session; [`StoreError::Conflict`] where its id is taken.
    fn start_session<'a>(
        &'a self,
        session: &'a SessionRecord,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<(), StoreError>>;

    /// A session that has reached neither its idle end nor its last one.
    fn find_session<'a>(
        &'a self,
        id: &'a str,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<Option<SessionRecord>, StoreError>>;

    /// Another authentication within a session: moments, methods and a new secret, so that the
    /// cookie from before is no good any more. All becomes as it is in `session`, but for when it
    /// began, and it was not used earlier than what stands there. False where there is no such
    /// session, or it is another user's; it is not begun again then.
    fn renew_session<'a>(
        &'a self,
        session: &'a SessionRecord,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, StoreError>>;

    /// Ends a session; what it was, the first time.
    fn end_session<'a>(
        &'a self,
        id: &'a str,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<Option<SessionRecord>, StoreError>>;

    /// The sessions of a user that live, newest first, at most [`MAX_SESSIONS_LISTED`].
    fn sessions_of<'a>(
        &'a self,
        user_id: &'a str,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<Vec<SessionRecord>, StoreError>>;

    /// Says when sessions were used last, never earlier than what stands there, and moves their
    /// idle ends. It is called in batches; ids that are none are passed over.
    fn touch_sessions<'a>(
        &'a self,
        used: &'a [(String, UnixMillis)],
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Says when API keys were used last, and how often since the last call.
    fn touch_api_keys<'a>(
        &'a self,
        used: &'a [UsedApiKey],
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<(), StoreError>>;
}

impl<T: FlowStore + ?Sized> FlowStore for Arc<T> {
    fn put<'a>(
        &'a self,
        key: FlowKey,
        value: &'a [u8],
        keep_ms: u64,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        (**self).put(key, value, keep_ms, now)
    }

    fn peek(
        &self,
        key: FlowKey,
        now: UnixMillis,
    ) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        (**self).peek(key, now)
    }

    fn take(
        &self,
        key: FlowKey,
        now: UnixMillis,
    ) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        (**self).take(key, now)
    }

    fn swap<'a>(
        &'a self,
        key: FlowKey,
        from: &'a [u8],
        to: &'a [u8],
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        (**self).swap(key, from, to, now)
    }

    fn redeem_code<'a>(
        &'a self,
        key: FlowKey,
        mark: &'a [u8],
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<Redeemed, StoreError>> {
        (**self).redeem_code(key, mark, now)
    }

    fn start_family<'a>(
        &'a self,
        new: NewFamily<'a>,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        (**self).start_family(new, now)
    }

    fn stand(
        &self,
        key: FlowKey,
        presented: Presented,
        grace_ms: u64,
        now: UnixMillis,
    ) -> BoxFuture<'_, Result<Standing, StoreError>> {
        (**self).stand(key, presented, grace_ms, now)
    }

    fn turn<'a>(
        &'a self,
        turn: Turn<'a>,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<Turned, StoreError>> {
        (**self).turn(turn, now)
    }

    fn look_family(
        &self,
        key: FlowKey,
        presented: Presented,
        now: UnixMillis,
    ) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        (**self).look_family(key, presented, now)
    }

    fn end_family(
        &self,
        key: FlowKey,
        lock: Option<[u8; 32]>,
        now: UnixMillis,
    ) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        (**self).end_family(key, lock, now)
    }

    fn start_session<'a>(
        &'a self,
        session: &'a SessionRecord,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        (**self).start_session(session, now)
    }

    fn find_session<'a>(
        &'a self,
        id: &'a str,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<Option<SessionRecord>, StoreError>> {
        (**self).find_session(id, now)
    }

    fn renew_session<'a>(
        &'a self,
        session: &'a SessionRecord,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        (**self).renew_session(session, now)
    }

    fn end_session<'a>(
        &'a self,
        id: &'a str,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<Option<SessionRecord>, StoreError>> {
        (**self).end_session(id, now)
    }

    fn sessions_of<'a>(
        &'a self,
        user_id: &'a str,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<Vec<SessionRecord>, StoreError>> {
        (**self).sessions_of(user_id, now)
    }

    fn touch_sessions<'a>(
        &'a self,
        used: &'a [(String, UnixMillis)],
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        (**self).touch_sessions(used, now)
    }

    fn touch_api_keys<'a>(
        &'a self,
        used: &'a [UsedApiKey],
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        (**self).touch_api_keys(used, now)
    }
}
