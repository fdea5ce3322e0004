//! Workers of one process against a server of a few lines.

use std::collections::BTreeMap;

use super::*;
use crate::entry::ENTRY_BYTES;
use crate::slots::{Entries, SLOTS, WAYS};
use postern_document::{Allowance, Counted, LimitMode, from_json};
use postern_filter_shared_data::Memory;
use postern_filter_shared_data::cells::{Cell as _, key};
use postern_leases::{Ask, LeaseId, Ledger, Start, Terms};
use postern_limits::key::stamp;
use postern_limits::slot::Place;
use postern_limits::{Algorithm, Anchor, Rate, Spec, State};
use postern_proto::feed::v1::{BorrowRequest, LeaseGrant};
use postern_request::{HeaderView, address};
use prost::Message as _;

mod calls;
mod documents;
mod failing;
mod requests;
mod whatever;

/// The beginning of a minute.
const START: u64 = 1_699_999_980_000;
const TICK_MS: u64 = 100;
const CLIENT: &str = "192.0.2.1";
/// Writes that fail in a row, after which nobody tries again.
const TOO_MANY: u32 = 33;

static NO_HEADERS: Vec<(String, Vec<u8>)> = Vec::new();

pub(crate) fn spec() -> Spec {
    let rate = Rate::parse("1000/1m").unwrap();
    Spec::new(Algorithm::SlidingWindow, rate, None, Anchor::Clock).unwrap()
}

pub(crate) fn terms(start: Start) -> Terms {
    Terms::new(1, 10, 5000, start).unwrap()
}

/// One route for everybody, with these limits.
fn gateway(limits: &str, applied: &str) -> Document {
    let text = format!(
        r#"{{"version": 1, "services": {{"s": {{"upstream": "h:1"}}}}, "limits": {{{limits}}},
            "routes": [{{"name": "r", "match": {{"path": "/{{rest=**}}"}}, "service": "s",
                        "auth": "none", "limits": [{applied}]}}]}}"#
    );
    from_json(text.as_bytes()).unwrap()
}

/// A limit by client address, with more of its fields.
fn limit(name: &str, start: &str, more: &str) -> String {
    format!(
        r#""{name}": {{"key": ["ip"], "rate": "1000/1m", "mode": "leased",
                       "lease": {{"sidecars": 1, {start}}}{more}}}"#
    )
}

const STRICT: &str = r#""start": "strict""#;

fn strict() -> Document {
    gateway(&limit("l", STRICT, ""), r#""l""#)
}

/// A request of a client.
fn counted(client: &str) -> Counted<'static> {
    let headers: &dyn HeaderView = &NO_HEADERS;
    Counted {
        address: address::parse(client),
        principal: None,
        headers,
        method: "GET",
        authority: "a.test",
        path: "/",
    }
}

/// What a server lends of a limit, and how.
struct Lends {
    name: String,
    spec: Spec,
    terms: Terms,
}

/// A server whose clock is the true time.
struct Server {
    digest: String,
    /// By stamp.
    limits: BTreeMap<u64, Lends>,
    keys: BTreeMap<(u64, Vec<u8>), (State, Ledger)>,
    /// A limit of which there is nothing.
    nothing_of: Option<&'static str>,
    /// A limit of which as much is out as may be.
    full: Option<&'static str>,
    /// A limit that is not leased here.
    unknown: Option<&'static str>,
    /// A limit whose part of the store does not answer.
    away: Option<&'static str>,
    asked: Vec<BorrowRequest>,
    /// By lease: what was lent, and what was credited of it.
    accounts: BTreeMap<Vec<u8>, (u64, u64)>,
}

impl Server {
    fn new(document: &Document) -> Self {
        let mut server = Self {
            digest: document.digest.clone(),
            limits: BTreeMap::new(),
            keys: BTreeMap::new(),
            nothing_of: None,
            full: None,
            unknown: None,
            away: None,
            asked: Vec::new(),
            accounts: BTreeMap::new(),
        };
        server.lends(document);
        server
    }

    /// Also what this document leases.
    fn lends(&mut self, document: &Document) {
        for limit in &document.limits {
            let LimitMode::Leased { terms, .. } = limit.mode else { continue };
            for allowance in limit.allowances() {
                let Allowance::Rate(spec) = allowance else { continue };
                let lends = Lends { name: limit.name.clone(), spec, terms };
                self.limits.insert(stamp(&limit.name, spec), lends);
            }
        }
    }

