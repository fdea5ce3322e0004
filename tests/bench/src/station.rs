//! One entry, running: its Envoy and whatever stands beside it.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use postern_e2e::client::{Call, Client, Protocol};
use postern_e2e::envoy::Ports;
use postern_e2e::{ports, server};
use serde_json::Value;

use crate::cpu::{self, Place};
use crate::database::{Database, Revoked};
use crate::entries::{Answerer, Chain, Entry};
use crate::figures::revoker::Mover;
use crate::launcher::{EnvoyRun, Launcher, START};
use crate::process::Running;
use crate::skeleton::{Answers, BUNDLE, Rendered, bootstrap};
use crate::{documents, native};

/// Filters by their names in rendered configurations.
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
    _mover: Option<Mover>,
    /// Of the server that runs the feed; dropped last.
    _database: Option<Database>,
}

/// What starting one takes.
#[derive(Debug)]
pub struct Starter<'a> {
    /// What starts the programs.
    pub launcher: &'a Launcher,
    /// A good token, to see that the entry answers.
    pub token: &'a str,
}

/// What stands beside an entry's Envoy.
#[derive(Debug, Default)]
struct Side {
    watched: Vec<Watched>,
    beside: Vec<Running>,
    mover: Option<Mover>,
    database: Option<Database>,
    /// Where the filters find the server; none where nobody is asked.
    server: Option<u16>,
}

