//! The operator's commands.

pub mod apikey;
pub mod audit;
pub mod backup;
pub mod check;
pub mod circuit;
pub mod client;
pub mod completions;
pub mod config;
pub mod consent;
pub mod explain;
pub mod import;
pub mod keys;
pub mod limits;
pub mod migrate;
mod operators;
pub mod render;
pub mod review;
pub mod service;
pub mod session;
pub mod test;
pub mod token;
pub mod user;
pub mod xds;

use std::future::Future;
use std::path::Path;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Error, Result, anyhow};
use clap::CommandFactory as _;
use postern_oauth::ScopeSet;
use postern_request::UnixMillis;
use postern_store::durable::{DurableStore, MAX_PAGE, PageAsk};

use crate::cli::Cli;
use crate::output;

/// The first of a list's parts, oldest first: what is made meanwhile comes at the end.
const PAGE: PageAsk = PageAsk { newest_first: false, offset: 0, limit: MAX_PAGE };

/// Runs a command that waits for stores or sockets.
///
/// # Errors
/// Those of the command.
pub fn blocking(command: impl Future<Output = Result<ExitCode>>) -> Result<ExitCode> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?
        .block_on(command)
}

/// Says so where a client is named that nobody registered: a typing error would go unnoticed.
///
/// # Errors
/// Those of the store.
async fn warn_of_unknown_client(store: &dyn DurableStore, client_id: &str) -> Result<()> {
    if store.find_client(client_id).await?.is_none() {
        output::warn(format!("no client `{client_id}` is registered in this store"));
    }
    Ok(())
}

/// Says so where scopes are given and nothing says whether there are such.
fn note_unchecked_scopes(scopes: Option<&ScopeSet>, document: Option<&Path>) {
    if document.is_none() && scopes.is_some_and(|scopes| !scopes.is_empty()) {
        output::note(
            "nobody has looked whether there are such scopes: with --document that is checked",
        );
    }
}

/// Nothing is said that a command could change: the error names what it can.
fn nothing_to_change(command: [&str; 2]) -> Error {
    /// Options that say where something is, or how it is printed.
    const BESIDE: [&str; 4] = ["document", "durable", "json", "volatile"];
    let [of, action] = command;
    let cli = Cli::command();
    let found = cli.find_subcommand(of).and_then(|of| of.find_subcommand(action));
    let options = found.into_iter().flat_map(|found| found.get_arguments());
    let options = options.filter_map(|option| option.get_long());
    let options = options.filter(|name| !BESIDE.contains(name)).map(|name| format!("--{name}"));
    anyhow!("say what is to change: {}", options.collect::<Vec<_>>().join(", "))
}

/// The wall clock.
#[must_use]
pub fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_says_nothing_is_told_what_can_be_said() {
        for (command, there, not_there) in [
            (["client", "update"], "--scopes, ", "--durable"),
            (["apikey", "update"], "--expires-in, --no-expiry", "--document"),
            (["user", "update"], "--role, ", "--volatile"),
        ] {
            let told = nothing_to_change(command).to_string();
            assert!(
                told.starts_with("say what is to change: --") && told.contains(there),
                "{told}"
            );
            assert!(!told.contains(not_there) && !told.contains("--json"), "{told}");
        }
    }
}
