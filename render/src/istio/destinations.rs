//! Where the gateway sends requests to, in the mesh's terms: routes' services, and servers that
//! keys are fetched from.

use std::collections::BTreeMap;
use std::net::IpAddr;

use postern_document::{Document, JwksSource, JwtIssuer, KeysBy, Route, Service};
use serde_json::{Value, json};

use super::options::is_dns_name;
use super::{IstioOptions, RenderError, destination_rule};
use crate::envoy::HostPort;

/// The name that stands for the suite itself wherever a document names a service.
const OWN_SERVICE: &str = "postern";
/// Below this, hosts are made up for what the document names by address; `.internal` is kept
/// free for such names, so none of them can be somebody's.
const MADE_UP: &str = "postern.internal";

/// A cluster of the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Destination {
    /// The host in the mesh's registry.
    pub(super) host: String,
    pub(super) port: u16,
    /// The subset of the host's DestinationRule that holds a service's settings.
    pub(super) subset: Option<String>,
}

impl Destination {
    /// The cluster's name, as Istio gives it to Envoy.
    pub(super) fn cluster(&self) -> String {
        let subset = self.subset.as_deref().unwrap_or("");
        format!("outbound|{}|{subset}|{}", self.port, self.host)
    }

    /// As a route of a VirtualService names it.
    pub(super) fn to_value(&self) -> Value {
        let mut value = json!({"host": self.host, "port": {"number": self.port}});
        if let (Value::Object(members), Some(subset)) = (&mut value, &self.subset) {
            members.insert("subset".to_owned(), json!(subset));
        }
        value
    }
}

/// How the mesh comes to know a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// It does already: a Service of the cluster, or a ServiceEntry of somebody else.
    Registered,
    /// By DNS.
    Dns,
    /// By its address.
    Address(IpAddr),
}

/// A host, and what is wanted of it.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) place: Place,
    /// Ports, and whether TLS is spoken on them.
    pub(super) ports: BTreeMap<u16, bool>,
    /// Ports that keys are fetched from over TLS, and the name to verify.
    pub(super) key_servers: BTreeMap<u16, String>,
    /// A traffic policy for each service.
    pub(super) subsets: BTreeMap<String, Value>,
}

/// All destinations of a document.
#[derive(Debug)]
pub(super) struct Destinations {
    own: Destination,
    services: BTreeMap<String, Destination>,
    issuers: BTreeMap<usize, Destination>,
    pub(super) hosts: BTreeMap<String, Host>,
}

impl Destinations {
    /// Finds the destinations of everything that a route or an issuer uses.
    pub(super) fn of(document: &Document, options: &IstioOptions) -> Result<Self, RenderError> {
        let own =
            Destination { host: options.server_host(), port: options.public_port, subset: None };
        let mut found = Self {
            own,
            services: BTreeMap::new(),
            issuers: BTreeMap::new(),
            hosts: BTreeMap::new(),
        };
        for service in &document.services {
            if let Some(owner) = user_of(document, &service.name) {
                found.add_service(service, owner, options)?;
            }
        }
        // Keys that come by the feed are the server's to fetch.
        let issuers = document.issuers.iter().enumerate();
        for (index, issuer) in issuers.filter(|(_, issuer)| issuer.keys_by == KeysBy::Envoy) {
            found.add_issuer(index, issuer, options)?;
        }
        Ok(found)
    }

    /// Where a route goes.
    pub(super) fn of_route(&self, route: &Route) -> Result<&Destination, RenderError> {
        let Some(service) = &route.service else { return Ok(&self.own) };
        self.services.get(&service.name).ok_or_else(|| RenderError::Upstream {
            owner: format!("route `{}`", route.name),
            host: service.host.clone(),
            problem: "the document does not list this service",
        })
    }

    /// Where the gateway fetches an issuer's keys from; none where they stand in the document, or
    /// come by the feed.
    pub(super) fn of_issuer(&self, index: usize) -> Option<&Destination> {
        self.issuers.get(&index)
    }

