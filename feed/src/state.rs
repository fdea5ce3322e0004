//! What the server knows, shared by the loader, the exchange and `ext_authz`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, ArcSwapOption};

use crate::freshness::Freshness;
use crate::keys::KeySets;
use crate::log::RevocationLog;
use crate::news::News;
use crate::settings::{Reading, Settings, SettingsError};

/// What the server knows.
pub struct FeedState {
    settings: ArcSwap<Settings>,
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
        check(&settings)?;
        let news = Arc::new(News::new());
        Ok(Arc::new(Self {
            freshness: Freshness::new(longest_silence(&settings.reading)),
            keys: KeySets::new(Arc::clone(&news)),
            log: ArcSwapOption::empty(),
            news,
            settings: ArcSwap::from_pointee(settings),
        }))
    }

    /// Goes by other settings from now on. What is kept, and how often peers may ask, stays as it
    /// was at the start.
    ///
    /// # Errors
    /// The first of [`Settings::problems`]; nothing is changed then.
    pub fn follow(&self, settings: Settings) -> Result<(), SettingsError> {
        check(&settings)?;
        let before = self.settings();
        let settings =
            Settings { bounds: before.bounds, quotas: before.quotas.clone(), ..settings };
        self.freshness.expect(longest_silence(&settings.reading));
        self.settings.store(Arc::new(settings));
        Ok(())
    }

    /// The settings that hold now.
    pub(crate) fn settings(&self) -> Arc<Settings> {
        self.settings.load_full()
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

fn check(settings: &Settings) -> Result<(), SettingsError> {
    settings.problems().into_iter().next().map_or(Ok(()), Err)
}

/// A loader reads once in a safety interval, and may have to try twice.
fn longest_silence(reading: &Reading) -> Duration {
    (reading.safety_interval + reading.timeout) * 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Answers, Bounds};

    #[test]
    fn other_settings_are_followed_but_for_what_was_built_by_the_first() {
        let state = FeedState::new(Settings::default()).unwrap();
        let answers = Answers { poll_interval: Duration::from_millis(200), ..Answers::default() };
        let bounds = Bounds { max_records: 1, ..Bounds::default() };
        state.follow(Settings { answers, bounds, ..Settings::default() }).unwrap();
        let now = state.settings();
        assert_eq!(now.answers.poll_interval, Duration::from_millis(200));
        assert_eq!(now.bounds, Bounds::default());
        let answers = Answers { poll_interval: Duration::ZERO, ..Answers::default() };
        assert!(state.follow(Settings { answers, ..Settings::default() }).is_err());
        assert_eq!(state.settings(), now);
    }
}
