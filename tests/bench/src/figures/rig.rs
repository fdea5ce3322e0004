//! A server with a feed, and Envoys that hear it.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use postern_e2e::envoy::Ports;
use postern_e2e::{ports, server};

use crate::cpu::Place;
use crate::database::{Database, Revoked};
use crate::documents::Guard;
use crate::launcher::{EnvoyRun, Launcher, START};
use crate::process::Running;
use crate::server_metrics::ServerMetrics;
use crate::skeleton::{Answers, BUNDLE, Rendered, bootstrap};
use crate::station;

/// Worker threads of the Envoys that the feed's figures are about.
pub const WORKERS: u32 = 4;

/// `postern serve`, with a durable store and a Redis by which it hears of news: it reads its
/// store when there is some, and from time to time. Fields drop in this order.
#[derive(Debug)]
pub struct FeedServer {
    /// The process.
    pub process: Running,
    /// Its ports.
    pub ports: server::Ports,
    /// The durable store.
    pub database: Database,
    /// The port of its Redis.
    pub redis_port: u16,
    redis: Running,
}

impl FeedServer {
    /// Starts one in a folder of its own, whose document has revocations, and waits until it has
    /// read its store.
    pub async fn start(launcher: &Launcher, folder: &Path, revoked: Revoked) -> Result<Self> {
        make(folder)?;
        let document = Guard::TokenAndRevocation.write(folder)?;
        Box::pin(Self::with(launcher, folder, &document, revoked)).await
    }

    /// The same with another document.
    pub async fn with(
        launcher: &Launcher,
        folder: &Path,
        document: &Path,
        revoked: Revoked,
    ) -> Result<Self> {
        make(folder)?;
        let database = Database::make(&launcher.home, folder, revoked).await?;
        let (redis, redis_port) = launcher.redis(folder, Place::Anywhere).await?;
        let volatile = format!("redis://127.0.0.1:{redis_port}");
        let options = station::options(folder, document, &volatile, Some(&database));
        let (process, ports) = launcher.postern(&options, &[], Place::Anywhere).await?;
        let mut server = Self { process, ports, database, redis_port, redis };
        let records = f64::from(revoked.count());
        let hears = |metrics: &ServerMetrics| metrics.sum("postern_feed_wake_ups_lost") < 0.5;
        let has_read = |metrics: &ServerMetrics| metrics.sum("postern_feed_records") >= records;
        server.until(|metrics| hears(metrics) && has_read(metrics)).await?;
        Ok(server)
    }

    /// What it says of itself.
    pub async fn metrics(&self) -> Result<ServerMetrics> {
        ServerMetrics::read(self.ports.metrics).await
    }

    /// Waits until so many wait for news.
    pub async fn until_waiting(&mut self, clients: u32) -> Result<()> {
        let clients = f64::from(clients);
        self.until(|metrics| metrics.sum("postern_feed_waiting") >= clients).await
    }

    /// Waits until what it says of itself is as wanted.
    pub async fn until(&mut self, is_so: impl Fn(&ServerMetrics) -> bool) -> Result<()> {
        let port = self.ports.metrics;
        let ask = || async {
            let metrics = ServerMetrics::read(port).await.map_err(|error| format!("{error:#}"))?;
            if is_so(&metrics) { Ok(()) } else { Err("its metrics say otherwise".to_owned()) }
        };
        self.process.until(START, ask).await
    }

    /// That everything still runs.
    pub fn check(&mut self) -> Result<()> {
        self.process.check()?;
        self.redis.check()
    }
}

/// Makes a folder, unless it is there.
pub fn make(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))
}

/// An Envoy with the bundle.
#[derive(Debug)]
pub struct Gateway {
    /// The process.
    pub process: Running,
    /// Its ports.
    pub ports: Ports,
}

/// An Envoy to be started in a folder of its own.
#[derive(Debug, Clone, Copy)]
pub struct GatewayPlan<'a> {
    /// The folder.
    pub folder: &'a Path,
    /// Its document.
    pub guard: Guard,
    /// The gRPC port of the server; none where nobody is asked.
    pub server: Option<u16>,
    /// Worker threads.
    pub workers: u32,
}

impl GatewayPlan<'_> {
    /// Starts it, and waits until it listens. What it has heard by then is another matter.
    pub async fn start(&self, launcher: &Launcher) -> Result<Gateway> {
        let folder = self.folder;
        make(folder)?;
        let document = self.guard.write(folder)?;
        let server = self.server.unwrap_or_else(ports::free);
        let rendered = Rendered::of(&launcher.parts, &document, folder, server)?;
        let clusters = match self.server {
            Some(_) => vec![rendered.feed()?],
            None => Vec::new(),
        };
        let filters = vec![rendered.filter(BUNDLE)?];
        let ports = Ports::free();
        let config = bootstrap(&rendered, filters, clusters, Answers::Envoy, ports)?;
        let run = EnvoyRun {
            name: "gateway",
            folder,
            config: &config,
            ports,
            place: Place::Anywhere,
            workers: self.workers,
        };
        let process = launcher.envoy(&run).await?;
        Ok(Gateway { process, ports })
    }
}
