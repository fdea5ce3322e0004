//! One entry, running: what is asked, and whatever stands beside it.

mod gateway;
mod identity;
mod rate_limiter;

use std::path::Path;

use anyhow::{Context as _, Result};
use postern_e2e::client::{Call, Client, Protocol};
use postern_e2e::server;

use crate::chain::Answerer;
use crate::cpu::{self, Place};
use crate::database::Database;
use crate::entries::{Entry, Setup, Whose};
use crate::figures::revoker::Mover;
use crate::launcher::Launcher;
use crate::load::Target;
use crate::process::Running;
use crate::server_metrics::ServerMetrics;

/// Processes whose CPU time is measured together.
#[derive(Debug)]
pub struct Watched {
    /// The row of the report.
    pub row: String,
    /// The row that it is compared with; itself where there is nothing to compare.
    pub base: String,
    /// Whose CPU time it is.
    pub whose: &'static str,
    pids: Vec<u32>,
}

impl Watched {
    /// All rows of an entry, but those about processes that nobody knows.
    fn all(entry: &Entry, pids: &Pids) -> Vec<Self> {
        let rows = entry.rows().into_iter();
        let watched = rows.map(|row| {
            let (whose, pids) = (row.whose.name(), pids.of(row.whose));
            Self { row: row.name, base: row.base, whose, pids }
        });
        watched.filter(|watched| !watched.pids.is_empty()).collect()
    }

    /// Ticks so far.
    pub fn ticks(&self) -> Result<u64> {
        let ticks = self.pids.iter().map(|pid| cpu::ticks(*pid));
        ticks.sum::<Result<u64>>().with_context(|| format!("the CPU time of {}", self.row))
    }
}

/// The processes that an entry may have.
#[derive(Debug, Default)]
struct Pids {
    envoy: Option<u32>,
    server: Option<u32>,
    redis: Option<u32>,
    peer: Vec<u32>,
}

impl Pids {
    fn of(&self, whose: Whose) -> Vec<u32> {
        let known = match whose {
            Whose::Envoy => [self.envoy, None],
            Whose::Server | Whose::Signer => [self.server, None],
            Whose::Redis => [self.redis, None],
            Whose::ServerAndRedis => [self.server, self.redis],
            Whose::Peer => return self.peer.clone(),
        };
        known.into_iter().flatten().collect()
    }
}

/// A running entry. Dropping it ends all of its processes, but not a peer's.
#[derive(Debug)]
pub struct Station {
    /// What it is.
    pub entry: &'static Entry,
    /// What is sent where.
    pub target: Target,
    /// What is measured, in the order of the entry's rows.
    pub watched: Vec<Watched>,
    /// Envoy's admin port; none where there is no Envoy.
    admin: Option<u16>,
    /// The port for metrics of the server that lends; none where nothing is leased.
    lender: Option<u16>,
    /// That of the server that hears of circuits; none where nobody reports of them.
    hearer: Option<u16>,
    /// That of the server that is asked what tokens are; none where nobody asks that.
    introspector: Option<u16>,
    /// What is asked ends before what that asks.
    processes: Vec<Running>,
    _mover: Option<Mover>,
    /// The server's durable store; dropped last.
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

/// What of a station runs already.
#[derive(Debug, Default)]
struct Side {
    pids: Pids,
    /// Whoever asks before whom it asks.
    processes: Vec<Running>,
    mover: Option<Mover>,
    database: Option<Database>,
    /// The server's gRPC port; none where nobody is asked.
    server: Option<u16>,
    /// Its port for metrics; none where nobody reads them.
    metrics: Option<u16>,
}

impl Side {
    fn into_station(self, entry: &'static Entry, target: Target, admin: Option<u16>) -> Station {
        let Self { pids, processes, mover, database, server: _, metrics } = self;
        let watched = Watched::all(entry, &pids);
        let lender = metrics.filter(|_| entry.spends_leases());
        let hearer = metrics.filter(|_| entry.reports_circuits());
        let introspector = metrics.filter(|_| entry.introspects());
        Station {
            entry,
            target,
            watched,
            admin,
            lender,
            hearer,
            introspector,
            processes,
            _mover: mover,
            _database: database,
        }
    }
}

/// Whoever is to answer, and how.
#[derive(Debug)]
struct Wanted<'a> {
    answerer: Answerer,
    /// The server of this program that says yes to everything.
    noop: &'static str,
    /// The document of `postern serve`, and the rest of its command line.
    document: &'a Path,
    more: Vec<String>,
    folder: &'a Path,
    place: Place,
}

