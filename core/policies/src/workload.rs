//! What policies protect, and which of them are for what.

use std::collections::BTreeMap;

use crate::resources::{
    AuthorizationPolicy, Meta, PeerAuthentication, RequestAuthentication, Resources, Selection,
    Target, TargetKind,
};

/// What holds for all workloads: parts of `MeshConfig`, and of how istiod was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mesh {
    /// `rootNamespace`: policies there are for workloads everywhere.
    pub root_namespace: String,
    /// `trustDomain`, then `trustDomainAliases`.
    pub trust_domains: Vec<String>,
    /// `caCertificates[].trustDomains`: further trust domains whose certificates workloads take.
    pub foreign_domains: Vec<String>,
    /// `PILOT_SKIP_VALIDATE_TRUST_DOMAIN`: workloads take certificates of all trust domains.
    pub any_trust_domain: bool,
    /// `extensionProviders` that authorize, all of them, those with the same name too; none takes
    /// every provider that a policy names to be there, over gRPC.
    pub providers: Option<Vec<Provider>>,
    /// `PILOT_ENABLE_MULTIPLE_CUSTOM_AUTHZ_PROVIDERS`: without it, several providers on one
    /// workload refuse what they would be asked about.
    pub several_providers: bool,
    /// `ENABLE_SELECTOR_BASED_K8S_GATEWAY_POLICY`: gateways of the Gateway API are selected by
    /// labels too.
    pub select_gateways: bool,
}

/// An authorizer that CUSTOM policies can name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provider {
    /// Its name.
    pub name: String,
    /// Whether it is asked over gRPC. One that is asked over HTTP is not asked about TCP.
    pub grpc: bool,
}

impl Default for Mesh {
    /// As Istio is installed.
    fn default() -> Self {
        Self {
            root_namespace: "istio-system".to_owned(),
            trust_domains: vec!["cluster.local".to_owned()],
            foreign_domains: Vec::new(),
            any_trust_domain: false,
            providers: None,
            several_providers: false,
            select_gateways: true,
        }
    }
}

impl Mesh {
    /// Whether workloads take a certificate with this name, without `spiffe://`
    /// (`pilot/pkg/networking/plugin/authn/util.go`, `TrustDomainsForValidation`).
    #[must_use]
    pub fn takes(&self, principal: &str) -> bool {
        let all = self.trust_domains.iter().chain(&self.foreign_domains);
        let mut named = all.filter(|domain| !domain.is_empty()).peekable();
        // Without any, nothing is compared.
        self.any_trust_domain
            || named.peek().is_none()
            || principal.split_once('/').is_some_and(|(domain, _)| named.any(|one| one == domain))
    }

    /// Why istiod does not take a provider of this name, and refuses what it would be asked about;
    /// none where it does, and where there is no such provider
    /// (`pilot/pkg/security/authz/builder/extauthz.go`, `processExtensionProvider`).
    #[must_use]
    pub fn problem_of_provider(&self, name: &str) -> Option<&'static str> {
        let mut known = self.providers.iter().flatten().filter(|known| known.name == name);
        let first = known.next()?;
        if known.next().is_some() {
            return Some("there are several of this name");
        }
        first.problem()
    }
}

impl Provider {
    /// What is wrong with its name. Istiod before 1.31 may take it all the same.
    #[must_use]
    pub fn problem(&self) -> Option<&'static str> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if self.name.is_empty() {
            Some("it has no name")
        } else if self.name.len() > 63 {
            Some("its name has more than 63 characters")
        } else if !self.name.bytes().all(plain) {
            Some("its name has something else than lower-case letters, digits and `-` in it")
        } else if self.name.starts_with('-') || self.name.ends_with('-') {
            Some("its name begins or ends with `-`")
        } else {
            None
        }
    }
}

/// Something with an Envoy of Istio's in front of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Workload {
    /// How findings call it.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// The labels of its pods.
    pub labels: BTreeMap<String, String>,
    /// What stands in front of it.
    pub proxy: Proxy,
    /// The service that is asked, where the proxy is a waypoint.
    pub service: Option<Service>,
    /// Its ports, not its services' ones.
    pub ports: Vec<Port>,
}

