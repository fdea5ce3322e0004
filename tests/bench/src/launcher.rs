//! Starting the programs that are measured, and those beside them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use postern_e2e::client::{Call, Client, Protocol};
use postern_e2e::envoy::Ports;
use postern_e2e::{ports, server};
use serde_json::Value;

use crate::cpu::{Cores, Place};
use crate::parts::Parts;
use crate::process::Running;

/// V8 compiles the module meanwhile, on a machine that may be busy.
pub const START: Duration = Duration::from_secs(60);

/// Starts programs, each in a folder for its configuration and its log.
#[derive(Debug)]
pub struct Launcher {
    /// The programs.
    pub parts: Parts,
    /// Where they run.
    pub cores: Cores,
    /// For what is kept from one time to the next.
    pub home: PathBuf,
    /// For configurations and logs, which stay there until the next time.
    pub folder: PathBuf,
}

/// An Envoy to start.
#[derive(Debug, Clone, Copy)]
pub struct EnvoyRun<'a> {
    /// The name of its files.
    pub name: &'a str,
    /// Where they go.
    pub folder: &'a Path,
    /// Its configuration.
    pub config: &'a Value,
    /// The ports that the configuration says.
    pub ports: Ports,
    /// Where it runs.
    pub place: Place,
    /// Worker threads.
    pub workers: u32,
}

impl Launcher {
    /// Finds the parts, and empties the folder. Nothing runs yet.
    pub fn prepare() -> Result<Self> {
        let parts = Parts::find()?;
        let home = parts.folder()?;
        let folder = home.join("run");
        if folder.exists() {
            fs::remove_dir_all(&folder)
                .with_context(|| format!("emptying {}", folder.display()))?;
        }
        fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
        Ok(Self { parts, cores: Cores::find(), home, folder })
    }

    /// A folder for one of those that are measured.
    pub fn folder_of(&self, name: &str) -> Result<PathBuf> {
        let folder = self.folder.join(name);
        fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
        Ok(folder)
    }

    /// Starts an Envoy and does not wait.
    pub fn spawn_envoy(&self, run: &EnvoyRun<'_>) -> Result<Running> {
        let file = run.folder.join(format!("{}.json", run.name));
        fs::write(&file, format!("{:#}", run.config))
            .with_context(|| format!("writing {}", file.display()))?;
        let mut command = self.cores.command(run.place, &self.parts.envoy);
        command.arg("-c").arg(&file).args(["--concurrency", &run.workers.to_string()]).args([
            "--disable-hot-restart",
            "--log-level",
            "warning",
        ]);
        Running::start("envoy", &log(run.folder, run.name), &mut command)
    }

    /// Starts an Envoy and waits until it is ready.
    pub async fn envoy(&self, run: &EnvoyRun<'_>) -> Result<Running> {
        let mut envoy = self.spawn_envoy(run)?;
        let ports = run.ports;
        envoy.until(START, || answers_200(ports.admin, "/ready")).await?;
        envoy.until(START, || listens(ports.listen)).await?;
        Ok(envoy)
    }

    /// Starts `postern serve`, with more options of its command line than the kit knows, and waits
    /// until it is ready.
    pub async fn postern(
        &self,
        options: &server::Options,
        more: &[String],
        place: Place,
    ) -> Result<(Running, server::Ports)> {
        let ports = server::Ports::free();
        let mut command = server::serve_command(options, ports);
        command.args(more);
        let mut command = self.cores.place(place, &command);
        let log = log(&options.folder, "server");
        let mut server = Running::start("postern serve", &log, &mut command)?;
        server.until(START, || answers_200(ports.metrics, "/health/ready")).await?;
        server.until(START, || listens(ports.grpc)).await?;
        Ok((server, ports))
    }

    /// Starts a Redis that keeps nothing, and waits until it listens; and its port.
    pub async fn redis(&self, folder: &Path, place: Place) -> Result<(Running, u16)> {
        let port = ports::free();
        let mut command = self.cores.command(place, &self.parts.redis);
        command
            .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
            .args(["--save", "", "--appendonly", "no", "--daemonize", "no", "--dir"])
            .arg(folder);
        let mut redis = Running::start("redis-server", &log(folder, "redis"), &mut command)?;
        redis.until(START, || listens(port)).await?;
        Ok((redis, port))
    }

    /// Starts one of the servers in this program, and waits until it listens; and its port.
    pub async fn own_server(
        &self,
        folder: &Path,
        name: &str,
        place: Place,
    ) -> Result<(Running, u16)> {
        let port = ports::free();
        let mut command = self.cores.command(place, &self.parts.own);
        command.args([name, "--address", &ports::local(port).to_string()]);
        let mut server = Running::start(name, &log(folder, name), &mut command)?;
        server.until(START, || listens(port)).await?;
        Ok((server, port))
    }

    /// Starts this program in place of other machines: their work must not take the cores from
    /// what is measured.
    pub fn own_in_background(
        &self,
        folder: &Path,
        name: &str,
        arguments: &[String],
    ) -> Result<Running> {
        // nice becomes the program, so the process id is the program's.
        let mut command = Command::new("nice");
        command.args(["-n", "19"]).arg(&self.parts.own).arg(name).args(arguments);
        Running::start(name, &log(folder, name), &mut command)
    }
}

fn log(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.log"))
}

async fn answers_200(port: u16, path: &str) -> Result<(), String> {
    let answer = Client::new(Protocol::Http1, port).try_send(&Call::get(path)).await?;
    if answer.status == 200 { Ok(()) } else { Err(answer.to_string()) }
}

async fn listens(port: u16) -> Result<(), String> {
    let connected = tokio::net::TcpStream::connect(ports::local(port)).await;
    connected.map(drop).map_err(|error| error.to_string())
}
