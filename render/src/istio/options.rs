//! What the document does not say: versions, names and places of the mesh.

pub(super) mod names;

use std::collections::{BTreeMap, BTreeSet};

use postern_document::HostPattern;

use self::names::{is_dns_label, is_dns_name, is_servable};
use super::version::IstioVersion;
use super::{Api, RenderError};

/// Whether Istio itself verifies tokens too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RequestAuth {
    /// The bundle alone does.
    #[default]
    Off,
    /// Istio does as well, in front of the workloads all of whose routes take tokens.
    Workloads,
}

/// Where things are in the mesh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IstioOptions {
    /// Major and minor version of the control plane.
    pub istio_version: (u32, u32),
    /// The oldest minor version of Istio 1 among the data planes. None: one below the control
    /// plane's.
    pub data_plane_from: Option<u32>,
    /// Which API routes are written in.
    pub api: Api,
    /// The namespace of the suite.
    pub namespace: String,
    /// More namespaces whose workloads take mutual TLS only, beside those that the document names.
    pub workload_namespaces: Vec<String>,
    /// The namespace of the gateway's pods. Policies and filters act only within it. None: the
    /// document's, or `istio-system`.
    pub gateway_namespace: Option<String>,
    /// Labels of the gateway's pods. None: the document's, or `istio: ingressgateway`.
    pub gateway_selector: Option<BTreeMap<String, String>>,
    /// The name of the Gateway. With the Gateway API, istiod runs pods for it.
    pub gateway_name: String,
    /// The Secret (in the gateway's namespace) with the gateway's certificate. None for plain
    /// HTTP on port 80, for a gateway behind something else that ends TLS.
    pub gateway_tls_secret: Option<String>,
    /// Other Secrets, for some of `hosts`.
    pub host_tls_secrets: BTreeMap<String, String>,
    /// The workload of the document that the gateway guards: what the feed tells it. None: the
    /// document's gateway, or `edge`.
    pub workload: Option<String>,
    /// Hosts that the gateway serves: exact, `*.example.test`, or `*`.
    pub hosts: Vec<String>,
    /// Where the bundle is fetched from: an oci, https, http or file URL.
    pub wasm_url: String,
    /// SHA-256 of the bundle, or of its OCI image, in lower-case hexadecimal.
    pub wasm_sha256: Option<String>,
    /// The Secret by which the bundle's image is pulled, in the namespace of each Envoy that runs
    /// it.
    pub wasm_pull_secret: Option<String>,
    /// The host of the suite's Service. None: `postern` in its namespace.
    pub server_host: Option<String>,
    /// The host of the Service with the role `message`: `ext_proc` and access logs. None:
    /// `postern-message` in the suite's namespace.
    pub message_host: Option<String>,
    /// The Service's gRPC port; its name begins with `grpc-`.
    pub grpc_port: u16,
    /// The Service's public HTTP port.
    pub public_port: u16,
    /// Hosts outside the cluster's domain that the mesh knows already, by a ServiceEntry of
    /// somebody else. None is written for them.
    pub registered_hosts: BTreeSet<String>,
    /// The cluster's DNS domain.
    pub cluster_domain: String,
    /// Whether Istio verifies tokens as well.
    pub request_authentication: RequestAuth,
    /// Whether namespaces of the document's workloads let nobody in whom no policy names.
    pub default_deny: bool,
}

impl Default for IstioOptions {
    fn default() -> Self {
        let version = env!("CARGO_PKG_VERSION");
        Self {
            istio_version: (1, 30),
            data_plane_from: None,
            api: Api::Istio,
            namespace: "postern-system".to_owned(),
            workload_namespaces: Vec::new(),
            gateway_namespace: None,
            gateway_selector: None,
            gateway_name: "postern".to_owned(),
            gateway_tls_secret: Some("postern-gateway-tls".to_owned()),
            host_tls_secrets: BTreeMap::new(),
            workload: None,
            hosts: vec!["*".to_owned()],
            wasm_url: format!("oci://registry.example.test/postern-bundle:{version}"),
            wasm_sha256: None,
            wasm_pull_secret: None,
            server_host: None,
            message_host: None,
            grpc_port: 9191,
            public_port: 9192,
            registered_hosts: BTreeSet::new(),
            cluster_domain: "cluster.local".to_owned(),
            request_authentication: RequestAuth::Off,
            default_deny: true,
        }
    }
}

impl IstioOptions {
    /// Refuses what Istio or Kubernetes would refuse, and what would silently mean too much.
    pub(super) fn check(&self) -> Result<(), RenderError> {
        self.version()?;
        let namespaces = self.workload_namespaces.iter().map(|name| ("workload_namespaces", name));
        let gateway = self.gateway_namespace.iter().map(|name| ("gateway_namespace", name));
        let own = [("namespace", &self.namespace)];
        for (option, namespace) in own.into_iter().chain(gateway).chain(namespaces) {
            if !is_dns_label(namespace) {
                return Err(bad(option, format!("`{namespace}` is no namespace's name")));
            }
        }
        let (server_host, message_host) = (self.server_host(), self.message_host());
        for (option, name) in [
            ("server_host", &server_host),
            ("message_host", &message_host),
            ("cluster_domain", &self.cluster_domain),
        ] {
            if !is_dns_name(name) {
                return Err(bad(option, format!("`{name}` is no DNS name")));
            }
        }
        if self.grpc_port == 0 || self.public_port == 0 {
            return Err(bad("grpc_port, public_port", "a port is 1 to 65535"));
        }
        if self.workload.as_ref().is_some_and(String::is_empty) {
            return Err(bad("workload", "name the workload that the gateway guards"));
        }
        self.check_gateway()?;
        self.check_bundle()
    }

