use std::collections::BTreeMap;

use postern_document::from_json;

use super::super::{Attach, IstioOptions, hosts};
use super::*;

fn load(document: &Value) -> Document {
    from_json(document.to_string().as_bytes()).unwrap()
}

/// A document of routes to one service in the cluster; `members` is what each has besides name,
/// service and auth.
fn document_of(routes: &[(&str, Value)]) -> Document {
    let routes: Vec<Value> = routes
        .iter()
        .map(|(name, members)| {
            let mut route = json!({"name": name, "service": "shop", "auth": "none"});
            for (member, value) in members.as_object().unwrap() {
                route[member] = value.clone();
            }
            route
        })
        .collect();
    load(&json!({
        "version": 1,
        "services": {"shop": {"upstream": "shop.store.svc.cluster.local:8080"}},
        "routes": routes,
    }))
}

/// A service in the cluster with a version on a host of its own, and one that is outside.
fn canary_document() -> Document {
    load(&json!({
        "version": 1,
        "services": {
            "shop": {
                "upstream": "shop.store.svc.cluster.local:8080",
                "retries": {"attempts": 3, "on": ["connect-failure"], "per_try_timeout": "500ms"},
                "versions": {
                    "stable": {"upstream": "shop.store.svc.cluster.local:8080"},
                    "canary": {"upstream": "shop-canary.store.svc.cluster.local:8080"},
                },
            },
            "partner": {"upstream": "partner.example.test:443", "tls": true},
        },
        "routes": [
            {"name": "orders", "match": {"path": "/orders/{id}", "methods": ["GET", "POST"]},
             "service": "shop", "auth": "none", "timeout": "1500ms",
             "split": {"stable": 90, "canary": 10},
             "canary": [
                 {"header": "x-canary", "value": "always", "version": "canary"},
                 {"header": "x-build", "value": {"prefix": "v2."}, "version": "canary"},
             ],
             "fault": {"abort": {"share": "0.01%", "status": 503}}},
            {"name": "partner", "match": {"path": "/partner/{rest=**}"}, "service": "partner",
             "auth": "none"},
            {"name": "health", "match": {"path": "/health"}, "service": "postern", "auth": "none"},
        ],
    }))
}

fn options() -> IstioOptions {
    IstioOptions { api: Api::Gateway, ..IstioOptions::default() }
}

/// A gateway for these hosts, some of which have a Secret of their own.
fn serving(hosts: &[&str], secrets: &[(&str, &str)]) -> IstioOptions {
    let secrets = secrets.iter().map(|(host, name)| ((*host).to_owned(), (*name).to_owned()));
    IstioOptions {
        hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
        host_tls_secrets: secrets.collect(),
        ..options()
    }
}

fn try_rendered(document: &Document, options: &IstioOptions) -> Result<Vec<Value>, RenderError> {
    let rendering = Rendering::of(document, options)?;
    let hosts = hosts::served(&rendering)?;
    resources(&rendering, &hosts, &Destinations::of(&rendering)?)
}

fn rendered(document: &Document, options: &IstioOptions) -> Vec<Value> {
    try_rendered(document, options).unwrap()
}

fn of_kind(resources: &[Value], kind: &str) -> Vec<Value> {
    resources.iter().filter(|resource| resource["kind"] == kind).cloned().collect()
}

fn only(resources: &[Value], kind: &str) -> Value {
    let found = of_kind(resources, kind);
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].clone()
}

fn rules(resources: &[Value]) -> Vec<Value> {
    let routes = of_kind(resources, "HTTPRoute");
    routes.iter().flat_map(|route| route["spec"]["rules"].as_array().unwrap().clone()).collect()
}

fn rule(resources: &[Value], name: &str) -> Value {
    let rules = rules(resources);
    rules.into_iter().find(|rule| rule["name"] == name).unwrap()
}

fn names(rules: &Value) -> Vec<&str> {
    rules.as_array().unwrap().iter().map(|rule| rule["name"].as_str().unwrap()).collect()
}

