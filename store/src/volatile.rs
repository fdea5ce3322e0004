//! The volatile port: limits and circuits, one call a decision; shared circuits beside requests;
//! and what may be seen only once.

pub mod circuits;
#[cfg(any(test, feature = "contract"))]
pub mod contract;

use postern_circuit::Admission;
use postern_leases::{Ask, LeaseId, Terms};
use postern_limits::key::hashed;
use postern_limits::{InFlight, Outcome, Spec};
use postern_request::{RateLimitStatus, UnixMillis};
use sha2::{Digest as _, Sha256};

use crate::{BoxFuture, StoreError};

pub use circuits::{
    CircuitAsk, CircuitReport, CircuitStanding, CircuitStore, CircuitWord, Granted, ProbeAsk,
    ProbeOutcomes, ProbesOf, Reported, ReporterId, Reporting,
};
pub use postern_leases::Grant;

/// A limit's key as stores see it: a hash of what the request is counted by. Untrusted text
/// never becomes part of a store's key.
///
/// It is made here and nowhere else: whoever counts and whoever looks must come to the same one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LimitKey {
    /// Whose: a hash of the one that the keys of a request have in common. Stores in several
    /// parts keep the keys of one owner together. It tells no two keys apart.
    pub owner: u64,
    /// What is counted, the limit and its numbers included.
    pub hash: [u8; 16],
}

impl LimitKey {
    /// Of a limit of the document: what it counts a request under, and whose that is.
    #[must_use]
    pub fn of(owner: &str, counted_under: &str) -> Self {
        let (owner, hash) = hashed(owner, counted_under);
        Self { owner, hash }
    }

    /// Of a counter of the rate limit service. Before everything else stands what sets these keys
    /// apart from all others that are hashed for the same store, and the period, because a window
    /// of one says nothing about one of another. The number of requests is no part of it: a rule
    /// that is made tighter goes on from what was counted.
    ///
    /// Every key is an owner of its own. What the descriptors of a request have in common is mostly
    /// what all requests have in common, and a store in several parts must not keep that in one.
    #[must_use]
    pub fn of_descriptor(counter: &str, spec: Spec) -> Self {
        let mut digest = Sha256::new();
        digest.update(b"rate-limit");
        digest.update(spec.rate().period_ms().to_le_bytes());
        digest.update(counter.as_bytes());
        let digest: [u8; 32] = digest.finalize().into();
        let rest = digest.get(16..).and_then(<[u8]>::first_chunk);
        let owner = rest.map_or(0, |owner| u64::from_le_bytes(*owner));
        Self { owner, hash: half_of(&digest) }
    }

    /// Where leases of a limit are counted, by the key that a sidecar names and the
    /// [`stamp`](postern_limits::key::stamp) of what they are cut from. A sidecar that makes keys
    /// up, or names those of one limit for another, touches nothing but leases, and those of no
    /// other limit or allowance.
    #[must_use]
    pub fn leased(self, stamp: u64) -> Self {
        let mut digest = Sha256::new();
        digest.update(b"lease");
        digest.update(self.hash);
        digest.update(stamp.to_le_bytes());
        Self { owner: self.owner, hash: half_of(&digest.finalize().into()) }
    }

    /// The hash in lower-case hexadecimal.
    #[must_use]
    pub fn to_hex(self) -> String {
        to_hex(&self.hash)
    }

    /// The owner in lower-case hexadecimal.
    #[must_use]
    pub fn owner_hex(self) -> String {
        to_hex(&self.owner.to_be_bytes())
    }
}

/// What something is remembered by that may be seen only once, such as a DPoP proof: a hash of
/// all that makes it what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReplayKey(pub [u8; 32]);

impl ReplayKey {
    /// Lower-case hexadecimal.
    #[must_use]
    pub fn to_hex(self) -> String {
        to_hex(&self.0)
    }
}

/// The first half of a digest.
fn half_of(digest: &[u8; 32]) -> [u8; 16] {
    digest.first_chunk().copied().unwrap_or_default()
}

/// Without formatting: every decision in Redis names its keys.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 0xf));
    }
    text
}

/// What is taken from a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Take {
    /// So many requests of a rate.
    Rate {
        /// What the limit allows.
        spec: Spec,
        /// How much this request counts; zero looks.
        cost: u64,
    },
    /// One of so many at a time.
    InFlight {
        /// What the limit allows.
        spec: InFlight,
        /// The request, by a number that no other has at the time. Who asks again with the same
        /// one holds no second place.
        id: u64,
    },
}

