//! What the elected VM writes down of the server's answers: buckets first, then the filter, the
//! log and the keys, and the head last.

use postern_filter_shared_data::SharedData;
use postern_proto::feed::v1::{ExchangeResponse, Snapshot};
use postern_request::UnixMillis;
use postern_revocation::{Bloom, Fingerprint, Layout, Record, bucket};

use crate::head::Head;
use crate::keys::Published;
use crate::snapshot::{MOST_RECORDS, Progress};
use crate::sweep::Sweep;
use crate::view::View;
use crate::{FeedError, Settings, clock, filter, log, set};

/// The elected VM's pen.
#[derive(Debug)]
pub(crate) struct Writer {
    /// The VM's number: heads say who wrote them.
    me: u32,
    pub(crate) snapshot: Option<Progress>,
    pub(crate) keys: Published,
    sweep: Sweep,
    /// By when what has expired may go; none before the first answer.
    now_secs: Option<u64>,
}

impl Writer {
    pub(crate) fn new(shared: &dyn SharedData, settings: &Settings, me: u32) -> Self {
        Self {
            me,
            snapshot: None,
            keys: Published::read(shared, &settings.issuers),
            sweep: Sweep::new(settings, me),
            now_secs: None,
        }
    }

    /// Once a tick: lets go of a little of what has expired, unless a snapshot is being taken.
    pub(crate) fn tick(&mut self, shared: &dyn SharedData, view: &mut View, settings: &Settings) {
        if view.head.synced && set::is_overwritten(shared, view.head.set) {
            self.give_up(shared);
        }
        if let (Some(now_secs), None) = (self.now_secs, &self.snapshot) {
            self.sweep.tick(shared, view, settings, now_secs);
        }
    }

    /// The set in use is damaged: another VM, held up for long, began its own where it lies. It
    /// counts as none, so that the server sends it once more.
    fn give_up(&mut self, shared: &dyn SharedData) {
        let (found, version) = Head::load(shared);
        let Some(head) = found.filter(|head| set::is_overwritten(shared, head.set)) else { return };
        self.snapshot = None;
        self.sweep.stop();
        let head = Head { synced: false, epoch: 0, cursor: 0, writer: self.me, ..head };
        // Who was faster may have done the same.
        let _ = head.write(shared, version);
    }

    /// Writes an answer down.
    pub(crate) fn write(
        &mut self,
        shared: &dyn SharedData,
        view: &mut View,
        answer: &ExchangeResponse,
        settings: &Settings,
        now: UnixMillis,
    ) -> Result<(), FeedError> {
        let (found, mut version) = Head::load(shared);
        let before = found.unwrap_or_default();
        let passed_ms = view.counted_ms(settings.tick_ms);
        let clock = clock::read(before.steady_ms, passed_ms, now, answer.server_time_ms);
        self.now_secs = Some(clock.secs);

        let mut head = before;
        let mut bloom = None;
        let is_whole = if let Some(piece) = &answer.snapshot {
            let head = (&mut head, &mut version);
            bloom = self.take_piece(shared, head, (answer, piece), clock.secs)?;
            piece.last
        } else {
            self.take_delta(shared, &mut head, answer, clock.secs)?
        };
        if is_whole {
            head.beat = head.beat.wrapping_add(1);
            head.behind_ms = u32::try_from(answer.staleness_ms).unwrap_or(u32::MAX);
            (head.answered_ms, head.steady_ms) = (now.0, clock.steady_ms);
        }
        let keys = self.keys.write(shared, &settings.issuers, &answer.key_sets);
        if !keys.sets.is_empty() {
            head.keys = head.keys.wrapping_add(1);
        }
        head.writer = self.me;
        if !head.write(shared, version) {
            // Another VM took over meanwhile, and goes on from its own head. What was written
            // here is in nobody's way.
            self.snapshot = None;
            self.sweep.stop();
            return Err(FeedError::TakenOver);
        }
        self.keys.told(keys.sets);
        self.sweep.follow(&before, &head);
        if let Some(bloom) = bloom {
            view.adopt(head, bloom);
        }
        if keys.refused { Err(FeedError::TooLarge) } else { Ok(()) }
    }

