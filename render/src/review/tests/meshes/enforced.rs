//! What holds requests to the document, and what others have put beside it: PR223, PR227 to PR230,
//! PR232, PR233.

use super::*;

fn plugin(spec: &str) -> String {
    resource("WasmPlugin", "istio-system/postern", spec)
}

#[test]
fn a_bundle_that_never_runs_is_none() {
    let gateway = "PR223 critical Workload istio-system/edge";
    for (known, idle) in [
        ("phase: AUTHN", "phase: STATS"),
        ("phase: AUTHN", "phase: AUTHZ"),
        ("phase: AUTHN, ", ""),
        ("mode: CLIENT", "mode: SERVER"),
        ("mode: CLIENT", "mode: CLIENT, ports: [{number: 9999}]"),
        ("phase: AUTHN", "phase: AUTHN, type: NETWORK"),
        ("istio: ingressgateway", "istio: egressgateway"),
    ] {
        let idle = unguarded() + &plugin(&PLUGIN.replace(known, idle));
        tells_apart(gateway, &idle, &good());
    }
    let both = plugin(&PLUGIN.replace("mode: CLIENT", "mode: CLIENT_AND_SERVER"));
    tells_apart(gateway, &unguarded(), &(unguarded() + &both));
}

/// A document whose service guards itself.
pub(super) fn guarded() -> Document {
    document(&guarding())
}

pub(super) fn guarding() -> String {
    gateway(&format!(
        "workloads:\n  edge: {{gateway: true, namespace: istio-system, labels: {{istio: \
             ingressgateway}}, service_account: gateway}}\n  shop: {{namespace: default, labels: \
             {{app: shop}}, service_account: shop, ports: [8080]}}\nroutes:\n- {{name: a, match: \
             {{path: /a}}, service: shop, {READ}}}\n"
    ))
    .replace(
        "shop: {upstream: shop.default.svc.cluster.local:8080}",
        "shop: {upstream: 'shop.default.svc.cluster.local:8080', workload: shop, \
             guard: workload}",
    )
    .replace("limits:\n  few: {key: [ip], mode: local, rate: 10/1m}\n", "")
}

pub(super) fn beside_the_shop(ports: &str) -> String {
    let spec = PLUGIN.replace("istio: ingressgateway", "app: shop");
    let matched = format!("mode: SERVER, ports: [{{number: {ports}}}]");
    resource("WasmPlugin", "default/postern-shop", &spec.replace("mode: CLIENT", &matched))
}

pub(super) fn found_of(document: &Document, mesh: &str) -> Vec<String> {
    told(&reviewed_of(document, &[("mesh.yaml", mesh)], &IstioOptions::default()))
}

#[test]
fn a_workload_that_guards_itself_needs_its_own_bundle() {
    let document = guarded();
    let found = |more: &str| found_of(&document, &(good() + more));
    let missing = "PR223 critical Workload default/shop";
    for (mesh, expected) in
        [("".to_owned(), true), (beside_the_shop("9999"), true), (beside_the_shop("8080"), false)]
    {
        assert_eq!(has(&found(&mesh), missing), expected, "{:#?}", found(&mesh));
    }
    // Where the bundle judges, a caller of the mesh meets the document's rules.
    let open = rule("ALLOW", "{to: [{operation: {ports: ['8080']}}]}");
    let past = "PR222 high Workload default/shop";
    assert!(has(&found(&open), past));
    assert!(!has(&found(&(open + &beside_the_shop("8080"))), past));
}

#[test]
fn headers_that_come_through_the_gateway_are_the_bundles() {
    let relies = |principal: &str| {
        rule(
            "ALLOW",
            &format!(
                "{{from: [{{source: {{principals: ['{principal}']}}}}], to: [{{operation: {{ports: \
                 ['8080']}}}}], when: [{{key: 'request.headers[x-postern-scope-read]', values: \
                 ['true']}}]}}"
            ),
        )
    };
    let policy = "PR223 critical AuthorizationPolicy default/p rule 0";
    let by_gateway = good() + &relies(GATEWAY);
    tells_apart(policy, &(good() + &relies("cluster.local/ns/a/sa/b")), &by_gateway);
    // Without a bundle there, the gateway sends on whatever callers wrote.
    tells_apart(policy, &(unguarded() + &relies(GATEWAY)), &by_gateway);
}

