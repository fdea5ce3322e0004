//! What the elected VM does: asks the server, and writes down what it says.

use postern_filter_shared_data::SharedData;
use postern_proto::feed::v1::{ExchangeRequest, ExchangeResponse, Snapshot};
use postern_revocation::bucket::{self, BUCKETS};
use postern_revocation::{Bloom, Fingerprint, Record};

use crate::head::Head;
use crate::set;
use crate::view::View;
use crate::{FeedError, Settings};

/// Pause after the first failure, and the longest one.
const FIRST_RETRY_MS: u64 = 500;
const LAST_RETRY_MS: u64 = 15_000;
/// What a call may take beyond the time that the server was asked to wait.
const CALL_SPARE_MS: u64 = 5_000;
/// No server is believed that it wants to be asked less often.
const LONGEST_PAUSE_MS: u64 = 60_000;
/// Filters are made for a quarter more than there is, and for so many at least.
const LEAST_CAPACITY: u32 = 4_096;

/// The elected VM's state; gone when another takes over.
#[derive(Debug, Default)]
pub(crate) struct Lead {
    in_flight: bool,
    /// Ticks until the next call, or until the one in flight counts as lost.
    ticks_left: u64,
    failures: u32,
    snapshot: Option<Progress>,
}

/// A snapshot that is being applied.
#[derive(Debug)]
struct Progress {
    epoch: u64,
    cursor: u64,
    next_bucket: u32,
    records: u32,
    bloom: Bloom,
    capacity: u32,
    /// Of the store that the process has a set of already: what it holds stays, whatever the
    /// server says. Nothing is ever taken back but by its end.
    merges: bool,
}

impl Lead {
    /// Once a tick: the request to send now, if any.
    pub(crate) fn due(
        &mut self,
        head: &Head,
        settings: &Settings,
        digest: &str,
    ) -> Option<ExchangeRequest> {
        if self.ticks_left > 0 {
            self.ticks_left -= 1;
            return None;
        }
        // A call that was never answered is made up for by the next one.
        self.in_flight = true;
        self.ticks_left = settings.ticks(settings.wait_ms + CALL_SPARE_MS);
        let (snapshot_epoch, snapshot_cursor, snapshot_bucket) =
            self.snapshot.as_ref().map_or((0, 0, 0), |s| (s.epoch, s.cursor, s.next_bucket));
        Some(ExchangeRequest {
            workload: settings.workload.clone(),
            envoy_id: settings.envoy_id.clone(),
            document_digest: digest.to_owned(),
            epoch: head.epoch,
            cursor: head.cursor,
            snapshot_bucket,
            snapshot_cursor,
            snapshot_epoch,
            // Whoever has nothing yet, or half of it, does not wait.
            wait_ms: if head.synced && self.snapshot.is_none() {
                u32::try_from(settings.wait_ms).unwrap_or(u32::MAX)
            } else {
                0
            },
            ..ExchangeRequest::default()
        })
    }

    /// The call could not be made, or was not answered well.
    pub(crate) fn failed(&mut self, settings: &Settings) {
        self.in_flight = false;
        let pause = FIRST_RETRY_MS << self.failures.min(5);
        self.failures = self.failures.saturating_add(1);
        self.ticks_left = settings.ticks(pause.min(LAST_RETRY_MS));
    }

    /// Writes down an answer: buckets first, then the filter, the log, and the head last.
    pub(crate) fn apply(
        &mut self,
        shared: &dyn SharedData,
        view: &mut View,
        answer: &ExchangeResponse,
        settings: &Settings,
        now_secs: u64,
    ) -> Result<(), FeedError> {
        if !core::mem::take(&mut self.in_flight) {
            return Err(FeedError::NotAsked);
        }
        let (mut head, version) = match Head::read(shared) {
            Some((head, version)) => (head, Some(version)),
            None => (Head::default(), None),
        };
        head.beat = head.beat.wrapping_add(1);
        head.behind_ms = u32::try_from(answer.staleness_ms).unwrap_or(u32::MAX);
        if let Some(piece) = &answer.snapshot {
            self.apply_piece(shared, view, &mut head, (answer, piece), now_secs)?;
        } else {
            apply_delta(shared, view, &mut head, answer, now_secs)?;
        }
        if !head.write(shared, version) {
            // Another VM took over meanwhile. What it has written may be older than ours in
            // places; only the whole set from the server is sure to be right.
            self.snapshot = None;
            return Err(FeedError::TakenOver);
        }
        view.wrote(head);
        self.failures = 0;
        let unfinished = self.snapshot.is_some();
        let pause = if unfinished { 0 } else { u64::from(answer.next_poll_ms) };
        self.ticks_left = settings.ticks(pause.min(LONGEST_PAUSE_MS));
        Ok(())
    }

