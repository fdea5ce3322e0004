//! Starting a mesh: each part when the one before it is ready.

use serde_json::{Value, json};

use postern_e2e::server::{self, Durable, Server};
use postern_e2e::upstream::Upstream;

use super::{DOCUMENT, GATEWAY, HOST, Mesh, RENDERED, surroundings, workloads, write_document};
use crate::block::Block;
use crate::certificates::{Certificates, Pair};
use crate::control_plane::{self, ControlPlane};
use crate::proxy::Proxy;
use crate::rendered::Rendered;

/// The Istio that is rendered for, unless said otherwise.
const NEWEST: &str = "1.31";
/// What Istio itself switches so that a newer control plane does as an older one did
/// (`compatibilityVersion` of its Helm charts).
const AS_1_29: [(&str, &str); 3] = [
    ("PILOT_AUTO_SEND_UNHEALTHY_ENDPOINTS", "false"),
    ("PILOT_ENABLE_STRICT_GATEWAY_MERGING", "false"),
    ("PILOT_SIDECAR_PICK_BEST_SERVICE_NAMESPACE", "false"),
];

type Edit = Box<dyn FnOnce(&mut Value) + Send>;

/// What a mesh will be.
pub struct Builder {
    document: String,
    durable: bool,
    version: String,
    features: Vec<(String, String)>,
    edit: Option<Edit>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            document: DOCUMENT.to_owned(),
            durable: false,
            version: NEWEST.to_owned(),
            features: Vec::new(),
            edit: None,
        }
    }
}

impl Builder {
    /// Runs this document; `$WORDS` are filled in.
    #[must_use]
    pub fn document(mut self, document: impl Into<String>) -> Self {
        self.document = document.into();
        self
    }

    /// Gives the server a durable store and signing keys.
    #[must_use]
    pub fn durable(mut self) -> Self {
        self.durable = true;
        self
    }

    /// Renders for this version of Istio. Envoys say that they are of it, and istiod is switched
    /// to do as it did, as far as Istio has switches for that.
    #[must_use]
    pub fn version(mut self, version: &str) -> Self {
        version.clone_into(&mut self.version);
        if version == "1.29" {
            let switches = AS_1_29.map(|(name, value)| (name.to_owned(), value.to_owned()));
            self.features.extend(switches);
        }
        self
    }

    /// Switches a feature of istiod by its variable.
    #[must_use]
    pub fn feature(mut self, name: &str, value: &str) -> Self {
        self.features.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Changes MeshConfig.
    #[must_use]
    pub fn edit_mesh_config(mut self, edit: impl FnOnce(&mut Value) + Send + 'static) -> Self {
        self.edit = Some(Box::new(edit));
        self
    }

    /// Starts everything.
    ///
    /// # Panics
    /// When a part does not start, or anything is rejected.
    pub async fn start(self) -> Mesh {
        let folder = tempfile::tempdir().expect("a folder for the mesh");
        let block = Block::take();
        let upstream = Upstream::start().await;
        let document = write_document(&self.document, &upstream, folder.path());
        let gateway = block.address(GATEWAY).to_string();
        let rendered = Rendered::of(&document, &self.version, folder.path()).await;
        let rendered = rendered.on_one_machine(&gateway);

        let ports = server::Ports::free();
        let durable = match self.durable {
            true => Some(Durable::prepare(folder.path()).await),
            false => None,
        };
        let options = server::Options {
            document,
            volatile: "memory".to_owned(),
            durable: durable.clone(),
            folder: folder.path().to_path_buf(),
        };
        let server = Server::start(options, ports).await;

        let certificates = Certificates::start(&block, folder.path()).await;
        let shown = certificates.of_host(HOST).await;
        let workloads = workloads(ports, upstream.address().port());
        let objects = control_plane::objects(folder.path());
        let mut known = surroundings();
        known.push(secret(&shown));
        known.extend(workloads.iter().flat_map(|workload| workload.objects(&block)));
        control_plane::put(&objects, "surroundings", &known);
        control_plane::put(&objects, RENDERED, &rendered.resources);
        let mut mesh_config = mesh_config(&rendered.mesh_config);
        if let Some(edit) = self.edit {
            edit(&mut mesh_config);
        }
        let (at, features) = (folder.path(), &self.features);
        let control_plane =
            ControlPlane::start(&block, at, &certificates, &mesh_config, features).await;
        let generation = control_plane.apply().await;

        let istio_version = format!("{}.0", self.version);
        let mut proxies = Vec::new();
        for workload in &workloads {
            let version = &istio_version;
            let proxy =
                Proxy::start(workload, &block, at, &control_plane, &certificates, version).await;
            proxies.push(proxy);
        }
        let root = shown.root;
        let mesh = Mesh {
            proxies,
            server,
            control_plane,
            certificates,
            upstream,
            durable,
            rendered,
            istio_version,
            root,
            block,
            folder,
        };
        mesh.settle(&generation).await;
        mesh
    }
}

/// The gateway's certificate, as a Gateway names it.
fn secret(shown: &Pair) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "postern-gateway-tls", "namespace": "istio-system"},
        "type": "kubernetes.io/tls",
        "stringData": {"tls.crt": shown.certificate, "tls.key": shown.key},
    })
}

/// What an installation says, and what was rendered on top of it.
fn mesh_config(rendered: &Value) -> Value {
    let mut config = json!({
        "trustDomain": "cluster.local",
        "enableTracing": false,
        "ingressControllerMode": "OFF",
        "outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"},
        "accessLogFile": "",
        // A provider of metrics would bring a filter that Istio's build of Envoy has and Envoy's
        // own has not.
        "defaultProviders": {},
    });
    for (name, value) in rendered.as_object().into_iter().flatten() {
        config[name] = value.clone();
    }
    config
}