#[test]
fn routes_that_need_the_servers_word() {
    let with = |failures: &str| {
        document(
            &gateway(&format!(
                "workloads:\n  edge: {{gateway: true, namespace: istio-system, labels: {{istio: \
                 ingressgateway}}, service_account: gateway}}\nroutes:\n{}",
                route("a", "/a", "auth: {any: [jwt]}, ext_authz: true")
            ))
            .replace("services:\n", &format!("{failures}services:\n")),
        )
    };
    let asked = |paths: &str| {
        policy(
            "istio-system/ask",
            &format!(
                "{{selector: {{matchLabels: {{istio: ingressgateway}}}}, action: CUSTOM, \
                 provider: {{name: postern}}, rules: [{{to: [{{operation: {{paths: \
                 ['{paths}']}}}}]}}]}}"
            ),
        )
    };
    let (closed, open) = (with(""), with("failures: {ext_authz: allow}\n"));
    let never = "PR227 medium Workload istio-system/edge";
    assert!(has(&found_of(&closed, &good()), never), "{:#?}", found_of(&closed, &good()));
    assert!(has(&found_of(&open, &good()), "PR227 high Workload istio-system/edge"));
    for (paths, expected) in [("/a", false), ("/b", true)] {
        let found = found_of(&closed, &(good() + &asked(paths)));
        assert_eq!(has(&found, "PR227"), expected, "{paths}: {found:#?}");
    }
    // A document that needs no word of the server's is fine without.
    assert!(!has(&found_in(&good()), "PR227"));
}

#[test]
fn patches_of_others() {
    let patch = |namespace: &str, context: &str, name: &str, operation: &str| {
        resource(
            "EnvoyFilter",
            &format!("{namespace}/theirs"),
            &format!(
                "{{configPatches: [{{applyTo: HTTP_FILTER, match: {{context: {context}, listener: \
                 {{filterChain: {{filter: {{name: envoy.filters.network.http_connection_manager, \
                 subFilter: {{name: {name}}}}}}}}}}}, patch: {{operation: {operation}}}}}]}}"
            ),
        )
    };
    let rbac = "envoy.filters.http.rbac";
    let removed = patch("istio-system", "GATEWAY", rbac, "REMOVE");
    let id = "PR228 critical EnvoyFilter istio-system/theirs";
    for harmless in [
        patch("istio-system", "SIDECAR_OUTBOUND", rbac, "REMOVE"),
        patch("other", "GATEWAY", rbac, "REMOVE"),
        patch("istio-system", "GATEWAY", "envoy.filters.http.compressor", "REMOVE"),
        patch("istio-system", "GATEWAY", rbac, "INSERT_BEFORE"),
    ] {
        added(id, &removed, &harmless);
    }
    let merged = patch("istio-system", "ANY", "envoy.filters.http.ext_authz", "MERGE");
    added("PR228 high EnvoyFilter", &merged, "");
    let off = resource(
        "EnvoyFilter",
        "istio-system/theirs",
        "{configPatches: [{applyTo: HTTP_ROUTE, patch: {operation: MERGE, value: \
         {typed_per_filter_config: {envoy.filters.http.ext_authz: {disabled: true}}}}}]}",
    );
    added(id, &off, "");
}

