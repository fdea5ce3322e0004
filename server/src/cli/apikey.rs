//! `postern apikey`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Durable;

/// `postern apikey`
#[derive(Debug, Args)]
pub struct Apikey {
    /// What to do.
    #[command(subcommand)]
    pub action: ApikeyAction,
}

/// Actions of `apikey`.
#[derive(Debug, Subcommand)]
pub enum ApikeyAction {
    /// Create a key; it is shown once.
    Create(ApikeyCreate),
    /// List keys, without their secrets.
    List {
        /// The durable store.
        #[command(flatten)]
        durable: Durable,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show a key, without its secret.
    Show {
        /// The durable store.
        #[command(flatten)]
        durable: Durable,
        /// Its id: what stands between `pk_` and the secret.
        id: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Change a key. What is not said stays.
    Update(ApikeyUpdate),
    /// Make a key that takes the place of another one, which goes on for a while; the new one is
    /// shown once.
    Rotate {
        /// The durable store.
        #[command(flatten)]
        durable: Durable,
        /// The id of the key whose place is taken.
        id: String,
        /// How long that one goes on, for example 24h; a minute to 90 days.
        #[arg(long, default_value = "24h")]
        overlap: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Revoke a key for good.
    Revoke {
        /// The durable store.
        #[command(flatten)]
        durable: Durable,
        /// Its id.
        id: String,
        /// The Redis by which other servers hear of it at once: redis://… or env:NAME.
        #[arg(long)]
        volatile: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// `postern apikey create`
#[derive(Debug, Args)]
pub struct ApikeyCreate {
    /// The durable store.
    #[command(flatten)]
    pub durable: Durable,
    /// Who it stands for.
    #[arg(long)]
    pub subject: String,
    /// What people call it.
    #[arg(long)]
    pub name: Option<String>,
    /// The OAuth client it belongs to.
    #[arg(long)]
    pub client_id: Option<String>,
    /// Scopes, separated by spaces.
    #[arg(long, visible_alias = "scope", default_value = "")]
    pub scopes: String,
    /// Tier.
    #[arg(long)]
    pub tier: Option<String>,
    /// A limit of its own, besides the route's: the name of one of the document's with `mode:
    /// exact`; as often as there are such limits.
    #[arg(long = "limit", value_name = "NAME")]
    pub limits: Vec<String>,
    /// The document, to know whether there are such scopes and limits.
    #[arg(long)]
    pub document: Option<PathBuf>,
    /// When it ends, from now, for example 90d, and at most 3650d; never by default.
    #[arg(long)]
    pub expires_in: Option<String>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `postern apikey update`
#[derive(Debug, Args)]
pub struct ApikeyUpdate {
    /// The durable store.
    #[command(flatten)]
    pub durable: Durable,
    /// Its id.
    pub id: String,
    /// What people call it.
    #[arg(long)]
    pub name: Option<String>,
    /// Scopes, separated by spaces; all of them.
    #[arg(long, visible_alias = "scope")]
    pub scopes: Option<String>,
    /// Tier.
    #[arg(long, group = "another_tier")]
    pub tier: Option<String>,
    /// No tier any more.
    #[arg(long, group = "another_tier")]
    pub no_tier: bool,
    /// A limit of its own, besides the route's: the name of one of the document's with `mode:
    /// exact`; as often as there are such limits, all of them.
    #[arg(long = "limit", value_name = "NAME")]
    pub limits: Vec<String>,
    /// No limits of its own any more.
    #[arg(long, conflicts_with = "limits")]
    pub no_limits: bool,
    /// The document, to know whether there are such scopes and limits.
    #[arg(long)]
    pub document: Option<PathBuf>,
    /// When it ends, from now, for example 90d, and at most 3650d.
    #[arg(long, group = "another_end")]
    pub expires_in: Option<String>,
    /// It does not end by itself any more.
    #[arg(long, group = "another_end")]
    pub no_expiry: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}
