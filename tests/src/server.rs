//! `postern`: the server, and the command line.

mod durable;
mod surroundings;

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::client::{Answer, Call, Client, Protocol};
use crate::process::{self, Finished, Running};
use crate::{env, ports, wait};

pub use self::durable::{Durable, Outage};
pub use self::surroundings::Surroundings;

const START: Duration = Duration::from_secs(30);
/// Until a server has ended that was told to: what it drains for, and what it gives open streams.
const END: Duration = Duration::from_secs(30);
/// How long a server goes on after it was told to end, where a test does not say.
const DRAIN: [&str; 2] = ["--drain-seconds", "1"];
/// The longest that a command of the command line may take.
const COMMAND: Duration = Duration::from_secs(30);

/// A command line of `postern`.
#[must_use]
pub fn command<I, S>(arguments: I) -> Command
where
    I: IntoIterator<Item = S>,
    S: AsRef<std::ffi::OsStr>,
{
    let mut command = Command::new(env::postern());
    command.args(arguments).current_dir(env::repository());
    command
}

/// Runs a command of `postern` to its end.
pub async fn run<I, S>(arguments: I) -> Finished
where
    I: IntoIterator<Item = S>,
    S: AsRef<std::ffi::OsStr>,
{
    process::run(command(arguments), COMMAND).await
}

/// The same with a text on its standard input.
pub async fn run_with_input<I, S>(arguments: I, input: &str) -> Finished
where
    I: IntoIterator<Item = S>,
    S: AsRef<std::ffi::OsStr>,
{
    process::run_with_input(command(arguments), input, COMMAND).await
}

/// What a server runs with.
#[derive(Debug, Clone)]
pub struct Options {
    /// The gateway document; empty: the one that was applied to the durable store.
    pub document: PathBuf,
    /// `memory` or `redis://…`
    pub volatile: String,
    /// None: in memory.
    pub durable: Option<Durable>,
    /// Where the log goes.
    pub folder: PathBuf,
}

/// The ports that a server listens on.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    /// gRPC: `ext_authz`, `ext_proc`.
    pub grpc: u16,
    /// Public HTTP.
    pub public: u16,
    /// Admin HTTP.
    pub admin: u16,
    /// Metrics and health.
    pub metrics: u16,
}

impl Ports {
    /// Free ones.
    #[must_use]
    pub fn free() -> Self {
        Self {
            grpc: ports::free(),
            public: ports::free(),
            admin: ports::free(),
            metrics: ports::free(),
        }
    }
}

/// `postern serve` with ports of its own, whether it runs or not.
#[derive(Debug)]
pub struct Server {
    options: Options,
    ports: Ports,
    /// Further options of the command line.
    more: Vec<String>,
    surroundings: Surroundings,
    process: Option<Running>,
}

impl Server {
    /// Starts one and waits until it is ready.
    pub async fn start(options: Options, ports: Ports) -> Self {
        Self::start_with(options, ports, Vec::new()).await
    }

    /// The same with further options of the command line.
    pub async fn start_with(options: Options, ports: Ports, more: Vec<String>) -> Self {
        Self::start_in(options, ports, more, Surroundings::default()).await
    }

    /// The same in surroundings of its own.
    pub async fn start_in(
        options: Options,
        ports: Ports,
        more: Vec<String>,
        surroundings: Surroundings,
    ) -> Self {
        let mut server = Self { options, ports, more, surroundings, process: None };
        server.bring_up().await;
        server
    }

    /// Starts it again on the same ports.
    ///
    /// # Panics
    /// When it is not ready soon, or ends.
    pub async fn bring_up(&mut self) {
        let mut command = serve_command(&self.options, self.ports);
        if !self.more.iter().any(|option| option == DRAIN[0]) {
            command.args(DRAIN);
        }
        let mut command = self.surroundings.around(command.args(&self.more));
        let mut process = Running::start("postern serve", &self.log_file(), &mut command);
        let client = Client::new(Protocol::Http1, self.ports.metrics);
        wait::until("ready server", START, || {
            if let Some(status) = process.ended() {
                panic!("postern serve ended with {status} before it was ready");
            }
            async move {
                let answer = client.try_send(&Call::get("/health/ready")).await?;
                if answer.status == 200 { Ok(()) } else { Err(answer.to_string()) }
            }
        })
        .await;
        self.process = Some(process);
    }

