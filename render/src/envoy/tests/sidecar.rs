//! Two places: the edge, and Envoys beside workloads that guard themselves.

use super::*;

const TRUST_DOMAIN: &str = "mesh.test";

/// `pay` is guarded by its workload; `open` and everything else by the edge.
fn guarded(pay_route: &Value) -> Document {
    let mut pay = json!({"name": "pay", "match": {"path": "/pay/{rest=**}", "methods": ["GET"]},
                         "service": "pay", "auth": {"any": ["jwt"]},
                         "limits": ["each"], "transform": ["seen"], "timeout": "2s"});
    for (name, value) in pay_route.as_object().unwrap() {
        pay[name] = value.clone();
    }
    load(&json!({
        "version": 1,
        "trusted_proxies": 1,
        "mesh": {"trust_domain": TRUST_DOMAIN},
        "workloads": {
            "gate": {"gateway": true, "namespace": "ingress", "labels": {"app": "gate"},
                     "service_account": "gate"},
            "pay": {"namespace": "shop", "labels": {"app": "pay"}, "service_account": "pay",
                    "ports": [8080]},
            "web": {"namespace": "shop", "labels": {"app": "web"}, "service_account": "web"},
        },
        "services": {
            "keys": {"upstream": "10.0.0.3:80"},
            "open": {"upstream": "10.0.0.1:80"},
            "pay": {"upstream": "10.0.0.2:8080", "workload": "pay", "guard": "workload",
                    "circuit": {}, "retries": {"attempts": 2, "on": ["connect-failure"]},
                    "hash": {"header": "x-session"},
                    "outlier_detection": {"consecutive_5xx": 3}, "health": {"tcp": true}},
        },
        "rate_limit_filter": {"domain": "shop", "timeout": "100ms", "on_failure": "deny"},
        "credentials": {
            "jwt": {"issuers": [{"issuer": "https://i.test", "audiences": ["a"],
                                 "jwks": {"service": "keys", "path": "/jwks"}}]},
        },
        "limits": {"each": {"key": ["claim.sub"], "mode": "exact", "rate": "9/1m"}},
        "transforms": {
            "fixed": {"response": {"set": {"x-a": "1"}}},
            "seen": {"response": {"set": {"x-route": "{route.name}"}}},
        },
        "routes": [
            pay,
            {"name": "open", "match": {"path": "/open"}, "service": "open", "auth": "none",
             "transform": ["fixed"]},
        ],
    }))
}

fn plain() -> Document {
    guarded(&json!({}))
}

fn with_certificate(options: EnvoyOptions) -> EnvoyOptions {
    let own = ClientCertificate { chain: "/own.pem".to_owned(), key: "/own.key".to_owned() };
    EnvoyOptions { mesh_tls: Some(MeshTls::Files { ca: "/ca.pem".to_owned(), own }), ..options }
}

fn edge() -> EnvoyOptions {
    with_certificate(options())
}

fn sidecar(upstream_port: Option<u16>) -> EnvoyOptions {
    with_certificate(EnvoyOptions {
        kind: Kind::Sidecar { upstream_port },
        workload: Some("pay".to_owned()),
        listen: "10.0.0.2:8080".parse().unwrap(),
        ..options()
    })
}

fn route<'c>(config: &'c Value, name: &str) -> Option<&'c Value> {
    routes_of(config).iter().find(|route| route["name"] == name)
}

fn filters(config: &Value) -> Vec<&str> {
    let filters = manager(config)["http_filters"].as_array().unwrap();
    filters.iter().map(|filter| filter["name"].as_str().unwrap()).collect()
}

fn clusters(config: &Value) -> Vec<&str> {
    let clusters = config["static_resources"]["clusters"].as_array().unwrap();
    clusters.iter().map(|cluster| cluster["name"].as_str().unwrap()).collect()
}

fn bundle(config: &Value) -> Value {
    let filters = manager(config)["http_filters"].as_array().unwrap();
    let bundle = filters.iter().find(|filter| filter["name"] == "postern").unwrap();
    let text = &bundle["typed_config"]["config"]["configuration"]["value"];
    serde_json::from_str(text.as_str().unwrap()).unwrap()
}

