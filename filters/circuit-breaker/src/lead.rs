//! What the elected worker does: when it reports, what it says, and what it makes of the answer.
//!
//! What the server has not heard of stands in shared data, so whoever is elected next goes on
//! with it. Only a report that is on its way is lost with its worker.

use postern_filter_shared_data::SharedData;
use postern_filter_shared_data::cells::{Cell, Cells};
use postern_proto::feed::v1::{ReportRequest, ReportResponse, ServiceReport};
use postern_request::UnixMillis;

use crate::entry::{Entry, is_within};
use crate::{Asker, Guarded};

/// How often there is a report, where nothing is urgent and the server does not say.
const PERIOD_MS: u64 = 1_000;
/// No server is believed that it wants more of them, nor so few that its word would not hold until
/// the next.
const LEAST_PERIOD_MS: u64 = 500;
const MOST_PERIOD_MS: u64 = 2_000;
/// However urgent it is, reports follow each other no faster: what flaps would else report with
/// every tick.
const LEAST_GAP_MS: u64 = 300;
/// A call that has not ended by then never will: Envoy ends it after [`crate::CALL_MS`].
const LOST_MS: u64 = crate::CALL_MS + 500;
/// A report that has waited for as long is dropped: the server would take what it says for what
/// happens now.
const OLD_MS: u64 = 5_000;
/// The most services of one report.
const MOST: usize = 1_000;
/// The pause after a first failure, which doubles with each that follows, and how often it may.
const FIRST_RETRY_MS: u64 = 250;
const RETRY_DOUBLINGS: u32 = 3;
/// No server is believed that it wants to be asked at once by those whom it turns away, nor that
/// it wants to be left alone for longer than this.
const SHORTEST_PAUSE_MS: u64 = 100;
const LONGEST_PAUSE_MS: u64 = 60_000;

/// Says that there is news. That it is written is all that it says: every write has a version of
/// its own.
const HURRIED: &str = "postern.circuit.hurried";

/// The number of the last report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Number(u64);

/// The elected worker's state; gone when another takes over.
#[derive(Debug, Default)]
pub(crate) struct Lead {
    /// The version of [`HURRIED`] that was seen last.
    heard: Option<u32>,
    is_urgent: bool,
    /// Ticks that a call has been on its way.
    call: Option<u64>,
    /// The report that the server has not answered yet: it is repeated as it is.
    unanswered: Option<Unanswered>,
    /// Ticks until the next report, and until one that is urgent.
    pause: u64,
    gap: u64,
    /// Calls that failed, one after the other.
    failures: u32,
    /// Where to go on: there may be more services than fit into a report.
    first: usize,
}

#[derive(Debug)]
struct Unanswered {
    request: ReportRequest,
    /// When it was sent for the first time.
    sent: UnixMillis,
}

/// The elected worker is not to wait.
pub(crate) fn hurry(shared: &dyn SharedData) {
    shared.put(HURRIED, &[1]);
}

impl Lead {
    pub(crate) const fn is_asking(&self) -> bool {
        self.call.is_some()
    }

    /// Once a tick: the report to send now. There is one at a time.
    pub(crate) fn tick(
        &mut self,
        asker: &Asker,
        guarded: &[Guarded],
        shared: &dyn SharedData,
        now: UnixMillis,
        random: u32,
    ) -> Option<&ReportRequest> {
        let heard = shared.get(HURRIED).map(|(_, version)| version);
        self.is_urgent |= heard != self.heard;
        self.heard = heard;
        self.pause = self.pause.saturating_sub(1);
        self.gap = self.gap.saturating_sub(1);
        if let Some(ticks) = &mut self.call {
            *ticks = ticks.saturating_add(1);
            if *ticks < asker.ticks(LOST_MS) {
                return None;
            }
            self.failed(asker, None, random);
        }
        // Whoever was turned away comes back when it was told to, whatever happens.
        let may_hurry = self.is_urgent && self.gap == 0 && self.failures == 0;
        if self.pause > 0 && !may_hurry {
            return None;
        }
        let is_old = |one: &Unanswered| !is_within(one.sent, OLD_MS, now);
        if self.unanswered.as_ref().is_none_or(is_old) {
            (self.pause, self.is_urgent) = (asker.ticks(PERIOD_MS), false);
            self.unanswered = self.gather(asker, guarded, shared, now);
        }
        let request = self.unanswered.as_ref().map(|one| &one.request);
        if request.is_some() {
            (self.call, self.gap) = (Some(0), asker.ticks(LEAST_GAP_MS));
        }
        request
    }

