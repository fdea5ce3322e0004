//! How requests reach services: versions, endpoints, hashing, outliers, faults, repetitions.

use super::*;

/// A service for each way in which requests reach one.
pub(super) fn document() -> Document {
    load(
        r#"{
        "version": 1,
        "credentials": {"api_key": {}},
        "rate_limit_filter": {"domain": "shop", "timeout": "100ms", "on_failure": "deny"},
        "services": {
            "payments": {"upstream": "payments.shop.svc.cluster.local:8080",
                "versions": {
                    "stable": {"labels": {"version": "v1"}},
                    "canary": {"labels": {"version": "v2"},
                               "upstream": "payments-canary.shop.svc.cluster.local:8081"}},
                "hash": {"header": "x-postern-subject"},
                "outlier_detection": {"consecutive_gateway": 5, "interval": "10s",
                                      "ejection": "30s", "max_ejected": "50%",
                                      "min_healthy": "0%"},
                "health": {"path": "/healthz"},
                "pool": {"connect_timeout": "500ms", "idle_timeout": "20s", "max_requests": 5000,
                         "requests_per_connection": 1000, "max_retries": 7,
                         "keepalive": {"time": "60s", "interval": "10s", "probes": 3}}},
            "mainframe": {
                "endpoints": [
                    {"address": "10.0.0.8", "port": 9090, "labels": {"version": "v1"},
                     "service_account": "mainframe"},
                    {"address": "10.0.0.7", "port": 8080, "weight": 2, "zone": "eu-1/a",
                     "labels": {"version": "v2"}, "service_account": "mainframe"}],
                "versions": {"old": {"labels": {"version": "v1"}},
                             "new": {"labels": {"version": "v2"}}}}
        },
        "routes": [
            {"name": "pay", "match": {"path": "/pay/{rest=**}"}, "service": "payments",
             "auth": {"any": ["api_key"]}, "timeout": "10s",
             "split": {"stable": 100, "canary": 0},
             "canary": [{"header": "x-canary", "value": "always", "version": "canary"},
                        {"header": "x-team", "value": {"prefix": "beta-"}, "version": "canary"}],
             "fault": {"delay": {"share": "0.1%", "time": "5s"},
                       "abort": {"share": "100%", "status": 503}},
             "retries": {"attempts": 3, "on": ["connect-failure"], "per_try_timeout": "1500ms",
                         "backoff": "25ms"},
             "descriptors": [[{"remote_address": true}],
                             [{"principal": true}, {"key": "plan", "header": "x-postern-tier"}]]},
            {"name": "all", "match": {"path": "/{rest=**}"}, "service": "mainframe",
             "auth": "none", "split": {"old": 50, "new": 50}}
        ]
    }"#,
    )
}

pub(super) fn subset(document: &Document, host: &str, name: &str) -> Value {
    let rules = destination_rules(document);
    let rule = rules.iter().find(|rule| rule["spec"]["host"] == host).unwrap();
    let subsets = rule["spec"]["subsets"].as_array().unwrap();
    subsets.iter().find(|subset| subset["name"] == name).cloned().unwrap_or_default()
}

pub(super) const PAYMENTS: &str = "payments.shop.svc.cluster.local";
const MAINFRAME: &str = "mainframe.upstream.postern.internal";

#[test]
fn requests_are_split_between_versions_in_the_documents_shares() {
    let document = document();
    let to = |name: &str, weight: u8| {
        json!({"destination": {"host": PAYMENTS, "port": {"number": 8080},
                               "subset": format!("payments--{name}")}, "weight": weight})
    };
    // What gets none stays: a change of shares changes numbers alone.
    assert_eq!(http_route(&document, "pay")["route"], json!([to("stable", 100), to("canary", 0)]));
    assert_eq!(subset(&document, PAYMENTS, "payments--canary")["labels"], json!({"version": "v2"}));
}

