//! What a server that counts in memory grows by for every key that it counts.

use std::time::Duration;

use anyhow::{Result, bail};
use postern_e2e::ports;
use tokio::time::sleep;

use crate::cli::RlsLoad;
use crate::cpu::Place;
use crate::documents::Guard;
use crate::launcher::Launcher;
use crate::load::{calls, run_to_end};
use crate::memory::{self, megabytes};
use crate::rate_limits::{self, MOST_KEYS};
use crate::reading::{Reading, Section};
use crate::station;

/// Keys at both times: in the end, the second so many.
const KEYS: [(&str, u32); 2] = [("100k", 100_000), ("1m", 1_000_000)];
const BYTES_AT_MOST: f64 = 250.0;
/// Before anything is measured, connections and whatever else does not depend on keys are there.
/// Keys of its own, too few to count.
const WARM_UP_KEYS: u32 = 64;
const WARM_UP_SECS: u32 = 2;
/// The server lets go of what requests needed.
const SETTLED: Duration = Duration::from_secs(1);
/// The longest that a load may take.
const LONGEST: Duration = Duration::from_secs(600);

/// Measures memory before, in between and after.
pub async fn measure(launcher: &Launcher, figure: &str) -> Result<Section> {
    let folder = launcher.folder_of(figure)?;
    let document = Guard::Token.write(&folder)?;
    let more = rate_limits::write(&folder)?;
    let options = station::options(&folder, &document, "memory", None);
    let (mut process, ports) = launcher.postern(&options, &more, Place::Anywhere).await?;
    let (pid, server) = (process.pid(), ports::local(ports.grpc));

    let first_key = MOST_KEYS - WARM_UP_KEYS;
    let keys = WARM_UP_KEYS;
    send(launcher, &RlsLoad { first_key, keys, ..RlsLoad::of(server, WARM_UP_SECS) }).await?;
    sleep(SETTLED).await;
    let empty = memory::of(pid)?.now;
    let (mut sizes, mut sent) = (Vec::new(), 0);
    for (_, keys) in KEYS {
        eprintln!("  {keys} keys");
        send(launcher, &RlsLoad::once(server, sent, keys - sent)).await?;
        sent = keys;
        sleep(SETTLED).await;
        sizes.push(memory::of(pid)?.now);
    }
    process.check()?;
    let note = format!("{figure}: growth of all that the server has in memory, by the kernel");
    Ok(Section::of(readings(figure, empty, &sizes)).note(note))
}

/// Every call must be answered, and with OK: what is refused may be counted nowhere.
async fn send(launcher: &Launcher, load: &RlsLoad) -> Result<()> {
    let outcome = run_to_end(calls(launcher, load, Place::Anywhere), LONGEST).await?;
    outcome.check()?;
    if outcome.bad_status > 0 || (load.once && outcome.requests != u64::from(load.keys)) {
        bail!("{} keys were not all counted: {outcome:?}", load.keys);
    }
    Ok(())
}

fn readings(figure: &str, empty: u64, sizes: &[u64]) -> Vec<Reading> {
    let grown = KEYS.iter().zip(sizes).map(|((name, keys), size)| {
        let each = (*size as f64 - empty as f64) / f64::from(*keys);
        Reading::new(format!("{figure}.{name}"), "bytes a key", each).at_most(BYTES_AT_MOST)
    });
    let empty = Reading::new(format!("{figure}.empty"), "MB", megabytes(empty));
    std::iter::once(empty).chain(grown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_shared_by_the_keys() {
        let readings = |sizes| Section::of(readings("f", 20_000_000, sizes));
        let good = readings(&[42_000_000, 220_000_000]);
        let values: Vec<_> = good.json().map(|json| json["value"].as_f64().unwrap()).collect();
        assert_eq!(values, [20.0, 220.0, 200.0]);
        assert!(!good.is_missed());
        assert!(readings(&[42_000_000, 280_000_000]).is_missed());
        assert!(readings(&[52_000_000, 220_000_000]).is_missed());
        assert!(!readings(&[10_000_000, 220_000_000]).is_missed(), "less than before");
    }

    #[test]
    fn no_key_is_one_of_the_warm_up() {
        let most = KEYS.iter().map(|(_, keys)| *keys).max();
        assert!(most.is_some_and(|most| most <= MOST_KEYS - WARM_UP_KEYS));
    }
}
