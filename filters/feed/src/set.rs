//! The revoked set in shared data: its records in buckets, each a value of its own.
//!
//! The buckets are the truth: whatever the filters say, a token is revoked if and only if its
//! record is found here. Within a set a record is only ever widened, or dropped once it has
//! expired. Another store's set is written beside the one in use, which stays whole until the
//! head names the other.

use postern_filter_shared_data::SharedData;
use postern_revocation::record::RECORD_BYTES;
use postern_revocation::{Fingerprint, Record, bucket};

use crate::FeedError;
use crate::tagged::{self, Overtaken};

fn key(set: u32, bucket: u32) -> String {
    format!(name!("revoked.{}.{}"), set & 1, bucket)
}

/// Begins a set after `after`; its number.
pub(crate) fn begin(shared: &dyn SharedData, after: u32) -> Result<u32, Overtaken> {
    tagged::claim(shared, after, |set| key(set, 0), &[])
}

/// The record of a fingerprint.
///
/// # Errors
/// Where a younger set lies in the place of this one: this VM has not heard yet, or one that was
/// held up for long began a set where another's is in use. Nothing is known then.
pub(crate) fn find(
    shared: &dyn SharedData,
    set: u32,
    fingerprint: Fingerprint,
) -> Result<Option<Record>, Overtaken> {
    let Some((value, _)) = shared.get(&key(set, fingerprint.bucket())) else { return Ok(None) };
    match tagged::split(&value) {
        Some((there, bytes)) if there == set => Ok(bucket::find(bytes, fingerprint)),
        Some((there, _)) if tagged::is_after(there, set) => Err(Overtaken),
        _ => Ok(None),
    }
}

/// Whether another set was begun in the place of this one. It begins with the first bucket.
pub(crate) fn is_overwritten(shared: &dyn SharedData, set: u32) -> bool {
    let there = shared.get(&key(set, 0)).and_then(|(value, _)| Some(tagged::split(&value)?.0));
    there.is_some_and(|there| tagged::is_after(there, set))
}

/// What a merge made of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Merged {
    /// Records there were.
    pub(crate) before: u32,
    /// Records there are.
    pub(crate) after: u32,
    /// Those that were given and had not been there.
    pub(crate) added: u32,
}

/// Adds records to a bucket and lets go of those that are over. A bucket without room is left as
/// it is: nothing that is alive is forgotten.
pub(crate) fn merge(
    shared: &dyn SharedData,
    set: u32,
    bucket: u32,
    records: &[Record],
    now_secs: u64,
) -> Result<Merged, FeedError> {
    let mut merged = Merged::default();
    let mut full = false;
    tagged::update(shared, &key(set, bucket), set, |value| {
        let before = bytes_of(value.as_deref(), set);
        let bytes = bucket::merge(before, records, now_secs);
        full = bucket::is_full(&bytes);
        let is_new = |record: &&Record| bucket::find(before, record.fingerprint).is_none();
        merged = Merged {
            before: count(before.len() / RECORD_BYTES),
            after: count(bytes.len() / RECORD_BYTES),
            added: count(records.iter().filter(is_new).count()),
        };
        (!full && bytes != before).then(|| tagged::tagged(set, &bytes))
    })?;
    if full { Err(FeedError::TooLarge) } else { Ok(merged) }
}

/// Lets go of what is over in a bucket, and says how much that was. What stays is in `kept`.
pub(crate) fn sweep(
    shared: &dyn SharedData,
    set: u32,
    bucket: u32,
    now_secs: u64,
    kept: &mut Vec<Fingerprint>,
) -> Result<u32, Overtaken> {
    let mut dropped = 0;
    tagged::update(shared, &key(set, bucket), set, |value| {
        let before = bytes_of(value.as_deref(), set);
        let (records, _) = before.as_chunks::<RECORD_BYTES>();
        let alive = records.iter().map(Record::from_bytes).filter(|one| !one.is_expired(now_secs));
        kept.clear();
        kept.extend(alive.map(|record| record.fingerprint));
        dropped = count(records.len().saturating_sub(kept.len()));
        (dropped > 0).then(|| tagged::tagged(set, &bucket::merge(before, &[], now_secs)))
    })?;
    Ok(dropped)
}

/// Empties a bucket of a set that was in use before `set`: a key cannot be deleted, only made
/// small. A set that is being written beside is younger, and stays.
pub(crate) fn forget_older(shared: &dyn SharedData, set: u32, bucket: u32) {
    let key = key(set.wrapping_add(1), bucket);
    let Some((value, version)) = shared.get(&key) else { return };
    if let Some((there, bytes)) = tagged::split(&value)
        && tagged::is_after(set, there)
        && !bytes.is_empty()
    {
        // Who was faster knew better.
        let _ = shared.set(&key, &tagged::tagged(there, &[]), Some(version));
    }
}

