//! Parts of services: which routes lead to them, and where they are.

use super::*;

/// A service with two versions, of which the second has these members, and a route to it.
fn versioned(service: &Value, canary: &Value, route: &Value) -> Document {
    let stable = json!({"upstream": "10.0.0.1:81"});
    let mut one = service.clone();
    one["versions"] = json!({"canary": canary, "stable": stable});
    let mut all = json!({"name": "all", "match": {"path": "/{rest=**}", "methods": ["GET"]},
                         "service": "one", "auth": "none",
                         "split": {"canary": 10, "stable": 90}});
    for (name, value) in route.as_object().unwrap() {
        all[name] = value.clone();
    }
    load(&json!({"version": 1, "services": {"one": one}, "routes": [all]}))
}

fn plain() -> Value {
    json!({"upstream": "10.0.0.1:80"})
}

fn address(config: &Value, name: &str) -> Value {
    let cluster = cluster(config, name).unwrap_or_else(|| panic!("no {name}"));
    let endpoint = &cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"];
    endpoint["address"]["socket_address"].clone()
}

#[test]
fn requests_are_split_by_weight() {
    let upstream = json!({"upstream": "canary.test:8080"});
    let service = json!({"upstream": "10.0.0.1:80", "max_connections": 7});
    let config = read(&versioned(&service, &upstream, &json!({})), &options());
    let route = &routes_of(&config)[0]["route"];
    assert_eq!(
        route["weighted_clusters"],
        json!({"clusters": [{"name": "service-one--canary", "weight": 10},
                            {"name": "service-one--stable", "weight": 90}]})
    );
    assert_eq!(route["cluster"], Value::Null);
    let canary = json!({"address": "canary.test", "port_value": 8080});
    assert_eq!(address(&config, "service-one--canary"), canary);
    assert_eq!(cluster(&config, "service-one--canary").unwrap()["type"], "STRICT_DNS");
    assert_eq!(address(&config, "service-one--stable")["port_value"], 81);
    let bounds = &cluster(&config, "service-one--canary").unwrap()["circuit_breakers"];
    assert_eq!(bounds["thresholds"][0]["max_connections"], 7, "the service's");
}

#[test]
fn headers_choose_before_weights_do_and_nothing_but_the_version() {
    let picks = json!({
        "canary": [
            {"header": "x-canary", "value": "always", "version": "canary"},
            {"header": "x-postern-tier", "value": {"prefix": "be"}, "version": "canary"},
        ],
        "fault": {"abort": {"share": "1%", "status": 503}},
        "retries": {"attempts": 2, "on": ["reset"]},
    });
    let upstream = json!({"upstream": "10.0.0.1:82"});
    let config = read(&versioned(&plain(), &upstream, &picks), &options());
    let routes = routes_of(&config);
    let names: Vec<&Value> = routes.iter().map(|route| &route["name"]).collect();
    assert_eq!(names, ["all", "all", "all", "postern-no-route"]);
    let chosen = |at: usize| routes[at]["match"]["headers"].clone();
    let method = json!({"name": ":method", "string_match": {"exact": "GET"}});
    assert_eq!(
        chosen(0),
        json!([method, {"name": "x-canary", "string_match": {"exact": "always"}}])
    );
    assert_eq!(
        chosen(1),
        json!([method, {"name": "x-postern-tier", "string_match": {"prefix": "be"}}])
    );
    assert_eq!(chosen(2), json!([method]));
    for at in [0, 1] {
        assert_eq!(routes[at]["route"]["cluster"], "service-one--canary");
        // Whatever a caller sends, the same filters are asked the same.
        assert_eq!(routes[at]["typed_per_filter_config"], routes[2]["typed_per_filter_config"]);
        for same in ["timeout", "retry_policy"] {
            assert_eq!(routes[at]["route"][same], routes[2]["route"][same]);
        }
    }
}

#[test]
fn versions_of_endpoints_are_told_apart_by_labels() {
    let endpoints = json!([
        {"address": "10.0.0.7", "port": 8080, "labels": {"version": "v1"}},
        {"address": "10.0.0.8", "port": 8080, "labels": {"version": "v2", "more": "x"}},
    ]);
    let service = json!({"endpoints": endpoints});
    let labels = json!({"labels": {"version": "v2"}});
    let config = read(&versioned(&service, &labels, &json!({})), &options());
    let canary = cluster(&config, "service-one--canary").unwrap();
    let hosts = &canary["load_assignment"]["endpoints"][0]["lb_endpoints"];
    assert_eq!(hosts.as_array().unwrap().len(), 1);
    assert_eq!(address(&config, "service-one--canary")["address"], "10.0.0.8");
}

#[test]
fn what_only_a_mesh_can_tell_apart_is_an_error() {
    let labels = json!({"labels": {"version": "v2"}});
    let document = versioned(&plain(), &labels, &json!({}));
    let error = render(&document, &options()).unwrap_err();
    let RenderError::Version { service, version, .. } = &error else { panic!("{error}") };
    assert_eq!((service.as_str(), version.as_str()), ("one", "canary"));
    assert!(error.to_string().contains("upstream"), "{error}");

    let both = json!({"labels": {"version": "v2"}, "upstream": "10.0.0.1:82"});
    let config = read(&versioned(&plain(), &both, &json!({})), &options());
    assert_eq!(address(&config, "service-one--canary")["port_value"], 82);
}

#[test]
fn two_clusters_of_one_name_are_an_error() {
    let text = json!({
        "version": 1,
        "services": {
            "one": {"upstream": "10.0.0.1:80", "versions": {"a": {"upstream": "10.0.0.1:81"}}},
            "one--a": {"upstream": "10.0.0.1:82"},
        },
        "routes": [
            {"name": "one", "match": {"path": "/one"}, "service": "one", "auth": "none",
             "split": {"a": 100}},
            {"name": "other", "match": {"path": "/other"}, "service": "one--a", "auth": "none"},
        ],
    });
    let error = render(&load(&text), &options()).unwrap_err();
    assert_eq!(error, RenderError::ClusterName { name: "service-one--a".to_owned() });
}
