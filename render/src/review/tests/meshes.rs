//! PR201 to PR226; what is younger has files of its own.

use super::*;

mod endpoints;
mod enforced;
mod holes;
mod kept;
mod rendered;

/// A document whose one service runs in `default`, behind a gateway that it names.
fn shop() -> Document {
    document(&gateway(&format!(
        "workloads:\n  edge: {{gateway: true, namespace: istio-system, labels: {{istio: \
         ingressgateway}}, service_account: gateway}}\nroutes:\n{}",
        route("a", "/a", READ)
    )))
}

fn resource(kind: &str, id: &str, spec: &str) -> String {
    let api = match kind {
        "WasmPlugin" | "TrafficExtension" => "extensions.istio.io/v1alpha1",
        "EnvoyFilter" | "VirtualService" => "networking.istio.io/v1alpha3",
        "Service" => "v1",
        "Deployment" => "apps/v1",
        _ => "security.istio.io/v1",
    };
    let (namespace, name) = id.split_once('/').unwrap();
    format!(
        "---\napiVersion: {api}\nkind: {kind}\nmetadata: {{namespace: {namespace}, name: {name}}}\n\
         spec: {spec}\n"
    )
}

fn policy(id: &str, spec: &str) -> String {
    resource("AuthorizationPolicy", id, spec)
}

fn rule(action: &str, rule: &str) -> String {
    policy("default/p", &format!("{{action: {action}, rules: [{rule}]}}"))
}

/// The shop's pods and their service.
fn pods() -> String {
    resource(
        "Deployment",
        "default/shop",
        "{template: {metadata: {labels: {app: shop}}, spec: {containers: [{name: c, ports: \
         [{containerPort: 8080}, {containerPort: 5432}]}]}}}",
    ) + &resource(
        "Service",
        "default/shop",
        "{selector: {app: shop}, ports: [{name: http, port: 8080}, {name: tcp-db, port: 5432}]}",
    )
}

const GATEWAY: &str = "cluster.local/ns/istio-system/sa/gateway";

/// Strict, closed but for the gateway, and the bundle there: what a mesh should be like.
fn good() -> String {
    unguarded() + &resource("WasmPlugin", "istio-system/postern", PLUGIN)
}

/// The same without the bundle.
fn unguarded() -> String {
    pods()
        + &resource("PeerAuthentication", "istio-system/default", "{mtls: {mode: STRICT}}")
        + &policy(
            "default/callers",
            &format!("{{rules: [{{from: [{{source: {{principals: ['{GATEWAY}']}}}}]}}]}}"),
        )
        + &policy(
            "istio-system/edge",
            "{selector: {matchLabels: {istio: ingressgateway}}, \
                   rules: [{to: [{operation: {methods: [GET]}}]}]}",
        )
}

fn reviewed_with(texts: &[(&str, &str)], options: &IstioOptions) -> Review {
    reviewed_of(&shop(), texts, options)
}

fn reviewed_of(document: &Document, texts: &[(&str, &str)], options: &IstioOptions) -> Review {
    let sources: Vec<Source> = texts
        .iter()
        .map(|(name, text)| Source { name: (*name).to_owned(), text: (*text).to_owned() })
        .collect();
    let policies = Policies::load(&sources).unwrap_or_else(|problems| {
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        panic!("{}", told.join("\n"))
    });
    review(&Input { policies: Some(&policies), ..input(document, options) }).unwrap()
}

fn found_in(mesh: &str) -> Vec<String> {
    told(&reviewed_with(&[("mesh.yaml", mesh)], &IstioOptions::default()))
}

/// Whether a check finds something in the first and nothing in the second.
fn tells_apart(id: &str, bad: &str, good: &str) {
    let (bad, good) = (found_in(bad), found_in(good));
    assert!(has(&bad, id), "{id} is not among {bad:#?}");
    assert!(!has(&good, id), "{id} is among {good:#?}");
}

