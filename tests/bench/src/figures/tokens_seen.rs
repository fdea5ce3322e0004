//! What an Envoy grows by when it sees ever more tokens, a million in the end, and whether the
//! last ones cost it more than the first: what it remembers is bounded.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::rig::GatewayPlan;
use crate::connection::{Connection, request};
use crate::cpu::{self, TICK_MICROS};
use crate::documents::{self, Guard};
use crate::launcher::Launcher;
use crate::memory::{self, grown, megabytes};
use crate::reading::{Reading, Section};
use crate::tokens;

/// So many are "many". As many again must change nothing, nor must all the others.
const MANY: usize = 100_000;
/// How often so many are sent: a million tokens.
const TIMES: usize = 10;
/// Of all but the first hundred thousand, in millions of bytes: what an allocator may keep or give
/// back.
const NOTHING_MB: f64 = 3.0;
/// CPU time of a request among the last, by that of one among the first: nothing but noise.
const AS_CHEAP: f64 = 1.2;
const CONNECTIONS: usize = 16;
/// Envoy lets go of what requests needed.
const SETTLED: Duration = Duration::from_secs(1);

/// Measures memory before, in between and after.
pub async fn measure(launcher: &Launcher, figure: &str) -> Result<Section> {
    let mut tokens = tokens::unseen(0..MANY);
    let folder = launcher.folder_of(figure)?;
    let plan = GatewayPlan { folder: &folder, guard: Guard::Token, server: None, workers: 1 };
    let mut gateway = Box::pin(plan.start(launcher)).await?;
    let pid = gateway.process.pid();

    let mut connections = Vec::with_capacity(CONNECTIONS);
    for number in 0..CONNECTIONS {
        let mut connection = Connection::open(gateway.ports.listen).await?;
        // Of a subject of its own each, as all others: connections' buffers are there then.
        let token = tokens.get(number).context("too few tokens")?;
        connection.until_good(&request(&documents::path(number), token)).await?;
        connections.push(connection);
    }
    let before = memory::of(pid)?.now;
    let mut rounds = Vec::with_capacity(TIMES);
    for time in 1..=TIMES {
        eprintln!("  sending tokens up to {}", time * MANY);
        let ticks = cpu::ticks(pid)?;
        connections = send_all(connections, tokens).await?;
        let ticks = cpu::ticks(pid)?.saturating_sub(ticks);
        sleep(SETTLED).await;
        rounds.push(Round { size: memory::of(pid)?.now, ticks });
        tokens = tokens::unseen(time * MANY..(time + 1) * MANY);
    }
    gateway.process.check()?;
    Ok(Section::of(readings(figure, before, &rounds)?))
}

/// What an Envoy was after so many more tokens.
#[derive(Debug, Clone, Copy)]
struct Round {
    size: u64,
    /// CPU time that they took.
    ticks: u64,
}

/// Sends each token once, over all of the connections; these again.
async fn send_all(connections: Vec<Connection>, tokens: Vec<String>) -> Result<Vec<Connection>> {
    let tokens = Arc::new(tokens);
    let each = tokens.len().div_ceil(connections.len().max(1));
    let mut sending = JoinSet::new();
    for (number, connection) in connections.into_iter().enumerate() {
        let share = number * each..(number + 1) * each;
        sending.spawn(send_some(connection, Arc::clone(&tokens), share));
    }
    let mut connections = Vec::new();
    while let Some(sent) = sending.join_next().await {
        connections.push(sent.context("a sender's task")??);
    }
    Ok(connections)
}

async fn send_some(
    mut connection: Connection,
    tokens: Arc<Vec<String>>,
    share: Range<usize>,
) -> Result<Connection> {
    let first = share.start;
    for (number, token) in tokens.iter().enumerate().skip(first).take(share.len()) {
        let status = connection.send(&request(&documents::path(number), token)).await?;
        if status != 200 {
            bail!("token {number} was answered with {status}");
        }
    }
    Ok(connection)
}

fn readings(figure: &str, before: u64, rounds: &[Round]) -> Result<Vec<Reading>> {
    let [first, second, .., last] = rounds else { bail!("too few rounds") };
    let of = |what: &str, unit: &'static str, value: f64| {
        Reading::new(format!("{figure}.{what}"), unit, value)
    };
    let more = |what: &str, round: &Round| {
        of(what, "MB more", grown(first.size, round.size)).at_most(NOTHING_MB)
    };
    let micros = |round: &Round| round.ticks as f64 * f64::from(TICK_MICROS) / MANY as f64;
    let ratio = micros(last) / micros(first).max(f64::MIN_POSITIVE);
    Ok(vec![
        of("before", "MB", megabytes(before)),
        of("after", "MB more", grown(before, first.size)),
        more("after_as_many_again", second),
        more("after_a_million", last),
        of("cpu", "µs a request, the last", micros(last)).beside(micros(first)),
        of("cpu_by_the_first", "×", ratio).at_most(AS_CHEAP),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_must_change_nothing() {
        let section = |size, ticks| {
            let round = |size, ticks| Round { size, ticks };
            let rounds = [round(60_000_000, 1000), round(60_000_000, 1000), round(size, ticks)];
            Section::of(readings("f", 50_000_000, &rounds).unwrap())
        };
        assert!(!section(62_000_000, 1100).is_missed());
        assert!(!section(55_000_000, 900).is_missed());
        assert!(section(64_000_000, 1000).is_missed());
        assert!(section(60_000_000, 1300).is_missed());
        assert!(readings("f", 1, &[]).is_err());
    }
}
