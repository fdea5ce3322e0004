//! Where requests go, and what guards the way.

use postern_document::{Document, Service};

use super::super::super::traffic::{self, duration};
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

/// The later it opens, and the sooner it lets some through again, the more gets past it.
fn circuit(service: &Service, owner: &str, facts: &mut Facts) {
    let never = || Says::Bounds(vec![UNBOUNDED], "none".to_owned());
    let mut say = |member: &str, says: Option<Says>| {
        facts.say(owner, &format!(".circuit{member}"), says.unwrap_or_else(never));
    };
    let count = |number: u32| Says::amount(number.into(), number.to_string());
    let part = |share: u32| Says::amount(share.into(), traffic::share(share));
    let sooner = |millis| Says::Bounds(vec![(1, millis)], duration(millis));
    let circuit = service.circuit.as_ref();
    say(".failures", circuit.filter(|of| of.failures > 0).map(|of| count(of.failures)));
    say(".ratio", circuit.and_then(|of| of.ratio).map(|share| part(share.0)));
    let slow = circuit.and_then(|of| of.slow);
    say(".slow.over", slow.map(|slow| Says::amount(slow.over_ms, duration(slow.over_ms))));
    say(".slow.share", slow.map(|slow| part(slow.share.0)));
    say(".minimum", circuit.map(|of| count(of.minimum)));
    say(".reporters", circuit.map(|of| count(of.reporters)));
    say(".recovery", circuit.map(|of| sooner(of.recovery.first_ms)));
    say(".recovery_longest", circuit.map(|of| sooner(of.recovery.longest_ms)));
    let probes = circuit.map(|of| of.probes);
    let rate = probes.map(|of| (u64::from(of.per_interval), of.interval_ms));
    let rate = rate.map(|(most, interval)| {
        Says::Bounds(vec![(most, interval)], format!("{most} in {}", duration(interval)))
    });
    say(".probes", rate);
    let successes = probes.map(|of| u64::from(of.successes));
    say(".probes.successes", successes.map(|all| Says::Bounds(vec![(1, all)], all.to_string())));
    let statuses = circuit.map(|of| of.counts.statuses.ranges());
    say(".counts.statuses", statuses.map(|ranges| statuses_of(&ranges)));
    say(".counts.grpc", circuit.map(|of| grpc_of(of.counts.grpc)));
    let rest = circuit.map_or_else(
        || "none".to_owned(),
        |of| {
            let jitter = traffic::share(of.recovery.jitter.0);
            format!("over {}, jitter {jitter}", duration(of.window_ms))
        },
    );
    facts.say(owner, ".circuit", Says::Plain(rest));
}

/// Answers that are failures: the fewer there are, the more gets past.
fn statuses_of(ranges: &[(u16, u16)]) -> Says {
    let all: u64 = ranges.iter().map(|(from, to)| u64::from(to - from) + 1).sum();
    let told: Vec<String> = ranges.iter().map(|(from, to)| format!("{from}-{to}")).collect();
    Says::Bounds(vec![(1, all)], or_none(&told))
}

fn grpc_of(set: u32) -> Says {
    let told: Vec<String> = (0..u32::BITS)
        .filter(|bit| set & (1_u32 << *bit) != 0)
        .map(|bit| bit.to_string())
        .collect();
    Says::Bounds(vec![(1, set.count_ones().into())], or_none(&told))
}

fn or_none(all: &[String]) -> String {
    if all.is_empty() { "none".to_owned() } else { all.join(", ") }
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
        &service.health,
        &service.prefer_zone,
        &service.bulkheads,
    );
    let protocol = if *http2 { "HTTP/2" } else { "HTTP/1.1" };
    format!(
        "{max_connections} connections, {max_pending} waiting, {protocol}, the rest {}",
        fingerprint(&format!("{rest:?}"))
    )
}
