//! How requests reach services: retries, faults, hashing, outliers, pools, endpoints, and the
//! rate limit filter.

use super::*;

/// A document with one service and one route to it, both with these members.
pub(super) fn with(service: &Value, route: &Value) -> Document {
    with_members(&json!({}), service, route)
}

fn with_members(members: &Value, service: &Value, route: &Value) -> Document {
    let mut one = json!({"upstream": "10.0.0.1:80"});
    merge(&mut one, service);
    if service["endpoints"].is_array() {
        one.as_object_mut().unwrap().remove("upstream");
    }
    let mut all = json!({"name": "all", "match": {"path": "/{rest=**}", "methods": ["GET"]},
                         "service": "one", "auth": "none"});
    merge(&mut all, route);
    let plain = json!({"name": "plain", "match": {"path": "/plain"}, "service": "other",
                       "auth": "none"});
    let mut text = json!({
        "version": 1,
        "services": {"one": one, "other": {"upstream": "10.0.0.2:80"}},
        "routes": [all, plain],
    });
    merge(&mut text, members);
    load(&text)
}

fn merge(into: &mut Value, members: &Value) {
    for (name, value) in members.as_object().unwrap() {
        into[name] = value.clone();
    }
}

fn filters(config: &Value) -> Vec<&str> {
    let filters = manager(config)["http_filters"].as_array().unwrap();
    filters.iter().map(|filter| filter["name"].as_str().unwrap()).collect()
}

pub(super) fn route<'c>(config: &'c Value, name: &str) -> &'c Value {
    routes_of(config).iter().find(|route| route["name"] == name).unwrap()
}

#[test]
fn retries_are_the_routes_own_or_its_services() {
    let of_service = json!({"retries": {"attempts": 3, "on": ["connect-failure"],
                                        "per_try_timeout": "2s", "backoff": "30ms"}});
    let own = json!({"retries": {"attempts": 2, "on": ["reset"]}});
    let never = json!({"retries": {"attempts": 1, "on": []}});
    for (route_members, expected) in [
        (
            json!({}),
            json!({"retry_on": "connect-failure", "num_retries": 2, "per_try_timeout": "2s",
                   "retry_back_off": {"base_interval": "0.030s"}}),
        ),
        (own, json!({"retry_on": "reset", "num_retries": 1})),
        (never, Value::Null),
    ] {
        let config = read(&with(&of_service, &route_members), &options());
        assert_eq!(route(&config, "all")["route"]["retry_policy"], expected, "{route_members}");
    }
}

#[test]
fn faults_are_off_but_on_their_routes_and_no_header_controls_them() {
    let fault = json!({"fault": {"delay": {"share": "0.1%", "time": "5s"},
                                 "abort": {"share": "100%", "status": 503}}});
    let config = read(&with(&json!({}), &fault), &options());
    assert_eq!(
        filters(&config),
        ["postern", "envoy.filters.http.fault", "envoy.filters.http.router"]
    );
    let filter = &manager(&config)["http_filters"][1];
    assert_eq!(filter["disabled"], true);
    let message = "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault";
    assert_eq!(filter["typed_config"], json!({"@type": message}), "no fault of its own");
    let per_route = |name: &str| {
        route(&config, name)["typed_per_filter_config"]["envoy.filters.http.fault"].clone()
    };
    assert_eq!(
        per_route("all"),
        json!({
            "@type": message,
            "delay": {"fixed_delay": "5s",
                      "percentage": {"numerator": 1_000, "denominator": "MILLION"}},
            "abort": {"http_status": 503,
                      "percentage": {"numerator": 1_000_000, "denominator": "MILLION"}},
        })
    );
    assert_eq!(per_route("plain"), Value::Null);
    assert_eq!(per_route("postern-no-route"), Value::Null);
    assert!(!config.to_string().contains("header_delay"));
    assert!(!config.to_string().contains("header_abort"));

    let calm = read(&with(&json!({}), &json!({})), &options());
    assert_eq!(filters(&calm), ["postern", "envoy.filters.http.router"]);
}

#[test]
fn a_delay_that_hides_a_timeout_is_warned_of() {
    for (time, warned) in [("999ms", false), ("1s", true)] {
        let fault = json!({"timeout": "1s", "fault": {"delay": {"share": "1%", "time": time}}});
        let warnings = warnings(&with(&json!({}), &fault), &options());
        let about_delay = warnings.iter().any(|text| text.contains("the delay of its fault"));
        assert_eq!(about_delay, warned, "{time}: {warnings:?}");
    }
}

