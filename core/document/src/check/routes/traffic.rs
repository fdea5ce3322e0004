//! Where a route's requests go, how often, and what is made to go wrong.

mod descriptors;
mod split;

use std::sync::Arc;

use super::super::numbers::milliseconds;
use super::super::services::check_retries;
use super::{Context, report_dangling};
use crate::model::{
    Auth, Bulkhead, CanaryPick, DescriptorEntry, Fault, FaultAbort, FaultDelay, OWN_SERVICE,
    Retries, Service, Version,
};
use crate::problem::Problems;
use crate::raw::{RawFault, RawRoute};

/// What is known of the route.
#[derive(Clone, Copy)]
pub(super) struct About<'a> {
    pub(super) service: Option<&'a Service>,
    pub(super) auth: &'a Auth,
    pub(super) timeout_ms: u64,
}

/// What of a route only Envoy's configuration is made of.
pub(super) struct OfRoute {
    pub(super) retries: Retries,
    pub(super) split: Vec<(Arc<Version>, u8)>,
    pub(super) canary: Vec<CanaryPick>,
    pub(super) bulkhead: Option<Arc<Bulkhead>>,
    pub(super) fault: Option<Fault>,
    pub(super) descriptors: Vec<Vec<DescriptorEntry>>,
}

pub(super) fn check(
    context: &Context<'_>,
    raw: &RawRoute,
    about: About<'_>,
    path: &str,
    problems: &mut Problems,
) -> OfRoute {
    let of_service = about.service.map_or(Retries::NEVER, |service| service.retries.clone());
    let own = raw.retries.get();
    let retries = own.map(|own| check_retries(own, about.timeout_ms, path, problems));
    let fault = raw.fault.get();
    OfRoute {
        retries: retries.unwrap_or(of_service),
        split: split::check(raw, about.service, path, problems),
        canary: split::check_canary(context, raw, about.service, path, problems),
        bulkhead: check_bulkhead(raw, about.service, path, problems),
        fault: fault.map(|fault| check_fault(fault, &format!("{path}.fault"), problems)),
        descriptors: descriptors::check(context, raw, about.auth, path, problems),
    }
}

/// A bulkhead of the route's service. Nothing is said where the service could not be read.
fn check_bulkhead(
    raw: &RawRoute,
    service: Option<&Service>,
    path: &str,
    problems: &mut Problems,
) -> Option<Arc<Bulkhead>> {
    let name = raw.bulkhead.get()?;
    let path = format!("{path}.bulkhead");
    let Some(service) = service else {
        if raw.service.value == OWN_SERVICE {
            problems.report_as(name.at, &path, "the suite itself has no bulkheads");
        }
        return None;
    };
    let found = service.bulkheads.iter().find(|known| known.name == name.value).cloned();
    // What of a service's bulkheads could not be read is missing here.
    if found.is_some() || problems.any_below(&format!("services.{}.bulkheads", service.name)) {
        return found;
    }
    if service.bulkheads.is_empty() {
        problems.report_as(name.at, &path, format!("`{}` has no bulkheads", service.name));
        return None;
    }
    let known = service.bulkheads.iter().map(|known| known.name.as_str());
    let known: Vec<&str> = known.collect();
    report_dangling("bulkhead", name, &known, &path, problems);
    None
}

fn check_fault(raw: &RawFault, path: &str, problems: &mut Problems) -> Fault {
    let is_told = problems.any_within("routes[", ".fault");
    if raw.delay.is_none() && raw.abort.is_none() && !is_told {
        let message = "say what goes wrong, `delay` or `abort`, or leave `fault` out";
        problems.report_as(raw.at, path, message);
    }
    let delay = raw.delay.as_ref().map(|raw| {
        let path = format!("{path}.delay.time");
        let time_ms = milliseconds(Some(&raw.time), 1..=300_000, "1ms to 5m", &path, problems);
        let parts_per_million = raw.share.parts_per_million;
        FaultDelay { parts_per_million, time_ms: time_ms.unwrap_or(1) }
    });
    let abort = raw.abort.as_ref().map(|raw| {
        let status = u16::try_from(raw.status.value).ok();
        let status = status.filter(|status| (400..=599).contains(status));
        if status.is_none() {
            let message = "expected a status from 400 to 599: a success that never happened would \
                           mislead everybody";
            problems.report_as(raw.status.at, &format!("{path}.abort.status"), message);
        }
        let parts_per_million = raw.share.parts_per_million;
        FaultAbort { parts_per_million, status: status.unwrap_or(503) }
    });
    Fault { delay, abort }
}