    /// What there is to say of all services.
    fn gather(
        &mut self,
        asker: &Asker,
        guarded: &[Guarded],
        shared: &dyn SharedData,
        now: UnixMillis,
    ) -> Option<Unanswered> {
        let has_news = |one: &Guarded| {
            let found = shared.get(&one.key).map(|(bytes, _)| bytes).unwrap_or_default();
            Entry::read(&found).report(&one.settings, now).is_some()
        };
        if !guarded.iter().any(has_news) {
            return None;
        }
        let mut cells = Cells::new(shared);
        // First of all: what is taken out without one is lost. Nobody but elected workers writes
        // there; one that cannot is none any more.
        let number = cells.try_change_at(Number::PREFIX, |number: &mut Number| {
            number.0 = number.0.wrapping_add(1);
            number.0
        })?;
        let mut services: Vec<ServiceReport> = Vec::new();
        for _ in guarded {
            if services.len() == MOST {
                break;
            }
            let Some(one) = guarded.get(self.first) else { break };
            self.first = (self.first + 1) % guarded.len();
            // What could not be written is not said, and is there the next time.
            let told = cells
                .try_change_at(&one.key, |entry: &mut Entry| entry.report(&one.settings, now))
                .flatten();
            if let Some(report) = told {
                services.push(ServiceReport { service: one.service.name.clone(), ..report });
            }
        }
        if services.is_empty() {
            return None;
        }
        let request = ReportRequest {
            workload: asker.workload.clone(),
            envoy_id: asker.envoy_id.clone(),
            document_digest: asker.document_digest.clone(),
            number,
            services,
        };
        Some(Unanswered { request, sent: now })
    }

    /// Takes an answer.
    pub(crate) fn answered(
        &mut self,
        asker: &Asker,
        guarded: &[Guarded],
        shared: &dyn SharedData,
        answer: &ReportResponse,
        now: UnixMillis,
    ) {
        (self.call, self.failures) = (None, 0);
        let Some(unanswered) = self.unanswered.take() else { return };
        let next_ms = u64::from(answer.next_ms).clamp(LEAST_PERIOD_MS, MOST_PERIOD_MS);
        self.pause = asker.ticks(next_ms);
        let mut cells = Cells::new(shared);
        for word in &answer.services {
            let named = guarded.iter().find(|one| one.service.name == word.service);
            let Some(one) = named else { continue };
            // Where it cannot be written, the next answer says it again.
            let _ = cells.try_change_at(&one.key, |entry: &mut Entry| {
                entry.hear(word, unanswered.sent, now);
            });
        }
    }

    /// The call could not be made, or was not answered well.
    pub(crate) fn failed(&mut self, asker: &Asker, next_poll_ms: Option<u64>, random: u32) {
        self.call = None;
        let pause = match next_poll_ms {
            Some(millis) => millis.clamp(SHORTEST_PAUSE_MS, LONGEST_PAUSE_MS),
            None => {
                // Envoys that lost a server together must not come back together.
                let most = FIRST_RETRY_MS << self.failures.min(RETRY_DOUBLINGS);
                most.saturating_add(most.saturating_mul(u64::from(random >> 24)) / 256)
            }
        };
        self.failures = self.failures.saturating_add(1);
        self.pause = asker.ticks(pause);
    }
}

impl Cell for Number {
    const PREFIX: &'static str = "postern.circuit.number";

    fn read(bytes: &[u8]) -> Self {
        Self(bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes)))
    }

    fn write(&self) -> Vec<u8> {
        self.0.to_le_bytes().to_vec()
    }
}
