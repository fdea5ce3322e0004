//! What the elected worker does: when it calls the server, what it says, and what it makes of the
//! answer.
//!
//! All that matters stands in shared data, so whoever is elected next goes on with it: the first
//! thing it does is to look into every slot.

use postern_filter_shared_data::SharedData;
use postern_filter_shared_data::cells::Cells;
use postern_leases::{Ask, Grant, LeaseId, Watch};
use postern_proto::feed::v1::{BorrowRequest, BorrowResponse, LeaseAsk, LeaseReturn};
use postern_request::UnixMillis;

use crate::entry::{Entry, POLL_MS};
use crate::head::Head;
use crate::slots::{Entries, SlotSet, WAYS};
use crate::stage::Stage;
use crate::wanted::Wanted;

/// The most questions of one call, and the most returns.
const MOST: usize = 256;
/// The longest pause between polls, where no request wants anything.
const IDLE_MS: u64 = 10_000;
/// The server spreads polls by as much.
const LEAST_POLL_MS: u64 = POLL_MS * 9 / 10;
/// A call that has not ended by then never will: Envoy ends it after [`crate::CALL_MS`].
const LOST_MS: u64 = crate::CALL_MS + 500;
/// How often the pause between polls may double.
const IDLE_DOUBLINGS: u32 = 4;
/// The pause after a first failure, which doubles with each that follows, and how often it may.
const FIRST_RETRY_MS: u64 = 250;
const RETRY_DOUBLINGS: u32 = 3;
/// No server is believed that it wants to be asked at once by those whom it turns away, nor that
/// it wants to be left alone for longer than this.
const SHORTEST_PAUSE_MS: u64 = 100;
const LONGEST_PAUSE_MS: u64 = 60_000;

/// The elected worker's state; gone when another takes over.
#[derive(Debug)]
pub(crate) struct Lead {
    watch: Watch,
    /// See [`Head::latest`]. While some slots have not heard that the clock went back, it stays.
    latest: UnixMillis,
    /// Slots that have not heard yet that the clock went back.
    to_end: SlotSet,
    /// See [`Head::failing_ms`].
    failing_ms: u64,
    /// A call was made, and none was answered since.
    waits: bool,
    /// By the last answer: see [`crate::Leases::document_differs`].
    document_differs: Option<bool>,
    call: Option<Call>,
    /// Ticks until the next poll.
    pause: u64,
    /// Calls that failed, one after the other.
    failures: u32,
    /// Polls without a question that requests stand behind, one after the other.
    idle: u32,
    /// How often the server wants to be asked.
    poll_ms: u64,
    wanted: Wanted,
    /// Slots that hold something.
    known: SlotSet,
    /// Where to go on: in one call there is room for some slots only.
    first: u32,
}

/// A call that is on its way.
#[derive(Debug, Default)]
struct Call {
    ticks: u64,
    /// All slots were looked into.
    is_poll: bool,
    /// Requests stand behind a question, not only what is to be paid for.
    is_busy: bool,
    asked: Vec<Lease>,
    returned: Vec<Lease>,
}

/// A lease, and where its key is found.
#[derive(Debug, Clone, Copy)]
struct Lease {
    slot: u32,
    fingerprint: u64,
    id: LeaseId,
}

/// What is found in a slot.
struct Found {
    is_in_use: bool,
    /// Keys of which the server is to hear.
    to_tell: Vec<Entry>,
}

impl Lead {
    /// Goes on where another was. What it knew of the clock counts: a step back between the two
    /// must not stay unseen.
    pub(crate) fn new(head: Head) -> Self {
        let mut watch = Watch::default();
        let _ = watch.went_back(head.latest);
        Self {
            watch,
            latest: head.latest,
            to_end: SlotSet::default(),
            failing_ms: head.failing_ms,
            waits: head.failing_ms > 0,
            document_differs: None,
            call: None,
            pause: 0,
            failures: 0,
            idle: 0,
            poll_ms: POLL_MS,
            wanted: Wanted::default(),
            known: SlotSet::ALL,
            first: 0,
        }
    }

    pub(crate) const fn is_asking(&self) -> bool {
        self.call.is_some()
    }

    /// What all are told.
    pub(crate) const fn head(&self) -> Head {
        Head { latest: self.latest, failing_ms: self.failing_ms }
    }

    pub(crate) const fn document_differs(&self) -> Option<bool> {
        self.document_differs
    }