#[test]
fn nobody_outside_the_gateways_namespace_can_put_a_route_beside_the_documents() {
    let document = document_of(&[("a", json!({"match": {"path": "/a"}}))]);
    let resources = rendered(&document, &options());
    let gateway = only(&resources, "Gateway");
    assert_eq!(gateway["apiVersion"], "gateway.networking.k8s.io/v1");
    assert_eq!(gateway["metadata"]["name"], "postern");
    assert_eq!(
        gateway["spec"],
        json!({"gatewayClassName": "istio", "listeners": [{
            "name": "https", "port": 443, "protocol": "HTTPS",
            "allowedRoutes": {
                "namespaces": {"from": "Same"},
                "kinds": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute"}],
            },
            "tls": {
                "mode": "Terminate",
                "certificateRefs": [{"group": "", "kind": "Secret", "name": "postern-gateway-tls"}],
            },
        }]})
    );
    let plain = IstioOptions { gateway_tls_secret: None, ..options() };
    let gateway = only(&rendered(&document, &plain), "Gateway");
    let listener = &gateway["spec"]["listeners"][0];
    assert_eq!((&listener["port"], &listener["protocol"]), (&json!(80), &json!("HTTP")));
    assert!(listener.get("tls").is_none());
}

#[test]
fn callers_are_asked_for_certificates_only_where_tokens_are_bound_to_them() {
    let bound = load(&json!({
        "version": 1,
        "issuer": "https://api.example.test",
        "credentials": {"jwt": {
            "issuers": [{"issuer": "https://api.example.test", "audiences": ["api"],
                         "jwks": {"service": "postern"}}],
            "bound": {"certificate": "connection"},
        }},
        "routes": [{"name": "a", "match": {"path": "/a"}, "service": "postern",
                    "auth": {"any": ["jwt"]}}],
    }));
    let mode = |document: &Document| {
        let gateway = only(&rendered(document, &options()), "Gateway");
        gateway["spec"]["listeners"][0]["tls"]["options"].clone()
    };
    let optional = json!({"gateway.istio.io/tls-terminate-mode": "OPTIONAL_MUTUAL"});
    assert_eq!(mode(&bound), optional);
    assert_eq!(mode(&document_of(&[("a", json!({"match": {"path": "/a"}}))])), Value::Null);
}

#[test]
fn a_host_with_a_certificate_of_its_own_takes_no_rules_of_wider_hosts() {
    let document = document_of(&[
        ("own", json!({"match": {"path": "/a", "hosts": ["api.example.test"]}})),
        ("all", json!({"match": {"path": "/a"}})),
    ]);
    let secrets = [("api.example.test", "api-tls"), ("*.other.test", "other-tls")];
    let hosts = ["shop.example.test", "api.example.test", "*.other.test"];
    let options = serving(&hosts, &secrets);
    let resources = rendered(&document, &options);
    let gateway = only(&resources, "Gateway");
    let listeners = gateway["spec"]["listeners"].as_array().unwrap();
    let listeners: Vec<(&Value, &Value, &Value)> = listeners
        .iter()
        .map(|listener| {
            let secret = &listener["tls"]["certificateRefs"][0]["name"];
            (&listener["name"], &listener["hostname"], secret)
        })
        .collect();
    assert_eq!(
        listeners,
        [
            (&json!("https"), &Value::Null, &json!("postern-gateway-tls")),
            (&json!("https-2"), &json!("*.other.test"), &json!("other-tls")),
            (&json!("https-3"), &json!("api.example.test"), &json!("api-tls")),
        ]
    );
    let routes = of_kind(&resources, "HTTPRoute");
    let bound: Vec<(&Value, &Value, Vec<&str>)> = routes
        .iter()
        .map(|route| {
            let spec = &route["spec"];
            (&spec["parentRefs"][0]["sectionName"], &spec["hostnames"], names(&spec["rules"]))
        })
        .collect();
    assert_eq!(
        bound,
        [
            (&json!("https-3"), &json!(["api.example.test"]), vec!["own"]),
            (&json!("https"), &json!(["shop.example.test"]), vec!["all"]),
            (&json!("https-2"), &json!(["*.other.test"]), vec!["all"]),
        ]
    );
    // Where every host has its own, there is no certificate for others.
    let options = serving(&["api.example.test"], &[("api.example.test", "api-tls")]);
    let gateway = only(&rendered(&document, &options), "Gateway");
    assert_eq!(gateway["spec"]["listeners"].as_array().unwrap().len(), 1);
    assert_eq!(gateway["spec"]["listeners"][0]["hostname"], "api.example.test");
}

