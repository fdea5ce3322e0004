//! What logging in and granting keep, away.

use postern_request::UnixMillis;

use super::{Away, away};
use crate::flows::{
    FlowKey, FlowStore, NewFamily, Presented, Redeemed, SessionRecord, Standing, Turn, Turned,
    UsedApiKey,
};
use crate::{BoxFuture, StoreError};

impl FlowStore for Away {
    fn put<'a>(
        &'a self,
        _: FlowKey,
        _: &'a [u8],
        _: u64,
        _: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        away()
    }

    fn peek(
        &self,
        _: FlowKey,
        _: UnixMillis,
    ) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        away()
    }

    fn take(
        &self,
        _: FlowKey,
        _: UnixMillis,
    ) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        away()
    }

    fn swap<'a>(
        &'a self,
        _: FlowKey,
        _: &'a [u8],
        _: &'a [u8],
        _: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        away()
    }

    fn redeem_code<'a>(
        &'a self,
        _: FlowKey,
        _: &'a [u8],
        _: UnixMillis,
    ) -> BoxFuture<'a, Result<Redeemed, StoreError>> {
        away()
    }

    fn start_family<'a>(
        &'a self,
        _: NewFamily<'a>,
        _: UnixMillis,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        away()
    }

    fn stand(
        &self,
        _: FlowKey,
        _: Presented,
        _: u64,
        _: UnixMillis,
    ) -> BoxFuture<'_, Result<Standing, StoreError>> {
        away()
    }

    fn turn<'a>(&'a self, _: Turn<'a>, _: UnixMillis) -> BoxFuture<'a, Result<Turned, StoreError>> {
        away()
    }

    fn look_family(
        &self,
        _: FlowKey,
        _: Presented,
        _: UnixMillis,
    ) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        away()
    }

    fn end_family(
        &self,
        _: FlowKey,
        _: Option<[u8; 32]>,
        _: UnixMillis,
    ) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        away()
    }

    fn start_session<'a>(
        &'a self,
        _: &'a SessionRecord,
        _: UnixMillis,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        away()
    }

    fn find_session<'a>(
        &'a self,
        _: &'a str,
        _: UnixMillis,
    ) -> BoxFuture<'a, Result<Option<SessionRecord>, StoreError>> {
        away()
    }

    fn renew_session<'a>(
        &'a self,
        _: &'a SessionRecord,
        _: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        away()
    }

    fn end_session<'a>(
        &'a self,
        _: &'a str,
        _: UnixMillis,
    ) -> BoxFuture<'a, Result<Option<SessionRecord>, StoreError>> {
        away()
    }

    fn sessions_of<'a>(
        &'a self,
        _: &'a str,
        _: UnixMillis,
    ) -> BoxFuture<'a, Result<Vec<SessionRecord>, StoreError>> {
        away()
    }

    fn touch_sessions<'a>(
        &'a self,
        _: &'a [(String, UnixMillis)],
        _: UnixMillis,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        away()
    }

    fn touch_api_keys<'a>(
        &'a self,
        _: &'a [UsedApiKey],
        _: UnixMillis,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        away()
    }
}