/// The same for what is added to a good mesh.
fn added(id: &str, bad: &str, just_not: &str) {
    tells_apart(id, &(good() + bad), &(good() + just_not));
}

#[test]
fn a_good_mesh_has_nothing_but_what_the_document_has() {
    let found = found_in(&good());
    assert!(!found.iter().any(|one| one.starts_with("PR2")), "{found:#?}");
}

#[test]
fn what_matches_nothing() {
    let labelled = |label: &str| {
        policy(
            "default/p",
            &format!(
                "{{action: DENY, selector: {{matchLabels: {{app: {label}}}}}, rules: [{{to: \
                 [{{operation: {{ports: ['5432']}}}}]}}]}}"
            ),
        )
    };
    added("PR201 high AuthorizationPolicy default/p", &labelled("shpo"), &labelled("shop"));
    let paths = |path: &str| {
        rule("ALLOW", &format!("{{to: [{{operation: {{ports: ['8080'], paths: ['{path}']}}}}]}}"))
    };
    added("PR201 medium AuthorizationPolicy default/p rule 0", &paths("a?b=c"), &paths("/a"));
}

#[test]
fn policies_that_open_more_than_they_name() {
    let gets =
        |more: &str| rule("ALLOW", &format!("{{to: [{{operation: {{methods: [GET]{more}}}}}]}}"));
    added("PR202 high", &gets(""), &gets(", ports: ['8080']"));
}

#[test]
fn plain_text_and_principals() {
    let permissive = good().replace("STRICT", "PERMISSIVE");
    tells_apart("PR203 high Workload default/shop", &permissive, &good());
    let denied = rule("DENY", "{from: [{source: {principals: ['cluster.local/ns/x/sa/y']}}]}");
    tells_apart("PR204 high", &(permissive + &denied), &(good() + &denied));
    let excluded = rule("ALLOW", "{from: [{source: {notNamespaces: [x]}}]}");
    let permissive = good().replace("STRICT", "PERMISSIVE");
    tells_apart("PR204 high", &(permissive + &excluded), &(good() + &excluded));
}

#[test]
fn headers_that_callers_write() {
    let edge = |header: &str| {
        policy(
            "istio-system/p",
            &format!(
                "{{selector: {{matchLabels: {{istio: ingressgateway}}}}, rules: [{{when: \
                 [{{key: 'request.headers[{header}]', values: [a]}}]}}]}}"
            ),
        )
    };
    added("PR205 high", &edge("x-team"), &edge("x-postern-subject"));
    let relies = edge("x-postern-subject");
    let policy = "PR223 critical AuthorizationPolicy istio-system/p rule 0";
    tells_apart(policy, &(unguarded() + &relies), &(good() + &relies));
}

#[test]
fn claims_that_nobody_verified() {
    let asks = rule(
        "ALLOW",
        "{to: [{operation: {ports: ['8080']}}], from: [{source: {requestPrincipals: ['i/*']}}]}",
    );
    let known = resource("RequestAuthentication", "default/jwt", "{jwtRules: [{issuer: i}]}");
    added("PR206 medium", &asks, &(asks.clone() + &known));
    let denied = rule(
        "DENY",
        "{to: [{operation: {ports: ['8080']}}], when: [{key: 'request.auth.claims[role]', \
         values: [guest]}]}",
    );
    // Where the gateway must bring a token, whoever brings none is not allowed either.
    let with_token =
        good().replace("source: {principals", "source: {requestPrincipals: ['i/*'], principals");
    let (open, closed) = (good() + &known + &denied, with_token + &known + &denied);
    tells_apart("PR206 high", &open, &closed);
}

