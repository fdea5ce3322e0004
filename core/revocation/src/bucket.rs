//! A bucket: the records of one range of fingerprints, sorted, each fingerprint once.
//!
//! Filters keep a bucket as one value of Envoy's shared data, which is copied whole on every
//! read: at a million revocations a bucket holds some 61 records, a kilobyte.

use crate::fingerprint::Fingerprint;
use crate::record::{RECORD_BYTES, Record};

/// How many there are: a fingerprint's highest 14 bits say which is its own.
pub const BUCKETS: u32 = 16_384;
/// Most records of one bucket. Fingerprints are keyed, so that nobody can aim at a bucket: only
/// some sixty million revocations would fill one.
pub const MAX_BUCKET_RECORDS: usize = 4096;

/// What is wrong with the bytes of a bucket: the sender's fault, or that of whoever kept them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BucketError {
    /// Not a whole number of records.
    #[error("a bucket is made of whole records of {} bytes", RECORD_BYTES)]
    Length,
    /// Beyond [`MAX_BUCKET_RECORDS`].
    #[error("a bucket holds at most {} records", MAX_BUCKET_RECORDS)]
    Size,
    /// Not sorted, or a fingerprint twice.
    #[error("the records of a bucket ascend")]
    Order,
    /// A fingerprint of another bucket.
    #[error("a record belongs to another bucket")]
    Foreign,
}

/// The record of a fingerprint. It searches the bytes as they are; bytes that [`check`] refuses
/// hold nothing, or what a search happens upon.
#[must_use]
pub fn find(bytes: &[u8], fingerprint: Fingerprint) -> Option<Record> {
    let (records, rest) = bytes.as_chunks::<RECORD_BYTES>();
    if !rest.is_empty() {
        return None;
    }
    let of = |bytes: &[u8; RECORD_BYTES]| Record::from_bytes(bytes).fingerprint;
    let at = records.binary_search_by_key(&fingerprint, of).ok()?;
    records.get(at).map(Record::from_bytes)
}

/// Whether the bytes are those of the bucket `index`.
///
/// # Errors
/// What is wrong with them.
pub fn check(index: u32, bytes: &[u8]) -> Result<(), BucketError> {
    let (records, rest) = bytes.as_chunks::<RECORD_BYTES>();
    if !rest.is_empty() {
        return Err(BucketError::Length);
    }
    if records.len() > MAX_BUCKET_RECORDS {
        return Err(BucketError::Size);
    }
    let mut before = None;
    for fingerprint in records.iter().map(|bytes| Record::from_bytes(bytes).fingerprint) {
        if fingerprint.bucket() != index {
            return Err(BucketError::Foreign);
        }
        if before.is_some_and(|before| before >= fingerprint) {
            return Err(BucketError::Order);
        }
        before = Some(fingerprint);
    }
    Ok(())
}

/// Adds records to a bucket and drops what has expired at `now`. Records of one fingerprint
/// become one that is as wide as all of them. Of malformed bytes every whole record is kept:
/// better one too many than one forgotten.
///
/// A bucket that [`is_full`] forgets those that end first.
#[must_use]
pub fn merge(bytes: &[u8], added: &[Record], now: u64) -> Vec<u8> {
    let (kept, _) = bytes.as_chunks::<RECORD_BYTES>();
    let mut records: Vec<Record> = kept
        .iter()
        .map(Record::from_bytes)
        .chain(added.iter().copied())
        .filter(|record| !record.is_expired(now))
        .collect();
    sort(&mut records);
    records.dedup_by(|later, first| {
        let same = later.fingerprint == first.fingerprint;
        if same {
            *first = first.widened(*later);
        }
        same
    });
    if records.len() > MAX_BUCKET_RECORDS {
        sort_by(&mut records, |record| u64::from(u32::MAX - record.expires_at));
        records.truncate(MAX_BUCKET_RECORDS);
        sort(&mut records);
    }
    Record::encode_all(&records)
}

/// Sorts records as a bucket has them.
pub fn sort(records: &mut [Record]) {
    sort_by(records, |record| record.fingerprint.0);
}

/// One for all keys: the code of a sort is some kilobytes.
fn sort_by(records: &mut [Record], key: fn(&Record) -> u64) {
    records.sort_unstable_by_key(key);
}

/// Whether a bucket has no room for another record: the next one makes it forget one.
#[must_use]
pub const fn is_full(bytes: &[u8]) -> bool {
    bytes.len() >= MAX_BUCKET_RECORDS * RECORD_BYTES
}

#[cfg(test)]
mod tests;
