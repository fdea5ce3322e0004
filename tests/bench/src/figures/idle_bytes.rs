//! What an Envoy without requests sends and receives to be told that there is nothing new.
//!
//! A real Envoy behind a relay that counts. So everything is in it that TCP carries: HTTP/2's
//! frames and headers, gRPC's framing, the messages, the pings that keep the connection. What TCP
//! and IP add of their own is not.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use postern_e2e::keys::Token;
use tokio::time::{Instant, sleep};

use super::relay::{Bytes, Relay};
use super::rig::{FeedServer, GatewayPlan};
use crate::connection::{Connection, request};
use crate::database::Revoked;
use crate::documents::{self, Guard};
use crate::launcher::Launcher;
use crate::reading::{Reading, Section};

const HOUR_SECS: f64 = 3600.0;
/// How often it looks whether something has come.
const LOOK: Duration = Duration::from_millis(50);
/// An answer is longer than this, a ping of HTTP/2 (17 bytes) or two are not.
const LEAST_ANSWER: u64 = 40;
/// So long after an answer the next question is asked, where it is asked at once, and nothing
/// else goes on.
const QUIET: Duration = Duration::from_millis(300);
/// The longest between two answers.
const LONGEST: Duration = Duration::from_secs(30);

/// How the Envoy asks, and over how many answers it is counted.
struct Mode {
    name: &'static str,
    guard: Guard,
    answers: u32,
}

const LONG_POLL: Mode = Mode { name: "long_poll", guard: Guard::TokenAndRevocation, answers: 2 };
const POLL: Mode = Mode { name: "poll_1s", guard: Guard::TokenAndPolledRevocation, answers: 15 };

/// Measures both modes side by side.
pub async fn measure(launcher: &Launcher, figure: &str) -> Result<Section> {
    let folder = launcher.folder_of(figure)?;
    let home = folder.join("server");
    let mut server = Box::pin(FeedServer::start(launcher, &home, Revoked::Nobody)).await?;
    let port = server.ports.grpc;
    let (long_poll, poll) = tokio::join!(
        Box::pin(one(launcher, figure, &folder, port, &LONG_POLL)),
        Box::pin(one(launcher, figure, &folder, port, &POLL)),
    );
    server.check()?;
    let mut section = long_poll?;
    section.extend(poll?);
    Ok(section
        .note(format!("{figure}: both directions of TCP's payload, without what TCP and IP add")))
}

async fn one(
    launcher: &Launcher,
    figure: &str,
    folder: &Path,
    server: u16,
    mode: &Mode,
) -> Result<Section> {
    let relay = Relay::to(server).await?;
    let plan = GatewayPlan {
        folder: &folder.join(mode.name),
        guard: mode.guard,
        server: Some(relay.port()),
        workers: 1,
    };
    let mut gateway = plan.start(launcher).await?;
    let token = Token::of(figure).scope("content.read").sign();
    let mut connection = Connection::open(gateway.ports.listen).await?;
    connection.until_good(&request(&documents::path(0), &token)).await?;
    drop(connection);

    // From one quiet moment to another: as many questions as answers lie between them.
    quiet_after_answer(&relay).await?;
    let (began, before) = (Instant::now(), relay.bytes());
    for _ in 0..mode.answers {
        quiet_after_answer(&relay).await?;
    }
    let (took, after) = (began.elapsed(), relay.bytes());
    gateway.process.check()?;
    Ok(readings(figure, mode, before, after, took))
}

/// Waits for the next answer, and for what follows it.
async fn quiet_after_answer(relay: &Relay) -> Result<()> {
    let began = Instant::now();
    let before = relay.bytes().down;
    while relay.bytes().down < before + LEAST_ANSWER {
        if began.elapsed() >= LONGEST {
            bail!("no answer to an Envoy within {} s", LONGEST.as_secs());
        }
        sleep(LOOK).await;
    }
    sleep(QUIET).await;
    Ok(())
}

fn readings(figure: &str, mode: &Mode, before: Bytes, after: Bytes, took: Duration) -> Section {
    let bytes = (after.up - before.up) + (after.down - before.down);
    let reading = |name: &str, value: f64| {
        Reading::new(format!("{figure}.{}.{name}", mode.name), "bytes", value)
    };
    let each = bytes as f64 / f64::from(mode.answers);
    let an_hour = bytes as f64 / took.as_secs_f64() * HOUR_SECS;
    Section::of(vec![reading("exchange", each), reading("hour", an_hour)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_those_of_both_directions() {
        let (before, after) = (Bytes { up: 100, down: 10 }, Bytes { up: 400, down: 110 });
        let section = readings("f", &LONG_POLL, before, after, Duration::from_secs(20));
        let values: Vec<_> = section.json().map(|json| json["value"].as_f64().unwrap()).collect();
        assert_eq!(values, [200.0, 72_000.0]);
    }
}
