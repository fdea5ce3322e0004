//! What filters get of a document: never what they have no use for, and in each place no more
//! than is enforced there.

use std::sync::Arc;

use postern_request::json::Value;

use crate::decode::Decode as _;
use crate::model::{Document, JwksSource, Service, Workload};
use crate::problem::Position;
use crate::raw::{At, RawAuth, RawDocument, RawJwks, RawRoute, RawService};

impl Document {
    /// What the filter at the edge runs from; see [`Document::filter_config_for`].
    #[must_use]
    pub fn filter_config(&self) -> String {
        self.config(None)
    }

    /// What a filter runs from in one place: beside the workload of this name, or at the edge
    /// where that is the gateway, or no workload of the document. The digest is the whole
    /// document's.
    ///
    /// It lacks what a sidecar has no use for: stores, API keys, owners, who else may ask by the
    /// feed, the authorization server and log-in, and how requests reach services. At the edge, routes that a workload enforces are
    /// open: there they are checked for their path, and identity headers are taken away, no more.
    /// Beside a workload there are its own routes alone. Issuers stay everywhere, because
    /// nothing from outside may pass for one of their claims.
    ///
    /// Only for a workload that enforces routes is this a document: one without routes is none.
    #[must_use]
    pub fn filter_config_for(&self, workload: &str) -> String {
        self.config(self.workload(workload).filter(|workload| !workload.gateway))
    }

    fn config(&self, place: Option<&Arc<Workload>>) -> String {
        let mut raw = self.raw.clone();
        self.resolve(&mut raw);
        self.narrow(&mut raw, place);
        without_secrets(&mut raw);
        without_traffic(&mut raw);
        let members = vec![
            ("digest".to_owned(), Value::String(self.digest.clone())),
            ("document".to_owned(), raw.encode().unwrap_or(Value::Null)),
        ];
        Value::Object(members).to_string()
    }

    /// Puts ids in place of workloads' names, an address in place of endpoints and registries, and
    /// what filters could not tell from what they get: the name of the session's cookie, and whose
    /// keys are the suite's own.
    fn resolve(&self, raw: &mut RawDocument) {
        for (raw, route) in raw.routes.iter_mut().zip(&self.routes) {
            let Some(peers) = raw.peers.as_mut() else { continue };
            let ids = peers.iter().zip(&route.peers);
            let ids = ids.map(|(text, peer)| At { value: peer.to_string(), at: text.at });
            *peers = ids.collect();
        }
        // What it is called may follow from what filters are not told.
        let credentials = raw.credentials.as_mut();
        let session = credentials.and_then(|credentials| credentials.session.as_mut());
        if let (Some(session), Some(cookie)) = (session, &self.session) {
            session.cookie = Some(At { value: cookie.name.clone(), at: session.at });
        }
        // So do the keys of the suite's own authorization server.
        let jwt = raw.credentials.as_mut().and_then(|credentials| credentials.jwt.as_mut());
        let issuers = jwt.into_iter().flat_map(|jwt| &mut jwt.issuers);
        for (raw, issuer) in issuers.zip(&self.issuers) {
            if let (None, JwksSource::Service { service, .. }) = (&raw.jwks, &issuer.jwks) {
                raw.jwks = Some(keys_of(service, raw.at));
            }
        }
        for (name, at, raw) in &mut raw.services.0 {
            let service = self.services.iter().find(|service| service.name == *name);
            if let (None, Some(service)) = (&raw.upstream, service) {
                raw.upstream = Some(At { value: address(service), at: *at });
            }
        }
    }

    fn narrow(&self, raw: &mut RawDocument, place: Option<&Arc<Workload>>) {
        let guards = self.routes.iter().map(|route| route.guarded_by());
        let guards: Vec<Option<&Arc<Workload>>> = guards.collect();
        let is_elsewhere = guards.iter().any(Option::is_some);
        match place {
            None if !is_elsewhere => return,
            None => {
                let routes = raw.routes.iter_mut().zip(&guards);
                routes.filter(|(_, guard)| guard.is_some()).for_each(|(route, _)| open(route));
                for service in self.services.iter().filter(|service| service.guarded_by().is_some())
                {
                    let named = raw.services.0.iter_mut().find(|(name, ..)| *name == service.name);
                    if let Some((_, _, raw)) = named {
                        // The workload's own filter asks it.
                        raw.circuit = None;
                    }
                }
            }
            Some(place) => {
                let mut guards = guards.iter();
                raw.routes.retain(|_| {
                    guards.next().copied().flatten().is_some_and(|guard| guard.name == place.name)
                });
            }
        }
        drop_unused(raw);
    }
}

