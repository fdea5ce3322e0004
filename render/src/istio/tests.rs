use std::collections::BTreeMap;

use postern_document::from_json;

use super::*;

mod allow;
mod feed;
mod identity;
mod listeners;
mod protected;
mod routes;
mod sidecar;
mod traffic;
mod upstreams;
mod versions;

const HASH: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn load(text: &str) -> Document {
    from_json(text.as_bytes()).unwrap()
}

/// One route for each thing that is rendered in its own way.
fn document() -> Document {
    load(
        r#"{
        "version": 1,
        "issuer": "https://api.example.test",
        "trusted_proxies": 2,
        "credentials": {
            "jwt": {"issuers": [
                {"issuer": "https://api.example.test", "audiences": ["api"],
                 "jwks": {"service": "postern", "refresh": "1m"}},
                {"issuer": "https://login.example.test", "audiences": ["api"],
                 "jwks": {"uri": "https://login.example.test/keys?v=1"}},
                {"issuer": "content", "audiences": ["api"],
                 "jwks": {"service": "content", "path": "/jwks"}}
            ]},
            "api_key": {}
        },
        "services": {
            "content": {"upstream": "127.0.0.1:9195"},
            "partner": {"upstream": "Partner.example.test:443", "tls": true, "http2": true,
                        "max_connections": 7, "max_pending": 9, "retries": {"attempts": 1}},
            "payments": {"upstream": "payments.shop.svc:8080", "timeout": "1500ms", "circuit": {}},
            "idle": {"upstream": "short:80"}
        },
        "limits": {"per-user": {"key": ["claim.sub"], "mode": "exact", "rate": "10/1m"}},
        "transforms": {
            "mark": {"request": {"set": {"x-gateway": "100% postern"}, "remove": ["x-debug"]}},
            "trace": {"response": {"set": {"x-route": "{route.name}", "x-fixed": "a"}}}
        },
        "routes": [
            {"name": "tenants", "match": {"path": "/{rest=**}", "hosts": ["*.tenants.test"]},
             "service": "content", "auth": {"any": ["jwt"]}, "limits": ["per-user"]},
            {"name": "content", "match": {"path": "/content/{rest=**}", "methods": ["GET", "HEAD"]},
             "service": "content", "auth": {"any": ["jwt"]}, "transform": ["mark"]},
            {"name": "orders", "match": {"path": "/orders/{id}/items"}, "timeout": "3s",
             "service": "partner", "auth": {"any": ["jwt", "api_key"]}},
            {"name": "payments", "match": {"path": "/payments/{rest=**}", "methods": ["POST"]},
             "service": "payments", "auth": {"any": ["jwt"]}, "ext_authz": true,
             "transform": ["trace"]},
            {"name": "health", "match": {"path": "/health"}, "service": "postern", "auth": "none"}
        ]
    }"#,
    )
}

fn options(minor: u32) -> IstioOptions {
    IstioOptions { istio_version: (1, minor), ..IstioOptions::default() }
}

/// Options of which there is nothing to warn.
fn quiet() -> IstioOptions {
    IstioOptions {
        wasm_url: "oci://mirror.example.test/bundle:1".to_owned(),
        wasm_sha256: Some(HASH.to_owned()),
        gateway_namespace: Some("gateways".to_owned()),
        ..options(30)
    }
}

fn rendering<'d>(document: &'d Document, options: &'d IstioOptions) -> Rendering<'d> {
    Rendering::of(document, options).unwrap()
}

