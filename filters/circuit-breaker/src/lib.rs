//! The circuit stage: cuts a service off that fails, and lets few try it again.
//!
//! All workers of an Envoy share one value for each service with a circuit: their own breaker,
//! what the server has said of the fleet's, and what the server has not heard of yet. While all is
//! well, a request costs one read on its way in and nothing on its way back: what came through is
//! noted down by each worker, and handed over with its next tick. A failure is written at once,
//! and so is a success while there is a run of failures to end. The rules are
//! [`postern_circuit`]'s.
//!
//! The worker that speaks to the server reports once a second while there is something to say,
//! and as soon as a breaker has moved, with a little distance. Without the server, or while it is
//! not heard, breakers act alone.
//!
//! What is kept is bounded: a value of less than 200 bytes for each service of a document, and two
//! more; of routes that keep answers as many as the document says ([`Shelves`]). Shared data
//! outlives documents: for each place that a service of one name has had, and each of its circuits,
//! there is another value, and 256 of one name at most.
//!
//! Deliberately absent: the host, who is elected, and what becomes of a request that is refused.
//! Shared data is a port, calls are handed out to be sent.

mod entry;
mod lead;
mod stale;

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use postern_circuit::{Admission, Ended, Settings, State, Transition, Verdict};
use postern_document::{Document, Service};
use postern_filter_shared_data::SharedData;
use postern_filter_shared_data::cells::{Cell as _, Cells, named};
use postern_proto::feed::v1::{self as wire, ReportResponse};
use postern_proto::framing;
use postern_request::UnixMillis;

use entry::{Entry, Seen};
use lead::Lead;

pub use postern_proto::{Answered, CallError};
pub use stale::{Shelf, Shelves};

/// How long a report may take, in milliseconds. The server waits for nothing but its store.
pub const CALL_MS: u64 = 1_000;

/// How often a worker has the server asked for a probe at once.
const WISH_MS: u64 = 1_000;

/// Who reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asker {
    /// The workload of the document that this Envoy guards.
    pub workload: String,
    /// Its own name, another one after a restart.
    pub envoy_id: String,
    /// Digest of the document.
    pub document_digest: String,
    /// Milliseconds between ticks.
    pub tick_ms: u64,
}

impl Asker {
    /// Whole ticks that cover so many milliseconds.
    fn ticks(&self, millis: u64) -> u64 {
        millis.div_ceil(self.tick_ms.max(1))
    }
}

/// A worker's part in the circuits of its Envoy.
#[derive(Debug)]
pub struct Circuits {
    /// Services with a circuit, by where they lie in memory: routes lead there.
    guarded: Vec<Guarded>,
    /// None where nobody hears of anything.
    asker: Option<Asker>,
    seed: u64,
    /// Ticks until this worker may have a probe asked for at once again.
    rest: u64,
    happened: Happened,
    /// In the elected worker alone.
    lead: Option<Lead>,
}

/// A service with a circuit.
#[derive(Debug)]
struct Guarded {
    service: Arc<Service>,
    settings: Settings,
    /// In shared data.
    key: String,
    seen: Seen,
    /// Failures in a row, when this worker last looked.
    run: u32,
}

/// A call of a service with a circuit, whose outcome is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Ticket {
    place: usize,
    is_probe: bool,
}

/// What a look has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Looked {
    /// Of the call.
    pub ticket: Ticket,
    /// Nobody refuses it; else it is to ask for admission.
    pub is_closed: bool,
}

/// For metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Happened {
    /// Breakers that this worker's calls have opened.
    pub opened: u32,
    /// Writes that were repeated because another worker was faster.
    pub conflicts: u32,
}

impl Circuits {
    /// A worker that has seen nothing yet. `seed` is the process's.
    #[must_use]
    pub fn new(document: &Document, asker: Option<Asker>, seed: u128) -> Self {
        let mut guarded: Vec<Guarded> = Vec::new();
        for service in &document.services {
            let Some(settings) = service.circuit else { continue };
            let place = place_of(&guarded, service);
            let (key, service) = (key_of(service), Arc::clone(service));
            let one = Guarded { service, settings, key, seen: Seen::default(), run: 0 };
            guarded.insert(place, one);
        }
        let seed = u64::try_from(seed >> 64).unwrap_or_default();
        Self { guarded, asker, seed, rest: 0, happened: Happened::default(), lead: None }
    }

