//! What the document does not say: versions, names and places of the mesh.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use postern_document::HostPattern;

use super::RenderError;

/// Minor versions of Istio 1 that can be rendered for.
pub const VERSIONS: RangeInclusive<u32> = 28..=31;

/// The first minor version that has TrafficExtension, which supersedes WasmPlugin.
const FIRST_WITH_TRAFFIC_EXTENSION: u32 = 30;

/// Istio's root namespace, unless an operator moved it.
const ROOT_NAMESPACE: &str = "istio-system";

/// Where things are in the mesh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IstioOptions {
    /// Major and minor version of the control plane.
    pub istio_version: (u32, u32),
    /// The namespace of the suite.
    pub namespace: String,
    /// More namespaces whose workloads take mutual TLS only: those of the upstream services.
    pub workload_namespaces: Vec<String>,
    /// The namespace of the gateway's pods. Policies and filters act only within it.
    pub gateway_namespace: String,
    /// Labels of the gateway's pods.
    pub gateway_selector: BTreeMap<String, String>,
    /// The Secret (in the gateway's namespace) with the gateway's certificate. None for plain
    /// HTTP on port 80, for a gateway behind something else that ends TLS.
    pub gateway_tls_secret: Option<String>,
    /// The workload of the document that the gateway guards: what the feed tells it.
    pub workload: String,
    /// Hosts that the gateway serves: exact, `*.example.test`, or `*`.
    pub hosts: Vec<String>,
    /// Where the bundle is fetched from: an oci, https, http or file URL.
    pub wasm_url: String,
    /// SHA-256 of the bundle, or of its OCI image, in lower-case hexadecimal.
    pub wasm_sha256: Option<String>,
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
}

impl Default for IstioOptions {
    fn default() -> Self {
        let selector = ("istio".to_owned(), "ingressgateway".to_owned());
        let version = env!("CARGO_PKG_VERSION");
        Self {
            istio_version: (1, 30),
            namespace: "postern-system".to_owned(),
            workload_namespaces: Vec::new(),
            gateway_namespace: "istio-system".to_owned(),
            gateway_selector: BTreeMap::from([selector]),
            gateway_tls_secret: Some("postern-gateway-tls".to_owned()),
            workload: "edge".to_owned(),
            hosts: vec!["*".to_owned()],
            wasm_url: format!("oci://registry.example.test/postern-bundle:{version}"),
            wasm_sha256: None,
            server_host: None,
            message_host: None,
            grpc_port: 9191,
            public_port: 9192,
            registered_hosts: BTreeSet::new(),
            cluster_domain: "cluster.local".to_owned(),
        }
    }
}

impl IstioOptions {
    /// Refuses what Istio or Kubernetes would refuse, and what would silently mean too much.
    pub(super) fn check(&self) -> Result<(), RenderError> {
        let (major, minor) = self.istio_version;
        if major != 1 || !VERSIONS.contains(&minor) {
            return Err(RenderError::UnsupportedVersion { major, minor });
        }
        for (option, namespace) in
            [("namespace", &self.namespace), ("gateway_namespace", &self.gateway_namespace)]
                .into_iter()
                .chain(self.workload_namespaces.iter().map(|name| ("workload_namespaces", name)))
        {
            if !is_dns_label(namespace) {
                return Err(bad(option, format!("`{namespace}` is no namespace's name")));
            }
        }
        // A namespace-wide policy in the root namespace speaks for every workload of the mesh.
        if self.protected_namespaces().contains(ROOT_NAMESPACE) {
            let problem = format!("`{ROOT_NAMESPACE}` would put the whole mesh under our policy");
            return Err(bad("namespace, workload_namespaces", problem));
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
        if self.workload.is_empty() {
            return Err(bad("workload", "name the workload that the gateway guards"));
        }
        self.check_gateway()?;
        self.check_bundle()
    }

    fn check_gateway(&self) -> Result<(), RenderError> {
        // An empty selector means every workload of the namespace, in the root namespace every
        // workload of the mesh.
        if self.gateway_selector.is_empty() {
            return Err(bad("gateway_selector", "name at least one label of the gateway's pods"));
        }
        let is_label = |(name, value): (&String, &String)| {
            !name.is_empty() && !value.is_empty() && !name.contains('*') && !value.contains('*')
        };
        if !self.gateway_selector.iter().all(is_label) {
            return Err(bad("gateway_selector", "labels have a name and a value, without `*`"));
        }
        if self.gateway_tls_secret.as_ref().is_some_and(|name| !is_dns_name(name)) {
            return Err(bad("gateway_tls_secret", "this is no Secret's name"));
        }
        self.host_patterns().map(|_| ())
    }

    fn check_bundle(&self) -> Result<(), RenderError> {
        let schemes = ["oci://", "https://", "http://", "file://"];
        let has_scheme = |scheme: &&str| {
            self.wasm_url.len() > scheme.len() && self.wasm_url.starts_with(*scheme)
        };
        if !schemes.iter().any(has_scheme) {
            return Err(bad("wasm_url", "expected an oci, https, http or file URL"));
        }
        let is_hash = |hash: &String| {
            hash.len() == 64 && hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        };
        if self.wasm_sha256.as_ref().is_some_and(|hash| !is_hash(hash)) {
            return Err(bad("wasm_sha256", "expected 64 lower-case hexadecimal digits"));
        }
        Ok(())
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

    /// What the gateway's certificate says, where nobody changed the trust domain or the service
    /// account.
    pub(super) fn default_spiffe_id(&self) -> String {
        format!(
            "spiffe://cluster.local/ns/{}/sa/istio-ingressgateway-service-account",
            self.gateway_namespace
        )
    }

    /// The port that clients know the gateway by. With a certificate there is no plain port
    /// beside it: a redirect would come after the token has been sent in the clear.
    pub(super) fn gateway_port(&self) -> u16 {
        if self.gateway_tls_secret.is_some() { 443 } else { 80 }
    }

    /// Whether the bundle is a TrafficExtension; else it is a WasmPlugin. With both, it would
    /// run twice.
    pub(super) fn has_traffic_extension(&self) -> bool {
        self.istio_version.1 >= FIRST_WITH_TRAFFIC_EXTENSION
    }

    /// Namespaces whose workloads take mutual TLS only, each once, sorted.
    pub(super) fn protected_namespaces(&self) -> BTreeSet<&str> {
        let others = self.workload_namespaces.iter().map(String::as_str);
        others.chain([self.namespace.as_str()]).collect()
    }
}

fn bad(option: &'static str, problem: impl Into<String>) -> RenderError {
    RenderError::BadOption { option, problem: problem.into() }
}

/// Whether Istio takes a host; a document's may also begin or end with a hyphen.
pub(super) fn is_servable(host: &HostPattern) -> bool {
    match host {
        HostPattern::Exact(name) => is_dns_name(name),
        HostPattern::Suffix(suffix) => suffix.strip_prefix('.').is_some_and(is_dns_name),
        HostPattern::Any => true,
    }
}

/// RFC 1123: lower-case letters, digits and inner hyphens, at most 63.
pub(super) fn is_dns_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Labels, the last of which is no number, so that it is no address.
pub(super) fn is_dns_name(text: &str) -> bool {
    let is_number = |label: &str| label.bytes().all(|b| b.is_ascii_digit());
    text.len() <= 253
        && text.split('.').all(is_dns_label)
        && text.rsplit('.').next().is_some_and(|label| !is_number(label))
}
