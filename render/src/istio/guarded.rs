//! Whether a service that a workload guards runs on that workload's pods. Its routes pass the
//! gateway unasked, so anything else behind its name would be open to everybody.

use std::net::IpAddr;

use postern_document::{Endpoint, Service, Upstream, Workload};

use super::{RenderError, Rendering};

/// # Errors
/// The first service of which the document does not show it.
pub(super) fn check(rendering: &Rendering<'_>) -> Result<(), RenderError> {
    for service in &rendering.document.services {
        let Some(workload) = service.guarded_by() else { continue };
        let cluster_domain = &rendering.options.cluster_domain;
        if let Some(problem) = stray(service, workload, cluster_domain) {
            return Err(RenderError::Workload { workload: workload.name.clone(), problem });
        }
    }
    Ok(())
}

/// What is wrong with a service's places, where one of them may not be the workload's.
fn stray(service: &Service, workload: &Workload, cluster_domain: &str) -> Option<String> {
    let by_address = |upstream: &&Upstream| {
        let address: Option<IpAddr> = upstream.host.parse().ok();
        service.endpoints.iter().any(|endpoint| Some(endpoint.address) == address)
    };
    let namespace = &workload.namespace;
    let upstreams = service.upstreams();
    // Machines are told by whom their certificates name, and by their labels.
    let mut named = upstreams.iter().filter(|upstream| !by_address(upstream));
    let far = named.find(|to| !is_in(&to.host, namespace, cluster_domain));
    if let Some(far) = far {
        return Some(format!(
            "it guards the service `{}`, whose requests go to `{}`: nothing shows that this is the \
             workload, and nobody else enforces the routes; write `NAME.{namespace}.svc.\
             {cluster_domain}`, or `endpoints` with its service account and labels",
            service.name, far.host
        ));
    }
    let is_its = |endpoint: &&Endpoint| {
        endpoint.service_account.as_ref() == Some(&workload.service_account)
            && workload.labels.iter().all(|(name, value)| endpoint.labels.get(name) == Some(value))
    };
    let other = service.endpoints.iter().find(|endpoint| !is_its(endpoint))?;
    Some(format!(
        "it guards the service `{}`, whose endpoint {} has not its service account and labels: \
         nothing shows that this is the workload, and nobody else enforces the routes",
        service.name, other.address
    ))
}

/// Whether a host is a Service of the namespace.
fn is_in(host: &str, namespace: &str, cluster_domain: &str) -> bool {
    let host = host.to_ascii_lowercase();
    let Some((name, rest)) = host.split_once('.') else { return false };
    let place = format!("{namespace}.svc");
    !name.is_empty() && (rest == place || rest == format!("{place}.{cluster_domain}"))
}

#[cfg(test)]
mod tests {
    use postern_document::from_json;

    use super::*;
    use crate::istio::{IstioOptions, render};

    /// What is wrong with a service that `pay` in `shop` guards.
    fn problem(service: &str) -> Option<String> {
        let text = format!(
            r#"{{"version": 1,
                "workloads": {{"pay": {{"namespace": "shop", "labels": {{"app": "pay"}},
                    "service_account": "pay", "ports": [8080]}}}},
                "services": {{"s": {{{service}, "workload": "pay", "guard": "workload"}}}},
                "routes": [{{"name": "r", "match": {{"path": "/r"}}, "service": "s",
                    "auth": "none"}}]}}"#
        );
        let document = from_json(text.as_bytes()).unwrap_or_else(|found| panic!("{found:?}"));
        match render(&document, &IstioOptions::default()) {
            Err(RenderError::Workload { workload, problem }) => {
                assert_eq!(workload, "pay");
                Some(problem)
            }
            other => {
                assert!(other.is_ok(), "{other:?}");
                None
            }
        }
    }

    #[test]
    fn what_a_workload_guards_lies_in_its_namespace() {
        let at = |host: &str| format!(r#""upstream": "{host}:8080""#);
        for good in ["pay.shop.svc.cluster.local", "Other.shop.svc"] {
            assert_eq!(problem(&at(good)), None, "{good}");
        }
        for bad in [
            "pay.other.svc.cluster.local",
            "legacy.example.com",
            "pay.shop.svc.example.com",
            "a.pay.shop.svc.cluster.local",
            "10.0.0.5",
        ] {
            let found = problem(&at(bad)).unwrap_or_default();
            assert!(found.contains(bad) && found.contains("`s`"), "{bad}: {found}");
        }
    }

    #[test]
    fn machines_that_a_workload_guards_are_the_workloads() {
        let at =
            |more: &str| format!(r#""endpoints": [{{"address": "10.0.0.5", "port": 8080{more}}}]"#);
        let full = r#", "service_account": "pay", "labels": {"app": "pay", "v": "1"}"#;
        assert_eq!(problem(&at(full)), None);
        for bad in [
            String::new(),
            full.replace(r#""service_account": "pay""#, r#""service_account": "web""#),
            full.replace(r#""app": "pay""#, r#""app": "web""#),
            full.replace(r#""app": "pay", "#, ""),
        ] {
            let found = problem(&at(&bad)).unwrap_or_default();
            assert!(found.contains("10.0.0.5"), "{bad}: {found}");
        }
    }
}
