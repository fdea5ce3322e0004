//! Endpoints that are asked whether they are well, that are near, and connections apart.

use super::traffic::{route, with};
use super::*;

fn refused(document: &Document, options: &EnvoyOptions) -> String {
    render(document, options).unwrap_err().to_string()
}

fn names(config: &Value) -> Vec<&str> {
    let clusters = config["static_resources"]["clusters"].as_array().unwrap();
    let names = clusters.iter().map(|cluster| cluster["name"].as_str().unwrap());
    names.filter(|name| name.starts_with("service-one")).collect()
}

#[test]
fn endpoints_are_asked_as_often_as_the_document_says() {
    let health = json!({"path": "/healthz", "statuses": [200, "300-399"], "interval": "5s",
                        "timeout": "1500ms", "unhealthy": 4, "healthy": 1,
                        "unhealthy_interval": "1m", "jitter": "20%", "min_healthy": "25%"});
    let config = read(&with(&json!({"health": health}), &json!({})), &options());
    let one = cluster(&config, "service-one").unwrap();
    assert_eq!(
        one["health_checks"],
        json!([{
            "interval": "5s",
            "timeout": "1.500s",
            "unhealthy_threshold": 4,
            "healthy_threshold": 1,
            "interval_jitter_percent": 20,
            "unhealthy_interval": "60s",
            "unhealthy_edge_interval": "5s",
            "no_traffic_interval": "60s",
            "no_traffic_healthy_interval": "5s",
            "http_health_check": {
                "host": "10.0.0.1",
                "path": "/healthz",
                "expected_statuses": [{"start": 200, "end": 201}, {"start": 300, "end": 400}],
                "retriable_statuses": [{"start": 100, "end": 600}],
            },
        }])
    );
    assert_eq!(one["common_lb_config"], json!({"healthy_panic_threshold": {"value": 25}}));
    let other = cluster(&config, "service-other").unwrap();
    assert_eq!((&other["health_checks"], &other["common_lb_config"]), (&Value::Null, &Value::Null));
}

#[test]
fn a_check_asks_for_whom_requests_are_for() {
    let endpoints = json!([{"address": "10.0.0.7", "port": 80}]);
    let path = |host: Value| {
        let mut health = json!({"path": "/"});
        if !host.is_null() {
            health["host"] = host;
        }
        health
    };
    for (service, expected) in [
        (json!({"upstream": "Api.test:80", "health": path(Value::Null)}), "api.test"),
        (json!({"upstream": "[fd00::1]:80", "health": path(Value::Null)}), "[fd00::1]"),
        (json!({"endpoints": endpoints, "health": path(Value::Null)}), "one"),
        (json!({"endpoints": endpoints, "health": path(json!("x.test"))}), "x.test"),
    ] {
        let config = read(&with(&service, &json!({})), &options());
        let one = cluster(&config, "service-one").unwrap();
        assert_eq!(one["health_checks"][0]["http_health_check"]["host"], expected, "{service}");
    }
    let grpc = json!({"upstream": "a.test:80", "http2": true, "health": {"grpc": "shop.Orders"}});
    let config = read(&with(&grpc, &json!({})), &options());
    let check = &cluster(&config, "service-one").unwrap()["health_checks"][0];
    let expected = json!({"service_name": "shop.Orders", "authority": "a.test"});
    assert_eq!(check["grpc_health_check"], expected);
    let http2 = json!({"http2": true, "health": {"path": "/"}});
    let config = read(&with(&http2, &json!({})), &options());
    let check = &cluster(&config, "service-one").unwrap()["health_checks"][0];
    assert_eq!(check["http_health_check"]["codec_client_type"], "HTTP2");
    let config = read(&with(&json!({"health": {"tcp": true}}), &json!({})), &options());
    let check = &cluster(&config, "service-one").unwrap()["health_checks"][0];
    assert_eq!(check["tcp_health_check"], json!({}));
}

#[test]
fn a_budget_of_repetitions_stands_in_place_of_their_number() {
    let pool = json!({"pool": {"retry_budget": {"share": "25%", "at_least": 2}}});
    let config = read(&with(&pool, &json!({})), &options());
    let bounds = &cluster(&config, "service-one").unwrap()["circuit_breakers"]["thresholds"][0];
    let budget = json!({"budget_percent": {"value": 25}, "min_retry_concurrency": 2});
    assert_eq!((&bounds["retry_budget"], &bounds["max_retries"]), (&budget, &Value::Null));
}