#[test]
fn a_header_picks_a_version_before_the_shares_do() {
    let document = document();
    let routes = http_routes(&document, "pay");
    let [exact, prefix, own] = routes.as_slice() else { panic!("{routes:?}") };
    assert_eq!(exact["match"][0]["headers"], json!({"x-canary": {"exact": "always"}}));
    assert_eq!(prefix["match"][0]["headers"], json!({"x-team": {"prefix": "beta-"}}));
    assert!(own["match"][0].get("headers").is_none());
    for route in [exact, prefix, own] {
        assert_eq!(route["match"][0]["uri"], json!({"prefix": "/pay/"}));
        assert_eq!(route["timeout"], "10s");
        assert!(route.get("fault").is_some());
    }
    assert_eq!(
        exact["route"],
        json!([{"destination": {"host": PAYMENTS, "port": {"number": 8080},
                                "subset": "payments--canary"}}])
    );
}

/// A service that another one stands in for.
const FALLBACK: &str = r#"{
    "version": 1,
    "services": {"shop": {"upstream": "shop.store.svc.cluster.local:8080", "circuit": {}},
                 "cached": {"upstream": "cached.store.svc.cluster.local:8081"}},
    "routes": [{"name": "shop", "match": {"path": "/shop/{rest=**}"}, "service": "shop",
                "auth": "none", "fallback": {"service": "cached"}}]
}"#;

#[test]
fn what_the_bundle_sends_to_another_service_goes_there() {
    let routes = http_routes(&load(FALLBACK), "shop");
    let [elsewhere, own] = routes.as_slice() else { panic!("{routes:?}") };
    let to = |host: &str, port: u16| {
        json!([{"destination": {"host": format!("{host}.store.svc.cluster.local"),
                                "port": {"number": port}, "subset": host}}])
    };
    assert_eq!(elsewhere["match"][0]["headers"], json!({"x-postern-fallback": {"exact": "1"}}));
    assert_eq!(elsewhere["route"], to("cached", 8081));
    assert_eq!(elsewhere["headers"]["request"], json!({"remove": ["x-postern-fallback"]}));
    assert_eq!(own["match"][0]["headers"], Value::Null);
    assert_eq!(own["route"], to("shop", 8080));
    assert_eq!(own["headers"]["request"], Value::Null);
}

#[test]
fn repetitions_and_faults_are_what_the_route_says() {
    let document = document();
    let pay = http_route(&document, "pay");
    assert_eq!(
        pay["retries"],
        json!({"attempts": 2, "retryOn": "connect-failure", "perTryTimeout": "1.500s",
               "backoff": "0.025s"})
    );
    assert_eq!(
        pay["fault"],
        json!({"delay": {"percentage": {"value": 0.1}, "fixedDelay": "5s"},
               "abort": {"percentage": {"value": 100.0}, "httpStatus": 503}})
    );
    assert_eq!(http_route(&document, "all")["fault"], Value::Null);
}

#[test]
fn every_part_of_a_service_keeps_all_its_bounds() {
    let document = document();
    for name in ["payments", "payments--stable", "payments--canary"] {
        let policy = &subset(&document, PAYMENTS, name)["trafficPolicy"];
        assert_eq!(
            policy["connectionPool"],
            json!({
                "http": {"http1MaxPendingRequests": 100, "http2MaxRequests": 5000,
                         "idleTimeout": "20s", "maxRetries": 7, "maxRequestsPerConnection": 1000},
                "tcp": {"connectTimeout": "0.500s", "maxConnections": 50,
                        "tcpKeepalive": {"time": "60s", "interval": "10s", "probes": 3}},
            }),
            "{name}"
        );
        assert_eq!(
            policy["loadBalancer"],
            json!({"consistentHash": {"httpHeaderName": "x-postern-subject",
                                      "ringHash": {"minimumRingSize": 16384}}})
        );
        assert_eq!(
            policy["outlierDetection"],
            json!({"consecutive5xxErrors": 0, "consecutiveGatewayErrors": 5, "interval": "10s",
                   "baseEjectionTime": "30s", "maxEjectionPercent": 50, "minHealthPercent": 0})
        );
    }
}