/// Over a connection for the wider host, its requests would meet the wider host's rules.
#[test]
fn a_host_with_routes_and_a_certificate_of_its_own_below_a_wider_one_is_refused_by_name() {
    let document = document_of(&[
        ("own", json!({"match": {"path": "/a", "hosts": ["api.example.test"]}})),
        ("all", json!({"match": {"path": "/a"}})),
    ]);
    let own = ("api.example.test", "api-tls");
    for (hosts, secrets) in [
        (vec!["*", "api.example.test"], vec![own]),
        (vec!["*", "*.example.test", "api.example.test"], vec![own, ("*.example.test", "e-tls")]),
        // The host is part of what has the certificate.
        (vec!["*", "*.example.test"], vec![("*.example.test", "e-tls")]),
    ] {
        let error = try_rendered(&document, &serving(&hosts, &secrets)).unwrap_err();
        let RenderError::RouteHost { route, host, .. } = &error else { panic!("{error}") };
        assert_eq!((route.as_str(), host.as_str()), ("own", "api.example.test"), "{hosts:?}");
    }
    // Without routes of its own, or without anything wider, there is nothing to mix.
    for (hosts, secrets) in [
        (vec!["*", "api.example.test"], vec![]),
        (vec!["*", "api.example.test", "other.test"], vec![("other.test", "o-tls")]),
        (vec!["other.test", "api.example.test"], vec![own]),
    ] {
        assert!(try_rendered(&document, &serving(&hosts, &secrets)).is_ok(), "{hosts:?}");
    }
}

#[test]
fn a_rule_says_what_the_route_says() {
    let document = document_of(&[(
        "items",
        json!({
            "match": {"path": "/items/{rest=**}", "methods": ["GET", "DELETE"]},
            "timeout": "90s",
        }),
    )]);
    let resources = rendered(&document, &options());
    assert_eq!(
        rules(&resources),
        [json!({
            "name": "items",
            "matches": [
                {"path": {"type": "PathPrefix", "value": "/items"}, "method": "GET"},
                {"path": {"type": "PathPrefix", "value": "/items"}, "method": "DELETE"},
            ],
            "timeouts": {"request": "1m30s"},
            "backendRefs": [{
                "group": "", "kind": "Service", "name": "shop", "namespace": "store", "port": 8080,
            }],
        })]
    );
    let route = only(&resources, "HTTPRoute");
    assert_eq!(route["metadata"]["name"], "postern-001");
    assert_eq!(
        route["spec"]["parentRefs"],
        json!([{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "postern",
                "sectionName": "https"}])
    );
}

#[test]
fn fixed_headers_are_modified_and_computed_ones_left_to_the_server() {
    let document = load(&json!({
        "version": 1,
        "transforms": {"mark": {
            "request": {"set": {"x-gateway": "100% postern"}, "remove": ["x-debug"]},
            "response": {"set": {"x-route": "{route.name}", "x-fixed": "a"}},
        }},
        "routes": [{"name": "a", "match": {"path": "/a"}, "service": "postern", "auth": "none",
                    "transform": ["mark"]}],
    }));
    assert_eq!(
        rule(&rendered(&document, &options()), "a")["filters"],
        json!([
            {"type": "RequestHeaderModifier", "requestHeaderModifier": {
                "set": [{"name": "x-gateway", "value": "100%% postern"}], "remove": ["x-debug"],
            }},
            {"type": "ResponseHeaderModifier", "responseHeaderModifier": {
                "set": [{"name": "x-fixed", "value": "a"}],
            }},
        ])
    );
}

#[test]
fn requests_are_split_and_picked_by_headers() {
    let resources = rendered(&canary_document(), &options());
    let service = |name: &str, weight: Option<u8>| {
        let mut service = json!({
            "group": "", "kind": "Service", "name": name, "namespace": "store", "port": 8080,
        });
        if let Some(weight) = weight {
            service["weight"] = json!(weight);
        }
        service
    };
    let orders = rule(&resources, "orders");
    assert_eq!(
        orders["backendRefs"],
        json!([service("shop-canary", Some(10)), service("shop", Some(90))])
    );
    assert_eq!(orders["timeouts"], json!({"request": "1s500ms"}));
    let picks = [
        ("orders.canary-1", json!({"name": "x-canary", "type": "Exact", "value": "always"})),
        (
            "orders.canary-2",
            json!({"name": "x-build", "type": "RegularExpression", "value": "v2\\..*"}),
        ),
    ];
    for (name, header) in picks {
        let pick = rule(&resources, name);
        assert_eq!(pick["backendRefs"], json!([service("shop-canary", None)]));
        let matches = pick["matches"].as_array().unwrap();
        assert_eq!(matches.len(), 2);
        for (matched, method) in matches.iter().zip(["GET", "POST"]) {
            assert_eq!(
                (&matched["headers"], &matched["method"]),
                (&json!([header]), &json!(method))
            );
            assert_eq!(matched["path"], orders["matches"][0]["path"]);
        }
    }
    // The order within an HTTPRoute decides between the two.
    let route = only(&resources, "HTTPRoute");
    assert_eq!(
        names(&route["spec"]["rules"]),
        ["health", "orders.canary-1", "orders.canary-2", "orders", "partner"]
    );
}

