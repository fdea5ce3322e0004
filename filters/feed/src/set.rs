//! The revoked set in shared data: records in buckets, a filter over all of them, and a log of
//! what changed last.

use std::collections::BTreeSet;

use postern_filter_shared_data::SharedData;
use postern_revocation::record::RECORD_BYTES;
use postern_revocation::{Bloom, Fingerprint, Record, bucket};

/// Generations that the log keeps: a VM that has missed more reads the whole filter.
pub(crate) const LOG: u32 = 64;
/// Most fingerprints of one entry of the log; a greater change is told as "read it all".
const MOST_LOGGED: usize = 4096;
/// How often a bucket is written again when another VM was faster.
const ATTEMPTS: u32 = 8;

fn bucket_key(bucket: u32) -> String {
    format!("postern.feed.revoked.{bucket}")
}

fn segment_key(filter: u32, segment: usize) -> String {
    format!("postern.feed.filter.{}.{segment}", filter & 1)
}

fn log_key(generation: u32) -> String {
    format!("postern.feed.log.{}", generation % LOG)
}

/// The record of a fingerprint.
pub(crate) fn find(shared: &dyn SharedData, fingerprint: Fingerprint) -> Option<Record> {
    let (bytes, _) = shared.get(&bucket_key(fingerprint.bucket()))?;
    bucket::find(&bytes, fingerprint)
}

/// Puts a bucket in place of what was there.
pub(crate) fn replace_bucket(shared: &dyn SharedData, bucket: u32, records: &[u8]) {
    shared.put(&bucket_key(bucket), records);
}

/// What a merge made of a bucket.
#[derive(Debug)]
pub(crate) struct Merged {
    /// All records of the bucket.
    pub(crate) records: Vec<u8>,
    /// How many there were before.
    pub(crate) before: u32,
}

impl Merged {
    /// How many there are now.
    pub(crate) fn after(&self) -> u32 {
        count(&self.records)
    }
}

fn count(records: &[u8]) -> u32 {
    u32::try_from(records.len() / RECORD_BYTES).unwrap_or(u32::MAX)
}

/// Adds records to a bucket and lets go of those that are over. None when others were faster
/// every time.
pub(crate) fn merge_bucket(
    shared: &dyn SharedData,
    bucket: u32,
    records: &[Record],
    now_secs: u64,
) -> Option<Merged> {
    let key = bucket_key(bucket);
    for _ in 0..ATTEMPTS {
        let found = shared.get(&key);
        let before = found.as_ref().map_or(&[][..], |(bytes, _)| bytes);
        let merged = bucket::merge(before, records, now_secs);
        let same = merged == before;
        let before = count(before);
        if same || shared.set(&key, &merged, found.map(|(_, version)| version)) {
            return Some(Merged { records: merged, before });
        }
    }
    None
}

/// Writes the parts of the filter that hold these fingerprints.
pub(crate) fn write_segments_of(
    shared: &dyn SharedData,
    filter: u32,
    bloom: &Bloom,
    fingerprints: &[Fingerprint],
) {
    let touched: BTreeSet<usize> =
        fingerprints.iter().map(|fingerprint| bloom.segment_of(*fingerprint)).collect();
    for (number, bytes) in bloom.segments().enumerate() {
        if touched.contains(&number) {
            shared.put(&segment_key(filter, number), bytes);
        }
    }
}

/// Writes a whole filter.
pub(crate) fn write_filter(shared: &dyn SharedData, filter: u32, bloom: &Bloom) {
    for (number, bytes) in bloom.segments().enumerate() {
        shared.put(&segment_key(filter, number), bytes);
    }
}

/// Reads a whole filter; none when a part of it is missing.
pub(crate) fn read_filter(shared: &dyn SharedData, filter: u32, capacity: u32) -> Option<Bloom> {
    let mut bloom = Bloom::with_capacity(u64::from(capacity));
    let segments = bloom.segments().len();
    for number in 0..segments {
        let (bytes, _) = shared.get(&segment_key(filter, number))?;
        if !bloom.set_segment(number, &bytes) {
            return None;
        }
    }
    Some(bloom)
}

/// Says what a generation has added; none for "read it all".
pub(crate) fn write_log(shared: &dyn SharedData, generation: u32, added: Option<&[Fingerprint]>) {
    let mut entry = generation.to_le_bytes().to_vec();
    match added {
        Some(fingerprints) if fingerprints.len() <= MOST_LOGGED => {
            entry.push(1);
            fingerprints.iter().for_each(|one| entry.extend_from_slice(&one.0.to_le_bytes()));
        }
        _ => entry.push(0),
    }
    shared.put(&log_key(generation), &entry);
}

/// What a generation has added; none when the log does not say.
pub(crate) fn read_log(shared: &dyn SharedData, generation: u32) -> Option<Vec<Fingerprint>> {
    let (bytes, _) = shared.get(&log_key(generation))?;
    let (logged, rest) = bytes.split_first_chunk()?;
    let (known, rest) = rest.split_first()?;
    if u32::from_le_bytes(*logged) != generation || *known != 1 {
        return None;
    }
    let (fingerprints, _) = rest.as_chunks();
    Some(fingerprints.iter().map(|one| Fingerprint(u64::from_le_bytes(*one))).collect())
}
