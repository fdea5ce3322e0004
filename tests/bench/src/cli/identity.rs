//! Loads beside what logs people in.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;

/// Calls of `ext_authz` at a steady rate.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct CheckLoad {
    /// The server's gRPC port
    #[arg(long)]
    pub server: SocketAddr,
    /// A file of tokens, one a line
    #[arg(long, value_name = "FILE")]
    pub tokens: PathBuf,
    /// How many calls are begun in a second
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub rate: u32,
    /// For how many seconds
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u32).range(1..=600))]
    pub seconds: u32,
}

/// Refresh tokens, each exchanged for the next one.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct RefreshLoad {
    /// The server's public port, on this machine
    #[arg(long)]
    pub port: u16,
    /// A file of tokens, one a line; those that came of them stand there in the end
    #[arg(long, value_name = "FILE")]
    pub tokens: PathBuf,
    /// How many connections, each with tokens of its own
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub connections: u32,
    /// For how many seconds
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u32).range(1..=600))]
    pub seconds: u32,
}

impl CheckLoad {
    /// As the command line has it, the program's name included.
    pub fn arguments(&self) -> Vec<OsString> {
        let Self { server, tokens, rate, seconds } = self;
        let numbers = [("--rate", *rate), ("--seconds", *seconds)];
        let first = ["check-load", "--server", &server.to_string()].map(OsString::from);
        arguments(first, tokens, numbers)
    }
}

impl RefreshLoad {
    /// As the command line has it, the program's name included.
    pub fn arguments(&self) -> Vec<OsString> {
        let Self { port, tokens, connections, seconds } = self;
        let numbers = [("--connections", *connections), ("--seconds", *seconds)];
        let first = ["refresh-load", "--port", &port.to_string()].map(OsString::from);
        arguments(first, tokens, numbers)
    }
}

fn arguments(first: [OsString; 3], tokens: &Path, numbers: [(&str, u32); 2]) -> Vec<OsString> {
    let mut arguments = Vec::from(first);
    arguments.push(OsString::from("--tokens"));
    arguments.push(tokens.as_os_str().to_owned());
    for (name, number) in numbers {
        arguments.push(OsString::from(name));
        arguments.push(OsString::from(number.to_string()));
    }
    arguments
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Beside, Cli};

    fn read(arguments: Vec<OsString>) -> Option<Beside> {
        let line = [OsString::from("postern-bench")].into_iter().chain(arguments);
        Cli::try_parse_from(line).unwrap().beside
    }

    #[test]
    fn a_load_is_told_as_it_is_read() {
        let tokens = PathBuf::from("a folder/tokens.txt");
        let server = SocketAddr::from(([127, 0, 0, 1], 7));
        let checks = CheckLoad { server, tokens: tokens.clone(), rate: 1_000, seconds: 2 };
        let told = read(checks.arguments());
        assert!(matches!(&told, Some(Beside::CheckLoad(read)) if *read == checks), "{told:?}");
        let refreshes = RefreshLoad { port: 7, tokens, connections: 32, seconds: 3 };
        let told = read(refreshes.arguments());
        assert!(matches!(&told, Some(Beside::RefreshLoad(read)) if *read == refreshes), "{told:?}");
    }

    #[test]
    fn a_load_of_nothing_is_none() {
        let tokens = PathBuf::from("t");
        let server = SocketAddr::from(([127, 0, 0, 1], 7));
        let checks = CheckLoad { server, tokens, rate: 0, seconds: 2 };
        let line = [OsString::from("postern-bench")].into_iter().chain(checks.arguments());
        assert!(Cli::try_parse_from(line).is_err());
    }
}
