//! Services behind which there are the same pods are guarded in one place. Where a workload
//! enforces its routes, the edge leaves them open and knows nothing narrower beside them, and the
//! workload knows its own routes alone: of two guards, one would let pass what the other refuses,
//! or refuse what it never heard of.

use std::collections::BTreeMap;

use crate::host;
use crate::model::Service;
use crate::problem::{Position, Problems};
use crate::raw::RawDocument;

/// Why, and what to do.
const ONE_GUARD: &str = "each would open what the other one closes; let the same one guard both";

pub(in crate::check) fn check<'a>(
    raw: &RawDocument,
    services: impl IntoIterator<Item = &'a Service>,
    problems: &mut Problems,
) {
    let mut by_workload: BTreeMap<&str, &Service> = BTreeMap::new();
    let mut by_place: BTreeMap<(String, u16), &Service> = BTreeMap::new();
    for service in services {
        let at = raw.services.get(&service.name).map_or_else(Position::default, |raw| raw.at);
        let path = format!("services.{}.guard", service.name);
        if let Some(workload) = &service.workload {
            let first = *by_workload.entry(&workload.name).or_insert(service);
            if first.guard != service.guard {
                let message = format!(
                    "`{}` runs on `{}` too and has another guard: {ONE_GUARD}",
                    first.name, workload.name
                );
                problems.report_as(at, &path, message);
                continue;
            }
        }
        let mut places = service.upstreams().into_iter().map(|to| (host::place(&to.host), to.port));
        let other = places.find_map(|place| {
            let first = *by_place.entry(place).or_insert(service);
            (guard(first) != guard(service)).then_some(first)
        });
        if let Some(other) = other {
            let message = format!(
                "`{}` is asked at the same address and has another guard: {ONE_GUARD}",
                other.name
            );
            problems.report_as(at, &path, message);
        }
    }
}

/// The workload that enforces its routes; none where the edge does.
fn guard(service: &Service) -> Option<&str> {
    service.guarded_by().map(|workload| workload.name.as_str())
}