    /// Whether no service has a circuit.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.guarded.is_empty()
    }

    /// A request to a service is on its way in; none where that has no circuit.
    pub fn look(&mut self, shared: &dyn SharedData, service: &Arc<Service>) -> Option<Looked> {
        let place = place_of(&self.guarded, service);
        let guarded = self.guarded.get_mut(place)?;
        if !Arc::ptr_eq(&guarded.service, service) {
            return None;
        }
        let found = shared.get(&guarded.key).map(|(bytes, _)| bytes).unwrap_or_default();
        let mut is_closed = true;
        guarded.run = 0;
        if !entry::is_well(&found) {
            let entry = Entry::read(&found);
            (is_closed, guarded.run) = (entry.is_closed(), entry.run());
        }
        Some(Looked { ticket: Ticket { place, is_probe: false }, is_closed })
    }

    /// Asks for admission, where the circuit is not closed.
    pub fn admit(
        &mut self,
        shared: &dyn SharedData,
        ticket: &mut Ticket,
        now: UnixMillis,
    ) -> Admission {
        let random = self.random(now);
        let Some(guarded) = self.guarded.get_mut(ticket.place) else { return Admission::Pass };
        let settings = guarded.settings;
        let may_wish = self.rest == 0 && self.asker.is_some();
        let mut cells = Cells::new(shared);
        let admitted = cells.try_change_at(&guarded.key, |entry: &mut Entry| {
            let (admission, wants_probe) = entry.admit(&settings, now, random);
            let wishes = wants_probe && may_wish;
            if wishes {
                // Where the elected worker looks next, and not only with this worker's next tick.
                entry.add(&settings, Seen { refused: 1, ..Seen::default() }, now, random);
            }
            (admission, wishes)
        });
        self.happened.conflicts += cells.conflicts;
        // Who could not write it down has taken no probe.
        let refused = Admission::Refused { retry_after_ms: settings.probes.interval_ms.max(1) };
        let (admission, wishes) = admitted.unwrap_or((refused, false));
        match admission {
            Admission::Pass => {}
            Admission::Probe => ticket.is_probe = true,
            Admission::Refused { .. } if wishes => {
                self.rest = self.asker.as_ref().map_or(0, |asker| asker.ticks(WISH_MS));
                self.hurry(shared);
            }
            Admission::Refused { .. } => {
                guarded.seen.refused = guarded.seen.refused.saturating_add(1);
            }
        }
        admission
    }

    /// The settings of a call's circuit.
    #[must_use]
    pub fn settings(&self, ticket: &Ticket) -> Option<&Settings> {
        self.guarded.get(ticket.place).map(|guarded| &guarded.settings)
    }

    /// Whether much hangs on the outcome of a call: it is a probe, or would end a run of failures.
    #[must_use]
    pub fn is_critical(&self, ticket: &Ticket) -> bool {
        ticket.is_probe || self.guarded.get(ticket.place).is_some_and(|guarded| guarded.run > 0)
    }

    /// A call has ended.
    pub fn settle(
        &mut self,
        shared: &dyn SharedData,
        ticket: Ticket,
        ended: &Ended<'_>,
        now: UnixMillis,
    ) {
        let random = self.random(now);
        let Some(guarded) = self.guarded.get_mut(ticket.place) else { return };
        let settings = guarded.settings;
        let verdict = settings.counts.judge(ended, settings.slow);
        match verdict {
            Verdict::Ignored => return,
            Verdict::Success { slow } if guarded.run == 0 && !ticket.is_probe => {
                guarded.seen.calls = guarded.seen.calls.saturating_add(1);
                guarded.seen.slow = guarded.seen.slow.saturating_add(slow.into());
                return;
            }
            Verdict::Success { .. } | Verdict::Failure { .. } => {}
        }
        let seen = guarded.seen;
        let mut cells = Cells::new(shared);
        let counted = cells.try_change_at(&guarded.key, |entry: &mut Entry| {
            let before = entry.add(&settings, seen, now, random);
            let moved = entry.record(&settings, verdict, ticket.is_probe, now, random);
            (before.or(moved), entry.run())
        });
        self.happened.conflicts += cells.conflicts;
        // What could not be written is lost; what was seen before is not.
        let Some((moved, run)) = counted else { return };
        (guarded.seen, guarded.run) = (Seen::default(), run);
        self.note(shared, moved, ticket.is_probe);
    }

    /// Once a tick: hands over what this worker has seen. The body of the gRPC call to make, if
    /// this worker is elected and one is due; what came of it goes to [`Circuits::answered`]. One
    /// that is still on its way is given up by the next.
    pub fn tick(
        &mut self,
        shared: &dyn SharedData,
        is_elected: bool,
        now: UnixMillis,
    ) -> Option<Vec<u8>> {
        self.flush(shared, now);
        self.rest = self.rest.saturating_sub(1);
        let random = self.random(now);
        let asker = self.asker.as_ref()?;
        if !is_elected {
            self.lead = None;
            return None;
        }
        let lead = self.lead.get_or_insert_with(Lead::default);
        framing::frame(lead.tick(asker, &self.guarded, shared, now, random)?)
    }

    /// What came of the last call.
    ///
    /// # Errors
    /// What to log; the next ticks go on.
    pub fn answered(
        &mut self,
        shared: &dyn SharedData,
        answered: Answered<'_>,
        now: UnixMillis,
    ) -> Result<(), CallError> {
        let random = self.random(now);
        let (Some(lead), Some(asker)) = (&mut self.lead, &self.asker) else {
            return Err(CallError::TakenOver);
        };
        if !lead.is_asking() {
            return Err(CallError::NotAsked);
        }
        match answered.message::<ReportResponse>() {
            Ok(answer) => {
                lead.answered(asker, &self.guarded, shared, &answer, now);
                Ok(())
            }
            Err(error) => {
                lead.failed(asker, answered.next_poll_ms(), random);
                Err(error)
            }
        }
    }

    /// What the server says of all circuits that are not closed. False where it could not be
    /// written down, and has to be said once more.
    #[must_use]
    pub fn hear(
        &self,
        shared: &dyn SharedData,
        circuits: &wire::Circuits,
        now: UnixMillis,
    ) -> bool {
        let mut cells = Cells::new(shared);
        let mut is_kept = true;
        for guarded in &self.guarded {
            let mut words = circuits.services.iter();
            let word = words.find(|word| word.service == guarded.service.name);
            let heard = cells.try_change_at(&guarded.key, |entry: &mut Entry| match word {
                Some(word) => entry.hear(word, now, now),
                None => entry.hear_nothing(),
            });
            is_kept &= heard.is_some();
        }
        is_kept
    }

    /// What has happened since this was last asked.
    pub fn take_happened(&mut self) -> Happened {
        core::mem::take(&mut self.happened)
    }

    fn flush(&mut self, shared: &dyn SharedData, now: UnixMillis) {
        let random = self.random(now);
        let mut cells = Cells::new(shared);
        let mut has_opened = false;
        for guarded in &mut self.guarded {
            let (settings, seen) = (guarded.settings, guarded.seen);
            if seen == Seen::default() {
                continue;
            }
            let added = cells.try_change_at(&guarded.key, |entry: &mut Entry| {
                entry.add(&settings, seen, now, random)
            });
            // What could not be handed over is kept for the next tick.
            if let Some(moved) = added {
                guarded.seen = Seen::default();
                self.happened.opened += u32::from(moved.is_some());
                has_opened |= moved.is_some();
            }
        }
        self.happened.conflicts += cells.conflicts;
        if has_opened {
            self.hurry(shared);
        }
    }

    /// A breaker has moved, or a probe has told something.
    fn note(&mut self, shared: &dyn SharedData, moved: Option<Transition>, is_probe: bool) {
        let has_opened = moved.is_some_and(|moved| moved.to == State::Open);
        self.happened.opened += u32::from(has_opened);
        if moved.is_some() || is_probe {
            self.hurry(shared);
        }
    }

    /// The elected worker is not to wait.
    fn hurry(&self, shared: &dyn SharedData) {
        if self.asker.is_some() {
            lead::hurry(shared);
        }
    }

    /// By how much recoveries differ: nothing secret hangs on it.
    fn random(&self, now: UnixMillis) -> u32 {
        let mixed = (self.seed ^ now.0).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        u32::try_from(mixed >> 32).unwrap_or_default()
    }
}

/// Where a service is among those with a circuit, or would be.
fn place_of(guarded: &[Guarded], service: &Arc<Service>) -> usize {
    let wanted = Arc::as_ptr(service);
    guarded.partition_point(|one| Arc::as_ptr(&one.service) < wanted)
}

/// Where a service's value lies. What was seen of it says nothing of one of the same name that is
/// somewhere else, or is judged otherwise.
fn key_of(service: &Service) -> String {
    let mut hasher = DefaultHasher::new();
    (&service.host, service.port, service.tls, service.circuit).hash(&mut hasher);
    let [part, ..] = hasher.finish().to_le_bytes();
    named::<Entry>(&[service.name.as_str(), "#", &part.to_string()].concat())
}

#[cfg(test)]
mod tests;
