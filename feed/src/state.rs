//! What the server knows, shared by the loader, the exchange and `ext_authz`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;

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

    /// The log in use; none before the durable list has been read once. Whoever asks it about a
    /// token makes the marks with its own key: another log may be in use a moment later.
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