#[test]
fn callers_are_kept_on_one_endpoint_by_what_the_document_names() {
    for (hash, policy, balancing) in [
        (
            json!({"header": "x-postern-subject"}),
            json!({"header": {"header_name": "x-postern-subject"}}),
            json!({"lb_policy": "RING_HASH", "ring_hash_lb_config": {"minimum_ring_size": 16384}}),
        ),
        (
            json!({"cookie": {"name": "sid", "ttl": "1h", "path": "/a"}, "algorithm": "maglev",
                   "ring": 1021}),
            json!({"cookie": {"name": "sid", "ttl": "3600s", "path": "/a"}}),
            json!({"lb_policy": "MAGLEV", "maglev_lb_config": {"table_size": 1021}}),
        ),
        (
            json!({"query": "room"}),
            json!({"query_parameter": {"name": "room"}}),
            json!({"lb_policy": "RING_HASH"}),
        ),
        (
            json!({"source_ip": true}),
            json!({"connection_properties": {"source_ip": true}}),
            json!({"lb_policy": "RING_HASH"}),
        ),
    ] {
        let config = read(&with(&json!({"hash": hash}), &json!({})), &options());
        assert_eq!(route(&config, "all")["route"]["hash_policy"], json!([policy]), "{hash}");
        assert_eq!(route(&config, "plain")["route"]["hash_policy"], Value::Null);
        let one = cluster(&config, "service-one").unwrap();
        for (name, value) in balancing.as_object().unwrap() {
            assert_eq!(one[name], *value, "{hash}");
        }
        assert_eq!(cluster(&config, "service-other").unwrap()["lb_policy"], Value::Null);
    }
}

#[test]
fn endpoints_are_left_out_for_what_the_document_says_and_for_nothing_else() {
    let rules = json!({"consecutive_gateway": 4, "interval": "2s", "ejection": "30s",
                       "max_ejected": "50%", "min_healthy": "20%"});
    let config = read(&with(&json!({"outlier_detection": rules}), &json!({})), &options());
    let one = cluster(&config, "service-one").unwrap();
    assert_eq!(
        one["outlier_detection"],
        json!({
            "consecutive_gateway_failure": 4,
            "enforcing_consecutive_gateway_failure": 100,
            "enforcing_consecutive_5xx": 0,
            "enforcing_consecutive_local_origin_failure": 0,
            "split_external_local_origin_errors": false,
            "enforcing_success_rate": 0,
            "enforcing_local_origin_success_rate": 0,
            "interval": "2s",
            "base_ejection_time": "30s",
            "max_ejection_percent": 50,
        })
    );
    assert_eq!(one["common_lb_config"], json!({"healthy_panic_threshold": {"value": 20}}));
    let other = cluster(&config, "service-other").unwrap();
    assert_eq!(
        (&other["outlier_detection"], &other["common_lb_config"]),
        (&Value::Null, &Value::Null)
    );

    let local = json!({"outlier_detection": {"consecutive_5xx": 3, "consecutive_local": 2}});
    let config = read(&with(&local, &json!({})), &options());
    let rules = &cluster(&config, "service-one").unwrap()["outlier_detection"];
    assert_eq!(rules["split_external_local_origin_errors"], true);
    assert_eq!(rules["consecutive_local_origin_failure"], 2);
    assert_eq!(rules["enforcing_consecutive_local_origin_failure"], 100);
    assert_eq!(rules["consecutive_5xx"], 3);
}

#[test]
fn connections_are_bounded_as_the_pool_says() {
    let pool = json!({"connect_timeout": "500ms", "idle_timeout": "90s", "max_requests": 700,
                      "requests_per_connection": 1000, "max_retries": 5,
                      "keepalive": {"time": "60s", "interval": "10s", "probes": 3}});
    let service = json!({"max_connections": 7, "max_pending": 9, "pool": pool});
    let config = read(&with(&service, &json!({})), &options());
    let one = cluster(&config, "service-one").unwrap();
    assert_eq!(one["connect_timeout"], "0.500s");
    assert_eq!(
        one["circuit_breakers"]["thresholds"],
        json!([{"max_connections": 7, "max_pending_requests": 9, "max_requests": 700,
                "max_retries": 5}])
    );
    let protocol = &one["typed_extension_protocol_options"]["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"];
    assert_eq!(
        protocol["common_http_protocol_options"],
        json!({"idle_timeout": "90s", "max_requests_per_connection": 1000})
    );
    let probes = json!({"keepalive_time": 60, "keepalive_interval": 10, "keepalive_probes": 3});
    assert_eq!(one["upstream_connection_options"], json!({"tcp_keepalive": probes}));

    let other = cluster(&config, "service-other").unwrap();
    assert_eq!(other["connect_timeout"], "2s");
    assert_eq!(
        other["circuit_breakers"]["thresholds"],
        json!([{"max_connections": 50, "max_pending_requests": 100, "max_requests": 5000}])
    );
    assert_eq!(other["upstream_connection_options"], Value::Null);
}

