//! `postern circuit`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Durable;

/// `postern circuit`
#[derive(Debug, Args)]
pub struct Circuit {
    /// What to do.
    #[command(subcommand)]
    pub action: CircuitAction,
}

/// Actions of `circuit`.
#[derive(Debug, Subcommand)]
pub enum CircuitAction {
    /// List the circuits that the servers share, and how they stand.
    List(SharedCircuits),
    /// Refuse all calls of a service for a while, whatever becomes of them.
    Open(CircuitForced),
    /// Let all calls of a service pass for a while, whatever becomes of them.
    Close(CircuitForced),
    /// Forget everything that is known of a service's shared circuit, and what operators said of
    /// it. Envoys' own breakers stay as they are.
    Reset(OneCircuit),
}

/// Where circuits are shared, and which there are.
#[derive(Debug, Args)]
pub struct SharedCircuits {
    /// The document whose services have them: a file, or a folder of fragments.
    #[arg(long)]
    pub document: PathBuf,
    /// The Redis that the servers share: redis://…, redis+sentinel://…, redis+cluster://… or
    /// env:NAME; the document's by default.
    #[arg(long, env = "POSTERN_VOLATILE", hide_env_values = true)]
    pub volatile: Option<String>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// One of them, about which something is said.
#[derive(Debug, Args)]
pub struct OneCircuit {
    /// The service's name.
    pub name: String,
    /// Where that is written down.
    #[command(flatten)]
    pub durable: Durable,
    /// Where it is shared.
    #[command(flatten)]
    pub shared: SharedCircuits,
}

/// What holds for a while.
#[derive(Debug, Args)]
pub struct CircuitForced {
    /// Which circuit.
    #[command(flatten)]
    pub of: OneCircuit,
    /// How long, for example 10m; at most 7d.
    #[arg(long = "for", value_name = "TIME")]
    pub holds: String,
    /// Why, for the audit log: up to 200 bytes on one line.
    #[arg(long)]
    pub why: Option<String>,
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::cli::{CircuitAction, Cli, Command};

    #[test]
    fn a_word_says_for_how_long() {
        let read = |words: &str| {
            let words = format!("postern circuit {words} --document a.yaml --volatile b");
            Cli::try_parse_from(words.split_whitespace())
        };
        let cli = read("open bank --for 10m --why moving --durable c").unwrap();
        let Command::Circuit(circuit) = cli.command else { panic!("{cli:?}") };
        let CircuitAction::Open(forced) = circuit.action else { panic!("{circuit:?}") };
        let told = (forced.of.name.as_str(), forced.holds.as_str(), forced.why.as_deref());
        assert_eq!(told, ("bank", "10m", Some("moving")));
        assert!(read("close bank --durable c").is_err(), "for how long?");
        assert!(read("reset bank --durable c").is_ok());
        assert!(read("list").is_ok(), "who only looks writes nothing down");
    }
}