#[test]
fn what_the_bundle_sends_to_another_service_has_a_rule_of_its_own() {
    let document = load(&json!({
        "version": 1,
        "services": {
            "shop": {"upstream": "shop.store.svc.cluster.local:8080", "circuit": {}},
            "cached": {"upstream": "cached.store.svc.cluster.local:8080"},
        },
        "routes": [{"name": "shop", "match": {"path": "/shop"}, "service": "shop", "auth": "none",
                    "fallback": {"service": "cached"}}],
    }));
    let resources = rendered(&document, &options());
    let route = only(&resources, "HTTPRoute");
    assert_eq!(names(&route["spec"]["rules"]), ["shop.fallback", "shop"]);
    let [elsewhere, own] = ["shop.fallback", "shop"].map(|name| rule(&resources, name));
    let header = json!([{"name": "x-postern-fallback", "type": "Exact", "value": "1"}]);
    assert_eq!(elsewhere["matches"][0]["headers"], header);
    assert_eq!(elsewhere["backendRefs"][0]["name"], "cached");
    let removed = json!({"type": "RequestHeaderModifier",
                         "requestHeaderModifier": {"remove": ["x-postern-fallback"]}});
    assert!(elsewhere["filters"].as_array().unwrap().contains(&removed), "{elsewhere}");
    assert_eq!(own["matches"][0]["headers"], Value::Null);
    assert_eq!(own["backendRefs"][0]["name"], "shop");
    assert_eq!(rule_names(&document.routes[0]), ["shop.fallback", "shop"]);
}

#[test]
fn what_is_no_service_of_the_cluster_is_a_host() {
    let resources = rendered(&canary_document(), &options());
    assert_eq!(
        rule(&resources, "partner")["backendRefs"],
        json!([{"group": "networking.istio.io", "kind": "Hostname",
                "name": "partner.example.test", "port": 443}])
    );
}

#[test]
fn services_of_other_namespaces_give_leave_by_name() {
    let grants = |options: &IstioOptions| {
        let grants = of_kind(&rendered(&canary_document(), options), "ReferenceGrant");
        let said = |grant: &Value| (grant["metadata"]["namespace"].clone(), grant["spec"].clone());
        grants.iter().map(said).collect::<Vec<_>>()
    };
    let spec = |names: &[&str]| {
        let service = |name: &&str| json!({"group": "", "kind": "Service", "name": name});
        let services: Vec<Value> = names.iter().map(service).collect();
        json!({
            "from": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute",
                      "namespace": "istio-system"}],
            "to": services,
        })
    };
    assert_eq!(
        grants(&options()),
        [
            (json!("postern-system"), spec(&["postern"])),
            (json!("store"), spec(&["shop", "shop-canary"])),
        ]
    );
    let near = IstioOptions { gateway_namespace: Some("store".to_owned()), ..options() };
    assert_eq!(grants(&near).len(), 1, "its own namespace needs no leave");
}

#[test]
fn sixteen_rules_are_in_an_http_route_and_a_routes_rules_in_one() {
    let routes: Vec<(String, Value)> = (10..50)
        .map(|at| (format!("r{at}"), json!({"match": {"path": format!("/r{at}/{{id}}")}})))
        .collect();
    let routes: Vec<(&str, Value)> =
        routes.iter().map(|(name, members)| (name.as_str(), members.clone())).collect();
    let resources = of_kind(&rendered(&document_of(&routes), &options()), "HTTPRoute");
    let sizes: Vec<usize> =
        resources.iter().map(|route| names(&route["spec"]["rules"]).len()).collect();
    assert_eq!(sizes, [16, 16, 8]);
    let names: Vec<&Value> = resources.iter().map(|route| &route["metadata"]["name"]).collect();
    assert_eq!(names, ["postern-001", "postern-002", "postern-003"]);

    // Six rules each: two and a half would fit, so two are taken.
    let pick = |at| json!({"header": "x-canary", "value": format!("v{at}"), "version": "v1"});
    let canary: Vec<Value> = (1..=5).map(pick).collect();
    let routes: Vec<Value> = ["a", "b", "c"]
        .iter()
        .map(|name| {
            json!({"name": name, "match": {"path": format!("/{name}")}, "service": "shop",
                   "auth": "none", "split": {"v1": 100}, "canary": canary})
        })
        .collect();
    let document = load(&json!({
        "version": 1,
        "services": {"shop": {
            "upstream": "shop.store.svc.cluster.local:8080",
            "versions": {"v1": {"upstream": "shop.store.svc.cluster.local:8080"}},
        }},
        "routes": routes,
    }));
    let resources = of_kind(&rendered(&document, &options()), "HTTPRoute");
    let sizes: Vec<usize> =
        resources.iter().map(|route| self::names(&route["spec"]["rules"]).len()).collect();
    assert_eq!(sizes, [12, 6]);
}

