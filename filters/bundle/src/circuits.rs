//! Circuits, as this filter reports how calls have ended: the calls.

use postern_document::Document;
use postern_filter_circuit_breaker::{Answered, Asker, CALL_MS, Circuits};
use postern_filter_host::{HeaderList, HttpCall};
use postern_filter_shared_data::SharedData;
use postern_proto::feed::v1::REPORT_PATH;
use postern_request::UnixMillis;

use crate::calls::{Line, read};
use crate::configuration::FeedSource;
use crate::feed::TICK_MS;

/// The purpose of its calls, see [`crate::feed::FEED`].
pub(crate) const REPORTS: usize = usize::MAX - 2;

/// Circuits, and to whom it is told how calls have ended: whom the feed comes from. Without one,
/// breakers act alone.
#[derive(Debug)]
pub(crate) struct CircuitLink {
    pub(crate) circuits: Circuits,
    line: Option<Line>,
}

impl CircuitLink {
    /// `feed`: where it is, and this Envoy's own name.
    pub(crate) fn new(feed: Option<(FeedSource, String)>, document: &Document, seed: u128) -> Self {
        let asker = feed.as_ref().map(|(source, envoy_id)| Asker {
            workload: source.workload.clone(),
            envoy_id: envoy_id.clone(),
            document_digest: document.digest.clone(),
            tick_ms: TICK_MS,
        });
        let line = feed.map(|(source, _)| Line::new(REPORTS, REPORT_PATH, source));
        Self { circuits: Circuits::new(document, asker, seed), line }
    }

    /// Once a tick: the call to make, by the VM that speaks to the server.
    pub(crate) fn due(
        &mut self,
        shared: &dyn SharedData,
        is_elected: bool,
        now: UnixMillis,
    ) -> Option<HttpCall> {
        let message = self.circuits.tick(shared, is_elected, now)?;
        self.line.as_ref().map(|line| line.call(message, CALL_MS))
    }

    /// The call was made, or could not be; false then.
    pub(crate) fn sent(
        &mut self,
        shared: &dyn SharedData,
        token: Option<u32>,
        now: UnixMillis,
    ) -> bool {
        let sent = self.line.as_mut().is_some_and(|line| line.sent(token));
        if !sent {
            let _ = self.circuits.answered(shared, Answered::Nothing, now);
        }
        sent
    }

    /// The answer to a call, if it was this one's.
    pub(crate) fn answered(
        &mut self,
        shared: &dyn SharedData,
        token: u32,
        answer: (Option<u16>, &HeaderList, &[u8]),
        now: UnixMillis,
    ) -> Option<Result<(), String>> {
        if !self.line.as_mut()?.takes(token) {
            return None;
        }
        let taken = self.circuits.answered(shared, read(answer), now);
        Some(taken.map_err(|error| format!("circuits: {error}")))
    }
}