/// What stands in front of a workload, or is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Proxy {
    /// Its own sidecar.
    #[default]
    Sidecar,
    /// A gateway, which is a workload itself.
    Gateway,
    /// A waypoint of ambient mode.
    Waypoint,
}

/// A service behind a waypoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// It is a ServiceEntry, not a Service.
    pub external: bool,
}

/// A port of a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Port {
    /// Its number.
    pub number: u16,
    /// What Istio takes for granted there.
    pub protocol: Protocol,
}

/// What is spoken on a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP, HTTP/2 or gRPC.
    Http,
    /// Everything else.
    Tcp,
}

/// The label that tells gateways and waypoints of the Gateway API.
const GATEWAY_NAME: &str = "gateway.networking.k8s.io/gateway-name";
const WAYPOINTS: &str = "istio-waypoint";

impl Resources {
    /// The policies that are for a workload, in Istio's order.
    #[must_use]
    pub fn authorization_for(&self, mesh: &Mesh, to: &Workload) -> Vec<&AuthorizationPolicy> {
        self.authorization().iter().filter(|policy| policy.is_for(mesh, to)).collect()
    }

    /// Whose tokens a workload knows, those of its own namespace first (`getConfigsForWorkload`).
    #[must_use]
    pub fn request_for(&self, mesh: &Mesh, to: &Workload) -> Vec<&RequestAuthentication> {
        let all = self.request().iter();
        let mut attached: Vec<&RequestAuthentication> =
            all.filter(|resource| resource.is_for(mesh, to)).collect();
        attached.sort_by_key(|resource| resource.meta.namespace != to.namespace);
        attached
    }

    /// What is said of mutual TLS to a workload, for itself, its namespace and the mesh. Only
    /// labels count here, for gateways too.
    #[must_use]
    pub fn peer_for(&self, mesh: &Mesh, to: &Workload) -> Vec<&PeerAuthentication> {
        let in_reach =
            |meta: &Meta| meta.namespace == to.namespace || meta.namespace == mesh.root_namespace;
        let all = self.peer().iter();
        all.filter(|resource| in_reach(&resource.meta) && has_labels(to, &resource.labels))
            .collect()
    }
}

impl AuthorizationPolicy {
    /// Whether it is for a workload.
    #[must_use]
    pub fn is_for(&self, mesh: &Mesh, to: &Workload) -> bool {
        attaches(&self.meta, &self.selection, mesh, to)
    }
}

impl RequestAuthentication {
    /// Whether it is for a workload.
    #[must_use]
    pub fn is_for(&self, mesh: &Mesh, to: &Workload) -> bool {
        attaches(&self.meta, &self.selection, mesh, to)
    }
}

fn has_labels(workload: &Workload, wanted: &BTreeMap<String, String>) -> bool {
    wanted.iter().all(|(name, value)| workload.labels.get(name) == Some(value))
}

/// Whether a resource is for a workload (`pilot/pkg/model/policyattachment.go`).
fn attaches(meta: &Meta, selection: &Selection, mesh: &Mesh, workload: &Workload) -> bool {
    let is_waypoint = workload.proxy == Proxy::Waypoint;
    let service = workload.service.as_ref().filter(|_| is_waypoint);
    let in_reach = meta.namespace == mesh.root_namespace
        || meta.namespace == workload.namespace
        || service.is_some_and(|service| service.namespace == meta.namespace);
    if !in_reach {
        return false;
    }
    let Some(gateway) = workload.labels.get(GATEWAY_NAME) else {
        return selection.targets.is_empty() && has_labels(workload, &selection.labels);
    };
    if selection.targets.is_empty() {
        // Waypoints are never selected by labels, not even by none.
        return !is_waypoint && mesh.select_gateways && has_labels(workload, &selection.labels);
    }
    let served = |target: &Target, external: bool| {
        service.is_some_and(|service| {
            service.external == external
                && service.name == target.name
                && service.namespace == meta.namespace
        })
    };
    selection.targets.iter().any(|target| match target.kind {
        TargetKind::Service => served(target, false),
        TargetKind::ServiceEntry => served(target, true),
        TargetKind::GatewayClass => {
            is_waypoint && meta.namespace == mesh.root_namespace && target.name == WAYPOINTS
        }
        TargetKind::Gateway => meta.namespace == workload.namespace && target.name == *gateway,
    })
}
