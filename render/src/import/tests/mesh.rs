//! VirtualServices, gateways and issuers.

use super::*;

/// A VirtualService for `shop.test`, with a gateway that stands in the files.
fn routed(http: &str) -> String {
    format!(
        "{WORKLOADS}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: edge, namespace: istio-system}}
spec: {{selector: {{istio: ingressgateway}}}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: shop, namespace: shop}}
spec:
  hosts: [shop.test]
  gateways: [istio-system/edge]
  http:
{http}"
    )
}

const PAY_THEN_WEB: &str = "  - match: [{uri: {prefix: /pay/}}]
    route: [{destination: {host: pay}}]
    timeout: 5s
  - route: [{destination: {host: web.shop.svc.cluster.local, port: {number: 80}}}]
";

fn open(app: &str) -> String {
    policy(app, &format!("{{selector: {{matchLabels: {{app: {app}}}}}, rules: [{{}}]}}"))
}

/// A policy of the gateway.
fn at_gateway(spec: &str) -> String {
    policy("edge", spec).replace("namespace: shop", "namespace: istio-system")
}

const GATEWAY: &str = "selector: {matchLabels: {istio: ingressgateway}}";

#[test]
fn routes_have_the_hosts_and_paths_of_virtual_services() {
    let import = imported(&(routed(PAY_THEN_WEB) + TOKENS + &open("pay") + &open("web")));
    let expected = ["shop.test/pay/** -> pay optional", "shop.test/** -> web optional"];
    assert_eq!(routes(&import), expected);
    let document = document(&import);
    assert_eq!(document.routes[0].timeout_ms, 5000);
    let service = &document.services[0];
    assert_eq!((service.host.as_str(), service.port), ("pay.shop.svc.cluster.local", 80));
}

#[test]
fn what_goes_elsewhere_is_not_let_in_by_a_wider_route() {
    // Only `/pay/a` is let in there; the rest of `/pay/` must not go to `web`.
    let narrow = policy(
        "pay",
        "{selector: {matchLabels: {app: pay}}, rules: [{to: [{operation: {paths: [/pay/a]}}]}]}",
    );
    let import = imported(&(routed(PAY_THEN_WEB) + TOKENS + &narrow + &open("web")));
    let expected = [
        "shop.test/pay/a -> pay optional",
        "shop.test/pay/** -> web token iss=nobody",
        "shop.test/** -> web optional",
    ];
    assert_eq!(routes(&import), expected);
    // Without tokens there is no such route, and so the wider one is left out.
    let import = imported(&(routed(PAY_THEN_WEB) + &narrow + &open("web")));
    assert_eq!(routes(&import), ["shop.test/pay/a -> pay open"]);
}

/// Two routes, to `pay` and then to `web`.
fn two(first: &str, second: &str) -> Import {
    let http = format!(
        "  - match: [{first}]\n    route: [{{destination: {{host: pay}}}}]\n  - match: [{second}]\n    \
         route: [{{destination: {{host: web}}}}]\n"
    );
    imported(&(routed(&http) + TOKENS + &open("pay") + &open("web")))
}

#[test]
fn a_prefix_takes_nothing_of_a_path_that_begins_otherwise() {
    let prefix = |text: &str| format!("{{uri: {{prefix: {text}}}}}");
    for second in [prefix("/b"), prefix("/b/"), "{uri: {exact: /b}}".to_owned()] {
        let import = two(&prefix("/a"), &second);
        let found = routes(&import);
        assert!(found.iter().any(|route| route.starts_with("shop.test/b")), "{second}: {found:?}");
        let of_second = "http[1].match: left out";
        assert!(!told(&import).contains(of_second), "{}", told(&import));
    }
}

#[test]
fn a_route_that_another_one_takes_wholly_is_told() {
    for (first, second) in [
        ("{uri: {prefix: /a}}", "{uri: {prefix: /ab}}"),
        ("{uri: {prefix: /a}}", "{uri: {prefix: /}}"),
        ("{uri: {prefix: /a/}}", "{uri: {exact: /a/b}}"),
        ("{uri: {exact: /a}, ignoreUriCase: true}", "{uri: {exact: /A}}"),
    ] {
        let import = two(first, second);
        let found = routes(&import);
        let open = |route: &String| route.contains("-> web") && !route.contains("nobody");
        assert!(!found.iter().any(open), "{first} {second}: {found:?}");
        assert!(told(&import).contains("http[1].match: left out"), "{}", told(&import));
    }
}

