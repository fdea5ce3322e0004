use std::collections::BTreeMap;

use super::*;
use proptest::prelude::*;

fn record(fingerprint: u64, issued_before: u32, expires_at: u32) -> Record {
    Record { fingerprint: Fingerprint(fingerprint), issued_before, expires_at }
}

#[test]
fn what_is_added_is_found() {
    let bytes = merge(&[], &[record(9, 1, 50), record(3, 2, 50)], 10);
    assert_eq!(check(0, &bytes), Ok(()));
    assert_eq!(find(&bytes, Fingerprint(9)), Some(record(9, 1, 50)));
    assert_eq!(find(&bytes, Fingerprint(3)), Some(record(3, 2, 50)));
    assert_eq!(find(&bytes, Fingerprint(4)), None);
    assert_eq!(find(&[], Fingerprint(3)), None);
}

#[test]
fn records_of_one_fingerprint_become_one() {
    let bytes = merge(&[], &[record(3, 5, 90), record(3, 8, 70)], 0);
    assert_eq!(bytes, record(3, 8, 90).to_bytes());
    let bytes = merge(&bytes, &[record(3, u32::MAX, 60)], 0);
    assert_eq!(bytes, record(3, u32::MAX, 90).to_bytes());
}

#[test]
fn what_has_expired_goes() {
    let bytes = merge(&[], &[record(1, 0, 10), record(2, 0, 11)], 0);
    assert_eq!(merge(&bytes, &[record(3, 0, 9)], 10), record(2, 0, 11).to_bytes());
}

#[test]
fn a_full_bucket_forgets_those_that_end_first() {
    let all: Vec<_> = (0..5_000_u32).map(|at| record(u64::from(at), 0, 1_000 + at)).collect();
    let bytes = merge(&[], &all, 0);
    assert!(is_full(&bytes));
    assert_eq!(bytes.len(), MAX_BUCKET_RECORDS * RECORD_BYTES);
    assert_eq!(check(0, &bytes), Ok(()));
    assert_eq!(find(&bytes, Fingerprint(4_999)), all.last().copied());
    assert_eq!(find(&bytes, Fingerprint(0)), None);
    assert!(!is_full(&merge(&[], &all[..4_095], 0)));
}

#[test]
fn malformed_bytes_are_told() {
    let one = record(5 << 50, 0, 1);
    let mut cut = Record::encode_all(&[one]);
    cut.pop();
    let many: Vec<_> = (0..4_097).map(|at| record(at, 0, 1)).collect();
    for (index, bytes, expected) in [
        (5, Vec::new(), Ok(())),
        (5, Record::encode_all(&[one]), Ok(())),
        (4, Record::encode_all(&[one]), Err(BucketError::Foreign)),
        (5, cut, Err(BucketError::Length)),
        (5, Record::encode_all(&[one, one]), Err(BucketError::Order)),
        (5, Record::encode_all(&[record((5 << 50) + 1, 0, 1), one]), Err(BucketError::Order)),
        (0, Record::encode_all(&many), Err(BucketError::Size)),
    ] {
        assert_eq!(check(index, &bytes), expected);
    }
}

/// What a bucket must hold, said in the simplest way.
#[derive(Default)]
struct Model(BTreeMap<u64, (u32, u32)>);

impl Model {
    fn merge(&mut self, added: &[Record], now: u64) {
        self.0.retain(|_, (_, expires_at)| u64::from(*expires_at) > now);
        for record in added.iter().filter(|record| u64::from(record.expires_at) > now) {
            let entry = self.0.entry(record.fingerprint.0).or_default();
            entry.0 = entry.0.max(record.issued_before);
            entry.1 = entry.1.max(record.expires_at);
        }
    }
}

fn a_record() -> impl Strategy<Value = Record> {
    (0_u64..40, any::<u32>(), 0_u32..200).prop_map(|(fingerprint, issued_before, expires_at)| {
        record(fingerprint, issued_before, expires_at)
    })
}

proptest! {
    #[test]
    fn a_bucket_holds_what_a_map_would(
        steps in prop::collection::vec((prop::collection::vec(a_record(), 0..20), 0_u64..220), 1..8),
    ) {
        let (mut bytes, mut model) = (Vec::new(), Model::default());
        for (added, now) in steps {
            bytes = merge(&bytes, &added, now);
            model.merge(&added, now);
            prop_assert_eq!(check(0, &bytes), Ok(()));
            for fingerprint in 0..40 {
                let expected = model.0.get(&fingerprint).map(|(issued_before, expires_at)| {
                    record(fingerprint, *issued_before, *expires_at)
                });
                prop_assert_eq!(find(&bytes, Fingerprint(fingerprint)), expected);
            }
        }
    }

    #[test]
    fn any_bytes_are_searched_checked_and_merged(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        fingerprint in any::<u64>(), index in any::<u32>(), now in any::<u64>(),
    ) {
        let _ = find(&bytes, Fingerprint(fingerprint));
        if check(index, &bytes).is_ok() {
            let (records, _) = bytes.as_chunks::<RECORD_BYTES>();
            for record in records.iter().map(Record::from_bytes) {
                prop_assert_eq!(find(&bytes, record.fingerprint), Some(record));
            }
        }
        let merged = merge(&bytes, &[], now);
        prop_assert!(merged.len() <= bytes.len());
        prop_assert_eq!(merge(&merged, &[], now), merged);
    }

    #[test]
    fn cut_bytes_hold_nothing(length in 1_usize..15, fingerprint in any::<u64>()) {
        let mut bytes = record(fingerprint, 0, 9).to_bytes().to_vec();
        bytes.truncate(length);
        prop_assert_eq!(find(&bytes, Fingerprint(fingerprint)), None);
    }
}
