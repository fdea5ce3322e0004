//! Reading the durable list into a log.
//!
//! All of it once, in pages; then what came after the last entry. When the list is another one
//! (another epoch), or what was let go may be needed after all, it is read from its beginning,
//! beside the log in use, which it then replaces.

use std::sync::Arc;

use postern_request::UnixMillis;
use postern_revocation::{Record, Revocation};
use postern_telemetry::Moment;
use tokio::time::Instant;

use crate::BoxFuture;
use crate::expiry::ExpiryClock;
use crate::log::{Applied, RevocationLog};
use crate::metrics::Metrics;
use crate::settings::Reading;
use crate::source::{Entry, RevocationSource, SourceError, SourceIdentity, SourceRecord};
use crate::state::FeedState;

/// Records between two moments at which other tasks may run: a millisecond's work.
const BATCH: usize = 1_000;

pub(crate) struct Reader {
    state: Arc<FeedState>,
    source: Arc<dyn RevocationSource>,
    metrics: Metrics,
    expiry: ExpiryClock,
    /// The time of the last read, in seconds since 1970.
    now: u64,
    /// A log that is being read from the beginning.
    building: Option<Arc<RevocationLog>>,
    identified: Option<Instant>,
    swept: Instant,
}

impl Reader {
    pub(crate) fn new(
        state: Arc<FeedState>,
        source: Arc<dyn RevocationSource>,
        metrics: Metrics,
        start: Moment,
    ) -> Self {
        let expiry = ExpiryClock::new(start);
        let (building, identified, swept) = (None, None, Instant::now());
        Self { state, source, metrics, expiry, now: 0, building, identified, swept }
    }

    /// Reads what is new, or all of it where that is needed.
    pub(crate) async fn read(&mut self, now: Moment) -> Result<(), SourceError> {
        let (seconds, fell_back) = self.expiry.read(now);
        self.now = seconds;
        if fell_back {
            tracing::warn!("the clock fell back; all revocations are read again");
            self.building = None;
        }
        let current = self.state.log();
        let again = fell_back || current.as_ref().is_some_and(|log| must_be_read_again(log));
        let as_it_is = !again && self.building.is_none();
        if let Some(log) = &current
            && as_it_is
            && !self.is_identity_due()
        {
            return self.follow(log).await;
        }
        let identity = self.identity().await?;
        match current {
            Some(log) if as_it_is && is_of(&log, identity) => self.follow(&log).await,
            _ => self.read_all(identity).await,
        }
    }

    fn is_identity_due(&self) -> bool {
        let interval = self.settings().safety_interval;
        self.identified.is_none_or(|before| before.elapsed() >= interval)
    }

    async fn identity(&mut self) -> Result<SourceIdentity, SourceError> {
        let identity = self.within(self.source.feed_identity()).await?;
        if identity.epoch == 0 {
            return Err(SourceError::Corrupt("the list's epoch is 0".to_owned()));
        }
        self.identified = Some(Instant::now());
        Ok(identity)
    }

    /// Reads the whole list, on from where a failure has stopped it, and puts it to use.
    async fn read_all(&mut self, identity: SourceIdentity) -> Result<(), SourceError> {
        let begun = self.building.take().filter(|log| is_of(log, identity));
        let log = begun.unwrap_or_else(|| {
            let bounds = self.state.settings().bounds;
            Arc::new(RevocationLog::new(identity.epoch, identity.key, bounds))
        });
        self.building = Some(Arc::clone(&log));
        self.follow(&log).await?;
        self.building = None;
        tracing::info!(records = log.records(), cursor = log.cursor(), "revocations are read");
        self.state.replace_log(log);
        Ok(())
    }

    /// Reads page by page until there is no more.
    async fn follow(&self, log: &RevocationLog) -> Result<(), SourceError> {
        let limit = self.settings().page;
        loop {
            let after = log.cursor();
            let now = UnixMillis(self.now.saturating_mul(1000));
            let page = self.within(self.source.revocations_since(after, limit, now)).await?;
            let last = u32::try_from(page.len()).is_ok_and(|length| length < limit);
            let mut news = false;
            for batch in page.chunks(BATCH) {
                news |= self.apply(log, batch);
                tokio::task::yield_now().await;
            }
            // What concerns nobody here is no reason to wake a thousand who wait.
            if news {
                self.state.news.publish();
            }
            if last {
                return Ok(());
            }
            if log.cursor() <= after {
                return Err(SourceError::Corrupt("sequence numbers do not ascend".to_owned()));
            }
        }
    }

    /// Whether anything came of it.
    fn apply(&self, log: &RevocationLog, batch: &[SourceRecord]) -> bool {
        let mut news = false;
        for SourceRecord { seq, entry } in batch {
            match entry {
                Entry::Revoked(revocation) => news |= self.keep(log, *seq, revocation),
                Entry::Unreadable => {
                    self.metrics.record_unreadable();
                    tracing::warn!(seq, "a revocation cannot be understood by this version");
                    log.skip(*seq);
                }
            }
        }
        news
    }

    /// Whether there is something to tell of it.
    fn keep(&self, log: &RevocationLog, seq: u64, revocation: &Revocation) -> bool {
        let was_short = log.is_short_of_room();
        let record = Record::of(log.key(), revocation);
        let applied = log.apply(seq, record, self.now);
        if applied == Applied::Refused {
            if !was_short {
                tracing::error!(seq, "no room for revocations; what is known is stale");
            }
            self.metrics.record_refused();
        }
        applied == Applied::Kept
    }

    /// Lets go of what has expired, in parts, so that requests are served in between.
    pub(crate) async fn sweep_when_due(&mut self) {
        if self.swept.elapsed() < self.settings().sweep_interval {
            return;
        }
        self.swept = Instant::now();
        let Some(log) = self.state.log() else { return };
        for part in RevocationLog::parts() {
            log.sweep_part(part, self.now);
            tokio::task::yield_now().await;
        }
    }

    async fn within<T>(
        &self,
        call: BoxFuture<'_, Result<T, SourceError>>,
    ) -> Result<T, SourceError> {
        match tokio::time::timeout(self.settings().timeout, call).await {
            Ok(answer) => answer,
            Err(_) => Err(SourceError::Unavailable("no answer in time".to_owned())),
        }
    }

    fn settings(&self) -> Reading {
        self.state.settings().reading.clone()
    }
}

/// Something was refused for want of room, and there is room again.
fn must_be_read_again(log: &RevocationLog) -> bool {
    log.is_short_of_room() && log.has_room_again()
}

fn is_of(log: &RevocationLog, identity: SourceIdentity) -> bool {
    log.epoch() == identity.epoch && *log.key() == identity.key
}
