//! Workloads that guard themselves: the bundle, `ext_authz` and `ext_proc` beside them, and what
//! the gateway leaves to them.

use super::*;

/// The gateway guards `/shop/…`, the payments' sidecar what lies below `/shop/pay/…`.
pub(super) const TEXT: &str = r#"{
        "version": 1,
        "issuer": "https://api.example.test",
        "workloads": {
            "edge": {"gateway": true, "namespace": "edge-ns", "labels": {"app": "in"},
                     "service_account": "in"},
            "payments": {"namespace": "shop", "labels": {"app": "payments"},
                         "service_account": "payments", "ports": [8080, 8081]},
            "web": {"namespace": "shop", "labels": {"app": "web"}, "service_account": "web",
                    "ports": [3000]}
        },
        "credentials": {"jwt": {"issuers": [
            {"issuer": "https://api.example.test", "audiences": ["api"],
             "jwks": {"service": "postern"}}]}},
        "services": {
            "shop": {"upstream": "web.shop.svc.cluster.local:3000", "workload": "web"},
            "payments": {"upstream": "payments.shop.svc.cluster.local:8080",
                         "workload": "payments", "guard": "workload"}
        },
        "limits": {"per-user": {"key": ["claim.sub"], "mode": "exact", "in_flight": 5}},
        "transforms": {"who": {"request": {"set": {"x-who": "{principal.subject}"}}}},
        "routes": [
            {"name": "shop", "match": {"path": "/shop/{rest=**}"}, "service": "shop",
             "auth": {"any": ["jwt"]}, "ext_authz": true},
            {"name": "pay", "match": {"path": "/shop/pay/{id}", "methods": ["POST"]},
             "service": "payments", "auth": {"any": ["jwt"]}, "limits": ["per-user"],
             "transform": ["who"],
             "peers": ["edge", "spiffe://cluster.local/ns/shop/sa/web"]},
            {"name": "receipts", "match": {"path": "/shop/pay/{id}", "methods": ["GET"]},
             "service": "payments", "auth": {"any": ["jwt"]}}
        ]
    }"#;

pub(super) fn document() -> Document {
    load(TEXT)
}

/// The same with something else in its place.
fn with(from: &str, to: &str) -> Document {
    assert!(TEXT.contains(from), "{from}");
    load(&TEXT.replace(from, to))
}

#[test]
fn the_bundle_runs_beside_the_workload_on_its_way_in_and_knows_its_routes_alone() {
    let plugins = plugins(&document(), &options(30));
    assert_eq!(names(&plugins), ["postern", "postern-payments"]);
    let [gateway, payments] = plugins.as_slice() else { panic!("{plugins:?}") };
    assert_eq!(gateway["metadata"]["namespace"], "edge-ns");
    assert_eq!(payments["metadata"]["namespace"], "shop");
    assert_eq!(payments["spec"]["selector"]["matchLabels"], json!({"app": "payments"}));
    assert_eq!(
        payments["spec"]["match"],
        json!([{"mode": "SERVER", "ports": [{"number": 8080}, {"number": 8081}]}])
    );
    let routes = |plugin: &Value| -> Vec<(String, bool)> {
        let routes = &plugin["spec"]["wasm"]["pluginConfig"]["document"]["routes"];
        let routes = routes.as_array().unwrap().iter();
        routes
            .map(|route| (route["name"].as_str().unwrap().to_owned(), route["auth"] == "none"))
            .collect()
    };
    let named = |names: &[(&str, bool)]| -> Vec<(String, bool)> {
        names.iter().map(|(name, is_open)| ((*name).to_owned(), *is_open)).collect()
    };
    assert_eq!(routes(gateway), named(&[("shop", false), ("pay", true), ("receipts", true)]));
    assert_eq!(routes(payments), named(&[("pay", false), ("receipts", false)]));
    // The suite is the one place that a sidecar asks for keys.
    let sources = &payments["spec"]["wasm"]["pluginConfig"]["key_sources"];
    assert_eq!(sources[0]["cluster"], "outbound|9192||postern.postern-system.svc.cluster.local");
}

