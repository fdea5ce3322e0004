//! How long a revoked token is still taken: from the commit until every worker refuses it.
//!
//! Two Envoys of four workers hear one server: one waits for news, one asks every second. Each
//! worker of each is watched over connections of its own, which begin to look at the commit. So
//! one row of revocations gives both modes' latencies.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use postern_e2e::keys::Token;
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::board::{Board, Refusal, Told};
use super::crowd::Crowd;
use super::revoker::Revoker;
use super::rig::{FeedServer, Gateway, GatewayPlan, WORKERS};
use crate::connection::{Connection, request, spread};
use crate::database::Revoked;
use crate::documents::{self, Guard};
use crate::launcher::Launcher;
use crate::reading::Section;

/// Each of another subject.
const REVOCATIONS: usize = 200;
/// Connections to each worker.
const EACH: usize = 4;
/// How often a connection looks: no latency is known better.
const LOOK: Duration = Duration::from_millis(10);
/// How often it says how far it has got.
const SAID: usize = 50;

/// How Envoys hear of news, and how soon all workers must have.
struct Mode {
    name: &'static str,
    guard: Guard,
    p99_at_most_ms: f64,
}

/// The first one sets the pace: the next revocation comes when it has heard of this one.
const MODES: [Mode; 2] = [
    Mode { name: "long_poll", guard: Guard::TokenAndRevocation, p99_at_most_ms: 300.0 },
    Mode { name: "poll_1s", guard: Guard::TokenAndPolledRevocation, p99_at_most_ms: 2_000.0 },
];

/// What there is beside the revocations.
pub struct Conditions {
    /// Who is revoked already.
    revoked: Revoked,
    /// Whether a thousand other Envoys wait for the same news.
    crowded: bool,
    /// The shortest pause between two revocations. A thousand Envoys come back after each.
    pause_ms: f64,
}

/// Nothing.
pub const ALONE: Conditions =
    Conditions { revoked: Revoked::Nobody, crowded: false, pause_ms: 50.0 };
/// A large deployment.
pub const LOADED: Conditions =
    Conditions { revoked: Revoked::Million, crowded: true, pause_ms: 150.0 };
/// Pauses differ by up to so much, so that none falls into step with anybody's ticks.
const PAUSES_DIFFER_MS: f64 = 200.0;

/// Measures both modes.
pub async fn measure(
    launcher: &Launcher,
    figure: &str,
    conditions: &Conditions,
) -> Result<Section> {
    let folder = launcher.folder_of(figure)?;
    let home = folder.join("server");
    let mut server = Box::pin(FeedServer::start(launcher, &home, conditions.revoked)).await?;
    let mut crowd = None;
    if conditions.crowded {
        crowd = Some(Crowd::gather(launcher, &folder, &mut server, None).await?);
    }
    let mut gateways = Vec::with_capacity(MODES.len());
    for Mode { name, guard, .. } in &MODES {
        let plan = GatewayPlan {
            folder: &folder.join(name),
            guard: *guard,
            server: Some(server.ports.grpc),
            workers: WORKERS,
        };
        gateways.push(Box::pin(plan.start(launcher)).await?);
    }
    let row = Row::of(figure);
    eprintln!("  all workers get to know {REVOCATIONS} tokens");
    let mut connections = Vec::with_capacity(MODES.len());
    for gateway in &gateways {
        connections.push(row.warm(gateway).await?);
    }
    let revoker = Revoker::beside(&server.database, server.redis_port).await?;
    let board = Box::pin(row.revoke(&revoker, connections, conditions.pause_ms)).await?;
    server.check()?;
    for gateway in &mut gateways {
        gateway.process.check()?;
    }
    if let Some(crowd) = &mut crowd {
        crowd.check()?;
    }

    let mut section = Section::default();
    for (gateway, mode) in MODES.iter().enumerate() {
        let name = format!("{figure}.{}", mode.name);
        let times = Section::of_times(&name, &board.latencies_ms(gateway), mode.p99_at_most_ms);
        section.extend(times.context("nothing was revoked")?);
    }
    let note = format!(
        "{figure}: from the commit until the last of {} connections ({EACH} to each of {WORKERS} \
         workers) was refused; each looks every {} ms",
        EACH * usize::try_from(WORKERS)?,
        LOOK.as_millis()
    );
    let section = section.note(note);
    Ok(match crowd.and_then(|crowd| crowd.note()) {
        Some(note) => section.note(format!("{figure}: {note}")),
        None => section,
    })
}

/// The subjects that are revoked one after the other, and a request of each.
struct Row {
    subjects: Vec<String>,
    requests: Arc<Vec<Vec<u8>>>,
}