/// One limit to take from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitAsk {
    /// Whose.
    pub key: LimitKey,
    /// What.
    pub take: Take,
    /// Whether the limit is only tried out: it says what it would say, and refuses nothing.
    pub shadow: bool,
}

/// Everything that one request needs of the store.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DecisionAsk {
    /// Limits. From the binding ones, those without `shadow`, is taken from all or from none;
    /// from a shadow one when that is so and it has room itself. The binding ones are asked
    /// first, each kind in order, and a key that stands here twice has been taken from when it
    /// is asked again.
    pub limits: Vec<LimitAsk>,
    /// The service's circuit.
    pub circuit: Option<CircuitAsk>,
}

/// What the store says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// One for each limit, in order; empty when the circuit refused before anything was
    /// counted. Where the request may not pass, nothing was taken, and one that says yes says
    /// what is left without it.
    pub limits: Vec<Outcome>,
    /// What the shared circuit says. A probe is given out only when every binding limit lets the
    /// request pass, and counts with those that were [granted](CircuitStore::grant_probes).
    pub admission: Admission,
    /// Whether the request may pass: neither the circuit nor a binding limit refuses.
    pub allowed: bool,
}

/// What is given back of one limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GiveBack {
    /// Whose.
    pub key: LimitKey,
    /// As it was taken.
    pub take: Take,
}

/// How a key stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inspected {
    /// What is left.
    pub status: RateLimitStatus,
    /// After how long the store may forget the key, because nothing counts any more.
    pub expires_in_ms: u64,
}

/// A slice to lend out of a limit that is leased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LendAsk {
    /// Whose. What is counted under the key of a leased limit is lent and nothing else.
    pub key: LimitKey,
    /// What the limit allows.
    pub spec: Spec,
    /// On which terms.
    pub terms: Terms,
    /// What is asked for.
    pub ask: Ask,
}

/// A lease that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TakeBack {
    /// Whose.
    pub key: LimitKey,
    /// What the limit allows, as it was when the slice was lent.
    pub spec: Spec,
    /// The lease.
    pub id: LeaseId,
    /// What was not spent of it. More than was lent is as much as was lent.
    pub unused: u64,
}

/// Shared, short-lived state.
///
/// `now` is for stores without a clock of their own.
pub trait VolatileStore: CircuitStore + Send + Sync {
    /// Decides on one request, atomically for each store slot.
    fn decide<'a>(
        &'a self,
        ask: &'a DecisionAsk,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<Decision, StoreError>>;

    /// Gives back what was taken for a request that did not count in the end, and the places of
    /// those that have left. Of what is not there, nothing; a limit has never more room than when
    /// it is new.
    fn give_back<'a>(
        &'a self,
        taken: &'a [GiveBack],
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<(), StoreError>>;

    /// How a key stands towards what `take` allows; none when nothing counts. Changes nothing.
    fn inspect(
        &self,
        key: LimitKey,
        take: Take,
        now: UnixMillis,
    ) -> BoxFuture<'_, Result<Option<Inspected>, StoreError>>;

    /// Forgets keys, whatever they count. Says how many of them were there. What is lent of a key
    /// stays with those who have it until it ends, and is credited to nobody.
    fn reset<'a>(&'a self, keys: &'a [LimitKey]) -> BoxFuture<'a, Result<u64, StoreError>>;

    /// Lends slices: one answer for each question, in order, and each question for itself, by the
    /// rules of [`postern_leases::Ledger`]. What is lent is debited first. A question that was
    /// asked before gets what is left of its answer, and debits nothing; so one that failed may
    /// be asked again, whether the store had done it by then or not.
    fn lend<'a>(
        &'a self,
        asks: &'a [LendAsk],
        now: UnixMillis,
    ) -> BoxFuture<'a, Vec<Result<Grant, StoreError>>>;

    /// Ends leases and credits what was not spent of them: one answer for each, in order, with
    /// how much was credited. The same return again credits nothing.
    fn take_back<'a>(
        &'a self,
        returns: &'a [TakeBack],
        now: UnixMillis,
    ) -> BoxFuture<'a, Vec<Result<u64, StoreError>>>;

    /// Remembers that something was seen, for so many milliseconds (at least one): true the
    /// first time, false as long as it is remembered. Seeing it again does not prolong that. Of
    /// calls at the same time, on whichever replica, one alone is the first.
    ///
    /// # Errors
    /// When that cannot be said, or when there is no room for more: nothing that is still
    /// remembered is given up for something new. The caller must not take it for the first time.
    fn remember_once(
        &self,
        key: ReplayKey,
        keep_ms: u64,
        now: UnixMillis,
    ) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// Whether the store answers.
    fn ping(&self) -> BoxFuture<'_, Result<(), StoreError>>;
}

