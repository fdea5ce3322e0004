//! Where the real parts are. `./dev test` builds or fetches them and says so here.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::redis::lent::RedisUrl;

/// Envoy's binary.
#[must_use]
pub fn envoy() -> PathBuf {
    part("POSTERN_ENVOY", "Envoy's binary")
}

/// The `postern` binary.
#[must_use]
pub fn postern() -> PathBuf {
    part("POSTERN_BIN", "the postern binary")
}

/// The WASM bundle.
#[must_use]
pub fn bundle() -> PathBuf {
    part("POSTERN_BUNDLE_WASM", "the WASM bundle")
}

/// The WASM module of the token stage alone.
#[must_use]
pub fn jwt_auth() -> PathBuf {
    part("POSTERN_JWT_AUTH_WASM", "the module of the token stage")
}

/// The WASM module of local limits alone.
#[must_use]
pub fn local_rate_limit() -> PathBuf {
    part("POSTERN_LOCAL_RATE_LIMIT_WASM", "the module of local limits")
}

/// libfaketime, for programs whose clock is to be wrong.
#[must_use]
pub fn faketime() -> PathBuf {
    part("POSTERN_FAKETIME", "libfaketime")
}

/// The WASM module of circuits alone.
#[must_use]
pub fn circuit_breaker() -> PathBuf {
    part("POSTERN_CIRCUIT_BREAKER_WASM", "the module of circuits")
}

/// Redis' server, to start processes with.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn redis_server() -> PathBuf {
    assert!(
        has_redis_server() || redis_url().is_none(),
        "this takes a Redis process, and REDIS_URL gives none: set \
         REDIS_SERVER=/path/to/redis-server"
    );
    part("POSTERN_REDIS_SERVER", "redis-server")
}

/// Whether Redis processes can be started.
#[must_use]
pub fn has_redis_server() -> bool {
    set("POSTERN_REDIS_SERVER").is_some()
}

/// A Redis that already runs, where the caller of `./dev test` lends one by `REDIS_URL`.
///
/// # Panics
/// When the variable holds no such URL.
#[must_use]
pub fn redis_url() -> Option<RedisUrl> {
    let text = set("POSTERN_REDIS_URL")?;
    let url = RedisUrl::parse(&text.to_string_lossy());
    Some(url.unwrap_or_else(|error| panic!("POSTERN_REDIS_URL: {error}")))
}

/// The repository's root.
#[must_use]
pub fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The CRDs' folder: `POSTERN_SCHEMAS`, else `../shared/schemas` beside the repository.
#[must_use]
pub fn schemas() -> PathBuf {
    let beside = repository().join("..").join("shared").join("schemas");
    let named = set("POSTERN_SCHEMAS");
    let folder = named.map_or_else(|| beside.clone(), PathBuf::from);
    assert!(
        folder.is_dir(),
        "the Istio CRDs are needed to check manifests and are not in {}: set POSTERN_SCHEMAS to \
         the folder that holds istio-*-crds.yaml, or put them into {}",
        folder.display(),
        beside.display()
    );
    folder
}

fn set(variable: &str) -> Option<OsString> {
    std::env::var_os(variable).filter(|value| !value.is_empty())
}

fn part(variable: &str, what: &str) -> PathBuf {
    let Some(path) = set(variable) else {
        panic!("{variable} is not set, so {what} is unknown: run ./dev test, which sets it");
    };
    let path = PathBuf::from(path);
    assert!(
        path.is_file(),
        "{variable} names {}, which is no file: run ./dev test, which builds or gets {what}",
        path.display()
    );
    path
}
