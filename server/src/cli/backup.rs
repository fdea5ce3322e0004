//! `postern backup` and `postern restore`

use std::path::PathBuf;

use clap::Args;

use super::{Durable, KeyFile};

/// `postern backup`
#[derive(Debug, Args)]
pub struct Backup {
    /// The durable store.
    #[command(flatten)]
    pub durable: Durable,
    /// The file to write; there must be none of this name.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// What the backup is sealed with.
    #[command(flatten)]
    pub key_file: KeyFile,
    /// Do not seal it: whoever has the file can read it, and change it.
    #[arg(long)]
    pub clear: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `postern restore`
#[derive(Debug, Args)]
pub struct Restore {
    /// The durable store: migrated, and empty.
    #[command(flatten)]
    pub durable: Durable,
    /// The backup.
    #[arg(long, value_name = "FILE")]
    pub from: PathBuf,
    /// What the backup was sealed with.
    #[command(flatten)]
    pub key_file: KeyFile,
    /// It is not sealed: whoever could write to the file says what is restored.
    #[arg(long)]
    pub clear: bool,
    /// Keep what is restored; without it, all of it is tried and taken back.
    #[arg(long)]
    pub yes: bool,
    /// Take an audit log whose chain was broken when the backup was made.
    #[arg(long)]
    pub accept_broken_audit: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}