#[test]
fn endpoints_stand_where_they_are_with_their_shares() {
    let endpoints = json!([
        {"address": "10.0.0.7", "port": 8080, "weight": 2, "zone": "eu/eu-1"},
        {"address": "10.0.0.8", "port": 8081},
        {"address": "fd00::9", "port": 8080, "weight": 5, "zone": "eu/eu-1"},
    ]);
    let config = read(&with(&json!({"endpoints": endpoints}), &json!({})), &options());
    let one = cluster(&config, "service-one").unwrap();
    assert_eq!(one["type"], "STATIC");
    let endpoint = |address: &str, port: u16, weight: u32| {
        let address = json!({"socket_address": {"address": address, "port_value": port}});
        json!({"endpoint": {"address": address}, "load_balancing_weight": weight})
    };
    assert_eq!(
        one["load_assignment"]["endpoints"],
        json!([
            {"lb_endpoints": [endpoint("10.0.0.8", 8081, 1)]},
            {"locality": {"region": "eu", "zone": "eu-1"},
             "lb_endpoints": [endpoint("10.0.0.7", 8080, 2), endpoint("fd00::9", 8080, 5)]},
        ])
    );
}

fn told(descriptors: &Value) -> Document {
    let issuer = json!({"issuer": "https://i.test", "audiences": ["a"],
                        "jwks": {"uri": "https://keys.test/jwks"}});
    let members = json!({
        "credentials": {"jwt": {"issuers": [issuer]}},
        "rate_limit_filter": {"domain": "shop", "timeout": "150ms", "on_failure": "deny"},
    });
    let route = json!({"auth": {"any": ["jwt"]}, "descriptors": descriptors});
    with_members(&members, &json!({}), &route)
}

#[test]
fn the_rate_limit_service_is_told_what_the_route_says() {
    let descriptors = json!([
        [{"remote_address": true}],
        [{"principal": true}, {"key": "plan", "header": "x-postern-tier"}],
        [{"route": true}, {"method": true}, {"key": "area", "value": "search"}],
    ]);
    let config = read(&told(&descriptors), &options());
    assert_eq!(
        filters(&config),
        ["postern", "envoy.filters.http.ratelimit", "envoy.filters.http.router"]
    );
    let filter = &manager(&config)["http_filters"][1];
    assert_eq!(filter["disabled"], true);
    let settings = &filter["typed_config"];
    assert_eq!((&settings["domain"], &settings["timeout"]), (&json!("shop"), &json!("0.150s")));
    assert_eq!(settings["failure_mode_deny"], true);
    let service = &settings["rate_limit_service"]["grpc_service"]["envoy_grpc"]["cluster_name"];
    assert!(cluster(&config, service.as_str().unwrap()).is_some(), "{service}");

    let header = |key: &str, name: &str| json!({"request_headers": {"descriptor_key": key, "header_name": name}});
    let fixed = |key: &str, value: &str| json!({"generic_key": {"descriptor_key": key, "descriptor_value": value}});
    let per_route = |name: &str| {
        route(&config, name)["typed_per_filter_config"]["envoy.filters.http.ratelimit"].clone()
    };
    assert_eq!(
        per_route("all")["rate_limits"],
        json!([
            {"actions": [{"remote_address": {}}]},
            {"actions": [header("principal", "x-postern-subject"), header("plan", "x-postern-tier")]},
            {"actions": [fixed("route", "all"), header("method", ":method"),
                         fixed("area", "search")]},
        ])
    );
    assert_eq!(per_route("plain"), Value::Null, "the service is not asked");
}

