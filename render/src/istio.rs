//! Istio manifests of the document, for an ingress gateway and for workloads that guard themselves.
//!
//! The order wherever requests are judged is the design's: `ext_authz` (AuthorizationPolicy
//! CUSTOM), the bundle (phase AUTHN), Istio's own authentication and policies, the rate limit
//! filter, `ext_proc`, the router. Every resource lives in the namespace of what it is for and is
//! visible there only, unless that is the mesh's root namespace, of which `warnings` tells.
//!
//! Deliberately absent: Deployments, Services and policies of the suite itself, which are the same
//! for every document (`istio/base`). What the document alone knows, which workloads call the
//! suite, is here.

mod admission;
mod api;
mod authorization;
mod callers;
mod destination_rule;
mod destinations;
mod envoy_filter;
mod feed_peers;
mod gateway;
mod gateway_api;
mod guarded;
mod hosts;
mod mesh_config;
mod options;
mod order;
mod packed;
mod peer_authentication;
mod place;
mod placed;
mod plugin;
mod policy_path;
mod request_authentication;
mod resource;
mod service_entry;
mod subsets;
mod telemetry;
mod version;
mod virtual_service;
mod warnings;
mod workload_entry;

use postern_document::{CertificateSource, Document};
use serde_json::{Value, json};

pub use self::api::Api;
pub use self::options::{IstioOptions, RequestAuth};
pub use self::resource::WRITTEN_BY;
pub use self::version::VERSIONS;
pub use self::warnings::{notes, warnings};