fn bytes_of(value: Option<&[u8]>, set: u32) -> &[u8] {
    value.and_then(|value| tagged::of(value, set)).unwrap_or_default()
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use postern_filter_shared_data::Memory;
    use postern_revocation::record::ALWAYS;

    fn record(fingerprint: u64, expires_at: u32) -> Record {
        Record { fingerprint: Fingerprint(fingerprint), issued_before: ALWAYS, expires_at }
    }

    fn is_there(shared: &Memory, set: u32, fingerprint: u64) -> bool {
        find(shared, set, Fingerprint(fingerprint)).unwrap().is_some()
    }

    #[test]
    fn sets_lie_side_by_side_and_old_ones_are_emptied() {
        let shared = Memory::default();
        let old = begin(&shared, 0).unwrap();
        merge(&shared, old, 0, &[record(1, 100)], 0).unwrap();
        let new = begin(&shared, old).unwrap();
        merge(&shared, new, 0, &[record(2, 100)], 0).unwrap();
        assert!(is_there(&shared, old, 1) && is_there(&shared, new, 2));
        assert!(!is_there(&shared, new, 1) && !is_there(&shared, old, 2));
        // The old one is still in use: the new one stays.
        forget_older(&shared, old, 0);
        assert!(is_there(&shared, new, 2));
        forget_older(&shared, new, 0);
        assert!(!is_there(&shared, old, 1) && is_there(&shared, new, 2));
    }

    #[test]
    fn what_was_written_over_is_not_known() {
        let shared = Memory::default();
        let set = begin(&shared, 0).unwrap();
        merge(&shared, set, 0, &[record(1, 100)], 0).unwrap();
        assert!(!is_overwritten(&shared, set));
        // Somebody who has not heard that this one is in use now, twice.
        let other = begin(&shared, 0).unwrap();
        assert_eq!((set, other), (1, 3));
        assert!(is_overwritten(&shared, set) && !is_overwritten(&shared, other));
        assert_eq!(find(&shared, set, Fingerprint(1)), Err(Overtaken));
        assert_eq!(find(&shared, other, Fingerprint(1)), Ok(None));
    }

    #[test]
    fn merges_count_what_they_do() {
        let shared = Memory::default();
        let set = begin(&shared, 0).unwrap();
        let merged = merge(&shared, set, 0, &[record(1, 100), record(2, 50)], 10).unwrap();
        assert_eq!(merged, Merged { before: 0, after: 2, added: 2 });
        let merged = merge(&shared, set, 0, &[record(1, 200), record(3, 90)], 60).unwrap();
        assert_eq!(merged, Merged { before: 2, after: 2, added: 1 });
        let calls = shared.calls.get();
        merge(&shared, set, 0, &[record(1, 200)], 60).unwrap();
        assert_eq!(shared.calls.get(), calls + 1, "what is the same is not written");
    }

    #[test]
    fn a_full_bucket_forgets_nothing() {
        let shared = Memory::default();
        let set = begin(&shared, 0).unwrap();
        let all: Vec<Record> = (0..4_095).map(|at| record(at, 100)).collect();
        merge(&shared, set, 0, &all, 0).unwrap();
        let one_more = merge(&shared, set, 0, &[record(9_999, 200)], 0);
        assert_eq!(one_more, Err(FeedError::TooLarge));
        assert!(is_there(&shared, set, 0) && !is_there(&shared, set, 9_999));
    }

    #[test]
    fn a_sweep_drops_what_is_over_and_names_the_rest() {
        let shared = Memory::default();
        let set = begin(&shared, 0).unwrap();
        merge(&shared, set, 0, &[record(1, 100), record(2, 50)], 0).unwrap();
        let mut kept = vec![Fingerprint(7)];
        assert_eq!(sweep(&shared, set, 0, 49, &mut kept), Ok(0));
        assert_eq!(kept, [Fingerprint(1), Fingerprint(2)]);
        assert_eq!(sweep(&shared, set, 0, 50, &mut kept), Ok(1));
        assert_eq!(kept, [Fingerprint(1)]);
        assert!(!is_there(&shared, set, 2));
        assert_eq!(sweep(&shared, set, 1, 50, &mut kept), Ok(0));
        assert!(kept.is_empty());
    }
}