#[test]
fn patches_of_others_behind_the_bundle() {
    let patch = |apply_to: &str, context: &str, matched: &str, done: &str| {
        resource(
            "EnvoyFilter",
            "istio-system/theirs",
            &format!(
                "{{configPatches: [{{applyTo: {apply_to}, match: {{context: {context}{matched}}}, \
                 patch: {{{done}}}}}]}}"
            ),
        )
    };
    let route = |done: &str| patch("HTTP_ROUTE", "GATEWAY", "", done);
    let id = |severity: &str| format!("PR228 {severity} EnvoyFilter istio-system/theirs");
    let harmless = route("operation: MERGE, value: {route: {timeout: 5s}}");
    let header = |name: &str| {
        format!(
            "operation: MERGE, value: {{request_headers_to_add: [{{header: {{key: {name}, value: \
             a}}}}]}}"
        )
    };
    for (severity, bad) in [
        ("critical", route(&header("X-Postern-Subject"))),
        (
            "critical",
            patch(
                "ROUTE_CONFIGURATION",
                "GATEWAY",
                "",
                "operation: MERGE, value: {virtual_hosts: [{request_headers_to_add: [{header: \
                 {key: x-postern-scope-admin, value: 'true'}}]}]}",
            ),
        ),
        ("high", route("operation: MERGE, value: {route: {cluster: evil}}")),
        ("high", route("operation: MERGE, value: {route: {prefix_rewrite: /admin}}")),
        ("high", route("operation: INSERT_FIRST, value: {match: {prefix: /}}")),
        ("high", route("operation: REMOVE")),
        ("high", patch("VIRTUAL_HOST", "ANY", "", "operation: ADD, value: {name: a}")),
        (
            "medium",
            patch(
                "CLUSTER",
                "SIDECAR_OUTBOUND",
                ", cluster: {service: postern.postern-system.svc.cluster.local}",
                "operation: MERGE, value: {load_assignment: {endpoints: []}}",
            ),
        ),
    ] {
        added(&id(severity), &bad, &harmless);
    }
    for harmless in [
        harmless.clone(),
        route(&header("x-request-start")),
        patch("HTTP_ROUTE", "SIDECAR_OUTBOUND", "", "operation: REMOVE"),
        patch("CLUSTER", "ANY", "", "operation: MERGE, value: {connect_timeout: 1s}"),
        patch("CLUSTER", "ANY", "", "operation: ADD, value: {name: a, type: STATIC}"),
    ] {
        assert!(!has(&found_in(&(good() + &harmless)), "PR228"), "{harmless}");
    }
}

#[test]
fn identity_headers_that_others_write_behind_the_bundle() {
    let asks = |namespace: &str, more: &str| {
        resource(
            "RequestAuthentication",
            &format!("{namespace}/theirs"),
            &format!("{{jwtRules: [{{issuer: 'https://other.test', {more}}}]}}"),
        )
    };
    let claim = |header: &str| format!("outputClaimToHeaders: [{{header: {header}, claim: sub}}]");
    let payload = |header: &str| format!("outputPayloadToHeader: {header}");
    for namespace in ["istio-system", "default"] {
        let id = format!("PR233 critical RequestAuthentication {namespace}/theirs");
        let harmless = asks(namespace, &claim("x-theirs"));
        for bad in [claim("X-Postern-Subject"), payload("x-postern-scope-read")] {
            added(&id, &asks(namespace, &bad), &harmless);
            added(&id, &asks(namespace, &bad), &asks("elsewhere", &bad));
        }
    }
}

