//! Answers that are kept, in shared data: a fixed number of places for each route.
//!
//! An answer may lie in one of four places, its set, which the hash of its key chooses. What lies
//! there is listed in a small value of its own, so that one short read says whether there is
//! anything to do. The list is only a hint: an answer itself has its whole key.
//!
//! Sets are numbered through all routes of a document. Another document has others in the same
//! places, and takes them over: keys in shared data are never more than the largest document had.

use std::sync::Arc;

use postern_document::{Document, Fallback, Route, Stale};
use postern_filter_shared_data::SharedData;
use postern_filter_shared_data::cells::{Cell, Cells, key};
use postern_request::UnixMillis;
use postern_request::little_endian::{Reader, Writer};

/// Places of a [`Set`].
const WAYS: u32 = 4;
/// Younger than this, an answer is not kept anew: a much asked one is written once a second.
const FRESH_MS: u64 = 1_000;
/// Younger than this, an answer makes no room for another one: who asks for ever new things takes
/// no place of what is asked for again and again.
const SETTLED_MS: u64 = 10_000;
/// In front of a place's number.
const PLACE: &str = "postern.stale.1.";

/// The places of all routes that keep answers.
#[derive(Debug)]
pub struct Shelves(Vec<Shelf>);

/// Those of one route.
#[derive(Debug, Clone)]
pub struct Shelf {
    /// Whose they are.
    pub route: Arc<Route>,
    /// What it keeps.
    pub rules: Stale,
    first_set: u32,
}

impl Shelves {
    /// Those of a document.
    #[must_use]
    pub fn new(document: &Document) -> Self {
        let mut first_set: u32 = 0;
        let mut shelves = Vec::new();
        for route in &document.routes {
            let Some(Fallback::Stale(rules)) = &route.fallback else { continue };
            shelves.push(Shelf { route: Arc::clone(route), rules: *rules, first_set });
            first_set = first_set.saturating_add(rules.entries.div_ceil(WAYS));
        }
        // Routes lead there by where they lie in memory.
        shelves.sort_by_key(|shelf| Arc::as_ptr(&shelf.route));
        Self(shelves)
    }

    /// Which is a route's; none where it keeps nothing.
    #[must_use]
    pub fn of(&self, route: &Arc<Route>) -> Option<usize> {
        self.0.binary_search_by_key(&Arc::as_ptr(route), |shelf| Arc::as_ptr(&shelf.route)).ok()
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, at: usize) -> Option<&Shelf> {
        self.0.get(at)
    }
}

impl Shelf {
    /// Whether an answer whose key has this hash would be kept now.
    #[must_use]
    pub fn is_due(&self, shared: &dyn SharedData, hash: u128, now: UnixMillis) -> bool {
        let (set, ways) = self.set_of(hash);
        Set::read(&read(shared, &key::<Set>(set))).claim(hash, ways, now, now).is_some()
    }

    /// Keeps an answer that has `begun` to come then. False where somebody else has kept it since,
    /// or there is no room.
    pub fn keep(
        &self,
        shared: &dyn SharedData,
        hash: u128,
        answer: &[u8],
        begun: UnixMillis,
        now: UnixMillis,
    ) -> bool {
        let (set, ways) = self.set_of(hash);
        let claimed = Cells::new(shared)
            .try_change(set, |listed: &mut Set| listed.claim(hash, ways, begun, now));
        let Some(way) = claimed.flatten() else { return false };
        shared.put(&place(set, way), answer);
        true
    }

    /// Keeps nothing for this hash any more.
    pub fn forget(&self, shared: &dyn SharedData, hash: u128) {
        let (set, _) = self.set_of(hash);
        let left = Cells::new(shared).try_change(set, |listed: &mut Set| {
            let (listed, way) = listed.0.iter_mut().zip(0..).find(|(one, _)| one.hash == hash)?;
            *listed = Listed::default();
            Some(way)
        });
        if let Some(way) = left.flatten() {
            shared.put(&place(set, way), &[]);
        }
    }

