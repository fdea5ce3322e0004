use super::*;

mod discovered;
mod feed;
mod identity;
mod replicas;
mod sidecar;
mod sources;
mod traffic;
mod upstreams;
mod versions;

fn document() -> Document {
    let text = json!({
        "version": 1,
        "trusted_proxies": 2,
        "services": {
            "plain": {"upstream": "10.0.0.1:80", "retries": {"attempts": 1, "on": []}},
            "named": {"upstream": "named.test:443", "tls": true, "circuit": {}, "timeout": "1500ms"},
        },
        "credentials": {"jwt": {"issuers": [{
            "issuer": "https://i.test", "audiences": ["a"],
            "jwks": {"uri": "https://keys.test/jwks"},
        }]}},
        "transforms": {
            "fixed": {"request": {"set": {"x-a": "100%"}, "remove": ["x-b"]}},
            "seen": {"response": {"set": {"x-route": "{route.name}"}}},
        },
        "routes": [
            {"name": "all", "match": {"path": "/{rest=**}"}, "service": "plain", "auth": "none",
             "transform": ["fixed"]},
            {"name": "one", "match": {"path": "/one", "methods": ["GET", "PUT"]},
             "service": "named", "auth": {"any": ["jwt"]}, "ext_authz": true,
             "transform": ["seen"]},
            {"name": "hosted", "match": {"path": "/h/{id}", "hosts": ["*.x.test"]},
             "service": "plain", "auth": "none"},
        ],
    });
    load(&text)
}

fn options() -> EnvoyOptions {
    EnvoyOptions {
        kind: Kind::Edge,
        source: Source::Static,
        node_id: "edge-1".to_owned(),
        zone: None,
        workload: None,
        mesh_tls: None,
        listen: "127.0.0.1:8080".parse().unwrap(),
        admin: "127.0.0.1:9901".parse().unwrap(),
        server_grpc: "127.0.0.1:9191".parse().unwrap(),
        server_tls: None,
        server_public: "postern.test:9192".parse().unwrap(),
        feed_credential: None,
        wasm: "/bundle.wasm".to_owned(),
        access_log: None,
    }
}

fn rendered() -> Value {
    read(&document(), &options())
}

fn read(document: &Document, options: &EnvoyOptions) -> Value {
    let files = render(document, options).unwrap();
    let [bootstrap] = files.as_slice() else { panic!("{files:?}") };
    assert_eq!(bootstrap.name, "envoy.json");
    serde_json::from_str(&bootstrap.content).unwrap()
}

fn load(text: &Value) -> Document {
    postern_document::from_json(text.to_string().as_bytes()).unwrap()
}

/// The routes of the host that stands for all others.
fn routes_of(config: &Value) -> &[Value] {
    let hosts = manager(config)["route_config"]["virtual_hosts"].as_array().unwrap();
    let any = hosts.iter().find(|host| host["name"] == "any").unwrap();
    any["routes"].as_array().unwrap()
}

fn cluster<'c>(config: &'c Value, name: &str) -> Option<&'c Value> {
    let clusters = config["static_resources"]["clusters"].as_array().unwrap();
    clusters.iter().find(|cluster| cluster["name"] == name)
}

fn manager(config: &Value) -> &Value {
    &config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
}

