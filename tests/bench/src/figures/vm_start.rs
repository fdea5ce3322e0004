//! What the bundle adds to the start of an Envoy: V8 compiles the module, and every thread gets a
//! VM of it.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use postern_e2e::client::{Call, Client, Protocol};
use postern_e2e::envoy::Ports;
use postern_e2e::ports;
use tokio::time::sleep;

use crate::connection::{Connection, request};
use crate::cpu::{self, Place, TICK_MICROS};
use crate::documents::{self, Guard};
use crate::launcher::{EnvoyRun, Launcher, START};
use crate::reading::{Reading, Section};
use crate::skeleton::{Answers, BUNDLE, Rendered, bootstrap};
use crate::stats::{self, Summary};

/// Alternating runs.
const RUNS: usize = 5;
const WORKERS: u32 = 1;
/// One that tries the module out, one of the main thread.
const OTHER_VMS: u32 = 2;
/// How often an Envoy that starts is asked.
const LOOK: Duration = Duration::from_millis(2);
const EACH_AT_MOST_MS: f64 = 150.0;

/// One start.
#[derive(Debug, Clone, Copy)]
struct Start {
    wall_ms: f64,
    cpu_ms: f64,
    /// Those that were made, as Envoy counts them.
    vms: f64,
}

/// Measures starts with the bundle and without.
pub async fn measure(launcher: &Launcher, figure: &str) -> Result<Section> {
    let folder = launcher.folder_of(figure)?;
    // The feed would be another server's time.
    let document = Guard::TokenAndLocalLimit.write(&folder)?;
    let rendered = Rendered::of(&launcher.parts, &document, &folder, ports::free())?;
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for run in 1..=RUNS {
        let bare = Box::pin(start(launcher, &folder, &rendered, false)).await?;
        let bundle = Box::pin(start(launcher, &folder, &rendered, true)).await?;
        let (bare_ms, bundle_ms) = (bare.wall_ms, bundle.wall_ms);
        eprintln!("  run {run}/{RUNS}: {bundle_ms:.0} ms with the bundle, {bare_ms:.0} without");
        without.push(bare);
        with.push(bundle);
    }
    Ok(Section::of(readings(figure, &with, &without)?))
}

/// Starts an Envoy, until its worker answers a request, and ends it.
async fn start(
    launcher: &Launcher,
    folder: &Path,
    rendered: &Rendered,
    bundle: bool,
) -> Result<Start> {
    let filters = if bundle { vec![rendered.filter(BUNDLE)?] } else { Vec::new() };
    let ports = Ports::free();
    let config = bootstrap(rendered, filters, Vec::new(), Answers::Envoy, ports)?;
    let run = EnvoyRun {
        name: if bundle { "bundle" } else { "bare" },
        folder,
        config: &config,
        ports,
        place: Place::Gateway,
        workers: WORKERS,
    };
    let began = Instant::now();
    let mut envoy = launcher.spawn_envoy(&run)?;
    while answers(ports.listen).await.is_err() {
        envoy.check()?;
        if began.elapsed() >= START {
            bail!("Envoy does not answer within {} s\n{}", START.as_secs(), envoy.tail());
        }
        sleep(LOOK).await;
    }
    let wall_ms = began.elapsed().as_secs_f64() * 1e3;
    let cpu_ms = cpu::ticks(envoy.pid())? as f64 * f64::from(TICK_MICROS) / 1e3;
    let vms = if bundle { vms(ports.admin).await? } else { 0.0 };
    Ok(Start { wall_ms, cpu_ms, vms })
}

/// Whatever it answers: then a worker, with its VM, is there.
async fn answers(port: u16) -> Result<u16> {
    let request = request(&documents::path(0), "none");
    Connection::open(port).await?.send(&request).await
}

/// VMs that were made so far.
async fn vms(admin: u16) -> Result<f64> {
    let call = Call::get("/stats?filter=runtime.v8.created");
    let answer = Client::new(Protocol::Http1, admin).try_send(&call).await;
    let answer = answer.map_err(anyhow::Error::msg).context("reading Envoy's statistics")?;
    // A version that does not count them makes these, at least.
    Ok(read_created(&answer.text()).unwrap_or(f64::from(WORKERS + OTHER_VMS)))
}

/// `wasm.envoy.wasm.runtime.v8.created: COUNT`
fn read_created(stats: &str) -> Option<f64> {
    let (_, count) = stats.lines().find_map(|line| line.rsplit_once("created: "))?;
    count.trim().parse().ok().filter(|count: &f64| *count > 0.0)
}

fn readings(figure: &str, with: &[Start], without: &[Start]) -> Result<Vec<Reading>> {
    let added = |of: &dyn Fn(&Start) -> f64| {
        let values = |starts: &[Start]| starts.iter().map(of).collect::<Vec<f64>>();
        Summary::of(&values(with), &values(without)).context("a start took no time")
    };
    let (wall, cpu) =
        (added(&|start: &Start| start.wall_ms)?, added(&|start: &Start| start.cpu_ms)?);
    let made: Vec<f64> = with.iter().map(|start| start.vms).collect();
    let vms = stats::median(&made).context("no VM was made")?;
    let reading = |what: &str, unit: &'static str, value: f64| {
        Reading::new(format!("{figure}.{what}"), unit, value)
    };
    let differences: Vec<f64> =
        with.iter().zip(without).map(|(with, without)| with.wall_ms - without.wall_ms).collect();
    Ok(vec![
        reading("wall", "ms more", wall.added).made_of(&differences).beside(wall.base),
        reading("cpu", "ms of CPU more", cpu.added).beside(cpu.base),
        reading("vms", "made", vms),
        reading("each", "ms a VM", wall.added / vms).at_most(EACH_AT_MOST_MS),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vms_are_counted_by_envoy() {
        let stats = "wasm.envoy.wasm.runtime.v8.active: 6\nwasm.envoy.wasm.runtime.v8.created: 7\n";
        assert_eq!(read_created(stats), Some(7.0));
        assert_eq!(read_created("wasm.envoy.wasm.runtime.v8.created: 0"), None);
        assert_eq!(read_created(""), None);
    }

    #[test]
    fn what_is_added_is_shared_by_the_vms() {
        let start = |wall_ms, cpu_ms, vms| Start { wall_ms, cpu_ms, vms };
        let with = [start(500.0, 300.0, 4.0), start(900.0, 320.0, 4.0), start(520.0, 310.0, 4.0)];
        let without = [start(100.0, 50.0, 0.0), start(100.0, 50.0, 0.0), start(100.0, 50.0, 0.0)];
        let section = Section::of(readings("f", &with, &without).unwrap());
        let values: Vec<_> = section.json().map(|json| json["value"].as_f64().unwrap()).collect();
        assert_eq!(values, [420.0, 260.0, 4.0, 105.0]);
        assert!(!section.is_missed());
    }
}
