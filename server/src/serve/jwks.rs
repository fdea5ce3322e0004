//! Bringing issuers' keys to the decision and to the feed: from our own store, from an address,
//! or from wherever an issuer's metadata says.
//!
//! One task an issuer. It fetches every so often, and once more when somebody has seen a token
//! with a key that is not there. Whatever goes wrong, the last good keys stay.

pub(super) mod address;
mod discovery;
mod fetch;
mod metrics;
mod pace;
mod source;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use postern_document::{Document, JwksSource, KeysBy};
use postern_ext_authz::IssuerKeys;
use postern_feed::{FeedState, Jitter};
use postern_store::durable::DurableStore;
use postern_telemetry::MetricsRegistry;
use tokio::time::Instant;

use self::fetch::Http;
use self::metrics::{Metrics, Outcome};
use self::pace::Pace;
use self::source::{Fetch, Fetched, Source};
use crate::output;

/// From one fetch to one that a token asked for: anybody can make up tokens with unknown keys.
const LEAST_INTERVAL: Duration = Duration::from_secs(10);

/// What the tasks work with.
pub struct Needs<'a> {
    /// Whose keys, and where they are.
    pub document: &'a Document,
    /// With our own keys.
    pub durable: Option<&'a Arc<dyn DurableStore>>,
    /// For `ext_authz`.
    pub keys: &'a Arc<IssuerKeys>,
    /// For Envoys.
    pub feed: Option<&'a Arc<FeedState>>,
    /// For metrics.
    pub registry: &'a MetricsRegistry,
}

/// Starts a task for each issuer whose keys are not in the document.
///
/// # Errors
/// When the HTTP client cannot be made, a metric cannot be registered, or an issuer's address is
/// none from which keys can be found.
pub fn keep_fetching(needs: &Needs<'_>) -> Result<()> {
    for (issuer, from) in needs.document.keys_in_clear_text() {
        tracing::warn!(
            issuer,
            from,
            "the keys of an issuer come in clear text: whoever sits in between can sign for it"
        );
    }
    let http = Http::new()?;
    let mut sources = Vec::new();
    for (index, issuer) in needs.document.issuers.iter().enumerate() {
        if matches!(issuer.jwks, JwksSource::Inline(_)) {
            continue;
        }
        if let Some(source) = Source::of(issuer, needs, &http)? {
            sources.push((index, issuer, source));
        }
    }
    let names = sources.iter().map(|(_, issuer, _)| issuer.issuer.issuer.as_str());
    let metrics = Metrics::new(needs.registry, names)?;
    for (index, issuer, source) in sources {
        let feed = needs.feed.filter(|_| issuer.keys_by == KeysBy::Feed);
        let keeper = Keeper {
            index,
            issuer: issuer.issuer.issuer.clone(),
            pace: Pace::new(source.refresh(), Jitter::random()),
            source,
            keys: Arc::clone(needs.keys),
            feed: feed.cloned(),
            metrics: metrics.clone(),
        };
        tokio::spawn(keeper.run());
    }
    Ok(())
}

/// Keeps one issuer's keys current.
struct Keeper<S> {
    /// The issuer's place in the document.
    index: usize,
    issuer: String,
    source: S,
    pace: Pace,
    keys: Arc<IssuerKeys>,
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
        self.keys.wanted(self.index).await;
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
        self.keys.set(self.index, fetched.set);
        let Some(feed) = &self.feed else { return };
        if let Err(error) = feed.keys().set(&self.issuer, fetched.text) {
            tracing::warn!(issuer = self.issuer, %error, "keys cannot be told to Envoys");
        }
    }
}

#[cfg(test)]
mod tests;