/// What a part makes of a document, where options do not matter.
fn made<T>(document: &Document, make: impl FnOnce(&Rendering<'_>) -> T) -> T {
    make(&rendering(document, &options(30)))
}

/// The bundle's resources, the gateway's first.
fn plugins(document: &Document, options: &IstioOptions) -> Vec<Value> {
    let rendering = rendering(document, options);
    let destinations = Destinations::of(&rendering).unwrap();
    plugin::resources(&rendering, &destinations).unwrap()
}

fn plugin(document: &Document, options: &IstioOptions) -> Value {
    plugins(document, options).remove(0)
}

/// VirtualServices by name.
fn virtual_services(document: &Document, options: &IstioOptions) -> Vec<(String, Value)> {
    let rendering = rendering(document, options);
    let destinations = Destinations::of(&rendering).unwrap();
    let hosts = hosts::served(&rendering).unwrap();
    let resources = virtual_service::resources(&rendering, &hosts, &destinations).unwrap();
    assert_eq!(resources[0]["kind"], "Gateway");
    resources
        .into_iter()
        .filter(|resource| resource["kind"] == "VirtualService")
        .map(|resource| (resource["metadata"]["name"].as_str().unwrap().to_owned(), resource))
        .collect()
}

/// What a VirtualService holds for a route: what its headers pick, then the route itself.
fn http_routes(document: &Document, name: &str) -> Vec<Value> {
    let all = virtual_services(document, &options(30));
    let all = all.iter().flat_map(|(_, resource)| resource["spec"]["http"].as_array().unwrap());
    all.filter(|route| route["name"] == name).cloned().collect()
}

fn http_route(document: &Document, name: &str) -> Value {
    http_routes(document, name).pop().unwrap()
}

fn destination_rules(document: &Document) -> Vec<Value> {
    made(document, |rendering| {
        destination_rule::resources(rendering, &Destinations::of(rendering).unwrap())
    })
}

fn envoy_filters(document: &Document) -> Vec<Value> {
    made(document, |rendering| {
        envoy_filter::resources(rendering, &Destinations::of(rendering).unwrap()).unwrap()
    })
}

fn envoy_filter(document: &Document, name: &str) -> Value {
    let mut filters = envoy_filters(document).into_iter();
    filters.find(|filter| filter["metadata"]["name"] == name).unwrap()
}

fn names(resources: &[Value]) -> Vec<&str> {
    resources.iter().map(|resource| resource["metadata"]["name"].as_str().unwrap()).collect()
}

fn content(files: &[RenderedFile], name: &str) -> String {
    files.iter().find(|file| file.name == name).unwrap().content.clone()
}

#[test]
fn the_bundle_is_one_kind_of_resource_by_version() {
    let document = document();
    for minor in 28..=31 {
        let options = IstioOptions { wasm_sha256: Some(HASH.to_owned()), ..options(minor) };
        let plugin = plugin(&document, &options);
        let wasm = if minor < 30 {
            assert_eq!(plugin["kind"], "WasmPlugin");
            &plugin["spec"]
        } else {
            assert_eq!(plugin["kind"], "TrafficExtension");
            &plugin["spec"]["wasm"]
        };
        assert_eq!(wasm["failStrategy"], "FAIL_CLOSE");
        assert_eq!(wasm["sha256"], HASH);
        assert_eq!(wasm["pluginConfig"]["digest"], document.digest);
        assert_eq!(plugin["spec"]["phase"], "AUTHN");
        assert_eq!(plugin["spec"]["match"], json!([{"mode": "CLIENT"}]));
        assert_eq!(plugin["spec"]["selector"]["matchLabels"], json!({"istio": "ingressgateway"}));

        let files = render(&document, &options).unwrap();
        let kinds = ["kind: WasmPlugin\n", "kind: TrafficExtension\n"];
        let count = |kind: &str| files.iter().filter(|file| file.content.contains(kind)).count();
        assert_eq!(kinds.map(count), if minor < 30 { [1, 0] } else { [0, 1] });
    }
}

#[test]
fn the_bundle_is_told_where_keys_are() {
    let plugin = plugin(&document(), &options(29));
    assert_eq!(
        plugin["spec"]["pluginConfig"]["key_sources"],
        json!([
            {"issuer": 0, "cluster": "outbound|9192||postern.postern-system.svc.cluster.local",
             "authority": "postern.postern-system.svc.cluster.local", "path": "/oauth2/jwks",
             "refresh_ms": 60_000},
            {"issuer": 1, "cluster": "outbound|443||login.example.test",
             "authority": "login.example.test:443", "path": "/keys?v=1", "refresh_ms": 300_000},
            {"issuer": 2, "cluster": "outbound|9195|content|content.upstream.postern.internal",
             "authority": "content.upstream.postern.internal", "path": "/jwks",
             "refresh_ms": 300_000},
        ])
    );
}

#[test]
fn other_versions_are_refused() {
    for version in [(1, 27), (1, 32), (2, 30)] {
        let options = IstioOptions { istio_version: version, ..IstioOptions::default() };
        let error = render(&document(), &options).unwrap_err();
        assert!(matches!(error, RenderError::UnsupportedVersion { .. }), "{error}");
    }
}

#[test]
fn custom_authorization_asks_for_the_routes_that_need_it() {
    let policies = made(&document(), |rendering| authorization::resources(rendering).unwrap());
    let [policy] = policies.as_slice() else { panic!("one policy") };
    assert_eq!(policy["spec"]["action"], "CUSTOM");
    assert_eq!(policy["spec"]["provider"]["name"], "postern");
    assert_eq!(
        policy["spec"]["rules"],
        json!([{"to": [
            {"operation": {"paths": ["/orders/{*}/items"]}},
            {"operation": {"paths": ["/payments/*"], "methods": ["POST"]}},
            {"operation": {"paths": ["/*"], "hosts": ["*.tenants.test", "*.tenants.test:443"]}},
        ]}])
    );
    assert_eq!(policy["metadata"]["annotations"]["postern.dev/routes"], "orders payments tenants");
}

#[test]
fn the_server_is_asked_for_a_quarter_of_a_second_at_most() {
    let document = document();
    let provider = made(&document, mesh_config::mesh_config);
    assert_eq!(
        provider["extensionProviders"][0],
        json!({"name": "postern", "envoyExtAuthzGrpc": {
            "service": "postern-system/postern.postern-system.svc.cluster.local", "port": 9191,
            "timeout": "0.250s", "failOpen": false, "statusOnError": "503",
        }})
    );
    let ext_proc = envoy_filter(&document, "postern-ext-proc");
    let patch = &ext_proc["spec"]["configPatches"][0]["patch"];
    assert_eq!(patch["operation"], "INSERT_BEFORE");
    let settings = &patch["value"]["typed_config"];
    assert_eq!(settings["grpc_service"]["timeout"], "0.250s");
    assert_eq!(settings["message_timeout"], "0.250s");
    assert_eq!(settings["failure_mode_allow"], false);
    assert_eq!(
        settings["grpc_service"]["envoy_grpc"],
        json!({"cluster_name": "outbound|9191||postern-message.postern-system.svc.cluster.local",
               "authority": "postern-message.postern-system.svc.cluster.local"})
    );
}

#[test]
fn failing_open_is_said_only_where_the_document_says_so() {
    let open = load(
        r#"{"version": 1, "failures": {"ext_authz": "allow", "ext_proc": "allow"},
            "services": {"a": {"upstream": "a.b.svc.cluster.local:80"}},
            "transforms": {"seen": {"response": {"set": {"x-route": "{route.name}"}}}},
            "routes": [{"name": "a", "match": {"path": "/"}, "service": "a", "auth": "none",
                        "ext_authz": true, "transform": ["seen"]}]}"#,
    );
    let mesh_config = made(&open, mesh_config::mesh_config);
    assert_eq!(mesh_config["extensionProviders"][0]["envoyExtAuthzGrpc"]["failOpen"], true);
    let ext_proc = envoy_filter(&open, "postern-ext-proc");
    let settings = &ext_proc["spec"]["configPatches"][0]["patch"]["value"]["typed_config"];
    assert_eq!(settings["failure_mode_allow"], true);
    assert_eq!(settings["grpc_service"]["initial_metadata"], Value::Null, "it has no circuit");
}

