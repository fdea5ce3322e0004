//! Requests at a low and steady rate, to see whether a worker stands still meanwhile.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::connection::Connection;
use crate::stats;

/// From request to request on one connection. Of a worker that stands still, so much may go
/// unseen.
pub const EVERY: Duration = Duration::from_millis(2);

/// A request, again and again, over one connection to each worker.
#[derive(Debug)]
pub struct Probe {
    connections: Vec<Connection>,
    request: Arc<Vec<u8>>,
}

/// How long answers took.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Waits {
    /// Of a thousand answers, one took longer.
    pub p999_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

impl Probe {
    /// Over connections that are open.
    pub fn over(connections: Vec<Connection>, request: Vec<u8>) -> Self {
        Self { connections, request: Arc::new(request) }
    }

    /// Probes for as long as something else takes.
    pub async fn during<T>(
        &mut self,
        something: impl Future<Output = Result<T>>,
    ) -> Result<(T, Waits)> {
        let (stop, stopped) = watch::channel(false);
        let mut probes = JoinSet::new();
        for connection in self.connections.drain(..) {
            probes.spawn(one(connection, Arc::clone(&self.request), stopped.clone()));
        }
        let done = something.await;
        stop.send_replace(true);
        let mut all = Vec::new();
        while let Some(ended) = probes.join_next().await {
            let (connection, waits_ms) = ended.context("a probe's task")??;
            self.connections.push(connection);
            all.extend(waits_ms);
        }
        let waits = Waits::of(&all).context("nothing was sent meanwhile")?;
        Ok((done?, waits))
    }
}

impl Waits {
    fn of(waits_ms: &[f64]) -> Option<Self> {
        let p999_ms = stats::per_mille(waits_ms, 999)?;
        Some(Self { p999_ms, max_ms: stats::per_mille(waits_ms, 1000)? })
    }
}

/// Sends until it is told to stop; how long each answer took, in milliseconds.
async fn one(
    mut connection: Connection,
    request: Arc<Vec<u8>>,
    stopped: watch::Receiver<bool>,
) -> Result<(Connection, Vec<f64>)> {
    let mut waits = Vec::new();
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !*stopped.borrow() {
        ticks.tick().await;
        let sent = Instant::now();
        let status = connection.send(&request).await?;
        if status != 200 {
            bail!("a probe was answered with {status}");
        }
        waits.push(sent.elapsed().as_secs_f64() * 1e3);
    }
    Ok((connection, waits))
}