    fn check_gateway(&self) -> Result<(), RenderError> {
        if !is_dns_label(&self.gateway_name) {
            return Err(bad("gateway_name", "this is no Gateway's name"));
        }
        if let Some(selector) = &self.gateway_selector {
            check_selector(selector)?;
        }
        let mut secrets = self.gateway_tls_secret.iter().chain(self.host_tls_secrets.values());
        if let Some(wrong) = secrets.find(|name| !is_dns_name(name)) {
            return Err(bad("gateway_tls_secret", format!("`{wrong}` is no Secret's name")));
        }
        if self.gateway_tls_secret.is_none() && !self.host_tls_secrets.is_empty() {
            return Err(bad("host_tls_secrets", "a gateway without TLS shows no certificate"));
        }
        if let Some(host) = self.host_tls_secrets.keys().find(|host| !self.hosts.contains(host)) {
            return Err(bad("host_tls_secrets", format!("`{host}` is not among the hosts")));
        }
        self.host_patterns().map(|_| ())
    }

    fn check_bundle(&self) -> Result<(), RenderError> {
        let schemes = ["oci://", "https://", "http://", "file://"];
        let has_scheme = |scheme: &&str| {
            self.wasm_url.len() > scheme.len() && self.wasm_url.starts_with(*scheme)
        };
        if !schemes.iter().any(has_scheme) {
            return Err(bad("wasm_url", "write an oci, https, http or file URL"));
        }
        let is_hash = |hash: &String| {
            hash.len() == 64 && hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        };
        if self.wasm_sha256.as_ref().is_some_and(|hash| !is_hash(hash)) {
            let problem = "write 64 lower-case hexadecimal digits, without `sha256:`";
            return Err(bad("wasm_sha256", problem));
        }
        if self.wasm_pull_secret.as_ref().is_some_and(|name| !is_dns_name(name)) {
            return Err(bad("wasm_pull_secret", "this is no Secret's name"));
        }
        if self.wasm_pull_secret.is_some() && !self.wasm_url.starts_with("oci://") {
            return Err(bad("wasm_pull_secret", "only an oci URL is pulled with a Secret"));
        }
        Ok(())
    }

    /// The control plane's version, and how old data planes may be.
    pub(super) fn version(&self) -> Result<IstioVersion, RenderError> {
        IstioVersion::new(self.istio_version, self.data_plane_from)
    }

    /// The hosts that the gateway serves.
    pub(super) fn host_patterns(&self) -> Result<Vec<HostPattern>, RenderError> {
        if self.hosts.is_empty() {
            return Err(bad("hosts", "name the hosts that the gateway serves, or `*`"));
        }
        let read = |text: &String| match HostPattern::parse(text) {
            Ok(pattern) if is_servable(&pattern) => Ok(pattern),
            _ => {
                Err(bad("hosts", format!("`{text}`: write api.example.test, *.example.test or *")))
            }
        };
        self.hosts.iter().map(read).collect()
    }

    /// The host of the suite's Service.
    pub(super) fn server_host(&self) -> String {
        self.server_host
            .clone()
            .unwrap_or_else(|| format!("postern.{}.svc.{}", self.namespace, self.cluster_domain))
    }

    /// The host of the Service with the role `message`.
    pub(super) fn message_host(&self) -> String {
        let default = || format!("postern-message.{}.svc.{}", self.namespace, self.cluster_domain);
        self.message_host.clone().unwrap_or_else(default)
    }

    /// The cluster of a host's gRPC port, as Istio names it.
    pub(super) fn grpc_cluster(&self, host: &str) -> String {
        format!("outbound|{}||{host}", self.grpc_port)
    }

    /// The port that clients know the gateway by. With a certificate there is no plain port
    /// beside it: a redirect would come after the token has been sent in the clear.
    pub(super) fn gateway_port(&self) -> u16 {
        if self.gateway_tls_secret.is_some() { 443 } else { 80 }
    }
}

/// An empty selector means every workload of the namespace, in the root namespace every workload
/// of the mesh.
fn check_selector(selector: &BTreeMap<String, String>) -> Result<(), RenderError> {
    if selector.is_empty() {
        return Err(bad("gateway_selector", "name at least one label of the gateway's pods"));
    }
    let is_label = |(name, value): (&String, &String)| {
        !name.is_empty() && !value.is_empty() && !name.contains('*') && !value.contains('*')
    };
    if selector.iter().all(is_label) {
        return Ok(());
    }
    Err(bad("gateway_selector", "labels have a name and a value, without `*`"))
}

/// An option that cannot be.
pub(super) fn bad(option: &'static str, problem: impl Into<String>) -> RenderError {
    RenderError::BadOption { option, problem: problem.into() }
}
