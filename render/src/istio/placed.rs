//! Where the document's routes are enforced: which Envoys, and what they are called in the mesh.

use std::collections::{BTreeMap, BTreeSet};

use postern_document::{Document, Route, Workload};
use postern_request::principal::Credential;

use super::options::bad;
use super::options::names::is_dns_label;
use super::version::IstioVersion;
use super::{Api, Attach, IstioOptions, RenderError};

/// The workload that the gateway guards, where neither document nor options say.
const EDGE: &str = "edge";
/// Where Istio's own charts put an ingress gateway.
const GATEWAY_NAMESPACE: &str = "istio-system";
/// The service account that they give it there.
const GATEWAY_ACCOUNT: &str = "istio-ingressgateway-service-account";
/// The longest name of a workload: what is rendered for it is called by it, and labels end at 63.
const MAX_NAME: usize = 40;

/// The side of an Envoy on which requests are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Context {
    /// A gateway, where calls from outside arrive.
    Gateway,
    /// The sidecar of a workload, on its way in.
    SidecarInbound,
}

impl Context {
    /// As EnvoyFilters name it.
    pub(super) const fn patch(self) -> &'static str {
        match self {
            Self::Gateway => "GATEWAY",
            Self::SidecarInbound => "SIDECAR_INBOUND",
        }
    }

    /// As Telemetry and the bundle's resource name it: to Istio a gateway is a client.
    pub(super) const fn mode(self) -> &'static str {
        match self {
            Self::Gateway => "CLIENT",
            Self::SidecarInbound => "SERVER",
        }
    }
}

/// Envoys of the mesh that the document speaks of.
#[derive(Debug)]
pub(super) struct Placed<'d> {
    /// The workload's name, by which its Envoys ask the feed.
    pub(super) workload: String,
    /// Its namespace, where policies for it stand.
    pub(super) namespace: String,
    /// How policies find it.
    pub(super) attach: Attach,
    /// What it is.
    pub(super) context: Context,
    /// Who it is, as policies write it: a SPIFFE id without its scheme.
    pub(super) principal: String,
    /// The ports of its pods; empty for a gateway.
    pub(super) ports: Vec<u16>,
    /// The routes that are enforced here, in the order of the document; none for a workload
    /// whose routes the gateway enforces.
    pub(super) routes: Vec<&'d Route>,
}

impl Placed<'_> {
    /// What a resource for it is called: no two workloads of a namespace share one.
    pub(super) fn name(&self, what: &str) -> String {
        let dash = if what.is_empty() { "" } else { "-" };
        match self.context {
            Context::Gateway => format!("postern{dash}{what}"),
            Context::SidecarInbound => format!("postern-{}{dash}{what}", self.workload),
        }
    }

    /// Whether tokens are looked at here.
    pub(super) fn takes_tokens(&self) -> bool {
        self.routes.iter().any(|route| route.auth.accepts(Credential::Jwt))
    }

    /// Whether `ext_authz` is asked here.
    pub(super) fn needs_ext_authz(&self) -> bool {
        self.routes.iter().any(|route| route.needs_ext_authz())
    }

    /// Whether the server is told how requests ended here.
    pub(super) fn needs_settlement(&self) -> bool {
        let mut limits = self.routes.iter().flat_map(|route| &route.exact_limits);
        limits.any(|used| used.limit.needs_settlement())
    }

    /// Whether `ext_proc` is asked here.
    pub(super) fn needs_ext_proc(&self) -> bool {
        self.routes.iter().any(|route| route.needs_ext_proc())
    }
}

/// A rendering: what is said, for whom, and where that is.
#[derive(Debug)]
pub(super) struct Rendering<'d> {
    /// What is said.
    pub(super) document: &'d Document,
    /// Where things are.
    pub(super) options: &'d IstioOptions,
    /// For which versions.
    pub(super) version: IstioVersion,
    /// Where calls from outside arrive.
    pub(super) gateway: Placed<'d>,
    /// All other workloads of the document, by name.
    pub(super) workloads: Vec<Placed<'d>>,
}

impl<'d> Rendering<'d> {
    /// Finds everything's place.
    ///
    /// # Errors
    /// When the options cannot be, or contradict the document.
    pub(super) fn of(
        document: &'d Document,
        options: &'d IstioOptions,
    ) -> Result<Self, RenderError> {
        options.check()?;
        let gateway = gateway(document, options)?;
        let mut workloads = document
            .workloads
            .iter()
            .filter(|workload| !workload.gateway)
            .map(|workload| sidecar(document, workload))
            .collect::<Result<Vec<_>, _>>()?;
        workloads.sort_by(|a, b| a.workload.cmp(&b.workload));
        let rendering = Self { document, options, version: options.version()?, gateway, workloads };
        rendering.check_namespaces()?;
        Ok(rendering)
    }

