//! What the elected VM does: when it asks the server, and for what.

use postern_filter_shared_data::SharedData;
use postern_proto::feed::v1::{ExchangeRequest, ExchangeResponse};
use postern_request::UnixMillis;

use crate::head::Head;
use crate::keys::Published;
use crate::pace::Pace;
use crate::snapshot::THIN_PIECE_BYTES;
use crate::usage::Idle;
use crate::view::View;
use crate::wanted::Wanted;
use crate::writer::Writer;
use crate::{FeedError, Settings};

/// What a call may take beyond the time that the server was asked to wait.
const CALL_SPARE_MS: u64 = 5_000;
/// Calls of one tick that follow upon an answer at once. Enough for a million records in half a
/// second, and a bound for a server that always says "there is more".
const AT_ONCE: u32 = 64;
/// Bytes of a delta: 512 records, each in a bucket of its own, take three milliseconds.
const DELTA_BYTES: u32 = 8 * 1024;
/// The longest digest of a document.
const MOST_DIGEST_BYTES: usize = 128;

/// The elected VM's state; gone when another takes over.
#[derive(Debug)]
pub(crate) struct Lead {
    writer: Writer,
    call: Option<Call>,
    /// Ticks until the next call, or until the one on its way counts as lost.
    pause: u64,
    /// Calls that may still follow upon an answer before the next tick.
    at_once: u32,
    /// The last call went well.
    is_calm: bool,
    /// The server is to be heard at once.
    hurried: bool,
    pace: Pace,
    wanted: Wanted,
    idle: Idle,
    document_digest: Option<String>,
    /// The version of what the server has said of circuits; 0 where it has to say all of it.
    pub(crate) circuits: u64,
}

/// A call that is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Call {
    /// The server was asked to hold it.
    waits: bool,
    ticks: u64,
}

impl Lead {
    pub(crate) fn new(shared: &dyn SharedData, settings: &Settings, me: u32) -> Self {
        Self {
            writer: Writer::new(shared, settings, me),
            call: None,
            pause: 0,
            at_once: 0,
            is_calm: true,
            hurried: false,
            pace: Pace::new(&settings.envoy_id),
            wanted: Wanted::new(),
            idle: Idle::default(),
            document_digest: None,
            circuits: 0,
        }
    }

    /// Nobody knows how old what is known is: the next call is due, and is not to wait.
    pub(crate) const fn hurry(&mut self) {
        self.hurried = true;
    }

    /// Once a tick: whether it is time for a call.
    pub(crate) fn tick(
        &mut self,
        shared: &dyn SharedData,
        view: &mut View,
        settings: &Settings,
    ) -> bool {
        self.at_once = AT_ONCE;
        self.wanted.tick(shared);
        self.idle.tick(shared);
        if let Some(call) = &mut self.call {
            call.ticks = call.ticks.saturating_add(1);
        }
        self.writer.tick(shared, view, settings);
        // Keys that are missing do not wait for the next poll, nor behind a call that the server
        // holds: that one is given up, and whatever it would have brought comes with the next.
        let may_break_in = self.is_calm && self.call.is_none_or(|call| call.waits);
        if may_break_in && (self.hurried || self.wanted.is_due(settings)) {
            return true;
        }
        if self.pause > 0 {
            self.pause -= 1;
            return false;
        }
        true
    }

    /// The call to make now. One that was never answered is made up for by it.
    pub(crate) fn ask(
        &mut self,
        shared: &dyn SharedData,
        head: &Head,
        settings: &Settings,
        digest: &str,
    ) -> ExchangeRequest {
        // Another VM, held up for long, may have written an older set of keys down since.
        self.writer.keys = Published::read(shared, &settings.issuers);
        let hurried = core::mem::take(&mut self.hurried);
        let snapshot = self.writer.snapshot.as_ref();
        // Whoever has nothing yet, or half of it, does not wait.
        let waits = settings.waits() && head.synced && snapshot.is_none() && !hurried;
        let wait_ms = if waits { settings.wait_ms } else { 0 };
        let max_bytes = match snapshot {
            Some(progress) => progress.piece_bytes(),
            None if head.synced => DELTA_BYTES,
            None => THIN_PIECE_BYTES,
        };
        let (snapshot_epoch, snapshot_cursor, snapshot_bucket) =
            snapshot.map_or((0, 0, 0), |s| (s.epoch, s.cursor, s.next_bucket));
        self.call = Some(Call { waits, ticks: 0 });
        self.pause = settings.ticks(wait_ms.saturating_add(CALL_SPARE_MS));
        ExchangeRequest {
            workload: settings.workload.clone(),
            envoy_id: settings.envoy_id.clone(),
            document_digest: digest.to_owned(),
            epoch: head.epoch,
            cursor: head.cursor,
            snapshot_bucket,
            snapshot_cursor,
            snapshot_epoch,
            wait_ms: u32::try_from(wait_ms).unwrap_or(u32::MAX),
            key_digests: self.writer.keys.digests(&settings.issuers),
            wanted_keys: self.wanted.tell(settings),
            idle_ms: u32::try_from(self.idle.millis(settings.tick_ms)).unwrap_or(u32::MAX),
            max_bytes,
            circuits_version: self.circuits,
        }
    }

    /// The call that an answer is for.
    pub(crate) const fn take_call(&mut self) -> Option<Call> {
        self.call.take()
    }

    /// Writes down an answer.
    pub(crate) fn write(
        &mut self,
        shared: &dyn SharedData,
        view: &mut View,
        answer: &ExchangeResponse,
        settings: &Settings,
        now: UnixMillis,
    ) -> Result<(), FeedError> {
        let digest = &answer.document_digest;
        let is_digest = (1..=MOST_DIGEST_BYTES).contains(&digest.len());
        self.document_digest = is_digest.then(|| digest.clone());
        self.writer.write(shared, view, answer, settings, now)
    }

    /// After an answer that was taken: whether to ask again at once.
    pub(crate) fn goes_on(
        &mut self,
        call: Call,
        answer: &ExchangeResponse,
        settings: &Settings,
    ) -> bool {
        self.is_calm = true;
        self.pace.went_well();
        self.wanted.heard();
        let brought = answer.snapshot.is_some() || !answer.added.is_empty();
        let more = brought || self.writer.snapshot.is_some();
        // Held to its end: nobody may miss what comes until the next tick.
        let held = call.waits && call.ticks > 0;
        let at_once = answer.next_poll_ms == 0 && (more || held);
        if at_once && self.at_once > 0 {
            self.at_once -= 1;
            return true;
        }
        let asked_for = u64::from(answer.next_poll_ms).min(settings.longest_pause());
        let pause = if at_once || settings.poll_ms == 0 {
            asked_for
        } else {
            // The server can only slow it down.
            asked_for.max(self.pace.around(settings.poll_ms))
        };
        self.pause = settings.pause(pause);
        false
    }

    /// The call could not be made, or was not answered well. `next_poll_ms`: when the server
    /// wants to be asked again.
    pub(crate) fn failed(&mut self, next_poll_ms: Option<u64>, settings: &Settings) {
        self.is_calm = false;
        self.wanted.failed();
        let pause = match next_poll_ms {
            Some(millis) => Pace::after_refusal(millis),
            None => self.pace.after_failure(),
        };
        self.pause = settings.pause(pause);
    }

    /// Of the document that the server runs, by its last answer.
    pub(crate) fn document_digest(&self) -> Option<&str> {
        self.document_digest.as_deref()
    }
}
