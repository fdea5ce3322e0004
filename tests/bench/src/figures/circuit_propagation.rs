//! How soon an Envoy cuts a service off that others have seen fail.
//!
//! Three Envoys of one server and one Redis. In each round two of them call a service of its own
//! that fails, until they refuse it themselves; the third has never called it, and is watched. It
//! looks by a route whose requests are made to go wrong in Envoy: what becomes of them says
//! nothing of the service, so that it has nothing to report.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::time::{Instant, sleep};

use super::answering::Answering;
use super::latency::pause;
use super::rig::{FeedServer, Gateway, make};
use super::whole::WholePlan;
use crate::connection::{Connection, anonymous};
use crate::database::Revoked;
use crate::launcher::Launcher;
use crate::reading::Section;

/// Each with a service of its own.
const ROUNDS: usize = 60;
/// Those that call, and the one that is watched.
const CALLERS: [&str; 2] = ["one", "two"];
const WATCHED: &str = "third";
/// In a row, after which an Envoy refuses: what a document means that says nothing.
const FAILURES: usize = 5;
const FAILED: u16 = 500;
const REFUSED: u16 = 503;
/// What a look is answered with while the circuit is closed.
const MADE_TO_FAIL: u16 = 418;
/// How the body of a refusal names its reason.
const OPEN: &str = "CIRCUIT_OPEN";
const P99_AT_MOST_MS: f64 = 2_000.0;
/// How often the third one looks: no time is known better.
const LOOK: Duration = Duration::from_millis(10);
/// No round takes longer.
const LONGEST: Duration = Duration::from_secs(30);
const PAUSE_MS: f64 = 50.0;
/// How often it says how far it has got.
const SAID: usize = 20;

/// Measures all rounds.
pub async fn measure(launcher: &Launcher, figure: &str) -> Result<Section> {
    let folder = launcher.folder_of(figure)?;
    let service = Answering::with(FAILED, "").await?;
    let home = folder.join("server");
    let document = write(&home, service.port())?;
    let mut server =
        Box::pin(FeedServer::with(launcher, &home, &document, Revoked::Nobody)).await?;
    let mut gateways = Vec::with_capacity(CALLERS.len() + 1);
    for name in CALLERS.into_iter().chain([WATCHED]) {
        let plan = WholePlan {
            folder: &folder.join(name),
            document: &document,
            server: server.ports,
            name,
            is_told: false,
        };
        gateways.push(Box::pin(plan.start(launcher)).await?);
    }
    server.until_waiting(u32::try_from(gateways.len())?).await?;

    let mut fleet = Fleet::of(&gateways).await?;
    let mut times_ms = Vec::with_capacity(ROUNDS);
    for round in 0..ROUNDS {
        let took = Box::pin(fleet.round(round)).await;
        let took = took.with_context(|| format!("round {round} of {ROUNDS}"))?;
        times_ms.push(took.as_secs_f64() * 1e3);
        if (round + 1).is_multiple_of(SAID) {
            eprintln!("  {} of {ROUNDS} services cut off", round + 1);
        }
        sleep(pause(round, PAUSE_MS)).await;
    }
    server.check()?;
    for gateway in &mut gateways {
        gateway.process.check()?;
    }
    let section = Section::of_times(figure, &times_ms, P99_AT_MOST_MS);
    let note = format!(
        "{figure}: from the last of {FAILURES} failures in a row of each of {} Envoys until \
         another one refuses, which looks every {} ms",
        CALLERS.len(),
        LOOK.as_millis()
    );
    Ok(section.context("nothing was cut off")?.note(note))
}

/// Connections to the Envoys.
struct Fleet {
    callers: Vec<Connection>,
    watched: Connection,
}

impl Fleet {
    /// The last one is watched.
    async fn of(gateways: &[Gateway]) -> Result<Self> {
        let mut callers = Vec::with_capacity(gateways.len());
        for gateway in gateways {
            callers.push(Connection::open(gateway.ports.listen).await?);
        }
        let watched = callers.pop().context("no Envoy to watch")?;
        Ok(Self { callers, watched })
    }

