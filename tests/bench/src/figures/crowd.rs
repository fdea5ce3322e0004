//! A thousand Envoys without requests, beside those that are real.

use std::fs;
use std::path::Path;

use anyhow::Result;
use postern_e2e::ports;

use super::rig::FeedServer;
use crate::launcher::Launcher;
use crate::process::Running;

/// How many, where there can be so many.
const CLIENTS: u32 = 1_000;
/// Files that their process, or the server, has open for other things.
const SPARE_FILES: u32 = 200;
/// In thousandths: some are always between two questions.
const WAITING_SHARE: u32 = 950;
/// Each of those that do not wait has asked so often before anything is measured.
const ROUNDS: f64 = 3.0;

/// Simulated Envoys, until they are dropped.
#[derive(Debug)]
pub struct Crowd {
    process: Running,
    size: u32,
}

impl Crowd {
    /// Starts them, and waits until all are at work. They wait for news, or ask every
    /// `poll_ms`. Nobody else must ask meanwhile.
    pub async fn gather(
        launcher: &Launcher,
        folder: &Path,
        server: &mut FeedServer,
        poll_ms: Option<u32>,
    ) -> Result<Self> {
        let size = affordable();
        let mut arguments = vec![
            "--server".to_owned(),
            ports::local(server.ports.grpc).to_string(),
            "--clients".to_owned(),
            size.to_string(),
        ];
        if let Some(poll_ms) = poll_ms {
            arguments.extend(["--poll-ms".to_owned(), poll_ms.to_string()]);
        }
        let asked = server.metrics().await?.sum(EXCHANGES);
        let process = launcher.own_in_background(folder, "feed-clients", &arguments)?;
        let mut crowd = Self { process, size };
        match poll_ms {
            None => server.until_waiting(size * WAITING_SHARE / 1_000).await?,
            Some(_) => {
                let enough = asked + ROUNDS * f64::from(size);
                server.until(|metrics| metrics.sum(EXCHANGES) >= enough).await?;
            }
        }
        crowd.check()?;
        Ok(crowd)
    }

    /// That none has given up.
    pub fn check(&mut self) -> Result<()> {
        self.process.check()
    }

    /// What to say when there are fewer than there should be.
    pub fn note(&self) -> Option<String> {
        let size = self.size;
        (size < CLIENTS).then(|| {
            format!("{size} simulated Envoys instead of {CLIENTS}: more files may not be open")
        })
    }
}

/// What the server counts them by.
pub const EXCHANGES: &str = "postern_feed_exchanges_total";

/// As many as this process, and those that it starts, may have open connections.
fn affordable() -> u32 {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let files = open_files(&limits).unwrap_or(u32::MAX);
    files.saturating_sub(SPARE_FILES).clamp(1, CLIENTS)
}

/// `Max open files  SOFT  HARD  files`; none where there is no limit.
fn open_files(limits: &str) -> Option<u32> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_files_is_read() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units\n\
                      Max processes             100                  100                  processes\n\
                      Max open files            1024                 524288               files\n";
        assert_eq!(open_files(limits), Some(1024));
        assert_eq!(open_files("Max open files   unlimited   unlimited   files"), None);
        assert!((1..=CLIENTS).contains(&affordable()));
    }
}
