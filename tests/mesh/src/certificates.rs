//! Who is who: the run's authority, and the service that gives Envoys their certificates.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use postern_e2e::process::Running;
use postern_e2e::wait;
use serde_json::Value;

use crate::block::Block;
use crate::caller::{self, Caller};
use crate::program;

const START: Duration = Duration::from_secs(60);
const ENVOYS: u16 = 15011;
const CONTROL: u16 = 15098;

/// A certificate with its key, and the mesh's root; all PEM.
#[derive(Debug, Clone)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
    /// The certificate of the mesh's authority, whoever signed the other one.
    pub root: String,
}

/// The authority and the service, while the value lives.
#[derive(Debug)]
pub struct Certificates {
    _process: Running,
    control: Caller,
    sds: SocketAddr,
    authority: PathBuf,
}

impl Certificates {
    /// Makes an authority and serves.
    pub async fn start(block: &Block, folder: &Path) -> Self {
        let (sds, control) = (block.socket(1, ENVOYS), block.socket(1, CONTROL));
        let authority = folder.join("authority");
        let mut command = program::command("sds");
        command
            .arg("-authority")
            .arg(&authority)
            .args(["-listen", &sds.to_string()])
            .args(["-control", &control.to_string()]);
        let mut process = Running::start("mesh sds", &folder.join("sds.log"), &mut command);
        let control = Caller::plain(&control.ip().to_string(), control);
        wait::until("service of certificates", START, || {
            if let Some(status) = process.ended() {
                panic!("mesh sds ended with {status} before it was ready");
            }
            caller::try_send(control.get("/refused"))
        })
        .await;
        Self { _process: process, control, sds, authority }
    }

    /// Where Envoys ask.
    #[must_use]
    pub const fn sds(&self) -> SocketAddr {
        self.sds
    }

    /// The authority's folder, as istiod takes it.
    #[must_use]
    pub fn authority(&self) -> &Path {
        &self.authority
    }

    /// What a workload shows others in the mesh.
    pub async fn of_workload(&self, namespace: &str, service_account: &str) -> Pair {
        self.issue(&format!("namespace={namespace}&service-account={service_account}")).await
    }

    /// The same name from an authority that the mesh does not know.
    pub async fn of_stranger(&self, namespace: &str, service_account: &str) -> Pair {
        let query = format!("namespace={namespace}&service-account={service_account}&foreign=true");
        self.issue(&query).await
    }

    /// What a gateway shows clients from outside.
    pub async fn of_host(&self, host: &str) -> Pair {
        self.issue(&format!("host={host}")).await
    }

    async fn issue(&self, query: &str) -> Pair {
        let request = self.control.post(&format!("/certificate?{query}"));
        let made = caller::send(request).await.expect(200).json();
        let member = |name: &str| {
            let text = made[name].as_str().filter(|text| !text.is_empty());
            text.unwrap_or_else(|| panic!("no {name} for {query}")).to_owned()
        };
        Pair { certificate: member("certificate"), key: member("key"), root: member("root") }
    }

    /// Replaces every Envoy's certificate.
    pub async fn rotate(&self) {
        caller::send(self.control.post("/rotate")).await.expect(204);
    }

    /// What Envoys did not take.
    ///
    /// # Panics
    /// When the answer is no list.
    pub async fn refused(&self) -> Vec<String> {
        let list = caller::send(self.control.get("/refused")).await.expect(200).json();
        let list = list.as_array().cloned().expect("a list");
        list.iter().map(|one: &Value| one.to_string()).collect()
    }
}