#[test]
fn an_envoy_says_that_its_bundle_keeps_circuits() {
    let said = |name: &str| {
        let filter = envoy_filter(&document(), name);
        let patch = &filter["spec"]["configPatches"][0]["patch"]["value"];
        patch["typed_config"]["grpc_service"]["initial_metadata"].clone()
    };
    let by_bundle = json!([{"key": "x-postern-circuits", "value": "bundle"}]);
    assert_eq!(said("postern-ext-authz"), by_bundle);
    assert_eq!(said("postern-ext-proc"), by_bundle);
}

#[test]
fn places_outside_the_cluster_are_registered() {
    let document = document();
    let options = options(30);
    let entries = |options: &IstioOptions| {
        let rendering = rendering(&document, options);
        let destinations = Destinations::of(&rendering).unwrap();
        service_entry::resources(&rendering, &destinations)
    };
    let rendered = entries(&options);
    let specs: Vec<&Value> = rendered.iter().map(|entry| &entry["spec"]).collect();
    let hosts: Vec<&Value> = specs.iter().map(|spec| &spec["hosts"][0]).collect();
    assert_eq!(
        hosts,
        ["content.upstream.postern.internal", "login.example.test", "partner.example.test"]
    );
    assert_eq!(specs[0]["resolution"], "STATIC");
    assert_eq!(specs[0]["endpoints"], json!([{"address": "127.0.0.1"}]));
    assert_eq!(
        specs[1]["ports"],
        json!([{"name": "https-443", "number": 443, "protocol": "HTTPS"}])
    );
    assert!(specs.iter().all(|spec| spec["exportTo"] == json!(["."])));

    let known = "partner.example.test".to_owned();
    let options = IstioOptions { registered_hosts: [known].into(), ..options };
    assert_eq!(entries(&options).len(), 2);
}

