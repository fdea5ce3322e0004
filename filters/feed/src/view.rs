//! What one VM knows of the revoked set.

use postern_filter_shared_data::SharedData;
use postern_request::UnixMillis;
use postern_revocation::{Bloom, FingerprintKey, Layout, Marks, is_revoked};

use crate::head::Head;
use crate::tagged::Overtaken;
use crate::{filter, log, set};

/// Pieces of the filter that are read in one tick: half a megabyte, a few tenths of a
/// millisecond. A million records are read in four ticks.
const SEGMENTS_A_TICK: usize = 32;
/// Ticks without a piece that could be read, after which the filter counts as damaged.
const STUCK_TICKS: u32 = 20;

/// One VM's copy of the filter, and how old what it knows is.
///
/// The head is always the newest. As long as the copy of the filter is not complete it is not
/// asked at all, and every mark is looked up in its bucket: slower, and never wrong.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) head: Head,
    bloom: Bloom,
    /// Pieces that have been read.
    read: usize,
    /// All of them have: no bucket need be read for nearly every token.
    pub(crate) is_complete: bool,
    stuck_ticks: u32,
    /// Ticks since an answer of the server left nothing missing, to anybody in this process.
    silent_ticks: u32,
    /// Those of them that this VM has counted itself.
    counted_ticks: u32,
}

impl View {
    /// What the process knows already, and is as old as it is by the wall clock: a VM that has
    /// just started has not counted the ticks.
    pub(crate) fn new(shared: &dyn SharedData, now: UnixMillis, tick_ms: u64) -> Self {
        let (head, bloom) = (Head::default(), Bloom::with_capacity(0));
        let mut view = Self {
            head,
            bloom,
            read: 0,
            is_complete: false,
            stuck_ticks: 0,
            silent_ticks: u32::MAX,
            counted_ticks: 0,
        };
        view.catch_up(shared);
        view.read_on(shared);
        if view.head.answered_ms > 0 {
            // Told by a clock that has fallen back since: nobody knows how long ago.
            let passed_ms = now.0.checked_sub(view.head.answered_ms);
            let ticks = passed_ms.map(|millis| millis / tick_ms.max(1));
            view.silent_ticks =
                ticks.and_then(|ticks| u32::try_from(ticks).ok()).unwrap_or(u32::MAX);
        }
        view
    }

    /// Once a tick: what the elected VM has written since, and more of the filter if it is new.
    pub(crate) fn tick(&mut self, shared: &dyn SharedData) {
        self.silent_ticks = self.silent_ticks.saturating_add(1);
        self.counted_ticks = self.counted_ticks.saturating_add(1);
        self.catch_up(shared);
        self.read_on(shared);
    }

    /// Takes over what the elected VM has written since.
    pub(crate) fn catch_up(&mut self, shared: &dyn SharedData) {
        let Some(head) = Head::read(shared) else { return };
        self.hear(&head);
        let same_filter = head.set == self.head.set && head.filter == self.head.filter;
        let same_records = head.generation == self.head.generation;
        let from = self.head.generation;
        self.head = head;
        let goes_on = same_filter && (same_records || self.follow_log(shared, from));
        if !goes_on {
            self.begin_reading();
        }
    }

    const fn hear(&mut self, head: &Head) {
        if head.beat != self.head.beat {
            self.silent_ticks = 0;
            self.counted_ticks = 0;
        }
    }

    /// Takes over a filter that this VM has made itself, with the head that names it.
    pub(crate) fn adopt(&mut self, head: Head, bloom: Bloom) {
        self.hear(&head);
        (self.read, self.is_complete, self.stuck_ticks) = (bloom.layout().segments(), true, 0);
        (self.head, self.bloom) = (head, bloom);
    }

    /// Adds what came between two generations. A copy that is half read takes it, too: a piece
    /// that is read later holds it already.
    fn follow_log(&mut self, shared: &dyn SharedData, from: u32) -> bool {
        let missed = self.head.generation.wrapping_sub(from);
        if missed >= log::LOG {
            return false;
        }
        for step in 1..=missed {
            let Some(added) = log::read(shared, from.wrapping_add(step)) else { return false };
            added.iter().for_each(|fingerprint| self.bloom.insert(*fingerprint));
        }
        true
    }

    fn begin_reading(&mut self) {
        let layout = Layout::for_entries(u64::from(self.head.capacity));
        if layout != self.bloom.layout() {
            // The old one goes first: a VM's memory never shrinks, so it must not hold both.
            self.bloom = Bloom::with_capacity(0);
            self.bloom = Bloom::with_layout(layout);
        }
        (self.read, self.is_complete, self.stuck_ticks) = (0, false, 0);
    }

    fn read_on(&mut self, shared: &dyn SharedData) {
        if self.is_complete || self.head.filter == 0 {
            return;
        }
        let all = self.bloom.layout().segments();
        let (before, until) = (self.read, all.min(self.read.saturating_add(SEGMENTS_A_TICK)));
        while self.read < until
            && filter::read(shared, self.head.filter, self.read, &mut self.bloom)
        {
            self.read += 1;
        }
        self.is_complete = self.read == all;
        self.stuck_ticks = if self.read > before { 0 } else { self.stuck_ticks.saturating_add(1) };
    }

    /// Whether the filter in shared data cannot be read to its end, and must be made anew.
    pub(crate) const fn is_damaged(&self) -> bool {
        self.head.synced && self.stuck_ticks >= STUCK_TICKS
    }

    /// Changes whenever something may have been revoked.
    pub(crate) const fn version(&self) -> (u32, u32) {
        (self.head.set, self.head.generation)
    }

    /// Milliseconds since an answer left nothing missing, as far as this VM has ticked itself: no
    /// wall clock has a part in it.
    pub(crate) fn counted_ms(&self, tick_ms: u64) -> u64 {
        u64::from(self.counted_ticks).saturating_mul(tick_ms)
    }

    /// How long ago the last answer came, by the wall clock.
    pub(crate) const fn told_ms_ago(&self, now: UnixMillis) -> u64 {
        now.0.saturating_sub(self.head.answered_ms)
    }

    /// How old what is known is, in milliseconds; none while it is not complete. The server's own
    /// delay counts too.
    pub(crate) fn age_ms(&self, tick_ms: u64) -> Option<u64> {
        let silent_ms = u64::from(self.silent_ticks).saturating_mul(tick_ms);
        self.head.synced.then(|| silent_ms.saturating_add(u64::from(self.head.behind_ms)))
    }

    /// The key of fingerprints, once it is known.
    pub(crate) fn key(&self) -> Option<FingerprintKey> {
        self.head.synced.then(|| FingerprintKey::new(self.head.key))
    }

    /// Whether a token is revoked, by its marks.
    ///
    /// # Errors
    /// When that cannot be known; see [`set::find`].
    pub(crate) fn is_revoked(
        &self,
        shared: &dyn SharedData,
        marks: &Marks,
        issued_at: Option<u64>,
        now_secs: u64,
    ) -> Result<bool, Overtaken> {
        for fingerprint in marks.iter() {
            if self.is_complete && !self.bloom.may_contain(fingerprint) {
                continue;
            }
            let record = set::find(shared, self.head.set, fingerprint)?;
            if record.is_some_and(|record| is_revoked(&record, issued_at, now_secs)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
