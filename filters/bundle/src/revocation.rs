//! Whether a caller's token has been revoked, as far as this Envoy knows.

use postern_document::{OnFailure, Revocation as Rules};
use postern_filter_feed::{Feed, Judgement};
use postern_filter_host::HttpCall;
use postern_filter_jwt_auth::{Caller, Checked};
use postern_filter_shared_data::SharedData;
use postern_proto::feed::v1::EXCHANGE_PATH;
use postern_request::{Denial, ErrorCode, UnixMillis};

use crate::configuration::FeedSource;

/// How often the feed is looked after. News crosses from the VM that heard it to the others
/// within one of these.
pub(crate) const TICK_MS: u64 = 100;
/// What Envoy gives a call beyond the time that the server may hold it.
const CALL_SPARE_MS: u64 = 4_000;

/// The feed, and what to do when it cannot be relied on.
#[derive(Debug)]
pub(crate) struct Revocation {
    pub(crate) feed: Feed,
    source: FeedSource,
    when_stale: OnFailure,
    /// The call that is on its way.
    call: Option<u32>,
}

/// What a token is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Not revoked.
    Good,
    /// Not known, and the document says to go on.
    Unknown,
}

impl Revocation {
    pub(crate) fn new(
        source: FeedSource,
        rules: Rules,
        digest: &str,
        shared: &dyn SharedData,
    ) -> Self {
        let settings = source.settings(TICK_MS, rules.max_staleness_ms);
        let feed = Feed::new(settings, digest, shared);
        Self { feed, source, when_stale: rules.when_stale, call: None }
    }

    /// Judges a caller, without a look at anything when nothing has changed since the last time.
    pub(crate) fn judge(
        &self,
        caller: &Caller,
        shared: &dyn SharedData,
        now: UnixMillis,
    ) -> Result<Standing, Denial> {
        let mut checked = caller.checked();
        if checked.epoch != self.feed.epoch() || checked.epoch == 0 {
            let Some(key) = self.feed.key() else { return self.stale() };
            checked =
                Checked { epoch: self.feed.epoch(), good_at: None, marks: caller.marks(&key) };
        }
        let issued_at = caller.issued_at();
        match self.feed.judge(shared, &checked.marks, issued_at, checked.good_at, now) {
            Judgement::Good => {
                checked.good_at = Some(self.feed.generation());
                caller.set_checked(checked);
                Ok(Standing::Good)
            }
            Judgement::Revoked => Err(Denial::new(ErrorCode::TokenRevoked, "token_revoked")),
            Judgement::Stale => self.stale(),
        }
    }

    fn stale(&self) -> Result<Standing, Denial> {
        match self.when_stale {
            OnFailure::Allow => Ok(Standing::Unknown),
            OnFailure::Deny => Err(Denial::unavailable("revocation_stale", 1)),
        }
    }

    /// Once a tick: the call to make.
    pub(crate) fn due(&mut self, shared: &dyn SharedData, purpose: usize) -> Option<HttpCall> {
        let message = self.feed.tick(shared)?;
        Some(HttpCall {
            purpose,
            cluster: self.source.cluster.clone(),
            authority: self.source.authority.clone(),
            path: EXCHANGE_PATH.to_owned(),
            timeout_ms: self.source.wait_ms + CALL_SPARE_MS,
            message: Some(message),
        })
    }

    /// The call was made, or could not be.
    pub(crate) fn sent(&mut self, shared: &dyn SharedData, token: Option<u32>, now: UnixMillis) {
        self.call = token;
        if token.is_none() {
            let _ = self.feed.answered(shared, None, now);
        }
    }

    /// The answer to a call, if it was this one's.
    pub(crate) fn answered(
        &mut self,
        shared: &dyn SharedData,
        token: u32,
        body: &[u8],
        now: UnixMillis,
    ) -> Option<Result<(), String>> {
        if self.call != Some(token) {
            return None;
        }
        self.call = None;
        // gRPC's errors have no body.
        let body = (!body.is_empty()).then_some(body);
        let answered = self.feed.answered(shared, body, now);
        Some(answered.map_err(|error| format!("feed: {error}")))
    }
}
