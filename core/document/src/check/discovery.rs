//! Registries of services, and services that are found by one.

use super::urls::Web;
use crate::model::{Discover, ServiceRegistry};
use crate::problem::Problems;
use crate::raw::{RawConsul, RawDocument, RawService, RawServiceRegistry, Text};

/// Longest name of a service in a registry, in bytes.
const MAX_NAME: usize = 63;

/// The registry that services are found by.
pub(super) fn registry(raw: &RawDocument, problems: &mut Problems) -> ServiceRegistry {
    let discovery = raw.discovery.get();
    let kind = discovery.and_then(|discovery| discovery.registry);
    let consul = discovery.and_then(|discovery| discovery.consul.as_ref());
    match (kind.unwrap_or(RawServiceRegistry::Store), consul) {
        (RawServiceRegistry::Store, None) => {
            check_shared(raw, problems);
            ServiceRegistry::Store
        }
        (RawServiceRegistry::Store, Some(consul)) => {
            let message = "this is asked nothing: write `registry: consul`, or leave it out";
            problems.report_as(consul.at, "discovery.consul", message);
            ServiceRegistry::Store
        }
        (RawServiceRegistry::Consul, Some(raw)) => consul_at(raw, problems),
        (RawServiceRegistry::Consul, None) => {
            let path = "discovery.consul";
            if let Some(discovery) = discovery.filter(|_| !problems.any_below(path)) {
                let message = "say where Consul is: `consul: {address: http://127.0.0.1:8500}`";
                problems.report_as(discovery.at, path, message);
            }
            ServiceRegistry::Store
        }
    }
}

/// What one server has in memory, the others do not know.
fn check_shared(raw: &RawDocument, problems: &mut Problems) {
    let is_used = raw.services.0.iter().any(|(_, _, service)| service.discover.get().is_some());
    let stores = raw.stores.as_ref();
    let is_in_memory = stores.is_none_or(|stores| {
        stores.volatile.as_ref().is_none_or(|volatile| volatile.value == "memory")
    });
    let replicas = stores.and_then(|stores| stores.replicas.as_ref());
    if let Some(replicas) = replicas.filter(|one| is_used && is_in_memory && one.value > 1) {
        let message = "each of several servers would have a registry of its own: name a store \
                       that they share in `stores.volatile`";
        problems.report_as(replicas.at, "stores.replicas", message);
    }
}

fn consul_at(raw: &RawConsul, problems: &mut Problems) -> ServiceRegistry {
    let web = Web::parse(&raw.address);
    let is_good = |web: &Web<'_>| web.is_safe() && matches!(web.rest, "" | "/");
    if !web.as_ref().is_some_and(is_good) {
        let message = "expected an https URL without path (http on loopback only): whoever sits in \
                       between would say where requests go";
        problems.report_as(raw.address.at, "discovery.consul.address", message);
    }
    if let Some(token) = &raw.token {
        let names = |prefix: &str| token.strip_prefix(prefix).is_some_and(|at| !at.is_empty());
        if !names("env:") && !names("file:") {
            // The text itself stays out of the message: it may be the secret.
            let message = "a secret does not stand here: say where it is, env:NAME or file:PATH";
            problems.report_as(token.at, "discovery.consul.token", message);
        }
    }
    ServiceRegistry::Consul {
        address: raw.address.value.clone(),
        token: raw.token.as_ref().map(|token| token.value.clone()),
    }
}

/// How a service is found; none where it has places of its own.
pub(super) fn of_service(
    raw: &RawService,
    path: &str,
    problems: &mut Problems,
) -> Option<Discover> {
    let discover = raw.discover.get()?;
    if !is_name(&discover.registry) {
        let message = format!(
            "expected the service's name in the registry: 1 to {MAX_NAME} letters, digits, `-`, \
             `_` and `.`, the first a letter or digit"
        );
        problems.report_as(discover.registry.at, &format!("{path}.discover.registry"), message);
    }
    let mut refuse = |is_there: bool, field: &str, message: &str| {
        if is_there {
            problems.report_as(discover.at, &format!("{path}.{field}"), message);
        }
    };
    let message = "`tls` verifies a name, and instances have none: name them by `upstream`";
    refuse(raw.tls == Some(true), "tls", message);
    let message = "instances are not told apart by versions: make each version a service of its \
                   own";
    refuse(raw.versions.get().is_some(), "versions", message);
    let message = "a registry is for Envoys outside a mesh, where no `workload` runs";
    refuse(raw.workload.get().is_some(), "workload", message);
    Some(Discover { registry: discover.registry.value.clone() })
}

fn is_name(text: &Text) -> bool {
    (1..=MAX_NAME).contains(&text.len())
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}
