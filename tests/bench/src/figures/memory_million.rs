//! What a million revocations take in an Envoy of four workers, and whether requests wait while
//! it takes them over.
//!
//! One Envoy hears a server without revocations first, and then, by a relay that is pointed
//! elsewhere, one with a million: to the Envoy another store, whose set it takes from the
//! beginning. So what it grows by is the set, and nothing else.

use std::time::Duration;

use anyhow::Result;
use postern_e2e::keys::Token;
use tokio::time::sleep;

use super::probe::{EVERY, Probe, Waits};
use super::relay::Relay;
use super::rig::{FeedServer, GatewayPlan, WORKERS};
use crate::connection::{request, spread};
use crate::database::Revoked;
use crate::documents::{self, Guard};
use crate::launcher::Launcher;
use crate::memory::{self, Memory, grown, megabytes};
use crate::reading::{Reading, Section};

/// In millions of bytes, in the end and at the peak.
const GROWS_AT_MOST: f64 = 60.0;
/// For as long as a snapshot takes, about, nothing happens, to compare with.
const BEFORE: Duration = Duration::from_secs(8);
/// After the elected VM has the set, the others have read it, and the peak is over.
const AFTER: Duration = Duration::from_secs(2);

/// Measures memory and waits.
pub async fn measure(launcher: &Launcher, figure: &str) -> Result<Section> {
    let folder = launcher.folder_of(figure)?;
    let (empty, full) = (folder.join("empty"), folder.join("full"));
    let mut empty = Box::pin(FeedServer::start(launcher, &empty, Revoked::Nobody)).await?;
    let mut full = Box::pin(FeedServer::start(launcher, &full, Revoked::Million)).await?;
    let relay = Relay::to(empty.ports.grpc).await?;
    let plan = GatewayPlan {
        folder: &folder.join("gateway"),
        guard: Guard::TokenAndRevocation,
        server: Some(relay.port()),
        workers: WORKERS,
    };
    let mut gateway = Box::pin(plan.start(launcher)).await?;
    let pid = gateway.process.pid();

    let token = Token::of(figure).scope("content.read").sign();
    let request = request(&documents::path(0), &token);
    let mut connections = spread(gateway.ports, WORKERS, 1).await?;
    for connection in &mut connections {
        connection.until_good(&request).await?;
    }
    let mut probe = Probe::over(connections, request);
    eprintln!("  nobody is revoked");
    let nothing = async {
        sleep(BEFORE).await;
        anyhow::Ok(())
    };
    let ((), quiet) = Box::pin(probe.during(nothing)).await?;

    let before = memory::of(pid)?;
    memory::forget_peak(pid)?;
    eprintln!("  a million are revoked");
    let snapshot = async {
        relay.point_to(full.ports.grpc);
        // Whoever waits for news has everything.
        full.until_waiting(1).await?;
        sleep(AFTER).await;
        anyhow::Ok(())
    };
    let ((), busy) = Box::pin(probe.during(snapshot)).await?;
    let after = memory::of(pid)?;

    for server in [&mut empty, &mut full] {
        server.check()?;
    }
    gateway.process.check()?;
    let note = format!(
        "{figure}: waits are those of one request every {} ms to each of {WORKERS} workers, and \
         hold whatever else kept this machine's cores",
        EVERY.as_millis()
    );
    Ok(Section::of(readings(figure, (before, after), (quiet, busy))).note(note))
}

fn readings(
    figure: &str,
    (before, after): (Memory, Memory),
    (quiet, busy): (Waits, Waits),
) -> Vec<Reading> {
    let of = |what: &str, unit: &'static str, value: f64| {
        Reading::new(format!("{figure}.{what}"), unit, value)
    };
    let grown_to = |what: &str, bytes: u64| {
        of(what, "MB more", grown(before.now, bytes)).at_most(GROWS_AT_MOST)
    };
    vec![
        of("empty", "MB", megabytes(before.now)),
        grown_to("after", after.now),
        grown_to("peak", after.peak),
        of("wait_p999", "ms", busy.p999_ms).beside(quiet.p999_ms),
        of("wait_max", "ms", busy.max_ms).beside(quiet.max_ms),
        of("wait_max_more", "ms", busy.max_ms - quiet.max_ms),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_to_the_empty_set() {
        let before = Memory { now: 120_000_000, peak: 400_000_000 };
        let after = Memory { now: 160_000_000, peak: 181_000_000 };
        let quiet = Waits { p999_ms: 2.0, max_ms: 5.0 };
        let busy = Waits { p999_ms: 3.0, max_ms: 9.0 };
        let section = Section::of(readings("f", (before, after), (quiet, busy)));
        let values: Vec<_> = section.json().map(|json| json["value"].as_f64().unwrap()).collect();
        assert_eq!(values, [120.0, 40.0, 61.0, 3.0, 9.0, 4.0]);
        assert!(section.is_missed(), "at the peak");
    }
}
