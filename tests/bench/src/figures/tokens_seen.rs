//! What an Envoy grows by when it sees ever more tokens: what it remembers is bounded.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::rig::GatewayPlan;
use crate::connection::{Connection, request};
use crate::documents::{self, Guard};
use crate::launcher::Launcher;
use crate::memory::{self, grown, megabytes};
use crate::reading::{Reading, Section};
use crate::tokens;

/// So many are "many". As many again must change nothing.
const MANY: usize = 100_000;
/// Of the second hundred thousand, in millions of bytes: what an allocator may keep or give back.
const NOTHING_MB: f64 = 3.0;
const CONNECTIONS: usize = 16;
/// Envoy lets go of what requests needed.
const SETTLED: Duration = Duration::from_secs(1);

/// Measures memory before, in between and after.
pub async fn measure(launcher: &Launcher, figure: &str) -> Result<Section> {
    eprintln!("  signing {} tokens", 2 * MANY);
    let (first, second) = (tokens::unseen(0..MANY), tokens::unseen(MANY..2 * MANY));
    let folder = launcher.folder_of(figure)?;
    let plan = GatewayPlan { folder: &folder, guard: Guard::Token, server: None, workers: 1 };
    let mut gateway = Box::pin(plan.start(launcher)).await?;
    let pid = gateway.process.pid();

    let mut connections = Vec::with_capacity(CONNECTIONS);
    for number in 0..CONNECTIONS {
        let mut connection = Connection::open(gateway.ports.listen).await?;
        // Of a subject of its own each, as all others: connections' buffers are there then.
        let token = first.get(number).context("too few tokens")?;
        connection.until_good(&request(&documents::path(number), token)).await?;
        connections.push(connection);
    }
    let mut measured = vec![memory::of(pid)?.now];
    for tokens in [first, second] {
        eprintln!("  sending {} tokens", tokens.len());
        connections = send_all(connections, tokens).await?;
        sleep(SETTLED).await;
        measured.push(memory::of(pid)?.now);
    }
    gateway.process.check()?;
    let [before, after, twice] = *measured.as_slice() else { bail!("three sizes are measured") };
    Ok(Section::of(readings(figure, before, after, twice)))
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

fn readings(figure: &str, before: u64, after: u64, twice: u64) -> Vec<Reading> {
    let of = |what: &str, unit: &'static str, value: f64| {
        Reading::new(format!("{figure}.{what}"), unit, value)
    };
    vec![
        of("before", "MB", megabytes(before)),
        of("after", "MB more", grown(before, after)),
        of("after_as_many_again", "MB more", grown(after, twice)).at_most(NOTHING_MB),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_again_must_change_nothing() {
        let section = |twice| Section::of(readings("f", 50_000_000, 60_000_000, twice));
        assert!(!section(62_000_000).is_missed());
        assert!(!section(55_000_000).is_missed());
        assert!(section(64_000_000).is_missed());
    }
}