#[test]
fn a_route_is_enforced_in_one_place_only() {
    let document = plain();
    let at_edge = read(&document, &edge());
    assert_eq!(filters(&at_edge), ["postern", "envoy.filters.http.router"]);
    let pay = route(&at_edge, "pay").unwrap();
    assert_eq!(pay["typed_per_filter_config"], json!({}));

    let beside = read(&document, &sidecar(None));
    assert_eq!(
        filters(&beside),
        [
            "envoy.filters.http.ext_authz",
            "postern",
            "envoy.filters.http.ext_proc",
            "envoy.filters.http.router",
        ]
    );
    let pay = route(&beside, "pay").unwrap();
    assert!(pay["typed_per_filter_config"]["envoy.filters.http.ext_proc"].is_object());
    assert_eq!(pay["typed_per_filter_config"]["envoy.filters.http.ext_authz"], Value::Null);
    assert!(route(&beside, "open").is_none(), "not here");

    let names = |config: &Value| -> Vec<Value> {
        let bundle = bundle(config);
        assert_eq!(bundle["digest"], document.digest);
        let routes = bundle["document"]["routes"].as_array().unwrap();
        routes.iter().map(|route| json!([route["name"], route["auth"] == json!("none")])).collect()
    };
    assert_eq!(names(&at_edge), [json!(["pay", true]), json!(["open", true])]);
    assert_eq!(names(&beside), [json!(["pay", false])]);
}

#[test]
fn callers_decide_and_a_sidecar_only_hands_over() {
    let document = guarded(&json!({
        "fault": {"abort": {"share": "1%", "status": 503}},
        "descriptors": [[{"principal": true}]],
    }));
    let at_edge = read(&document, &edge());
    assert!(filters(&at_edge).contains(&"envoy.filters.http.fault"));
    assert!(
        !filters(&at_edge).contains(&"envoy.filters.http.ratelimit"),
        "who calls, it cannot say"
    );
    let pay = &route(&at_edge, "pay").unwrap()["route"];
    assert_eq!(pay["retry_policy"]["num_retries"], 1);
    assert!(pay["hash_policy"].is_array());
    let one = cluster(&at_edge, "service-pay").unwrap();
    assert_eq!(one["lb_policy"], "RING_HASH");
    assert!(one["health_checks"].is_array());

    let beside = read(&document, &sidecar(None));
    assert!(!filters(&beside).contains(&"envoy.filters.http.fault"), "it would strike twice");
    assert!(filters(&beside).contains(&"envoy.filters.http.ratelimit"));
    let pay = &route(&beside, "pay").unwrap()["route"];
    assert_eq!((&pay["retry_policy"], &pay["hash_policy"]), (&Value::Null, &Value::Null));
    assert_eq!(pay["timeout"], "2s");
    let one = cluster(&beside, "service-pay").unwrap();
    for of_callers in ["lb_policy", "outlier_detection", "health_checks", "common_lb_config"] {
        assert_eq!(one[of_callers], Value::Null, "{of_callers}");
    }
}

#[test]
fn a_sidecar_sends_to_its_own_program() {
    let address = |options: &EnvoyOptions| {
        let config = read(&plain(), options);
        let one = cluster(&config, "service-pay").unwrap();
        let host = &one["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"];
        assert_eq!(one["transport_socket"], Value::Null, "on this machine");
        host["address"]["socket_address"].clone()
    };
    let local = |port: u16| json!({"address": "127.0.0.1", "port_value": port});
    assert_eq!(address(&sidecar(None)), local(8080));
    assert_eq!(address(&sidecar(Some(9000))), local(9000));

    let config = read(&plain(), &sidecar(None));
    // The other services are none of its business, but for the keys that the bundle fetches.
    assert_eq!(
        clusters(&config),
        ["service-keys", "service-pay", "postern-grpc", "postern_feed", "postern-public"]
    );
    for listen in ["127.0.0.1:8080", "0.0.0.0:8080", "[::]:8080"] {
        let options = EnvoyOptions { listen: listen.parse().unwrap(), ..sidecar(None) };
        let error = render(&plain(), &options).unwrap_err();
        assert!(error.to_string().contains("--upstream-port"), "{listen}: {error}");
        let options = EnvoyOptions { listen: listen.parse().unwrap(), ..sidecar(Some(9000)) };
        assert!(render(&plain(), &options).is_ok(), "{listen}");
    }
}