/// Takes out of a route what is decided elsewhere.
fn open(route: &mut RawRoute) {
    route.auth = RawAuth::None;
    route.peers = None;
    route.limits.clear();
    route.enforce = None;
    route.ext_authz = None;
    route.fallback = None;
}

fn drop_unused(raw: &mut RawDocument) {
    let routes = &raw.routes;
    raw.limits.0.retain(|(name, ..)| {
        routes.iter().any(|route| route.limits.iter().any(|applied| applied.name.value == *name))
    });
    raw.transforms.0.retain(|(name, ..)| {
        routes.iter().any(|route| route.transform.iter().any(|used| used.value == *name))
    });
    let jwt = raw.credentials.as_ref().and_then(|credentials| credentials.jwt.as_ref());
    let issuers = jwt.map(|jwt| jwt.issuers.as_slice()).unwrap_or_default();
    let asked = issuers.iter().filter_map(|issuer| issuer.jwks.as_ref()?.service.as_ref());
    let asked = asked.map(|name| name.as_str());
    let of_routes = routes.iter().flat_map(|route| {
        let other = route.fallback.as_ref().and_then(|fallback| fallback.service.as_ref());
        [Some(&route.service), other].into_iter().flatten()
    });
    let named: Vec<&str> = of_routes.map(|name| name.as_str()).chain(asked).collect();
    raw.services.0.retain(|(name, ..)| named.contains(&name.as_str()));
}

fn without_secrets(raw: &mut RawDocument) {
    raw.stores = None;
    raw.owners.0.clear();
    if let Some(keys) = raw.credentials.as_mut().and_then(|c| c.api_key.as_mut()) {
        keys.keys.clear();
    }
    if let Some(feed) = raw.feed.as_mut() {
        feed.forwarded_client_cert = None;
        feed.peers.clear();
    }
}

/// Takes out everything that is [`Elsewhere`](crate::decode::Elsewhere).
fn without_traffic(raw: &mut RawDocument) {
    let RawDocument { workloads, mesh, rate_limit_filter, oauth, login, discovery, .. } = raw;
    oauth.clear();
    login.clear();
    workloads.clear();
    mesh.clear();
    rate_limit_filter.clear();
    discovery.clear();
    for (_, _, service) in &mut raw.services.0 {
        let RawService {
            endpoints,
            discover,
            versions,
            hash,
            outlier_detection,
            health,
            zones,
            pool,
            bulkheads,
            workload,
            guard,
            ..
        } = service;
        endpoints.clear();
        discover.clear();
        versions.clear();
        hash.clear();
        outlier_detection.clear();
        health.clear();
        zones.clear();
        pool.clear();
        bulkheads.clear();
        workload.clear();
        guard.clear();
        // Without those of its routes, they would be held to rules that they keep only with them.
        service.retries = None;
    }
    for route in &mut raw.routes {
        let RawRoute {
            auth,
            retries,
            split,
            canary,
            bulkhead,
            fault,
            descriptors,
            security_headers,
            ..
        } = route;
        if let RawAuth::Rules(rules) = auth {
            rules.login.clear();
        }
        security_headers.clear();
        retries.clear();
        split.clear();
        canary.clear();
        bulkhead.clear();
        fault.clear();
        descriptors.clear();
    }
}

/// Keys that a service has, where that has them by default.
fn keys_of(service: &str, at: Position) -> RawJwks {
    RawJwks {
        at,
        inline: None,
        file: None,
        uri: None,
        service: Some(At { value: service.to_owned(), at }),
        path: None,
        refresh: None,
        fetched_by: None,
    }
}

fn address(service: &Service) -> String {
    if service.host.contains(':') {
        format!("[{}]:{}", service.host, service.port)
    } else {
        format!("{}:{}", service.host, service.port)
    }
}

#[cfg(test)]
mod tests;
