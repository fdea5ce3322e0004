//! Which endpoints come first, by where they are.

use crate::model::{Endpoint, PreferredZone};
use crate::problem::Problems;
use crate::raw::RawService;

pub(super) fn check(
    raw: &RawService,
    endpoints: &[Endpoint],
    path: &str,
    problems: &mut Problems,
) -> Option<PreferredZone> {
    let zones = raw.zones.get()?;
    let of_endpoints = format!("{path}.endpoints");
    let path = format!("{path}.zones.prefer");
    if zones.prefer == PreferredZone::Any {
        return Some(PreferredZone::Any);
    }
    if raw.outlier_detection.get().is_none() {
        let message = "without `outlier_detection` nobody notices that a zone fails, and requests \
                       would be sent there all the same";
        problems.report_as(zones.at, &path, message);
    }
    let told = endpoints.iter().any(|endpoint| endpoint.zone.is_some());
    if raw.endpoints.get().is_some() && !told && !problems.any_below(&of_endpoints) {
        let message = "no endpoint of the service says its `zone`";
        problems.report_as(zones.at, &path, message);
    }
    Some(zones.prefer)
}