impl Starter<'_> {
    /// Starts an entry and sees that it answers.
    pub async fn start(&self, entry: &'static Entry) -> Result<Station> {
        let starting = Box::pin(self.start_all(entry));
        starting.await.with_context(|| format!("starting {}", entry.name))
    }

    async fn start_all(&self, entry: &'static Entry) -> Result<Station> {
        let folder = self.launcher.folder_of(entry.name)?;
        let document = entry.chain.guard().write(&folder)?;

        let mut side = self.side(entry, &folder, &document).await?;
        // Where nobody is asked, the cluster of the server is left out.
        let server_port = side.server.unwrap_or_else(ports::free);
        let rendered = Rendered::of(&self.launcher.parts, &document, &folder, server_port)?;
        let answers = if entry.chain == Chain::Proxy {
            let ports = Ports::free();
            let config = bootstrap(&rendered, Vec::new(), Vec::new(), Answers::Envoy, ports)?;
            let upstream = EnvoyRun {
                name: "upstream",
                folder: &folder,
                config: &config,
                ports,
                place: Place::Beside,
                workers: 1,
            };
            side.beside.push(self.launcher.envoy(&upstream).await?);
            Answers::Upstream(ports.listen)
        } else {
            Answers::Envoy
        };

        let (filters, clusters) = self.filters(entry.chain, &rendered)?;
        let ports = Ports::free();
        let config = bootstrap(&rendered, filters, clusters, answers, ports)?;
        let place = if entry.pinned() { Place::Gateway } else { Place::Anywhere };
        let gateway = EnvoyRun {
            name: "gateway",
            folder: &folder,
            config: &config,
            ports,
            place,
            workers: entry.workers,
        };
        let envoy = self.launcher.envoy(&gateway).await?;
        let own = Watched {
            row: entry.name.to_owned(),
            base: entry.base.to_owned(),
            whose: "Envoy",
            pid: envoy.pid(),
        };
        side.watched.insert(0, own);
        let Side { watched, beside, mover, database, .. } = side;
        let mut station =
            Station { entry, ports, watched, envoy, beside, _mover: mover, _database: database };
        station.answers(self.token).await?;
        Ok(station)
    }

    /// The filters of a chain, and the clusters that they need.
    fn filters(&self, chain: Chain, rendered: &Rendered) -> Result<(Vec<Value>, Vec<Value>)> {
        let asks_the_server =
            |name: &str| anyhow::Ok((vec![rendered.filter(name)?], vec![rendered.server()?]));
        let filter = match chain {
            Chain::Empty | Chain::Proxy => return Ok((Vec::new(), Vec::new())),
            Chain::JwtAuthn { cached } => native::jwt_authn(cached),
            Chain::RequestAuthentication => {
                return Ok((native::request_authentication(), Vec::new()));
            }
            Chain::LocalRateLimit => native::local_ratelimit(),
            Chain::Trivial => native::wasm(&self.launcher.parts.trivial),
            Chain::Bundle(_) => rendered.filter(BUNDLE)?,
            Chain::Fed(..) => return Ok((vec![rendered.filter(BUNDLE)?], vec![rendered.feed()?])),
            Chain::ExtAuthz(_) => return asks_the_server(EXT_AUTHZ),
            Chain::ExtProc(_) => return asks_the_server(EXT_PROC),
        };
        Ok((vec![filter], Vec::new()))
    }

    /// Starts what the filters ask.
    async fn side(&self, entry: &'static Entry, folder: &Path, document: &Path) -> Result<Side> {
        let mut side = Side::default();
        if let Some(revoked) = entry.chain.revoked() {
            self.feed(revoked, folder, document, &mut side).await?;
        }
        if let Some(answerer) = entry.chain.answerer() {
            self.answerer(answerer, entry, folder, document, &mut side).await?;
        }
        Ok(side)
    }

    /// The server whose feed says what is revoked.
    async fn feed(
        &self,
        revoked: Revoked,
        folder: &Path,
        document: &Path,
        side: &mut Side,
    ) -> Result<()> {
        let database = Database::make(&self.launcher.home, folder, revoked).await?;
        let mut volatile = "memory".to_owned();
        if revoked == Revoked::Moving {
            let (redis, port) = self.launcher.redis(folder, Place::Beside).await?;
            side.beside.push(redis);
            side.mover = Some(Mover::start(&database, port).await?);
            volatile = format!("redis://127.0.0.1:{port}");
        }
        let options = options(folder, document, &volatile, Some(&database));
        let (server, ports) = self.launcher.postern(&options, Place::Beside).await?;
        side.beside.push(server);
        side.database = Some(database);
        side.server = Some(ports.grpc);
        Ok(())
    }

    /// Whoever answers an entry's call-outs.
    async fn answerer(
        &self,
        answerer: Answerer,
        entry: &'static Entry,
        folder: &Path,
        document: &Path,
        side: &mut Side,
    ) -> Result<()> {
        let postern = async |volatile: &str| {
            let options = options(folder, document, volatile, None);
            let (server, ports) = self.launcher.postern(&options, Place::Beside).await?;
            anyhow::Ok((server, ports.grpc))
        };
        let (server, port) = match answerer {
            Answerer::Noop => {
                let name = match entry.chain {
                    Chain::ExtProc(_) => "noop-proc",
                    _ => "noop-authz",
                };
                self.launcher.own_server(folder, name).await?
            }
            Answerer::Memory => postern("memory").await?,
            Answerer::Redis => {
                let (redis, port) = self.launcher.redis(folder, Place::Beside).await?;
                let row = entry.redis_row();
                let (base, pid) = (row.clone(), redis.pid());
                side.watched.push(Watched { row, base, whose: "Redis", pid });
                side.beside.push(redis);
                postern(&format!("redis://127.0.0.1:{port}")).await?
            }
        };
        if let Some((row, base)) = entry.server_row() {
            side.watched.insert(0, Watched { row, base, whose: "the server", pid: server.pid() });
        }
        side.beside.push(server);
        side.server = Some(port);
        Ok(())
    }
}

/// What a server runs with.
pub fn options(
    folder: &Path,
    document: &Path,
    volatile: &str,
    database: Option<&Database>,
) -> server::Options {
    server::Options {
        document: document.to_path_buf(),
        volatile: volatile.to_owned(),
        durable: database.map(Database::durable),
        folder: folder.to_path_buf(),
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

    /// One request by hand, whose answer can be shown when it is not the expected one. Where the
    /// feed has to be heard first, it is sent again for a while.
    async fn answers(&mut self, token: &str) -> Result<()> {
        let port = self.ports.listen;
        if self.entry.chain.revoked().is_some() {
            return self.envoy.until(START, || good(port, token)).await;
        }
        match good(port, token).await {
            Ok(()) => Ok(()),
            Err(problem) => bail!("{problem}\n{}", self.envoy.tail()),
        }
    }
}

async fn good(port: u16, token: &str) -> Result<(), String> {
    let call = Call::get(&documents::path(0)).bearer(token).header("x-client", "client-0");
    let answer = Client::new(Protocol::Http1, port).try_send(&call).await?;
    if answer.status == 200 { Ok(()) } else { Err(format!("200 expected, not\n{answer}")) }
}
