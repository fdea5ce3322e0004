//! What one VM knows of the revoked set.

use postern_filter_shared_data::SharedData;
use postern_revocation::{Bloom, FingerprintKey, Marks, is_revoked};

use crate::head::Head;
use crate::set;

/// One VM's copy of the filter, and how old what it knows is.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) head: Head,
    pub(crate) bloom: Bloom,
    /// Ticks since the server answered anybody in this process.
    silent_ticks: u32,
}

impl View {
    pub(crate) fn new() -> Self {
        Self { head: Head::default(), bloom: Bloom::with_capacity(0), silent_ticks: u32::MAX }
    }

    /// Once a tick: what the elected VM has written since. True when the set has changed.
    pub(crate) fn catch_up(&mut self, shared: &dyn SharedData) -> bool {
        let Some((head, _)) = Head::read(shared) else {
            self.silent_ticks = self.silent_ticks.saturating_add(1);
            return false;
        };
        if head.beat == self.head.beat {
            self.silent_ticks = self.silent_ticks.saturating_add(1);
        } else {
            self.silent_ticks = 0;
        }
        if head.generation == self.head.generation && head.filter == self.head.filter {
            self.head = head;
            return false;
        }
        if !self.follow_log(shared, head) && !self.read_all(shared, head) {
            // Being written at this very moment: the next tick finds it whole.
            self.head.beat = head.beat;
            return false;
        }
        self.head = head;
        true
    }

    /// The elected VM's own news, which it need not read back.
    pub(crate) const fn wrote(&mut self, head: Head) {
        self.head = head;
        self.silent_ticks = 0;
    }

    fn follow_log(&mut self, shared: &dyn SharedData, head: Head) -> bool {
        let missed = head.generation.wrapping_sub(self.head.generation);
        if head.filter != self.head.filter || missed >= set::LOG {
            return false;
        }
        for step in 1..=missed {
            let generation = self.head.generation.wrapping_add(step);
            let Some(added) = set::read_log(shared, generation) else { return false };
            added.iter().for_each(|fingerprint| self.bloom.insert(*fingerprint));
        }
        true
    }

    fn read_all(&mut self, shared: &dyn SharedData, head: Head) -> bool {
        let Some(bloom) = set::read_filter(shared, head.filter, head.capacity) else {
            return false;
        };
        self.bloom = bloom;
        true
    }

    /// How old what is known is, in milliseconds; none while it is not complete. The server's own
    /// delay counts too.
    pub(crate) fn age_ms(&self, tick_ms: u64) -> Option<u64> {
        let silent = u64::from(self.silent_ticks).saturating_mul(tick_ms);
        self.head.synced.then(|| silent.saturating_add(u64::from(self.head.behind_ms)))
    }

    /// The key of fingerprints, once it is known.
    pub(crate) fn key(&self) -> Option<FingerprintKey> {
        self.head.synced.then(|| FingerprintKey::new(self.head.key))
    }

    /// Whether a token is revoked, by its marks.
    pub(crate) fn is_revoked(
        &self,
        shared: &dyn SharedData,
        marks: &Marks,
        issued_at: Option<u64>,
        now_secs: u64,
    ) -> bool {
        marks.iter().any(|fingerprint| {
            self.bloom.may_contain(fingerprint)
                && set::find(shared, fingerprint)
                    .is_some_and(|record| is_revoked(&record, issued_at, now_secs))
        })
    }
}
