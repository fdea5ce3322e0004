//! Where the gateway sends requests to, in the mesh's terms: routes' services, and servers that
//! keys are fetched from.

mod part;
mod place;

use std::collections::BTreeMap;
use std::sync::Arc;

use postern_document::{
    Bulkhead, Document, JwksSource, JwtIssuer, KeysBy, Route, Service, Version,
};
use serde_json::{Value, json};

use self::part::{Key, Part, check_api, check_subset, checks, key, not_in_gateway_api, same_part};
pub(super) use self::place::Place;
use self::place::{MADE_UP, locate};
use super::subsets::About;
use super::{Api, IstioOptions, RenderError, Rendering, subsets};
use crate::envoy::HostPort;
use crate::traffic::{fallback_service, part_name, walled};

/// The name that stands for the suite itself wherever a document names a service.
pub(super) const OWN_SERVICE: &str = "postern";

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

/// Where a version is, and what tells it from others at that host.
#[derive(Debug)]
struct Located {
    host: String,
    place: Place,
    port: u16,
    labels: Option<BTreeMap<String, String>>,
}

/// A host, and what is wanted of it.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) place: Place,
    /// Ports, and whether TLS is spoken on them.
    pub(super) ports: BTreeMap<u16, bool>,
    /// Ports that keys are fetched from over TLS, and the name to verify.
    pub(super) key_servers: BTreeMap<u16, String>,
    /// A part for each service, for each version of one, and for each bulkhead.
    pub(super) subsets: BTreeMap<String, Value>,
    /// What holds for all of a port, and whose word that is: where routes cannot name a part.
    pub(super) ports_policies: BTreeMap<u16, (String, Value)>,
}

/// All destinations of a document, as the gateway has them.
#[derive(Debug)]
pub(super) struct Destinations {
    own: Destination,
    /// Of the certificates that guarded workloads show.
    trust_domain: String,
    parts: BTreeMap<Key, Destination>,
    issuers: BTreeMap<usize, Destination>,
    pub(super) hosts: BTreeMap<String, Host>,
    /// What clusters have that DestinationRules cannot say, by the clusters' names.
    pub(super) checks: BTreeMap<String, Value>,
}

impl Destinations {
    /// Finds the destinations of everything that a route or an issuer uses.
    pub(super) fn of(rendering: &Rendering<'_>) -> Result<Self, RenderError> {
        let (document, options) = (rendering.document, rendering.options);
        let mut found = Self {
            own: Self::own(options),
            trust_domain: document.mesh.trust_domain.clone(),
            parts: BTreeMap::new(),
            issuers: BTreeMap::new(),
            hosts: BTreeMap::new(),
            checks: BTreeMap::new(),
        };
        for service in &document.services {
            let Some(owner) = user_of(document, &service.name) else { continue };
            found.add_service(service, None, &owner, options)?;
            for version in &service.versions {
                found.add_version(service, version, None, &owner, options)?;
            }
            check_api(service, &owner, options.api)?;
            for (bulkhead, version) in walled(document, service) {
                match version {
                    Some(version) => {
                        found.add_version(service, version, Some(bulkhead), &owner, options)?;
                    }
                    None => found.add_service(service, Some(bulkhead), &owner, options)?,
                }
            }
        }
        // Keys that come by the feed are the server's to fetch.
        let issuers = document.issuers.iter().enumerate();
        for (index, issuer) in issuers.filter(|(_, issuer)| issuer.keys_by == KeysBy::Envoy) {
            found.add_issuer(index, issuer, options)?;
        }
        Ok(found)
    }

    /// The suite's own public HTTP, which every Envoy of the mesh knows.
    pub(super) fn own(options: &IstioOptions) -> Destination {
        Destination { host: options.server_host(), port: options.public_port, subset: None }
    }

    /// Where a route goes.
    pub(super) fn of_route(&self, route: &Route) -> Result<&Destination, RenderError> {
        let Some(service) = &route.service else { return Ok(&self.own) };
        let key = key(service, None, route.bulkhead.as_deref());
        self.parts.get(&key).ok_or_else(|| unlisted(route, service))
    }

    /// Where a route's requests go while its service's circuit is open.
    pub(super) fn of_fallback(
        &self,
        route: &Route,
        other: &Service,
    ) -> Result<&Destination, RenderError> {
        self.parts.get(&key(other, None, None)).ok_or_else(|| unlisted(route, other))
    }

    /// Where a route's requests for one version of its service go.
    pub(super) fn of_version(
        &self,
        route: &Route,
        version: &Version,
    ) -> Result<&Destination, RenderError> {
        let Some(service) = &route.service else { return Ok(&self.own) };
        let key = key(service, Some(version), route.bulkhead.as_deref());
        self.parts.get(&key).ok_or_else(|| unlisted(route, service))
    }

    /// Where the gateway fetches an issuer's keys from; none where they stand in the document, or
    /// come by the feed.
    pub(super) fn of_issuer(&self, index: usize) -> Option<&Destination> {
        self.issuers.get(&index)
    }

    fn add_service(
        &mut self,
        service: &Service,
        bulkhead: Option<&Bulkhead>,
        owner: &str,
        options: &IstioOptions,
    ) -> Result<(), RenderError> {
        if let Some(discover) = &service.discover {
            return Err(RenderError::Upstream {
                owner: owner.to_owned(),
                host: discover.registry.clone(),
                problem: "a registry says where it is (`discover`), and a mesh goes by its own: \
                          name its Service by `upstream`, or machines by `endpoints`",
            });
        }
        let made_up = format!("{}.upstream.{MADE_UP}", service.name);
        let is_named = service.endpoints.is_empty();
        let (name, place) = if is_named {
            locate(&service.host, made_up, options).map_err(|problem| RenderError::Upstream {
                owner: owner.to_owned(),
                host: service.host.clone(),
                problem,
            })?
        } else {
            let endpoints = service.endpoints.clone();
            (made_up, Place::Endpoints { service: service.name.clone(), endpoints })
        };
        let about = About { service, bulkhead, trust_domain: &self.trust_domain, owner };
        let part = Part {
            name: part_name(service, None, bulkhead),
            port: service.port,
            tls: service.tls,
            settings: subsets::service(about)?,
            checks: checks(service, is_named.then_some(service.host.as_str())),
        };
        let destination = self.add_part(part, owner, name, place, options)?;
        self.parts.insert(key(service, None, bulkhead), destination);
        Ok(())
    }