#[test]
fn both_ends_inside_the_mesh_show_who_they_are() {
    let at_edge = read(&plain(), &edge());
    let client = &cluster(&at_edge, "service-pay").unwrap()["transport_socket"]["typed_config"];
    assert_eq!(
        client["common_tls_context"],
        json!({
            "alpn_protocols": ["http/1.1"],
            "tls_certificates": [{"certificate_chain": {"filename": "/own.pem"},
                                  "private_key": {"filename": "/own.key"}}],
            "validation_context": {
                "trusted_ca": {"filename": "/ca.pem"},
                "match_typed_subject_alt_names": [
                    {"san_type": "URI", "matcher": {"exact": "spiffe://mesh.test/ns/shop/sa/pay"}},
                ],
            },
        })
    );
    assert_eq!(cluster(&at_edge, "service-open").unwrap()["transport_socket"], Value::Null);
    let chain =
        |config: &Value| config["static_resources"]["listeners"][0]["filter_chains"][0].clone();
    assert_eq!(chain(&at_edge)["transport_socket"], Value::Null);
    assert_eq!(manager(&at_edge)["forward_client_cert_details"], "SANITIZE");
    assert_eq!(manager(&at_edge)["xff_num_trusted_hops"], 1);

    let beside = read(&plain(), &sidecar(None));
    let server = &chain(&beside)["transport_socket"]["typed_config"];
    assert_eq!(server["require_client_certificate"], true);
    let validation = &server["common_tls_context"]["validation_context"];
    assert_eq!(
        validation["match_typed_subject_alt_names"],
        json!([{"san_type": "URI", "matcher": {"prefix": "spiffe://mesh.test/"}}])
    );
    assert_eq!(manager(&beside)["forward_client_cert_details"], "SANITIZE_SET");
    assert_eq!(manager(&beside)["set_current_client_cert_details"], json!({"uri": true}));
    // Nobody stands in front of it whose word on addresses would count.
    assert_eq!(manager(&beside)["xff_num_trusted_hops"], 0);
}

#[test]
fn certificates_may_come_from_an_agent() {
    let agent = MeshTls::Agent { socket: "/run/agent.sock".to_owned() };
    let options = EnvoyOptions { mesh_tls: Some(agent), ..sidecar(None) };
    let config = read(&plain(), &options);
    let chain = &config["static_resources"]["listeners"][0]["filter_chains"][0];
    let context = &chain["transport_socket"]["typed_config"]["common_tls_context"];
    let own = &context["tls_certificate_sds_secret_configs"][0];
    assert_eq!(own["name"], "default");
    let asked = &own["sds_config"]["api_config_source"]["grpc_services"][0]["envoy_grpc"];
    assert_eq!(asked["cluster_name"], "postern-sds");
    let combined = &context["combined_validation_context"];
    assert_eq!(combined["validation_context_sds_secret_config"]["name"], "ROOTCA");
    let names = &combined["default_validation_context"]["match_typed_subject_alt_names"];
    assert_eq!(names[0]["matcher"]["prefix"], "spiffe://mesh.test/");
    let cluster = cluster(&config, "postern-sds").unwrap();
    let host = &cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"];
    assert_eq!(host["address"], json!({"pipe": {"path": "/run/agent.sock"}}));
}

/// What a bundle behind the edge says of limits is for the caller.
#[test]
fn limit_headers_pass_the_edge_where_a_sidecar_writes_them() {
    let at_edge = read(&plain(), &edge());
    let removed = |value: &Value| -> Vec<String> {
        let names = value["response_headers_to_remove"].as_array().cloned().unwrap_or_default();
        names.iter().map(|name| name.as_str().unwrap().to_owned()).collect()
    };
    let everywhere = removed(&manager(&at_edge)["route_config"]);
    assert!(everywhere.contains(&"server".to_owned()));
    let limit = "x-ratelimit-limit".to_owned();
    assert!(!everywhere.contains(&limit));
    assert!(!removed(route(&at_edge, "pay").unwrap()).contains(&limit));
    assert!(removed(route(&at_edge, "open").unwrap()).contains(&limit));
    // Without such services, all routes lose them at once.
    assert!(removed(&manager(&rendered())["route_config"]).contains(&limit));
}