    fn answer(&mut self, request: &BorrowRequest, now: UnixMillis) -> BorrowResponse {
        assert!(request.asks.len() <= 256 && request.returns.len() <= 256);
        assert_eq!((request.workload.as_str(), request.envoy_id.as_str()), ("w", "e"));
        let document_digest = self.digest.clone();
        let mut answer =
            BorrowResponse { next_ms: 1000, document_digest, ..BorrowResponse::default() };
        for back in &request.returns {
            if self.away == Some(self.name_of(back.stamp)) {
                continue;
            }
            answer.returned.push(back.id.clone());
            let Some((state, ledger, spec, _)) = self.key(back.stamp, &back.key, now) else {
                continue;
            };
            let id = LeaseId(back.id.as_slice().try_into().unwrap());
            let credited = ledger.give_back(state, spec, id, back.unused, now);
            let (lent, sum) = self.accounts.entry(back.id.clone()).or_default();
            *sum += credited;
            assert!(*sum <= *lent, "credited beyond what was lent");
        }
        for ask in &request.asks {
            assert!(ask.asked > 0 && ask.key.len() == 16 && ask.id.len() == 16);
            let name = self.name_of(ask.stamp);
            if self.away == Some(name) {
                continue;
            }
            let mut grant = LeaseGrant { id: ask.id.clone(), ..LeaseGrant::default() };
            if name.is_empty() || self.unknown == Some(name) {
                grant.unknown = true;
            } else if self.nothing_of == Some(name) {
                grant.reset_ms = 30_000;
            } else if self.full == Some(name) {
                (grant.remaining, grant.reset_ms) = (500, 30_000);
            } else if let Some((state, ledger, spec, terms)) = self.key(ask.stamp, &ask.key, now) {
                let id = LeaseId(ask.id.as_slice().try_into().unwrap());
                let live = ledger.live(now);
                let lent = ledger.lend(state, spec, &terms, Ask { id, asked: ask.asked }, now);
                let is_new = ledger.live(now) > live;
                if is_new {
                    self.accounts.entry(ask.id.clone()).or_default().0 += lent.granted;
                }
                grant.granted = lent.granted;
                grant.life_ms = u32::try_from(lent.life_ms).unwrap();
                grant.remaining = lent.remaining;
                grant.reset_ms = lent.reset_ms;
            }
            answer.grants.push(grant);
        }
        self.asked.push(request.clone());
        answer
    }

    /// Nothing where it is not leased here.
    fn name_of(&self, stamp: u64) -> &str {
        self.limits.get(&stamp).map_or("", |lends| lends.name.as_str())
    }

    fn key(
        &mut self,
        stamp: u64,
        key: &[u8],
        now: UnixMillis,
    ) -> Option<(&mut State, &mut Ledger, Spec, Terms)> {
        let Lends { spec, terms, .. } = *self.limits.get(&stamp)?;
        let fresh = || (spec.fresh(now), Ledger::default());
        let (state, ledger) = self.keys.entry((stamp, key.to_vec())).or_insert_with(fresh);
        Some((state, ledger, spec, terms))
    }

    /// What all leases have taken and not given back.
    fn taken(&self) -> u64 {
        self.accounts.values().map(|(lent, credited)| lent - credited).sum()
    }
}

/// How a call ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    Answered,
    /// The server never hears of it.
    Lost,
    /// Its answer never comes.
    AnswerLost,
    Refused(Option<u64>),
}

struct Process {
    shared: Memory,
    /// Of the workers that start from now on.
    document: Document,
    vms: Vec<Leases>,
    /// What each of them runs.
    documents: Vec<Document>,
    /// Who thinks that it is elected.
    elected: Vec<bool>,
    server: Server,
    ends: Ends,
    now: u64,
    /// How far this machine's clock is behind.
    behind_ms: u64,
}

impl Process {
    fn new(document: Document, vms: usize) -> Self {
        let mut process = Self {
            shared: Memory::default(),
            server: Server::new(&document),
            document,
            vms: Vec::new(),
            documents: Vec::new(),
            elected: Vec::new(),
            ends: Ends::Answered,
            now: START,
            behind_ms: 0,
        };
        (0..vms).for_each(|_| process.start_vm());
        process.elect(0);
        process
    }