#[test]
fn the_order_of_filters_is_the_designs() {
    let config = rendered();
    let names: Vec<_> = manager(&config)["http_filters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|filter| filter["name"].as_str().unwrap().to_owned())
        .collect();
    let expected = [
        "envoy.filters.http.ext_authz",
        "postern",
        "envoy.filters.http.ext_proc",
        "envoy.filters.http.router",
    ];
    assert_eq!(names, expected);
}

#[test]
fn requests_are_made_unambiguous_before_any_filter() {
    let config = rendered();
    let manager = manager(&config);
    assert_eq!(manager["normalize_path"], true);
    assert_eq!(manager["merge_slashes"], true);
    assert_eq!(manager["path_with_escaped_slashes_action"], "REJECT_REQUEST");
    assert_eq!(manager["xff_num_trusted_hops"], 2);
    let headers = &manager["common_http_protocol_options"]["headers_with_underscores_action"];
    assert_eq!(headers, "DROP_HEADER");
}

#[test]
fn the_node_says_who_it_is_and_what_it_runs() {
    let node = &rendered()["node"];
    assert_eq!(node["id"], "edge-1");
    assert_eq!(node["metadata"]["document"], document().digest);
}

#[test]
fn the_server_is_told_which_document_this_envoy_runs() {
    let config = rendered();
    let filters = manager(&config)["http_filters"].as_array().unwrap();
    let told = json!([
        {"key": "x-postern-document", "value": document().digest},
        // One of its services has a circuit.
        {"key": "x-postern-circuits", "value": "bundle"},
    ]);
    for name in ["envoy.filters.http.ext_authz", "envoy.filters.http.ext_proc"] {
        let filter = filters.iter().find(|filter| filter["name"] == name).unwrap();
        assert_eq!(filter["typed_config"]["grpc_service"]["initial_metadata"], told, "{name}");
    }
}

#[test]
fn routes_stand_in_the_order_of_the_matcher() {
    let config = rendered();
    let hosts = manager(&config)["route_config"]["virtual_hosts"].as_array().unwrap();
    let names = |host: &Value| -> Vec<String> {
        let routes = host["routes"].as_array().unwrap();
        routes.iter().map(|route| route["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(hosts[0]["domains"], json!(["*.x.test"]));
    assert_eq!(names(&hosts[0]), ["hosted", "one", "all", "postern-no-route"]);
    assert_eq!(hosts[1]["domains"], json!(["*"]));
    assert_eq!(names(&hosts[1]), ["one", "all", "postern-no-route"]);
    let one = &hosts[1]["routes"][0];
    assert_eq!(one["match"]["path"], "/one");
    assert_eq!(one["match"]["headers"][0]["string_match"]["safe_regex"]["regex"], "GET|PUT");
    assert_eq!(one["route"]["timeout"], "1.500s");
}

#[test]
fn many_routes_become_a_tree_by_their_first_segment() {
    let route = |name: &str, path: &str| json!({"name": name, "match": {"path": path}, "service": "plain", "auth": "none"});
    let mut routes: Vec<Value> =
        (0..20).map(|n| route(&format!("r{n}"), &format!("/s{n}/{{id}}"))).collect();
    routes.extend([
        route("longer", "/s1x/{id}"),
        route("deep", "/s1/deep"),
        route("root", "/"),
        route("any", "/{first}/deep"),
    ]);
    let text = json!({
        "version": 1,
        "services": {"plain": {"upstream": "10.0.0.1:80"}},
        "routes": routes,
    });
    let document = load(&text);
    let config = read(&document, &options());
    let host = &manager(&config)["route_config"]["virtual_hosts"][0];
    assert_eq!(host["routes"], Value::Null);

    let names = |list: &Value| -> Vec<String> {
        let routes = list["action"]["typed_config"]["routes"].as_array().unwrap();
        routes.iter().map(|route| route["name"].as_str().unwrap().to_owned()).collect()
    };
    let tree = &host["matcher"]["matcher_tree"]["prefix_match_map"]["map"];
    assert_eq!(tree.as_object().unwrap().len(), 22);
    assert_eq!(names(&tree["/s1"]), ["deep", "r1", "any", "postern-no-route"]);
    assert_eq!(names(&tree["/s1x"]), ["longer", "any", "postern-no-route"]);
    assert_eq!(names(&tree["/"]), ["root", "any", "postern-no-route"]);
    assert_eq!(names(&host["matcher"]["on_no_match"]), ["any", "postern-no-route"]);
}

#[test]
fn the_server_is_asked_only_where_a_route_needs_it() {
    let config = rendered();
    let hosts = manager(&config)["route_config"]["virtual_hosts"].as_array().unwrap();
    let per_filter = |at: usize| &hosts[1]["routes"][at]["typed_per_filter_config"];
    assert_eq!(per_filter(0)["envoy.filters.http.ext_authz"], Value::Null);
    assert!(per_filter(0)["envoy.filters.http.ext_proc"].is_object(), "switched on");
    assert_eq!(per_filter(1)["envoy.filters.http.ext_authz"]["disabled"], true);
    assert_eq!(per_filter(1)["envoy.filters.http.ext_proc"], Value::Null);
}

#[test]
fn fixed_header_rules_are_envoys_own() {
    let config = rendered();
    let all = &manager(&config)["route_config"]["virtual_hosts"][1]["routes"][1];
    assert_eq!(all["request_headers_to_add"][0]["header"], json!({"key": "x-a", "value": "100%%"}));
    assert_eq!(all["request_headers_to_remove"], json!(["x-b"]));
    assert_eq!(all["route"]["retry_policy"], Value::Null);
}

#[test]
fn clusters_follow_their_addresses() {
    let config = rendered();
    let cluster = |name: &str| cluster(&config, name).unwrap();
    assert_eq!(cluster("service-plain")["type"], "STATIC");
    assert_eq!(cluster("service-named")["type"], "STRICT_DNS");
    assert_eq!(cluster("service-named")["transport_socket"]["typed_config"]["sni"], "named.test");
    assert_eq!(cluster("jwks-0")["transport_socket"]["typed_config"]["sni"], "keys.test");
    assert_eq!(cluster("postern-public")["type"], "STRICT_DNS");
}

#[test]
fn a_refusal_is_found_in_the_access_log() {
    let options = EnvoyOptions { access_log: Some("/dev/stdout".to_owned()), ..options() };
    let config = read(&document(), &options);
    let log = &manager(&config)["access_log"][0]["typed_config"];
    assert_eq!(log["path"], "/dev/stdout");
    let format = &log["log_format"]["json_format"];
    assert_eq!(format["correlation_id"], "%REQ(X-CORRELATION-ID?X-REQUEST-ID)%");
    assert_eq!(format["reason"], "%FILTER_STATE(wasm.postern.denied:PLAIN)%");
    let text = format.to_string();
    assert_eq!(format["path"], "%PATH(NQ)%", "tokens travel in queries");
    assert_eq!(text.matches("PATH").count(), 1, "{text}");
    let silent = rendered();
    assert_eq!(manager(&silent)["access_log"], json!([]));
}

/// A document with one exact limit, on one route.
fn limited(limit: Value) -> Document {
    let mut limit = limit;
    limit["key"] = json!(["ip"]);
    let text = json!({
        "version": 1,
        "services": {"plain": {"upstream": "10.0.0.1:80"}},
        "limits": {"some": limit},
        "routes": [{"name": "all", "match": {"path": "/{rest=**}"}, "service": "plain",
                    "auth": "none", "limits": ["some"]}],
    });
    load(&text)
}

#[test]
fn the_server_hears_of_the_end_of_requests_that_a_limit_waits_for() {
    let document = limited(json!({"mode": "exact", "in_flight": 5}));
    let config = read(&document, &options());
    let logs = manager(&config)["access_log"].as_array().unwrap();
    let [log] = logs.as_slice() else { panic!("{logs:?}") };
    assert_eq!(log["name"], "envoy.access_loggers.http_grpc");
    assert_eq!(
        log["filter"]["metadata_filter"],
        json!({
            "matcher": {
                "filter": "envoy.filters.http.ext_authz",
                "path": [{"key": "settle"}],
                "value": {"present_match": true},
            },
            "match_if_key_not_found": false,
        })
    );
    let settings = &log["typed_config"]["common_config"];
    let server = &settings["grpc_service"]["envoy_grpc"]["cluster_name"];
    assert!(cluster(&config, server.as_str().unwrap()).is_some(), "{server}");
    assert_eq!(settings["buffer_size_bytes"], 0);
    assert_eq!(log["typed_config"]["additional_response_trailers_to_log"], json!(["grpc-status"]));

    let both = EnvoyOptions { access_log: Some("/dev/stdout".to_owned()), ..options() };
    let config = read(&document, &both);
    let names: Vec<&Value> =
        manager(&config)["access_log"].as_array().unwrap().iter().map(|log| &log["name"]).collect();
    assert_eq!(names, ["envoy.access_loggers.file", "envoy.access_loggers.http_grpc"]);
}

#[test]
fn nobody_is_told_of_ends_that_do_not_matter() {
    for (limit, expected) in [
        (json!({"mode": "exact", "rate": "9/1m"}), 0),
        (json!({"mode": "local", "in_flight": 9}), 0),
        (json!({"mode": "local", "rate": "9/1m", "skip": "failed"}), 0),
        (json!({"mode": "exact", "rate": "9/1m", "skip": "failed"}), 1),
        (json!({"mode": "exact", "rate": "9/1m", "skip": "successful", "shadow": true}), 1),
    ] {
        let config = read(&limited(limit.clone()), &options());
        let logs = manager(&config)["access_log"].as_array().unwrap();
        assert_eq!(logs.len(), expected, "{limit}");
    }
}

#[test]
fn answers_of_no_route_have_the_security_headers_too() {
    let config = rendered();
    let mappers = manager(&config)["local_reply_config"]["mappers"].as_array().unwrap();
    let names = |status: u16| -> Vec<&str> {
        let mapper = mappers.iter().find(|mapper| mapper["status_code"] == status).unwrap();
        let headers = mapper["headers_to_add"].as_array().unwrap().iter();
        headers.map(|header| header["header"]["key"].as_str().unwrap()).collect()
    };
    assert!(names(400).contains(&"x-content-type-options"));
    // Answers of a route get them from there.
    assert_eq!(names(404), ["cache-control"]);
    assert_eq!(names(504), ["cache-control"]);
}

#[test]
fn the_same_document_gives_the_same_bytes() {
    assert_eq!(render(&document(), &options()), render(&document(), &options()));
}

#[test]
fn durations_are_spelled_as_protobuf_does() {
    for (millis, text) in [(250, "0.250s"), (1000, "1s"), (30_000, "30s"), (1001, "1.001s")] {
        assert_eq!(duration(millis), json!(text));
    }
}
