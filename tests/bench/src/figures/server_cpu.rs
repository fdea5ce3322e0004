//! What a thousand Envoys without requests cost the server.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use tokio::time::{Instant, sleep};

use super::crowd::{Crowd, EXCHANGES};
use super::rig::FeedServer;
use crate::cpu::{self, TICK_MICROS};
use crate::database::Revoked;
use crate::launcher::Launcher;
use crate::reading::{Reading, Section};

/// The server reads its store once in this time although nobody calls it; see `feed`'s settings.
const SAFETY_INTERVAL: Duration = Duration::from_secs(30);
/// So many safety reads begin in a window as long as their interval, at most.
const READS_AT_MOST: f64 = 2.0;
const CPU_AT_MOST_PERCENT: f64 = 5.0;
/// For those that ask every second: a thousand questions each.
const POLLED: Duration = Duration::from_secs(10);
const POLL_MS: u32 = 1_000;
const READS: &str = "postern_feed_store_reads_total";

/// What a server did in a while.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Window {
    seconds: f64,
    cpu_seconds: f64,
    exchanges: f64,
    reads: f64,
}

/// Measures those that wait, and those that ask every second.
pub async fn measure(launcher: &Launcher, figure: &str) -> Result<Section> {
    let folder = launcher.folder_of(figure)?;
    let home = folder.join("server");
    let mut server = Box::pin(FeedServer::start(launcher, &home, Revoked::Nobody)).await?;
    let (waiting, note) = watch(launcher, &folder, &mut server, None, SAFETY_INTERVAL).await?;
    let polled = watch(launcher, &folder, &mut server, Some(POLL_MS), POLLED).await;
    let (polling, _) = polled?;
    server.check()?;
    let section = Section::of(readings(figure, waiting, polling));
    Ok(match note {
        Some(note) => section.note(format!("{figure}: {note}")),
        None => section,
    })
}

async fn watch(
    launcher: &Launcher,
    folder: &Path,
    server: &mut FeedServer,
    poll_ms: Option<u32>,
    window: Duration,
) -> Result<(Window, Option<String>)> {
    let mut crowd = Crowd::gather(launcher, folder, server, poll_ms).await?;
    eprintln!("  watching the server for {} s", window.as_secs());
    let before = server.metrics().await?;
    let (began, ticks) = (Instant::now(), cpu::ticks(server.process.pid())?);
    sleep(window).await;
    let used = cpu::ticks(server.process.pid())?.saturating_sub(ticks);
    let seconds = began.elapsed().as_secs_f64();
    let after = server.metrics().await?;
    crowd.check()?;
    let grown = |name: &str| after.sum(name) - before.sum(name);
    let window = Window {
        seconds,
        cpu_seconds: used as f64 * f64::from(TICK_MICROS) / 1e6,
        exchanges: grown(EXCHANGES),
        reads: grown(READS),
    };
    Ok((window, crowd.note()))
}

fn readings(figure: &str, waiting: Window, polling: Window) -> Vec<Reading> {
    let of = |mode: &str, what: &str, unit: &'static str, value: f64| {
        Reading::new(format!("{figure}.{mode}.{what}"), unit, value)
    };
    let percent = |window: Window| window.cpu_seconds / window.seconds * 100.0;
    let rate = |window: Window| window.exchanges / window.seconds;
    vec![
        of("long_poll", "cpu", "% of a core", percent(waiting)).at_most(CPU_AT_MOST_PERCENT),
        of("long_poll", "exchanges", "a second", rate(waiting)),
        // Those of the loader, which asks whether it has missed anything: an Envoy's question
        // never reads the store.
        of("long_poll", "store_reads", "in half a minute", waiting.reads).at_most(READS_AT_MOST),
        of("poll_1s", "cpu", "% of a core", percent(polling)),
        of("poll_1s", "exchanges", "a second", rate(polling)),
        of("poll_1s", "store_reads", "in ten seconds", polling.reads),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_is_a_share_of_the_time() {
        let waiting = Window { seconds: 30.0, cpu_seconds: 0.6, exchanges: 3_300.0, reads: 1.0 };
        let polling = Window { seconds: 10.0, cpu_seconds: 1.0, exchanges: 10_000.0, reads: 0.0 };
        let section = Section::of(readings("f", waiting, polling));
        let values: Vec<_> = section.json().map(|json| json["value"].as_f64().unwrap()).collect();
        assert_eq!(values, [2.0, 110.0, 1.0, 10.0, 1_000.0, 0.0]);
        assert!(!section.is_missed());
        let busy = Window { cpu_seconds: 1.6, ..waiting };
        assert!(Section::of(readings("f", busy, polling)).is_missed());
        let called = Window { reads: 3.0, ..waiting };
        assert!(Section::of(readings("f", called, polling)).is_missed());
    }
}
