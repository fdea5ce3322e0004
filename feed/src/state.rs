//! What the server knows, shared by the loader, the exchange and `ext_authz`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use postern_revocation::{FingerprintKey, Marks};

use crate::freshness::Freshness;
use crate::keys::KeySets;
use crate::log::RevocationLog;
use crate::news::News;
use crate::settings::{Settings, SettingsError};

/// What the server knows.
pub struct FeedState {
    pub(crate) settings: Settings,
    pub(crate) freshness: Freshness,
    pub(crate) news: Arc<News>,
    keys: KeySets,
    log: ArcSwapOption<RevocationLog>,
}

impl FeedState {
    /// Knows nothing yet.
    ///
    /// # Errors
    /// The first of [`Settings::problems`].
    pub fn new(settings: Settings) -> Result<Arc<Self>, SettingsError> {
        if let Some(problem) = settings.problems().into_iter().next() {
            return Err(problem);
        }
        let news = Arc::new(News::new());
        let reading = &settings.reading;
        // A loader reads once in a safety interval, and may have to try twice.
        let longest_silence = (reading.safety_interval + reading.timeout) * 2;
        Ok(Arc::new(Self {
            freshness: Freshness::new(longest_silence),
            keys: KeySets::new(Arc::clone(&news)),
            log: ArcSwapOption::empty(),
            news,
            settings,
        }))
    }

    /// Issuers' keys: whoever fetches them sets them here, too.
    #[must_use]
    pub const fn keys(&self) -> &KeySets {
        &self.keys
    }

    /// The log in use; none before the durable list has been read once.
    #[must_use]
    pub fn log(&self) -> Option<Arc<RevocationLog>> {
        self.log.load_full()
    }

    pub(crate) fn replace_log(&self, log: Arc<RevocationLog>) {
        self.log.store(Some(log));
        self.news.publish();
    }

    /// Whether the durable list has been read once. Before that nobody can say of any token
    /// that it is good.
    #[must_use]
    pub fn is_loaded(&self) -> bool {
        self.log.load().is_some()
    }

    /// What [`Marks`] are made with; none before the list has been read once.
    #[must_use]
    pub fn fingerprint_key(&self) -> Option<FingerprintKey> {
        self.log.load().as_ref().map(|log| *log.key())
    }

    /// Whether a token is revoked, by its marks and its `iat`, both as of the key that
    /// [`FeedState::fingerprint_key`] told. Times in seconds.
    #[must_use]
    pub fn is_revoked(&self, marks: &Marks, iat: Option<u64>, now: u64) -> bool {
        self.log.load().as_ref().is_some_and(|log| log.is_revoked(marks, iat, now))
    }

    /// How old what is known is: nothing in normal times, and none before the list has been read
    /// once.
    #[must_use]
    pub fn staleness(&self, now: Instant) -> Option<Duration> {
        self.freshness.staleness(now)
    }

    /// Whether what is known is no older than `most`.
    #[must_use]
    pub fn is_fresh(&self, now: Instant, most: Duration) -> bool {
        self.staleness(now).is_some_and(|age| age <= most)
    }
}