    /// Where routes are enforced: the gateway first, then the workloads that guard themselves.
    pub(super) fn guards(&self) -> impl Iterator<Item = &Placed<'d>> {
        let workloads = self.workloads.iter().filter(|placed| !placed.routes.is_empty());
        core::iter::once(&self.gateway).chain(workloads)
    }

    /// Namespaces that the rendering speaks for as a whole: those of the document's workloads and
    /// of the options, but not the gateway's, which it may share with anybody, and not the suite's,
    /// which comes with policies of its own.
    pub(super) fn namespaces(&self) -> BTreeSet<&str> {
        let workloads = self.workloads.iter().map(|placed| placed.namespace.as_str());
        let named = self.options.workload_namespaces.iter().map(String::as_str);
        let ours = [self.gateway.namespace.as_str(), self.options.namespace.as_str()];
        workloads.chain(named).filter(|namespace| !ours.contains(namespace)).collect()
    }

    /// A namespace-wide policy in the root namespace speaks for every workload of the mesh.
    fn check_namespaces(&self) -> Result<(), RenderError> {
        let root = self.document.mesh.root_namespace.as_str();
        let problem = format!("`{root}` would put the whole mesh under our policy");
        if self.options.namespace == root {
            return Err(bad("namespace", problem));
        }
        if self.options.workload_namespaces.iter().any(|namespace| namespace == root) {
            return Err(bad("workload_namespaces", problem));
        }
        match self.workloads.iter().find(|placed| placed.namespace == root) {
            Some(placed) => {
                Err(RenderError::Workload { workload: placed.workload.clone(), problem })
            }
            None => Ok(()),
        }
    }
}

/// The gateway, as the document has it, else as the options do.
fn gateway<'d>(document: &'d Document, options: &IstioOptions) -> Result<Placed<'d>, RenderError> {
    let named = document.gateway();
    if let Some(workload) = named {
        check_workload(workload)?;
        agrees("workload", options.workload.as_ref(), &workload.name)?;
        agrees("gateway_namespace", options.gateway_namespace.as_ref(), &workload.namespace)?;
        if options.gateway_selector.as_ref().is_some_and(|labels| *labels != workload.labels) {
            return Err(bad("gateway_selector", "the document names other labels (`workloads`)"));
        }
    }
    let workload = match (named, &options.workload) {
        (Some(workload), _) => workload.name.clone(),
        (None, Some(name)) => name.clone(),
        (None, None) => EDGE.to_owned(),
    };
    if named.is_none() && document.workload(&workload).is_some() {
        let problem = "the document says that it is no gateway: write `gateway: true` there";
        return Err(RenderError::Workload { workload, problem: problem.to_owned() });
    }
    let namespace = match (named, &options.gateway_namespace) {
        (Some(workload), _) => workload.namespace.clone(),
        (None, Some(namespace)) => namespace.clone(),
        (None, None) => GATEWAY_NAMESPACE.to_owned(),
    };
    let attach = match (options.api, named, &options.gateway_selector) {
        (Api::Gateway, ..) => Attach::Gateway(options.gateway_name.clone()),
        (Api::Istio, Some(workload), _) => Attach::Labels(workload.labels.clone()),
        (Api::Istio, None, Some(labels)) => Attach::Labels(labels.clone()),
        (Api::Istio, None, None) => {
            Attach::Labels(BTreeMap::from([("istio".to_owned(), "ingressgateway".to_owned())]))
        }
    };
    let trust_domain = &document.mesh.trust_domain;
    let principal = match (named, options.api) {
        (Some(workload), _) => workload.principal(trust_domain),
        // What istiod calls the account of the pods that it runs for a Gateway.
        (None, Api::Gateway) => {
            format!("{trust_domain}/ns/{namespace}/sa/{}-istio", options.gateway_name)
        }
        (None, Api::Istio) => format!("{trust_domain}/ns/{namespace}/sa/{GATEWAY_ACCOUNT}"),
    };
    let routes = document.routes.iter().map(AsRef::as_ref);
    let routes = routes.filter(|route: &&Route| route.guarded_by().is_none()).collect();
    Ok(Placed {
        workload,
        namespace,
        attach,
        context: Context::Gateway,
        principal,
        ports: Vec::new(),
        routes,
    })
}

fn sidecar<'d>(document: &'d Document, workload: &'d Workload) -> Result<Placed<'d>, RenderError> {
    check_workload(workload)?;
    let routes = document.routes.iter().map(AsRef::as_ref);
    let is_here = |route: &&Route| route.guarded_by().is_some_and(|at| at.name == workload.name);
    Ok(Placed {
        workload: workload.name.clone(),
        namespace: workload.namespace.clone(),
        attach: Attach::Labels(workload.labels.clone()),
        context: Context::SidecarInbound,
        principal: workload.principal(&document.mesh.trust_domain),
        ports: workload.ports.clone(),
        routes: routes.filter(is_here).collect(),
    })
}

/// Resources are called by it.
fn check_workload(workload: &Workload) -> Result<(), RenderError> {
    if is_dns_label(&workload.name) && workload.name.len() <= MAX_NAME {
        return Ok(());
    }
    Err(RenderError::Workload {
        workload: workload.name.clone(),
        problem: format!(
            "resources cannot be called so: write at most {MAX_NAME} lower-case letters, digits \
             and inner hyphens"
        ),
    })
}

/// Document and options may say the same thing, and never two.
fn agrees(option: &'static str, given: Option<&String>, document: &str) -> Result<(), RenderError> {
    match given {
        Some(given) if given != document => {
            Err(bad(option, format!("`{given}`, and the document says `{document}` (`workloads`)")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