    fn add_service(
        &mut self,
        service: &Service,
        owner: String,
        options: &IstioOptions,
    ) -> Result<(), RenderError> {
        let made_up = format!("{}.upstream.{MADE_UP}", service.name);
        let (name, place) = locate(&service.host, made_up, options).map_err(|problem| {
            RenderError::Upstream { owner, host: service.host.clone(), problem }
        })?;
        let host = self.host(&name, place, service.port, service.tls);
        host.subsets.insert(service.name.clone(), destination_rule::traffic_policy(service));
        let subset = Some(service.name.clone());
        let destination = Destination { host: name, port: service.port, subset };
        self.services.insert(service.name.clone(), destination);
        Ok(())
    }

    fn add_issuer(
        &mut self,
        index: usize,
        issuer: &JwtIssuer,
        options: &IstioOptions,
    ) -> Result<(), RenderError> {
        let unreachable = |host: &str, problem| RenderError::Upstream {
            owner: format!("issuer `{}`", issuer.issuer.issuer),
            host: host.to_owned(),
            problem,
        };
        let destination = match &issuer.jwks {
            JwksSource::Inline(_) | JwksSource::Discovery { .. } => return Ok(()),
            JwksSource::Service { service, .. } if service == OWN_SERVICE => self.own.clone(),
            JwksSource::Service { service, .. } => {
                let destination = self.services.get(service).cloned();
                let problem = "the document does not list this service";
                destination.ok_or_else(|| unreachable(service, problem))?
            }
            JwksSource::Uri { tls, authority, .. } => {
                let HostPort { host, port } = authority
                    .parse::<HostPort>()
                    .map_err(|_| unreachable(authority, "expected HOST:PORT"))?;
                let made_up = format!("issuer-{index}.keys.{MADE_UP}");
                let (name, place) = locate(&host, made_up, options)
                    .map_err(|problem| unreachable(&host, problem))?;
                let entry = self.host(&name, place, port, *tls);
                if *tls {
                    entry.key_servers.insert(port, host);
                }
                Destination { host: name, port, subset: None }
            }
        };
        self.issuers.insert(index, destination);
        Ok(())
    }

    fn host(&mut self, name: &str, place: Place, port: u16, tls: bool) -> &mut Host {
        let host = self.hosts.entry(name.to_owned()).or_insert_with(|| Host {
            place,
            ports: BTreeMap::new(),
            key_servers: BTreeMap::new(),
            subsets: BTreeMap::new(),
        });
        *host.ports.entry(port).or_default() |= tls;
        host
    }
}

/// Who has the gateway need a service, for an error's text; none where nobody does, and nothing
/// has to be rendered for it.
fn user_of(document: &Document, service: &str) -> Option<String> {
    let route = document.routes.iter().find(|route| route.service_name() == service);
    let issuer = document.issuers.iter().find(|issuer| {
        issuer.keys_by == KeysBy::Envoy
            && matches!(&issuer.jwks, JwksSource::Service { service: asked, .. } if asked == service)
    });
    match (route, issuer) {
        (Some(route), _) => Some(format!("route `{}`, service `{service}`", route.name)),
        (None, Some(issuer)) => {
            Some(format!("issuer `{}`, service `{service}`", issuer.issuer.issuer))
        }
        (None, None) => None,
    }
}

/// A host's name in the mesh's registry, and how it gets there.
fn locate(
    host: &str,
    made_up: String,
    options: &IstioOptions,
) -> Result<(String, Place), &'static str> {
    // A VirtualService goes to names only.
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok((made_up, Place::Address(address)));
    }
    let name = host.to_ascii_lowercase();
    if !is_dns_name(&name) {
        return Err("this is no DNS name");
    }
    if !name.contains('.') {
        return Err("a short name means something else in every namespace; \
                    write NAME.NAMESPACE.svc.cluster.local");
    }
    if name.ends_with(".svc") {
        return Ok((format!("{name}.{}", options.cluster_domain), Place::Registered));
    }
    let in_cluster = name
        .strip_suffix(options.cluster_domain.as_str())
        .is_some_and(|rest| rest.ends_with(".svc."));
    if in_cluster || options.registered_hosts.contains(&name) {
        return Ok((name, Place::Registered));
    }
    Ok((name, Place::Dns))
}