#[test]
fn what_nobody_bounds_has_the_bounds_of_the_envoy_rendering() {
    let policy = &subset(&document(), MAINFRAME, "mainframe")["trafficPolicy"];
    let http = &policy["connectionPool"]["http"];
    assert_eq!((&http["idleTimeout"], &http["maxRetries"]), (&json!("30s"), &json!(3)));
    assert!(policy.get("loadBalancer").is_none() && policy.get("outlierDetection").is_none());
}

#[test]
fn machines_outside_the_cluster_are_entries_of_one_service() {
    let document = document();
    let entry = made(&document, |rendering| {
        service_entry::resources(rendering, &Destinations::of(rendering).unwrap()).remove(0)
    });
    assert_eq!(
        entry["spec"],
        json!({
            "hosts": [MAINFRAME], "exportTo": ["."], "location": "MESH_INTERNAL",
            "resolution": "STATIC",
            "ports": [{"name": "http-9090", "number": 9090, "protocol": "HTTP"}],
            "workloadSelector": {"labels": {"postern.dev/service": "mainframe"}},
        })
    );
    let entries = made(&document, |rendering| {
        workload_entry::resources(rendering, &Destinations::of(rendering).unwrap())
    });
    assert_eq!(names(&entries), ["postern-mainframe-1", "postern-mainframe-2"]);
    assert_eq!(
        entries[0]["spec"],
        json!({
            "address": "10.0.0.7", "ports": {"http-9090": 8080}, "weight": 2,
            "locality": "eu-1/a", "serviceAccount": "mainframe",
            "labels": {"version": "v2", "postern.dev/service": "mainframe",
                       "security.istio.io/tlsMode": "istio"},
        })
    );
    let to = |name: &str| {
        json!({"destination": {"host": MAINFRAME, "port": {"number": 9090},
                               "subset": format!("mainframe--{name}")}, "weight": 50})
    };
    assert_eq!(http_route(&document, "all")["route"], json!([to("old"), to("new")]));
}

#[test]
fn machines_without_a_certificate_of_the_mesh_are_outside_of_it() {
    let document = load(
        r#"{"version": 1, "services": {"m": {"endpoints": [{"address": "::1", "port": 80}]}},
            "routes": [{"name": "m", "match": {"path": "/"}, "service": "m", "auth": "none"}]}"#,
    );
    made(&document, |rendering| {
        let destinations = Destinations::of(rendering).unwrap();
        let entry = &service_entry::resources(rendering, &destinations)[0]["spec"];
        assert_eq!(entry["location"], "MESH_EXTERNAL");
        let machine = &workload_entry::resources(rendering, &destinations)[0]["spec"];
        assert_eq!(machine["labels"], json!({"postern.dev/service": "m"}));
        assert!(machine.get("serviceAccount").is_none());
    });
}

/// One service and one route to it.
pub(super) fn to(service: &str, split: &str) -> Document {
    load(&format!(
        r#"{{"version": 1, "services": {{"s": {{{service}}}}},
            "routes": [{{"name": "r", "match": {{"path": "/"}}, "service": "s", "auth": "none"
                         {split}}}]}}"#
    ))
}

