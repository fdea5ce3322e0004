//! Bringing issuers' keys to the decision and to the feed: from our own store, from an address,
//! or from wherever an issuer's metadata says.
//!
//! One task an issuer of the document in use. It fetches every so often, and once more when somebody
//! has seen a token with a key that is not there. Whatever goes wrong, the last good keys stay; also
//! where the issuer is in an earlier document alone, whose keys nobody fetches any more.

pub(super) mod address;
mod discovery;
mod fetch;
mod metrics;
mod pace;
mod source;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use postern_document::{Document, JwksSource, KeysBy};
use postern_ext_authz::{IssuerKeys, KeyPlace};
use postern_feed::{FeedState, Jitter};
use postern_store::durable::DurableStore;
use postern_telemetry::MetricsRegistry;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use self::fetch::Http;
use self::metrics::{Metrics, Outcome};
use self::pace::Pace;
use self::source::{Fetch, Fetched, Source};
use crate::output;

/// From one fetch to one that a token asked for: anybody can make up tokens with unknown keys.
const LEAST_INTERVAL: Duration = Duration::from_secs(10);

/// What the tasks work with.
pub struct Keepers {
    /// With our own keys.
    durable: Option<Arc<dyn DurableStore>>,
    /// For Envoys.
    feed: Arc<FeedState>,
    http: Http,
    metrics: Metrics,
    running: Mutex<Vec<Running>>,
}

/// A task, and the place that it brings keys to.
struct Running {
    place: Arc<KeyPlace>,
    task: AbortHandle,
}

impl Keepers {
    /// No task runs yet.
    ///
    /// # Errors
    /// When the HTTP client cannot be made, or a metric cannot be registered.
    pub fn new(
        durable: Option<Arc<dyn DurableStore>>,
        feed: Arc<FeedState>,
        registry: &MetricsRegistry,
    ) -> Result<Self> {
        let (http, metrics) = (Http::new()?, Metrics::new(registry)?);
        Ok(Self { durable, feed, http, metrics, running: Mutex::default() })
    }

    /// Starts a task for each issuer of a document whose keys are not in it, and that has none yet.
    ///
    /// # Errors
    /// When an issuer's address is none from which keys can be found. No task was started then.
    pub fn start(&self, document: &Document, keys: &IssuerKeys) -> Result<()> {
        let mut running = self.running();
        let mut sources = Vec::new();
        for (index, issuer) in document.issuers.iter().enumerate() {
            let Some(place) = keys.place(index) else { continue };
            let is_kept = running.iter().any(|known| Arc::ptr_eq(&known.place, place));
            if is_kept || matches!(issuer.jwks, JwksSource::Inline(_)) {
                continue;
            }
            if let Some(source) = Source::of(issuer, document, self.durable.as_ref(), &self.http)? {
                sources.push((place, issuer, source));
            }
        }
        for (place, issuer, source) in sources {
            let name = &issuer.issuer.issuer;
            self.metrics.begin(name);
            let keeper = Keeper {
                issuer: name.clone(),
                pace: Pace::new(source.refresh(), Jitter::random()),
                source,
                place: Arc::clone(place),
                feed: (issuer.keys_by == KeysBy::Feed).then(|| Arc::clone(&self.feed)),
                metrics: self.metrics.clone(),
            };
            let task = tokio::spawn(keeper.run()).abort_handle();
            running.push(Running { place: Arc::clone(place), task });
        }
        Ok(())
    }

    /// Ends the tasks of issuers that are not in a document with these keys.
    pub fn keep_only(&self, document: &Document, keys: &IssuerKeys) {
        let places = (0..document.issuers.len()).filter_map(|index| keys.place(index));
        let places: Vec<&Arc<KeyPlace>> = places.collect();
        self.running().retain(|running| {
            let stays = places.iter().any(|place| Arc::ptr_eq(place, &running.place));
            if !stays {
                running.task.abort();
            }
            stays
        });
        let issuers = document.issuers.iter().map(|entry| entry.issuer.issuer.as_str());
        self.metrics.keep_only(&issuers.collect::<Vec<_>>());
    }

    fn running(&self) -> MutexGuard<'_, Vec<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says which keys come in clear text.
pub fn warn(document: &Document) {
    for (issuer, from) in document.keys_in_clear_text() {
        tracing::warn!(
            issuer,
            from,
            "the keys of an issuer come in clear text: whoever sits in between can sign for it"
        );
    }
}

/// Keeps one issuer's keys current.
struct Keeper<S> {
    issuer: String,
    source: S,
    pace: Pace,
    place: Arc<KeyPlace>,
    feed: Option<Arc<FeedState>>,
    metrics: Metrics,
}

impl<S: Fetch> Keeper<S> {
    async fn run(mut self) {
        loop {
            let started = Instant::now();
            let good = self.fetch().await;
            let due = Instant::now() + self.pace.after(good);
            tokio::select! {
                () = tokio::time::sleep_until(due) => {}
                () = self.wanted(started + LEAST_INTERVAL) => {}
            }
        }
    }

    /// Somebody has seen a token with a key that is not there, and it is late enough to ask.
    async fn wanted(&self, earliest: Instant) {
        self.place.wanted().await;
        tokio::time::sleep_until(earliest).await;
    }

    async fn fetch(&mut self) -> bool {
        match self.source.fetch().await {
            Ok(fetched) => {
                self.publish(fetched);
                true
            }
            Err(error) => {
                let (issuer, from) = (&self.issuer, self.source.place());
                let error = output::chain(&error);
                tracing::warn!(issuer, from, error, "keys cannot be fetched");
                self.metrics.fetched(Outcome::Failed);
                false
            }
        }
    }

    fn publish(&self, fetched: Fetched) {
        self.metrics.fetched(fetched.outcome);
        self.metrics.current(&self.issuer);
        self.place.set(fetched.set);
        let Some(feed) = &self.feed else { return };
        if let Err(error) = feed.keys().set(&self.issuer, fetched.text) {
            tracing::warn!(issuer = self.issuer, %error, "keys cannot be told to Envoys");
        }
    }
}

#[cfg(test)]
mod tests;
