//! `postern`: the server, and the command line.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::client::{Answer, Call, Client, Protocol};
use crate::process::{self, Finished, Running};
use crate::{env, ports, wait};

const START: Duration = Duration::from_secs(30);
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

/// A durable store: a SQLite file and the key that seals private keys in it.
#[derive(Debug, Clone)]
pub struct Durable {
    database: PathBuf,
    key_file: PathBuf,
}

impl Durable {
    /// One in a folder, migrated and with a first signing key.
    ///
    /// # Panics
    /// When the command line cannot prepare it.
    pub async fn prepare(folder: &Path) -> Self {
        let durable = Self::new(folder);
        run(durable.arguments(&["migrate", "up"])).await.expect_success();
        run(durable.arguments_with_key(&["keys", "rotate"])).await.expect_success();
        durable
    }

    /// One in a folder, with nothing in it but the key file.
    ///
    /// # Panics
    /// When the key file cannot be written.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        let mut bytes = [0_u8; 32];
        let random = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
        random.expect("random bytes");
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let key_file = folder.join("key");
        fs::write(&key_file, hex).expect("a key file");
        Self { database: folder.join("postern.db"), key_file }
    }

    /// `words` and `--durable …`
    #[must_use]
    pub fn arguments(&self, words: &[&str]) -> Vec<String> {
        let mut arguments: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        arguments.push("--durable".to_owned());
        arguments.push(format!("sqlite:{}", self.database.display()));
        arguments
    }

    /// `words`, `--durable …` and `--key-file …`
    #[must_use]
    pub fn arguments_with_key(&self, words: &[&str]) -> Vec<String> {
        let mut arguments = self.arguments(words);
        arguments.push("--key-file".to_owned());
        arguments.push(self.key_file.display().to_string());
        arguments
    }

    /// Makes what was written last unreadable, as a broken disk would, for a server that has
    /// the store open. What the server holds in memory it still has.
    ///
    /// Only the write-ahead log is emptied, in place: everything that commands wrote while a
    /// server ran is there, and a server that reads must ask for it again.
    ///
    /// # Panics
    /// When there is no such log: no server has the store open.
    pub fn take_away(&self) -> Outage {
        let log = self.database.with_extension("db-wal");
        let kept = fs::read(&log).expect("the store's write-ahead log");
        assert!(!kept.is_empty(), "nothing was written while a server ran");
        fs::write(&log, b"").expect("an empty log");
        Outage { log, kept }
    }
}

/// A durable store that cannot be read.
#[derive(Debug)]
#[must_use]
pub struct Outage {
    log: PathBuf,
    kept: Vec<u8>,
}

impl Outage {
    /// It can be read again, and nothing is lost.
    ///
    /// # Panics
    /// When what was there cannot be written back.
    pub fn end(self) {
        fs::write(&self.log, &self.kept).expect("the log's content");
    }
}

/// What a server runs with.
#[derive(Debug, Clone)]
pub struct Options {
    /// The gateway document.
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
    process: Option<Running>,
}

impl Server {
    /// Starts one and waits until it is ready.
    pub async fn start(options: Options, ports: Ports) -> Self {
        let mut server = Self { options, ports, process: None };
        server.bring_up().await;
        server
    }

    /// Starts it again on the same ports.
    ///
    /// # Panics
    /// When it is not ready soon, or ends.
    pub async fn bring_up(&mut self) {
        let log = self.options.folder.join("server.log");
        let mut process =
            Running::start("postern serve", &log, &mut serve_command(&self.options, self.ports));
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
    command
        .arg(&options.document)
        .args(["--grpc-address", &address(ports.grpc)])
        .args(["--public-address", &address(ports.public)])
        .args(["--admin-address", &address(ports.admin)])
        .args(["--metrics-address", &address(ports.metrics)])
        .args(["--volatile", &options.volatile, "--drain-seconds", "1"]);
    if let Some(durable) = &options.durable {
        command.args(durable.arguments_with_key(&[]));
    }
    command
}
