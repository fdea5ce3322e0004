//! The examples of Istio's reference and tasks, and what is said of them there.

use super::*;

/// <https://istio.io/latest/docs/reference/config/security/authorization-policy/>
#[test]
fn the_reference_s_first_example() {
    let text = "apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata:
  name: httpbin
  namespace: foo
spec:
  action: ALLOW
  rules:
  - from:
    - source:
        principals: [\"cluster.local/ns/default/sa/sleep\"]
    - source:
        namespaces: [\"test\"]
    to:
    - operation:
        methods: [\"GET\"]
        paths: [\"/info*\"]
    - operation:
        methods: [\"POST\"]
        paths: [\"/data\"]
    when:
    - key: request.auth.claims[iss]
      values: [\"https://accounts.google.com\"]
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: google, namespace: foo}
spec:
  jwtRules: [{issuer: \"https://accounts.google.com\"}, {issuer: other}]
";
    let google = r#"{"iss": "https://accounts.google.com", "sub": "a"}"#;
    for (method, path, principal, claims, expected) in [
        ("GET", "/info", SLEEP, google, "allowed"),
        ("GET", "/information?x=y", SLEEP, google, "allowed"),
        ("GET", "/data", SLEEP, google, "no rule"),
        ("POST", "/data", SLEEP, google, "allowed"),
        ("POST", "/data/", SLEEP, google, "no rule"),
        ("POST", "/data", "cluster.local/ns/test/sa/any", google, "allowed"),
        ("POST", "/data", "cluster.local/ns/test2/sa/any", google, "no rule"),
        ("POST", "/data", "cluster.local/ns/default/sa/sleep2", google, "no rule"),
        ("POST", "/data", SLEEP, r#"{"iss": "other", "sub": "a"}"#, "no rule"),
    ] {
        let mut request = with_claims(claims);
        request.peer.principal = Some(principal.to_owned());
        let http = request.http.as_mut().unwrap();
        (http.method, http.path) = (method.to_owned(), path.to_owned());
        assert_eq!(word(text, &request), expected, "{method} {path} {principal} {claims}");
    }
    assert_eq!(word(text, &get("/info")), "no rule", "without a token");
}

#[test]
fn deny_post_from_dev() {
    let text = rule(
        "DENY",
        r#"{from: [{source: {namespaces: ["dev"]}}], to: [{operation: {methods: ["POST"]}}]}"#,
    );
    for (method, namespace, expected) in
        [("POST", "dev", "denied"), ("GET", "dev", "open"), ("POST", "prod", "open")]
    {
        let mut request = request(method, "/");
        request.peer = Peer::workload("cluster.local", namespace, "web");
        assert_eq!(word(&text, &request), expected, "{method} {namespace}");
    }
}

#[test]
fn nothing_everything_and_nobody() {
    for (spec, expected) in [
        // "allow-nothing": no rule ever matches.
        ("{}", "no rule"),
        ("{action: ALLOW}", "no rule"),
        ("{action: ALLOW, rules: []}", "no rule"),
        // "allow-all" and "deny-all": one empty rule, which always does.
        ("{rules: [{}]}", "allowed"),
        ("{action: DENY, rules: [{}]}", "denied"),
        ("{action: AUDIT, rules: [{}]}", "open"),
        ("{action: AUDIT}", "open"),
        ("{action: CUSTOM, provider: {name: opa}, rules: [{}]}", "ask"),
    ] {
        assert_eq!(word(&authorization("foo/p", spec), &get("/")), expected, "{spec}");
    }
    let without_spec = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n\
                        metadata: {name: p, namespace: foo}\n";
    assert_eq!(word(without_spec, &get("/")), "no rule");
    assert_eq!(word("", &get("/")), "open");
}

/// <https://istio.io/latest/docs/tasks/security/authorization/authz-jwt/>
#[test]
fn require_a_token() {
    let known = resource(
        "RequestAuthentication",
        "foo/jwt-example",
        "{selector: {matchLabels: {app: httpbin}}, jwtRules: [{issuer: testing@secure.istio.io}]}",
    );
    let text = known
        + &authorization(
            "foo/require-jwt",
            "{selector: {matchLabels: {app: httpbin}}, rules: [{from: [{source: \
             {requestPrincipals: ['testing@secure.istio.io/testing@secure.istio.io']}}], \
             when: [{key: 'request.auth.claims[groups]', values: [group1]}]}]}",
        );
    let claims = |groups: &str| {
        let me = "testing@secure.istio.io";
        with_claims(&format!(r#"{{"iss": "{me}", "sub": "{me}", "groups": {groups}}}"#))
    };
    for (request, expected) in [
        (claims(r#"["group1", "group2"]"#), "allowed"),
        (claims(r#""group1""#), "allowed"),
        (claims(r#"["group2"]"#), "no rule"),
        (claims(r#"{"group1": true}"#), "no rule"),
        (claims("1"), "no rule"),
        (get("/"), "no rule"),
        (with_claims(r#"{"iss": "somebody"}"#), "bad token"),
    ] {
        assert_eq!(word(&text, &request), expected, "{request:?}");
    }
}

/// <https://istio.io/latest/docs/tasks/security/authorization/authz-deny/>: the DENY policy counts
/// for GET without a certain header value, the ALLOW policy for paths.
#[test]
fn deny_goes_before_allow() {
    let text = authorization(
        "foo/deny-method-get",
        "{action: DENY, rules: [{to: [{operation: {methods: [GET]}}], \
         when: [{key: 'request.headers[x-token]', notValues: [admin]}]}]}",
    ) + &authorization(
        "foo/allow-path-ip",
        "{action: ALLOW, rules: [{to: [{operation: {paths: [/ip]}}]}]}",
    );
    for (path, token, expected) in [
        ("/ip", "guest", "denied"),
        ("/ip", "admin", "allowed"),
        ("/get", "admin", "no rule"),
        ("/get", "guest", "denied"),
    ] {
        let mut request = with_headers(&[("X-Token", token)]);
        request.http.as_mut().unwrap().path = path.to_owned();
        assert_eq!(word(&text, &request), expected, "{path} {token}");
    }
    assert_eq!(word(&text, &get("/ip")), "denied", "no header is none of the values");
}

/// <https://istio.io/latest/docs/tasks/security/authorization/authz-ingress/>
#[test]
fn addresses_at_a_gateway() {
    let text = authorization(
        "istio-system/ingress-policy",
        "{selector: {matchLabels: {app: istio-ingressgateway}}, action: ALLOW, rules: \
         [{from: [{source: {ipBlocks: ['1.2.3.4', '5.6.7.0/24']}}]}]}",
    );
    let gateway = Workload {
        namespace: "istio-system".to_owned(),
        labels: [("app".to_owned(), "istio-ingressgateway".to_owned())].into(),
        proxy: Proxy::Gateway,
        ..Workload::default()
    };
    let resources = load(&text);
    for (ip, expected) in [("5.6.7.9", true), ("1.2.3.4", true), ("1.2.3.5", false)] {
        let mut request = plain_text();
        request.peer.ip = Some(ip.parse().unwrap());
        let verdict = evaluate(&resources, &Mesh::default(), &gateway, &request);
        assert_eq!(verdict.decision.may_pass(), expected, "{ip}");
    }
}
