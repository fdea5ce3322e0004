//! Where the real parts are. `./dev bench` builds or fetches them and says so here.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use postern_e2e::env;

use crate::peer::Peer;

/// The programs and modules that are measured or measure.
#[derive(Debug)]
pub struct Parts {
    /// Envoy's binary.
    pub envoy: PathBuf,
    /// The `postern` binary, as it ships.
    pub postern: PathBuf,
    /// The WASM bundle.
    pub bundle: PathBuf,
    /// The module that does nothing.
    pub trivial: PathBuf,
    /// Redis' server.
    pub redis: PathBuf,
    /// The load generator.
    pub wrk: PathBuf,
    /// This program, for the servers in it.
    pub own: PathBuf,
    /// Somebody else's rate limit service, if it runs.
    pub peer: Option<Peer>,
}

impl Parts {
    /// Finds all of them, so that a missing one shows before anything is started.
    pub fn find() -> Result<Self> {
        Ok(Self {
            envoy: part("POSTERN_ENVOY", "Envoy's binary")?,
            postern: part("POSTERN_BIN", "the postern binary")?,
            bundle: part("POSTERN_BUNDLE_WASM", "the WASM bundle")?,
            trivial: part("POSTERN_TRIVIAL_WASM", "the trivial module")?,
            redis: redis()?,
            wrk: part("POSTERN_WRK", "wrk")?,
            own: std::env::current_exe().context("where this program is")?,
            peer: Peer::find()?,
        })
    }

    /// A folder of the bench's own, beside the build's.
    pub fn folder(&self) -> Result<PathBuf> {
        // TARGET/release/postern-bench
        let target = self.own.ancestors().nth(2);
        Ok(target.context("this program lies in no target folder")?.join("bench"))
    }
}

/// A process of the bench's own: its CPU time is a row of the report.
fn redis() -> Result<PathBuf> {
    if env::redis_url().is_some() && !env::has_redis_server() {
        bail!(
            "the CPU time of Redis' process is measured, and REDIS_URL gives no process: set \
             REDIS_SERVER=/path/to/redis-server"
        );
    }
    part("POSTERN_REDIS_SERVER", "redis-server")
}

fn part(variable: &str, what: &str) -> Result<PathBuf> {
    let Some(path) = std::env::var_os(variable).filter(|value| !value.is_empty()) else {
        bail!("{variable} is not set, so {what} is unknown: run ./dev bench, which sets it");
    };
    let path = PathBuf::from(path);
    if !path.is_file() {
        bail!("{variable} names {}, which is no file: run ./dev bench", path.display());
    }
    Ok(path)
}