    /// Once a tick: the call to make now. There is one at a time.
    pub(crate) fn tick(
        &mut self,
        stage: &Stage,
        shared: &dyn SharedData,
        now: UnixMillis,
    ) -> Option<BorrowRequest> {
        self.look_at_clock(shared, now);
        self.wanted.add(&Wanted::collect(shared));
        if self.waits {
            self.failing_ms = self.failing_ms.saturating_add(stage.settings.tick_ms);
        }
        self.head().write(shared);
        self.pause = self.pause.saturating_sub(1);
        if let Some(call) = &mut self.call {
            call.ticks = call.ticks.saturating_add(1);
            if call.ticks < stage.ticks(LOST_MS) {
                return None;
            }
            self.failed(stage, None, now);
        }
        if self.failures == 0 && !self.wanted.slots.is_empty() {
            self.pause = self.pause.min(stage.ticks(self.poll_ms));
        }
        let is_poll = self.pause == 0;
        if !is_poll && (self.failures > 0 || !self.wanted.is_urgent) {
            return None;
        }
        let (request, call) = self.gather(stage, shared, is_poll, now);
        // A server that did not answer is asked again even if there is nothing to say, so that
        // all hear when it is back.
        if !self.waits && request.asks.is_empty() && request.returns.is_empty() {
            return None;
        }
        self.waits = true;
        self.call = Some(call);
        Some(request)
    }

    /// Ends everything when the clock went back.
    fn look_at_clock(&mut self, shared: &dyn SharedData, now: UnixMillis) {
        if self.watch.went_back(now) {
            self.to_end = SlotSet::ALL;
            self.known = SlotSet::ALL;
        }
        let mut cells = Cells::new(shared);
        for slot in self.to_end.walk(0) {
            let end = |entries: &mut Entries| entries.0.iter_mut().for_each(|one| one.end(now));
            if cells.try_change(slot, end).is_some() {
                self.to_end.remove(slot);
            }
        }
        if self.to_end.is_empty() {
            self.latest = now;
        }
    }

    /// Looks into the slots that want something, and for a poll into all that hold something.
    fn gather(
        &mut self,
        stage: &Stage,
        shared: &dyn SharedData,
        is_poll: bool,
        now: UnixMillis,
    ) -> (BorrowRequest, Call) {
        let mut request = BorrowRequest {
            workload: stage.settings.workload.clone(),
            envoy_id: stage.settings.envoy_id.clone(),
            document_digest: stage.digest.clone(),
            ..BorrowRequest::default()
        };
        let mut call = Call { is_poll, ..Call::default() };
        if is_poll {
            self.wanted.slots.add(&self.known);
            if !self.wanted.slots.is_empty() {
                self.pause = stage.ticks(self.poll_ms);
            }
        }
        self.wanted.is_urgent = false;
        let mut cells = Cells::new(shared);
        for slot in self.wanted.slots.walk(self.first) {
            if call.asked.len() + WAYS > MOST || call.returned.len() + WAYS > MOST {
                // The others with the next call, at the next tick.
                self.first = slot;
                self.wanted.is_urgent = true;
                break;
            }
            let look = |entries: &mut Entries| look_after(entries, stage, now);
            // What could not be written is not said; the slot stays wanted.
            let Some(found) = cells.try_change(slot, look) else { continue };
            self.wanted.slots.remove(slot);
            if found.is_in_use {
                self.known.insert(slot);
            } else {
                self.known.remove(slot);
            }
            for entry in &found.to_tell {
                tell(slot, entry, &mut request, &mut call);
            }
        }
        (request, call)
    }