#[test]
fn a_bulkhead_is_the_same_endpoints_with_connections_of_its_own() {
    let service = json!({
        "endpoints": [{"address": "10.0.0.7", "port": 80}],
        "max_pending": 9,
        "pool": {"max_retries": 5, "idle_timeout": "5s"},
        "outlier_detection": {"consecutive_5xx": 5},
        "health": {"tcp": true},
        "hash": {"source_ip": true},
        "bulkheads": {"slow": {"max_connections": 3, "max_requests": 4}},
    });
    let config = read(&with(&service, &json!({"bulkhead": "slow"})), &options());
    assert_eq!(names(&config), ["service-one", "service-one--slow"]);
    assert_eq!(route(&config, "all")["route"]["cluster"], "service-one--slow");
    let cluster = |name: &str| cluster(&config, name).unwrap();
    let (whole, slow) = (cluster("service-one"), cluster("service-one--slow"));
    assert_eq!(
        slow["circuit_breakers"]["thresholds"],
        json!([{"max_connections": 3, "max_pending_requests": 9, "max_requests": 4,
                "max_retries": 5}])
    );
    assert_eq!(whole["circuit_breakers"]["thresholds"][0]["max_connections"], 50);
    for same in [
        "type",
        "typed_extension_protocol_options",
        "outlier_detection",
        "health_checks",
        "common_lb_config",
        "lb_policy",
        "connect_timeout",
    ] {
        assert!(!slow[same].is_null() && slow[same] == whole[same], "{same}");
    }
    let endpoints = |cluster: &Value| cluster["load_assignment"]["endpoints"].clone();
    assert_eq!(endpoints(slow), endpoints(whole));
}

#[test]
fn versions_that_a_bulkhead_is_used_of_have_one_each() {
    let service = json!({
        "upstream": "a.test:80",
        "versions": {"new": {"upstream": "c.test:80"}, "old": {"upstream": "b.test:80"}},
        "bulkheads": {"slow": {"max_pending": 3}},
    });
    let members = json!({"bulkhead": "slow", "split": {"old": 100},
                         "canary": [{"header": "x-a", "value": "b", "version": "new"}]});
    let config = read(&with(&service, &members), &options());
    assert_eq!(
        names(&config),
        [
            "service-one",
            "service-one--new",
            "service-one--old",
            "service-one--new--slow",
            "service-one--old--slow",
        ]
    );
    let picked = route(&config, "all");
    assert_eq!(picked["route"]["cluster"], "service-one--new--slow", "the canary comes first");
    let drawn = routes_of(&config).iter().filter(|route| route["name"] == "all").nth(1).unwrap();
    let drawn = &drawn["route"]["weighted_clusters"]["clusters"][0];
    assert_eq!(drawn["name"], "service-one--old--slow");
}

#[test]
fn the_own_zone_comes_first_where_it_is_said_which_that_is() {
    let service = |prefer: &str| {
        json!({
            "endpoints": [{"address": "10.0.0.7", "port": 80, "zone": "eu/eu-1"},
                          {"address": "10.0.0.8", "port": 80, "zone": "eu/eu-2"},
                          {"address": "10.0.0.9", "port": 80}],
            "outlier_detection": {"consecutive_5xx": 5, "max_ejected": "50%"},
            "zones": {"prefer": prefer},
        })
    };
    let (own, any) = (with(&service("own"), &json!({})), with(&service("any"), &json!({})));
    let here = EnvoyOptions { zone: Some("eu/eu-2".to_owned()), ..options() };
    let priorities = |document: &Document, options: &EnvoyOptions| -> Vec<Value> {
        let config = read(document, options);
        let one = cluster(&config, "service-one").unwrap();
        let endpoints = one["load_assignment"]["endpoints"].as_array().unwrap();
        endpoints.iter().map(|locality| locality["priority"].clone()).collect()
    };
    // Without a zone, eu-1, eu-2.
    assert_eq!(priorities(&own, &here), [json!(2), json!(1), Value::Null]);
    assert_eq!(priorities(&any, &here), [Value::Null, Value::Null, Value::Null]);
    assert_eq!(priorities(&any, &options()).len(), 3, "nobody has to say where it is");
    let config = read(&own, &here);
    assert_eq!(config["node"]["locality"], json!({"region": "eu", "zone": "eu-2"}));

    let error = refused(&own, &options());
    assert!(error.contains("`one`") && error.contains("--zone"), "{error}");
    let named = json!({"upstream": "a.test:80", "outlier_detection": {"consecutive_5xx": 5},
                       "zones": {"prefer": "own"}});
    let error = refused(&with(&named, &json!({})), &here);
    assert!(error.contains("`one`") && error.contains("`endpoints`"), "{error}");
    assert!(error.contains("`discover`"), "{error}");
}
