//! What a server has in memory that tells an Envoy of a thousand services, each of ten instances.

use std::time::Duration;

use anyhow::Result;
use tokio::time::sleep;

use super::answering::Answering;
use super::discovered::{CROWD, Discovered, EACH};
use crate::launcher::Launcher;
use crate::memory::{self, Memory, megabytes};
use crate::reading::{Reading, Section};

/// In millions of bytes, also at the peak.
const AT_MOST_MB: f64 = 300.0;
/// An instance comes and goes so often, with this pause after each change: Envoy is told each
/// time.
const CHANGES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(500);

/// Measures once Envoy has everything, and while something changes.
pub async fn measure(launcher: &Launcher, figure: &str) -> Result<Section> {
    let folder = launcher.folder_of(figure)?;
    let service = Answering::with(200, "").await?;
    let started = Discovered::start(launcher, &folder, CROWD, service.port());
    let mut discovered = Box::pin(started).await?;
    let pid = discovered.server.process.pid();
    let before = memory::of(pid)?;
    eprintln!("  {CHANGES} changes");
    for change in 0..CHANGES {
        if change.is_multiple_of(2) {
            discovered.register("comes", service.port()).await?;
        } else {
            discovered.deregister("comes").await?;
        }
        sleep(PAUSE).await;
    }
    let after = memory::of(pid)?;
    discovered.check()?;
    let note = format!(
        "{figure}: since the server has begun; {CROWD} services that a registry finds, {EACH} \
         instances each, one Envoy that has all of them, {CHANGES} changes"
    );
    Ok(Section::of(readings(figure, before, after)).note(note))
}

fn readings(figure: &str, before: Memory, after: Memory) -> Vec<Reading> {
    let of =
        |what: &str, bytes: u64| Reading::new(format!("{figure}.{what}"), "MB", megabytes(bytes));
    vec![
        of("before", before.now),
        of("after", after.now),
        of("peak", after.peak).at_most(AT_MOST_MB),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_has_the_bound() {
        let memory = |now, peak| Memory { now, peak };
        let section = |peak| {
            let (before, after) = (memory(90_000_000, 100_000_000), memory(95_000_000, peak));
            Section::of(readings("f", before, after))
        };
        assert!(!section(300_000_000).is_missed());
        assert!(section(300_100_000).is_missed());
        let values: Vec<_> =
            section(120_000_000).json().map(|json| json["value"].as_f64().unwrap()).collect();
        assert_eq!(values, [90.0, 95.0, 120.0]);
    }
}
