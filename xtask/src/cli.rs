//! The command line of `./dev`.

use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Set up, run, test, measure and check Postern.
#[derive(Debug, Parser)]
#[command(name = "dev", bin_name = "./dev")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// One entry per thing a developer does; those with options are described there.
#[derive(Debug, Subcommand)]
pub enum Command {
    Setup(SetupOptions),
    Up(UpOptions),
    Test(TestOptions),
    Bench(BenchOptions),
    /// Formatting, clippy, dependency arrows, licences, wasm32 builds, the bundle's size
    Lint,
    /// Check that dependencies between our crates point inward
    Arrows,
    Wasm(WasmOptions),
    Image(ImageOptions),
}

/// Get what `up` and `test` need: WASM target, Envoy, Redis
#[derive(Debug, Args)]
pub struct SetupOptions {
    /// Also what only `test clients` needs: Node, its packages, Python's, Chromium
    #[arg(long)]
    pub clients: bool,
    /// Also what only `test chaos` needs: libfaketime
    #[arg(long)]
    pub chaos: bool,
    /// Also what only `bench`, `lint` and `test mesh` need: wrk, cargo-deny, Go; and the above
    #[arg(long)]
    pub all: bool,
}

/// Start a real Envoy with our filters, the server and sample upstreams
#[derive(Debug, Args)]
pub struct UpOptions {
    /// Serve Envoy's configuration over xDS instead of from a file
    #[arg(long)]
    pub xds: bool,
    /// Use the ports N to N+6 instead of the default ones
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=65529))]
    pub port_base: Option<u16>,
    /// Start everything, try each command of the guide once, and stop
    #[arg(long)]
    pub once: bool,
}

/// Run the tests (bare: arrows, unit and e2e)
#[derive(Debug, Args)]
pub struct TestOptions {
    /// The suite; without one: arrows, unit and e2e
    #[arg(value_enum)]
    pub suite: Option<Suite>,
    /// matrix: Envoys to test on, by version or as a path; without one: all that are supported
    #[arg(value_name = "ENVOY")]
    pub envoys: Vec<String>,
    /// matrix: the oldest Envoy alone, since a bare `./dev test` runs the newest; chaos: for
    /// seconds and at low rates
    #[arg(long, conflicts_with = "envoys")]
    pub short: bool,
    /// matrix: the oldest Envoy and the newest
    #[arg(long, conflicts_with_all = ["envoys", "short"])]
    pub oldest_and_newest: bool,
    /// fuzz: how long each fuzzer runs
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub seconds: u32,
    /// clients: only the scripts whose name holds this; behind `--` what a case's name must hold
    #[arg(long, value_name = "NAME")]
    pub only: Option<String>,
    /// Passed to the test programs, for example a name to filter by
    #[arg(last = true, value_name = "ARGUMENT")]
    pub arguments: Vec<String>,
}

impl TestOptions {
    /// Whether anything is said about Envoys that another suite than the matrix cannot mean.
    pub fn chooses_envoys(&self) -> bool {
        !self.envoys.is_empty() || self.oldest_and_newest
    }
}

/// The test suites.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Suite {
    /// Every crate's own tests
    Unit,
    /// Real Envoy, real Redis, the real modules
    #[value(name = "e2e")]
    E2e,
    /// Coverage-guided fuzzing of what reads hostile input
    Fuzz,
    /// The end-to-end tests of what runs in Envoy, on several versions of it
    Matrix,
    /// Istio's control plane with real sidecars
    Mesh,
    /// OAuth clients of others, a browser and a fuzzer, against the gateway
    Clients,
    /// Failures of every remote part
    Chaos,
}

/// Measure CPU per request against Envoy's own filters
#[derive(Debug, Args)]
pub struct BenchOptions {
    /// Entries to measure; without one: all
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Also write the results to this file
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Alternating runs per entry
    #[arg(long, value_name = "N")]
    pub runs: Option<NonZeroU32>,
    /// Seconds of load per run
    #[arg(long, value_name = "S")]
    pub seconds: Option<NonZeroU32>,
    /// Fail when a bound is missed
    #[arg(long)]
    pub check: bool,
}

/// Build just the filter modules
#[derive(Debug, Args)]
pub struct WasmOptions {
    /// Also the modules of one stage each: tokens, local limits, circuits
    #[arg(long)]
    pub stages: bool,
    /// Show what takes the room in the bundle, and publish nothing
    #[arg(long, conflicts_with = "stages")]
    pub sizes: bool,
}

/// Write the module and the server as OCI image layouts, with SBOM and provenance
#[derive(Debug, Args)]
pub struct ImageOptions {
    /// The images to write; without one: all
    #[arg(value_enum, value_name = "IMAGE")]
    pub images: Vec<ImageName>,
    /// The folder to write to; target/images by default
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
    /// Take this server instead of building one
    #[arg(long, value_name = "FILE")]
    pub binary: Option<PathBuf>,
    /// Where the repository is published, for labels and provenance
    #[arg(long, value_name = "URL")]
    pub source: Option<String>,
    /// Who builds, for the provenance
    #[arg(long, value_name = "URI")]
    pub builder: Option<String>,
    /// Make everything a second time, and fail where it differs
    #[arg(long)]
    pub check: bool,
    /// With --check: also compile a second time, from nothing and in other folders
    #[arg(long, requires = "check", conflicts_with = "binary")]
    pub rebuild: bool,
    /// Also write tags, digests and sizes to this file
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// What there are images of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ImageName {
    /// The module
    #[value(name = "postern-bundle")]
    Bundle,
    /// The server
    #[value(name = "postern-server")]
    Server,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn accepts_what_the_contract_names() {
        for line in [
            "dev setup",
            "dev setup --all",
            "dev up --xds --port-base 18080",
            "dev up --once",
            "dev test",
            "dev test unit",
            "dev test e2e -- tampered",
            "dev test fuzz --seconds 600",
            "dev test matrix",
            "dev test matrix --short",
            "dev test matrix --oldest-and-newest -- bodies",
            "dev test matrix 1.36.4 /opt/envoy/envoy -- bodies",
            "dev test mesh",
            "dev test mesh -- principal",
            "dev setup --clients",
            "dev test clients",
            "dev test clients --only openid-client -- DPoP",
            "dev test chaos",
            "dev test chaos --short -- feed",
            "dev setup --clients --chaos",
            "dev bench filter.jwt.warm envoy.base --json out.json --runs 3",
            "dev lint",
            "dev wasm",
            "dev wasm --stages",
            "dev wasm --sizes",
            "dev image",
            "dev image postern-bundle --out layouts --source https://git.example.test/postern",
            "dev image --check --rebuild --json images.json",
            "dev image postern-server --binary postern --check",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_ok(), "{line}");
        }
        for line in [
            "dev",
            "dev up --port-base 65530",
            "dev bench --runs 0",
            "dev test all",
            "dev test matrix --short 1.36.4",
            "dev wasm --sizes --stages",
            "dev image postern",
            "dev image --rebuild",
            "dev image --check --rebuild --binary postern",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}
