//! Machines by their addresses.

use std::net::IpAddr;

use super::super::numbers::whole;
use super::super::workloads::{check_service_account, labels, port};
use crate::model::Endpoint;
use crate::problem::Problems;
use crate::raw::{RawEndpoint, RawService};

const MAX_ENDPOINTS: usize = 1_000;

pub(super) fn check(raw: &RawService, path: &str, problems: &mut Problems) -> Vec<Endpoint> {
    let Some(listed) = raw.endpoints.get() else {
        return Vec::new();
    };
    let path = format!("{path}.endpoints");
    if listed.is_empty() && !problems.any_below(&path) {
        problems.report_as(raw.at, &path, "name at least one endpoint");
    }
    if let Some(beyond) = listed.get(MAX_ENDPOINTS) {
        let message = format!("at most {MAX_ENDPOINTS} endpoints; behind a name there may be more");
        problems.report_as(beyond.at, &path, message);
    }
    if raw.tls == Some(true) {
        let message = "`tls` verifies a name, and endpoints have none: name them by `upstream`";
        problems.report_as(raw.at, &path, message);
    }
    let mut endpoints: Vec<Endpoint> = Vec::with_capacity(listed.len());
    for (at, raw) in listed.iter().enumerate() {
        let path = format!("{path}[{at}]");
        let Some(endpoint) = check_endpoint(raw, &path, problems) else { continue };
        let is_it =
            |known: &Endpoint| known.address == endpoint.address && known.port == endpoint.port;
        if endpoints.iter().any(is_it) {
            problems.report_as(raw.at, &path, "this endpoint is there twice");
        }
        let is_meshed = |endpoint: &Endpoint| endpoint.service_account.is_some();
        if endpoints.first().is_some_and(|first| is_meshed(first) != is_meshed(&endpoint)) {
            let message = "all endpoints of a service have a `service_account`, or none has: to \
                           those that have one the mesh speaks mutual TLS";
            problems.report_as(raw.at, &path, message);
        }
        endpoints.push(endpoint);
    }
    endpoints
}

fn check_endpoint(raw: &RawEndpoint, path: &str, problems: &mut Problems) -> Option<Endpoint> {
    let address: Option<IpAddr> = raw.address.parse().ok();
    if address.is_none() {
        let message = "expected an IP address; a name is an `upstream`";
        problems.report_as(raw.address.at, &format!("{path}.address"), message);
    }
    let port = port(&raw.port);
    if port.is_none() {
        problems.report_as(raw.port.at, &format!("{path}.port"), "expected 1 to 65535");
    }
    let weight = format!("{path}.weight");
    let weight = whole(raw.weight.as_ref(), 1..=1_000_000, &weight, problems).unwrap_or(1);
    if let Some(zone) = raw.zone.as_ref().filter(|zone| !Endpoint::is_zone(zone)) {
        let message = "expected a region, or region/zone: letters, digits, `-`, `_` and `.`";
        problems.report_as(zone.at, &format!("{path}.zone"), message);
    }
    if let Some(account) = &raw.service_account {
        check_service_account(account, path, problems);
    }
    let labels = labels(raw.labels.as_ref(), &format!("{path}.labels"), problems);
    Some(Endpoint {
        address: address?,
        port: port?,
        weight,
        zone: raw.zone.as_ref().map(|zone| zone.value.clone()),
        labels,
        service_account: raw.service_account.as_ref().map(|account| account.value.clone()),
    })
}