#[test]
fn services_keep_their_bounds_and_verify_certificates() {
    let document = document();
    let rules = destination_rules(&document);
    let spec = |host: &str| {
        let mut specs = rules.iter().map(|rule| &rule["spec"]);
        specs.find(|spec| spec["host"] == host).unwrap()
    };
    let tls = |host: &str| {
        json!({"mode": "SIMPLE", "sni": host, "subjectAltNames": [host],
               "caCertificates": "/etc/ssl/certs/ca-certificates.crt"})
    };
    let partner = &spec("partner.example.test")["subsets"][0];
    assert_eq!(partner["name"], "partner");
    assert_eq!(partner["trafficPolicy"]["tls"], tls("partner.example.test"));
    let pool = &partner["trafficPolicy"]["connectionPool"];
    assert_eq!(pool["tcp"]["maxConnections"], 7);
    assert_eq!(pool["http"]["http1MaxPendingRequests"], 9);
    assert_eq!(pool["http"]["h2UpgradePolicy"], "UPGRADE");
    let payments = &spec("payments.shop.svc.cluster.local")["subsets"][0];
    assert!(payments["trafficPolicy"].get("tls").is_none(), "mutual TLS is Istio's business");
    assert_eq!(
        spec("login.example.test")["trafficPolicy"],
        json!({"portLevelSettings": [{"port": {"number": 443}, "tls": tls("login.example.test")}]})
    );
}

#[test]
fn requests_are_read_as_strictly_as_by_envoy() {
    let filter = envoy_filter(&document(), "postern-connection-manager");
    let patch = &filter["spec"]["configPatches"][0];
    assert_eq!(patch["match"]["context"], "GATEWAY");
    let settings = &patch["patch"]["value"]["typed_config"];
    assert_eq!(settings["path_with_escaped_slashes_action"], "REJECT_REQUEST");
    assert_eq!(settings["merge_slashes"], true);
    assert_eq!(settings["xff_num_trusted_hops"], 2);
    let underscores = &settings["common_http_protocol_options"];
    assert_eq!(underscores["headers_with_underscores_action"], "DROP_HEADER");
    assert!(settings["local_reply_config"]["mappers"].is_array());
}

#[test]
fn a_refusal_is_found_in_the_log_of_the_gateway_and_no_query_is() {
    let document = document();
    let providers = made(&document, mesh_config::mesh_config);
    let log = &providers["extensionProviders"][1];
    assert_eq!(log["name"], "postern-log");
    let labels = &log["envoyFileAccessLog"]["logFormat"]["labels"];
    assert_eq!(labels["correlation_id"], "%REQ(X-CORRELATION-ID?X-REQUEST-ID)%");
    assert_eq!(labels["reason"], "%FILTER_STATE(wasm.postern.denied:PLAIN)%");
    assert_eq!(labels["path"], "%PATH(NQ)%");
    // It takes the place of the mesh's own log, which prints queries.
    let telemetry = made(&document, telemetry::resources);
    assert_eq!(
        telemetry[0]["spec"]["accessLogging"],
        json!([{"match": {"mode": "CLIENT"}, "providers": [{"name": "postern-log"}]}])
    );
    let mentioned = telemetry[0].to_string();
    assert!(!mentioned.contains("subject") && !mentioned.contains("metrics"), "{mentioned}");
}

