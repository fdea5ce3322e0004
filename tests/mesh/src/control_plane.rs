//! istiod, and the files that are its Kubernetes.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use postern_e2e::process::Running;
use postern_e2e::wait;
use serde_json::Value;

use crate::block::Block;
use crate::caller::{self, Caller};
use crate::certificates::Certificates;
use crate::{program, rejects};

/// 200 MB are read and initialised, on a machine that may be busy.
const START: Duration = Duration::from_secs(90);
const XDS: u16 = 15012;
/// The beginning of the name of the cluster that every proxy gets with each generation.
const GENERATION: &str = "mesh-tests-generation-";

/// istiod while the value lives.
#[derive(Debug)]
pub struct ControlPlane {
    _process: Running,
    objects: PathBuf,
    xds: SocketAddr,
    debug: Caller,
    metrics: Caller,
    control: Caller,
}

/// What istiod has told a proxy, and what that one has taken of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// `NAME.NAMESPACE`
    pub proxy: String,
    /// For each type of resource: the last update sent, and the last one taken.
    pub updates: Vec<(String, String, String)>,
}

impl Told {
    /// Types whose last update is still on its way, or was not taken.
    pub fn open(&self) -> impl Iterator<Item = &str> {
        let open = self.updates.iter().filter(|(_, sent, taken)| sent != taken);
        open.map(|(kind, _, _)| kind.as_str())
    }
}

impl ControlPlane {
    /// Starts istiod with what was [put](Self::put) into `folder` before, in an environment that
    /// has these features switched.
    ///
    /// # Panics
    /// When it is not ready soon, or does not take what is there.
    pub async fn start(
        block: &Block,
        folder: &Path,
        certificates: &Certificates,
        mesh_config: &Value,
        features: &[(String, String)],
    ) -> Self {
        let objects = objects(folder);
        let file = folder.join("mesh.yaml");
        fs::write(&file, mesh_config.to_string()).expect("the mesh's configuration");
        let at = |port: u16| block.socket(1, port);
        let [debug, metrics, control] = [15080, 15014, 15099].map(at);
        let mut command = program::command("istiod");
        command
            .arg("-config")
            .arg(&objects)
            .arg("-mesh")
            .arg(&file)
            .args(["-grpc", &at(15010).to_string()])
            .args(["-secure-grpc", &at(XDS).to_string()])
            .args(["-http", &debug.to_string()])
            .args(["-monitoring", &metrics.to_string()])
            .args(["-control", &control.to_string()])
            .env("ROOT_CA_DIR", certificates.authority())
            .envs(features.iter().map(|(name, value)| (name, value)))
            .current_dir(folder);
        let mut process = Running::start("istiod", &folder.join("istiod.log"), &mut command);
        let caller = |address: SocketAddr| Caller::plain(&address.ip().to_string(), address);
        let debug = caller(debug);
        wait::until("ready istiod", START, || {
            if let Some(status) = process.ended() {
                panic!("istiod ended with {status} before it was ready");
            }
            let request = debug.get("/ready");
            async move {
                let answer = caller::try_send(request).await?;
                if answer.status == 200 { Ok(()) } else { Err(answer.to_string()) }
            }
        })
        .await;
        let (metrics, control) = (caller(metrics), caller(control));
        Self { _process: process, objects, xds: at(XDS), debug, metrics, control }
    }

    /// Where Envoys ask, by mutual TLS.
    #[must_use]
    pub const fn xds(&self) -> SocketAddr {
        self.xds
    }

    /// Writes objects to a file of this name, in place of what it held.
    pub fn put(&self, name: &str, objects: &[Value]) {
        put(&self.objects, name, objects);
    }

    /// Removes such a file.
    ///
    /// # Panics
    /// When there is none.
    pub fn remove(&self, name: &str) {
        let removed = fs::remove_file(file(&self.objects, name));
        removed.unwrap_or_else(|error| panic!("no objects `{name}`: {error}"));
    }

    /// Has istiod read the files; answers with what every proxy will hold that was told of them.
    ///
    /// # Panics
    /// When Istio refuses any of it, or knows a kind that nobody expects here as little as we do.
    pub async fn apply(&self) -> String {
        let report = caller::send(self.control.post("/apply")).await.expect(200).json();
        let errors = report["errors"].as_array().expect("errors");
        assert!(errors.is_empty(), "Istio refuses: {errors:#?}");
        format!("{GENERATION}{}", report["generation"])
    }

    /// What Istio says of the files, refused ones included.
    pub async fn try_apply(&self) -> Value {
        caller::send(self.control.post("/apply")).await.expect(200).json()
    }

    /// What each connected proxy was told.
    ///
    /// # Panics
    /// When istiod answers something else.
    pub async fn told(&self) -> Vec<Told> {
        let answer = caller::send(self.debug.get("/debug/syncz")).await.expect(200);
        // Before the first proxy comes, the list is null.
        if answer.body.is_empty() || answer.text().trim() == "null" {
            return Vec::new();
        }
        let list = answer.json();
        let list = list.as_array().expect("a list of proxies").iter();
        let mut all: Vec<Told> = list.map(told).collect();
        // istiod lists them in any order, another one each time.
        all.sort_by(|a, b| a.proxy.cmp(&b.proxy));
        all
    }

    /// Updates that proxies rejected, as istiod counts them.
    pub async fn rejects(&self) -> Vec<String> {
        rejects::of_istiod(&caller::send(self.metrics.get("/metrics")).await.expect(200).text())
    }

    /// What istiod says of Gateways and HTTPRoutes.
    pub async fn conditions(&self) -> Value {
        caller::send(self.control.get("/gateway-api")).await.expect(200).json()
    }
}

fn told(proxy: &Value) -> Told {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let resources = proxy["resources"].as_object().cloned().unwrap_or_default();
    let updates = resources
        .iter()
        .map(|(kind, update)| (kind.clone(), text(&update["sent"]), text(&update["acked"])))
        .collect();
    Told { proxy: text(&proxy["proxy"]), updates }
}

/// The folder of the objects, made when it is first asked for.
///
/// # Panics
/// When it cannot be made.
#[must_use]
pub fn objects(folder: &Path) -> PathBuf {
    let objects = folder.join("objects");
    fs::create_dir_all(&objects).expect("a folder for objects");
    objects
}

/// Writes objects to a file in such a folder.
///
/// # Panics
/// When it cannot be written.
pub fn put(folder: &Path, name: &str, objects: &[Value]) {
    // JSON is YAML.
    let documents: Vec<String> = objects.iter().map(Value::to_string).collect();
    fs::write(file(folder, name), documents.join("\n---\n")).expect("objects in a file");
}

fn file(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.yaml"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_update_is_open_until_it_is_taken() {
        let proxy = json!({"proxy": "gateway.istio-system", "resources": {
            "type.googleapis.com/envoy.config.cluster.v3.Cluster": {"sent": "2", "acked": "2"},
            "type.googleapis.com/envoy.config.listener.v3.Listener": {"sent": "3", "acked": "1"},
            "type.googleapis.com/envoy.config.route.v3.RouteConfiguration": {"sent": "3"},
        }});
        let told = told(&proxy);
        assert_eq!(told.proxy, "gateway.istio-system");
        let open: Vec<&str> = told.open().collect();
        assert_eq!(open.len(), 2, "{open:?}");
        assert!(!open.iter().any(|kind| kind.ends_with("Cluster")), "{open:?}");
    }
}