#[test]
fn every_rule_is_told_when_to_try_again_and_what_goes_wrong() {
    let (document, options) = (canary_document(), options());
    let rendering = Rendering::of(&document, &options).unwrap();
    assert_eq!(rendering.gateway.attach, Attach::Gateway("postern".to_owned()));
    let patches: BTreeMap<String, Value> = route_patches(&rendering).into_iter().collect();
    // As many as there are rules, so that Istio's two more attempts are nobody's.
    let mut names: Vec<String> = rules(&rendered(&document, &options))
        .iter()
        .map(|rule| rule["name"].as_str().unwrap().to_owned())
        .collect();
    names.sort_unstable();
    assert_eq!(patches.keys().collect::<Vec<_>>(), names.iter().collect::<Vec<_>>());

    assert_eq!(
        patches["health"],
        json!({"route": {"retry_policy": {"retry_on": "retriable-headers"}}})
    );
    for name in ["orders", "orders.canary-1", "orders.canary-2"] {
        assert_eq!(
            patches[name]["route"]["retry_policy"],
            json!({"retry_on": "connect-failure", "num_retries": 2, "per_try_timeout": "0.500s"})
        );
        let fault = &patches[name]["typed_per_filter_config"]["envoy.filters.http.fault"];
        assert_eq!(
            fault["abort"],
            json!({"http_status": 503,
                   "percentage": {"numerator": 100, "denominator": "MILLION"}})
        );
    }
    assert!(patches["partner"].get("typed_per_filter_config").is_none());
    let all = rendered(&document, &options);
    assert!(rules(&all).iter().all(|rule| rule.get("retry").is_none()));
}

#[test]
fn what_this_api_has_no_words_for_is_refused_by_name() {
    let long = format!("/{}", "a".repeat(1_024));
    let many: BTreeMap<String, &str> = (0..17).map(|at| (format!("x-{at}"), "a")).collect();
    let transformed = |set: Value| {
        load(&json!({
            "version": 1,
            "transforms": {"mark": {"request": {"set": set}}},
            "routes": [{"name": "a", "match": {"path": "/a"}, "service": "postern",
                        "auth": "none", "transform": ["mark"]}],
        }))
    };
    let by_labels = load(&json!({
        "version": 1,
        "services": {"shop": {
            "upstream": "shop.store.svc.cluster.local:8080",
            "versions": {"v1": {"labels": {"version": "v1"}}},
        }},
        "routes": [{"name": "a", "match": {"path": "/a"}, "service": "shop", "auth": "none",
                    "split": {"v1": 100}}],
    }));
    for (document, owner, what) in [
        (
            document_of(&[("a", json!({"match": {"path": "/a", "methods": ["PURGE"]}}))]),
            "route `a`",
            "the method `PURGE`",
        ),
        (document_of(&[("a", json!({"match": {"path": long}}))]), "route `a`", "1025 bytes"),
        (transformed(json!({"x-a": "two  spaces"})), "route `a`", "the header `x-a`"),
        (transformed(json!({"x-a": "x".repeat(4_097)})), "route `a`", "the header `x-a`"),
        (transformed(json!(many)), "route `a`", "more than 16 headers"),
        (by_labels, "version `v1`", "labels alone"),
    ] {
        let error = try_rendered(&document, &options()).unwrap_err();
        let RenderError::NotInThisApi { api, .. } = &error else { panic!("{error}") };
        assert_eq!(*api, "gateway");
        let is_version = owner.starts_with("version");
        let place = if is_version { "services.shop.versions.v1" } else { "routes.a" };
        assert_eq!(error.path().as_deref(), Some(place));
        let error = error.to_string();
        assert!(error.contains(owner) && error.contains(what), "{error}");
        assert_eq!(error.contains("give the version an `upstream`"), is_version, "{error}");
    }
}

#[test]
fn routes_in_no_order_are_refused_by_name() {
    let path = format!("/{{y}}/{}", "b".repeat(1_017));
    let document = document_of(&[
        ("first", json!({"match": {"path": "/a/{x}"}})),
        ("second", json!({"match": {"path": path}})),
    ]);
    assert_eq!(
        try_rendered(&document, &options()).unwrap_err(),
        RenderError::RouteOrder {
            route: "first".to_owned(),
            other: "second".to_owned(),
            host: "*".to_owned(),
        }
    );
}
