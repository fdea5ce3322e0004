//! The command line.

mod identity;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use self::identity::{CheckLoad, RefreshLoad};

/// Measures CPU time per request: our filters and server beside Envoy's own filters; and the feed.
#[derive(Debug, Parser)]
#[command(name = "postern-bench", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// Instead of measuring: one of the programs that run beside what is measured.
    #[command(subcommand)]
    pub beside: Option<Beside>,
    /// What to measure.
    #[command(flatten)]
    pub options: Options,
}

/// What to measure.
#[derive(Debug, Args)]
pub struct Options {
    /// Entries and figures, by the beginning of their names; all of them by default
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Also write the results to this file
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Alternating runs per entry; figures have numbers of their own
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub runs: u32,
    /// Seconds that a run takes
    #[arg(long, value_name = "S", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=600))]
    pub seconds: u32,
    /// Exit with 1 when a bound is missed; measures what the bounds are about, whatever the names
    #[arg(long)]
    pub check: bool,
}

/// Programs that run beside what is measured.
#[derive(Debug, Clone, Subcommand)]
pub enum Beside {
    /// An `ext_authz` server that always says yes
    #[command(hide = true)]
    NoopAuthz {
        /// Where to listen
        #[arg(long)]
        address: SocketAddr,
    },
    /// An `ext_proc` server that changes nothing
    #[command(hide = true)]
    NoopProc {
        /// Where to listen
        #[arg(long)]
        address: SocketAddr,
    },
    /// A rate limit service that always says OK
    #[command(hide = true)]
    NoopRls {
        /// Where to listen
        #[arg(long)]
        address: SocketAddr,
    },
    /// Calls of a rate limit service, many at a time; prints what came of them
    RlsLoad(RlsLoad),
    /// Clients of the feed that have no requests
    #[command(hide = true)]
    FeedClients(FeedClients),
    /// Signatures, and nothing else
    #[command(hide = true)]
    Sign {
        /// Where to listen
        #[arg(long)]
        address: SocketAddr,
    },
    /// Calls of `ext_authz` at a steady rate; prints what came of them
    #[command(hide = true)]
    CheckLoad(CheckLoad),
    /// Refresh tokens, each exchanged for the next one; prints what came of it
    #[command(hide = true)]
    RefreshLoad(RefreshLoad),
}

/// Calls of a rate limit service, many at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
pub struct RlsLoad {
    /// The service's gRPC port
    #[arg(long)]
    pub server: SocketAddr,
    /// How many connections
    #[arg(long, value_name = "N", default_value_t = CONNECTIONS, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub connections: u32,
    /// Calls under way at a time, on each of them
    #[arg(long, value_name = "N", default_value_t = IN_FLIGHT, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub in_flight: u32,
    /// How many different keys
    #[arg(long, value_name = "N", default_value_t = KEYS, value_parser = clap::value_parser!(u32).range(1..))]
    pub keys: u32,
    /// The number of the first key
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub first_key: u32,
    /// Descriptors of a call, each for a rule of its own
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=4))]
    pub limits: u32,
    /// For how many seconds
    #[arg(long, value_name = "S", required_unless_present = "once", value_parser = clap::value_parser!(u32).range(1..=600))]
    pub seconds: Option<u32>,
    /// Every key once, however long it takes
    #[arg(long, conflicts_with = "seconds")]
    pub once: bool,
}

/// The load that is measured.
const CONNECTIONS: u32 = 4;
const IN_FLIGHT: u32 = 16;
const KEYS: u32 = 10_000;

impl RlsLoad {
    /// What is measured, for so many seconds.
    pub const fn of(server: SocketAddr, seconds: u32) -> Self {
        Self {
            server,
            connections: CONNECTIONS,
            in_flight: IN_FLIGHT,
            keys: KEYS,
            first_key: 0,
            limits: 1,
            seconds: Some(seconds),
            once: false,
        }
    }

    /// Every one of these keys once.
    pub const fn once(server: SocketAddr, first_key: u32, keys: u32) -> Self {
        Self { first_key, keys, seconds: None, once: true, ..Self::of(server, 1) }
    }

    /// As the command line has it, the program's name included.
    pub fn arguments(&self) -> Vec<String> {
        let Self { server, connections, in_flight, keys, first_key, limits, seconds, once } = self;
        let mut arguments = vec!["rls-load".to_owned(), format!("--server={server}")];
        let numbers = [
            ("connections", Some(connections)),
            ("in-flight", Some(in_flight)),
            ("keys", Some(keys)),
            ("first-key", Some(first_key)),
            ("limits", Some(limits)),
            ("seconds", seconds.as_ref()),
        ];
        for (name, number) in numbers {
            arguments.extend(number.map(|number| format!("--{name}={number}")));
        }
        arguments.extend(once.then(|| "--once".to_owned()));
        arguments
    }
}

/// Clients of the feed that have no requests.
#[derive(Debug, Clone, Copy, Args)]
pub struct FeedClients {
    /// The server's gRPC port
    #[arg(long)]
    pub server: SocketAddr,
    /// How many, each with a connection of its own
    #[arg(long, value_name = "N")]
    pub clients: u32,
    /// Ask so often instead of waiting for news
    #[arg(long, value_name = "MS")]
    pub poll_ms: Option<u32>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn names_and_programs_are_told_apart() {
        let parse = |line: &str| Cli::try_parse_from(line.split(' '));
        let cli = parse("postern-bench filter.jwt envoy.base --runs 3 --json out.json").unwrap();
        assert!(cli.beside.is_none());
        assert_eq!(cli.options.names, ["filter.jwt", "envoy.base"]);
        assert_eq!((cli.options.runs, cli.options.seconds), (3, 3));
        let cli = parse("postern-bench noop-authz --address 127.0.0.1:1").unwrap();
        assert!(matches!(cli.beside, Some(Beside::NoopAuthz { .. })));
        let cli = parse("postern-bench feed-clients --server 127.0.0.1:1 --clients 7").unwrap();
        let Some(Beside::FeedClients(clients)) = cli.beside else { panic!("{cli:?}") };
        assert_eq!((clients.clients, clients.poll_ms), (7, None));
        for line in [
            "postern-bench rls-load --server 127.0.0.1:1",
            "postern-bench rls-load --server 127.0.0.1:1 --once --seconds 1",
            "postern-bench rls-load --server 127.0.0.1:1 --once --limits 5",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
        assert!(parse("postern-bench").unwrap().options.names.is_empty());
        for line in ["postern-bench --runs 0", "postern-bench --seconds 0"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn a_load_is_told_as_it_is_read() {
        let server = SocketAddr::from(([127, 0, 0, 1], 7));
        let four = RlsLoad { limits: 4, ..RlsLoad::of(server, 3) };
        for load in [RlsLoad::of(server, 1), four, RlsLoad::once(server, 100, 900)] {
            let line = ["postern-bench".to_owned()].into_iter().chain(load.arguments());
            let cli = Cli::try_parse_from(line).unwrap();
            assert!(matches!(cli.beside, Some(Beside::RlsLoad(read)) if read == load), "{cli:?}");
        }
    }
}
