//! How soon requests go where a registry says that a service is.
//!
//! Of two instances one is registered and taken out again and again, from the call until the first
//! request that reaches it, and until requests reach it no more. First with this service alone,
//! then beside a thousand others.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::time::{Instant, sleep};

use super::answering::Answering;
use super::discovered::{CROWD, Discovered, EACH, request};
use super::latency::pause;
use crate::connection::Connection;
use crate::launcher::Launcher;
use crate::reading::Section;

/// Every other one registers the instance, the next one takes it out.
const CHANGES: usize = 60;
const P99_AT_MOST_MS: f64 = 1_000.0;
/// From one request to the next: no time is known better.
const LOOK: Duration = Duration::from_millis(2);
/// So many requests in a row that do not reach an instance: it gets no more. Envoy asks two
/// instances in turn.
const GONE: u32 = 16;
/// No change takes longer.
const LONGEST: Duration = Duration::from_secs(30);
const PAUSE_MS: f64 = 50.0;
/// How often it says how far it has got.
const SAID: usize = 20;
/// What the instances answer with: the one that stays, and the one that comes and goes.
const STAYS: &str = "stays";
const COMES: &str = "comes";

/// Measures both halves.
pub async fn measure(launcher: &Launcher, figure: &str) -> Result<Section> {
    let folder = launcher.folder_of(figure)?;
    let (stays, comes) = (Answering::with(200, STAYS).await?, Answering::with(200, COMES).await?);
    let mut section = Section::default();
    for (half, crowd) in [("alone", 0), ("loaded", CROWD)] {
        eprintln!("  with {crowd} other services");
        let place = folder.join(half);
        let started = Discovered::start(launcher, &place, crowd, stays.port());
        let mut discovered = Box::pin(started).await?;
        let times_ms = Box::pin(changes(&discovered, comes.port())).await?;
        discovered.check()?;
        let name = format!("{figure}.{half}");
        let times = Section::of_times(&name, &times_ms, P99_AT_MOST_MS);
        section.extend(times.context("nothing has changed")?);
    }
    let note = format!(
        "{figure}: {CHANGES} changes each, with a request every {} ms; loaded: beside {CROWD} \
         services of {EACH} instances each",
        LOOK.as_millis()
    );
    Ok(section.note(note))
}

/// How long each change took, in milliseconds.
async fn changes(discovered: &Discovered, port: u16) -> Result<Vec<f64>> {
    let connection = Connection::open(discovered.gateway.ports.listen).await?;
    let mut caller = Caller { connection, request: request() };
    caller.until(STAYS, 1).await.context("before the first change")?;
    let mut times_ms = Vec::with_capacity(CHANGES);
    for change in 0..CHANGES {
        let called = Instant::now();
        let (reached, times) = if change.is_multiple_of(2) {
            discovered.register(COMES, port).await?;
            (COMES, 1)
        } else {
            discovered.deregister(COMES).await?;
            (STAYS, GONE)
        };
        let at = caller.until(reached, times).await;
        let at = at.with_context(|| format!("change {change} of {CHANGES}"))?;
        times_ms.push(at.saturating_duration_since(called).as_secs_f64() * 1e3);
        if (change + 1).is_multiple_of(SAID) {
            eprintln!("  {} of {CHANGES} changes", change + 1);
        }
        sleep(pause(change, PAUSE_MS)).await;
    }
    Ok(times_ms)
}

/// Who sends the requests.
struct Caller {
    connection: Connection,
    request: Vec<u8>,
}

impl Caller {
    /// Until an instance has answered so many requests in a row: when the first of them was
    /// answered.
    async fn until(&mut self, instance: &str, times: u32) -> Result<Instant> {
        let began = Instant::now();
        let mut first = began;
        let mut in_a_row = 0;
        while in_a_row < times {
            if began.elapsed() > LONGEST {
                bail!("requests do not go to `{instance}` after {} s", LONGEST.as_secs());
            }
            if in_a_row == 0 {
                sleep(LOOK).await;
            }
            let (status, body) = self.connection.ask(&self.request).await?;
            if status != 200 {
                bail!("{status}: {}", String::from_utf8_lossy(body));
            }
            let is_it = body == instance.as_bytes();
            if is_it && in_a_row == 0 {
                first = Instant::now();
            }
            in_a_row = if is_it { in_a_row + 1 } else { 0 };
        }
        Ok(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_answers_in_a_row_count() {
        let service = Answering::with(200, STAYS).await.unwrap();
        let connection = Connection::open(service.port()).await.unwrap();
        let mut caller = Caller { connection, request: request() };
        let began = Instant::now();
        assert!(caller.until(STAYS, GONE).await.unwrap() > began);
        let other = Answering::with(503, COMES).await.unwrap();
        caller.connection = Connection::open(other.port()).await.unwrap();
        assert!(caller.until(COMES, 1).await.is_err(), "an error is no answer of an instance");
    }
}