impl<T: VolatileStore + ?Sized> VolatileStore for std::sync::Arc<T> {
    fn decide<'a>(
        &'a self,
        ask: &'a DecisionAsk,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<Decision, StoreError>> {
        (**self).decide(ask, now)
    }

    fn give_back<'a>(
        &'a self,
        taken: &'a [GiveBack],
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        (**self).give_back(taken, now)
    }

    fn inspect(
        &self,
        key: LimitKey,
        take: Take,
        now: UnixMillis,
    ) -> BoxFuture<'_, Result<Option<Inspected>, StoreError>> {
        (**self).inspect(key, take, now)
    }

    fn reset<'a>(&'a self, keys: &'a [LimitKey]) -> BoxFuture<'a, Result<u64, StoreError>> {
        (**self).reset(keys)
    }

    fn lend<'a>(
        &'a self,
        asks: &'a [LendAsk],
        now: UnixMillis,
    ) -> BoxFuture<'a, Vec<Result<Grant, StoreError>>> {
        (**self).lend(asks, now)
    }

    fn take_back<'a>(
        &'a self,
        returns: &'a [TakeBack],
        now: UnixMillis,
    ) -> BoxFuture<'a, Vec<Result<u64, StoreError>>> {
        (**self).take_back(returns, now)
    }

    fn remember_once(
        &self,
        key: ReplayKey,
        keep_ms: u64,
        now: UnixMillis,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        (**self).remember_once(key, keep_ms, now)
    }

    fn ping(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        (**self).ping()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use postern_limits::{Algorithm, Anchor, Rate};

    #[test]
    fn keys_stay_what_they_are() {
        // What is counted in a running store must be found by the next release.
        let key = LimitKey::of("owner", "1:l5:alice");
        let owner = Sha256::digest("owner");
        assert_eq!(key.owner_hex(), to_hex(&owner[..8]));
        assert_eq!(key.to_hex(), to_hex(&Sha256::digest("1:l5:alice")[..16]));

        let spec = |requests, period_ms| {
            let rate = Rate::new(requests, period_ms).unwrap();
            Spec::new(Algorithm::FixedWindow, rate, None, Anchor::Clock).unwrap()
        };
        let key = LimitKey::of_descriptor("1:d1:k=1:v", spec(5, 60_000));
        let digest = Sha256::digest(b"rate-limit\x60\xea\0\0\0\0\0\x001:d1:k=1:v");
        assert_eq!(key.to_hex(), to_hex(&digest[..16]));
        assert_eq!(key.owner.to_le_bytes(), digest[16..24]);
        assert_eq!(LimitKey::of_descriptor("1:d1:k=1:v", spec(9, 60_000)), key);
        assert_ne!(LimitKey::of_descriptor("1:d1:k=1:v", spec(5, 1000)).hash, key.hash);
        assert_ne!(LimitKey::of("1:d1:k=1:v", "1:d1:k=1:v").hash, key.hash);
    }

    #[test]
    fn keys_of_leases_are_bound_to_what_they_are_leases_of() {
        let named = LimitKey::of("owner", "1:l5:alice");
        let key = named.leased(7);
        let mut hashed = b"lease".to_vec();
        hashed.extend_from_slice(&named.hash);
        hashed.extend_from_slice(&[7, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(key.to_hex(), to_hex(&Sha256::digest(&hashed)[..16]));
        assert_eq!(key.owner, named.owner);
        assert_ne!(key.hash, named.hash, "what other limits count is out of reach");
        assert_ne!(named.leased(8).hash, key.hash);
    }

    #[test]
    fn keys_are_told_in_hexadecimal() {
        let key = LimitKey { owner: 0xa0, hash: *b"\x00\x01\x0f\x10\x7f\x80\xff 12345678" };
        assert_eq!(key.to_hex(), "00010f107f80ff203132333435363738");
        assert_eq!(key.owner_hex(), "00000000000000a0");
        assert_eq!(ReplayKey([0xc3; 32]).to_hex(), "c3".repeat(32));
    }
}
