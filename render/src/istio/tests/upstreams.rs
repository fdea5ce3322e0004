//! What keeps failing endpoints, far ones and other routes' requests out of the way.

use super::traffic::{PAYMENTS, subset, to};
use super::*;

const UPSTREAM: &str = r#""upstream": "s.n.svc.cluster.local:80""#;
const HOST: &str = "s.n.svc.cluster.local";

#[test]
fn a_bulkhead_is_a_subset_with_bounds_of_its_own() {
    let service = format!(
        r#"{UPSTREAM}, "outlier_detection": {{"consecutive_5xx": 5}},
           "bulkheads": {{"slow": {{"max_connections": 3, "max_pending": 4}}}}"#
    );
    let document = to(&service, r#", "bulkhead": "slow""#);
    let destination = &http_route(&document, "r")["route"][0]["destination"];
    assert_eq!(destination["subset"], "s--slow");
    let (whole, slow) = (subset(&document, HOST, "s"), subset(&document, HOST, "s--slow"));
    let bounds = |subset: &Value| {
        let pool = &subset["trafficPolicy"]["connectionPool"];
        let http = &pool["http"];
        let of_http = ["http1MaxPendingRequests", "http2MaxRequests"];
        let [pending, requests] = of_http.map(|name| http[name].as_u64().unwrap());
        (pool["tcp"]["maxConnections"].as_u64().unwrap(), pending, requests)
    };
    assert_eq!((bounds(&whole), bounds(&slow)), ((50, 100, 5_000), (3, 4, 300)));
    let outliers = |subset: &Value| subset["trafficPolicy"]["outlierDetection"].clone();
    assert_eq!(outliers(&slow), outliers(&whole));
    assert!(slow.get("labels").is_none(), "all endpoints");
}

#[test]
fn a_bulkhead_of_a_version_has_its_labels() {
    let service = format!(
        r#"{UPSTREAM}, "versions": {{"v": {{"labels": {{"a": "b"}}}}}},
           "bulkheads": {{"slow": {{"max_pending": 4}}}}"#
    );
    let document = to(&service, r#", "split": {"v": 100}, "bulkhead": "slow""#);
    let destination = &http_route(&document, "r")["route"][0]["destination"];
    assert_eq!(destination["subset"], "s--v--slow");
    assert_eq!(subset(&document, HOST, "s--v--slow")["labels"], json!({"a": "b"}));
}

#[test]
fn repetitions_have_istios_budget() {
    let service = format!(r#"{UPSTREAM}, "pool": {{"retry_budget": {{"share": "25%"}}}}"#);
    let policy = &subset(&to(&service, ""), HOST, "s")["trafficPolicy"];
    assert_eq!(policy["retryBudget"], json!({"percent": 25, "minRetryConcurrency": 3}));
    assert_eq!(policy["connectionPool"]["http"]["maxRetries"], Value::Null);
}

#[test]
fn what_nobody_says_of_zones_is_the_meshs() {
    for (zones, expected) in [
        (r#", "zones": {"prefer": "own"}"#, json!({"localityLbSetting": {"enabled": true}})),
        (r#", "zones": {"prefer": "any"}"#, json!({"localityLbSetting": {"enabled": false}})),
        ("", Value::Null),
    ] {
        let service =
            format!(r#"{UPSTREAM}, "outlier_detection": {{"consecutive_5xx": 5}}{zones}"#);
        let policy = &subset(&to(&service, ""), HOST, "s")["trafficPolicy"];
        assert_eq!(policy["loadBalancer"], expected, "{zones}");
    }
}

/// The patches of `postern-health`: clusters, and what is merged into each.
fn checks(document: &Document) -> Vec<(String, Value)> {
    let filters = envoy_filters(document);
    let is_it = |filter: &&Value| filter["metadata"]["name"] == "postern-health";
    let Some(filter) = filters.iter().find(is_it) else { return Vec::new() };
    let patches = filter["spec"]["configPatches"].as_array().unwrap().iter().map(|patch| {
        assert_eq!(
            (&patch["applyTo"], &patch["match"]["context"]),
            (&json!("CLUSTER"), &json!("GATEWAY"))
        );
        assert_eq!(patch["patch"]["operation"], "MERGE");
        let name = patch["match"]["cluster"]["name"].as_str().unwrap().to_owned();
        (name, patch["patch"]["value"].clone())
    });
    patches.collect()
}

#[test]
fn endpoints_are_asked_by_a_patch_of_each_cluster() {
    let service = format!(
        r#"{UPSTREAM}, "health": {{"path": "/healthz"}},
           "outlier_detection": {{"consecutive_5xx": 5, "min_healthy": "20%"}},
           "bulkheads": {{"slow": {{"max_pending": 4}}}}"#
    );
    let patches = checks(&to(&service, r#", "bulkhead": "slow""#));
    let names: Vec<&str> = patches.iter().map(|(name, _)| name.as_str()).collect();
    let cluster = |subset: &str| format!("outbound|80|{subset}|{HOST}");
    assert_eq!(names, [cluster("s--slow"), cluster("s")]);
    for (_, merged) in &patches {
        let check = &merged["health_checks"][0]["http_health_check"];
        assert_eq!((&check["host"], &check["path"]), (&json!(HOST), &json!("/healthz")));
        let threshold = &merged["common_lb_config"]["healthy_panic_threshold"];
        assert_eq!(threshold["value"], 20, "it is one bound");
    }
    assert!(checks(&to(UPSTREAM, "")).is_empty());
    let of_version = checks(&super::traffic::document());
    let canary = of_version.iter().find(|(name, _)| name.contains("|payments--canary|"));
    let check = &canary.unwrap().1["health_checks"][0]["http_health_check"];
    assert_eq!(check["host"], PAYMENTS, "labels tell it there");
}

#[test]
fn the_gateway_api_has_no_words_for_parts_of_a_port() {
    let gateway = IstioOptions { api: Api::Gateway, ..options(30) };
    for (service, route, expected) in [
        (r#", "bulkheads": {"slow": {"max_pending": 4}}"#, r#", "bulkhead": "slow""#, "`slow`"),
        (r#", "pool": {"retry_budget": {}}"#, "", "`pool.retry_budget`"),
    ] {
        let document = to(&format!("{UPSTREAM}{service}"), route);
        let error = render(&document, &gateway).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("service `s`"), "{error}");
    }
    let checked = to(&format!(r#"{UPSTREAM}, "health": {{"tcp": true}}"#), "");
    let files = render(&checked, &gateway).unwrap();
    let filters = content(&files, "envoy-filter.yaml");
    assert!(filters.contains("outbound|80||s.n.svc.cluster.local"), "{filters}");
}

/// Of one cluster, two services cannot say two things.
#[test]
fn services_at_one_port_are_asked_alike_or_told_apart() {
    let two = |other: &str| {
        load(&format!(
            r#"{{"version": 1, "services": {{
                    "a": {{{UPSTREAM}, "health": {{"tcp": true}}}}, "b": {{{UPSTREAM}{other}}}}},
                "routes": [
                    {{"name": "a", "match": {{"path": "/a"}}, "service": "a", "auth": "none"}},
                    {{"name": "b", "match": {{"path": "/b"}}, "service": "b", "auth": "none"}}]}}"#
        ))
    };
    let gateway = IstioOptions { api: Api::Gateway, ..options(30) };
    assert!(render(&two(r#", "health": {"tcp": true}"#), &gateway).is_ok());
    for other in ["", r#", "health": {"path": "/"}"#] {
        let error = render(&two(other), &gateway).unwrap_err().to_string();
        assert!(error.contains("other settings"), "{other}: {error}");
        assert!(render(&two(other), &options(30)).is_ok(), "subsets are apart");
    }
}

#[test]
fn two_parts_of_a_host_are_not_called_the_same() {
    let document = load(&format!(
        r#"{{"version": 1, "services": {{
                "a": {{{UPSTREAM}, "bulkheads": {{"b": {{"max_pending": 4}}}}}},
                "a--b": {{{UPSTREAM}}}}},
            "routes": [
                {{"name": "a", "match": {{"path": "/a"}}, "service": "a", "auth": "none",
                  "bulkhead": "b"}},
                {{"name": "b", "match": {{"path": "/b"}}, "service": "a--b", "auth": "none"}}]}}"#
    ));
    let error = render(&document, &options(30)).unwrap_err().to_string();
    assert!(error.contains("would be called the same"), "{error}");
}
