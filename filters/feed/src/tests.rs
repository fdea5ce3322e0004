//! VMs of one process against a server of a few lines.

use std::collections::BTreeMap;

use super::*;
use postern_filter_shared_data::Memory;
use postern_proto::feed::v1::{ExchangeRequest, Snapshot};
use postern_revocation::bucket::{self, BUCKETS};
use postern_revocation::record::ALWAYS;
use postern_revocation::{Fingerprint, Record, RevocationKind};
use proptest::prelude::*;

const KEY: [u8; 16] = [7; 16];
const NOW: UnixMillis = UnixMillis(1_000_000_000);

/// All that a server knows: records in the order of their commits.
struct Server {
    epoch: u64,
    log: Vec<Record>,
    /// Deltas older than this are only to be had as a snapshot.
    ring: usize,
    piece: u32,
    /// Knows of no deltas at all.
    forgetful: bool,
    asked: Vec<ExchangeRequest>,
}

impl Server {
    fn new() -> Self {
        Self {
            epoch: 5,
            log: Vec::new(),
            ring: 1000,
            piece: BUCKETS,
            forgetful: false,
            asked: Vec::new(),
        }
    }

    fn revoke(&mut self, subject: &str) {
        self.log.push(Record {
            fingerprint: fingerprint(subject),
            issued_before: ALWAYS,
            expires_at: 2_000_000,
        });
    }

    fn answer(&mut self, body: &[u8]) -> Vec<u8> {
        let asked = ExchangeRequest::decode(framing::unframe(body).unwrap()).unwrap();
        let cursor = u64::try_from(self.log.len()).unwrap();
        let old = usize::try_from(asked.cursor).unwrap();
        let mut answer = ExchangeResponse {
            epoch: self.epoch,
            cursor,
            next_poll_ms: 100,
            ..ExchangeResponse::default()
        };
        let known = asked.epoch == self.epoch && asked.snapshot_bucket == 0 && !self.forgetful;
        if known && self.log.len().saturating_sub(old) <= self.ring {
            answer.added = Record::encode_all(self.log.get(old..).unwrap_or_default());
        } else {
            answer.fingerprint_key = KEY.to_vec();
            answer.snapshot = Some(self.snapshot(&asked, cursor));
        }
        self.asked.push(asked);
        framing::frame(&answer).unwrap()
    }

    fn snapshot(&self, asked: &ExchangeRequest, cursor: u64) -> Snapshot {
        let mut buckets: BTreeMap<u32, Vec<Record>> = BTreeMap::new();
        for record in &self.log {
            buckets.entry(record.fingerprint.bucket()).or_default().push(*record);
        }
        let first_bucket = asked.snapshot_bucket;
        let end = (first_bucket + self.piece).min(BUCKETS);
        let records = |number| buckets.get(&number).map_or(&[][..], Vec::as_slice);
        Snapshot {
            cursor,
            first_bucket,
            buckets: (first_bucket..end).map(|n| bucket::merge(&[], records(n), 0)).collect(),
            last: end == BUCKETS,
            total_records: cursor,
        }
    }
}

fn fingerprint(subject: &str) -> Fingerprint {
    FingerprintKey::new(KEY).of(RevocationKind::Subject, "https://i.test", subject)
}

fn marks(subject: &str) -> Marks {
    Marks::of(&FingerprintKey::new(KEY), "https://i.test", None, None, Some(subject), None, None)
}

struct Process {
    shared: Memory,
    vms: Vec<Feed>,
    server: Option<Server>,
}

impl Process {
    fn new(vms: usize) -> Self {
        let shared = Memory::default();
        let vms = (0..vms).map(|_| Feed::new(settings(), "d1", &shared)).collect();
        Self { shared, vms, server: Some(Server::new()) }
    }

    /// Every VM ticks once; calls are answered at once.
    fn tick(&mut self) {
        for vm in &mut self.vms {
            if let Some(body) = vm.tick(&self.shared) {
                let answer = self.server.as_mut().map(|server| server.answer(&body));
                let _ = vm.answered(&self.shared, answer.as_deref(), NOW);
            }
        }
    }

    fn ticks(&mut self, count: u32) {
        (0..count).for_each(|_| self.tick());
    }

    fn judge(&self, subject: &str) -> Vec<Judgement> {
        let judge = |vm: &Feed| vm.judge(&self.shared, &marks(subject), Some(1), None, NOW);
        self.vms.iter().map(judge).collect()
    }

