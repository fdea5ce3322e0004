//! Services.

use postern_circuit as circuit;

#[cfg(feature = "messages")]
use {
    super::discovery::Discover,
    super::traffic::{Endpoint, Hash, Outliers, Pool, Upstream, Version},
    super::upstreams::{Bulkhead, Health, PreferredZone},
    super::workloads::{Guard, Workload},
    std::sync::Arc,
};

/// An upstream service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Host name or address; its first endpoint's where it has endpoints, and a name that nobody
    /// has where a registry says where it is.
    pub host: String,
    /// Port; its first endpoint's where it has endpoints, and none that means anything where a
    /// registry says where it is.
    pub port: u16,
    /// Speak TLS.
    pub tls: bool,
    /// Speak HTTP/2.
    pub http2: bool,
    /// Longest time for an answer, in milliseconds.
    pub timeout_ms: u64,
    /// Most connections to each host.
    pub max_connections: u32,
    /// Most waiting requests.
    pub max_pending: u32,
    /// When to try again, where a route does not say.
    pub retries: Retries,
    /// When to cut off.
    pub circuit: Option<circuit::Settings>,
    /// Where it is, instead of a host of one name; empty where that is what it has.
    #[cfg(feature = "messages")]
    pub endpoints: Vec<Endpoint>,
    /// How it is found; none where it has places of its own.
    #[cfg(feature = "messages")]
    pub discover: Option<Discover>,
    /// Parts of it that routes tell apart, in the order of the document.
    #[cfg(feature = "messages")]
    pub versions: Vec<Arc<Version>>,
    /// How one caller's requests are kept on one endpoint; none where any may get them.
    #[cfg(feature = "messages")]
    pub hash: Option<Hash>,
    /// When an endpoint is left out for a while; never where it is none.
    #[cfg(feature = "messages")]
    pub outlier_detection: Option<Outliers>,
    /// How endpoints are asked whether they are well; not at all where it is none.
    #[cfg(feature = "messages")]
    pub health: Option<Health>,
    /// Which endpoints come first; none where the document does not say, and a mesh may.
    #[cfg(feature = "messages")]
    pub prefer_zone: Option<PreferredZone>,
    /// Bounds on its connections.
    #[cfg(feature = "messages")]
    pub pool: Pool,
    /// Connections of their own for some routes, in the order of the document.
    #[cfg(feature = "messages")]
    pub bulkheads: Vec<Arc<Bulkhead>>,
    /// Which pods run it; none where the document does not say.
    #[cfg(feature = "messages")]
    pub workload: Option<Arc<Workload>>,
    /// Where its routes are enforced.
    #[cfg(feature = "messages")]
    pub guard: Guard,
}

#[cfg(feature = "messages")]
impl Service {
    /// The workload that enforces its routes; none where the edge does.
    #[must_use]
    pub fn guarded_by(&self) -> Option<&Arc<Workload>> {
        self.workload.as_ref().filter(|_| self.guard == Guard::Workload)
    }

    /// A version by its name.
    #[must_use]
    pub fn version(&self, name: &str) -> Option<&Arc<Version>> {
        self.versions.iter().find(|version| version.name == name)
    }

    /// Once fewer of its endpoints are healthy, in percent, all are asked; none where nobody looks
    /// how they are.
    #[must_use]
    pub fn min_healthy(&self) -> Option<u8> {
        let by_answers = self.outlier_detection.as_ref().map(|outliers| outliers.min_healthy);
        let by_checks = self.health.as_ref().map(|health| health.min_healthy);
        by_answers.into_iter().chain(by_checks).max()
    }

    /// Every place that requests to it may go to by name or address: its own host, or its
    /// endpoints, then what versions have of their own. Each once. None where a registry says where
    /// it is.
    #[must_use]
    pub fn upstreams(&self) -> Vec<Upstream> {
        if self.discover.is_some() {
            return Vec::new();
        }
        let own = Upstream { host: self.host.clone(), port: self.port };
        let endpoint = |end: &Endpoint| Upstream { host: end.address.to_string(), port: end.port };
        let mut all: Vec<Upstream> = self.endpoints.iter().map(endpoint).collect();
        if all.is_empty() {
            all.push(own);
        }
        for upstream in self.versions.iter().filter_map(|version| version.upstream.as_ref()) {
            if !all.contains(upstream) {
                all.push(upstream.clone());
            }
        }
        all
    }
}

/// When a failed request is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retries {
    /// The first time included.
    pub attempts: u32,
    /// On what, in Envoy's words.
    pub on: Vec<&'static str>,
    /// How long one attempt may take, in milliseconds; none where only the whole has a bound.
    pub per_try_timeout_ms: Option<u64>,
    /// The least time between two attempts, in milliseconds; none for Envoy's own.
    pub backoff_ms: Option<u64>,
}

impl Retries {
    /// Never again.
    pub const NEVER: Self =
        Self { attempts: 1, on: Vec::new(), per_try_timeout_ms: None, backoff_ms: None };
}