/// A pod that came up without a sidecar would be sent plain text, and nobody would have decided.
#[test]
fn what_a_sidecar_guards_is_reached_through_that_sidecar_or_not_at_all() {
    let rules = destination_rules(&document());
    let tls = |host: &str| {
        let rule = rules.iter().find(|rule| rule["spec"]["host"] == host).unwrap();
        let subsets = rule["spec"]["subsets"].as_array().unwrap().iter();
        subsets.map(|subset| subset["trafficPolicy"]["tls"].clone()).collect::<Vec<Value>>()
    };
    let mutual = json!({"mode": "ISTIO_MUTUAL",
                        "subjectAltNames": ["spiffe://cluster.local/ns/shop/sa/payments"]});
    assert_eq!(tls("payments.shop.svc.cluster.local"), [mutual]);
    assert_eq!(tls("web.shop.svc.cluster.local"), [Value::Null], "Istio's business");
}

#[test]
fn a_sidecar_that_cannot_get_keys_is_an_error_with_its_name() {
    let document = with(r#""service": "postern"}"#, r#""uri": "https://login.example.test/keys"}"#);
    let error = render(&document, &options(30)).unwrap_err();
    let RenderError::Workload { workload, problem } = &error else { panic!("{error}") };
    assert_eq!(workload, "payments");
    assert!(problem.contains("fetched_by: server"), "{problem}");
}

fn operations(policy: &Value) -> &Vec<Value> {
    policy["spec"]["rules"][0]["to"].as_array().unwrap()
}

#[test]
fn the_server_is_asked_once_for_what_lies_below_a_prefix() {
    let document = document();
    let policies = made(&document, |rendering| authorization::resources(rendering).unwrap());
    assert_eq!(names(&policies), ["postern-ext-authz", "postern-payments-ext-authz"]);
    // Only the methods that the workload guards are left to it.
    assert_eq!(
        *operations(&policies[0]),
        [
            json!({"operation": {"paths": ["/shop/*"], "notMethods": ["GET", "POST"]}}),
            json!({"operation": {"paths": ["/shop/*"], "methods": ["GET", "POST"],
                                 "notPaths": ["/shop/pay/{*}"]}}),
        ]
    );
    assert_eq!(
        *operations(&policies[1]),
        [json!({"operation": {"paths": ["/shop/pay/{*}"], "methods": ["POST"],
                              "ports": ["8080", "8081"]}})]
    );
    assert_eq!(policies[1]["spec"]["selector"]["matchLabels"], json!({"app": "payments"}));
}

#[test]
fn a_wider_route_of_a_workload_takes_nothing_from_the_edges_narrower_one() {
    let text = TEXT.replace("/shop/{rest=**}", "/list").replace("/shop/pay/{id}", "/{rest=**}");
    let document = load(&text);
    let policies = made(&document, |rendering| authorization::resources(rendering).unwrap());
    assert_eq!(*operations(&policies[0]), [json!({"operation": {"paths": ["/list"]}})]);
}

/// No policy can name a path of this form alone.
#[test]
fn what_a_policy_cannot_leave_out_and_both_would_ask_about_is_an_error() {
    let slash = TEXT.replace("/shop/pay/{id}", "/shop/{id}/");
    let error = render(&load(&slash), &options(30)).unwrap_err();
    let RenderError::Workload { workload, problem } = &error else { panic!("{error}") };
    assert_eq!(workload, "payments");
    assert!(problem.contains("`pay` lies below `shop`"), "{problem}");
    let asked_once = slash.replace(r#""limits": ["per-user"],"#, "");
    assert!(render(&load(&asked_once), &options(30)).is_ok());
}

#[test]
fn a_route_that_is_in_front_at_some_hosts_only_is_an_error() {
    let methods = r#""methods": ["POST"]}"#;
    let document = with(methods, r#""methods": ["POST"], "hosts": ["api.example.test"]}"#);
    let error = render(&document, &options(30)).unwrap_err();
    let RenderError::Workload { workload, problem } = &error else { panic!("{error}") };
    assert_eq!(workload, "payments");
    assert!(problem.contains("`pay`") && problem.contains("`shop`"), "{problem}");
}

#[test]
fn patches_of_a_sidecar_are_for_the_way_in_to_the_workloads_ports() {
    let document = document();
    let filters = envoy_filters(&document);
    let of_payments: Vec<&Value> =
        filters.iter().filter(|filter| filter["metadata"]["namespace"] == "shop").collect();
    let names: Vec<&Value> = of_payments.iter().map(|filter| &filter["metadata"]["name"]).collect();
    assert_eq!(
        names,
        [
            "postern-payments-connection-manager",
            "postern-payments-settlement",
            "postern-payments-ext-authz",
            "postern-payments-ext-proc",
            "postern-payments-routes",
            "postern-payments-ext-proc-routes",
        ]
    );
    for filter in &of_payments {
        let labels = &filter["spec"]["workloadSelector"]["labels"];
        assert_eq!(*labels, json!({"app": "payments"}));
        let patches = filter["spec"]["configPatches"].as_array().unwrap();
        assert_eq!(patches.len(), 2, "one a port");
        for (patch, port) in patches.iter().zip([8080, 8081]) {
            let matched = &patch["match"];
            assert_eq!(matched["context"], "SIDECAR_INBOUND");
            let of = |member: &str| matched[member]["portNumber"].clone();
            let found = [of("listener"), of("routeConfiguration")];
            assert!(found.contains(&json!(port)), "{matched}");
        }
    }
    let settings = |name: &str| {
        let filter = envoy_filter(&document, name);
        filter["spec"]["configPatches"][0]["patch"]["value"]["typed_config"].clone()
    };
    let sidecar = settings("postern-payments-connection-manager");
    assert_eq!(sidecar["path_with_escaped_slashes_action"], "REJECT_REQUEST");
    assert!(sidecar.get("use_remote_address").is_none(), "the mesh's own choice stands");
    assert_eq!(settings("postern-connection-manager")["use_remote_address"], true);
}

/// Where somebody deletes the plugin, neither a policy nor the service may believe callers.
#[test]
fn headers_that_only_the_bundle_writes_are_gone_before_any_filter_runs() {
    let claims = r#""claim_headers": {"x-tenant": "tenant"}, "jwks": {"service""#;
    let document = with(r#""jwks": {"service""#, claims);
    for name in ["postern-connection-manager", "postern-payments-connection-manager"] {
        let filter = envoy_filter(&document, name);
        for patch in filter["spec"]["configPatches"].as_array().unwrap() {
            let settings = &patch["patch"]["value"]["typed_config"];
            let early = &settings["early_header_mutation_extensions"][0]["typed_config"];
            assert_eq!(
                early["mutations"],
                json!([{"remove_on_match": {"key_matcher": {"prefix": "x-postern-"}}},
                       {"remove": "x-tenant"}]),
                "{name}"
            );
        }
    }
}

#[test]
fn guarded_workloads_that_one_policy_alone_closes_are_warned_of() {
    let told = |document: &Document, options: &IstioOptions| {
        let found = warnings(document, options);
        found
            .iter()
            .any(|one| one.contains("no `postern-default-deny`") && one.contains("`payments`"))
    };
    let shared = IstioOptions { default_deny: false, ..options(30) };
    assert!(!told(&document(), &options(30)));
    assert!(told(&document(), &shared));
    assert!(told(&with(r#""edge-ns""#, r#""shop""#), &options(30)), "the gateway's namespace");
}

#[test]
fn a_gateway_whose_labels_speak_for_every_namespace_is_warned_of() {
    let told = |document: &Document, api: Api| {
        let found = warnings(document, &IstioOptions { api, ..options(30) });
        found.iter().any(|warning| warning.contains("root namespace"))
    };
    let root = super::document();
    assert!(told(&root, Api::Istio));
    assert!(!told(&root, Api::Gateway), "bound to a Gateway of its own namespace");
    assert!(!told(&document(), Api::Istio));
    let labelled = |label: &str| {
        let labels = BTreeMap::from([("istio".to_owned(), label.to_owned())]);
        let options = IstioOptions { gateway_selector: Some(labels), ..options(30) };
        warnings(&root, &options).iter().any(|warning| warning.contains("root namespace"))
    };
    assert!(labelled("ingressgateway"));
    assert!(!labelled("shop-edge"), "labels of its own, as the warning says");
}

/// Calls inside the mesh get the headers too; how hosts are compared there is Istio's.
#[test]
fn answers_of_a_guarded_workload_carry_the_security_headers() {
    let document = document();
    let settings = |name: &str| {
        let filter = envoy_filter(&document, name);
        let patch = filter["spec"]["configPatches"][0].clone();
        assert_eq!(patch["applyTo"], "ROUTE_CONFIGURATION");
        patch["patch"]["value"].clone()
    };
    let (gateway, sidecar) = (settings("postern-routes"), settings("postern-payments-routes"));
    for member in ["response_headers_to_add", "response_headers_to_remove"] {
        assert!(!sidecar[member].as_array().unwrap().is_empty());
        assert_eq!(sidecar[member], gateway[member]);
    }
    assert_eq!(gateway["ignore_port_in_host_matching"], true);
    assert_eq!(sidecar.get("ignore_port_in_host_matching"), None);
}

/// What a route computes of its caller is the sidecar's business, which knows the caller.
#[test]
fn the_gateway_asks_ext_proc_nothing_about_routes_that_a_workload_guards() {
    let filters = envoy_filters(&document());
    let names = names(&filters);
    assert!(!names.contains(&"postern-ext-proc"), "{names:?}");
    assert!(!names.contains(&"postern-settlement"), "{names:?}");
}

#[test]
fn descriptors_of_a_route_behind_the_gateway_are_an_error() {
    let filter = r#""rate_limit_filter": {"domain": "d", "on_failure": "deny"}, "workloads": {"#;
    let text = TEXT.replace(r#""workloads": {"#, filter);
    let text = text.replace(r#""peers": ["#, r#""descriptors": [[{"route": true}]], "peers": ["#);
    let error = render(&load(&text), &options(30)).unwrap_err();
    let RenderError::Workload { workload, problem } = &error else { panic!("{error}") };
    assert_eq!(workload, "payments");
    assert!(problem.contains("`pay` has descriptors"), "{problem}");
}

#[test]
fn what_holds_at_the_gateway_alone_is_warned_of() {
    let pinned = IstioOptions { wasm_sha256: Some(HASH.to_owned()), ..options(30) };
    let without_edge = with(r#""peers": ["edge", "#, r#""peers": ["#);
    for (document, is_told) in [(document(), false), (without_edge, true)] {
        let found = warnings(&document, &pinned);
        let told = found.iter().any(|warning| warning.contains("nobody from outside"));
        assert_eq!(told, is_told, "{found:?}");
    }
}

#[test]
fn what_is_meant_and_reaches_further_is_noted_once_for_all_namespaces() {
    let default = options(30);
    let moved = TEXT
        .replace(r#""web": {"namespace": "shop""#, r#""web": {"namespace": "front""#)
        .replace("web.shop.svc", "web.front.svc");
    let two = load(&moved);
    let found = notes(&two, &default);
    let [calls, deny] = found.as_slice() else { panic!("{found:?}") };
    // The gateway asks for the other one.
    assert!(calls.contains("the namespace `shop` with postern.dev/calls=true"), "{calls}");
    assert!(deny.contains("workloads of the namespaces `front`, `shop`,"), "{deny}");
    assert!(!warnings(&two, &default).iter().any(|one| found.contains(one)));
    let shared = notes(&document(), &IstioOptions { default_deny: false, ..options(30) });
    assert!(!shared.iter().any(|note| note.contains("default-deny")), "{shared:?}");
    let found = notes(&super::document(), &default);
    let [circuits] = found.as_slice() else { panic!("nobody but the gateway: {found:?}") };
    assert!(circuits.contains("circuits at `edge` are each Envoy's own"), "{circuits}");
}

/// Istio appends the gateway's certificate to the header, and nobody says which element is whose.
#[test]
fn istio_verifies_tokens_only_where_it_is_asked_to_and_nothing_else_is_taken() {
    let document = document();
    let rules = |asked| {
        let options = IstioOptions { request_authentication: asked, ..options(30) };
        request_authentication::resources(&rendering(&document, &options)).unwrap()
    };
    assert!(rules(RequestAuth::Off).is_empty());
    let asked = rules(RequestAuth::Workloads);
    assert_eq!(names(&asked), ["postern-payments"]);
    assert_eq!(
        asked[0]["spec"]["jwtRules"],
        json!([{"issuer": "https://api.example.test", "audiences": ["api"],
                "forwardOriginalToken": true,
                "fromHeaders": [{"name": "authorization", "prefix": "Bearer "}]}])
    );
    // A route that takes no tokens keeps Istio from looking at any.
    let open = r#"{"name": "open", "match": {"path": "/open"}, "service": "payments",
                   "auth": "none"}, {"name": "shop""#;
    let open = with(r#"{"name": "shop""#, open);
    let options = IstioOptions { request_authentication: RequestAuth::Workloads, ..options(30) };
    assert!(request_authentication::resources(&rendering(&open, &options)).unwrap().is_empty());
}