    fn server(&mut self) -> &mut Server {
        self.server.as_mut().unwrap()
    }
}

fn settings() -> Settings {
    Settings {
        workload: "w".to_owned(),
        envoy_id: "e".to_owned(),
        tick_ms: 100,
        wait_ms: 0,
        max_staleness_ms: 3_000,
    }
}

use Judgement::{Good, Revoked, Stale};

#[test]
fn nothing_is_known_before_the_first_answer_and_all_after_it() {
    let mut process = Process::new(3);
    process.server().revoke("mallory");
    assert_eq!(process.judge("alice"), [Stale; 3]);
    process.ticks(2);
    assert_eq!(process.judge("mallory"), [Revoked; 3]);
    assert_eq!(process.judge("alice"), [Good; 3]);
    assert_eq!(process.server().asked[0].document_digest, "d1");
}

#[test]
fn what_is_revoked_later_reaches_every_vm_within_two_polls() {
    let mut process = Process::new(4);
    process.ticks(3);
    let before: Vec<u32> = process.vms.iter().map(Feed::generation).collect();
    for round in 0..200 {
        let subject = format!("s{round}");
        assert_eq!(process.judge(&subject), [Good; 4]);
        process.server().revoke(&subject);
        process.ticks(4);
        assert_eq!(process.judge(&subject), [Revoked; 4], "{round}");
    }
    let snapshots = process.server().asked.iter().filter(|asked| asked.epoch == 0).count();
    assert_eq!(snapshots, 1, "deltas after the first time");
    assert!(process.vms.iter().zip(before).all(|(vm, before)| vm.generation() > before));
}

#[test]
fn a_token_found_good_is_not_looked_up_again_until_something_changes() {
    let mut process = Process::new(1);
    process.server().revoke("mallory");
    process.ticks(3);
    let vm = &process.vms[0];
    let calls = process.shared.calls.get();
    let since = Some(vm.generation());
    assert_eq!(vm.judge(&process.shared, &marks("alice"), Some(1), since, NOW), Good);
    assert_eq!(process.shared.calls.get(), calls);
    process.server().revoke("alice");
    process.ticks(3);
    let vm = &process.vms[0];
    assert_eq!(vm.judge(&process.shared, &marks("alice"), Some(1), since, NOW), Revoked);
}

#[test]
fn the_feed_outlives_the_vm_that_led_it() {
    let mut process = Process::new(3);
    process.server().revoke("a");
    process.ticks(3);
    process.vms.remove(0);
    process.server().revoke("b");
    process.ticks(25);
    assert_eq!(process.judge("a"), [Revoked; 2]);
    assert_eq!(process.judge("b"), [Revoked; 2]);
    assert_eq!(process.server().asked.iter().filter(|asked| asked.epoch == 0).count(), 1);
}

#[test]
fn a_reloaded_filter_knows_at_once_what_the_process_knows() {
    let mut process = Process::new(2);
    process.server().revoke("a");
    process.ticks(3);
    process.vms.clear();
    process.vms.push(Feed::new(settings(), "d2", &process.shared));
    let vm = &process.vms[0];
    assert!(vm.view.bloom.may_contain(fingerprint("a")));
    process.tick();
    process.tick();
    assert_ne!(process.judge("a"), [Good]);
}

#[test]
fn without_a_server_what_is_known_gets_stale_and_then_fresh_again() {
    let mut process = Process::new(2);
    process.server().revoke("a");
    process.ticks(3);
    let server = process.server.take();
    process.ticks(20);
    assert_eq!(process.judge("a"), [Revoked; 2], "two seconds are not too old");
    process.ticks(15);
    assert_eq!(process.judge("a"), [Stale; 2]);
    assert_eq!(process.judge("alice"), [Stale; 2]);
    assert!(process.vms[0].age_ms().unwrap() >= 3_000);
    process.server = server;
    process.ticks(200);
    assert_eq!(process.judge("a"), [Revoked; 2]);
    assert_eq!(process.judge("alice"), [Good; 2]);
}

