//! `postern client`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Durable, Ends};

/// `postern client`
#[derive(Debug, Args)]
pub struct Client {
    /// What to do.
    #[command(subcommand)]
    pub action: ClientAction,
}

/// Actions of `client`.
#[derive(Debug, Subcommand)]
pub enum ClientAction {
    /// Create a client; the secret of a confidential one is shown once.
    Create(ClientCreate),
    /// List clients.
    List {
        /// The durable store.
        #[command(flatten)]
        durable: Durable,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show a client.
    Show {
        /// The durable store.
        #[command(flatten)]
        durable: Durable,
        /// Its `client_id`.
        id: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Change a client. What is not said stays; servers know within ten seconds.
    Update(ClientUpdate),
    /// Give a client another secret, which is shown once; the one before is not good any more.
    RotateSecret {
        /// The durable store.
        #[command(flatten)]
        durable: Durable,
        /// Its `client_id`.
        id: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Delete a client, everybody's consents to it, and the access tokens that it has.
    Delete {
        /// The durable store.
        #[command(flatten)]
        durable: Durable,
        /// Whose tokens end.
        #[command(flatten)]
        ends: Ends,
        /// Its `client_id`.
        id: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// `postern client create`
#[derive(Debug, Args)]
pub struct ClientCreate {
    /// The durable store.
    #[command(flatten)]
    pub durable: Durable,
    /// A name for people.
    #[arg(long)]
    pub name: String,
    /// Scopes it may ask for, separated by spaces.
    #[arg(long, visible_alias = "scope", default_value = "")]
    pub scopes: String,
    /// Lifetime of its access tokens, for example 1h.
    #[arg(long, default_value = "1h")]
    pub lifetime: String,
    /// It runs where it can keep no secret, such as in a browser: people log in for it, and it
    /// gets tokens by authorization codes with PKCE (and --redirect-uri), or as a device
    /// (--grant device_code).
    #[arg(long)]
    pub public: bool,
    /// Where codes are sent; as often as there are such places. Without --grant it may ask by
    /// authorization_code and refresh_token then.
    #[arg(long = "redirect-uri", value_name = "URI")]
    pub redirect_uris: Vec<String>,
    /// People are not asked before it gets what they may do.
    #[arg(long)]
    pub no_consent: bool,
    /// The document, to know whether it has such scopes and grants: a file, or a folder of
    /// fragments.
    #[arg(long)]
    pub document: Option<PathBuf>,
    /// All else that may be said.
    #[command(flatten)]
    pub details: ClientDetails,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// What may be said of a client when it is made and later.
#[derive(Debug, Clone, Default, Args)]
pub struct ClientDetails {
    /// How it may ask for tokens: client_credentials, authorization_code, refresh_token,
    /// device_code or token_exchange; as often as there are ways.
    #[arg(long = "grant", value_name = "GRANT")]
    pub grants: Vec<String>,
    /// How it proves who it is: client_secret_basic, client_secret_post, private_key_jwt,
    /// tls_client_auth or self_signed_tls_client_auth.
    #[arg(long, value_name = "METHOD")]
    pub auth_method: Option<String>,
    /// A file with its public keys, a JWK Set.
    #[arg(long, value_name = "FILE", group = "keys")]
    pub jwks: Option<PathBuf>,
    /// Where its public keys are.
    #[arg(long, value_name = "URL", group = "keys")]
    pub jwks_uri: Option<String>,
    /// Which certificate is its own: dns:NAME, uri:URI or sha256:HASH.
    #[arg(long, value_name = "SUBJECT")]
    pub tls_subject: Option<String>,
    /// Where browsers may go after log-out; as often as there are such places.
    #[arg(long = "post-logout-redirect-uri", value_name = "URI")]
    pub post_logout_redirect_uris: Vec<String>,
    /// Where its tokens may be for (RFC 8707); as often as there are such places.
    #[arg(long = "resource", value_name = "URI")]
    pub resources: Vec<String>,
    /// A client for whose users it may act (RFC 8693), or `*` for all; as often as there are such
    /// clients.
    #[arg(long = "may-act-for", value_name = "CLIENT_ID")]
    pub may_act_for: Vec<String>,
    /// A resource for which it may ask about tokens of others (RFC 7662), as `aud` of these tokens
    /// says it, or `*` for all; as often as there are such resources.
    #[arg(long = "may-introspect", value_name = "RESOURCE")]
    pub may_introspect: Vec<String>,
    /// Its authorization requests must be pushed (RFC 9126).
    #[arg(long)]
    pub require_par: bool,
    /// Its tokens are always bound to a key of its own (RFC 9449).
    #[arg(long)]
    pub bind_dpop: bool,
    /// Lifetime of its refresh tokens, for example 7d.
    #[arg(long)]
    pub refresh_lifetime: Option<String>,
}

/// `postern client update`
#[derive(Debug, Args)]
pub struct ClientUpdate {
    /// The durable store.
    #[command(flatten)]
    pub durable: Durable,
    /// Its `client_id`.
    pub id: String,
    /// A name for people.
    #[arg(long)]
    pub name: Option<String>,
    /// Scopes it may ask for, separated by spaces; all of them.
    #[arg(long, visible_alias = "scope")]
    pub scopes: Option<String>,
    /// Lifetime of its access tokens, for example 1h.
    #[arg(long)]
    pub lifetime: Option<String>,
    /// Where codes are sent; as often as there are such places, all of them.
    #[arg(long = "redirect-uri", value_name = "URI")]
    pub redirect_uris: Vec<String>,
    /// People are not asked before it gets what they may do.
    #[arg(long, group = "asked")]
    pub no_consent: bool,
    /// People are asked before it gets what they may do.
    #[arg(long, group = "asked")]
    pub consent: bool,
    /// It may act for nobody's users any more.
    #[arg(long, conflicts_with = "may_act_for")]
    pub no_may_act_for: bool,
    /// It may not ask about tokens of others any more.
    #[arg(long, conflicts_with = "may_introspect")]
    pub no_may_introspect: bool,
    /// Switch it off, and end the access tokens that it has.
    #[arg(long, group = "activity", requires = "document")]
    pub inactive: bool,
    /// Switch it on.
    #[arg(long, group = "activity")]
    pub active: bool,
    /// The document whose issuer's tokens end, and that says which scopes and grants there are.
    #[arg(long)]
    pub document: Option<PathBuf>,
    /// The Redis by which other servers hear of that at once: redis://… or env:NAME.
    #[arg(long)]
    pub volatile: Option<String>,
    /// All else that may be said.
    #[command(flatten)]
    pub details: ClientDetails,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}
