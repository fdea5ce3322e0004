//! `postern session`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Durable, Ends};

/// `postern session`
#[derive(Debug, Args)]
pub struct Session {
    /// What to do.
    #[command(subcommand)]
    pub action: SessionAction,
}

/// Actions of `session`.
#[derive(Debug, Subcommand)]
pub enum SessionAction {
    /// List a user's sessions.
    List {
        /// The durable store.
        #[command(flatten)]
        durable: Durable,
        /// Where sessions are: the Redis that the servers share, redis://… or env:NAME; the
        /// document's by default.
        #[arg(long, env = "POSTERN_VOLATILE", hide_env_values = true)]
        volatile: Option<String>,
        /// The document that names it.
        #[arg(long)]
        document: Option<PathBuf>,
        /// The user, by id or e-mail.
        #[arg(long)]
        user: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// End a session, and revoke its tokens.
    End {
        /// The durable store.
        #[command(flatten)]
        durable: Durable,
        /// Where it is, and whose tokens end.
        #[command(flatten)]
        ends: Ends,
        /// Its id.
        id: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}