#[test]
fn spellings_that_go_past_a_policy() {
    let denied = |path: &str| {
        rule("DENY", &format!("{{to: [{{operation: {{ports: ['8080'], paths: ['{path}']}}}}]}}"))
    };
    let merged = "pathNormalization: {normalization: MERGE_SLASHES}\n";
    let found = |path: &str| {
        let mesh = good() + &denied(path);
        let texts = [("mesh.yaml", mesh.as_str()), ("config.yaml", merged)];
        told(&reviewed_with(&texts, &IstioOptions::default()))
    };
    assert!(has(&found("/admin"), "PR207 high"), "{:#?}", found("/admin"));
    // What begins with the path is denied, unless the server takes parameters off dots.
    assert!(!has(&found("/admin*"), "PR207 high"), "{:#?}", found("/admin*"));
    assert!(has(&found("/admin*"), "PR207 medium"), "{:#?}", found("/admin*"));
    assert!(!has(&found("/*"), "PR207"), "{:#?}", found("/*"));
    // Without MERGE_SLASHES, a second slash is enough.
    assert!(has(&found_in(&(good() + &denied("/admin*"))), "PR207 high"));
}

#[test]
fn rules_that_others_take() {
    let both = |second: &str| {
        rule(
            "DENY",
            &format!(
                "{{to: [{{operation: {{ports: ['8080'], paths: ['/a*']}}}}]}}, {{to: \
                 [{{operation: {{ports: ['8080'], paths: ['{second}']}}}}]}}"
            ),
        )
    };
    added("PR208 low AuthorizationPolicy default/p rule 1", &both("/ab*"), &both("/b*"));
}

#[test]
fn values_that_others_take() {
    let found = |wide: &str, narrow: &str| {
        let rules = format!(
            "{{to: [{{operation: {{ports: ['8080']}}}}], {wide}}}, {{to: [{{operation: {{ports: \
             ['8080']}}}}], {narrow}}}"
        );
        has(
            &found_in(&(good() + &rule("ALLOW", &rules))),
            "PR208 low AuthorizationPolicy default/p rule 1",
        )
    };
    let from = |field: &str, value: &str| format!("from: [{{source: {{{field}: ['{value}']}}}}]");
    let when = |key: &str, field: &str, value: &str| {
        format!("when: [{{key: '{key}', {field}: ['{value}']}}]")
    };
    let ip = |value: &str| from("ipBlocks", value);
    let principal = |value: &str| from("principals", value);
    let header = |field: &str, value: &str| when("request.headers[a]", field, value);
    let claim = |value: &str| when("request.auth.claims[a]", "values", value);
    for (wide, narrow, expected) in [
        (ip("10.0.0.0/8"), ip("10.1.0.0/16"), true),
        (ip("10.1.0.0/16"), ip("10.0.0.0/8"), false),
        (principal("*"), principal("cluster.local/ns/a/sa/b"), true),
        (principal("cluster.local/ns/a/sa/*"), principal("cluster.local/ns/a/sa/b"), true),
        (principal("cluster.local/ns/a/sa/*"), principal("cluster.local/ns/b/sa/*"), false),
        (from("namespaces", "*"), from("namespaces", "a"), true),
        (from("namespaces", "a"), from("namespaces", "b"), false),
        // Who excludes more lets in less.
        (header("notValues", "ab*"), header("notValues", "a*"), true),
        (header("notValues", "a*"), header("notValues", "ab*"), false),
        (header("values", "a*"), header("values", "ab"), true),
        // No `*` matches a line break, which a claim may have.
        (claim("*"), claim("a"), true),
        (claim("*"), claim("a*"), false),
    ] {
        assert_eq!(found(&wide, &narrow), expected, "{wide} {narrow}");
    }
}