impl Row {
    fn of(figure: &str) -> Self {
        let subjects: Vec<String> =
            (0..REVOCATIONS).map(|number| format!("{figure}-{number}")).collect();
        let requests = subjects.iter().enumerate().map(|(number, subject)| {
            let token = Token::of(subject).scope("content.read").sign();
            request(&documents::path(number), &token)
        });
        let requests = Arc::new(requests.collect());
        Self { subjects, requests }
    }

    /// Connections to every worker, over which every token has been taken: each worker
    /// remembers all of them by now.
    async fn warm(&self, gateway: &Gateway) -> Result<Vec<Connection>> {
        let mut warming = JoinSet::new();
        for mut connection in spread(gateway.ports, WORKERS, EACH).await? {
            let requests = Arc::clone(&self.requests);
            warming.spawn(async move {
                for request in requests.iter() {
                    connection.until_good(request).await?;
                }
                anyhow::Ok(connection)
            });
        }
        let mut warm = Vec::new();
        while let Some(connection) = warming.join_next().await {
            warm.push(connection.context("a connection's task")??);
        }
        Ok(warm)
    }

    /// Revokes one subject after the other, and watches all connections meanwhile.
    async fn revoke(
        &self,
        revoker: &Revoker,
        gateways: Vec<Vec<Connection>>,
        pause_ms: f64,
    ) -> Result<Board> {
        let each = gateways.first().map_or(0, Vec::len);
        let mut board = Board::new(gateways.len(), each, REVOCATIONS);
        let (tell, mut told) = mpsc::unbounded_channel();
        let (count, counted) = watch::channel(0);
        // Watchers end with this value.
        let mut watchers = JoinSet::new();
        for (gateway, connections) in gateways.into_iter().enumerate() {
            for connection in connections {
                let requests = Arc::clone(&self.requests);
                let (counted, tell) = (counted.clone(), tell.clone());
                watchers.spawn(watch_one(connection, gateway, requests, counted, tell));
            }
        }
        drop(tell);
        for (revocation, subject) in self.subjects.iter().enumerate() {
            let committed = revoker.commit(subject).await?;
            board.committed(committed.at);
            count.send_replace(revocation + 1);
            revoker.tell(&committed).await?;
            board.until_refused(&mut told, 0, revocation).await?;
            if (revocation + 1).is_multiple_of(SAID) {
                eprintln!("  {} of {REVOCATIONS} revoked", revocation + 1);
            }
            sleep(pause(revocation, pause_ms)).await;
        }
        // Whoever has refused the last one has refused all of them.
        for gateway in 0..MODES.len() {
            board.until_refused(&mut told, gateway, REVOCATIONS - 1).await?;
        }
        Ok(board)
    }
}

/// Between two rounds: multiples of the golden ratio spread evenly, and in no order.
pub(super) fn pause(round: usize, least_ms: f64) -> Duration {
    const GOLDEN: f64 = 0.618_033_988_749_895;
    let part = (round as f64 * GOLDEN).fract();
    Duration::from_secs_f64((least_ms + part * PAUSES_DIFFER_MS) / 1e3)
}

/// Tells the refusals that one connection sees, or why it sees none.
async fn watch_one(
    mut connection: Connection,
    gateway: usize,
    requests: Arc<Vec<Vec<u8>>>,
    mut counted: watch::Receiver<usize>,
    tell: UnboundedSender<Told>,
) {
    for (revocation, request) in requests.iter().enumerate() {
        // Before the commit there is nothing to see; without a sender, nobody to tell.
        if counted.wait_for(|count| *count > revocation).await.is_err() {
            return;
        }
        let told = refused(&mut connection, request).await;
        let gave_up = told.is_err();
        let refusal = told.map(|at| Refusal { gateway, revocation, at });
        if tell.send(refusal).is_err() || gave_up {
            return;
        }
    }
}

/// Sends a request until it is refused; when it was.
async fn refused(connection: &mut Connection, request: &[u8]) -> Result<Instant> {
    loop {
        match connection.send(request).await? {
            401 => return Ok(Instant::now()),
            200 => sleep(LOOK).await,
            other => bail!("{other} instead of 200 or 401"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_lie_within_their_bounds_and_differ() {
        let pauses: Vec<u128> =
            (0..REVOCATIONS).map(|revocation| pause(revocation, 50.0).as_millis()).collect();
        assert!(pauses.iter().all(|pause| (50..250).contains(pause)));
        for from in [50, 100, 150, 200] {
            let share = pauses.iter().filter(|pause| (from..from + 50).contains(*pause)).count();
            assert!((45..=55).contains(&share), "{from}: {share}");
        }
    }
}
