//! Istio manifests of the document, for an ingress gateway.
//!
//! The order on the gateway is the design's: `ext_authz` (AuthorizationPolicy CUSTOM), the
//! bundle (phase AUTHN), Istio's own authentication and policies, `ext_proc`, the router. Every
//! resource lives in the gateway's namespace and is visible there only, except PeerAuthentication,
//! which belongs to the namespace it protects.
//!
//! Deliberately absent: Deployments and Services of the suite (they are the same for every
//! document) and whatever belongs to sidecars.

mod authorization;
mod destination_rule;
mod destinations;
mod envoy_filter;
mod hosts;
mod mesh_config;
mod options;
mod plugin;
mod resource;
mod service_entry;
mod virtual_service;
mod warnings;

use postern_document::{Document, FeedIdentity};
use serde_json::{Value, json};

pub use self::options::{IstioOptions, VERSIONS};
pub use self::warnings::warnings;

use self::destinations::Destinations;
use self::resource::file;
use self::virtual_service::NO_ROUTE;
use crate::feed;
use crate::yaml::to_yaml;

/// A file of a rendering.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedFile {
    /// Its name, without a folder.
    pub name: String,
    /// Its text.
    pub content: String,
}

/// What cannot be rendered. The author of the document or of the options can change that;
/// trying again cannot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// Options: a version of Istio that this release does not know.
    #[error("Istio {major}.{minor} is not supported; 1.28, 1.29, 1.30 and 1.31 are")]
    UnsupportedVersion {
        /// Major version.
        major: u32,
        /// Minor version.
        minor: u32,
    },
    /// Options: a value that Istio or Kubernetes would refuse.
    #[error("option `{option}`: {problem}")]
    BadOption {
        /// The option's name.
        option: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// Document: a route's name is taken by the rendering itself.
    #[error("route `{route}`: this name belongs to the answer for requests without a route")]
    RouteName {
        /// The route.
        route: String,
    },
    /// Document: the server would not answer the gateway, so that it never heard of revoked tokens
    /// or keys.
    #[error(
        "`feed`: the server would refuse the gateway, which asks for the workload `{workload}`; it \
         must be told whose word counts and who the gateway is: write \
         `forwarded_client_cert: local_proxy` and \
         `peers: [{{spiffe: {example}, workloads: [{workload}]}}]`, with your trust domain and \
         the gateway's service account"
    )]
    FeedPeer {
        /// What the gateway asks for.
        workload: String,
        /// Its SPIFFE id, where nobody changed Istio's names.
        example: String,
    },
    /// Document and options: a host of a route that the gateway cannot serve.
    #[error("route `{route}`: host `{host}` {problem}")]
    RouteHost {
        /// The route.
        route: String,
        /// The host.
        host: String,
        /// Why not.
        problem: &'static str,
    },
    /// Document: a path that no AuthorizationPolicy can name.
    #[error("route `{route}`: path `{path}` cannot stand in an AuthorizationPolicy: {problem}")]
    RoutePath {
        /// The route.
        route: String,
        /// Its path template.
        path: String,
        /// Why not.
        problem: &'static str,
    },
    /// Document: a place that the mesh has no way to name.
    #[error("{owner}: Istio cannot route to `{host}`: {problem}")]
    Upstream {
        /// The route and service, or the issuer, that needs it.
        owner: String,
        /// The host as the document has it.
        host: String,
        /// Why not.
        problem: &'static str,
    },
    /// A fault of this program: the filter's configuration is no JSON.
    #[error("the filter's configuration cannot be written: {problem}")]
    FilterConfig {
        /// What the JSON reader says.
        problem: String,
    },
}

