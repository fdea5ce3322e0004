//! What is rendered, for which Envoy, and what of the document is enforced there.

use postern_document::{Document, Endpoint, JwtIssuer, RateLimitFilter, Route, Service, Workload};
use serde_json::Value;

use super::{Endpoints, EnvoyOptions, Kind, KnownEndpoint, RenderError};

/// The workload at the edge, where neither document nor options name one.
const EDGE: &str = "edge";

/// A rendering: what is said, and where that is.
#[derive(Debug)]
pub(super) struct Rendering<'d> {
    /// What is said.
    pub(super) document: &'d Document,
    /// Where things are.
    pub(super) options: &'d EnvoyOptions,
    /// Where services are that somebody else than the document places.
    known: Option<&'d Endpoints>,
    /// The workload that this Envoy asks the feed for.
    pub(super) workload: String,
    /// The workload whose program this Envoy stands beside; none at the edge.
    pub(super) sidecar: Option<&'d Workload>,
    /// The document as the bundle reads it here.
    pub(super) filter_config: Value,
    /// The issuers that the bundle knows here, by the places that it knows them by.
    pub(super) issuers: Vec<&'d JwtIssuer>,
    /// What some route needs.
    pub(super) asked: Asked,
}

/// An endpoint, as the document has it or as somebody else knows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    /// Where it is.
    pub(super) endpoint: &'a Endpoint,
    /// Whether it works, as far as anybody knows.
    pub(super) is_healthy: bool,
}

impl<'a> Place<'a> {
    const fn written(endpoint: &'a Endpoint) -> Self {
        Self { endpoint, is_healthy: true }
    }

    const fn known(known: &'a KnownEndpoint) -> Self {
        Self { endpoint: &known.endpoint, is_healthy: known.is_healthy }
    }
}

/// What some route needs of this Envoy.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Asked {
    /// `ext_authz`, for a route that is enforced here.
    pub(super) ext_authz: bool,
    /// `ext_proc`, for a route that is enforced here.
    pub(super) ext_proc: bool,
    /// The rate limit service, for a route that is enforced here.
    pub(super) rate_limits: bool,
    /// That something goes wrong. At the edge alone: behind it, a request would meet its fault
    /// twice.
    pub(super) faults: bool,
    /// That its rules are enforced behind this Envoy.
    pub(super) guards_behind: bool,
}

impl<'d> Rendering<'d> {
    /// # Errors
    /// When the options contradict the document.
    pub(super) fn of(
        document: &'d Document,
        options: &'d EnvoyOptions,
    ) -> Result<Self, RenderError> {
        let (workload, sidecar) = match options.kind {
            Kind::Edge => (edge(document, options)?, None),
            Kind::Sidecar { .. } => {
                let workload = sidecar(document, options)?;
                (workload.name.clone(), Some(workload))
            }
        };
        let text = document.filter_config_for(&workload);
        let filter_config: Value = serde_json::from_str(&text)
            .map_err(|error| RenderError::FilterConfig { problem: error.to_string() })?;
        let issuers = known_issuers(document, &filter_config);
        let asked = Asked::default();
        let known = None;
        let mut rendering =
            Self { document, options, known, workload, sidecar, filter_config, issuers, asked };
        rendering.asked = rendering.ask();
        Ok(rendering)
    }

    /// With services where they are at the moment.
    pub(super) fn with_endpoints(self, known: &'d Endpoints) -> Self {
        Self { known: Some(known), ..self }
    }

    /// Where a service is, if it is at addresses: as somebody knows at the moment, or as the
    /// document has it.
    pub(super) fn places<'r>(&'r self, service: &'r Service) -> Option<Vec<Place<'r>>> {
        match self.known_endpoints(service) {
            Some(known) => Some(known.iter().map(Place::known).collect()),
            None if service.endpoints.is_empty() => None,
            None => Some(service.endpoints.iter().map(Place::written).collect()),
        }
    }

