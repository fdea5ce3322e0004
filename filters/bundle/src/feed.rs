//! The feed, as this filter asks for it: calls, keys, gauges.

use postern_filter_feed::{Answered, Feed, Settings};
use postern_filter_host::{HeaderList, HttpCall};
use postern_filter_shared_data::SharedData;
use postern_jose::KeySet;
use postern_proto::feed::v1::EXCHANGE_PATH;
use postern_request::UnixMillis;

use crate::calls::{Line, read};
use crate::configuration::FeedSource;

/// How often the feed is looked after. News crosses from the VM that heard it to the others
/// within one of these.
pub(crate) const TICK_MS: u64 = 100;
/// The purpose of the feed's calls; those for keys have the numbers of their sources.
pub(crate) const FEED: usize = usize::MAX;
/// What Envoy gives a call beyond the time that the server may hold it.
const CALL_SPARE_MS: u64 = 4_000;

/// The feed, and how it is asked.
#[derive(Debug)]
pub(crate) struct FeedLink {
    pub(crate) feed: Feed,
    line: Line,
    /// How long the server may hold a call.
    held_ms: u64,
    digest: String,
    /// Issuers whose keys come by it: their places in the document, in the order in which the
    /// feed knows them.
    issuers: Vec<usize>,
    ticks: u64,
    /// Somebody has use for what it brings; else it is there for the election alone.
    is_heard: bool,
}

/// What the feed is for.
pub(crate) struct Purpose<'a> {
    /// Digest of the document.
    pub(crate) digest: &'a str,
    /// This Envoy's own name.
    pub(crate) envoy_id: String,
    /// How old what is known of revoked tokens may be; none where nobody asks.
    pub(crate) max_staleness_ms: Option<u64>,
    /// Issuers whose keys come by it: their places in the document, and their names.
    pub(crate) issuers: Vec<(usize, String)>,
    /// Whether it tells of circuits.
    pub(crate) has_circuits: bool,
}

impl FeedLink {
    pub(crate) fn new(
        source: FeedSource,
        purpose: Purpose<'_>,
        shared: &dyn SharedData,
        now: UnixMillis,
    ) -> Self {
        let is_heard = purpose.max_staleness_ms.is_some()
            || !purpose.issuers.is_empty()
            || purpose.has_circuits;
        let held_ms = if source.poll_ms == 0 { source.wait_ms } else { 0 };
        let (issuers, names) = purpose.issuers.into_iter().unzip();
        let settings = Settings {
            workload: source.workload.clone(),
            envoy_id: purpose.envoy_id,
            tick_ms: TICK_MS,
            wait_ms: source.wait_ms,
            poll_ms: source.poll_ms,
            // Nothing is too old that nobody asks for.
            max_staleness_ms: purpose.max_staleness_ms.unwrap_or(u64::MAX / 2),
            issuers: names,
        };
        let feed = Feed::new(settings, purpose.digest, shared, now);
        Self {
            feed: if is_heard { feed } else { feed.quiet() },
            line: Line::new(FEED, EXCHANGE_PATH, source),
            held_ms,
            digest: purpose.digest.to_owned(),
            issuers,
            ticks: 0,
            is_heard,
        }
    }

    /// Once a tick: the call to make.
    pub(crate) fn due(&mut self, shared: &dyn SharedData, now: UnixMillis) -> Option<HttpCall> {
        self.ticks = self.ticks.saturating_add(1);
        self.feed.clock(now);
        let message = self.feed.tick(shared)?;
        Some(self.call_with(message))
    }

    fn call_with(&self, message: Vec<u8>) -> HttpCall {
        self.line.call(message, self.held_ms + CALL_SPARE_MS)
    }

    /// Issuers, by their places in the document, and their new keys; none for keys that cannot
    /// be read.
    pub(crate) fn take_keys(&mut self, shared: &dyn SharedData) -> Vec<(usize, Option<KeySet>)> {
        let sets = self.feed.take_key_sets(shared).into_iter();
        sets.filter_map(|(place, jwks)| {
            let issuer = self.issuers.get(place)?;
            Some((*issuer, KeySet::parse(&jwks).ok()))
        })
        .collect()
    }

    /// Asks for a key that an issuer's set does not have; false where its keys do not come by the
    /// feed. Anybody can name such a key: the feed sees to it that this costs little.
    pub(crate) fn want_keys(&self, shared: &dyn SharedData, issuer: usize) -> bool {
        let place = self.issuers.iter().position(|known| *known == issuer);
        if let Some(place) = place {
            self.feed.want_keys(shared, place);
        }
        place.is_some()
    }

    /// The call was made, or could not be.
    pub(crate) fn sent(&mut self, shared: &dyn SharedData, token: Option<u32>, now: UnixMillis) {
        if !self.line.sent(token) {
            let _ = self.feed.answered(shared, Answered::Nothing, now);
        }
    }

    /// The answer to a call, if it was this one's; and the call that follows at once, if any.
    pub(crate) fn answered(
        &mut self,
        shared: &dyn SharedData,
        token: u32,
        answer: (Option<u16>, &HeaderList, &[u8]),
        now: UnixMillis,
    ) -> Option<Result<Option<HttpCall>, String>> {
        if !self.line.takes(token) {
            return None;
        }
        Some(match self.feed.answered(shared, read(answer), now) {
            Ok(message) => Ok(message.map(|message| self.call_with(message))),
            Err(error) => Err(format!("feed: {error}")),
        })
    }

    /// In the order of their names. Without anything heard yet it is as old as this VM.
    ///
    /// `lender_differs`: whether whoever lends runs another document. Where nobody asks what is
    /// new, nothing else tells of that.
    pub(crate) fn gauges(&self, lender_differs: Option<bool>) -> Vec<Option<u64>> {
        let differs = self.feed.document_digest().map(|digest| digest != self.digest);
        let differs = differs.or(lender_differs).map(u64::from);
        if !self.is_heard {
            return vec![None, None, differs];
        }
        let age_ms = self.feed.age_ms();
        vec![
            Some(age_ms.unwrap_or(self.ticks.saturating_mul(TICK_MS))),
            Some(u64::from(self.feed.records())),
            differs,
        ]
    }
}
