//! Who is refused by Istio's own policies, and that the cluster keeps them.

use super::*;

/// Routes with these members, all of one service.
fn routes(members: &str, routes: &[String]) -> Document {
    let routes = routes.iter().map(|route| format!(r#"{{"service": "s", {route}}}"#));
    load(&format!(
        r#"{{"version": 1, {members}
            "credentials": {{"jwt": {{"issuers": [{{"issuer": "i", "audiences": ["a"],
                "jwks": {{"uri": "https://i.test/keys"}}}}]}}}},
            "services": {{"s": {{"upstream": "s.n.svc.cluster.local:80"}}}},
            "routes": [{}]}}"#,
        routes.collect::<Vec<_>>().join(", ")
    ))
}

fn route(name: &str, matched: &str, auth: &str) -> String {
    format!(r#""name": "{name}", "match": {{{matched}}}, "auth": {auth}"#)
}

const WRITTEN: &str = r#""identity_headers": ["subject", "scope_names"],"#;
const TOKEN: &str = r#"{"any": ["jwt"]}"#;
const OPEN: &str = r#""none""#;

fn admitted(document: &Document) -> Vec<Value> {
    made(document, admission::resources)
}

/// What a policy's rules say: operations, then conditions.
fn rules(document: &Document, name: &str) -> Vec<(Value, Value)> {
    let policies = admitted(document);
    let Some(policy) = policies.iter().find(|one| one["metadata"]["name"] == name) else {
        return Vec::new();
    };
    let rules = policy["spec"]["rules"].as_array().unwrap().iter();
    rules.map(|rule| (rule["to"].clone(), rule["when"].clone())).collect()
}

fn without(header: &str, value: &str) -> Value {
    json!([{"key": format!("request.headers[{header}]"), "notValues": [value]}])
}

#[test]
fn routes_of_equal_conditions_share_a_rule_and_what_is_too_much_has_another_policy() {
    let many = |auth: &dyn Fn(usize) -> String| {
        let all =
            (0..600).map(|at| route(&format!("r{at}"), &format!(r#""path": "/r{at}""#), &auth(at)));
        routes(WRITTEN, &all.collect::<Vec<_>>())
    };
    let alike = rules(&many(&|_| TOKEN.to_owned()), "postern-routes");
    let [(operations, _)] = alike.as_slice() else { panic!("{}", alike.len()) };
    assert_eq!(operations.as_array().unwrap().len(), 600);

    let each = many(&|at| format!(r#"{{"any": ["jwt"], "scopes": ["s{at}"]}}"#));
    let policies = admitted(&each);
    assert_eq!(
        names(&policies),
        ["postern-routes", "postern-routes-2", "postern-protected", "postern-protected-2"]
    );
    let counts = policies.iter().map(|one| one["spec"]["rules"].as_array().unwrap().len());
    assert_eq!(counts.collect::<Vec<_>>(), [512, 88, 512, 88]);
    assert!(render(&each, &options(30)).is_ok());
}

/// Rules that allow are alternatives: the open route's would let everything in.
#[test]
fn an_open_route_above_a_protected_one_does_not_open_it() {
    let document = routes(
        WRITTEN,
        &[
            route("site", r#""path": "/{rest=**}""#, OPEN),
            route("admin", r#""path": "/admin/{id}""#, TOKEN),
            route("health", r#""path": "/admin/health""#, OPEN),
        ],
    );
    let policies = admitted(&document);
    assert_eq!(names(&policies), ["postern-routes", "postern-protected"]);
    assert_eq!(policies[1]["spec"]["action"], "DENY");
    assert_eq!(
        rules(&document, "postern-protected"),
        [(
            json!([{"operation": {"paths": ["/admin/{*}"], "notPaths": ["/admin/health"]}}]),
            without("x-postern-subject", "*"),
        )]
    );
}

#[test]
fn every_scope_is_asked_for_on_its_own() {
    let scopes = r#"{"any": ["jwt"], "scopes": ["a.read", "b.write"]}"#;
    let document = routes(
        WRITTEN,
        &[
            route("wide", r#""path": "/a/{rest=**}", "hosts": ["api.test"]"#, scopes),
            route(
                "some",
                r#""path": "/a/b", "methods": ["GET"]"#,
                r#"{"any": ["jwt"], "scopes": ["a.read"]}"#,
            ),
        ],
    );
    let hosts = json!(["api.test", "api.test:*"]);
    let wide = json!({"operation": {"paths": ["/a/*"], "hosts": hosts}});
    let some = json!({"operation": {"paths": ["/a/b"], "methods": ["GET"]}});
    assert_eq!(
        rules(&document, "postern-protected"),
        [
            (json!([some, wide]), without("x-postern-scope-a.read", "true")),
            (json!([wide]), without("x-postern-scope-b.write", "true")),
        ]
    );
}

/// What the document lets through without a caller is nobody's to refuse.
#[test]
fn nothing_is_refused_that_the_document_may_let_through() {
    let path = r#""path": "/a""#;
    for (members, auth) in [
        (WRITTEN, OPEN),
        (WRITTEN, r#"{"any": ["jwt"], "optional": true}"#),
        (WRITTEN, r#"{"any": ["jwt"]}, "enforce": "50%""#),
        (r#""identity_headers": ["client"],"#, TOKEN),
    ] {
        let document = routes(members, &[route("r", path, auth)]);
        assert_eq!(names(&admitted(&document)), ["postern-routes"], "{members} {auth}");
    }
    // A path that a policy can only say too widely.
    let wider = routes(WRITTEN, &[route("r", r#""path": "/a/{id}/""#, TOKEN)]);
    assert_eq!(names(&admitted(&wider)), ["postern-routes"]);
}

/// A sidecar takes every path of the gateway's calls, so this is what is left without its bundle.
#[test]
fn a_guarded_workload_refuses_what_its_bundle_has_not_seen() {
    let text = sidecar::TEXT
        .replace(r#""version": 1,"#, r#""version": 1, "identity_headers": ["subject"],"#);
    let document = load(&text);
    let policies = admitted(&document);
    let names = names(&policies);
    assert_eq!(names, ["postern-routes", "postern-protected", "postern-payments-protected"]);
    let spec = &policies[2]["spec"];
    assert_eq!(
        (&spec["action"], &policies[2]["metadata"]["namespace"]),
        (&json!("DENY"), &json!("shop"))
    );
    assert_eq!(spec["selector"]["matchLabels"], json!({"app": "payments"}));
    let ports = json!(["8080", "8081"]);
    assert_eq!(
        rules(&document, "postern-payments-protected"),
        [(
            json!([{"operation": {"paths": ["/shop/pay/{*}"], "methods": ["POST"], "ports": ports}},
                   {"operation": {"paths": ["/shop/pay/{*}"], "methods": ["GET"], "ports": ports}}]),
            without("x-postern-subject", "*"),
        )]
    );
    // At the gateway nobody has looked at these yet.
    assert_eq!(
        rules(&document, "postern-protected"),
        [(
            json!([{"operation": {"paths": ["/shop/*"], "notPaths": ["/shop/pay/*"]}}]),
            without("x-postern-subject", "*"),
        )]
    );
}