    fn start_vm(&mut self) {
        let vm = u32::try_from(self.vms.len()).unwrap() + 1;
        let (workload, envoy_id) = ("w".to_owned(), "e".to_owned());
        let settings = Settings { workload, envoy_id, vm, tick_ms: TICK_MS };
        self.vms.push(Leases::new(settings, &self.document, &self.shared, 7));
        self.documents.push(self.document.clone());
        self.elected.push(false);
    }

    fn elect(&mut self, vm: usize) {
        self.elected.fill(false);
        self.elected[vm] = true;
    }

    fn wall(&self) -> UnixMillis {
        UnixMillis(self.now - self.behind_ms)
    }

    fn ask(&mut self, vm: usize, client: &str) -> Verdict {
        let now = self.wall();
        let route = &self.documents[vm].routes[0];
        self.vms[vm].spend(&self.shared, route, &counted(client), false, now)
    }

    /// Where a client's key is.
    fn place(&self, client: &str) -> Place {
        let route = &self.documents[0].routes[0];
        let limit = &route.leased_limits[0].limit;
        let key = limit.key_of(route, &counted(client), limit.allowance);
        self.vms[0].stage.place(&key)
    }

    /// Asks so many times and says how many passed.
    fn passed(&mut self, vm: usize, times: usize) -> usize {
        (0..times).filter(|_| self.ask(vm, CLIENT).denial.is_none()).count()
    }

    /// Every worker ticks once, and calls end at once.
    fn tick(&mut self) {
        self.now += TICK_MS;
        self.tick_now();
    }

    fn tick_now(&mut self) {
        for vm in 0..self.vms.len() {
            if let Some(request) = self.tick_vm(vm) {
                self.end(vm, &request);
            }
        }
    }

    fn ticks(&mut self, count: u32) {
        (0..count).for_each(|_| self.tick());
    }

    /// One worker ticks: what it calls the server with.
    fn tick_vm(&mut self, vm: usize) -> Option<BorrowRequest> {
        let (is_elected, now) = (self.elected[vm], self.wall());
        let body = self.vms[vm].tick(&self.shared, is_elected, now)?;
        Some(BorrowRequest::decode(framing::unframe(&body).unwrap()).unwrap())
    }

    fn end(&mut self, vm: usize, request: &BorrowRequest) {
        let (now, wall) = (UnixMillis(self.now), self.wall());
        let answered = match self.ends {
            Ends::Answered => {
                let answer = self.server.answer(request, now);
                assert_eq!(self.hand_in(vm, &answer), Ok(()));
                return;
            }
            Ends::AnswerLost => {
                self.server.answer(request, now);
                Answered::Nothing
            }
            Ends::Lost => Answered::Nothing,
            Ends::Refused(next_poll_ms) => Answered::Refused { next_poll_ms },
        };
        let taken = self.vms[vm].answered(&self.shared, answered, wall);
        assert!(matches!(taken, Err(CallError::Unanswered | CallError::Refused)), "{taken:?}");
    }

    fn hand_in(&mut self, vm: usize, answer: &BorrowResponse) -> Result<(), CallError> {
        let body = framing::frame(answer).unwrap();
        let now = self.wall();
        self.vms[vm].answered(&self.shared, Answered::Body(&body), now)
    }

    /// A slice for the client, by a request that was refused.
    fn lend(&mut self) -> u64 {
        assert!(self.ask(0, CLIENT).denial.is_some());
        self.tick();
        let left = self.left();
        assert!(left > 0, "{:?}", self.server.asked);
        left
    }

    fn entries(&self) -> Vec<crate::entry::Entry> {
        let read = |slot| self.shared.get(&key::<Entries>(slot));
        let cells = (0..SLOTS).filter_map(read);
        cells.flat_map(|(bytes, _)| Entries::read(&bytes).0).collect()
    }

    /// What can be spent without asking.
    fn left(&self) -> u64 {
        self.entries().iter().map(|entry| entry.borrower.left(self.wall())).sum()
    }

    fn asked(&self) -> usize {
        self.server.asked.len()
    }
}