    /// Ends it as a crash would.
    pub fn take_down(&mut self) {
        self.process = None;
    }

    /// Tells it to end, as an orchestrator does, and waits until it has.
    ///
    /// # Panics
    /// When it does not run, does not end, or ends badly.
    pub async fn stop(&mut self) {
        let mut process = self.process.take().expect("a server that runs");
        process.signal("TERM");
        let status = wait::until("end of a server", END, || {
            let ended = process.ended().ok_or("it goes on");
            async move { ended }
        })
        .await;
        assert!(status.success(), "postern serve ended with {status}:\n{}", self.log());
    }

    /// Bounds how large the files get that it writes to, as [`Running::limit_files`] does.
    ///
    /// # Panics
    /// When it does not run.
    pub fn limit_files(&self, bytes: Option<u64>) {
        self.running().limit_files(bytes);
    }

    /// Holds it up: connections stand, and nothing is answered until [`Server::resume`].
    ///
    /// # Panics
    /// When it does not run.
    pub fn pause(&self) {
        self.running().signal("STOP");
    }

    /// Lets it go on.
    ///
    /// # Panics
    /// When it does not run.
    pub fn resume(&self) {
        self.running().signal("CONT");
    }

    fn running(&self) -> &Running {
        self.process.as_ref().expect("a server that runs")
    }

    fn log_file(&self) -> PathBuf {
        self.options.folder.join("server.log")
    }

    /// What it wrote so far, whether it runs or not.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log_file()).unwrap_or_default()).into_owned()
    }

    /// Its ports.
    #[must_use]
    pub const fn ports(&self) -> Ports {
        self.ports
    }

    /// `GET /health`
    pub async fn health(&self) -> Answer {
        Client::new(Protocol::Http1, self.ports.metrics).send(&Call::get("/health")).await
    }

    /// The status that `/health` tells, e.g. `degraded`.
    pub async fn health_status(&self) -> String {
        let health = self.health().await.json();
        health.get("status").and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// `GET /metrics`
    pub async fn metrics(&self) -> String {
        Client::new(Protocol::Http1, self.ports.metrics).send(&Call::get("/metrics")).await.text()
    }

    /// The sum of a metric's samples that have all of these labels; 0 when there is none yet.
    ///
    /// # Panics
    /// When a sample is no whole number.
    pub async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let wanted: Vec<String> =
            labels.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
        let text = self.metrics().await;
        let samples = text.lines().filter_map(|line| {
            let (found, rest) = line.split_once('{')?;
            let (labels, number) = rest.rsplit_once("} ")?;
            let labels: Vec<&str> = labels.split(',').collect();
            let fits = found == name && wanted.iter().all(|one| labels.contains(&one.as_str()));
            fits.then_some(number)
        });
        samples
            .map(|number| number.parse::<u64>().unwrap_or_else(|_| panic!("{name} is {number}")))
            .sum()
    }
}

/// The command line that [`Server`] runs.
#[must_use]
pub fn serve_command(options: &Options, ports: Ports) -> Command {
    let address = |port: u16| ports::local(port).to_string();
    let mut command = command(["serve"]);
    if options.document.as_os_str().is_empty() {
        command.args(["--config-from", "store"]);
    } else {
        command.arg(&options.document);
    }
    command
        .args(["--grpc-address", &address(ports.grpc)])
        .args(["--public-address", &address(ports.public)])
        .args(["--admin-address", &address(ports.admin)])
        .args(["--metrics-address", &address(ports.metrics)])
        .args(["--volatile", &options.volatile])
        // The only place where the server's reasons stand: replays compare them.
        .env("POSTERN_LOG", "info,postern_ext_authz=debug");
    if let Some(durable) = &options.durable {
        command.args(durable.arguments_with_key(&[]));
    }
    command
}