use self::api::Attach;
use self::destinations::Destinations;
use self::placed::{Context, Placed, Rendering};
use self::resource::file;
use self::virtual_service::NO_ROUTE;
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
    #[error("{}: {problem}", place::flag(.option))]
    BadOption {
        /// The option's name, as [`IstioOptions`] has it.
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
    /// Document: the server would not answer an Envoy, so that it never heard of revoked tokens or
    /// keys.
    #[error(
        "`feed`: the server would refuse the Envoy that asks for the workload `{workload}`; it \
         must be told whose word counts and who that is: write \
         `forwarded_client_cert: local_proxy` and \
         `peers: [{{spiffe: {example}, workloads: [{workload}]}}]`, with your trust domain and \
         its service account"
    )]
    FeedPeer {
        /// What is asked for.
        workload: String,
        /// The Envoy's SPIFFE id.
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
    /// Document: something that this API of the mesh has no words for.
    #[error("{owner}: {what} cannot be said in the API `{api}`{instead}")]
    NotInThisApi {
        /// The route, service or issuer.
        owner: String,
        /// What cannot be said.
        what: String,
        /// The API.
        api: &'static str,
        /// What to write instead, with what comes in front of it; empty where there is nothing.
        instead: &'static str,
    },
    /// Document: two routes that the mesh would try in the other order.
    #[error(
        "routes `{route}` and `{other}` at `{host}`: the Gateway API would try the second first, \
         and there is no way to say it otherwise"
    )]
    RouteOrder {
        /// The route that the document tries first.
        route: String,
        /// The one that the mesh would.
        other: String,
        /// The host.
        host: String,
    },
    /// Document and options: a workload that cannot be rendered for.
    #[error("workload `{workload}`: {problem}")]
    Workload {
        /// Its name.
        workload: String,
        /// Why not.
        problem: String,
    },
    /// Document: two resources of one name, so that the cluster would keep the one applied last.
    #[error("{resource} would be two resources: give one of the workloads another name")]
    SameName {
        /// Kind, namespace and name.
        resource: String,
    },
    /// Document: more than one object of the cluster can hold.
    #[error("{resource}: {bytes} bytes, and the cluster keeps at most 1 MiB; split the document")]
    TooLarge {
        /// Kind, namespace and name.
        resource: String,
        /// How large it is.
        bytes: usize,
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
    let rendering = Rendering::of(document, options)?;
    check_route_names(document)?;
    check_mutual_tls(document, options)?;
    guarded::check(&rendering)?;
    feed_peers::check(&rendering)?;
    let mut files = Vec::new();
    for (name, about, resources) in parts(&rendering)? {
        if !resources.is_empty() {
            files.push(file(name, about, &resource::sorted(resources)?));
        }
    }
    files.push(mesh_config::fragment(&rendering));
    files.push(kustomization(&files));
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

/// A file's name, what it is for, and what it holds.
type Part = (&'static str, &'static str, Vec<Value>);

fn parts(rendering: &Rendering<'_>) -> Result<Vec<Part>, RenderError> {
    let hosts = hosts::served(rendering)?;
    let destinations = Destinations::of(rendering)?;
    Ok(vec![
        (
            "plugin.yaml",
            "The filter bundle: the one gatekeeper. It runs after ext_authz and before Istio's\n\
             policies, and answers 503 itself when it cannot run.",
            plugin::resources(rendering, &destinations)?,
        ),
        routes(rendering, &hosts, &destinations)?,
        (
            "envoy-filter.yaml",
            "What has no Istio API: how requests are read and refused, ext_proc, headers of\n\
             answers. Lower priorities are applied first.",
            envoy_filter::resources(rendering, &destinations)?,
        ),
        (
            "peer-authentication.yaml",
            "Workloads in these namespaces take mutual TLS and nothing else.",
            peer_authentication::resources(rendering),
        ),
        (
            "authorization-policy.yaml",
            "Which requests ext_authz is asked about: one operation for each route that needs it.\n\
             Asking too often costs time, asking too rarely ends in a refusal by the bundle.\n\
             And who may call what at all: these policies can only refuse more than the bundle.",
            policies(rendering)?,
        ),
        (
            "request-authentication.yaml",
            "Tokens that Istio verifies as well, in front of workloads that take nothing else.",
            request_authentication::resources(rendering)?,
        ),
        (
            "telemetry.yaml",
            "A line in the log for each request, without its query, and what traces say of it.",
            telemetry::resources(rendering),
        ),
        (
            "service-entry.yaml",
            "Places outside the cluster that routes or issuers of tokens need.",
            service_entry::resources(rendering, &destinations),
        ),
        (
            "workload-entry.yaml",
            "Machines outside the cluster that run a service.",
            workload_entry::resources(rendering, &destinations),
        ),
        (
            "destination-rule.yaml",
            "How the gateway talks to services: a subset for each of them holds its settings.",
            destination_rule::resources(rendering, &destinations),
        ),
    ])
}

/// The gateway's listener and its routes, in the one API or the other.
fn routes(
    rendering: &Rendering<'_>,
    hosts: &[hosts::ServedHost<'_>],
    destinations: &Destinations,
) -> Result<Part, RenderError> {
    match rendering.options.api {
        Api::Istio => Ok((
            "virtual-service.yaml",
            "The gateway and the document's routes, the most specific first.",
            virtual_service::resources(rendering, hosts, destinations)?,
        )),
        Api::Gateway => Ok((
            "gateway-api.yaml",
            "The gateway and the document's routes, in an order that Istio's own sorting keeps.",
            gateway_api::resources(rendering, hosts, destinations)?,
        )),
    }
}

fn policies(rendering: &Rendering<'_>) -> Result<Vec<Value>, RenderError> {
    let mut policies = authorization::resources(rendering)?;
    policies.extend(admission::resources(rendering));
    policies.extend(callers::resources(rendering)?);
    Ok(policies)
}

/// What a gateway of the mesh does with certificates is Istio's to say, by how it ends TLS.
fn check_mutual_tls(document: &Document, options: &IstioOptions) -> Result<(), RenderError> {
    let seen = document.oauth.as_ref().and_then(|oauth| oauth.mutual_tls);
    if seen != Some(CertificateSource::Connection) {
        return Ok(());
    }
    Err(RenderError::NotInThisApi {
        owner: "`oauth`".to_owned(),
        what: "`mutual_tls: connection`".to_owned(),
        api: options.api.as_str(),
        instead: "; write `forwarded`, and let what ends TLS write `x-forwarded-client-cert`",
    })
}

/// Route names tell routes apart in EnvoyFilter patches.
fn check_route_names(document: &Document) -> Result<(), RenderError> {
    match document.routes.iter().find(|route| route.name == NO_ROUTE) {
        Some(route) => Err(RenderError::RouteName { route: route.name.clone() }),
        None => Ok(()),
    }
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
