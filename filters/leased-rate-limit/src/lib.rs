//! The leased limit stage: spends slices of limits that all Envoys share, which the server lends.
//!
//! A request spends from its key's slice in shared data, as the local stage counts there: one
//! read and one write, and no call. The worker of the process that speaks to the server asks for
//! slices in time, takes them over and returns what is left of them. The rules of lending are
//! [`postern_leases`]'.
//!
//! What it needs of memory is bounded: 4,096 slots of four keys in shared data, a bitmap of slots
//! that want something, and in the elected worker one call of 256 questions. A request that finds
//! nothing waits for nobody: it is refused, or passes as the document says for when no leases can
//! be had.
//!
//! Workers of two documents may be in one process for a while. A key says by itself what it is
//! asked for with, so the elected worker sees to the keys of all of them, whether its own document
//! leases anything or not.
//!
//! Deliberately absent: the host, and who is elected. Shared data is a port, calls are handed out
//! to be sent.

mod entry;
mod head;
mod lead;
mod slots;
mod spend;
mod stage;
mod ticket;
mod wanted;

use postern_document::Document;
use postern_filter_shared_data::SharedData;
use postern_proto::feed::v1::BorrowResponse;
use postern_proto::framing;
use postern_request::UnixMillis;

use entry::POLL_MS;
use head::Head;
use lead::Lead;
use slots::SlotSet;
use stage::Stage;

pub use postern_proto::{Answered, CallError};
pub use spend::Verdict;
pub use ticket::Ticket;

/// How long a call may take, in milliseconds. The server waits for nothing but its store, and
/// questions are repeated.
pub const CALL_MS: u64 = 1_000;

/// How leases are drawn in this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The workload of the document that this Envoy guards.
    pub workload: String,
    /// Who asks; for quotas and metrics.
    pub envoy_id: String,
    /// This worker's number, which no other of its process has.
    pub vm: u32,
    /// Milliseconds between ticks; no more than [`postern_leases::LOOK_MS`].
    pub tick_ms: u64,
}

/// A worker's part in the leases of its process.
#[derive(Debug)]
pub struct Leases {
    stage: Stage,
    head: Head,
    /// Slots of which this worker has said that they want something: since the last poll's worth
    /// of ticks, and urgently since the last tick.
    said: SlotSet,
    said_urgently: SlotSet,
    /// Ticks until what was said may be said again.
    rest: u64,
    /// In the elected worker alone.
    lead: Option<Lead>,
}

impl Leases {
    /// A worker that knows what the process knows already. `seed` is the process's, and secret:
    /// places of keys and ids of leases are made with it.
    #[must_use]
    pub fn new(
        settings: Settings,
        document: &Document,
        shared: &dyn SharedData,
        seed: u128,
    ) -> Self {
        Self {
            stage: Stage::new(settings, document.digest.clone(), seed),
            head: Head::read(shared),
            said: SlotSet::default(),
            said_urgently: SlotSet::default(),
            rest: 0,
            lead: None,
        }
    }

    /// Once a tick: the body of the gRPC call to make, if this worker is elected and one is due.
    /// What came of it goes to [`Leases::answered`]. One that is still on its way is given up by
    /// the next: its answer, should it come, is not to be handed in.
    pub fn tick(
        &mut self,
        shared: &dyn SharedData,
        is_elected: bool,
        now: UnixMillis,
    ) -> Option<Vec<u8>> {
        let head = Head::read(shared);
        self.head = head;
        self.said_urgently = SlotSet::default();
        if self.rest == 0 {
            self.said = SlotSet::default();
            self.rest = self.stage.ticks(POLL_MS);
        }
        self.rest = self.rest.saturating_sub(1);
        if !is_elected {
            self.lead = None;
            return None;
        }
        let lead = self.lead.get_or_insert_with(|| Lead::new(head));
        let request = lead.tick(&self.stage, shared, now);
        // What the others hear with their next tick.
        self.head = lead.head();
        framing::frame(&request?)
    }

    /// Whether the server that lends runs another document than this worker; none where this
    /// worker has not asked it.
    #[must_use]
    pub fn document_differs(&self) -> Option<bool> {
        self.lead.as_ref().and_then(Lead::document_differs)
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
        let lead = self.lead.as_mut().ok_or(CallError::TakenOver)?;
        if !lead.is_asking() {
            return Err(CallError::NotAsked);
        }
        match answered.message::<BorrowResponse>() {
            Ok(answer) => {
                lead.answered(&self.stage, shared, &answer, now);
                self.head = lead.head();
                Ok(())
            }
            Err(error) => {
                lead.failed(&self.stage, answered.next_poll_ms(), now);
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests;