    fn apply_piece(
        &mut self,
        shared: &dyn SharedData,
        view: &mut View,
        head: &mut Head,
        (answer, piece): (&ExchangeResponse, &Snapshot),
        now_secs: u64,
    ) -> Result<(), FeedError> {
        let key: [u8; 16] =
            answer.fingerprint_key.as_slice().try_into().map_err(|_| FeedError::Malformed)?;
        let begun = self.snapshot.take();
        let mut progress = if piece.first_bucket == 0 {
            Progress::new(answer.epoch, piece, head.synced && head.epoch == answer.epoch)?
        } else {
            begun
                .filter(|begun| begun.goes_on_with(answer.epoch, piece))
                .ok_or(FeedError::Malformed)?
        };
        progress.take(shared, piece, now_secs)?;
        if !piece.last {
            self.snapshot = Some(progress);
            return Ok(());
        }
        head.filter = head.filter.wrapping_add(1);
        head.generation = head.generation.wrapping_add(1);
        set::write_filter(shared, head.filter, &progress.bloom);
        set::write_log(shared, head.generation, None);
        *head = Head {
            capacity: progress.capacity,
            records: progress.records,
            synced: true,
            epoch: progress.epoch,
            cursor: progress.cursor,
            key,
            ..*head
        };
        view.bloom = progress.bloom;
        Ok(())
    }
}

impl Progress {
    fn new(epoch: u64, piece: &Snapshot, merges: bool) -> Result<Self, FeedError> {
        let total = u32::try_from(piece.total_records).map_err(|_| FeedError::TooLarge)?;
        if total > MOST_RECORDS {
            return Err(FeedError::TooLarge);
        }
        let capacity = (total + total / 4).max(LEAST_CAPACITY);
        let bloom = Bloom::with_capacity(u64::from(capacity));
        let (cursor, next_bucket, records) = (piece.cursor, 0, 0);
        Ok(Self { epoch, cursor, next_bucket, records, bloom, capacity, merges })
    }

    const fn goes_on_with(&self, epoch: u64, piece: &Snapshot) -> bool {
        self.epoch == epoch && self.next_bucket == piece.first_bucket
    }

    /// Writes the piece's buckets down.
    fn take(
        &mut self,
        shared: &dyn SharedData,
        piece: &Snapshot,
        now_secs: u64,
    ) -> Result<(), FeedError> {
        let count = u32::try_from(piece.buckets.len()).map_err(|_| FeedError::Malformed)?;
        let after = self.next_bucket.checked_add(count).ok_or(FeedError::Malformed)?;
        if after > BUCKETS || piece.last != (after == BUCKETS) || count == 0 {
            return Err(FeedError::Malformed);
        }
        for (number, records) in (self.next_bucket..after).zip(&piece.buckets) {
            bucket::check(number, records).map_err(|_| FeedError::Malformed)?;
            let mut records = Record::decode_all(records).ok_or(FeedError::Malformed)?;
            if self.merges {
                let merged = set::merge_bucket(shared, number, &records, now_secs);
                let merged = merged.ok_or(FeedError::TakenOver)?.records;
                records = Record::decode_all(&merged).ok_or(FeedError::Malformed)?;
            } else {
                set::replace_bucket(shared, number, &Record::encode_all(&records));
            }
            let count = u32::try_from(records.len()).unwrap_or(u32::MAX);
            self.records = self.records.saturating_add(count);
            records.iter().for_each(|record| self.bloom.insert(record.fingerprint));
        }
        self.next_bucket = after;
        // A replica that was a little behind may have answered: the set goes as far as it did.
        self.cursor = self.cursor.min(piece.cursor);
        Ok(())
    }
}

/// More revoked tokens than this are not taken: memory is bounded whatever the server says.
const MOST_RECORDS: u32 = 4_000_000;

fn apply_delta(
    shared: &dyn SharedData,
    view: &mut View,
    head: &mut Head,
    answer: &ExchangeResponse,
    now_secs: u64,
) -> Result<(), FeedError> {
    if !head.synced || answer.epoch != head.epoch {
        // Nothing to add to: the server has to send the whole set.
        return if answer.added.is_empty() { Ok(()) } else { Err(FeedError::Malformed) };
    }
    let mut records = Record::decode_all(&answer.added).ok_or(FeedError::Malformed)?;
    if !records.is_empty() {
        records.sort_unstable_by_key(|record| record.fingerprint);
        let fingerprints: Vec<Fingerprint> =
            records.iter().map(|record| record.fingerprint).collect();
        let of = |record: &Record| record.fingerprint.bucket();
        for group in records.chunk_by(|a, b| of(a) == of(b)) {
            let Some(first) = group.first() else { continue };
            let merged = set::merge_bucket(shared, of(first), group, now_secs);
            let merged = merged.ok_or(FeedError::TakenOver)?;
            head.records =
                head.records.saturating_sub(merged.before).saturating_add(merged.after());
        }
        fingerprints.iter().for_each(|fingerprint| view.bloom.insert(*fingerprint));
        set::write_segments_of(shared, head.filter, &view.bloom, &fingerprints);
        head.generation = head.generation.wrapping_add(1);
        set::write_log(shared, head.generation, Some(&fingerprints));
    }
    head.cursor = answer.cursor;
    Ok(())
}
