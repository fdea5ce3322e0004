//! Codes and all that is taken out once.

use postern_request::UnixMillis;

use super::expiring::{Bounds, Expiring, Sharded, Weighed};
use crate::flows::Redeemed;
use crate::{FlowKey, FlowKind, StoreError};

/// Codes live ten minutes, most others less: enough for 300 log-ins a second.
const BOUNDS: Bounds = Bounds { entries: 180_000, bytes: 96 << 20 };
/// Requests that are kept for a browser are long, and strangers may leave some: they have a room of
/// their own, and leave the other one to those who log in.
const OF_REQUESTS: Bounds = Bounds { entries: 20_000, bytes: 32 << 20 };

/// What is kept under a key.
struct Value {
    /// What was put, or of a code that was redeemed the mark of whoever did.
    bytes: Vec<u8>,
    is_used: bool,
}

impl Value {
    fn new(bytes: &[u8], is_used: bool) -> Self {
        Self { bytes: bytes.to_vec(), is_used }
    }
}

impl Weighed for Value {
    fn weight(&self) -> usize {
        self.bytes.len()
    }
}

pub(super) struct Pending {
    all: Sharded<Value>,
    requests: Sharded<Value>,
}

impl Default for Pending {
    fn default() -> Self {
        Self { all: Sharded::new(BOUNDS), requests: Sharded::new(OF_REQUESTS) }
    }
}

/// Whether this is redeemed, and neither shown nor taken.
fn is_code(key: FlowKey) -> bool {
    key.kind() == FlowKind::Code
}

impl Pending {
    /// Does something within the shard of a key.
    fn with<T>(&self, key: FlowKey, act: impl FnOnce(&mut Expiring<Value>) -> T) -> T {
        let room = if key.kind() == FlowKind::Par { &self.requests } else { &self.all };
        room.with(key, act)
    }

    pub(super) fn put(
        &self,
        key: FlowKey,
        value: &[u8],
        keep_ms: u64,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let ends = UnixMillis(now.0.saturating_add(keep_ms.max(1)));
        self.with(key, |shard| {
            if shard.get(key, now).is_some() {
                return Ok(false);
            }
            shard.sweep(now, drop);
            shard.put(key, Value::new(value, false), ends).map(|_| true)
        })
    }

    pub(super) fn peek(&self, key: FlowKey, now: UnixMillis) -> Option<Vec<u8>> {
        if is_code(key) {
            return None;
        }
        self.with(key, |shard| shard.get(key, now).map(|kept| kept.value.bytes.clone()))
    }

    pub(super) fn take(&self, key: FlowKey, now: UnixMillis) -> Option<Vec<u8>> {
        if is_code(key) {
            return None;
        }
        self.with(key, |shard| shard.take(key, now).map(|value| value.bytes))
    }

    pub(super) fn swap(
        &self,
        key: FlowKey,
        from: &[u8],
        to: &[u8],
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        if is_code(key) {
            return Ok(false);
        }
        self.with(key, |shard| {
            let Some(kept) = shard.get(key, now).filter(|kept| kept.value.bytes == from) else {
                return Ok(false);
            };
            let ends = kept.ends;
            shard.put(key, Value::new(to, false), ends).map(|_| true)
        })
    }

    pub(super) fn redeem(
        &self,
        key: FlowKey,
        mark: &[u8],
        now: UnixMillis,
    ) -> Result<Redeemed, StoreError> {
        if !is_code(key) {
            return Ok(Redeemed::Unknown);
        }
        self.with(key, |shard| redeem_in(shard, key, mark, now))
    }
}

fn redeem_in(
    shard: &mut Expiring<Value>,
    key: FlowKey,
    mark: &[u8],
    now: UnixMillis,
) -> Result<Redeemed, StoreError> {
    let Some(kept) = shard.get(key, now) else { return Ok(Redeemed::Unknown) };
    if kept.value.is_used {
        return Ok(Redeemed::Used(kept.value.bytes.clone()));
    }
    let ends = kept.ends;
    let fresh = shard.put(key, Value::new(mark, true), ends)?;
    Ok(fresh.map_or(Redeemed::Unknown, |value| Redeemed::Fresh(value.bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(kind: FlowKind) -> FlowKey {
        FlowKey::of(kind, b"a")
    }

    #[test]
    fn a_redeemed_code_is_remembered_until_its_end_and_no_longer() {
        let pending = Pending::default();
        let code = key(FlowKind::Code);
        assert_eq!(pending.put(code, b"grant", 600_000, UnixMillis(0)), Ok(true));
        let redeem = |mark: &[u8], at| pending.redeem(code, mark, UnixMillis(at)).unwrap();
        assert_eq!(redeem(b"first", 1_000), Redeemed::Fresh(b"grant".to_vec()));
        assert_eq!(redeem(b"second", 599_999), Redeemed::Used(b"first".to_vec()));
        assert_eq!(redeem(b"third", 600_000), Redeemed::Unknown);
    }

    #[test]
    fn a_value_ends_when_it_was_said_whatever_becomes_of_it() {
        let pending = Pending::default();
        let device = key(FlowKind::Device);
        assert_eq!(pending.put(device, b"pending", 1_000, UnixMillis(0)), Ok(true));
        assert_eq!(pending.swap(device, b"pending", b"approved", UnixMillis(900)), Ok(true));
        assert_eq!(pending.peek(device, UnixMillis(999)), Some(b"approved".to_vec()));
        assert_eq!(pending.peek(device, UnixMillis(1_000)), None);
        assert_eq!(pending.swap(device, b"approved", b"x", UnixMillis(1_000)), Ok(false));
        assert_eq!(pending.take(device, UnixMillis(1_000)), None);
    }

    #[test]
    fn requests_that_strangers_leave_take_no_room_from_those_who_log_in() {
        let pending = Pending::default();
        let request = vec![b'a'; 16_384];
        let named = |kind, name: usize| FlowKey::of(kind, &name.to_le_bytes());
        let put = |kind, name, value: &[u8]| {
            pending.put(named(kind, name), value, 600_000, UnixMillis(0))
        };
        let kept = (0..4_000).filter(|name| put(FlowKind::Par, *name, &request).is_ok()).count();
        assert!((1_000..2_048).contains(&kept), "{kept} of them are 32 MiB at most");
        for name in 0..1_000 {
            for kind in [FlowKind::Code, FlowKind::Login, FlowKind::Device] {
                assert_eq!(put(kind, name, &request), Ok(true), "{kind:?} {name}");
            }
        }
    }

    #[test]
    fn what_is_no_code_is_not_redeemed() {
        let pending = Pending::default();
        let par = key(FlowKind::Par);
        assert_eq!(pending.put(par, b"request", 1_000, UnixMillis(0)), Ok(true));
        assert_eq!(pending.redeem(par, b"mark", UnixMillis(1)), Ok(Redeemed::Unknown));
        assert_eq!(pending.take(par, UnixMillis(1)), Some(b"request".to_vec()));
    }
}