#[test]
fn providers() {
    let custom = |name: &str, provider: &str| {
        policy(
            &format!("default/{name}"),
            &format!(
                "{{action: CUSTOM, provider: {{name: {provider}}}, rules: [{{to: [{{operation: \
                 {{ports: ['8080']}}}}]}}]}}"
            ),
        )
    };
    let one = custom("a", "opa");
    added(
        "PR209 high",
        &(one.clone() + &custom("b", "proxy")),
        &(one.clone() + &custom("b", "opa")),
    );
    let found = |config: &str| {
        let mesh = good() + &one;
        let texts = [("mesh.yaml", mesh.as_str()), ("config.yaml", config)];
        told(&reviewed_with(&texts, &IstioOptions::default()))
    };
    let config = |more: &str| {
        format!("extensionProviders:\n- {{name: opa, envoyExtAuthzGrpc: {{service: s, {more}}}}}\n")
    };
    assert!(!has(&found(&config("port: 1, timeout: 1s")), "PR210"));
    assert!(has(&found(&config("port: 1")), "PR210 high MeshConfig"), "no timeout");
    assert!(has(&found(&config("port: 1, timeout: 600s")), "PR210 high MeshConfig"), "ten minutes");
    assert!(has(&found(&config("port: 1, timeout: 1s, failOpen: true")), "PR210 high MeshConfig"));
    let other = config("port: 1, timeout: 1s").replace("opa", "other");
    assert!(has(&found(&other), "PR210 high AuthorizationPolicy default/a"));
}

#[test]
fn http_on_other_ports_and_hosts_without_ports() {
    let denied = |fields: &str| rule("DENY", &format!("{{to: [{{operation: {{{fields}}}}}]}}"));
    added("PR211 high", &denied("methods: [PUT]"), &denied("methods: [PUT], ports: ['8080']"));
    added(
        "PR212 medium",
        &denied("ports: ['8080'], hosts: [a.test]"),
        &denied("ports: ['8080'], hosts: [a.test, 'a.test:*']"),
    );
}

#[test]
fn workloads_that_everybody_may_call() {
    let open = pods() + &resource("PeerAuthentication", "istio-system/d", "{mtls: {mode: STRICT}}");
    tells_apart("PR213 high Workload default/shop", &open, &good());
}

const PLUGIN: &str = "{selector: {matchLabels: {istio: ingressgateway}}, pluginName: postern, \
                      phase: AUTHN, match: [{mode: CLIENT}], url: 'oci://a/b:c', sha256: abc, \
                      failStrategy: FAIL_CLOSE}";

#[test]
fn the_module_once_in_one_direction_and_closed() {
    let found = |spec: &str| unguarded() + &resource("WasmPlugin", "istio-system/postern", spec);
    let newer = resource(
        "TrafficExtension",
        "istio-system/postern",
        "{selector: {matchLabels: {istio: ingressgateway}}, phase: AUTHN, match: [{mode: CLIENT}], \
         wasm: {pluginName: postern, url: 'oci://a/b:c', sha256: abc, failStrategy: FAIL_CLOSE}}",
    );
    tells_apart("PR214 critical", &(good() + &newer), &good());
    let everything = found(&PLUGIN.replace("match: [{mode: CLIENT}], ", ""));
    tells_apart("PR215 high", &everything, &good());
    tells_apart("PR216 critical", &found(&PLUGIN.replace("FAIL_CLOSE", "FAIL_OPEN")), &good());
    tells_apart("PR216 medium", &found(&PLUGIN.replace("sha256: abc, ", "")), &good());
    let newer = unguarded() + &newer;
    tells_apart("PR223 critical Workload istio-system/edge", &unguarded(), &newer);
}

#[test]
fn dry_runs_and_wide_principals() {
    let deny = rule("DENY", "{to: [{operation: {ports: ['5432']}}]}");
    let dry = deny.replace("name: p}", "name: p, annotations: {istio.io/dry-run: 'true'}}");
    added("PR217 medium", &dry, &deny);
    let allow = |principal: &str| {
        rule(
            "ALLOW",
            &format!(
                "{{to: [{{operation: {{ports: ['8080']}}}}], from: [{{source: {{principals: \
                 ['{principal}']}}}}]}}"
            ),
        )
    };
    added("PR218 medium", &allow("*/ns/a/sa/b"), &allow("cluster.local/ns/a/sa/b"));
}

