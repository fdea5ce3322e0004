//! `postern audit`

use clap::{Args, Subcommand};

use super::Durable;

/// `postern audit`
#[derive(Debug, Args)]
pub struct Audit {
    /// What to do.
    #[command(subcommand)]
    pub action: AuditAction,
}

/// Actions of `audit`.
#[derive(Debug, Subcommand)]
pub enum AuditAction {
    /// Check that every entry follows the one before it, from the first to the last; exits with 1
    /// and says where it was changed.
    Verify {
        /// The durable store.
        #[command(flatten)]
        durable: Durable,
        /// A hash of the log that was kept elsewhere: an earlier answer of this command, or the
        /// server's log. Without one, nobody sees that the last entries were taken out.
        #[arg(long, value_name = "HEX")]
        head: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print entries, oldest first.
    Export {
        /// The durable store.
        #[command(flatten)]
        durable: Durable,
        /// The number of the last entry that is known already.
        #[arg(long, value_name = "N", default_value_t = 0)]
        after: u64,
        /// Print JSON: an object a line, with all that is hashed.
        #[arg(long)]
        json: bool,
    },
}
