//! The rules in use, and how they are kept current: files are read again when they change,
//! checked first, and applied whole or not at all. What was good stays until something better
//! comes.

mod files;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use postern_descriptors::{Descriptors, Problem};
use postern_files::Watched;
use tokio::time::MissedTickBehavior;

use self::files::Content;
use crate::metrics::Metrics;

/// How often the files are looked at. What is looked at are names, sizes and times; nothing is
/// read that has not changed.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Problems that are logged one by one.
const MAX_LOGGED: usize = 50;

/// The rules in use.
pub struct Configuration {
    merge_domains: bool,
    current: ArcSwap<Descriptors>,
    seen: Mutex<Seen>,
}

/// What was found last, good or bad.
struct Seen {
    files: Watched,
    content: [u8; 32],
}

/// What another look has brought.
#[derive(Debug, PartialEq, Eq)]
pub enum Refreshed {
    /// Nothing new.
    Unchanged,
    /// New rules, in use from now on.
    Applied,
    /// Something new that cannot be used, for each of these. The rules of before stay.
    Refused(Vec<Problem>),
}

impl Configuration {
    /// Reads a file, or every `*.yaml` and `*.yml` file of a folder. A domain stands in one file
    /// only, unless `merge_domains`.
    ///
    /// # Errors
    /// Every problem of all files.
    pub fn load(place: &Path, merge_domains: bool) -> Result<Self, Vec<Problem>> {
        let mut files = Watched::new(place.to_owned());
        // The first look always reads.
        let content = look(&mut files).unwrap_or_else(|| Content::read(place));
        let found = Seen { content: content.digest(), files };
        let rules = parse(content, merge_domains)?;
        Ok(Self { merge_domains, current: ArcSwap::from_pointee(rules), seen: Mutex::new(found) })
    }

    /// The rules in use. One answer uses one set of them, whatever comes meanwhile.
    #[must_use]
    pub fn current(&self) -> Arc<Descriptors> {
        self.current.load_full()
    }

    /// Looks at the files, and takes over what has changed. It waits for the file system.
    pub fn refresh(&self) -> Refreshed {
        let mut seen = self.seen();
        let was_overdue = seen.files.is_overdue();
        let Some(content) = look(&mut seen.files) else {
            if seen.files.is_overdue() && !was_overdue {
                tracing::warn!(
                    "the rate limit configuration is written to again and again, and is another \
                     one each time: the rules of before stay"
                );
            }
            return Refreshed::Unchanged;
        };
        let digest = content.digest();
        if seen.content == digest {
            return Refreshed::Unchanged;
        }
        // Noted whatever comes of it: a bad file is told once, not every second.
        seen.content = digest;
        match parse(content, self.merge_domains) {
            Ok(rules) => {
                self.current.store(Arc::new(rules));
                Refreshed::Applied
            }
            Err(problems) => Refreshed::Refused(problems),
        }
    }

    /// Keeps the rules current, until it is dropped.
    pub async fn keep_current(self: Arc<Self>, metrics: Metrics) {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            let configuration = Arc::clone(&self);
            let refreshed = tokio::task::spawn_blocking(move || configuration.refresh()).await;
            match refreshed {
                Ok(Refreshed::Applied) => {
                    let rules = self.current().rules().len();
                    tracing::info!(rules, "the rate limit configuration has changed");
                    metrics.applied(rules);
                }
                Ok(Refreshed::Refused(problems)) => {
                    report(&problems);
                    metrics.refused();
                }
                // An error here means that the process is going down.
                Ok(Refreshed::Unchanged) | Err(_) => {}
            }
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn parse(content: Content, merge_domains: bool) -> Result<Descriptors, Vec<Problem>> {
    Descriptors::load(&content.into_sources()?, merge_domains)
}

/// What the files hold, where something about them may have changed.
fn look(files: &mut Watched) -> Option<Content> {
    files.changed(|place| (Content::read(place), Vec::new()))
}

fn report(problems: &[Problem]) {
    let count = problems.len();
    tracing::error!(problems = count, "the changed rate limit configuration is not used");
    for problem in problems.iter().take(MAX_LOGGED) {
        tracing::error!(%problem, "in the rate limit configuration");
    }
}

#[cfg(test)]
mod tests;