    /// Labels tell versions apart where the mesh knows the pods and routes can name a part;
    /// elsewhere a version is a host of its own.
    fn add_version(
        &mut self,
        service: &Service,
        version: &Version,
        bulkhead: Option<&Bulkhead>,
        owner: &str,
        options: &IstioOptions,
    ) -> Result<(), RenderError> {
        let found = self.locate_version(service, version, owner, options)?;
        let labels = found.labels.as_ref();
        let about = About { service, bulkhead, trust_domain: &self.trust_domain, owner };
        let upstream = match (&version.upstream, labels) {
            (Some(upstream), None) => Some(upstream.host.as_str()),
            _ => service.endpoints.is_empty().then_some(service.host.as_str()),
        };
        let part = Part {
            name: part_name(service, Some(version), bulkhead),
            port: found.port,
            tls: service.tls,
            settings: subsets::version(about, version, labels)?,
            checks: checks(service, upstream),
        };
        let owner = format!("service `{}`, version `{}`", service.name, version.name);
        let destination = self.add_part(part, &owner, found.host, found.place, options)?;
        self.parts.insert(key(service, Some(version), bulkhead), destination);
        Ok(())
    }

    /// A version's host and port, and the labels that tell it from others at that host.
    fn locate_version(
        &self,
        service: &Service,
        version: &Version,
        owner: &str,
        options: &IstioOptions,
    ) -> Result<Located, RenderError> {
        let failed = |host: &str, problem| RenderError::Upstream {
            owner: format!("{owner}, version `{}`", version.name),
            host: host.to_owned(),
            problem,
        };
        let by_labels = options.api == Api::Istio || version.upstream.is_none();
        let base = self.parts.get(&key(service, None, None)).filter(|_| by_labels);
        let base = base.filter(|_| !version.labels.is_empty());
        let base = base.and_then(|base| Some((base, self.hosts.get(&base.host)?)));
        if let Some((base, host)) = base.filter(|(_, host)| host.place.has_labels()) {
            return Ok(Located {
                host: base.host.clone(),
                place: host.place.clone(),
                port: base.port,
                labels: Some(version.labels.clone()),
            });
        }
        let Some(upstream) = &version.upstream else {
            let problem = "versions by labels need a Service of the cluster, or endpoints";
            return Err(failed(&service.host, problem));
        };
        let made_up = format!("{}.{}.upstream.{MADE_UP}", version.name, service.name);
        let (host, place) = locate(&upstream.host, made_up, options)
            .map_err(|problem| failed(&upstream.host, problem))?;
        Ok(Located { host, place, port: upstream.port, labels: None })
    }

    /// Has a host's DestinationRule say what a part of it is and how it is talked to.
    fn add_part(
        &mut self,
        part: Part,
        owner: &str,
        name: String,
        place: Place,
        options: &IstioOptions,
    ) -> Result<Destination, RenderError> {
        check_subset(&part.name, owner, &name)?;
        let subset = (options.api == Api::Istio).then(|| part.name.clone());
        let destination = Destination { host: name.clone(), port: part.port, subset };
        let checks = self.checks.get(&destination.cluster()).cloned();
        let host = self.host(&name, place, part.port, part.tls);
        let policy = part.settings.get("trafficPolicy").cloned().unwrap_or_default();
        match (options.api, host.ports_policies.get(&part.port)) {
            (Api::Istio, _) => {
                if host.subsets.insert(part.name, part.settings).is_some() {
                    return Err(same_part(owner, name));
                }
            }
            (Api::Gateway, _) if part.settings.get("labels").is_some() => {
                let what = "a version by its labels alone";
                let instead = "; give the version an `upstream` of its own";
                return Err(not_in_gateway_api(owner, what, instead));
            }
            (Api::Gateway, Some((other, there))) if *there != policy || checks != part.checks => {
                let what = format!("other settings than {other} has for {name}");
                return Err(not_in_gateway_api(owner, what, ""));
            }
            (Api::Gateway, Some(_)) => {}
            (Api::Gateway, None) => {
                host.ports_policies.insert(part.port, (owner.to_owned(), policy));
            }
        }
        if let Some(checks) = part.checks {
            self.checks.insert(destination.cluster(), checks);
        }
        Ok(destination)
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
                let key: Key = (service.clone(), None, None);
                let destination = self.parts.get(&key).cloned();
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
            ports_policies: BTreeMap::new(),
        });
        *host.ports.entry(port).or_default() |= tls;
        host
    }
}

fn unlisted(route: &Route, service: &Service) -> RenderError {
    RenderError::Upstream {
        owner: format!("route `{}`", route.name),
        host: service.host.clone(),
        problem: "the document does not list this service",
    }
}

/// Who has the gateway need a service, for an error's text; none where nobody does, and nothing
/// has to be rendered for it.
fn user_of(document: &Document, service: &str) -> Option<String> {
    let leads_there = |route: &&Arc<Route>| {
        let other = fallback_service(route);
        route.service_name() == service || other.is_some_and(|other| other.name == service)
    };
    let route = document.routes.iter().find(leads_there);
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
