//! Taking over another document while serving: read and checked first, everything made of it, then
//! all of it put in use in one step. Whatever goes wrong before that step, the last good one stays.

mod metrics;
mod origin;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use postern_document::{Document, KeysBy};
use postern_feed::FeedState;
use postern_identity::Ending;
use postern_request::UnixMillis;
use postern_store::IdentityStore;
use postern_telemetry::{DocumentReport, HealthChecks, MetricsRegistry};
use tokio::time::{Instant, MissedTickBehavior};

use self::metrics::Outcome;
pub use self::metrics::{Asker, Metrics, Skew};
pub use self::origin::{First, first};
use self::origin::{Found, Origin, Trouble};
use super::feed;
use super::in_use::{InUse, Kept};
use super::jwks::{self, Keepers};
use super::maker::Maker;
use super::parts::{FIRST_KEYS, wait_until};
use super::services::Services;
use crate::commands::now;
use crate::fixed::{self, Given};
use crate::{output, settings};

/// How often the origin is looked at.
const EVERY: Duration = Duration::from_secs(1);
/// A document that is in order and could not be taken over is tried again: a secret that it names
/// may come after it.
const TRY_AGAIN: Duration = Duration::from_secs(10);

/// What follows the document in use.
pub struct Followers {
    /// The documents in use.
    pub kept: Arc<Kept>,
    /// Makes what is served of a document.
    pub maker: Arc<Maker>,
    /// Fetch keys of issuers.
    pub keepers: Keepers,
    /// Tells Envoys.
    pub feed: Arc<FeedState>,
    /// Look for services that registries find.
    pub services: Arc<Services>,
    /// Ends sessions, whose longest life a document says.
    pub ending: Option<Arc<Ending>>,
    /// What the command line has decided.
    pub given: Given,
    /// Whether there is a durable store.
    pub has_durable: bool,
    /// For `/health`.
    pub health: Arc<HealthChecks>,
    /// For `postern_build_info`.
    pub registry: MetricsRegistry,
    /// What is counted of documents.
    pub metrics: Metrics,
}

/// Looks for another document, and takes it over.
pub struct Reloading {
    origin: Origin,
    followers: Followers,
    since: UnixMillis,
    /// What was wrong when it was looked at last.
    trouble: Option<Trouble>,
    /// What could not be taken over, and when that was tried last.
    waiting: Option<(Document, Instant)>,
}

impl Reloading {
    /// After the first document of an origin, which is in use.
    ///
    /// # Errors
    /// When metrics cannot be set.
    pub fn new(origin: Origin, followers: Followers) -> Result<Self> {
        let reloading = Self { origin, followers, since: now(), trouble: None, waiting: None };
        reloading.tell()?;
        Ok(reloading)
    }

    /// For as long as it is polled.
    pub async fn run(mut self) {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.look().await;
        }
    }

    async fn look(&mut self) {
        match self.origin.look().await {
            Found::Document(document) => self.try_it(*document).await,
            Found::Trouble(trouble) => {
                self.waiting = None;
                self.stay(trouble);
            }
            Found::Same => {
                let is_due = |(_, tried): &mut (Document, Instant)| tried.elapsed() >= TRY_AGAIN;
                if let Some((document, _)) = self.waiting.take_if(is_due) {
                    self.try_it(document).await;
                }
            }
        }
    }

    async fn try_it(&mut self, document: Document) {
        self.waiting = None;
        let before = self.followers.kept.newest();
        if before.document.digest == document.digest {
            // What was wrong is so no more.
            if self.trouble.take().is_some() {
                tracing::info!(document = document.digest, "the document in use is the newest");
                self.told();
            }
            return;
        }
        let digest = document.digest.clone();
        match Box::pin(self.followers.take(&document, &before)).await {
            Ok(()) => {
                self.trouble = None;
                self.since = now();
                self.followers.metrics.looked(Outcome::Applied);
                self.told();
                let before = &before.document.digest;
                tracing::info!(document = digest, before, "another document is in use");
            }
            Err(trouble) => {
                self.waiting = Some((document, Instant::now()));
                self.stay(trouble);
            }
        }
    }

    /// The last good one stays. The same trouble is told once.
    fn stay(&mut self, trouble: Trouble) {
        if self.trouble.as_ref() == Some(&trouble) {
            return;
        }
        for problem in &trouble.problems {
            tracing::error!(problem, "another document cannot be used, and the last one stays");
        }
        self.followers.metrics.looked(trouble.outcome);
        self.trouble = Some(trouble);
        self.told();
    }

    fn told(&self) {
        if let Err(error) = self.tell() {
            tracing::error!(%error, "metrics do not say which document is in use");
        }
    }

    /// Says which document is in use, and what is wrong with a newer one: no more than that to
    /// whoever reads `/health`.
    fn tell(&self) -> Result<()> {
        let Followers { kept, health, registry, metrics, .. } = &self.followers;
        let digest = kept.newest().document.digest.clone();
        let note = self.trouble.as_ref().map(|trouble| match trouble.outcome {
            Outcome::Unreadable => {
                "it is not known whether there is a newer one: see the log".to_owned()
            }
            Outcome::Applied | Outcome::Refused => {
                let count = output::count(trouble.problems.len(), "problem");
                format!("a newer one is not used, which has {count}: see the log")
            }
        });
        metrics.set_refused(note.is_some());
        metrics.in_use(&digest);
        registry.set_document(&digest)?;
        health.set_document(DocumentReport { digest, since: self.since, note });
        Ok(())
    }
}

