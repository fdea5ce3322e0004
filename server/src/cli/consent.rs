//! `postern consent`

use clap::{Args, Subcommand};

use super::{Durable, Ends};

/// `postern consent`
#[derive(Debug, Args)]
pub struct Consent {
    /// What to do.
    #[command(subcommand)]
    pub action: ConsentAction,
}

/// Actions of `consent`.
#[derive(Debug, Subcommand)]
pub enum ConsentAction {
    /// List what a user lets clients do.
    List {
        /// The durable store.
        #[command(flatten)]
        durable: Durable,
        /// The user, by id or e-mail.
        #[arg(long)]
        user: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Take back what a user lets a client do, and end what the client has by it.
    Revoke {
        /// The durable store.
        #[command(flatten)]
        durable: Durable,
        /// Where sessions are, and whose tokens end.
        #[command(flatten)]
        ends: Ends,
        /// The user, by id or e-mail.
        #[arg(long)]
        user: String,
        /// The `client_id`.
        #[arg(long)]
        client: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}
