//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

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
#[derive(Debug, Clone, Copy, Subcommand)]
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
    /// Clients of the feed that have no requests
    #[command(hide = true)]
    FeedClients(FeedClients),
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
        assert!(parse("postern-bench").unwrap().options.names.is_empty());
        for line in ["postern-bench --runs 0", "postern-bench --seconds 0"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
