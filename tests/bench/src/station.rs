//! One entry, running: its Envoy and whatever stands beside it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use postern_e2e::client::{Call, Client, Protocol};
use postern_e2e::envoy::Ports;
use postern_e2e::{ports, server};
use serde_json::Value;

use crate::cpu::{self, Cores, Place};
use crate::entries::{Answerer, Chain, Entry};
use crate::parts::Parts;
use crate::process::Running;
use crate::skeleton::{Answers, Rendered, bootstrap};
use crate::{documents, native};

/// V8 compiles the module meanwhile, on a machine that may be busy.
const START: Duration = Duration::from_secs(60);

/// Filters by their names in rendered configurations.
const BUNDLE: &str = "postern";
const EXT_AUTHZ: &str = "envoy.filters.http.ext_authz";
const EXT_PROC: &str = "envoy.filters.http.ext_proc";

/// A process whose CPU time is measured.
#[derive(Debug)]
pub struct Watched {
    /// The row of the report.
    pub row: String,
    /// The row that it is compared with; itself where there is nothing to compare.
    pub base: String,
    /// Whose CPU time it is.
    pub whose: &'static str,
    pid: u32,
}

impl Watched {
    /// Ticks so far.
    pub fn ticks(&self) -> Result<u64> {
        cpu::ticks(self.pid).with_context(|| format!("the CPU time of {}", self.row))
    }
}

/// A running entry. Dropping it ends all of its processes.
#[derive(Debug)]
pub struct Station {
    /// What it is.
    pub entry: &'static Entry,
    /// Envoy's ports.
    pub ports: Ports,
    /// What is measured: Envoy first.
    pub watched: Vec<Watched>,
    envoy: Running,
    beside: Vec<Running>,
}

/// What starting one takes.
#[derive(Debug)]
pub struct Starter<'a> {
    /// The programs.
    pub parts: &'a Parts,
    /// Where they run.
    pub cores: Cores,
    /// Where configurations and logs go.
    pub folder: &'a Path,
    /// A good token, to see that the entry answers.
    pub token: &'a str,
}

impl Starter<'_> {
    /// Starts an entry and sees that it answers.
    pub async fn start(&self, entry: &'static Entry) -> Result<Station> {
        let starting = Box::pin(self.start_all(entry));
        starting.await.with_context(|| format!("starting {}", entry.name))
    }

    async fn start_all(&self, entry: &'static Entry) -> Result<Station> {
        let folder = self.folder.join(entry.name);
        fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
        let document = folder.join(format!("{}.yaml", entry.chain.guard().name()));
        fs::write(&document, entry.chain.guard().document())
            .with_context(|| format!("writing {}", document.display()))?;

        let mut watched = Vec::new();
        let mut beside = Vec::new();
        let server_port = match entry.chain.answerer() {
            // Nobody is asked: the cluster of the server is left out.
            None => ports::free(),
            Some(answerer) => {
                let side = Side { starter: self, entry, folder: &folder, document: &document };
                side.start(answerer, &mut watched, &mut beside).await?
            }
        };
        let rendered = Rendered::of(self.parts, &document, &folder, server_port)?;
        let answers = if entry.chain == Chain::Proxy {
            let ports = Ports::free();
            let config = bootstrap(&rendered, Vec::new(), Vec::new(), Answers::Envoy, ports)?;
            beside.push(self.envoy(&folder, "upstream", &config, ports, Place::Beside, 1).await?);
            Answers::Upstream(ports.listen)
        } else {
            Answers::Envoy
        };

        let (filters, clusters) = self.filters(entry.chain, &rendered)?;
        let ports = Ports::free();
        let config = bootstrap(&rendered, filters, clusters, answers, ports)?;
        let place = if entry.pinned() { Place::Gateway } else { Place::Anywhere };
        let envoy = self.envoy(&folder, "gateway", &config, ports, place, entry.workers).await?;
        let own = Watched {
            row: entry.name.to_owned(),
            base: entry.base.to_owned(),
            whose: "Envoy",
            pid: envoy.pid(),
        };
        watched.insert(0, own);
        let station = Station { entry, ports, watched, envoy, beside };
        station.answers(self.token).await?;
        Ok(station)
    }

    /// The filters of a chain, and the clusters that they need.
    fn filters(&self, chain: Chain, rendered: &Rendered) -> Result<(Vec<Value>, Vec<Value>)> {
        let filter = match chain {
            Chain::Empty | Chain::Proxy => return Ok((Vec::new(), Vec::new())),
            Chain::JwtAuthn { cached } => native::jwt_authn(cached),
            Chain::LocalRateLimit => native::local_ratelimit(),
            Chain::Trivial => native::wasm(&self.parts.trivial),
            Chain::Bundle(_) => rendered.filter(BUNDLE)?,
            Chain::ExtAuthz(_) => {
                return Ok((vec![rendered.filter(EXT_AUTHZ)?], vec![rendered.server()?]));
            }
            Chain::ExtProc(_) => {
                return Ok((vec![rendered.filter(EXT_PROC)?], vec![rendered.server()?]));
            }
        };
        Ok((vec![filter], Vec::new()))
    }

    /// Starts an Envoy and waits until it is ready.
    async fn envoy(
        &self,
        folder: &Path,
        name: &str,
        config: &Value,
        ports: Ports,
        place: Place,
        workers: u32,
    ) -> Result<Running> {
        let file = folder.join(format!("{name}.json"));
        fs::write(&file, format!("{config:#}"))
            .with_context(|| format!("writing {}", file.display()))?;
        let mut command = self.cores.command(place, &self.parts.envoy);
        command.arg("-c").arg(&file).args(["--concurrency", &workers.to_string()]).args([
            "--disable-hot-restart",
            "--log-level",
            "warning",
        ]);
        let log = folder.join(format!("{name}.log"));
        let mut envoy = Running::start("envoy", &log, &mut command)?;
        envoy.until(START, || answers_200(ports.admin, "/ready")).await?;
        envoy.until(START, || listens(ports.listen)).await?;
        Ok(envoy)
    }
}