#[test]
fn what_the_document_cannot_route_takes_its_requests_along() {
    for (first, field) in [
        ("{uri: {prefix: /pay/}, headers: {x-a: {exact: b}}}", "match[0].headers"),
        ("{uri: {regex: '/pay/.*'}}", "match[0].uri"),
        ("{queryParams: {a: {exact: b}}}", "match[0].queryParams"),
    ] {
        let http = PAY_THEN_WEB.replace("{uri: {prefix: /pay/}}", first);
        let import = imported(&(routed(&http) + TOKENS + &open("pay") + &open("web")));
        let told = told(&import);
        assert!(told.contains(&format!("http[0].{field}: left out")), "{told}");
        let found = routes(&import);
        assert!(!found.iter().any(|route| route.contains("-> pay")), "{found:?}");
        let is_closed = |route: &String| route.contains("iss=nobody");
        assert!(found.is_empty() || found.iter().any(is_closed), "{found:?}");
    }
    let rewritten = PAY_THEN_WEB.replace("    timeout: 5s", "    rewrite: {uri: /}");
    let import = imported(&(routed(&rewritten) + TOKENS + &open("pay") + &open("web")));
    let expected = ["shop.test/pay/** -> web token iss=nobody", "shop.test/** -> web optional"];
    assert_eq!(routes(&import), expected);
}

#[test]
fn the_gateway_s_policies_count_as_well() {
    let jwt = TOKENS.replace("namespace: shop", "namespace: istio-system");
    let with_token = at_gateway(&format!(
        "{{{GATEWAY}, rules: [{{from: [{{source: {{requestPrincipals: ['*']}}}}]}}]}}"
    ));
    // Nothing but the gateway asks.
    let import = imported(&(routed(PAY_THEN_WEB) + &jwt + &with_token));
    let expected = ["shop.test/pay/** -> pay token", "shop.test/** -> web token"];
    assert_eq!(routes(&import), expected);
    // Both ask.
    let methods = policy(
        "pay",
        "{selector: {matchLabels: {app: pay}}, rules: [{to: [{operation: {methods: [GET]}}]}]}",
    );
    let import = imported(&(routed(PAY_THEN_WEB) + &jwt + &with_token + &methods));
    let found = routes(&import);
    assert!(found.contains(&"GET shop.test/pay/** -> pay token".to_owned()), "{found:?}");
    assert!(!found.contains(&"shop.test/pay/** -> pay token".to_owned()), "{found:?}");
}

#[test]
fn a_token_that_the_gateway_takes_away_opens_nothing_behind_it() {
    let jwt = TOKENS.replace("namespace: shop", "namespace: istio-system");
    let edge = at_gateway(&format!("{{{GATEWAY}, rules: [{{}}]}}"));
    let asks = policy(
        "pay",
        "{selector: {matchLabels: {app: pay}}, rules: [{from: [{source: {requestPrincipals: \
         ['*']}}]}]}",
    );
    let files = routed(PAY_THEN_WEB) + TOKENS + &edge + &asks;
    let import = imported(&(files.clone() + &jwt));
    assert!(!routes(&import).iter().any(|route| route.contains("-> pay")), "{}", told(&import));
    let forwarded = jwt.replace("{issuer", "{forwardOriginalToken: true, issuer");
    let found = routes(&imported(&(files + &forwarded)));
    assert!(found.contains(&"shop.test/pay/** -> pay token".to_owned()), "{found:?}");
}

#[test]
fn a_gateway_that_nobody_describes_may_have_any_policy() {
    let edge = at_gateway(&format!("{{{GATEWAY}, rules: [{{}}]}}"));
    let known = routed(PAY_THEN_WEB) + &open("pay") + &edge;
    assert!(!routes(&imported(&known)).is_empty());
    let unknown = known.replace("kind: Gateway", "kind: Sidecar");
    let import = imported(&unknown);
    assert_eq!(routes(&import), Vec::<String>::new(), "{}", told(&import));
    assert!(told(&import).contains("give the Gateway and its Deployment too"), "{}", told(&import));
}