#[test]
fn patches_for_other_data_planes() {
    let patch = |version: &str| {
        resource(
            "EnvoyFilter",
            "istio-system/f",
            &format!(
                "{{configPatches: [{{applyTo: HTTP_ROUTE, match: {{proxy: {{proxyVersion: \
                 '{version}'}}}}, patch: {{operation: MERGE}}}}]}}"
            ),
        )
    };
    let ours = |version: &str| {
        patch(version).replace("name: f}", "name: f, annotations: {postern.dev/document: d}}")
    };
    added("PR219 high EnvoyFilter", &ours(r"^1\.30\."), &ours(r"^1\.(29|30)\."));
    let text = |version: &str| {
        let mesh = good() + &ours(version);
        let review = reviewed_with(&[("mesh.yaml", &mesh)], &IstioOptions::default());
        let found = review.findings.iter().find(|finding| finding.id == "PR219");
        found.map(|finding| finding.text.clone()).unwrap_or_default()
    };
    let old = text(r"^1\.30\.");
    let both = "1.29: render with --istio-version 1.30 --data-plane-from 1.29";
    assert!(old.ends_with(both), "{old}");
    let new = text(r"^1\.29\.");
    assert!(new.ends_with("1.30: render with --istio-version 1.30"), "{new}");
    // Whom others' patches are for, is theirs.
    added("PR219 high EnvoyFilter", &ours(r"^1\.30\."), &patch(r"^1\.30\."));
}

/// What the document renders to, with the fragment of MeshConfig.
fn rendering(document: &Document) -> Vec<(String, String)> {
    let files = crate::istio::render(document, &IstioOptions::default()).unwrap();
    files.into_iter().map(|file| (file.name, file.content)).collect()
}

#[test]
fn what_was_rendered_is_compared_with_the_document() {
    let document = shop();
    let found = |edit: &dyn Fn(String) -> String| {
        let files: Vec<(String, String)> =
            rendering(&document).into_iter().map(|(name, text)| (name, edit(text))).collect();
        let mut texts: Vec<(&str, &str)> =
            files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let pods = pods();
        texts.push(("pods.yaml", &pods));
        told(&reviewed_with(&texts, &IstioOptions::default()))
    };
    let same = found(&|text| text);
    for id in ["PR220", "PR221", "PR223", "PR227", "PR228", "PR230", "PR231", "PR232"] {
        assert!(!has(&same, id), "{id}: {same:#?}");
    }
    let edited = found(&|text| text.replace("FAIL_CLOSE", "FAIL_OPEN"));
    assert!(has(&edited, "PR221 medium"), "{edited:#?}");
    let digest = document.digest.clone();
    let older = found(&|text| text.replace(&digest, "0123456789abcdef0123456789abcdef"));
    assert!(has(&older, "PR220 high"), "{older:#?}");
    let gone = found(&|text| if text.contains("kind: Gateway\n") { String::new() } else { text });
    assert!(has(&gone, "PR221 medium Gateway"), "{gone:#?}");
    // Where the module is fetched from is no drift, unless the review is told where from.
    let moved = found(&|text| text.replace("registry.example.test", "mirror.example.test"));
    assert!(!has(&moved, "PR221"), "{moved:#?}");
}

#[test]
fn routes_without_a_timeout() {
    let service = |more: &str| {
        resource(
            "VirtualService",
            "istio-system/v",
            &format!("{{http: [{{name: a, route: [{{destination: {{host: a}}}}]{more}}}]}}"),
        )
    };
    added("PR109 medium VirtualService", &service(""), &service(", timeout: 10s"));
}