#[test]
fn where_others_say_that_a_service_is() {
    let entry = |spec: &str| resource("ServiceEntry", "other/theirs", spec);
    let rule = |spec: &str| resource("DestinationRule", "other/theirs", spec);
    let host = "shop.default.svc.cluster.local";
    let at = |more: &str| {
        entry(&format!("{{hosts: [{host}], endpoints: [{{address: 192.0.2.1}}]{more}}}"))
    };
    for bad in [at(""), at(", exportTo: ['*']"), at(", exportTo: [istio-system]")] {
        added("PR232 high ServiceEntry other/theirs", &bad, &at(", exportTo: ['.']"));
        let by_name = entry(&format!("{{hosts: [{host}], resolution: DNS}}"));
        added("PR232 high ServiceEntry other/theirs", &bad, &by_name);
    }
    let plain = |host: &str, mode: &str| {
        rule(&format!("{{host: '{host}', trafficPolicy: {{tls: {{mode: {mode}}}}}}}"))
    };
    let by_port = format!(
        "{{host: {host}, trafficPolicy: {{portLevelSettings: [{{port: {{number: 8080}}, tls: \
         {{mode: SIMPLE, insecureSkipVerify: true}}}}]}}}}"
    );
    let id = "PR232 high DestinationRule other/theirs";
    for bad in [plain(host, "DISABLE"), plain("*.local", "SIMPLE"), rule(&by_port)] {
        for harmless in [
            plain("other.default.svc.cluster.local", "DISABLE"),
            // What the mesh does anyhow.
            plain("*.local", "ISTIO_MUTUAL"),
            rule(&format!("{{host: {host}, trafficPolicy: {{connectionPool: {{}}}}}}")),
        ] {
            added(id, &bad, &harmless);
        }
    }
    // A service with a certificate of its own is no part of the mesh.
    let secure = document(&gateway(&format!("routes:\n{}", route("a", "/a", READ))).replace(
        "{upstream: shop.default.svc.cluster.local:8080}",
        "{upstream: \
                      'api.partner.test:443', tls: true}",
    ));
    let mutual = plain("api.partner.test", "ISTIO_MUTUAL");
    assert!(has(&found_of(&secure, &(good() + &mutual)), id));
}

#[test]
fn a_namespace_that_asks_for_no_sidecars() {
    let namespace = |labels: &str| {
        format!(
            "---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: default, labels: {{{labels}}}}}\n"
        )
    };
    let wanted = namespace("istio-injection: enabled");
    added("PR229 critical Workload default/shop", &namespace("istio-injection: disabled"), &wanted);
    added("PR229 high Workload default/shop", &namespace("team: a"), &wanted);
}

#[test]
fn pods_that_are_reached_past_their_sidecars() {
    let annotated = |ports: &str| {
        good().replace(
            "metadata: {labels: {app: shop}}",
            &format!(
                "metadata: {{labels: {{app: shop}}, annotations: \
                 {{traffic.sidecar.istio.io/excludeInboundPorts: '{ports}'}}}}"
            ),
        )
    };
    let id = "PR229 critical Workload default/shop";
    tells_apart(id, &annotated("8080"), &annotated("5432"));
    let without = good().replace(
        "metadata: {labels: {app: shop}}",
        "metadata: {labels: {app: shop, sidecar.istio.io/inject: 'false'}}",
    );
    tells_apart(id, &without, &good());
    tells_apart(
        id,
        &good().replace("spec: {containers", "spec: {hostNetwork: true, containers"),
        &good(),
    );
}

#[test]
fn routes_of_others_on_our_gateway() {
    let service = |id: &str, gateways: &str| {
        resource(
            "VirtualService",
            id,
            &format!(
                "{{hosts: ['*'], gateways: [{gateways}], http: [{{timeout: 1s, route: \
                 [{{destination: {{host: a}}}}]}}]}}"
            ),
        )
    };
    let foreign = service("istio-system/theirs", "postern");
    for harmless in [
        service("istio-system/theirs", "other"),
        service("istio-system/theirs", "mesh"),
        // As it is rendered, the gateway takes routes of its own namespace alone.
        service("default/theirs", "istio-system/postern"),
    ] {
        added("PR230 high VirtualService istio-system/theirs", &foreign, &harmless);
    }
    // What else listens on the same pods, the bundle judges by the same document.
    let beside = |labels: &str| {
        resource(
            "Gateway",
            "default/beside",
            &format!("{{selector: {{istio: {labels}}}, servers: [{{hosts: ['*']}}]}}"),
        ) + &service("default/theirs", "beside")
    };
    let elsewhere = beside("egressgateway");
    added("PR230 high VirtualService default/theirs", &beside("ingressgateway"), &elsewhere);
    let wide = resource("Gateway", "istio-system/postern", "{servers: [{hosts: ['*']}]}");
    let elsewhere = service("default/theirs", "istio-system/postern");
    added("PR230 high VirtualService default/theirs", &(wide + &elsewhere), &elsewhere);
}