#[test]
fn labels_that_a_gateway_may_have_bring_their_policies_along() {
    let other = GATEWAY.replace("istio: ingressgateway", "app: istio-ingressgateway");
    let deny = at_gateway(&format!("{{{other}, action: DENY, rules: [{{}}]}}"));
    let files = routed(PAY_THEN_WEB) + TOKENS + &open("pay") + &deny;
    assert_eq!(routes(&imported(&files)), Vec::<String>::new());
    let gateway = "\n---\napiVersion: apps/v1\nkind: Deployment\n\
                   metadata: {name: gateway, namespace: istio-system}\n\
                   spec: {template: {metadata: {labels: {istio: ingressgateway}}, spec: {}}}\n";
    let found = routes(&imported(&(files + gateway)));
    assert!(found.contains(&"shop.test/pay/** -> pay optional".to_owned()), "{found:?}");
}

#[test]
fn hosts_with_routes_of_their_own_have_no_others() {
    let own = "---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: all, namespace: shop}
spec:
  hosts: ['*']
  http: [{route: [{destination: {host: pay}}]}]
";
    let only_web =
        routed("  - match: [{uri: {exact: /web}}]\n    route: [{destination: {host: web}}]\n");
    let import = imported(&(only_web + own + TOKENS + &open("pay") + &open("web")));
    let expected = [
        "/** -> pay optional",
        "shop.test/web -> web optional",
        "shop.test/** -> pay token iss=nobody",
    ];
    assert_eq!(routes(&import), expected);
}

#[test]
fn services_that_nobody_routes_to_are_not_opened() {
    let http = "  - route: [{destination: {host: web}}]\n";
    let import = imported(&(routed(http) + &open("pay") + &open("web")));
    assert_eq!(routes(&import), ["shop.test/** -> web open"]);
    assert!(told(&import).contains("no VirtualService leads to it"), "{}", told(&import));
}

/// What becomes of a `jwtRules` with this one rule.
fn of_issuer(rule: &str) -> Import {
    let issuer = format!(
        "\n---\napiVersion: security.istio.io/v1\nkind: RequestAuthentication\n\
         metadata: {{name: j, namespace: shop}}\nspec: {{jwtRules: [{rule}]}}\n"
    );
    let asks = "{selector: {matchLabels: {app: pay}}, rules: [{from: [{source: \
                {requestPrincipals: ['*']}}]}]}";
    imported(&(WORKLOADS.to_owned() + &issuer + &policy("p", asks)))
}

