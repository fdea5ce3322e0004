//! A snapshot that is being taken, piece by piece.

use postern_filter_shared_data::SharedData;
use postern_proto::feed::v1::Snapshot;
use postern_revocation::bucket::{self, BUCKETS};
use postern_revocation::{Bloom, Record};

use crate::FeedError;
use crate::head::Head;
use crate::{set, tagged};

/// More revoked tokens than this are not taken: memory is bounded whatever the server says.
pub(crate) const MOST_RECORDS: u32 = 4_000_000;
/// Filters are made for a quarter more than there is, and for so many at least.
pub(crate) const LEAST_CAPACITY: u32 = 4_096;

/// Bytes of a piece. Writing a bucket down costs some 2.5 µs, however little is in it: where
/// records are few, this is a thousand buckets, two or three milliseconds at most.
pub(crate) const THIN_PIECE_BYTES: u32 = 24 * 1024;
/// The same where a bucket holds eight records and more, so that a piece is a few hundred
/// buckets at most and 64 at a million records: half a millisecond.
const THICK_PIECE_BYTES: u32 = 64 * 1024;
const THICK_FROM: u32 = 8 * BUCKETS;

/// Entries of a filter for so many records.
pub(crate) fn capacity_for(records: u32) -> u32 {
    records.saturating_add(records / 4).max(LEAST_CAPACITY)
}

/// How far a snapshot has been taken.
#[derive(Debug)]
pub(crate) struct Progress {
    pub(crate) epoch: u64,
    /// How far the pieces so far go, together.
    pub(crate) cursor: u64,
    pub(crate) next_bucket: u32,
    /// Records of the whole, as the first piece said.
    total: u32,
    /// None where the process has a set of this store already: what that holds stays, whatever
    /// the server says, and each piece is added to it as a delta is. Nothing is ever taken back
    /// but by its end.
    fresh: Option<Fresh>,
}

/// A set that is written beside the one in use, and its filter.
#[derive(Debug)]
pub(crate) struct Fresh {
    pub(crate) set: u32,
    pub(crate) records: u32,
    pub(crate) capacity: u32,
    pub(crate) bloom: Bloom,
}

impl Progress {
    /// Begins with the first piece.
    pub(crate) fn begin(
        shared: &dyn SharedData,
        head: &Head,
        epoch: u64,
        piece: &Snapshot,
    ) -> Result<Self, FeedError> {
        let total = u32::try_from(piece.total_records).map_err(|_| FeedError::TooLarge)?;
        if total > MOST_RECORDS {
            return Err(FeedError::TooLarge);
        }
        let fresh = if head.is_of(epoch) {
            None
        } else {
            let capacity = capacity_for(total);
            let bloom = Bloom::with_capacity(u64::from(capacity));
            Some(Fresh { set: set::begin(shared, head.set)?, records: 0, capacity, bloom })
        };
        Ok(Self { epoch, cursor: piece.cursor, next_bucket: 0, total, fresh })
    }

    /// Whether a piece is the next one, of a snapshot that still makes sense: another VM may have
    /// taken one to its end meanwhile, or begun one in the place of this one.
    pub(crate) const fn goes_on_with(
        &self,
        head: &Head,
        me: u32,
        epoch: u64,
        piece: &Snapshot,
    ) -> bool {
        self.epoch == epoch
            && (self.fresh.is_none() || head.writer == me)
            && self.next_bucket == piece.first_bucket
            && self.fresh.is_none() == head.is_of(epoch)
    }

    /// Bytes to ask for.
    pub(crate) const fn piece_bytes(&self) -> u32 {
        if self.total >= THICK_FROM { THICK_PIECE_BYTES } else { THIN_PIECE_BYTES }
    }

    /// Writes a piece into the fresh set; without one, says what is to be added to the set in use.
    pub(crate) fn take(
        &mut self,
        shared: &dyn SharedData,
        piece: &Snapshot,
        now_secs: u64,
    ) -> Result<Vec<Record>, FeedError> {
        let count = u32::try_from(piece.buckets.len()).map_err(|_| FeedError::Malformed)?;
        let after = self.next_bucket.checked_add(count).ok_or(FeedError::Malformed)?;
        if count == 0 || after > BUCKETS || piece.last != (after == BUCKETS) {
            return Err(FeedError::Malformed);
        }
        let mut to_add = Vec::new();
        for (number, bytes) in (self.next_bucket..after).zip(&piece.buckets) {
            bucket::check(number, bytes).map_err(|_| FeedError::Malformed)?;
            let records = Record::decode_all(bytes).ok_or(FeedError::Malformed)?;
            match &mut self.fresh {
                // Nothing is there already.
                _ if records.is_empty() => {}
                Some(fresh) => fresh.take(shared, number, &records, now_secs)?,
                None => to_add.extend(records),
            }
        }
        self.next_bucket = after;
        // A replica that was a little behind may have answered: the set goes as far as it did.
        self.cursor = self.cursor.min(piece.cursor);
        Ok(to_add)
    }

    /// The fresh set, once the last piece has been taken. Not when the head has gone past it.
    pub(crate) fn into_fresh(self, head: &Head) -> Result<Option<Fresh>, FeedError> {
        match self.fresh {
            Some(fresh) if !tagged::is_after(fresh.set, head.set) => Err(FeedError::TakenOver),
            fresh => Ok(fresh),
        }
    }
}

impl Fresh {
    fn take(
        &mut self,
        shared: &dyn SharedData,
        bucket: u32,
        records: &[Record],
        now_secs: u64,
    ) -> Result<(), FeedError> {
        let merged = set::merge(shared, self.set, bucket, records, now_secs)?;
        let more = merged.after.saturating_sub(merged.before);
        self.records = self.records.saturating_add(more);
        if self.records > MOST_RECORDS {
            return Err(FeedError::TooLarge);
        }
        records.iter().for_each(|record| self.bloom.insert(record.fingerprint));
        Ok(())
    }
}
