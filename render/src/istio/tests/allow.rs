//! Who may call what, by Istio's own policies.

use super::*;

fn allowed(document: &Document) -> Vec<Value> {
    let policy = made(document, |rendering| admission::resources(rendering).remove(0));
    assert_eq!(policy["spec"]["action"], "ALLOW");
    policy["spec"]["rules"].as_array().unwrap().clone()
}

/// One route with these members, in a document with these.
fn one(members: &str, route: &str) -> Document {
    load(&format!(
        r#"{{"version": 1, {members}
            "credentials": {{"jwt": {{"issuers": [{{"issuer": "i", "audiences": ["a"],
                "jwks": {{"uri": "https://i.test/keys"}}}}]}}, "api_key": {{}}}},
            "services": {{"s": {{"upstream": "s.n.svc.cluster.local:80"}}}},
            "routes": [{{"name": "r", "service": "s", {route}}}]}}"#
    ))
}

const WRITTEN: &str = r#""identity_headers": ["subject", "scope_names"],"#;

#[test]
fn a_request_past_the_bundle_carries_what_the_bundle_writes() {
    let path = r#""match": {"path": "/a/{id}/b", "methods": ["GET"]}"#;
    let with = |auth: &str| allowed(&one(WRITTEN, &format!(r#"{path}, "auth": {auth}"#)));
    let operation = json!([{"operation": {"paths": ["/a/*"], "methods": ["GET"]}}]);
    for (auth, expected) in [
        (r#""none""#, Value::Null),
        (r#"{"any": ["jwt"], "optional": true}"#, Value::Null),
        (
            r#"{"any": ["jwt"]}"#,
            json!([{"key": "request.headers[x-postern-subject]", "values": ["*"]}]),
        ),
        (
            r#"{"any": ["jwt"], "scopes": ["b.write", "a.read"]}"#,
            json!([{"key": "request.headers[x-postern-scope-a.read]", "values": ["true"]},
                   {"key": "request.headers[x-postern-scope-b.write]", "values": ["true"]}]),
        ),
        // No header can carry this scope's name.
        (
            r#"{"any": ["jwt"], "scopes": ["Admin"]}"#,
            json!([{"key": "request.headers[x-postern-subject]", "values": ["*"]}]),
        ),
    ] {
        let rules = with(auth);
        let [rule] = rules.as_slice() else { panic!("{auth}") };
        assert_eq!((&rule["to"], &rule["when"]), (&operation, &expected), "{auth}");
    }
}

/// What the document lets through without a caller must not meet a policy that asks for one.
#[test]
fn a_policy_never_asks_for_more_than_the_document() {
    let of = |any: &str, more: &str| {
        format!(r#""match": {{"path": "/a"}}, "auth": {{"any": [{any}]}} {more}"#)
    };
    let route = |more: &str| of(r#""jwt", "api_key""#, more);
    let open = format!(r#"{WRITTEN} "failures": {{"ext_authz": "allow"}},"#);
    for (members, more) in [
        (WRITTEN, r#", "enforce": "50%""#),
        (WRITTEN, r#", "enforce": "shadow""#),
        (r#""identity_headers": ["client"],"#, ""),
    ] {
        let rules = allowed(&one(members, &route(more)));
        assert_eq!(rules[0].get("when"), None, "{members} {more}");
    }
    let asked = of(r#""jwt""#, r#", "ext_authz": true"#);
    assert_eq!(allowed(&one(&open, &asked))[0].get("when"), None, "nobody may have looked");
    let rules = allowed(&one(WRITTEN, &route("")));
    assert!(rules[0].get("when").is_some());
}

#[test]
fn hosts_are_named_where_every_port_can_be() {
    for (hosts, expected) in [
        (r#"["api.test"]"#, json!(["api.test", "api.test:*"])),
        // Another port than the gateway's own could not be said.
        (r#"["*.api.test"]"#, Value::Null),
    ] {
        let route = format!(r#""match": {{"path": "/a", "hosts": {hosts}}}, "auth": "none""#);
        let rules = allowed(&one("", &route));
        assert_eq!(rules[0]["to"][0]["operation"]["hosts"], expected);
    }
}

fn policies(document: &Document, options: &IstioOptions) -> Vec<Value> {
    callers::resources(&rendering(document, options)).unwrap()
}

#[test]
fn a_workload_takes_calls_of_the_gateway_and_of_peers() {
    let policies = policies(&sidecar::document(), &options(30));
    assert_eq!(
        names(&policies),
        [
            "postern-payments-callers",
            "postern-web-callers",
            "postern-default-deny",
            "postern-workloads-decide",
            "postern-workloads-identity",
            "postern-workloads-message",
        ]
    );
    let gateway = json!(["cluster.local/ns/edge-ns/sa/in"]);
    let rules = policies[0]["spec"]["rules"].as_array().unwrap();
    let [of_gateway, of_peers] = rules.as_slice() else { panic!("{rules:?}") };
    assert_eq!(of_gateway["from"][0]["source"]["principals"], gateway);
    // Where Istio took the port for TCP, no bundle would look, and a rule with a path is left out.
    assert_eq!(
        of_gateway["to"][0]["operation"],
        json!({"paths": ["/*"], "ports": ["8080", "8081"]})
    );
    assert_eq!(
        of_peers["from"][0]["source"]["principals"],
        json!(["cluster.local/ns/edge-ns/sa/in", "cluster.local/ns/shop/sa/web"])
    );
    assert_eq!(
        of_peers["to"],
        json!([{"operation": {"paths": ["/shop/pay/*"], "methods": ["POST"],
                              "ports": ["8080", "8081"]}}])
    );
    let rules = policies[1]["spec"]["rules"].as_array().unwrap();
    let [of_gateway] = rules.as_slice() else { panic!("{rules:?}") };
    assert_eq!(of_gateway["to"][0]["operation"], json!({"paths": ["/*"], "ports": ["3000"]}));
}

#[test]
fn nobody_else_gets_in_unless_somebody_says_so() {
    let document = sidecar::document();
    let deny = &policies(&document, &options(30))[2];
    assert_eq!(deny["spec"], json!({}), "an ALLOW policy without rules allows nothing");
    assert_eq!(deny["metadata"]["namespace"], "shop");
    let shared = IstioOptions { default_deny: false, ..options(30) };
    let policies = policies(&document, &shared);
    assert!(!names(&policies).contains(&"postern-default-deny"));
    assert!(names(&policies).contains(&"postern-payments-callers"));
}

/// A namespace-wide policy would speak for the gateway too, which ends another TLS.
#[test]
fn a_workload_in_the_gateways_namespace_takes_mutual_tls_for_itself() {
    let strict = |namespace: &str| {
        let text = sidecar::TEXT.replace(r#""edge-ns""#, &format!("\"{namespace}\""));
        made(&load(&text), |rendering| {
            let resources = peer_authentication::resources(rendering);
            for resource in &resources {
                assert_eq!(resource["spec"]["mtls"]["mode"], "STRICT");
            }
            resources
        })
    };
    let apart = strict("edge-ns");
    assert_eq!(names(&apart), ["default"]);
    assert_eq!(apart[0]["spec"].get("selector"), None);
    let shared = strict("shop");
    assert_eq!(names(&shared), ["postern-payments", "postern-web"]);
    assert_eq!(shared[0]["spec"]["selector"]["matchLabels"], json!({"app": "payments"}));
}

#[test]
fn the_suite_hears_of_the_workloads_that_ask_it() {
    let policies = policies(&sidecar::document(), &options(30));
    let rules = |name: &str| -> Vec<(Value, Value)> {
        let policy = policies.iter().find(|policy| policy["metadata"]["name"] == name).unwrap();
        assert_eq!(policy["metadata"]["namespace"], "postern-system");
        let rules = policy["spec"]["rules"].as_array().unwrap().iter();
        rules
            .map(|rule| {
                let operation = &rule["to"][0]["operation"];
                assert!(operation["ports"].is_array());
                (rule["from"][0]["source"]["principals"][0].clone(), operation["paths"].clone())
            })
            .collect()
    };
    let check = "/envoy.service.auth.v3.Authorization/Check";
    let edge = json!("cluster.local/ns/edge-ns/sa/in");
    let payments = json!("cluster.local/ns/shop/sa/payments");
    assert_eq!(
        rules("postern-workloads-decide"),
        [(edge.clone(), json!([check])), (payments.clone(), json!([check]))]
    );
    let keys = json!(["/oauth2/jwks"]);
    assert_eq!(
        rules("postern-workloads-identity"),
        [(edge, keys.clone()), (payments.clone(), keys)]
    );
    let message = json!([
        "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs",
        "/envoy.service.ext_proc.v3.ExternalProcessor/Process",
    ]);
    assert_eq!(rules("postern-workloads-message"), [(payments, message)]);
}

#[test]
fn a_document_without_workloads_leaves_callers_to_the_base() {
    assert!(policies(&document(), &options(30)).is_empty());
}

#[test]
fn every_policy_says_what_it_is_for() {
    for document in [document(), sidecar::document()] {
        made(&document, |rendering| {
            for policy in super::super::policies(rendering).unwrap() {
                let about = &policy["metadata"]["annotations"]["postern.dev/for"];
                assert!(about.as_str().is_some_and(|about| about.ends_with('.')), "{policy}");
            }
        });
    }
}
