//! The command line.

mod apikey;
mod audit;
mod backup;
mod circuit;
mod client;
mod config;
mod consent;
mod explain;
mod import;
mod limits;
mod rate_limit;
mod render;
mod review;
mod service;
mod session;
mod test;
mod user;
mod values;
mod xds;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::key_command::KeyCommand;

pub use apikey::{Apikey, ApikeyAction, ApikeyCreate, ApikeyUpdate};
pub use audit::{Audit, AuditAction};
pub use backup::{Backup, Restore};
pub use circuit::{Circuit, CircuitAction, CircuitForced, OneCircuit, SharedCircuits};
pub use client::{Client, ClientAction, ClientCreate, ClientDetails, ClientUpdate};
pub use config::{Config, ConfigAction};
pub use consent::{Consent, ConsentAction};
pub use explain::Explain;
pub use import::Import;
pub use limits::{Descriptor, DescriptorAction, DescriptorCount, LimitCount, Limits, LimitsAction};
pub use rate_limit::{RateLimit, RateLimitFailure};
pub use render::{Render, RenderEnvoy, RenderIstio, RenderTarget};
pub use review::{FailOn, Review, ReviewFormat};
pub use service::{Service, ServiceAction, ServiceRegister};
pub use session::{Session, SessionAction};
pub use test::Test;
pub use user::{OfUser, User, UserAction, UserCreate, UserUpdate};
use values::listen_address;
pub use xds::{Xds, XdsAction, XdsStatus};

/// Turns Envoy and Istio sidecars into a complete API gateway.
#[derive(Debug, Parser)]
#[command(name = "postern", version, propagate_version = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check a gateway document; prints every problem and exits with 1 when there is one.
    Check(Check),
    /// Print the JSON Schema of gateway documents, for editors.
    Schema,
    /// Write Envoy configuration or Istio manifests of a document.
    Render(Render),
    /// Say who may reach what, with which guarantees, and what is dangerous about it.
    Review(Box<Review>),
    /// Say what a document makes of one request, and why; nothing is sent anywhere.
    Explain(Box<Explain>),
    /// Compare what a document makes of requests with what case files expect; nothing is sent
    /// anywhere.
    Test(Test),
    /// Make a gateway document of a mesh's own policies and rate limits.
    Import(Import),
    /// Bring the durable store to this release's form, back, or say where it stands.
    Migrate(Migrate),
    /// Signing keys.
    Keys(Keys),
    /// OAuth clients.
    Client(Box<Client>),
    /// People who log in.
    User(Box<User>),
    /// API keys.
    Apikey(Apikey),
    /// Sessions of people who have logged in.
    Session(Session),
    /// What people let clients do.
    Consent(Consent),
    /// Instances of services, for documents that find services by a registry.
    Service(Service),
    /// Access tokens.
    Token(Token),
    /// The audit log: whether it is whole, and what stands in it.
    Audit(Audit),
    /// Gateway documents in the durable store, for servers that take theirs from there.
    Config(Config),
    /// Write all that the durable store keeps to a file.
    Backup(Backup),
    /// Read a backup into an empty durable store, of the same kind or another.
    Restore(Restore),
    /// What limits have counted.
    Limits(Limits),
    /// Circuits of services, as the servers share them.
    Circuit(Circuit),
    /// Envoys that ask a server what they run.
    Xds(Xds),
    /// Serve.
    Serve(Box<Serve>),
    /// Print completions for a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
}

/// Shells that completions are written for.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Shell {
    /// Bash
    Bash,
    /// Zsh
    Zsh,
    /// Fish
    Fish,
}

