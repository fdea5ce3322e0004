//! `postern config`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Durable;

/// `postern config`
#[derive(Debug, Args)]
pub struct Config {
    /// What to do.
    #[command(subcommand)]
    pub action: ConfigAction,
}

/// Actions of `config`.
#[derive(Debug, Subcommand)]
pub enum ConfigAction {
    /// Check a document and make it the one that servers with --config-from store serve.
    Apply {
        /// The document: a file, or a folder of fragments.
        document: PathBuf,
        /// The durable store.
        #[command(flatten)]
        durable: Durable,
        /// Why, for whoever reads the history: up to 500 characters.
        #[arg(long, value_name = "TEXT")]
        why: String,
        /// Apply it although servers must be started again for some of it.
        #[arg(long)]
        restart: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// List what was applied, the newest first.
    History {
        /// The durable store.
        #[command(flatten)]
        durable: Durable,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print a document that was applied, as JSON with its fragments joined and its files in it.
    Show {
        /// The durable store.
        #[command(flatten)]
        durable: Durable,
        /// Its number; the active one by default.
        number: Option<u64>,
    },
    /// Say what changes from one document that was applied to another one.
    Diff {
        /// The durable store.
        #[command(flatten)]
        durable: Durable,
        /// From this one.
        from: u64,
        /// To that one.
        to: u64,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Apply a document once more that was applied before.
    Rollback {
        /// The durable store.
        #[command(flatten)]
        durable: Durable,
        /// Its number.
        number: u64,
        /// Why, for whoever reads the history; that it is a way back by default.
        #[arg(long, value_name = "TEXT")]
        why: Option<String>,
        /// Apply it although servers must be started again for some of it.
        #[arg(long)]
        restart: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}
