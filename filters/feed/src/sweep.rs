//! Letting go of what has expired, and making the filter anew, a few buckets in every tick.
//!
//! Records leave their buckets once they are over. The filter forgets none of them, so it is made
//! anew from the buckets when it holds more than it was made for, or twice what is left. One walk
//! over all buckets does either, or both: 256 ticks of a few tenths of a millisecond each.

use postern_filter_shared_data::SharedData;
use postern_revocation::bucket::BUCKETS;
use postern_revocation::{Bloom, Fingerprint, Record};

use crate::head::Head;
use crate::set::{self, Merged};
use crate::snapshot::{LEAST_CAPACITY, capacity_for};
use crate::tagged::Overtaken;
use crate::view::View;
use crate::{Settings, filter};

/// Buckets of one tick.
const BUCKETS_A_TICK: u32 = 64;
/// From the beginning of a term, and after a walk, to the next one.
const FIRST_WALK_MS: u64 = 60_000;
const WALK_MS: u64 = 3_600_000;
/// The same when the last one dropped more than a tenth.
const BUSY_WALK_MS: u64 = 300_000;

/// When to walk, and the walk that is under way.
#[derive(Debug)]
pub(crate) struct Sweep {
    /// The VM's number.
    me: u32,
    /// Ticks until the next one, if nothing makes it urgent.
    rest: u64,
    walk: Option<Walk>,
}

/// One walk over all buckets.
#[derive(Debug)]
struct Walk {
    /// The head that it goes with; whatever another VM writes ends the walk.
    head: Head,
    next_bucket: u32,
    /// Records that stay in the buckets so far, and those that went.
    live: u32,
    dropped: u32,
    /// The new filter and what it is made for.
    build: Option<(Bloom, u32)>,
    /// Of one bucket; here so that its memory is used again.
    kept: Vec<Fingerprint>,
}

impl Sweep {
    pub(crate) fn new(settings: &Settings, me: u32) -> Self {
        Self { me, rest: settings.ticks(FIRST_WALK_MS), walk: None }
    }

    /// Once a tick: a few buckets.
    pub(crate) fn tick(
        &mut self,
        shared: &dyn SharedData,
        view: &mut View,
        settings: &Settings,
        now_secs: u64,
    ) {
        self.rest = self.rest.saturating_sub(1);
        let underway = self.walk.take().filter(|walk| walk.is_of(&view.head));
        let Some(mut walk) = underway.or_else(|| self.begin(view)) else { return };
        if walk.step(shared, now_secs) == Err(Overtaken) {
            return;
        }
        if walk.next_bucket < BUCKETS {
            self.walk = Some(walk);
            return;
        }
        let busy = walk.dropped > walk.live / 10;
        self.rest = settings.ticks(if busy { BUSY_WALK_MS } else { WALK_MS });
        walk.end(shared, view, self.me);
    }

    fn begin(&self, view: &View) -> Option<Walk> {
        let head = view.head;
        let overfull = head.filtered > head.capacity;
        let hollow = head.records < head.filtered / 2 && head.filtered > LEAST_CAPACITY / 2;
        let needs_filter = overfull || hollow || view.is_damaged();
        if !head.synced || !(needs_filter || self.rest == 0) {
            return None;
        }
        let build = needs_filter.then(|| {
            let capacity = capacity_for(head.records);
            (Bloom::with_capacity(u64::from(capacity)), capacity)
        });
        Some(Walk { head, next_bucket: 0, live: 0, dropped: 0, build, kept: Vec::new() })
    }

    /// Records have been added to a bucket. What a walk has passed already must not miss them.
    pub(crate) fn note(&mut self, bucket: u32, records: &[Record], merged: Merged) {
        let Some(walk) = &mut self.walk else { return };
        if let Some((bloom, _)) = &mut walk.build {
            records.iter().for_each(|record| bloom.insert(record.fingerprint));
        }
        if bucket < walk.next_bucket {
            walk.live = walk.live.saturating_sub(merged.before).saturating_add(merged.after);
        }
    }

    /// The head was written by this VM. A walk goes on if it knew of all that the one before
    /// told, and stays with the same records and filter.
    pub(crate) fn follow(&mut self, before: &Head, head: &Head) {
        let goes_on = |walk: &Walk| {
            walk.is_of(before) && head.set == before.set && head.filter == before.filter
        };
        self.walk = self.walk.take().filter(goes_on);
        if let Some(walk) = &mut self.walk {
            walk.head = *head;
        }
    }

    /// Somebody else writes: what was noted may not be all.
    pub(crate) fn stop(&mut self) {
        self.walk = None;
    }
}

impl Walk {
    fn is_of(&self, head: &Head) -> bool {
        let of = |head: &Head| (head.set, head.filter, head.generation);
        of(&self.head) == of(head)
    }

    fn step(&mut self, shared: &dyn SharedData, now_secs: u64) -> Result<(), Overtaken> {
        let set = self.head.set;
        let until = self.next_bucket.saturating_add(BUCKETS_A_TICK).min(BUCKETS);
        while self.next_bucket < until {
            let dropped = set::sweep(shared, set, self.next_bucket, now_secs, &mut self.kept)?;
            self.dropped = self.dropped.saturating_add(dropped);
            let live = u32::try_from(self.kept.len()).unwrap_or(u32::MAX);
            self.live = self.live.saturating_add(live);
            if let Some((bloom, _)) = &mut self.build {
                self.kept.iter().for_each(|fingerprint| bloom.insert(*fingerprint));
            }
            if set > 1 {
                // There was another store before: its records are of no use to anybody.
                set::forget_older(shared, set, self.next_bucket);
            }
            self.next_bucket += 1;
        }
        Ok(())
    }

    /// Says how many records there are, and publishes the new filter. Nothing is revoked by it
    /// that was not before: the generation stays.
    fn end(self, shared: &dyn SharedData, view: &mut View, me: u32) {
        let (found, version) = Head::load(shared);
        let Some(before) = found.filter(|head| self.is_of(head)) else { return };
        let mut head = Head { records: self.live, writer: me, ..before };
        let Some((bloom, capacity)) = self.build else {
            if head != before {
                // Whoever was faster counts, too.
                let _ = head.write(shared, version);
            }
            return;
        };
        let Some(version) = head.fence(shared, version, me) else { return };
        let Ok(filter) = filter::write(shared, before.filter, &bloom) else { return };
        head = Head { filter, capacity, filtered: self.live, ..head };
        if head.write(shared, Some(version)) {
            view.adopt(head, bloom);
        }
    }
}
