//! The operator's commands.

pub mod apikey;
pub mod audit;
pub mod backup;
pub mod check;
pub mod circuit;
pub mod client;
pub mod completions;
pub mod consent;
pub mod explain;
pub mod import;
pub mod keys;
pub mod limits;
pub mod migrate;
mod operators;
pub mod render;
pub mod review;
pub mod session;
pub mod test;
pub mod token;
pub mod user;

use std::future::Future;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use postern_request::UnixMillis;
use postern_store::durable::{DurableStore, MAX_PAGE, PageAsk};

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

/// The wall clock.
#[must_use]
pub fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
