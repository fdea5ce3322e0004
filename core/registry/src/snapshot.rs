//! What Envoys are told.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use crate::standing::TENTHS;

/// What a weight of 1 is multiplied by, so that there are parts of it.
pub const WEIGHT_UNIT: u32 = TENTHS;

/// Where requests may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The instance's name, for people.
    pub instance: String,
    /// Its address.
    pub address: IpAddr,
    /// Its port.
    pub port: u16,
    /// Its share, as things are: [`WEIGHT_UNIT`] times the instance's weight, and less while it
    /// recovers or nobody has looked at it. Never zero.
    pub weight: u32,
    /// Whether it works. Those that do not are told all the same: where most of them do not, Envoy
    /// goes by none of it.
    pub is_healthy: bool,
    /// Where it is.
    pub region: Option<String>,
    /// Where within that.
    pub zone: Option<String>,
    /// What runs there.
    pub version: Option<String>,
}

/// The endpoints of a service, by address and port, each of which is there once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceEndpoints {
    /// The service, as the registry calls it.
    pub service: String,
    /// Its endpoints.
    pub endpoints: Vec<Endpoint>,
}

impl ServiceEndpoints {
    /// Sorts them. Of several at one address and port one stays: one that works, with the first
    /// name.
    #[must_use]
    pub fn new(service: String, mut endpoints: Vec<Endpoint>) -> Self {
        endpoints.sort_by(|a, b| {
            let key = |one: &Endpoint| (one.address, one.port, !one.is_healthy);
            key(a).cmp(&key(b)).then_with(|| a.instance.cmp(&b.instance))
        });
        endpoints.dedup_by(|b, a| (a.address, a.port) == (b.address, b.port));
        Self { service, endpoints }
    }

    /// How many of them work.
    #[must_use]
    pub fn healthy(&self) -> usize {
        self.endpoints.iter().filter(|endpoint| endpoint.is_healthy).count()
    }
}

/// The endpoints of all services, at one moment.
///
/// A service that is not in here is one of which nothing is known yet: whoever waits for it keeps
/// what they have. One with no endpoints is one that nobody runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    version: u64,
    services: BTreeMap<String, Arc<ServiceEndpoints>>,
}

/// What a service is, in one snapshot and not in another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference<'s> {
    /// It is this now.
    Is(&'s Arc<ServiceEndpoints>),
    /// Nobody asks for it any more.
    Gone(&'s str),
}

impl Snapshot {
    /// Which one it is: counts up with every change, and begins at 0 with every process.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// The endpoints of a service; none while nothing is known of it.
    #[must_use]
    pub fn get(&self, service: &str) -> Option<&Arc<ServiceEndpoints>> {
        self.services.get(service)
    }

    /// All services of which something is known, by name.
    pub fn services(&self) -> impl Iterator<Item = &Arc<ServiceEndpoints>> {
        self.services.values()
    }

    /// The snapshot in which a service is that; none where it is already.
    #[must_use]
    pub fn with(&self, service: ServiceEndpoints) -> Option<Self> {
        if self.services.get(&service.service).is_some_and(|known| **known == service) {
            return None;
        }
        let mut services = self.services.clone();
        services.insert(service.service.clone(), Arc::new(service));
        Some(Self { version: self.version + 1, services })
    }

    /// The snapshot without the services that do not fit; none where all do.
    #[must_use]
    pub fn only(&self, fits: impl Fn(&str) -> bool) -> Option<Self> {
        let mut services = self.services.clone();
        services.retain(|name, _| fits(name));
        (services.len() < self.services.len()).then(|| Self { version: self.version + 1, services })
    }

    /// What is different from an earlier one, by the services' names.
    pub fn since<'s>(&'s self, before: &'s Self) -> impl Iterator<Item = Difference<'s>> {
        let is_other = move |service: &&Arc<ServiceEndpoints>| {
            let known = before.services.get(&service.service);
            known.is_none_or(|known| !Arc::ptr_eq(known, service) && known != *service)
        };
        let gone = before.services.keys().filter(move |name| !self.services.contains_key(*name));
        let is = self.services.values().filter(is_other).map(Difference::Is);
        is.chain(gone.map(|name| Difference::Gone(name)))
    }
}