/// `postern check`
#[derive(Debug, Args)]
pub struct Check {
    /// The document: a file, or a folder of fragments.
    pub document: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Where durable records are.
#[derive(Debug, Clone, Args)]
pub struct Durable {
    /// The durable store: sqlite:PATH, postgres://… or env:NAME.
    #[arg(long, env = "POSTERN_DURABLE", hide_env_values = true)]
    pub durable: String,
}

/// Where what ends is told, and what of it the document says.
#[derive(Debug, Clone, Args)]
pub struct Ends {
    /// The document whose issuer and `login` are meant: a file, or a folder of fragments.
    #[arg(long)]
    pub document: PathBuf,
    /// Where sessions are: the Redis that the servers share, redis://… or env:NAME; the document's
    /// by default. Sessions in a server's memory are ended by the list of what is revoked alone.
    #[arg(long, env = "POSTERN_VOLATILE", hide_env_values = true)]
    pub volatile: Option<String>,
}

/// The key that signing keys are encrypted with.
#[derive(Debug, Clone, Default, Args)]
pub struct KeyFile {
    /// A file with 32 random bytes: as they are, in hexadecimal, or in base64.
    #[arg(long, env = "POSTERN_KEY_FILE")]
    pub key_file: Option<PathBuf>,
    /// A program that writes such a file's content to its standard output, with its arguments:
    /// "PROGRAM ARGUMENT…". Run once, by no shell.
    #[arg(long, value_name = "COMMAND", env = "POSTERN_KEY_COMMAND", hide_env_values = true)]
    pub key_command: Option<KeyCommand>,
}

/// `postern migrate`
#[derive(Debug, Args)]
pub struct Migrate {
    /// Which way.
    #[command(subcommand)]
    pub action: MigrateAction,
}

/// Actions of `migrate`.
#[derive(Debug, Subcommand)]
pub enum MigrateAction {
    /// Apply what is pending, up to NAME.
    Up {
        /// The durable store.
        #[command(flatten)]
        durable: Durable,
        /// The last migration to apply.
        name: Option<String>,
    },
    /// Take back the last N, with everything in their tables.
    Down {
        /// The durable store.
        #[command(flatten)]
        durable: Durable,
        /// How many.
        #[arg(default_value_t = 1)]
        count: usize,
        /// Delete their tables with everything in them; without it, they are only named.
        #[arg(long)]
        yes: bool,
    },
    /// Say what is applied.
    Status {
        /// The durable store.
        #[command(flatten)]
        durable: Durable,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// `postern keys`
#[derive(Debug, Args)]
pub struct Keys {
    /// What to do.
    #[command(subcommand)]
    pub action: KeysAction,
}

/// Actions of `keys`.
#[derive(Debug, Subcommand)]
pub enum KeysAction {
    /// List keys.
    List {
        /// The durable store.
        #[command(flatten)]
        durable: Durable,
        /// Not needed to list.
        #[command(flatten)]
        key_file: KeyFile,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Make a new key; it signs as soon as everybody can know it.
    Rotate {
        /// The durable store.
        #[command(flatten)]
        durable: Durable,
        /// The encryption key.
        #[command(flatten)]
        key_file: KeyFile,
        /// RS256, ES256 or EdDSA.
        #[arg(long, default_value = "RS256")]
        algorithm: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Withdraw a key: tokens signed with it stop being accepted.
    Retire {
        /// The durable store.
        #[command(flatten)]
        durable: Durable,
        /// Its id.
        #[arg(allow_hyphen_values = true)]
        kid: String,
        /// Also where no other key signs: then no token is issued until there is one.
        #[arg(long)]
        yes: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// `postern token`
#[derive(Debug, Args)]
pub struct Token {
    /// What to do.
    #[command(subcommand)]
    pub action: TokenAction,
}

/// Actions of `token`.
#[derive(Debug, Subcommand)]
pub enum TokenAction {
    /// Issue an access token, for tests and emergencies.
    Issue(TokenIssue),
    /// Revoke a token, or all tokens of a session, subject, client or key. Committed to the durable
    /// store when the command ends.
    Revoke(TokenRevoke),
    /// Say what a token holds, whether it is good, and what the document's gateway makes of it.
    /// Reads it from standard input with `-`.
    Inspect {
        /// The document whose issuer it should be of.
        #[arg(long)]
        document: PathBuf,
        /// The durable store.
        #[command(flatten)]
        durable: Durable,
        /// The encryption key.
        #[command(flatten)]
        key_file: KeyFile,
        /// The token.
        token: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// `postern token revoke`
#[derive(Debug, Args)]
pub struct TokenRevoke {
    /// The token to revoke; read from standard input with `-`. It need not hold any more.
    #[arg(group = "revoked")]
    pub token: Option<String>,
    /// Revoke one token, by its `jti`.
    #[arg(long, group = "revoked", allow_hyphen_values = true)]
    pub jti: Option<String>,
    /// Revoke all tokens of a session.
    #[arg(long, group = "revoked", allow_hyphen_values = true)]
    pub session: Option<String>,
    /// Revoke all tokens of a subject that were issued until now.
    #[arg(long, group = "revoked", allow_hyphen_values = true)]
    pub subject: Option<String>,
    /// Revoke all tokens of a client that were issued until now.
    #[arg(long, group = "revoked", allow_hyphen_values = true)]
    pub client: Option<String>,
    /// Revoke all tokens that a key has signed, by its `kid`.
    #[arg(long, group = "revoked", allow_hyphen_values = true)]
    pub key: Option<String>,
    /// Whose tokens: `iss`. The document's own issuer by default.
    #[arg(long)]
    pub issuer: Option<String>,
    /// The document whose issuer is meant.
    #[arg(long)]
    pub document: Option<PathBuf>,
    /// The durable store.
    #[command(flatten)]
    pub durable: Durable,
    /// The Redis by which other servers hear of it at once: redis://… or env:NAME. Without it they
    /// find it by themselves, within a second or, where they have a Redis, half a minute.
    #[arg(long)]
    pub volatile: Option<String>,
    /// How long it must be remembered: longer than any of these tokens lives. A token that is
    /// given says so itself.
    #[arg(long, default_value = "30d")]
    pub remember: String,
    /// Why, for audits: up to 256 bytes.
    #[arg(long)]
    pub reason: Option<String>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// The client of tokens that are issued by hand; not a registered one.
pub const DEFAULT_CLIENT: &str = "postern-cli";

/// `postern token issue`
#[derive(Debug, Args)]
pub struct TokenIssue {
    /// The document whose issuer speaks.
    #[arg(long)]
    pub document: PathBuf,
    /// The durable store.
    #[command(flatten)]
    pub durable: Durable,
    /// The encryption key.
    #[command(flatten)]
    pub key_file: KeyFile,
    /// Who it speaks for.
    #[arg(long)]
    pub subject: String,
    /// Scopes, separated by spaces.
    #[arg(long, visible_alias = "scopes", default_value = "")]
    pub scope: String,
    /// The OAuth client.
    #[arg(long, default_value = DEFAULT_CLIENT)]
    pub client_id: String,
    /// Whom it is for; the issuer itself by default.
    #[arg(long)]
    pub audience: Option<String>,
    /// Role.
    #[arg(long)]
    pub role: Option<String>,
    /// Tier.
    #[arg(long)]
    pub tier: Option<String>,
    /// How long it is good, for example 15m; at most 24h.
    #[arg(long, default_value = "15m")]
    pub ttl: String,
}

/// Parts of the server that can run apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// `ext_authz`, the rate limit service, the feed.
    Decide,
    /// `ext_proc`, access logs.
    Message,
    /// What Envoys outside a mesh run, over xDS.
    Discovery,
    /// Tokens, keys, OAuth2: the only role that reads private keys.
    Identity,
    /// WebSocket hub; arrives with its own release.
    Hub,
    /// The admin API: users, clients, keys, sessions, revocations, limits.
    Admin,
}

/// `postern serve`
#[derive(Debug, Args)]
pub struct Serve {
    /// The document: a file, or a folder of fragments. What changes there is taken over.
    #[arg(required_unless_present_any = ["named", "config_from"])]
    document: Option<PathBuf>,
    /// The same, as other commands name it.
    #[arg(long = "document", value_name = "DOCUMENT", hide = true, conflicts_with = "document")]
    named: Option<PathBuf>,
    /// Take the document that `postern config apply` has put into the durable store, instead of
    /// files: it needs --durable, and no mesh.
    #[arg(long, value_enum, value_name = "PLACE", conflicts_with_all = ["document", "named"])]
    config_from: Option<ConfigFrom>,
    /// Judge requests of Envoys that do not run the newest document yet by the one they run, if it
    /// is among the last so many.
    #[arg(long, value_name = "NUMBER", default_value_t = 8,
          value_parser = clap::value_parser!(u8).range(1..=64))]
    pub keep_documents: u8,
    /// Parts to run.
    #[arg(long, value_delimiter = ',', default_values = ["decide", "message", "discovery", "identity", "hub", "admin"])]
    pub roles: Vec<Role>,
    /// gRPC: ext_authz, ext_proc, the rate limit service, access logs, the feed, xDS, health.
    #[arg(long, default_value = "127.0.0.1:9191", value_parser = listen_address)]
    pub grpc_address: SocketAddr,
    /// The gRPC port speaks TLS with this certificate: PEM, the chain included. Read at the start:
    /// after it was renewed, restart.
    #[arg(long, value_name = "FILE", requires = "grpc_tls_key")]
    pub grpc_tls_cert: Option<PathBuf>,
    /// The private key of that certificate, as PEM.
    #[arg(long, value_name = "FILE", requires = "grpc_tls_cert")]
    pub grpc_tls_key: Option<PathBuf>,
    /// Whose client certificates the gRPC port takes, as PEM. A client need not show one: what
    /// the feed and xDS tell to whom, the document's `feed` says. Read at the start, too.
    #[arg(long, value_name = "FILE", requires = "grpc_tls_cert")]
    pub grpc_client_ca: Option<PathBuf>,
    /// Public HTTP: OAuth2, keys, discovery, log-in and its pages, health.
    #[arg(long, default_value = "127.0.0.1:9192", value_parser = listen_address)]
    pub public_address: SocketAddr,
    /// Admin HTTP: health, and the admin API.
    #[arg(long, default_value = "127.0.0.1:9193", value_parser = listen_address)]
    pub admin_address: SocketAddr,
    /// A file with the admin API's bearer credential, at least 32 characters. Read at the start.
    /// Access tokens with the scope postern.admin open it, too; where no role of the document has
    /// that scope either, there is no admin API.
    #[arg(long, value_name = "FILE", env = "POSTERN_ADMIN_TOKEN_FILE")]
    pub admin_token_file: Option<PathBuf>,
    /// Metrics and health.
    #[arg(long, default_value = "127.0.0.1:9194", value_parser = listen_address)]
    pub metrics_address: SocketAddr,
    /// The volatile store: memory, redis://…, redis+sentinel://…, redis+cluster://… or env:NAME;
    /// the document's by default.
    #[arg(long, env = "POSTERN_VOLATILE", hide_env_values = true)]
    pub volatile: Option<String>,
    /// The durable store: sqlite:PATH, postgres://… or env:NAME; the document's by default.
    #[arg(long, env = "POSTERN_DURABLE", hide_env_values = true)]
    pub durable: Option<String>,
    /// The encryption key.
    #[command(flatten)]
    pub key_file: KeyFile,
    /// A file with 32 random bytes that all replicas share, for the tickets by which requests that
    /// have ended give back what limits took of them; the encryption key's own where there is one,
    /// else this replica's alone.
    #[arg(long, value_name = "FILE", env = "POSTERN_TICKET_KEY_FILE")]
    pub ticket_key_file: Option<PathBuf>,
    /// The rate limit service.
    #[command(flatten)]
    pub rate_limit: RateLimit,
    /// Seconds between the signal to end and the end of serving.
    #[arg(long, default_value_t = 5)]
    pub drain_seconds: u64,
    /// json or text; text on a terminal by default.
    #[arg(long)]
    pub log_format: Option<postern_telemetry::LogFormat>,
    /// What the metrics' `environment` says.
    #[arg(long, env = "POSTERN_ENVIRONMENT", default_value = "development")]
    pub environment: String,
}

/// Where a document is besides in files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ConfigFrom {
    /// The durable store.
    Store,
}

/// Where the document is that a server serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentPlace<'a> {
    /// A file, or a folder of fragments.
    Files(&'a Path),
    /// The active revision of the durable store.
    Store,
}

impl Serve {
    /// Where the document is. One of the three is there: the command line wants it.
    pub fn document_place(&self) -> DocumentPlace<'_> {
        match self.config_from {
            Some(ConfigFrom::Store) => DocumentPlace::Store,
            None => {
                let path = self.document.as_deref().or(self.named.as_deref());
                DocumentPlace::Files(path.unwrap_or(Path::new("")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serve_takes_its_document_as_other_commands_do_too() {
        let parsed = |words: &[&str]| {
            let words = ["postern", "serve"].into_iter().chain(words.iter().copied());
            let serve = match Cli::try_parse_from(words).ok()?.command {
                Command::Serve(serve) => serve,
                other => panic!("{other:?}"),
            };
            Some(match serve.document_place() {
                DocumentPlace::Files(path) => path.display().to_string(),
                DocumentPlace::Store => "the store".to_owned(),
            })
        };
        let expected = Some("a.yaml".to_owned());
        assert_eq!(parsed(&["a.yaml"]), expected);
        assert_eq!(parsed(&["--document", "a.yaml"]), expected);
        assert_eq!(parsed(&["a.yaml", "--document", "b.yaml"]), None, "which one?");
        assert_eq!(parsed(&[]), None);
        assert_eq!(parsed(&["--config-from", "store"]), Some("the store".to_owned()));
        for both in [&["a.yaml"][..], &["--document", "a.yaml"]] {
            let words = [both, &["--config-from", "store"]].concat();
            assert_eq!(parsed(&words), None, "never both");
        }
    }

    #[test]
    fn a_server_keeps_a_few_documents() {
        for (number, fits) in [("1", true), ("64", true), ("0", false), ("65", false)] {
            let words = ["postern", "serve", "a.yaml", "--keep-documents", number];
            assert_eq!(Cli::try_parse_from(words).is_ok(), fits, "{number}");
        }
    }
}
