//! A Kubernetes API server: it judges manifests as a cluster would, and istiod reads from it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use postern_e2e::process::{self, Running};
use postern_e2e::wait;
use serde_json::{Value, json};

use crate::block::Block;
use crate::caller::{self, Caller};
use crate::program::Program;

const START: Duration = Duration::from_secs(90);
/// Some hundred objects, on a machine that may be busy; a kind that nobody defines takes a minute.
const APPLY: Duration = Duration::from_secs(180);
const PORT: u16 = 6443;
/// The last part of its address.
const LAST: u8 = 2;
/// Nobody else can call it, so that it is no secret.
const TOKEN: &str = "mesh-tests";

/// What became of manifests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// How many objects were taken.
    pub taken: u64,
    /// Those that were not, with the reason.
    pub refused: Vec<String>,
}

/// An API server with its store while the value lives.
#[derive(Debug)]
pub struct ApiServer {
    _process: Running,
    url: String,
    kubeconfig: PathBuf,
}

impl ApiServer {
    /// Whether there is a program to run one with.
    #[must_use]
    pub fn is_there() -> bool {
        Program::Kube.is_there()
    }

    /// Starts one.
    ///
    /// # Panics
    /// When it is not ready soon, or ends.
    pub async fn start(block: &Block, folder: &Path) -> Self {
        let address = block.socket(LAST, PORT);
        let host = address.ip().to_string();
        let mut command = Program::Kube.command("serve");
        command
            .arg("-folder")
            .arg(folder.join("kube"))
            .args(["-address", &host])
            .args(["-token", TOKEN]);
        let mut process = Running::start("kube", &folder.join("kube.log"), &mut command);
        let caller = Caller::unverified(&host, address);
        wait::until("ready API server", START, || {
            if let Some(status) = process.ended() {
                panic!("the API server ended with {status} before it was ready");
            }
            let request = caller.get("/readyz").bearer_auth(TOKEN);
            async move {
                let answer = caller::try_send(request).await?;
                if answer.status == 200 { Ok(()) } else { Err(answer.to_string()) }
            }
        })
        .await;
        let url = format!("https://{address}");
        let kubeconfig = folder.join("kubeconfig");
        fs::write(&kubeconfig, self::kubeconfig(&url).to_string()).expect("a kubeconfig");
        Self { _process: process, url, kubeconfig }
    }

    /// How clients of Kubernetes find it.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Applies files, as `kubectl apply --server-side` does; fields that nobody knows are refused.
    pub async fn apply(&self, files: &[PathBuf]) -> Applied {
        self.run(files, &[]).await
    }

    /// The same without storing anything.
    pub async fn judge(&self, files: &[PathBuf]) -> Applied {
        self.run(files, &["-dry-run"]).await
    }

    async fn run(&self, files: &[PathBuf], more: &[&str]) -> Applied {
        let mut command = Program::Kube.command("apply");
        command.args(["-server", &self.url, "-token", TOKEN]).args(more).args(files);
        let finished = process::run(command, APPLY).await;
        assert_eq!(finished.code, Some(0), "{finished}");
        let report = crate::program::report(&finished);
        let refused = report["refused"].as_array().expect("a list").iter();
        Applied {
            taken: report["applied"].as_u64().expect("a number"),
            refused: refused.filter_map(Value::as_str).map(str::to_owned).collect(),
        }
    }
}

fn kubeconfig(url: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": "mesh", "cluster": {"server": url, "insecure-skip-tls-verify": true}},
        ],
        "users": [{"name": "admin", "user": {"token": TOKEN}}],
        "contexts": [{"name": "mesh", "context": {"cluster": "mesh", "user": "admin"}}],
        "current-context": "mesh",
    })
}