    /// Takes an answer. Of what it says nothing, the server is told again.
    pub(crate) fn answered(
        &mut self,
        stage: &Stage,
        shared: &dyn SharedData,
        answer: &BorrowResponse,
        now: UnixMillis,
    ) {
        let Some(mut call) = self.call.take() else { return };
        self.look_at_clock(shared, now);
        (self.waits, self.failing_ms, self.failures) = (false, 0, 0);
        self.head().write(shared);
        let document = &answer.document_digest;
        self.document_differs = (!document.is_empty()).then(|| *document != stage.digest);
        // What cannot be written down is told once more, and soon: it stands there as it was.
        let mut unheard = Wanted { slots: SlotSet::default(), is_urgent: true };
        let mut cells = Cells::new(shared);
        for id in answer.returned.iter().take(MOST) {
            let Some(lease) = take(&mut call.returned, id) else { continue };
            let written = cells.try_change(lease.slot, |entries: &mut Entries| {
                if let Some(entry) = entries.get(lease.fingerprint) {
                    entry.returned(lease.id);
                }
            });
            if written.is_none() {
                unheard.slots.insert(lease.slot);
            }
        }
        for grant in answer.grants.iter().take(MOST) {
            let Some(lease) = take(&mut call.asked, &grant.id) else { continue };
            let granted = Grant {
                granted: grant.granted,
                life_ms: u64::from(grant.life_ms),
                remaining: grant.remaining,
                reset_ms: grant.reset_ms,
            };
            let granted = (!grant.unknown).then_some(granted);
            let written = cells.try_change(lease.slot, |entries: &mut Entries| {
                if let Some(entry) = entries.get(lease.fingerprint) {
                    entry.answered(lease.id, granted, now);
                }
            });
            if written.is_none() {
                unheard.slots.insert(lease.slot);
            }
        }
        if !unheard.slots.is_empty() {
            self.wanted.add(&unheard);
        }
        self.poll_ms = u64::from(answer.next_ms).clamp(LEAST_POLL_MS, IDLE_MS);
        if call.is_busy {
            self.idle = 0;
        } else if call.is_poll {
            self.idle = self.idle.saturating_add(1).min(IDLE_DOUBLINGS);
        }
        if call.is_poll {
            self.pause = stage.ticks((self.poll_ms << self.idle).min(IDLE_MS));
        }
    }

    /// The call could not be made, or was not answered well. Its questions stand in shared data,
    /// and are repeated as they are.
    pub(crate) fn failed(&mut self, stage: &Stage, next_poll_ms: Option<u64>, now: UnixMillis) {
        self.call = None;
        let pause = match next_poll_ms {
            Some(millis) => millis.clamp(SHORTEST_PAUSE_MS, LONGEST_PAUSE_MS),
            None => {
                // Envoys that lost a server together must not come back together.
                let most = FIRST_RETRY_MS << self.failures.min(RETRY_DOUBLINGS);
                let LeaseId([byte, ..]) = stage.draw(now);
                most.saturating_add(most.saturating_mul(u64::from(byte)) / 256)
            }
        };
        self.failures = self.failures.saturating_add(1);
        self.pause = stage.ticks(pause);
    }
}

/// Takes the lease of this id out of a list.
fn take(leases: &mut Vec<Lease>, id: &[u8]) -> Option<Lease> {
    let at = leases.iter().position(|lease| lease.id.0 == id)?;
    Some(leases.swap_remove(at))
}

/// Sees to the keys of a slot: what has ended is owed, what is wanted becomes a question, and
/// what can be forgotten is. A slot in which nothing is due stays as it is.
fn look_after(entries: &mut Entries, stage: &Stage, now: UnixMillis) -> Found {
    let mut to_tell = Vec::new();
    entries.0.retain_mut(|entry| {
        entry.note_end(now);
        entry.give_up_late(now);
        if let Some(asked) = entry.wants(now) {
            entry.ask(Ask { id: stage.draw(now), asked }, now);
        } else if entry.question.is_none() {
            entry.wants_nothing();
        }
        if entry.question.is_some() || entry.owed.is_some() {
            to_tell.push(*entry);
        }
        !entry.is_forgettable(now)
    });
    Found { is_in_use: !entries.0.is_empty(), to_tell }
}

/// Says what there is to say of a key.
fn tell(slot: u32, entry: &Entry, request: &mut BorrowRequest, call: &mut Call) {
    let lease = |id| Lease { slot, fingerprint: entry.fingerprint, id };
    if let Some(ask) = entry.question {
        call.is_busy |= ask.asked > entry.borrower.debt();
        call.asked.push(lease(ask.id));
        request.asks.push(LeaseAsk {
            id: ask.id.0.to_vec(),
            stamp: entry.stamp,
            owner: entry.owner,
            key: entry.key.to_vec(),
            asked: ask.asked,
        });
    }
    if let Some(owed) = entry.owed {
        call.returned.push(lease(owed.id));
        request.returns.push(LeaseReturn {
            id: owed.id.0.to_vec(),
            stamp: entry.stamp,
            owner: entry.owner,
            key: entry.key.to_vec(),
            unused: owed.unused,
        });
    }
}