/// Renders a document.
///
/// # Errors
/// The first thing that cannot be expressed for this version of Istio; nothing is left out
/// silently.
pub fn render(
    document: &Document,
    options: &IstioOptions,
) -> Result<Vec<RenderedFile>, RenderError> {
    options.check()?;
    check_route_names(document)?;
    check_feed(document, options)?;
    let hosts = hosts::served(document, options)?;
    let destinations = Destinations::of(document, options)?;

    let mut files = vec![
        file(
            "plugin.yaml",
            "The filter bundle: the one gatekeeper. It runs after ext_authz and before Istio's\n\
             policies, and answers 503 itself when it cannot run.",
            &[plugin::resource(document, options, &destinations)?],
        ),
        file(
            "virtual-service.yaml",
            "The gateway and the document's routes, the most specific first.",
            &virtual_service::resources(document, options, &hosts, &destinations)?,
        ),
        file(
            "envoy-filter.yaml",
            "What has no Istio API: how requests are read and refused, ext_proc, headers of\n\
             answers. Lower priorities are applied first.",
            &envoy_filter::resources(document, options),
        ),
        file(
            "peer-authentication.yaml",
            "Workloads in these namespaces take mutual TLS and nothing else.",
            &peer_authentications(document, options),
        ),
        mesh_config::fragment(document, options),
    ];
    let optional = [
        (
            "authorization-policy.yaml",
            "Which requests ext_authz is asked about: one operation for each route that needs it.\n\
             Asking too often costs time, asking too rarely ends in a refusal by the bundle.",
            authorization::resources(document, options)?,
        ),
        (
            "service-entry.yaml",
            "Places outside the cluster that routes or issuers of tokens need.",
            service_entry::resources(document, options, &destinations),
        ),
        (
            "destination-rule.yaml",
            "How the gateway talks to services: a subset for each of them holds its settings.",
            destination_rule::resources(document, options, &destinations),
        ),
    ];
    let optional = optional.iter().filter(|(_, _, resources)| !resources.is_empty());
    files.extend(optional.map(|(name, about, resources)| file(name, about, resources)));
    files.push(kustomization(&files));
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

/// Route names tell routes apart in EnvoyFilter patches.
fn check_route_names(document: &Document) -> Result<(), RenderError> {
    match document.routes.iter().find(|route| route.name == NO_ROUTE) {
        Some(route) => Err(RenderError::RouteName { route: route.name.clone() }),
        None => Ok(()),
    }
}

/// In the mesh the server's sidecar ends mutual TLS and forwards who asks. Without its word the
/// server knows nobody, and what the document then says of stale knowledge would become the rule.
fn check_feed(document: &Document, options: &IstioOptions) -> Result<(), RenderError> {
    let is_known = document.feed.forwarded_client_cert.is_some()
        && feed::identities(document, &options.workload)
            .any(|identity| matches!(identity, FeedIdentity::Spiffe(_)));
    if is_known || !document.needs_feed() {
        return Ok(());
    }
    Err(RenderError::FeedPeer {
        workload: options.workload.clone(),
        example: options.default_spiffe_id(),
    })
}

/// Namespace-wide, by the name that Istio's own tools look for.
fn peer_authentications(document: &Document, options: &IstioOptions) -> Vec<Value> {
    options
        .protected_namespaces()
        .into_iter()
        .map(|namespace| {
            let spec = json!({"mtls": {"mode": "STRICT"}});
            resource::manifest(document, &resource::PEER_AUTHENTICATION, namespace, "default", spec)
        })
        .collect()
}

/// Names the resources, so that `kubectl apply -k` takes all of them and leaves out the fragment,
/// which is no resource.
fn kustomization(files: &[RenderedFile]) -> RenderedFile {
    let mut names: Vec<&str> = files
        .iter()
        .map(|file| file.name.as_str())
        .filter(|name| *name != mesh_config::FILE_NAME)
        .collect();
    names.sort_unstable();
    let kustomization = json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": names,
    });
    RenderedFile {
        name: "kustomization.yaml".to_owned(),
        content: format!("{}{}", resource::WRITTEN_BY, to_yaml(&kustomization)),
    }
}

#[cfg(test)]
mod tests;