#[test]
fn another_store_means_the_whole_set_anew() {
    let mut process = Process::new(2);
    process.server().revoke("a");
    process.ticks(3);
    let server = process.server();
    (server.epoch, server.log) = (6, Vec::new());
    server.revoke("b");
    process.ticks(4);
    assert_eq!(process.judge("b"), [Revoked; 2]);
    assert_eq!(process.judge("a"), [Good; 2], "the other store knows nothing of it");
    assert_eq!(process.vms[0].epoch(), 6);
}

#[test]
fn a_snapshot_in_pieces_is_applied_to_its_end() {
    let mut process = Process::new(2);
    for n in 0..3000 {
        process.server().revoke(&format!("s{n}"));
    }
    process.server().piece = 1000;
    process.ticks(10);
    assert_eq!(process.judge("s7"), [Stale; 2], "half of it is nothing");
    process.server().revoke("late");
    process.ticks(30);
    for subject in ["s0", "s1234", "s2999", "late"] {
        assert_eq!(process.judge(subject), [Revoked; 2], "{subject}");
    }
    assert_eq!(process.judge("alice"), [Good; 2]);
    assert_eq!(process.vms[0].records(), 3001);
}

#[test]
fn a_vm_that_missed_much_reads_it_all() {
    let mut process = Process::new(2);
    process.ticks(3);
    let asleep = process.vms.pop().unwrap();
    for n in 0..100 {
        process.server().revoke(&format!("s{n}"));
        process.ticks(2);
    }
    process.vms.push(asleep);
    process.tick();
    assert_eq!(process.judge("s0"), [Revoked; 2]);
    assert_eq!(process.judge("s99"), [Revoked; 2]);
}

#[test]
fn a_replica_that_is_behind_takes_nothing_back() {
    let mut process = Process::new(1);
    process.server().revoke("a");
    process.server().revoke("b");
    process.ticks(3);
    // Another replica: the same store, one commit ago.
    process.server().log.pop();
    process.ticks(5);
    assert_eq!(process.judge("b"), [Revoked]);
    // And one that has just started, and sends the whole of it.
    process.server().forgetful = true;
    process.ticks(5);
    assert_eq!(process.judge("a"), [Revoked]);
    assert_eq!(process.judge("b"), [Revoked]);
    assert_eq!(process.vms[0].records(), 2);
}

#[test]
fn a_vm_that_was_relieved_writes_nothing() {
    let mut process = Process::new(2);
    process.server().revoke("a");
    process.ticks(3);
    let body = loop {
        if let Some(body) = process.vms[0].tick(&process.shared) {
            break body;
        }
    };
    let answer = process.server().answer(&body);
    let mut relieved = process.vms.remove(0);
    process.ticks(30);
    let result = relieved.answered(&process.shared, Some(&answer), NOW);
    assert_eq!(result, Err(FeedError::TakenOver));
}

#[test]
fn when_others_are_faster_nothing_is_lost() {
    let mut process = Process::new(2);
    process.ticks(3);
    for n in 0..50 {
        process.server().revoke(&format!("s{n}"));
        process.shared.conflicts.set(n % 7);
        process.ticks(10);
    }
    process.shared.conflicts.set(0);
    process.ticks(60);
    for n in 0..50 {
        assert_eq!(process.judge(&format!("s{n}")), [Revoked; 2], "{n}");
    }
}

#[test]
fn keys_are_few_however_much_is_revoked() {
    let mut process = Process::new(1);
    for n in 0..20_000 {
        process.server().revoke(&format!("s{n}"));
    }
    process.ticks(3);
    let after = process.shared.keys();
    for n in 0..500 {
        process.server().revoke(&format!("t{n}"));
        process.ticks(2);
    }
    assert!(process.shared.keys() <= after + 64, "{} then {}", after, process.shared.keys());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_is_answered_a_revoked_token_stays_revoked(
        junk in prop::collection::vec(any::<u8>(), 0..200),
        cut in 0_usize..2000,
    ) {
        let mut process = Process::new(2);
        process.server().revoke("a");
        process.ticks(3);
        for _ in 0..3 {
            let mut next = None;
            for _ in 0..200 {
                next = process.vms[0].tick(&process.shared);
                if next.is_some() {
                    break;
                }
            }
            let whole = process.server().answer(&next.unwrap());
            let mut answer = whole[..cut.min(whole.len())].to_vec();
            answer.extend_from_slice(&junk);
            let _ = process.vms[0].answered(&process.shared, Some(&answer), NOW);
        }
        prop_assert_ne!(process.judge("a")[0], Good);
    }
}