#[test]
fn issuers_are_taken_over_with_their_keys_places_and_headers() {
    let rule = "{issuer: https://idp.test, audiences: [api], jwksUri: 'https://idp.test/k', \
                fromHeaders: [{name: X-Jwt}], fromCookies: [jwt], forwardOriginalToken: true, \
                outputClaimToHeaders: [{header: X-Tenant, claim: org.tenant}]}";
    let import = of_issuer(rule);
    let text = import.document.clone().unwrap();
    for expected in
        ["header: x-jwt", "cookie: jwt", "x-tenant: org.tenant", "uri: https://idp.test/k"]
    {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
    assert!(!text.contains("drop-token"), "{text}");
    assert_eq!(document(&import).issuers[0].issuer.audiences, ["api"]);
    let stripped = of_issuer(&rule.replace("forwardOriginalToken: true, ", ""));
    assert!(stripped.document.unwrap().contains("drop-token"));
}

#[test]
fn an_issuer_without_audiences_is_to_be_filled_in() {
    let import = of_issuer("{issuer: https://idp.test, jwksUri: 'https://idp.test/k'}");
    assert_eq!(document(&import).issuers[0].issuer.audiences, ["REPLACE"]);
    assert!(told(&import).contains("audiences: fill in"), "{}", told(&import));
    assert!(!import.is_whole());
}

#[test]
fn issuers_that_the_document_cannot_have_let_nobody_in() {
    for (rule, word) in [
        ("{issuer: '', jwksUri: 'https://a.test/k'}", "name the issuer"),
        ("{issuer: idp}", "https URL"),
        ("{issuer: https://a.test, jwks: '{\"keys\": []}', audiences: [a]}", "no key"),
        (
            "{issuer: https://a.test, audiences: [a], fromHeaders: [{name: x-a, prefix: 'T '}]}",
            "Bearer",
        ),
        (
            "{issuer: https://a.test, audiences: [a], jwksUri: 'https://a.test/1'}, {issuer: \
             https://a.test, audiences: [a], jwksUri: 'https://a.test/2'}",
            "one set of keys",
        ),
    ] {
        // istiod takes an empty issuer where it is left out.
        let import = of_issuer(&rule.replace("issuer: '', ", ""));
        assert!(told(&import).contains(word), "{rule}\n{}", told(&import));
        assert!(!import.is_whole());
    }
}

#[test]
fn each_workload_keeps_its_own_audiences() {
    let of = |app: &str| {
        TOKENS
            .replace("name: tokens", &format!("name: {app}"))
            .replace("spec:", &format!("spec:\n  selector: {{matchLabels: {{app: {app}}}}}"))
            .replace("[api]", &format!("[{app}]"))
    };
    let files = routed(PAY_THEN_WEB) + &of("pay") + &of("web") + &open("pay") + &open("web");
    let expected =
        ["shop.test/pay/** -> pay optional aud=pay", "shop.test/** -> web optional aud=web"];
    assert_eq!(routes(&imported(&files)), expected);
}

#[test]
fn members_stand_where_the_page_about_documents_has_them() {
    let rules = "{rules: [{from: [{source: {requestPrincipals: ['https://idp.test/*'], principals: \
                 [cluster.local/ns/a/sa/b]}}], to: [{operation: {methods: [GET], paths: [/a]}}]}], \
                 selector: {matchLabels: {app: pay}}}";
    let made = imported(&(WORKLOADS.to_owned() + TOKENS + &policy("p", rules)));
    let text = made.document.as_deref().unwrap();
    let order = |words: &[&str]| {
        let places: Vec<usize> = words
            .iter()
            .map(|word| text.find(word).unwrap_or_else(|| panic!("{word}\n{text}")))
            .collect();
        assert!(places.is_sorted(), "{words:?} {places:?}\n{text}");
    };
    order(&[
        "\nversion: 1",
        "\ncredentials:",
        "\nworkloads:",
        "\nmesh:",
        "\nservices:",
        "\nroutes:",
    ]);
    order(&["- issuer: ", "      audiences:", "      jwks:"]);
    order(&["  - name: ", "    match:", "      path: ", "      methods:"]);
    order(&["    match:", "    service: ", "    auth:", "      any:", "    peers:"]);
    order(&["    upstream: ", "    workload: ", "    guard: "]);
}

#[test]
fn mesh_config_is_passed_over_and_what_is_nothing_is_told_with_a_way_out() {
    let open = policy("p", "{selector: {matchLabels: {app: pay}}, rules: [{}]}");
    let config = "---\ntrustDomain: other.test\naccessLogFile: /dev/stdout\n";
    let made = imported(&(WORKLOADS.to_owned() + &open + config));
    let line = (WORKLOADS.to_owned() + &open).lines().count() + 2;
    let note = format!("f.yaml:{line}: MeshConfig: all of it: note");
    assert!(told(&made).contains(&note), "{note}\n{}", told(&made));
    assert_eq!(made.document, imported(&(WORKLOADS.to_owned() + &open)).document);

    let refused = |text: &str| {
        let error = import(&[source("f.yaml", text)], &ImportOptions::default()).unwrap_err();
        error.to_string()
    };
    let values = refused("replicas: 2\n");
    assert!(values.contains("f.yaml:1: neither a resource") && values.contains("helm template"));
    let template = refused("kind: Service\nmetadata: {name: {{ .Values.name }}}\n");
    assert!(template.contains("f.yaml:2: this looks like a template"), "{template}");
    assert_eq!(template.lines().count(), 2, "{template}");
    // One run tells all.
    let bad = policy("q", "{acton: DENY}");
    let both = refused(&format!("replicas: 2\n{bad}"));
    assert!(both.contains("neither a resource") && both.contains("acton"), "{both}");
}