#[test]
fn each_way_to_hash_has_its_word() {
    let upstream = r#""upstream": "s.n.svc.cluster.local:80""#;
    for (hash, expected) in [
        (
            r#"{"cookie": {"name": "sid", "ttl": "1h", "path": "/a"}}"#,
            json!({"httpCookie": {"name": "sid", "ttl": "3600s", "path": "/a"},
                   "ringHash": {"minimumRingSize": 16384}}),
        ),
        (
            r#"{"query": "key", "ring": 2048}"#,
            json!({"httpQueryParameterName": "key", "ringHash": {"minimumRingSize": 2048}}),
        ),
        (
            r#"{"source_ip": true, "algorithm": "maglev", "ring": 65537}"#,
            json!({"useSourceIp": true, "maglev": {"tableSize": 65537}}),
        ),
    ] {
        let document = to(&format!(r#"{upstream}, "hash": {hash}"#), "");
        let policy = &subset(&document, "s.n.svc.cluster.local", "s")["trafficPolicy"];
        assert_eq!(policy["loadBalancer"], json!({"consistentHash": expected}));
    }
}

#[test]
fn what_istio_cannot_say_of_a_service_is_an_error_with_its_name() {
    let versions = r#""versions": {"v": {"labels": {"a": "b"}}}"#;
    let split = r#", "split": {"v": 100}"#;
    let large = r#""hash": {"query": "k", "algorithm": "maglev", "ring": 5000011}"#;
    for (document, expected) in [
        (
            to(&format!(r#""upstream": "s.test:80", {versions}"#), split),
            "versions by labels need a Service of the cluster, or endpoints",
        ),
        (
            to(&format!(r#""upstream": "s.n.svc.cluster.local:80", {large}"#), ""),
            "a Maglev table of 5000011 places",
        ),
    ] {
        let error = render(&document, &options(30)).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("service `s`"), "{error}");
    }
}

#[test]
fn a_version_elsewhere_is_a_host_of_its_own() {
    let service = r#""upstream": "s.test:80",
        "versions": {"v": {"labels": {"a": "b"}, "upstream": "v.test:81"}}"#;
    let document = to(service, r#", "split": {"v": 100}"#);
    assert_eq!(
        http_route(&document, "r")["route"],
        json!([{"destination": {"host": "v.test", "port": {"number": 81}, "subset": "s--v"},
                "weight": 100}])
    );
    assert!(subset(&document, "v.test", "s--v").get("labels").is_none());
}

#[test]
fn the_rate_limit_service_is_asked_in_front_of_faults_and_told_by_route() {
    let document = document();
    let filter = envoy_filter(&document, "postern-rate-limit");
    assert_eq!(filter["spec"]["priority"], 35);
    let patch = &filter["spec"]["configPatches"][0];
    let chain = &patch["match"]["listener"]["filterChain"]["filter"];
    assert_eq!(chain["subFilter"]["name"], "envoy.filters.http.fault");
    let patch = &patch["patch"];
    assert_eq!(patch["operation"], "INSERT_BEFORE");
    let settings = &patch["value"]["typed_config"];
    assert_eq!((&settings["domain"], &settings["timeout"]), (&json!("shop"), &json!("0.100s")));
    assert_eq!(settings["failure_mode_deny"], true);
    assert_eq!(
        settings["rate_limit_service"]["grpc_service"]["envoy_grpc"],
        json!({"cluster_name": "outbound|9191||postern.postern-system.svc.cluster.local",
               "authority": "postern.postern-system.svc.cluster.local"})
    );
    let filter = envoy_filter(&document, "postern-rate-limit-routes");
    let patches = filter["spec"]["configPatches"].as_array().unwrap();
    let [patch] = patches.as_slice() else { panic!("{patches:?}") };
    let matched = &patch["match"]["routeConfiguration"]["vhost"]["route"];
    assert_eq!(matched["name"], "pay");
    let told = &patch["patch"]["value"]["typed_per_filter_config"];
    let told = &told["envoy.filters.http.ratelimit"]["rate_limits"];
    assert_eq!(told.as_array().unwrap().len(), 2);
}

#[test]
fn what_only_looks_safe_is_warned_of() {
    let pinned = quiet();
    let found = warnings(&document(), &pinned);
    let [canary] = found.as_slice() else { panic!("{found:?}") };
    assert!(canary.contains("`pay`") && canary.contains("x-canary"), "{canary}");
    let fault = r#", "timeout": "1s", "fault": {"delay": {"share": "1%", "time": "2s"}}"#;
    let late = to(r#""upstream": "s.n.svc.cluster.local:80""#, fault);
    let found = warnings(&late, &pinned);
    assert!(found.iter().any(|warning| warning.contains("2000 ms beside")), "{found:?}");
}