#[test]
fn an_envoy_that_the_document_has_no_place_for_is_an_error() {
    let document = plain();
    let named = |kind: Kind, name: Option<&str>| EnvoyOptions {
        kind,
        workload: name.map(str::to_owned),
        ..sidecar(None)
    };
    let beside = Kind::Sidecar { upstream_port: None };
    for (options, expected) in [
        (named(Kind::Edge, Some("edge")), "the document's gateway is the workload `gate`"),
        (named(Kind::Edge, Some("pay")), "the document's gateway is the workload `gate`"),
        (named(beside, None), "name it"),
        (named(beside, Some("gate")), "it is the gateway"),
        (named(beside, Some("pays")), "no such workload"),
        (named(beside, Some("web")), "no route is enforced there"),
    ] {
        let error = render(&document, &options).unwrap_err();
        assert!(error.to_string().contains(expected), "{expected}: {error}");
    }
    for name in [None, Some("gate")] {
        assert!(render(&document, &named(Kind::Edge, name)).is_ok(), "{name:?}");
    }
}

#[test]
fn peers_without_certificates_are_an_error() {
    let document = guarded(&json!({"peers": ["gate"]}));
    let options = EnvoyOptions { mesh_tls: None, ..sidecar(None) };
    let error = render(&document, &options).unwrap_err();
    assert_eq!(error, RenderError::Peers { route: "pay".to_owned() });
    assert!(render(&document, &sidecar(None)).is_ok());
}

#[test]
fn what_stands_open_between_envoys_is_warned_of() {
    let said = |document: &Document, options: &EnvoyOptions, text: &str| {
        let warnings = warnings(document, options);
        assert!(warnings.iter().any(|warning| warning.contains(text)), "{text}: {warnings:?}");
    };
    let bare = |options: EnvoyOptions| EnvoyOptions { mesh_tls: None, ..options };
    said(&plain(), &bare(edge()), "`pay` and their tokens go to its workload's Envoy in clear");
    said(&plain(), &bare(sidecar(None)), "the sidecar of `pay` speaks plain HTTP");
    let outsiders = guarded(&json!({"peers": ["web"]}));
    said(&outsiders, &edge(), "`gate` is not among its `peers`");
    let told = guarded(&json!({"descriptors": [[{"remote_address": true}]]}));
    said(&told, &sidecar(None), "tells the rate limit service a `remote_address`");
    let host = json!({"path": "/pay/{rest=**}", "methods": ["GET"], "hosts": ["pay.test"]});
    said(&guarded(&json!({"match": host})), &sidecar(None), "names hosts");

    let taken_in = guarded(&json!({"peers": ["gate"]}));
    let quiet = warnings(&taken_in, &edge());
    assert!(!quiet.iter().any(|warning| warning.contains("Envoy in clear text")), "{quiet:?}");
    assert!(!quiet.iter().any(|warning| warning.contains("peers")), "{quiet:?}");
}

#[test]
fn endpoints_with_certificates_are_asked_for_them() {
    let endpoints = json!([{"address": "10.0.0.7", "port": 80, "service_account": "pay"}]);
    let with = |workload: bool| {
        let mut service = json!({"endpoints": endpoints});
        if workload {
            service["workload"] = json!("pay");
        }
        load(&json!({
            "version": 1,
            "workloads": {"pay": {"namespace": "shop", "labels": {"app": "pay"},
                                  "service_account": "other", "ports": [80]}},
            "services": {"one": service},
            "routes": [{"name": "r", "match": {"path": "/"}, "service": "one", "auth": "none"}],
        }))
    };
    let config = read(&with(true), &edge());
    let context = &cluster(&config, "service-one").unwrap()["transport_socket"]["typed_config"];
    let names = &context["common_tls_context"]["validation_context"];
    let exact = &names["match_typed_subject_alt_names"][0]["matcher"]["exact"];
    assert_eq!(exact, "spiffe://cluster.local/ns/shop/sa/pay");

    let error = render(&with(true), &options()).unwrap_err();
    assert!(error.to_string().contains("--mesh-ca"), "{error}");
    let error = render(&with(false), &edge()).unwrap_err();
    assert!(error.to_string().contains("of which namespace"), "{error}");
}