/// Starts what answers an entry's call-outs.
struct Side<'a> {
    starter: &'a Starter<'a>,
    entry: &'static Entry,
    folder: &'a Path,
    document: &'a Path,
}

impl Side<'_> {
    /// Starts it and returns its gRPC port.
    async fn start(
        &self,
        answerer: Answerer,
        watched: &mut Vec<Watched>,
        beside: &mut Vec<Running>,
    ) -> Result<u16> {
        let (server, port) = match answerer {
            Answerer::Noop => self.noop().await?,
            Answerer::Memory => self.postern("memory").await?,
            Answerer::Redis => {
                let (redis, port) = self.redis().await?;
                let row = self.entry.redis_row();
                let (base, pid) = (row.clone(), redis.pid());
                watched.push(Watched { row, base, whose: "Redis", pid });
                beside.push(redis);
                self.postern(&format!("redis://127.0.0.1:{port}")).await?
            }
        };
        if let Some((row, base)) = self.entry.server_row() {
            watched.insert(0, Watched { row, base, whose: "the server", pid: server.pid() });
        }
        beside.push(server);
        Ok(port)
    }

    async fn noop(&self) -> Result<(Running, u16)> {
        let name = match self.entry.chain {
            Chain::ExtProc(_) => "noop-proc",
            _ => "noop-authz",
        };
        let port = ports::free();
        let mut command = self.starter.cores.command(Place::Beside, &self.starter.parts.own);
        command.args([name, "--address", &ports::local(port).to_string()]);
        let mut server = Running::start(name, &self.log(name), &mut command)?;
        server.until(START, || listens(port)).await?;
        Ok((server, port))
    }

    async fn postern(&self, volatile: &str) -> Result<(Running, u16)> {
        let options = server::Options {
            document: self.document.to_path_buf(),
            volatile: volatile.to_owned(),
            durable: None,
            folder: self.folder.to_path_buf(),
        };
        let ports = server::Ports::free();
        let command = server::serve_command(&options, ports);
        let mut command = self.starter.cores.place(Place::Beside, &command);
        let mut server = Running::start("postern serve", &self.log("server"), &mut command)?;
        server.until(START, || answers_200(ports.metrics, "/health/ready")).await?;
        server.until(START, || listens(ports.grpc)).await?;
        Ok((server, ports.grpc))
    }

    async fn redis(&self) -> Result<(Running, u16)> {
        let port = ports::free();
        let mut command = self.starter.cores.command(Place::Beside, &self.starter.parts.redis);
        command
            .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
            .args(["--save", "", "--appendonly", "no", "--daemonize", "no", "--dir"])
            .arg(self.folder);
        let mut redis = Running::start("redis-server", &self.log("redis"), &mut command)?;
        redis.until(START, || listens(port)).await?;
        Ok((redis, port))
    }

    fn log(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.log"))
    }
}

impl Station {
    /// That everything still runs.
    pub fn check(&mut self) -> Result<()> {
        let name = self.entry.name;
        for process in self.beside.iter_mut().chain([&mut self.envoy]) {
            process.check().with_context(|| format!("in {name}"))?;
        }
        Ok(())
    }

    /// The share of tokens that the bundle remembered instead of checking their signatures;
    /// none where it looked at no token.
    pub async fn remembered(&self) -> Option<f64> {
        let call = Call::get("/stats?filter=postern_filter_tokens");
        let answer = Client::new(Protocol::Http1, self.ports.admin).try_send(&call).await.ok()?;
        let text = answer.text();
        let count = |name: &str| -> Option<f64> {
            let line = text.lines().find_map(|line| line.split_once(name))?;
            line.1.trim_start_matches(':').trim().parse().ok()
        };
        let cached = count("postern_filter_tokens_cached_total").unwrap_or(0.0);
        let verified = count("postern_filter_tokens_verified_total").unwrap_or(0.0);
        (cached + verified > 0.0).then(|| cached / (cached + verified))
    }

    /// One request by hand, whose answer can be shown when it is not the expected one.
    async fn answers(&self, token: &str) -> Result<()> {
        let call = Call::get(&documents::path(0)).bearer(token).header("x-client", "client-0");
        let answer = Client::new(Protocol::Http1, self.ports.listen).try_send(&call).await;
        match answer {
            Ok(answer) if answer.status == 200 => Ok(()),
            Ok(answer) => bail!("200 expected, not\n{answer}\n{}", self.envoy.tail()),
            Err(problem) => bail!("{problem}\n{}", self.envoy.tail()),
        }
    }
}

async fn answers_200(port: u16, path: &str) -> Result<(), String> {
    let answer = Client::new(Protocol::Http1, port).try_send(&Call::get(path)).await?;
    if answer.status == 200 { Ok(()) } else { Err(answer.to_string()) }
}

async fn listens(port: u16) -> Result<(), String> {
    let connected = tokio::net::TcpStream::connect(ports::local(port)).await;
    connected.map(drop).map_err(|error| error.to_string())
}