impl Followers {
    /// Puts a document in the place of the one `before`. Everything that can fail comes before the
    /// one step by which it is in use.
    async fn take(&self, document: &Document, before: &InUse) -> Result<(), Trouble> {
        let problems = fixed::problems(&before.document, document, self.given);
        if !problems.is_empty() {
            return Err(Trouble::refused(problems));
        }
        let next = match self.make(document.clone()).await {
            Ok(next) => next,
            Err(error) => return Err(Trouble::refused(vec![output::chain(&error)])),
        };
        // Keys of new issuers before anybody is judged by them, places of new services before
        // anybody is sent there; and not for ever.
        self.services.follow(&[before.document.as_ref(), document]);
        let is_there = || next.keys.complete() && self.services.endpoints.is_complete();
        wait_until(FIRST_KEYS, is_there).await;
        self.kept.replace(next);
        self.follow(document);
        Ok(())
    }

    async fn make(&self, document: Document) -> Result<InUse> {
        if let Some(problem) = feed::settings(&document).problems().first() {
            bail!("the feed's settings: {problem}");
        }
        let (maker, kept) = (Arc::clone(&self.maker), self.kept.all());
        // Secrets and lists of passwords are files.
        let making = tokio::task::spawn_blocking(move || maker.make(document, &kept));
        let next = making.await.context("what is served of it cannot be made")??;
        self.keepers.start(&next.document, &next.keys)?;
        Ok(next)
    }

    /// What goes by the newest document without looking at it at each request.
    fn follow(&self, document: &Document) {
        let newest = self.kept.newest();
        self.keepers.keep_only(document, &newest.keys);
        self.services.follow(&[document]);
        if let Err(error) = self.feed.follow(feed::settings(document)) {
            tracing::error!(%error, "the feed goes on as before");
        }
        let kept = self.kept.all();
        self.feed.keys().retain(|issuer| {
            let mut issuers = kept.iter().flat_map(|in_use| &in_use.document.issuers);
            issuers.any(|known| known.keys_by == KeysBy::Feed && known.issuer.issuer == issuer)
        });
        if let Some(ending) = &self.ending {
            ending.sessions_live_for(settings::longest_session_secs(document));
        }
        feed::warn(document, self.has_durable);
        jwks::warn(document);
    }
}

/// Says so where files are served and the store holds another document that was applied: somebody
/// may wait for that one.
pub async fn warn_of_revisions(store: &dyn IdentityStore, document: &Document) {
    match store.active_revision().await {
        Ok(Some(active)) if active.digest != document.digest => tracing::warn!(
            applied = active.digest,
            served = document.digest,
            "the durable store holds a document that was applied, and another one is served, from \
             files: `postern config apply` changes nothing here without --config-from store"
        ),
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "nobody knows whether a document was applied"),
    }
}

#[cfg(test)]
mod tests;