/// Else limit headers of the service and of the bundle would stand beside each other.
#[test]
fn the_bundle_replaces_headers_where_the_rate_limit_service_writes_some() {
    let clean = |document: &Document| {
        let config = read(document, &options());
        let filters = manager(&config)["http_filters"].as_array().unwrap();
        let bundle = filters.iter().find(|filter| filter["name"] == "postern").unwrap();
        let text = &bundle["typed_config"]["config"]["configuration"]["value"];
        let configuration: Value = serde_json::from_str(text.as_str().unwrap()).unwrap();
        configuration["clean_responses"].clone()
    };
    assert_eq!(clean(&told(&json!([[{"remote_address": true}]]))), false);
    assert_eq!(clean(&with(&json!({}), &json!({}))), true);
}

#[test]
fn filters_that_judge_and_count_stand_before_those_that_break() {
    let members = json!({
        "rate_limit_filter": {"domain": "shop", "timeout": "1s", "on_failure": "allow"},
        "transforms": {"seen": {"response": {"set": {"x-route": "{route.name}"}}}},
    });
    let route_members = json!({"descriptors": [[{"route": true}]], "ext_authz": true,
                               "transform": ["seen"],
                               "fault": {"abort": {"share": "1%", "status": 503}}});
    let config = read(&with_members(&members, &json!({}), &route_members), &options());
    assert_eq!(
        filters(&config),
        [
            "envoy.filters.http.ext_authz",
            "postern",
            "envoy.filters.http.ratelimit",
            "envoy.filters.http.fault",
            "envoy.filters.http.ext_proc",
            "envoy.filters.http.router",
        ]
    );
    assert_eq!(manager(&config)["http_filters"][2]["typed_config"]["failure_mode_deny"], false);
}

#[test]
fn what_the_bundle_sends_to_another_service_has_a_form_of_its_own() {
    let service = json!({"circuit": {}, "hash": {"header": "x-session"}});
    let config = read(&with(&service, &json!({"fallback": {"service": "other"}})), &options());
    let forms = routes_of(&config).iter().filter(|route| route["name"] == "all");
    let forms: Vec<&Value> = forms.collect();
    let [elsewhere, own] = forms.as_slice() else { panic!("{forms:?}") };
    assert_eq!(
        elsewhere["match"]["headers"],
        json!([{"name": ":method", "string_match": {"exact": "GET"}},
               {"name": "x-postern-fallback", "string_match": {"exact": "1"}}])
    );
    assert_eq!(elsewhere["route"]["cluster"], "service-other");
    assert_eq!(elsewhere["route"]["hash_policy"], Value::Null, "the other service's business");
    assert_eq!(elsewhere["request_headers_to_remove"], json!(["x-postern-fallback"]));
    assert_eq!(own["route"]["cluster"], "service-one");
    assert!(own["route"]["hash_policy"].is_array());
    assert_eq!(own["request_headers_to_remove"], Value::Null);
    for same in ["timeout", "retry_policy"] {
        assert_eq!(elsewhere["route"][same], own["route"][same]);
    }
    assert_eq!(elsewhere["typed_per_filter_config"], own["typed_per_filter_config"]);
    // Neither an answer nor silence needs a way.
    let shadow = read(&with(&service, &json!({"fallback": {"shadow": true}})), &options());
    assert_eq!(routes_of(&shadow).iter().filter(|route| route["name"] == "all").count(), 1);
}

#[test]
fn an_envoy_says_that_its_bundle_keeps_circuits() {
    let members = json!({
        "transforms": {"seen": {"response": {"set": {"x-route": "{route.name}"}}}},
    });
    let asked = json!({"ext_authz": true, "transform": ["seen"]});
    for (service, by_bundle) in [(json!({}), false), (json!({"circuit": {}}), true)] {
        let document = with_members(&members, &service, &asked);
        let mut expected = vec![json!({"key": "x-postern-document", "value": document.digest})];
        if by_bundle {
            expected.push(json!({"key": "x-postern-circuits", "value": "bundle"}));
        }
        let expected = Value::Array(expected);
        let config = read(&document, &options());
        let said = |name: &str| {
            let filters = manager(&config)["http_filters"].as_array().unwrap();
            let filter = filters.iter().find(|filter| filter["name"] == name).unwrap();
            filter["typed_config"]["grpc_service"]["initial_metadata"].clone()
        };
        assert_eq!(said("envoy.filters.http.ext_authz"), expected, "{service}");
        assert_eq!(said("envoy.filters.http.ext_proc"), expected, "{service}");
    }
}
