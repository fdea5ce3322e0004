//! The server's replicas come and go, and no request fails for it.

use super::*;

fn with_feed() -> Document {
    let text = json!({
        "version": 1,
        "services": {"plain": {"upstream": "10.0.0.1:80", "circuit": {}}},
        "transforms": {"seen": {"response": {"set": {"x-route": "{route.name}"}}}},
        "credentials": {"jwt": {"issuers": [{
            "issuer": "https://i.test", "audiences": ["a"],
            "jwks": {"uri": "https://keys.test/jwks", "fetched_by": "server"},
        }]}},
        "routes": [{"name": "all", "match": {"path": "/{rest=**}"}, "service": "plain",
                    "auth": {"any": ["jwt"]}, "ext_authz": true, "transform": ["seen"]}],
    });
    load(&text)
}

#[test]
fn replicas_are_asked_how_they_are_and_nobody_else_is() {
    let config = read(&with_feed(), &options());
    for (name, question) in [
        ("postern-grpc", json!({"grpc_health_check": {}})),
        ("postern_feed", json!({"grpc_health_check": {}})),
        ("postern-public", json!({"http_health_check": {"path": "/health/ready"}})),
    ] {
        let cluster = cluster(&config, name).unwrap();
        let [check] = cluster["health_checks"].as_array().unwrap().as_slice() else {
            panic!("{cluster}");
        };
        for (member, expected) in question.as_object().unwrap() {
            assert_eq!(&check[member], expected, "{name}");
        }
        // Below the five seconds for which a server that ends goes on.
        assert_eq!((&check["interval"], &check["timeout"]), (&json!("1s"), &json!("1s")), "{name}");
        assert_eq!(cluster["common_lb_config"]["healthy_panic_threshold"]["value"], 1, "{name}");
        // As many as may be under way when one of them goes.
        let bounds = &cluster["circuit_breakers"]["thresholds"][0];
        assert_eq!(bounds["max_retries"], 1_024, "{name}");
    }
    let service = cluster(&config, "service-plain").unwrap();
    assert_eq!(service["health_checks"], Value::Null);
    let config = read(&document(), &options());
    assert_eq!(cluster(&config, "jwks-0").unwrap()["health_checks"], Value::Null);
}

#[test]
fn another_replica_is_asked_only_where_the_first_has_seen_nothing() {
    let config = read(&with_feed(), &options());
    let filters = manager(&config)["http_filters"].as_array().unwrap();
    for name in ["envoy.filters.http.ext_authz", "envoy.filters.http.ext_proc"] {
        let filter = filters.iter().find(|filter| filter["name"] == name).unwrap();
        let service = &filter["typed_config"]["grpc_service"];
        let policy = &service["retry_policy"];
        assert_eq!(policy["retry_on"], "connect-failure,refused-stream,reset-before-request");
        assert_eq!(policy["num_retries"], 2, "{name}");
        let predicate = &policy["retry_host_predicate"][0]["name"];
        assert_eq!(predicate, "envoy.retry_host_predicates.previous_hosts", "{name}");
        // It bounds each attempt: none may have less time than all of them together.
        assert_eq!(policy["retry_back_off"]["max_interval"], service["timeout"], "{name}");
    }
}