    /// What was kept for this hash: whose key it is, it says itself.
    #[must_use]
    pub fn find(&self, shared: &dyn SharedData, hash: u128) -> Option<Vec<u8>> {
        let (set, _) = self.set_of(hash);
        let listed = Set::read(&read(shared, &key::<Set>(set)));
        let way = listed.0.iter().zip(0..).find(|(listed, _)| listed.hash == hash)?.1;
        Some(read(shared, &place(set, way)))
    }

    /// The set of a hash, and how many places it has: of the last one some may be missing.
    fn set_of(&self, hash: u128) -> (u32, u32) {
        let entries = self.rules.entries.max(1);
        // In 64 bits: 128 are divided by a routine of a hundred steps.
        let half = u64::try_from(hash & u128::from(u64::MAX)).unwrap_or_default();
        let at = half.checked_rem(entries.div_ceil(WAYS).into()).unwrap_or_default();
        let at = u32::try_from(at).unwrap_or_default();
        let ways = entries.saturating_sub(at.saturating_mul(WAYS)).min(WAYS);
        (self.first_set.saturating_add(at), ways)
    }
}

fn read(shared: &dyn SharedData, key: &str) -> Vec<u8> {
    shared.get(key).map(|(bytes, _)| bytes).unwrap_or_default()
}

fn place(set: u32, way: u32) -> String {
    let number = u64::from(set) * u64::from(WAYS) + u64::from(way);
    [PLACE, &number.to_string()].concat()
}

/// What lies in the places of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Set([Listed; 4]);

/// An answer, or none: then both are 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Listed {
    hash: u128,
    /// When it began to come.
    kept_at: UnixMillis,
}

impl Listed {
    /// How old it is. What is kept later than now is as old as can be: the clock was set back.
    fn age_ms(&self, now: UnixMillis) -> u64 {
        let is_ahead = self.kept_at.0 > now.0.saturating_add(FRESH_MS);
        if is_ahead { u64::MAX } else { now.millis_since(self.kept_at) }
    }
}

impl Set {
    /// The place for an answer, which is listed there then: its own unless what lies there is fresh
    /// still or newer, else the oldest of those that have settled. None where there is nothing to
    /// do.
    fn claim(&mut self, hash: u128, ways: u32, begun: UnixMillis, now: UnixMillis) -> Option<u32> {
        let places = self.0.iter_mut().zip(0..ways);
        let mut best: Option<(&mut Listed, u32)> = None;
        for (listed, way) in places {
            if listed.hash == hash {
                // By when answers began: an older one may end later.
                let is_due = listed.age_ms(now) == u64::MAX
                    || begun.millis_since(listed.kept_at) >= FRESH_MS;
                listed.kept_at = if is_due { begun } else { listed.kept_at };
                return is_due.then_some(way);
            }
            let is_older =
                best.as_ref().is_none_or(|(best, _)| listed.age_ms(now) > best.age_ms(now));
            if is_older {
                best = Some((listed, way));
            }
        }
        let (listed, way) = best.filter(|(best, _)| best.age_ms(now) >= SETTLED_MS)?;
        *listed = Listed { hash, kept_at: begun };
        Some(way)
    }
}

/// Hash (16) and time (8) of each place.
const SET_BYTES: usize = (16 + 8) * 4;

impl Cell for Set {
    const PREFIX: &'static str = "postern.stale.set.1.";

    fn read(bytes: &[u8]) -> Self {
        let mut set = Self::default();
        if bytes.len() != SET_BYTES {
            return set;
        }
        let mut from = Reader::new(bytes);
        for listed in &mut set.0 {
            listed.hash = u128::from_le_bytes(from.get().unwrap_or_default());
            listed.kept_at = UnixMillis(u64::from_le_bytes(from.get().unwrap_or_default()));
        }
        set
    }

    fn write(&self) -> Vec<u8> {
        if *self == Self::default() {
            return Vec::new();
        }
        let mut bytes = vec![0; SET_BYTES];
        let mut to = Writer::new(&mut bytes);
        for Listed { hash, kept_at } in self.0 {
            to.put(hash.to_le_bytes());
            to.put(kept_at.0.to_le_bytes());
        }
        bytes
    }
}

#[cfg(test)]
mod tests;
