//! Parts of a host: what there can be, what they are called, and what each has.

use postern_document::{Bulkhead, Service, Version};
use serde_json::{Value, json};

use super::super::options::names::is_dns_label;
use super::super::{Api, RenderError};
use crate::envoy::traffic::{health_check, panic_threshold};
use crate::traffic::asked_host;

/// A part of a host: a service, a version of one, or a bulkhead of either.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) name: String,
    pub(super) port: u16,
    pub(super) tls: bool,
    /// Labels and traffic policy, as a subset has them.
    pub(super) settings: Value,
    /// What its cluster has besides: how its endpoints are asked whether they are well.
    pub(super) checks: Option<Value>,
}

/// By service, version and bulkhead.
pub(super) type Key = (String, Option<String>, Option<String>);

pub(super) fn key(
    service: &Service,
    version: Option<&Version>,
    bulkhead: Option<&Bulkhead>,
) -> Key {
    let version = version.map(|version| version.name.clone());
    (service.name.clone(), version, bulkhead.map(|bulkhead| bulkhead.name.clone()))
}

/// How a part's endpoints are asked, in Envoy's words: the mesh has none.
pub(super) fn checks(service: &Service, upstream: Option<&str>) -> Option<Value> {
    let health = service.health.as_ref()?;
    let check = health_check(health, &asked_host(service, upstream), service.http2);
    let threshold = panic_threshold(service.min_healthy().unwrap_or_default());
    Some(json!({"health_checks": [check], "common_lb_config": threshold}))
}

/// What DestinationRules can say of a part of a host, or of all of it, but of no port.
pub(super) fn check_api(service: &Service, owner: &str, api: Api) -> Result<(), RenderError> {
    if api == Api::Istio {
        return Ok(());
    }
    if let Some(bulkhead) = service.bulkheads.first() {
        let what = format!("the bulkhead `{}`", bulkhead.name);
        return Err(not_in_gateway_api(owner, what, "; bound the service as a whole"));
    }
    match service.pool.retry_budget {
        Some(_) => {
            let what = "a budget of retries (`pool.retry_budget`)";
            Err(not_in_gateway_api(owner, what, "; write `max_retries`"))
        }
        None => Ok(()),
    }
}

pub(super) fn not_in_gateway_api(
    owner: &str,
    what: impl Into<String>,
    instead: &'static str,
) -> RenderError {
    RenderError::NotInThisApi {
        owner: owner.to_owned(),
        what: what.into(),
        api: Api::Gateway.as_str(),
        instead,
    }
}

/// Two services may be called so that a part of one has the other's name.
pub(super) fn same_part(owner: &str, host: String) -> RenderError {
    let problem = "another service, version or bulkhead would be called the same there: rename \
                   one of them";
    RenderError::Upstream { owner: owner.to_owned(), host, problem }
}

/// Parts of a host are called as labels are.
pub(super) fn check_subset(subset: &str, owner: &str, host: &str) -> Result<(), RenderError> {
    if is_dns_label(subset) {
        return Ok(());
    }
    Err(RenderError::Upstream {
        owner: owner.to_owned(),
        host: host.to_owned(),
        problem: "names of service, version and bulkhead together have at most 61 lower-case \
                  letters, digits and inner hyphens",
    })
}
