use std::collections::BTreeMap;

use postern_revocation::record::ALWAYS;
use postern_revocation::{Fingerprint, bucket};
use proptest::prelude::*;

use super::*;

const KEY: FingerprintKey = FingerprintKey::new([1; 16]);
const WHOLE: usize = usize::MAX;

fn log(max_records: usize, max_recent: usize) -> RevocationLog {
    RevocationLog::new(7, KEY, Bounds { max_records, max_recent })
}

fn record(fingerprint: u64, expires_at: u32) -> Record {
    Record { fingerprint: Fingerprint(fingerprint), issued_before: ALWAYS, expires_at }
}

/// One that spreads over the buckets.
fn spread(number: u64) -> u64 {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn delta(log: &RevocationLog, cursor: u64, limit: usize) -> Delta {
    match log.since(cursor, limit) {
        Since::Delta(delta) => delta,
        Since::SnapshotNeeded => panic!("cursor {cursor} needs a snapshot"),
    }
}

#[test]
fn what_is_applied_is_known_under_its_cursor() {
    let log = log(10, 10);
    assert_eq!((log.cursor(), log.records()), (0, 0));
    assert_eq!(log.apply(3, record(1, 100), 50), Applied::Kept);
    assert_eq!(log.apply(4, record(2, 50), 50), Applied::Needless, "it has expired");
    assert_eq!(log.apply(4, record(2, 90), 50), Applied::Needless, "it came before");
    log.skip(9);
    log.skip(2);
    assert_eq!((log.cursor(), log.records()), (9, 1));
    assert_eq!(delta(&log, 0, 10), Delta { records: vec![record(1, 100)], cursor: 9, more: false });
    assert_eq!(delta(&log, 3, 10), Delta { records: Vec::new(), cursor: 9, more: false });
}

#[test]
fn deltas_come_in_parts() {
    let log = log(100, 100);
    for seq in 1..=5 {
        log.apply(seq * 10, record(seq, 100), 0);
    }
    let (mut cursor, mut seen) = (0, Vec::new());
    loop {
        let part = delta(&log, cursor, 2);
        assert!(part.records.len() <= 2);
        seen.extend(part.records.iter().map(|record| record.fingerprint.0));
        cursor = part.cursor;
        if !part.more {
            break;
        }
    }
    assert_eq!((seen, cursor), (vec![1, 2, 3, 4, 5], 50));
    assert_eq!(delta(&log, 35, 2).records.len(), 2, "a cursor between two numbers");
}

#[test]
fn a_cursor_of_the_future_is_told_the_logs_own() {
    let log = log(10, 10);
    log.apply(5, record(1, 100), 0);
    assert_eq!(delta(&log, 8, 10), Delta { records: Vec::new(), cursor: 5, more: false });
}

#[test]
fn a_cursor_older_than_what_is_remembered_needs_a_snapshot() {
    let log = log(10, 3);
    for seq in 1..=4 {
        log.apply(seq, record(seq, 100), 0);
    }
    assert_eq!(log.since(0, 10), Since::SnapshotNeeded);
    assert_eq!(delta(&log, 1, 10).records.len(), 3, "number 1 is gone, and not asked for");
}

#[test]
fn pieces_make_up_the_whole() {
    let log = log(10_000, 10);
    for seq in 1..=1_000 {
        log.apply(seq, record(spread(seq), 100), 0);
    }
    for max_bytes in [0, 1_000, 65_536, WHOLE] {
        let (mut next, mut records, mut pieces) = (0, 0, 0);
        loop {
            let piece = log.piece(next, max_bytes);
            assert_eq!(piece.first_bucket, next);
            assert!(!piece.buckets.is_empty());
            let bytes: usize = piece.buckets.iter().map(Vec::len).sum();
            assert!(bytes <= max_bytes || piece.buckets.len() == 1);
            for bytes in &piece.buckets {
                assert_eq!(bucket::check(next, bytes), Ok(()));
                records += bytes.len() / 16;
                next += 1;
            }
            pieces += 1;
            if piece.last {
                break;
            }
        }
        assert_eq!((next, records), (BUCKETS, 1_000));
        let expected = match max_bytes {
            0 => 16_384,
            WHOLE => 1,
            _ => (1_000 * 16 + 16_384 * BUCKET_COST) / max_bytes + 1,
        };
        assert!(pieces >= expected && pieces <= expected + expected / 10, "{pieces} {expected}");
    }
}

#[test]
fn beyond_its_room_only_what_is_there_is_widened() {
    let log = log(2, 10);
    assert_eq!(log.apply(1, record(1, 100), 0), Applied::Kept);
    assert_eq!(log.apply(2, record(2, 200), 0), Applied::Kept);
    assert!(!log.is_short_of_room());
    assert_eq!(log.apply(3, record(3, 100), 0), Applied::Refused);
    assert!(log.is_short_of_room());
    assert_eq!(log.apply(4, record(1, 300), 0), Applied::Kept);
    assert_eq!((log.records(), log.cursor()), (2, 4));
    assert!(!log.has_room_again());
    assert_eq!(log.sweep(200), 1);
    assert!(log.has_room_again());
    assert!(log.is_short_of_room(), "what was refused is still missing");
}

#[test]
fn sweeping_lets_go_of_what_has_expired() {
    let log = log(1_000, 10);
    for seq in 1..=500 {
        log.apply(seq, record(spread(seq), if seq % 2 == 0 { 100 } else { 200 }), 0);
    }
    assert_eq!(log.sweep(99), 0);
    assert_eq!(log.sweep(100), 250);
    assert_eq!(log.records(), 250);
    assert_eq!(log.sweep(100), 0);
    assert_eq!(log.sweep(200), 250);
    assert_eq!(log.records(), 0);
}

#[test]
fn tokens_are_judged_by_all_their_marks() {
    let log = log(10, 10);
    let issuer = "https://issuer.example.test";
    let marks = |jti, subject| {
        Marks::of(&KEY, issuer, Some(jti), None, Some(subject), Some("client"), None)
    };
    let revocation = postern_revocation::Revocation::at(
        1_000,
        postern_revocation::RevocationKind::Subject,
        issuer,
        "alice",
        5_000,
    );
    log.apply(1, Record::of(&KEY, &revocation.unwrap()), 1_000);
    assert!(log.is_revoked(&marks("a", "alice"), Some(900), 1_100));
    assert!(log.is_revoked(&marks("b", "alice"), None, 1_100));
    assert!(!log.is_revoked(&marks("c", "alice"), Some(1_001), 1_100), "issued later");
    assert!(!log.is_revoked(&marks("a", "bob"), Some(900), 1_100));
    assert!(!log.is_revoked(&marks("a", "alice"), Some(900), 5_000), "expired");
    assert!(!log.is_revoked(&Marks::default(), None, 1_100));
}

/// Whoever follows the log, by deltas or by a snapshot begun at some time and taken in pieces
/// while records are added, ends with what the log holds.
#[derive(Default)]
struct Follower {
    cursor: u64,
    snapshot: Option<(u32, u64)>,
    held: BTreeMap<u64, Record>,
}

impl Follower {
    fn step(&mut self, log: &RevocationLog) {
        if let Some((next, begun)) = self.snapshot {
            let cursor = begun.min(log.cursor());
            let piece = log.piece(next, 40_000);
            let mut at = next;
            for bytes in &piece.buckets {
                self.held.retain(|fingerprint, _| Fingerprint(*fingerprint).bucket() != at);
                for record in Record::decode_all(bytes).unwrap() {
                    self.held.insert(record.fingerprint.0, record);
                }
                at += 1;
            }
            self.snapshot = (!piece.last).then_some((at, cursor));
            if piece.last {
                self.cursor = cursor;
            }
            return;
        }
        match log.since(self.cursor, 5) {
            Since::SnapshotNeeded => self.snapshot = Some((0, log.cursor())),
            Since::Delta(delta) => {
                for record in delta.records {
                    let held = self.held.entry(record.fingerprint.0).or_insert(record);
                    *held = held.widened(record);
                }
                self.cursor = delta.cursor;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn followers_end_with_what_the_log_holds(
        steps in prop::collection::vec((0_u8..3, 0_u64..60, 1_u32..1000), 1..150),
    ) {
        let log = log(1_000, 8);
        let mut follower = Follower::default();
        let mut expected: BTreeMap<u64, Record> = BTreeMap::new();
        let mut seq = 0;
        for (what, name, expires_at) in steps {
            if what == 0 {
                follower.step(&log);
            } else {
                seq += u64::from(what);
                let record = record(spread(name), expires_at);
                log.apply(seq, record, 0);
                let held = expected.entry(record.fingerprint.0).or_insert(record);
                *held = held.widened(record);
            }
        }
        for _ in 0..200 {
            follower.step(&log);
        }
        prop_assert_eq!(follower.cursor, log.cursor());
        prop_assert_eq!(log.records(), expected.len());
        prop_assert_eq!(follower.held, expected);
    }
}