#[test]
fn policies_for_everything() {
    let wide = |spec: &str| policy("istio-system/w", spec);
    added(
        "PR224 info",
        &wide("{action: DENY, rules: [{to: [{operation: {ports: ['5432']}}]}]}"),
        &wide(
            "{selector: {matchLabels: {app: shop}}, action: DENY, rules: [{to: [{operation: \
             {ports: ['5432']}}]}]}",
        ),
    );
    added("PR225 medium", &rule("ALLOW", "{}"), &policy("default/p", "{}"));
    let second = |mode: &str| {
        resource(
            "PeerAuthentication",
            "istio-system/second",
            &format!("{{mtls: {{mode: {mode}}}}}"),
        )
    };
    added("PR226 medium PeerAuthentication", &second("DISABLE"), "");
}

#[test]
fn the_mesh_says_who_reaches_a_service() {
    let review = reviewed_with(&[("mesh.yaml", &good())], &IstioOptions::default());
    assert_eq!(review.rows[0].principals, ["the gateway"]);
    let shop = review.mesh.iter().find(|row| row.port == Some(8080)).unwrap();
    assert_eq!(shop.workload, "default/shop");
    assert!(shop.mtls.starts_with("STRICT"), "{}", shop.mtls);
    let open = pods();
    let review = reviewed_with(&[("mesh.yaml", &open)], &IstioOptions::default());
    let expected = ["in plain text", "any workload of the mesh", "the gateway"];
    assert_eq!(review.rows[0].principals, expected);
}

/// Whom the matrix names for each route of a document whose shop takes two kinds of calls.
fn named(rules: &str) -> Vec<(String, Vec<String>)> {
    let routes = route("read", "/invoices/{id}", READ)
        .replace("'/invoices/{id}'", "'/invoices/{id}', methods: [GET]")
        + &route("refund", "/refunds", READ).replace("'/refunds'", "'/refunds', methods: [POST]")
        + &route("rest", "/all/{rest=**}", READ);
    let document = document(&gateway(&format!(
        "workloads:\n  edge: {{gateway: true, namespace: istio-system, labels: {{istio: \
         ingressgateway}}, service_account: gateway}}\nroutes:\n{routes}"
    )));
    let mesh = good() + &policy("default/more", &format!("{{rules: [{rules}]}}"));
    let review = reviewed_of(&document, &[("mesh.yaml", &mesh)], &IstioOptions::default());
    review.rows.into_iter().map(|row| (row.route, row.principals)).collect()
}

#[test]
fn whom_a_policy_lets_in_for_one_route_is_not_told_of_another() {
    const CALLER: &str = "cluster.local/ns/freight/sa/shipments";
    let rule = |operation: &str, more: &str| {
        format!(
            "{{from: [{{source: {{principals: ['{CALLER}']}}}}], to: [{{operation: \
             {{{operation}}}}}]{more}}}"
        )
    };
    let may = |rules: &str| -> Vec<String> {
        let all = named(rules);
        assert!(all.iter().all(|(_, who)| who.contains(&"the gateway".to_owned())), "{all:?}");
        let of_it = all.into_iter().filter(|(_, who)| who.contains(&CALLER.to_owned()));
        of_it.map(|(route, _)| route).collect()
    };
    assert_eq!(may(&rule("methods: [GET], paths: ['/invoices/*']", "")), ["read"]);
    assert_eq!(may(&rule("methods: [POST]", "")), ["refund", "rest"]);
    // What is a part of a route is the route's, and other hosts are no other routes.
    assert_eq!(may(&rule("paths: ['/all/a/b']", "")), ["rest"]);
    assert_eq!(may(&rule("hosts: [shop.internal], paths: ['/refunds']", "")), ["refund"]);
    // Who writes the header comes; who asks for something else by it does not.
    let when = ", when: [{key: 'request.headers[x-team]', values: [a]}]";
    assert_eq!(may(&rule("paths: ['/refunds']", when)), ["refund"]);
    assert_eq!(may(&rule("paths: ['/nothing']", "")), [""; 0]);
}