    /// The same, as somebody knows at the moment.
    pub(super) fn known_endpoints(&self, service: &Service) -> Option<&'d [KnownEndpoint]> {
        let endpoints = self.known?.get(&service.name)?;
        Some(endpoints)
    }

    fn ask(&self) -> Asked {
        let mut asked = Asked::default();
        for route in &self.document.routes {
            if self.guards(route) {
                asked.ext_authz |= route.needs_ext_authz();
                asked.ext_proc |= route.needs_ext_proc();
                asked.rate_limits |= !route.descriptors.is_empty();
            }
            if self.sidecar.is_none() {
                asked.faults |= route.fault.is_some();
                asked.guards_behind |= route.guarded_by().is_some();
            }
        }
        asked
    }

    /// # Errors
    /// When a route tells callers by certificates that nobody could show.
    pub(super) fn check_peers(&self) -> Result<(), RenderError> {
        let takes_none = self.sidecar.is_some() && self.options.mesh_tls.is_none();
        let mut routes = self.document.routes.iter();
        match routes.find(|route| takes_none && self.guards(route) && !route.peers.is_empty()) {
            Some(route) => Err(RenderError::Peers { route: route.name.clone() }),
            None => Ok(()),
        }
    }

    /// Whether a route is enforced here.
    pub(super) fn guards(&self, route: &Route) -> bool {
        match (route.guarded_by(), self.sidecar) {
            (None, None) => true,
            (Some(guard), Some(here)) => guard.name == here.name,
            _ => false,
        }
    }

    /// Whether requests of a route come by here: all of them pass the edge, also those whose
    /// rules a sidecar enforces.
    pub(super) fn serves(&self, route: &Route) -> bool {
        self.sidecar.is_none() || self.guards(route)
    }

    /// The rate limit filter, where a route that is enforced here has something to tell.
    pub(super) fn rate_limit_filter(&self) -> Option<&'d RateLimitFilter> {
        self.document.rate_limit_filter.as_ref().filter(|_| self.asked.rate_limits)
    }
}

/// The workload that an Envoy guards, as the options have it, or the document: what it asks the
/// feed for, and what it is told of all else.
#[must_use]
pub fn workload<'d>(document: &'d Document, options: &'d EnvoyOptions) -> &'d str {
    let gateway = || document.gateway().map(|gateway| gateway.name.as_str());
    options.workload.as_deref().or_else(gateway).unwrap_or(EDGE)
}

/// The same at the edge.
fn edge(document: &Document, options: &EnvoyOptions) -> Result<String, RenderError> {
    let name = workload(document, options);
    let problem = match document.gateway() {
        Some(gateway) if gateway.name != name => {
            format!("the document's gateway is the workload `{}`", gateway.name)
        }
        None if document.workload(name).is_some() => {
            "the document says that it is no gateway: render a sidecar".to_owned()
        }
        _ => return Ok(name.to_owned()),
    };
    Err(RenderError::Workload { workload: name.to_owned(), problem })
}

/// The workload that a sidecar stands beside.
fn sidecar<'d>(
    document: &'d Document,
    options: &EnvoyOptions,
) -> Result<&'d Workload, RenderError> {
    let name = options.workload.as_deref().unwrap_or_default();
    let problem = |problem: &str| RenderError::Workload {
        workload: name.to_owned(),
        problem: problem.to_owned(),
    };
    if name.is_empty() {
        return Err(problem("a sidecar guards one of the document's workloads: name it"));
    }
    let workload =
        document.workload(name).ok_or_else(|| problem("the document has no such workload"))?;
    if workload.gateway {
        return Err(problem("the document says that it is the gateway: render the edge"));
    }
    let is_guarded =
        |route: &Route| route.guarded_by().is_some_and(|guard| guard.name == workload.name);
    if !document.routes.iter().any(|route| is_guarded(route)) {
        return Err(problem(
            "no route is enforced there: none is of a service with this `workload` and with \
             `guard: workload`",
        ));
    }
    Ok(workload)
}

/// The bundle goes by an issuer's place in its own configuration, which may leave some out.
fn known_issuers<'d>(document: &'d Document, filter_config: &Value) -> Vec<&'d JwtIssuer> {
    let known = filter_config.pointer("/document/credentials/jwt/issuers");
    let known = known.and_then(Value::as_array).into_iter().flatten();
    let names = known.filter_map(|issuer| issuer.get("issuer").and_then(Value::as_str));
    names.filter_map(|name| document.issuers.iter().find(|one| one.issuer.issuer == name)).collect()
}
