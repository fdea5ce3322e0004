//! Leased limits, as this filter has slices lent: the calls.

use postern_document::Document;
use postern_filter_host::{HeaderList, HttpCall};
use postern_filter_leased_rate_limit::{Answered, CALL_MS, Leases, Settings};
use postern_filter_shared_data::SharedData;
use postern_proto::feed::v1::BORROW_PATH;
use postern_request::UnixMillis;

use crate::calls::{Line, read};
use crate::configuration::FeedSource;
use crate::feed::TICK_MS;

/// The purpose of its calls, see [`crate::feed::FEED`].
pub(crate) const LEASES: usize = usize::MAX - 1;

/// Leases, and where they are had: from whom the feed comes.
#[derive(Debug)]
pub(crate) struct LeaseLink {
    pub(crate) leases: Leases,
    line: Line,
}

impl LeaseLink {
    /// Of an Envoy of this name, the VM of this number.
    pub(crate) fn new(
        source: FeedSource,
        document: &Document,
        (envoy_id, vm): (String, u32),
        shared: &dyn SharedData,
        seed: u128,
    ) -> Self {
        let workload = source.workload.clone();
        let settings = Settings { workload, envoy_id, vm, tick_ms: TICK_MS };
        let leases = Leases::new(settings, document, shared, seed);
        Self { leases, line: Line::new(LEASES, BORROW_PATH, source) }
    }

    /// Once a tick: the call to make, by the VM that speaks to the server.
    pub(crate) fn due(
        &mut self,
        shared: &dyn SharedData,
        is_elected: bool,
        now: UnixMillis,
    ) -> Option<HttpCall> {
        let message = self.leases.tick(shared, is_elected, now)?;
        Some(self.line.call(message, CALL_MS))
    }

    /// The call was made, or could not be; false then.
    pub(crate) fn sent(
        &mut self,
        shared: &dyn SharedData,
        token: Option<u32>,
        now: UnixMillis,
    ) -> bool {
        let sent = self.line.sent(token);
        if !sent {
            let _ = self.leases.answered(shared, Answered::Nothing, now);
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
        if !self.line.takes(token) {
            return None;
        }
        let taken = self.leases.answered(shared, read(answer), now);
        Some(taken.map_err(|error| format!("leases: {error}")))
    }
}