#[test]
fn the_gateway_tells_the_server_how_requests_end_where_a_limit_waits_for_it() {
    let with = |limit: &str| {
        load(&format!(
            r#"{{"version": 1, "services": {{"a": {{"upstream": "a.b.svc.cluster.local:80"}}}},
                "limits": {{"some": {{"key": ["ip"], "mode": "exact", {limit}}}}},
                "routes": [{{"name": "a", "match": {{"path": "/"}}, "service": "a",
                             "auth": "none", "limits": ["some"]}}]}}"#
        ))
    };
    let document = with(r#""in_flight": 5"#);
    let filter = envoy_filter(&document, "postern-settlement");
    let [patch] = filter["spec"]["configPatches"].as_array().unwrap().as_slice() else {
        panic!("{filter}");
    };
    assert_eq!(patch["applyTo"], "NETWORK_FILTER");
    assert_eq!(patch["match"]["context"], "GATEWAY");
    assert_eq!(patch["patch"]["operation"], "MERGE");
    let log = &patch["patch"]["value"]["typed_config"]["access_log"][0];
    assert_eq!(log["name"], "envoy.access_loggers.http_grpc");
    assert_eq!(log["filter"]["metadata_filter"]["matcher"]["path"], json!([{"key": "settle"}]));
    assert_eq!(
        log["typed_config"]["common_config"]["grpc_service"]["envoy_grpc"],
        json!({"cluster_name": "outbound|9191||postern-message.postern-system.svc.cluster.local",
               "authority": "postern-message.postern-system.svc.cluster.local"})
    );
    let filters = envoy_filters(&with(r#""rate": "9/1m""#));
    assert!(!names(&filters).contains(&"postern-settlement"), "{:?}", names(&filters));
}

#[test]
fn what_works_on_one_machine_only_is_warned_of() {
    let pinned = quiet();
    let found = warnings(&document(), &pinned);
    let [loopback] = found.as_slice() else { panic!("{found:?}") };
    assert!(loopback.contains("`content`") && !loopback.contains("partner"), "{loopback}");
    let unpinned = warnings(&document(), &options(30));
    assert!(unpinned.iter().any(|warning| warning.contains("--wasm-sha256")), "{unpinned:?}");
}

#[test]
fn a_module_that_nobody_could_fetch_is_warned_of() {
    let told = |options: &IstioOptions| -> Vec<String> {
        let all = warnings(&document(), options).into_iter();
        all.filter(|warning| warning.contains("the filter module")).collect()
    };
    let named = IstioOptions { wasm_sha256: None, ..quiet() };
    let pinned = IstioOptions { wasm_sha256: Some(HASH.to_owned()), ..options(30) };
    assert_eq!(told(&quiet()), [""; 0]);
    for (options, url, hash) in
        [(options(30), true, true), (pinned, true, false), (named, false, true)]
    {
        let found = told(&options);
        let [one] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(one.contains("--wasm-url"), url, "{one}");
        assert_eq!(one.contains("--wasm-sha256"), hash, "{one}");
    }
}

/// Envoy's answers to requests that it cannot read belong to no route: an `ext_proc` that is on for
/// them would hold them up until the connection is gone.
#[test]
fn ext_proc_is_off_where_there_is_no_route_and_on_where_there_is_one() {
    let document = document();
    let filter = envoy_filter(&document, "postern-ext-proc");
    let value = &filter["spec"]["configPatches"][0]["patch"]["value"];
    assert_eq!(value["disabled"], true);
    let mode = &value["typed_config"]["processing_mode"];
    assert_eq!(mode["response_header_mode"], "SKIP", "the server asks for it where it needs it");
    assert_eq!(value["typed_config"]["allow_mode_override"], true);

    let filter = envoy_filter(&document, "postern-ext-proc-routes");
    let patches = filter["spec"]["configPatches"].as_array().unwrap();
    let (on, off) = patches.split_first().unwrap();
    assert_eq!(on["applyTo"], "ROUTE_CONFIGURATION");
    let setting = |patch: &Value| {
        let filters = &patch["patch"]["value"]["typed_per_filter_config"];
        let setting = filters["envoy.filters.http.ext_proc"].clone();
        let per_route = "envoy.extensions.filters.http.ext_proc.v3.ExtProcPerRoute";
        assert_eq!(setting["@type"], format!("type.googleapis.com/{per_route}"));
        setting
    };
    let told = json!([{"key": "x-postern-document", "value": document.digest}]);
    assert_eq!(setting(on)["overrides"], json!({"grpc_initial_metadata": told}));
    let name = |patch: &Value| {
        assert_eq!(patch["applyTo"], "HTTP_ROUTE");
        assert_eq!(setting(patch)["disabled"], true);
        let route = &patch["match"]["routeConfiguration"]["vhost"]["route"]["name"];
        route.as_str().unwrap().to_owned()
    };
    let names: Vec<String> = off.iter().map(name).collect();
    assert_eq!(names, ["content", "health", "orders", NO_ROUTE, "tenants"]);
}

/// With the routes, which change while connections stay: a listener's filter would close them.
#[test]
fn the_server_is_told_which_document_a_gateway_runs() {
    let document = document();
    let settings = |document: &Document| {
        let filter = envoy_filter(document, "postern-routes");
        let value = filter["spec"]["configPatches"][0]["patch"]["value"].clone();
        value["typed_per_filter_config"]["envoy.filters.http.ext_authz"].clone()
    };
    assert_eq!(
        settings(&document),
        json!({
            "@type":
                "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute",
            "check_settings": {"context_extensions": {"x-postern-document": document.digest}},
        })
    );
    for name in ["postern-ext-authz", "postern-ext-proc", "postern-connection-manager"] {
        let filter = envoy_filter(&document, name)["spec"].to_string();
        assert!(!filter.contains(&document.digest), "{name}: {filter}");
    }
    let unasked = load(
        r#"{"version": 1, "services": {"a": {"upstream": "a.b.svc.cluster.local:80"}},
            "routes": [{"name": "a", "match": {"path": "/"}, "service": "a", "auth": "none"}]}"#,
    );
    assert_eq!(settings(&unasked), Value::Null);
}

#[test]
fn every_envoy_filter_has_its_place_and_its_gateway_and_its_data_planes() {
    let filters = envoy_filters(&document());
    let priorities: Vec<&Value> =
        filters.iter().map(|filter| &filter["spec"]["priority"]).collect();
    assert_eq!(priorities, [10, 30, 40, 20, 50]);
    let labels = json!({"istio": "ingressgateway"});
    for filter in &filters {
        assert_eq!(filter["spec"]["workloadSelector"]["labels"], labels);
        for patch in filter["spec"]["configPatches"].as_array().unwrap() {
            assert_eq!(patch["match"]["context"], "GATEWAY", "{patch}");
            assert_eq!(patch["match"]["proxy"]["proxyVersion"], "^1\\.(29|30)[.-]", "{patch}");
        }
    }
}

#[test]
fn a_document_without_call_outs_has_no_resources_for_them() {
    let document = load(
        r#"{"version": 1, "services": {"a": {"upstream": "a.b.svc.cluster.local:80"}},
            "routes": [{"name": "a", "match": {"path": "/"}, "service": "a", "auth": "none"}]}"#,
    );
    let files = render(&document, &options(29)).unwrap();
    let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "authorization-policy.yaml",
            "destination-rule.yaml",
            "envoy-filter.yaml",
            "kustomization.yaml",
            "mesh-config.fragment.yaml",
            "plugin.yaml",
            "telemetry.yaml",
            "virtual-service.yaml",
        ]
    );
    assert!(!content(&files, "mesh-config.fragment.yaml").contains("envoyExtAuthzGrpc:"));
    assert!(!content(&files, "authorization-policy.yaml").contains("CUSTOM"));
    assert!(!content(&files, "envoy-filter.yaml").contains("ext_proc.v3"));
    let kustomization = content(&files, "kustomization.yaml");
    assert!(kustomization.contains("  - plugin.yaml\n"));
    assert!(!kustomization.contains("mesh-config"));
}

