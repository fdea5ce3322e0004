//! The operator's commands.

pub mod apikey;
pub mod check;
pub mod client;
pub mod completions;
pub mod keys;
pub mod migrate;
pub mod render;
pub mod token;

use std::future::Future;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use postern_request::UnixMillis;

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

/// The wall clock.
#[must_use]
pub fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
