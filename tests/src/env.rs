//! Where the real parts are. `./dev test` builds or fetches them and says so here.

use std::path::PathBuf;

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

/// Redis' server.
#[must_use]
pub fn redis_server() -> PathBuf {
    part("POSTERN_REDIS_SERVER", "redis-server")
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
    let named = std::env::var_os("POSTERN_SCHEMAS").filter(|value| !value.is_empty());
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

fn part(variable: &str, what: &str) -> PathBuf {
    let Some(path) = std::env::var_os(variable).filter(|value| !value.is_empty()) else {
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