impl Starter<'_> {
    /// Starts an entry and sees that it answers.
    pub async fn start(&self, entry: &'static Entry) -> Result<Station> {
        let started = match entry.setup {
            Setup::Gateway(gateway) => Box::pin(self.gateway(entry, gateway)).await,
            Setup::RateLimiter(limiter) => Box::pin(self.rate_limiter(entry, limiter)).await,
            Setup::Peer => Box::pin(self.peer(entry)).await,
            Setup::Signer => Box::pin(self.signer(entry)).await,
            Setup::Identity(asked) => Box::pin(self.identity(entry, asked)).await,
        };
        started.with_context(|| format!("starting {}", entry.name))
    }

    /// Starts whoever is to answer, with its Redis.
    async fn answerer(&self, wanted: &Wanted<'_>, side: &mut Side) -> Result<()> {
        let Wanted { answerer, noop, document, more, folder, place } = wanted;
        let postern = async |volatile: &str| {
            let options = options(folder, document, volatile, None);
            let (server, ports) = self.launcher.postern(&options, more, *place).await?;
            anyhow::Ok((server, ports.grpc, Some(ports.metrics)))
        };
        let (server, port, metrics) = match answerer {
            Answerer::Noop => {
                let (server, port) = self.launcher.own_server(folder, noop, *place).await?;
                (server, port, None)
            }
            Answerer::Memory => postern("memory").await?,
            Answerer::Redis => {
                let (redis, port) = self.launcher.redis(folder, Place::Beside).await?;
                side.pids.redis = Some(redis.pid());
                side.processes.insert(0, redis);
                postern(&format!("redis://127.0.0.1:{port}")).await?
            }
        };
        side.pids.server = Some(server.pid());
        side.processes.insert(0, server);
        (side.server, side.metrics) = (Some(port), metrics);
        Ok(())
    }
}

/// How many slices of limits a server has lent, as it says at its port for metrics.
async fn slices_lent(port: u16) -> Result<f64> {
    let metrics = ServerMetrics::read(port).await?;
    Ok(metrics.sum_with("postern_feed_leases_total", "outcome=\"granted\""))
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
        for process in &mut self.processes {
            process.check().with_context(|| format!("in {}", self.entry.name))?;
        }
        Ok(())
    }

    /// How many slices its server has lent so far; none where nothing is leased.
    pub async fn slices_lent(&self) -> Result<Option<f64>> {
        match self.lender {
            Some(port) => slices_lent(port).await.map(Some),
            None => Ok(None),
        }
    }

    /// How many reports of circuits its server has counted so far; none where nobody reports.
    pub async fn reports_counted(&self) -> Result<Option<f64>> {
        let Some(port) = self.hearer else { return Ok(None) };
        let metrics = ServerMetrics::read(port).await?;
        Ok(Some(metrics.sum_with("postern_circuit_reports_total", "outcome=\"answered\"")))
    }

    /// How many tokens its server has called good so far that it was asked about; none where
    /// nobody asks that. An answer about one that is not good is 200, too.
    pub async fn called_good(&self) -> Result<Option<f64>> {
        let Some(port) = self.introspector else { return Ok(None) };
        let metrics = ServerMetrics::read(port).await?;
        Ok(Some(metrics.sum_with("postern_identity_introspections_total", "active=\"true\"")))
    }

    /// The share of tokens that the bundle remembered instead of checking their signatures;
    /// none where it looked at no token.
    pub async fn remembered(&self) -> Option<f64> {
        let call = Call::get("/stats?filter=postern_filter_tokens");
        let answer = Client::new(Protocol::Http1, self.admin?).try_send(&call).await.ok()?;
        let text = answer.text();
        let count = |name: &str| -> Option<f64> {
            let line = text.lines().find_map(|line| line.split_once(name))?;
            line.1.trim_start_matches(':').trim().parse().ok()
        };
        let cached = count("postern_filter_tokens_cached_total").unwrap_or(0.0);
        let verified = count("postern_filter_tokens_verified_total").unwrap_or(0.0);
        (cached + verified > 0.0).then(|| cached / (cached + verified))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entries::ENTRIES;

    fn watched(name: &str, pids: &Pids) -> Vec<(String, Vec<u32>)> {
        let entry = ENTRIES.iter().find(|entry| entry.name == name).unwrap();
        let watched = Watched::all(entry, pids).into_iter();
        watched.map(|watched| (watched.row, watched.pids)).collect()
    }

    #[test]
    fn every_row_has_its_processes() {
        let own = std::process::id();
        let pids = Pids { envoy: Some(own), server: Some(1), redis: Some(2), peer: vec![3, 4] };
        let row = |name: &str, pids: &[u32]| (name.to_owned(), pids.to_vec());
        assert_eq!(
            watched("ext_authz.decision.memory", &pids),
            [
                row("ext_authz.decision.memory", &[own]),
                row("ext_authz.decision.memory.server", &[1])
            ]
        );
        assert_eq!(
            watched("rls.redis", &pids),
            [row("rls.redis", &[1]), row("rls.redis.redis", &[2]), row("rls.redis.sum", &[1, 2])]
        );
        assert_eq!(watched("rls.peer", &pids), [row("rls.peer", &[3, 4])]);
        for name in ["identity.rs256_sign", "identity.token"] {
            assert_eq!(watched(name, &pids), [row(name, &[1])]);
        }
        assert!(watched("rls.peer", &Pids::default()).is_empty(), "nobody knows them");
    }

    #[test]
    fn processes_are_added_up() {
        let own = std::process::id();
        let watch = |pids: Vec<u32>| Watched {
            row: "a".to_owned(),
            base: "a".to_owned(),
            whose: "nobody",
            pids,
        };
        let one = watch(vec![own]).ticks().unwrap();
        assert!(watch(vec![own, own]).ticks().unwrap() >= 2 * one);
        assert!(watch(vec![own, u32::MAX]).ticks().is_err());
    }
}