#[test]
fn output_is_the_same_every_time_and_marked() {
    let document = document();
    let options = IstioOptions { workload_namespaces: vec!["shop".to_owned()], ..options(31) };
    let files = render(&document, &options).unwrap();
    assert_eq!(files, render(&document, &options).unwrap());
    let marked = format!("postern.dev/document: {}", document.digest);
    let quoted = format!("postern.dev/document: \"{}\"", document.digest);
    for file in files.iter().filter(|file| file.content.contains("\nspec:")) {
        let resources = file.content.matches("\nspec:").count();
        let count = |text: &str| file.content.matches(text).count();
        assert_eq!(count(&marked) + count(&quoted), resources, "{}", file.name);
        assert_eq!(count("app.kubernetes.io/part-of: postern\n"), resources, "{}", file.name);
    }
    let strict = content(&files, "peer-authentication.yaml");
    assert_eq!(strict.matches("mode: STRICT").count(), 1);
    assert!(strict.contains("namespace: shop\n"), "the suite's own namespace has its own policies");
}

#[test]
fn what_cannot_be_expressed_is_an_error_with_a_name() {
    let with = |upstream: &str, path: &str, name: &str| {
        load(&format!(
            r#"{{"version": 1, "services": {{"a": {{"upstream": "{upstream}"}}}},
                "routes": [{{"name": "{name}", "match": {{"path": "{path}"}}, "service": "a",
                             "auth": "none", "ext_authz": true}}]}}"#
        ))
    };
    let good = "a.b.svc.cluster.local:80";
    assert!(render(&with(good, "/a<b", "r"), &options(30)).is_ok());
    for (upstream, path, name, expected) in [
        ("short:80", "/", "r", "route `r`, service `a`: Istio cannot route to `short`"),
        ("under_score.test:80", "/", "r", "`under_score.test`: this is no DNS name"),
        (good, "/a<b/{id}", "r", "route `r`: path `/a<b/{id}` cannot stand in"),
        (good, "/", NO_ROUTE, "route `postern-no-route`: this name"),
    ] {
        let error = render(&with(upstream, path, name), &options(30)).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn senseless_options_are_refused() {
    let base = || options(30);
    let text = str::to_owned;
    let other = BTreeMap::from([(text("a.test"), text("secret"))]);
    for (expected, options) in [
        ("namespace", IstioOptions { namespace: text("A b"), ..base() }),
        ("workload_namespaces", IstioOptions { workload_namespaces: vec![text("")], ..base() }),
        (
            "workload_namespaces",
            IstioOptions { workload_namespaces: vec![text("istio-system")], ..base() },
        ),
        ("namespace", IstioOptions { namespace: text("istio-system"), ..base() }),
        ("gateway_namespace", IstioOptions { gateway_namespace: Some(text("a/b")), ..base() }),
        ("gateway_name", IstioOptions { gateway_name: text("a.b"), ..base() }),
        ("data_plane_from", IstioOptions { data_plane_from: Some(31), ..base() }),
        ("server_host", IstioOptions { server_host: Some(text("10.0.0.1")), ..base() }),
        ("grpc_port, public_port", IstioOptions { grpc_port: 0, ..base() }),
        ("workload", IstioOptions { workload: Some(text("")), ..base() }),
        ("gateway_selector", IstioOptions { gateway_selector: Some(BTreeMap::new()), ..base() }),
        ("host_tls_secrets", IstioOptions { host_tls_secrets: other.clone(), ..base() }),
        (
            "host_tls_secrets",
            IstioOptions {
                host_tls_secrets: other,
                hosts: vec![text("a.test")],
                gateway_tls_secret: None,
                ..base()
            },
        ),
        (
            "wasm_pull_secret",
            IstioOptions {
                wasm_url: text("file:///a.wasm"),
                wasm_pull_secret: Some(text("pull")),
                ..base()
            },
        ),
        ("gateway_tls_secret", IstioOptions { gateway_tls_secret: Some(text("")), ..base() }),
        ("hosts", IstioOptions { hosts: Vec::new(), ..base() }),
        ("hosts", IstioOptions { hosts: vec![text("a.test:80")], ..base() }),
        ("wasm_url", IstioOptions { wasm_url: text("bundle.wasm"), ..base() }),
        ("wasm_sha256", IstioOptions { wasm_sha256: Some(text("ABC")), ..base() }),
    ] {
        let error = render(&document(), &options).unwrap_err();
        let RenderError::BadOption { option, .. } = &error else { panic!("{error}") };
        assert_eq!(*option, expected);
    }
}
