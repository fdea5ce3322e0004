//! `postern service`

use std::net::SocketAddr;

use clap::{Args, Subcommand, ValueEnum};

use super::Durable;

/// `postern service`
#[derive(Debug, Args)]
pub struct Service {
    /// What to do.
    #[command(subcommand)]
    pub action: ServiceAction,
}

/// Where instances are.
#[derive(Debug, Clone, Args)]
pub struct InRegistry {
    /// The registry: the Redis that the servers share, redis://… or env:NAME. One in a server's
    /// memory is reached by its admin API.
    #[arg(long, env = "POSTERN_VOLATILE", hide_env_values = true)]
    pub volatile: String,
}

/// Actions of `service`.
#[derive(Debug, Subcommand)]
pub enum ServiceAction {
    /// Register an instance of a service, or renew it and make it what is said here.
    Register(Box<ServiceRegister>),
    /// Renew an instance, so that it is there for as long again.
    Heartbeat {
        /// Where it is registered.
        #[command(flatten)]
        registry: InRegistry,
        /// The service.
        service: String,
        /// The instance.
        instance: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Take an instance out.
    Deregister {
        /// The durable store.
        #[command(flatten)]
        durable: Durable,
        /// Where it is registered.
        #[command(flatten)]
        registry: InRegistry,
        /// The service.
        service: String,
        /// The instance.
        instance: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// List instances, of one service or of all.
    List {
        /// Where they are registered.
        #[command(flatten)]
        registry: InRegistry,
        /// The service; all of them by default.
        service: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// What a check does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CheckProtocol {
    /// It asks for a path, and wants a status of 200 to 299.
    Http,
    /// It connects.
    Tcp,
}

impl CheckProtocol {
    /// As the registry spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tcp => "tcp",
        }
    }
}

/// `postern service register`
#[derive(Debug, Args)]
pub struct ServiceRegister {
    /// The durable store.
    #[command(flatten)]
    pub durable: Durable,
    /// Where it is registered.
    #[command(flatten)]
    pub registry: InRegistry,
    /// The service, as documents find it by `discover`.
    pub service: String,
    /// A name for the instance, of which the service has one.
    pub instance: String,
    /// Where it is: IP:PORT.
    #[arg(long, value_name = "IP:PORT")]
    pub address: SocketAddr,
    /// Its share of the service's requests: 1 to 1000.
    #[arg(long, default_value_t = 1)]
    pub weight: u32,
    /// How it is checked; not at all without this and --health-path.
    #[arg(long, value_enum)]
    pub check: Option<CheckProtocol>,
    /// The path that checks ask for, for example /health.
    #[arg(long, value_name = "PATH")]
    pub health_path: Option<String>,
    /// What stands before it.
    #[arg(long, value_name = "PATH", default_value = "")]
    pub base_path: String,
    /// How far checks are apart: 1s to 1h; 30s by default.
    #[arg(long, value_name = "DURATION")]
    pub interval: Option<String>,
    /// How long one try may take: 100ms to 1m; 5s by default, or --interval if that is
    /// shorter.
    #[arg(long, value_name = "DURATION")]
    pub timeout: Option<String>,
    /// How often one check tries, the first time included; 3 by default.
    #[arg(long)]
    pub retries: Option<u32>,
    /// After so many failed checks in a row it gets nothing; 5 by default.
    #[arg(long)]
    pub failure_threshold: Option<u32>,
    /// How long it is left alone then, at first; 60s by default.
    #[arg(long, value_name = "DURATION")]
    pub recovery: Option<String>,
    /// How many connections it takes. Told to whoever asks.
    #[arg(long, default_value_t = 100)]
    pub max_connections: u32,
    /// What runs there. (`--version` is this program's own.)
    #[arg(long, value_name = "VERSION")]
    pub instance_version: Option<String>,
    /// What it is for, for example production.
    #[arg(long)]
    pub environment: Option<String>,
    /// Where it is.
    #[arg(long)]
    pub region: Option<String>,
    /// Where within the region.
    #[arg(long, requires = "region")]
    pub zone: Option<String>,
    /// How long it is there unless it is renewed: 5s to 1h.
    #[arg(long, value_name = "DURATION", default_value = "5m")]
    pub ttl: String,
    /// It stays until somebody takes it out: kept in the durable store, and renewed by the servers.
    #[arg(long)]
    pub stays: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}