    /// From the last failure until the watched one refuses.
    async fn round(&mut self, round: usize) -> Result<Duration> {
        let (call, look) = (anonymous(&path(round)), anonymous(&look_path(round)));
        expect(&mut self.watched, &look, MADE_TO_FAIL).await.context("before it has failed")?;
        let mut failed = Instant::now();
        for caller in &mut self.callers {
            for _ in 0..FAILURES {
                expect(caller, &call, FAILED).await?;
            }
            failed = Instant::now();
            expect(caller, &call, REFUSED).await.context("the one after the last failure")?;
        }
        while !is_refused(&mut self.watched, &look).await? {
            if failed.elapsed() > LONGEST {
                bail!("it is not cut off after {} s", LONGEST.as_secs());
            }
            sleep(LOOK).await;
        }
        Ok(failed.elapsed())
    }
}

async fn expect(connection: &mut Connection, request: &[u8], status: u16) -> Result<()> {
    match connection.send(request).await? {
        found if found == status => Ok(()),
        found => bail!("{found} instead of {status}"),
    }
}

/// Whether a circuit refuses, and nothing else.
async fn is_refused(connection: &mut Connection, look: &[u8]) -> Result<bool> {
    let (status, body) = connection.ask(look).await?;
    match status {
        MADE_TO_FAIL => Ok(false),
        REFUSED if String::from_utf8_lossy(body).contains(OPEN) => Ok(true),
        other => bail!("{other}: {}", String::from_utf8_lossy(body)),
    }
}

fn path(round: usize) -> String {
    format!("/bank-{round:02}/x")
}

fn look_path(round: usize) -> String {
    format!("/bank-{round:02}/look")
}

/// Writes the document into a folder; its file.
fn write(folder: &Path, port: u16) -> Result<PathBuf> {
    make(folder)?;
    let file = folder.join("gateway.yaml");
    fs::write(&file, document(port)).with_context(|| format!("writing {}", file.display()))?;
    Ok(file)
}

/// A service for each round, with a circuit that stays open for longer than all rounds take.
fn document(port: u16) -> String {
    let (mut services, mut routes) = (String::new(), String::new());
    for round in 0..ROUNDS {
        let (path, look) = (path(round), look_path(round));
        // Writing to a string cannot fail.
        let _ = writeln!(
            services,
            "  bank-{round:02}: {{upstream: '127.0.0.1:{port}', circuit: {{recovery: 5m}}}}"
        );
        let _ = write!(
            routes,
            "  - {{name: bank-{round:02}, match: {{path: {path}}}, service: bank-{round:02}, \
             auth: none}}
  - name: bank-{round:02}-look
    match: {{path: {look}}}
    service: bank-{round:02}
    auth: none
    fault: {{abort: {{share: 100%, status: {MADE_TO_FAIL}}}}}
"
        );
    }
    format!("version: 1\nservices:\n{services}routes:\n{routes}")
}

#[cfg(test)]
mod tests {
    use postern_document::Source;

    use super::*;

    #[test]
    fn every_round_has_a_circuit_of_its_own_that_stays_open() {
        let source = Source { name: "gateway.yaml".to_owned(), text: document(9) };
        let no_file = |name: &str| Err(format!("no file {name}"));
        let document = postern_document::load(&[source], &no_file)
            .unwrap_or_else(|problems| panic!("{problems:?}"));
        assert_eq!((document.services.len(), document.routes.len()), (ROUNDS, 2 * ROUNDS));
        assert!(!document.needs_ext_authz() && !document.needs_ext_proc());
        for service in &document.services {
            let circuit = service.circuit.unwrap();
            assert_eq!(usize::try_from(circuit.failures).unwrap(), FAILURES);
            assert_eq!(usize::try_from(circuit.reporters).unwrap(), CALLERS.len());
            assert!(Duration::from_millis(circuit.recovery.first_ms) > LONGEST * 4);
        }
        for round in [0, ROUNDS - 1] {
            for (path, is_look) in [(path(round), false), (look_path(round), true)] {
                let found = document.find_route("127.0.0.1:1", "GET", &path).unwrap();
                let found = found.unwrap_or_else(|| panic!("{path}"));
                assert_eq!(found.name.ends_with("-look"), is_look, "{path}");
            }
        }
    }
}
