//! VMs of one process against a server of a few lines.

use std::collections::BTreeMap;

use super::*;
use postern_filter_shared_data::Memory;
use postern_proto::feed::v1::{ExchangeRequest, KeySet, Snapshot};
use postern_revocation::bucket::{self, BUCKETS};
use postern_revocation::record::ALWAYS;
use postern_revocation::{Fingerprint, Record, RevocationKind};
use prost::Message as _;

use Judgement::{Good, Revoked, Stale};

mod asking;
mod circuits;
mod hostile;
mod interleaved;
mod key_sets;
mod model;
mod replicas;
mod snapshots;
mod spreading;
mod sweeping;
mod terms;

const KEY: [u8; 16] = [7; 16];
const NOW: UnixMillis = UnixMillis(1_000_000_000);
/// When revocations end, in seconds: after all tests.
const END: u32 = 2_000_000;

/// All that a server knows: records in the order of their commits.
struct Server {
    epoch: u64,
    log: Vec<Record>,
    /// So many of the last ones have not reached it yet.
    hidden: usize,
    /// Deltas older than this are only to be had as a snapshot.
    ring: usize,
    /// Buckets of a piece; none: as many as fit into the bytes that were asked for.
    piece: Option<u32>,
    /// Records of a delta.
    most_added: usize,
    /// What it says in place of the number of its records.
    claims_records: Option<u64>,
    /// Knows of no deltas at all.
    forgetful: bool,
    next_poll_ms: u32,
    /// Answers nothing but this.
    refuses: Option<Option<u64>>,
    /// How far its clock is ahead.
    ahead_ms: u64,
    key_sets: BTreeMap<String, KeySet>,
    circuits: Option<Circuits>,
    asked: Vec<ExchangeRequest>,
}

impl Server {
    fn new() -> Self {
        Self {
            epoch: 5,
            log: Vec::new(),
            hidden: 0,
            ring: 1000,
            piece: None,
            most_added: usize::MAX,
            claims_records: None,
            forgetful: false,
            next_poll_ms: 100,
            refuses: None,
            ahead_ms: 0,
            key_sets: BTreeMap::new(),
            circuits: None,
            asked: Vec::new(),
        }
    }

    fn revoke(&mut self, subject: &str) {
        self.revoke_until(subject, END);
    }

    fn revoke_until(&mut self, subject: &str, expires_at: u32) {
        let fingerprint = fingerprint(subject);
        self.log.push(Record { fingerprint, issued_before: ALWAYS, expires_at });
    }

    fn set_keys(&mut self, issuer: &str, jwks: &str, digest: &str) {
        let (issuer, jwks, digest) = (issuer.to_owned(), jwks.to_owned(), digest.to_owned());
        self.key_sets.insert(issuer.clone(), KeySet { issuer, jwks, digest });
    }

    /// The body of an answer, or when to come back.
    fn answer(&mut self, body: &[u8], now: UnixMillis) -> Result<Vec<u8>, Option<u64>> {
        let asked = ExchangeRequest::decode(framing::unframe(body).unwrap()).unwrap();
        let answer = self.respond(&asked, now);
        self.asked.push(asked);
        match self.refuses {
            Some(next_poll_ms) => Err(next_poll_ms),
            None => Ok(framing::frame(&answer).unwrap()),
        }
    }

    fn respond(&self, asked: &ExchangeRequest, now: UnixMillis) -> ExchangeResponse {
        let end = self.log.len().saturating_sub(self.hidden);
        let from = usize::try_from(asked.cursor).unwrap().min(end);
        let digests = &asked.key_digests;
        let differs =
            |set: &&KeySet| digests.get(&set.issuer).is_some_and(|digest| *digest != set.digest);
        let mut answer = ExchangeResponse {
            epoch: self.epoch,
            cursor: number(end),
            key_sets: self.key_sets.values().filter(differs).cloned().collect(),
            next_poll_ms: self.next_poll_ms,
            server_time_ms: now.0 + self.ahead_ms,
            document_digest: "served".to_owned(),
            circuits: self.circuits.clone().filter(|all| all.version != asked.circuits_version),
            ..ExchangeResponse::default()
        };
        let known = asked.epoch == self.epoch && asked.snapshot_bucket == 0 && !self.forgetful;
        if known && end - from <= self.ring {
            let until = end.min(from.saturating_add(self.most_added));
            answer.added = Record::encode_all(&self.log[from..until]);
            answer.cursor = number(until);
            if until < end {
                answer.next_poll_ms = 0;
            }
        } else {
            let snapshot = self.snapshot(asked, end);
            answer.cursor = snapshot.cursor;
            answer.fingerprint_key = KEY.to_vec();
            if !snapshot.last {
                answer.next_poll_ms = 0;
            }
            answer.snapshot = Some(snapshot);
        }
        answer
    }

