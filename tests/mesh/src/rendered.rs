//! What `postern render istio` writes, and what has to be otherwise on one machine.

use std::fs;
use std::path::{Path, PathBuf};

use postern_e2e::{env, envoy, server};
use serde_json::{Value, json};

use crate::manifests;

/// A rendering.
#[derive(Debug, Clone)]
pub struct Rendered {
    /// The resources.
    pub resources: Vec<Value>,
    /// The part of MeshConfig.
    pub mesh_config: Value,
}

/// What is no resource.
const FRAGMENT: &str = "mesh-config.fragment.yaml";
const KUSTOMIZATION: &str = "kustomization.yaml";

impl Rendered {
    /// Renders a document for a version of Istio, with a module that is read from a file: no
    /// pilot-agent is there to fetch one.
    ///
    /// # Panics
    /// When it cannot be rendered.
    pub async fn of(document: &Path, istio_version: &str, folder: &Path) -> Self {
        Self::with(document, istio_version, folder, &[]).await
    }

    /// The same with further options of the command line.
    ///
    /// # Panics
    /// When it cannot be rendered.
    pub async fn with(
        document: &Path,
        istio_version: &str,
        folder: &Path,
        options: &[&str],
    ) -> Self {
        let out = folder.join("rendered");
        let mut command = server::command(["render", "istio"]);
        command
            .arg(document)
            .arg("--out")
            .arg(&out)
            .args(["--istio-version", istio_version])
            .args(["--namespace", "postern-system"])
            .args(options)
            .args(["--wasm-url", &format!("file://{}", env::bundle().display())]);
        let longest = std::time::Duration::from_secs(30);
        postern_e2e::process::run(command, longest).await.expect_success();
        Self::read(&out)
    }

    /// Reads a folder.
    ///
    /// # Panics
    /// When it holds no rendering.
    #[must_use]
    pub fn read(folder: &Path) -> Self {
        let mut resources = Vec::new();
        for file in files(folder) {
            let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if name != FRAGMENT && name != KUSTOMIZATION {
                resources.extend(manifests::read(&file));
            }
        }
        let mesh_config = manifests::read(&folder.join(FRAGMENT)).into_iter().next();
        Self { resources, mesh_config: mesh_config.expect("a part of MeshConfig") }
    }

    /// Makes it fit to one machine: gateways listen on this address alone, and the server gets the
    /// time that a busy machine takes.
    #[must_use]
    pub fn on_one_machine(mut self, gateway: &str) -> Self {
        for resource in &mut self.resources {
            envoy::be_patient(resource);
            // Of Istio's kinds alone; the Gateway API's has no such list.
            let servers = resource.pointer_mut("/spec/servers").and_then(Value::as_array_mut);
            for server in servers.into_iter().flatten() {
                server["bind"] = json!(gateway);
            }
        }
        let providers = self.mesh_config.get_mut("extensionProviders");
        let providers = providers.and_then(Value::as_array_mut);
        for provider in providers.into_iter().flatten() {
            if let Some(ext_authz) = provider.get_mut("envoyExtAuthzGrpc") {
                ext_authz["timeout"] = json!("2s");
            }
        }
        self
    }
}

/// The YAML files of a rendering, by name.
///
/// # Panics
/// When the folder cannot be read.
#[must_use]
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder);
    let entries = entries.unwrap_or_else(|error| panic!("reading {}: {error}", folder.display()));
    let is_yaml = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "yaml");
    let mut found: Vec<PathBuf> =
        entries.map(|entry| entry.expect("an entry").path()).filter(is_yaml).collect();
    found.sort();
    found
}
