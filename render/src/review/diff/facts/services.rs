//! Where requests go, and what guards the way.

use postern_document::{Document, Service};

use super::super::super::traffic::duration;
use super::super::fact::{Says, UNBOUNDED};
use super::{Facts, fingerprint};

pub(super) fn say(document: &Document, facts: &mut Facts) {
    for service in &document.services {
        let owner = format!("services.{}", service.name);
        reached(service, &owner, facts);
        guarded(service, &owner, facts);
        circuit(service, &owner, facts);
        facts.say(&owner, ".traffic", Says::Plain(bounds(service)));
    }
}

/// Whoever stands there gets what callers send, their tokens too.
fn reached(service: &Service, owner: &str, facts: &mut Facts) {
    let upstreams = service.upstreams();
    let places = upstreams.iter().map(|upstream| format!("{}:{}", upstream.host, upstream.port));
    // Whoever may register there may be anybody.
    let found = service.discover.as_ref().map(|found| format!("registry {}", found.registry));
    facts.say(owner, ".upstream", Says::any_of(places.chain(found)));
    // Without names for their certificates, endpoints are spoken to in plain text.
    if !service.endpoints.is_empty() {
        let names = service.endpoints.iter().map(|endpoint| endpoint.service_account.clone());
        let names: Option<Vec<String>> = names.collect();
        let says = names.map_or(Says::AnyOf(None), Says::any_of);
        facts.say(owner, ".endpoints.service_account", says);
    }
    let told = if service.tls { "TLS" } else { "plain text" };
    facts.say(owner, ".tls", Says::amount(u64::from(!service.tls), told));
}

fn guarded(service: &Service, owner: &str, facts: &mut Facts) {
    let by = service.guarded_by();
    // At its workload, the rules meet who goes past the edge, too.
    let told = if by.is_some() { "workload" } else { "edge" };
    facts.say(owner, ".guard", Says::amount(u64::from(by.is_none()), told));
    let name = |workload: &std::sync::Arc<postern_document::Workload>| workload.name.clone();
    match by {
        Some(workload) => facts.say(owner, ".guard.workload", Says::Root(name(workload))),
        None => {
            let runs = service.workload.as_ref().map_or_else(|| "none".to_owned(), name);
            facts.say(owner, ".workload", Says::Plain(runs));
        }
    }
}

fn circuit(service: &Service, owner: &str, facts: &mut Facts) {
    let never = || Says::Bounds(vec![UNBOUNDED], "none".to_owned());
    let (failures, recovery) = match service.circuit {
        None => (never(), never()),
        Some(circuit) => {
            let failures = circuit.consecutive_failures;
            let told = duration(circuit.recovery_ms);
            (
                Says::amount(u64::from(failures), failures.to_string()),
                Says::Bounds(vec![(1, circuit.recovery_ms)], told),
            )
        }
    };
    facts.say(owner, ".circuit.failures", failures);
    facts.say(owner, ".circuit.recovery", recovery);
}

/// Everything else about its connections, so that a change of it is told of at all.
fn bounds(service: &Service) -> String {
    let Service { max_connections, max_pending, http2, .. } = service;
    let rest = (
        &service.endpoints,
        &service.versions,
        &service.hash,
        &service.outlier_detection,
        &service.pool,
    );
    let protocol = if *http2 { "HTTP/2" } else { "HTTP/1.1" };
    format!(
        "{max_connections} connections, {max_pending} waiting, {protocol}, the rest {}",
        fingerprint(&format!("{rest:?}"))
    )
}
