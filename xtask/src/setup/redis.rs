//! Redis: one that already runs (`REDIS_URL`), or a server that tests start on
//! ports of their own (`REDIS_SERVER`, the `PATH`, or the distribution's).

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::paths::{self, Workspace};
use crate::setup::lent::RedisUrl;
use crate::setup::packages;
use crate::{process, say};

const WAY_OUT: &str =
    "set REDIS_SERVER=/path/to/redis-server, or REDIS_URL=redis://… for a Redis that already runs";

/// What there is: at least one of the two.
pub struct Redis {
    /// The one that already runs.
    pub lent: Option<RedisUrl>,
    /// The binary to start others with.
    pub server: Option<PathBuf>,
}

/// Where the binary comes from.
#[derive(Debug, PartialEq, Eq)]
enum Binary {
    At(PathBuf),
    Install,
    Absent,
}

/// Finds or gets a Redis. With `REDIS_URL`, nothing is installed.
pub fn get(workspace: &Workspace) -> Result<Redis> {
    let lent = lent()?;
    let named = paths::from_env("REDIS_SERVER");
    let server = match binary(lent.is_some(), named, paths::program("redis-server")) {
        Binary::At(path) => Some(path),
        Binary::Install => Some(packages::found_or_installed(workspace, "redis-server", WAY_OUT)?),
        Binary::Absent => None,
    };
    match &server {
        Some(path) => check(path)?,
        None => say::note(
            "no redis-server: REDIS_URL gives no process, so tests that stop Redis are skipped, \
             and `./dev bench`, which measures that process, cannot run; \
             REDIS_SERVER=/path/to/redis-server provides one",
        ),
    }
    Ok(Redis { lent, server })
}

/// The Redis of `REDIS_URL`, which must answer; none when nothing is set.
pub fn lent() -> Result<Option<RedisUrl>> {
    let Some(text) = env::var_os("REDIS_URL").filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let url = RedisUrl::parse(&text.to_string_lossy()).context("REDIS_URL")?;
    url.ping().with_context(|| {
        format!(
            "REDIS_URL names {url:?}, and no Redis answers our PING there; start it, or take \
             REDIS_URL away"
        )
    })?;
    say::ok("redis (REDIS_URL)");
    Ok(Some(url))
}

/// A binary that is at hand is used even beside `REDIS_URL`: for the tests that
/// stop Redis. Only without both is one installed.
fn binary(lent: bool, named: Option<PathBuf>, found: Option<PathBuf>) -> Binary {
    match named.or(found) {
        Some(path) => Binary::At(path),
        None if lent => Binary::Absent,
        None => Binary::Install,
    }
}

fn check(server: &Path) -> Result<()> {
    let text = process::output(Command::new(server).arg("--version"))
        .context("redis-server does not run; set REDIS_SERVER=/path/to/one that does")?;
    let version = text.split_whitespace().find_map(|word| word.strip_prefix("v="));
    say::ok(&format!(
        "redis-server {} ({})",
        version.unwrap_or("of unknown version"),
        server.display()
    ));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binary_is_installed_only_when_there_is_no_redis_at_all() {
        let path = |name: &str| Some(PathBuf::from(name));
        let at = |name: &str| Binary::At(PathBuf::from(name));
        for (lent, named, found, expected) in [
            (false, None, None, Binary::Install),
            (false, None, path("/found"), at("/found")),
            (false, path("/named"), path("/found"), at("/named")),
            (true, None, None, Binary::Absent),
            (true, None, path("/found"), at("/found")),
            (true, path("/named"), None, at("/named")),
        ] {
            assert_eq!(binary(lent, named, found), expected);
        }
    }
}
