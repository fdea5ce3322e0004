//! `postern serve`: load → check → build → bind → ready → serve → drain. While it serves, another
//! document may take the place of the first one (`reload`).

mod admin;
mod audit;
mod base;
mod body;
pub mod breached;
mod circuits;
mod discovery;
mod feed;
mod grpc;
mod health;
mod http;
mod identity;
mod in_use;
mod jwks;
mod maker;
mod operators;
mod outbound;
mod parts;
mod rate_limit;
mod reload;
mod services;
mod settlement;
mod stores;
mod tls;
mod with_header;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::ValueEnum as _;
use postern_telemetry::{Drain, logs};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::cli::{Role, Serve};

pub use identity::Announcer;

/// How long open streams may go on after everything else has ended.
const LAST_STREAMS: Duration = Duration::from_secs(5);

/// Serves until told to end.
///
/// # Errors
/// When the first document has problems, a setting is wrong, a port is taken or a server fails.
pub async fn run(arguments: Serve) -> Result<ExitCode> {
    logs::init(arguments.log_format)?;
    let first = reload::first(&arguments).await?;
    let digest = first.document.digest.clone();
    let drain = Drain::new(Duration::from_secs(arguments.drain_seconds));
    drain.listen()?;
    let server = tls::server(&arguments)?;
    let listeners = Listeners::bind(&arguments).await?;
    let parts = Box::pin(parts::build(&arguments, first, drain.clone())).await?;

    let mut servers = JoinSet::new();
    servers.spawn(grpc::serve(listeners.grpc, server, parts.grpc(&arguments.roles)));
    servers.spawn(http::serve("public", listeners.public, parts.public_router(), drain.clone()));
    servers.spawn(http::serve("admin", listeners.admin, parts.admin_router(), drain.clone()));
    servers.spawn(http::serve("metrics", listeners.metrics, parts.metrics_router(), drain.clone()));
    parts.started();
    tracing::info!(
        document = digest,
        roles = spelled(&arguments.roles),
        grpc = %arguments.grpc_address,
        grpc_tls = arguments.grpc_tls_cert.is_some(),
        public = %arguments.public_address,
        admin = %arguments.admin_address,
        metrics = %arguments.metrics_address,
        "serving"
    );

    let outcome = wait(&mut servers, &drain).await;
    parts.finish().await;
    tracing::info!("ended");
    outcome
}

/// Until a server fails, or all have ended after the signal.
async fn wait(servers: &mut JoinSet<Result<()>>, drain: &Drain) -> Result<ExitCode> {
    let deadline = async {
        drain.shutdown_signal().await;
        tokio::time::sleep(LAST_STREAMS).await;
    };
    tokio::pin!(deadline);
    loop {
        tokio::select! {
            ended = servers.join_next() => match ended {
                None => return Ok(ExitCode::SUCCESS),
                Some(ended) => ended.context("a server's task ended abnormally")??,
            },
            () = &mut deadline => return Ok(ExitCode::SUCCESS),
        }
    }
}

/// All ports, bound before anything else is started: a taken one is known at once.
struct Listeners {
    grpc: TcpListener,
    public: TcpListener,
    admin: TcpListener,
    metrics: TcpListener,
}

impl Listeners {
    async fn bind(arguments: &Serve) -> Result<Self> {
        let bind = async |what: &str, flag: &str, address| {
            TcpListener::bind(address).await.with_context(|| {
                format!(
                    "cannot listen on {address} for {what}; choose another with --{flag}-address"
                )
            })
        };
        Ok(Self {
            grpc: bind("gRPC", "grpc", arguments.grpc_address).await?,
            public: bind("public HTTP", "public", arguments.public_address).await?,
            admin: bind("admin HTTP", "admin", arguments.admin_address).await?,
            metrics: bind("metrics", "metrics", arguments.metrics_address).await?,
        })
    }
}

/// Whether a role is among those to run.
fn has(roles: &[Role], role: Role) -> bool {
    roles.contains(&role)
}

/// Roles as the command line takes them.
fn spelled(roles: &[Role]) -> String {
    let values = roles.iter().filter_map(Role::to_possible_value);
    values.map(|value| value.get_name().to_owned()).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_logged_as_they_are_asked_for() {
        assert_eq!(spelled(&[Role::Decide, Role::Message]), "decide,message");
    }
}