    fn snapshot(&self, asked: &ExchangeRequest, end: usize) -> Snapshot {
        let mut buckets: BTreeMap<u32, Vec<Record>> = BTreeMap::new();
        for record in &self.log[..end] {
            buckets.entry(record.fingerprint.bucket()).or_default().push(*record);
        }
        let goes_on = asked.snapshot_epoch == self.epoch;
        let first_bucket = if goes_on { asked.snapshot_bucket } else { 0 };
        let begun = if first_bucket > 0 { asked.snapshot_cursor } else { u64::MAX };
        let most = self.piece.unwrap_or(u32::MAX);
        let (mut piece, mut next, mut bytes) = (Vec::new(), first_bucket, 0);
        while next < BUCKETS && next - first_bucket < most {
            let records = buckets.get(&next).map_or(&[][..], Vec::as_slice);
            let bucket =
                if records.is_empty() { Vec::new() } else { bucket::merge(&[], records, 0) };
            bytes += bucket.len() + 8;
            if self.piece.is_none()
                && next > first_bucket
                && number(bytes) > u64::from(asked.max_bytes)
            {
                break;
            }
            piece.push(bucket);
            next += 1;
        }
        Snapshot {
            cursor: number(end).min(begun),
            first_bucket,
            buckets: piece,
            last: next == BUCKETS,
            total_records: self.claims_records.unwrap_or(number(end)),
        }
    }
}

fn number(length: usize) -> u64 {
    u64::try_from(length).unwrap()
}

fn fingerprint(subject: &str) -> Fingerprint {
    FingerprintKey::new(KEY).of(RevocationKind::Subject, "https://i.test", subject)
}

fn marks(subject: &str) -> Marks {
    Marks::of(&FingerprintKey::new(KEY), "https://i.test", None, None, Some(subject), None, None)
}

fn settings() -> Settings {
    Settings {
        workload: "w".to_owned(),
        envoy_id: "e".to_owned(),
        tick_ms: 100,
        wait_ms: 0,
        poll_ms: 0,
        max_staleness_ms: 3_000,
        issuers: Vec::new(),
    }
}

struct Process {
    shared: Memory,
    settings: Settings,
    vms: Vec<Feed>,
    server: Option<Server>,
    now: UnixMillis,
    /// How far this machine's wall clock is ahead.
    ahead_ms: u64,
}

impl Process {
    fn new(vms: usize) -> Self {
        Self::with(settings(), vms)
    }

    fn with(settings: Settings, vms: usize) -> Self {
        let (shared, server) = (Memory::default(), Some(Server::new()));
        let mut process = Self { shared, settings, vms: Vec::new(), server, now: NOW, ahead_ms: 0 };
        (0..vms).for_each(|_| process.start_vm("d1"));
        process
    }

    /// One that knows what its server knows.
    fn synced(vms: usize, revoked: &[&str]) -> Self {
        let mut process = Self::new(vms);
        revoked.iter().for_each(|subject| process.server().revoke(subject));
        process.ticks(5);
        process
    }

    fn start_vm(&mut self, digest: &str) {
        let vm = Feed::new(self.settings.clone(), digest, &self.shared, self.wall());
        self.vms.push(vm);
    }

    fn wall(&self) -> UnixMillis {
        UnixMillis(self.now.0 + self.ahead_ms)
    }

    /// Every VM ticks once; calls are answered at once, and so are those that follow.
    fn tick(&mut self) {
        self.now.0 += 100;
        for at in 0..self.vms.len() {
            self.vms[at].clock(UnixMillis(self.now.0 + self.ahead_ms));
            let mut next = self.vms[at].tick(&self.shared);
            while let Some(body) = next {
                next = self.exchange(at, &body).unwrap_or_default();
            }
        }
    }

    fn ticks(&mut self, count: u32) {
        (0..count).for_each(|_| self.tick());
    }

    fn exchange(&mut self, at: usize, body: &[u8]) -> Result<Option<Vec<u8>>, FeedError> {
        let (now, wall) = (self.now, self.wall());
        let answer = self.server.as_mut().map(|server| server.answer(body, now));
        let answered = match &answer {
            None => Answered::Nothing,
            Some(Err(next_poll_ms)) => Answered::Refused { next_poll_ms: *next_poll_ms },
            Some(Ok(body)) => Answered::Body(body),
        };
        self.vms[at].answered(&self.shared, answered, wall)
    }

    /// Ticks one VM until it asks.
    fn until_asked(&mut self, at: usize) -> Vec<u8> {
        let shared = &self.shared;
        (0..1_000).find_map(|_| self.vms[at].tick(shared)).unwrap()
    }

    fn judge(&self, subject: &str) -> Vec<Judgement> {
        let marks = marks(subject);
        let judge = |vm: &Feed| vm.judge(&self.shared, &marks, Some(1), None, self.wall());
        self.vms.iter().map(judge).collect()
    }

    fn server(&mut self) -> &mut Server {
        self.server.as_mut().unwrap()
    }

    fn asked(&self) -> &[ExchangeRequest] {
        self.server.as_ref().map(|server| server.asked.as_slice()).unwrap_or_default()
    }
}