    /// The filter of a set that has just become whole, if this was its last piece.
    fn take_piece(
        &mut self,
        shared: &dyn SharedData,
        (head, version): (&mut Head, &mut Option<u32>),
        (answer, piece): (&ExchangeResponse, &Snapshot),
        now_secs: u64,
    ) -> Result<Option<Bloom>, FeedError> {
        let key: [u8; 16] =
            answer.fingerprint_key.as_slice().try_into().map_err(|_| FeedError::Malformed)?;
        if head.is_of(answer.epoch) && head.key != key {
            return Err(FeedError::Malformed);
        }
        let begun = self.snapshot.take();
        let mut progress = if piece.first_bucket == 0 {
            // Another VM may be about to finish a set of its own, where this one would begin.
            *version = head.fence(shared, *version, self.me);
            version.ok_or(FeedError::TakenOver)?;
            Progress::begin(shared, head, answer.epoch, piece)?
        } else {
            begun
                .filter(|begun| begun.goes_on_with(head, self.me, answer.epoch, piece))
                .ok_or(FeedError::Malformed)?
        };
        let mut records = progress.take(shared, piece, now_secs)?;
        self.add(shared, head, &mut records, now_secs)?;
        if !piece.last {
            self.snapshot = Some(progress);
            return Ok(None);
        }
        let (epoch, cursor) = (progress.epoch, progress.cursor);
        let Some(fresh) = progress.into_fresh(head)? else {
            head.cursor = cursor;
            return Ok(None);
        };
        *head = Head {
            generation: head.generation.wrapping_add(1),
            set: fresh.set,
            filter: filter::write(shared, head.filter, &fresh.bloom)?,
            capacity: fresh.capacity,
            filtered: fresh.records,
            records: fresh.records,
            synced: true,
            epoch,
            cursor,
            key,
            ..*head
        };
        Ok(Some(fresh.bloom))
    }

    /// Whether nothing is missing after it.
    fn take_delta(
        &mut self,
        shared: &dyn SharedData,
        head: &mut Head,
        answer: &ExchangeResponse,
        now_secs: u64,
    ) -> Result<bool, FeedError> {
        if !head.is_of(answer.epoch) {
            // Nothing to add to: the server has to send the whole set.
            return if answer.added.is_empty() { Ok(false) } else { Err(FeedError::Malformed) };
        }
        let mut records = Record::decode_all(&answer.added).ok_or(FeedError::Malformed)?;
        self.add(shared, head, &mut records, now_secs)?;
        head.cursor = answer.cursor;
        Ok(records.is_empty() || answer.next_poll_ms > 0)
    }

    /// Adds records to the set in use. What came before and comes again does no harm.
    fn add(
        &mut self,
        shared: &dyn SharedData,
        head: &mut Head,
        records: &mut [Record],
        now_secs: u64,
    ) -> Result<(), FeedError> {
        if records.is_empty() {
            return Ok(());
        }
        let count = u32::try_from(records.len()).unwrap_or(u32::MAX);
        if head.records.saturating_add(count) > MOST_RECORDS {
            return Err(FeedError::TooLarge);
        }
        bucket::sort(records);
        let bucket_of = |record: &Record| record.fingerprint.bucket();
        for group in records.chunk_by(|a, b| bucket_of(a) == bucket_of(b)) {
            let Some(bucket) = group.first().map(bucket_of) else { continue };
            let merged = set::merge(shared, head.set, bucket, group, now_secs)?;
            head.records = head.records.saturating_sub(merged.before).saturating_add(merged.after);
            head.filtered = head.filtered.saturating_add(merged.added);
            self.sweep.note(bucket, group, merged);
        }
        let fingerprints: Vec<Fingerprint> =
            records.iter().map(|record| record.fingerprint).collect();
        if head.filter != 0 {
            let layout = Layout::for_entries(u64::from(head.capacity));
            filter::add(shared, head.filter, layout, &fingerprints)?;
        }
        head.generation = head.generation.wrapping_add(1);
        log::write(shared, head.generation, &fingerprints)?;
        Ok(())
    }
}
