//! Which texts are resources.

use super::*;

const HEAD: &str = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n\
                    metadata: {name: p, namespace: foo}\n";

#[test]
fn several_resources_in_several_files() {
    let one = authorization("foo/a", "{}") + &resource("PeerAuthentication", "foo/b", "{}");
    let other = resource("RequestAuthentication", "foo/c", "{}").replace("/v1", "/v1beta1")
        + "---\n# Nothing.\n---\napiVersion: v1\nkind: ConfigMap\ndata: {a: 1.5}\n";
    let read = Resources::load(&[source("one", &one), source("other", &other)]).unwrap();
    assert_eq!((read.authorization().len(), read.peer().len(), read.request().len()), (1, 1, 1));
    let skipped = Skipped {
        api_version: "v1".to_owned(),
        kind: "ConfigMap".to_owned(),
        file: "other".to_owned(),
        line: 9,
    };
    assert_eq!(read.skipped(), [skipped]);
    assert_eq!((read.request()[0].meta.file.as_str(), read.request()[0].meta.line), ("other", 2));
}

#[test]
fn lists_are_opened() {
    let text = "apiVersion: v1
kind: List
items:
- apiVersion: security.istio.io/v1
  kind: AuthorizationPolicy
  metadata:
    name: p
    namespace: foo
    uid: 1b4e28ba-2fa1-11d2-883f-0016d3cca427
    generation: 3
    resourceVersion: '1'
    creationTimestamp: '2026-01-31T12:00:00Z'
    managedFields: [{anything: {f:spec: {}}}]
  spec: {}
  status: {conditions: []}
- apiVersion: v1
  kind: Service
";
    let read = load(text);
    assert_eq!(read.authorization()[0].meta.created.as_deref(), Some("2026-01-31T12:00:00Z"));
    assert_eq!(read.skipped().len(), 1);
    let list = text.replace("kind: List", "kind: AuthorizationPolicyList").replacen(
        "apiVersion: v1",
        "apiVersion: security.istio.io/v1",
        1,
    );
    assert_eq!(load(&list).authorization().len(), 1);
}

#[test]
fn problems_say_where() {
    let text = format!(
        "{HEAD}spec:\n  rules:\n  - form:\n    - source: {{principals: [a]}}\n  - to:\n    - \
         operation:\n        paths:\n        - /a/{{id}}\n        ports: [80]\n"
    );
    assert_eq!(
        problems(&text),
        [
            "f:6: spec.rules[0]: unknown field `form`; did you mean `from`?",
            "f:11: spec.rules[1].to[0].operation.paths[0]: `/a/{id}`: braces stand in paths as \
             `{*}` and `{**}` between slashes alone",
            "f:12: spec.rules[1].to[0].operation.ports[0]: expected text, found a number: put it \
             in quotes",
        ]
    );
}

#[test]
fn what_istiod_refuses_is_refused() {
    for (spec, expected) in [
        ("{action: DENY}", "DENY without `rules`"),
        ("{action: DENY, rules: []}", "DENY without `rules`"),
        ("{action: CUSTOM, provider: {name: a}}", "CUSTOM without `rules`"),
        ("{action: CUSTOM, rules: [{}]}", "needs `provider`"),
        ("{action: CUSTOM, provider: {}, rules: [{}]}", "`name` is missing"),
        ("{provider: {name: a}}", "`provider` is for CUSTOM alone"),
        ("{action: allow}", "expected one of ALLOW"),
        ("{rules: [null]}", "no value here"),
        ("{rules: [{from: null}]}", "no value here"),
        ("{rules: [{from: [{}]}]}", "`source` is missing"),
        ("{rules: [{from: [{source: {}}]}]}", "`source` must not be empty"),
        ("{rules: [{from: [{source: {principals: []}}]}]}", "`source` must not be empty"),
        ("{rules: [{to: [{operation: {}}]}]}", "`operation` must not be empty"),
        ("{rules: [{to: [{operation: {methods: ['']}}]}]}", "an empty value"),
        ("{rules: [{to: [{operation: {ports: ['http']}}]}]}", "no port"),
        ("{rules: [{from: [{source: {ipBlocks: ['10.0.0.0/33']}}]}]}", "no address"),
        ("{rules: [{from: [{source: {serviceAccounts: ['*']}}]}]}", "without `*`"),
        (
            "{rules: [{from: [{source: {serviceAccounts: [a], notNamespaces: [b]}}]}]}",
            "either service accounts",
        ),
        ("{rules: [{when: [{key: source.ip}]}]}", "`values` or `notValues`"),
        ("{rules: [{when: [{key: source.ip, values: []}]}]}", "`values` or `notValues`"),
        ("{rules: [{when: [{key: source.ip, values: [a]}]}]}", "no address"),
        ("{rules: [{when: [{key: destination.user, values: [a]}]}]}", "no attribute"),
        ("{rules: [{when: [{values: [a]}]}]}", "`key` is missing"),
        ("{selector: {matchLabels: {'*': a}}}", "`*` is not allowed"),
        ("{selector: {matchLabels: {a: 1}}}", "put it in quotes"),
        ("{selector: {matchLabels: {a: on}}}", "put it in quotes"),
        ("{selector: {matchExpressions: []}}", "unknown field"),
        ("{selector: {}, targetRefs: [{kind: Service, name: a}]}", "not both"),
        ("{targetRefs: [{kind: Pod, name: a}]}", "can be referred to"),
        ("{targetRefs: [{kind: Service, name: a, namespace: b}]}", "must not be set"),
        (
            "{action: CUSTOM, provider: {name: a}, rules: [{from: [{source: {principals: [b]}}]}]}",
            "CUSTOM cannot ask for source.principal",
        ),
    ] {
        let found = problems(&authorization("foo/p", spec));
        assert!(found.iter().any(|problem| problem.contains(expected)), "{spec}: {found:?}");
    }
}

#[test]
fn the_other_kinds_have_rules_too() {
    for (kind, spec, expected) in [
        ("PeerAuthentication", "{mtls: {mode: strict}}", "expected one of STRICT"),
        ("PeerAuthentication", "{mtls: STRICT}", "expected a mapping"),
        ("PeerAuthentication", "{portLevelMtls: {80: {mode: STRICT}}}", "must have labels"),
        (
            "PeerAuthentication",
            "{selector: {matchLabels: {a: b}}, portLevelMtls: {http: {mode: STRICT}}}",
            "a port is a number",
        ),
        (
            "PeerAuthentication",
            "{selector: {matchLabels: {a: b}}, portLevelMtls: {}}",
            "there must be a port",
        ),
        ("RequestAuthentication", "{jwtRules: [{}]}", "`issuer` or `jwksUri`"),
        ("RequestAuthentication", "{jwtRules: [{issuer: ''}]}", "is empty"),
        ("RequestAuthentication", "{jwtRules: [{issuer: a, jwks: secret}]}", "no JSON object"),
        ("RequestAuthentication", "{jwtRules: [{issuer: a, jwksUri: 'file:x'}]}", "https://"),
        (
            "RequestAuthentication",
            "{jwtRules: [{issuer: a, jwksUri: 'https://x', jwks: '{}'}]}",
            "not both",
        ),
        ("RequestAuthentication", "{jwtRules: [{issuer: a, audience: b}]}", "unknown field"),
        ("RequestAuthentication", "{jwtRules: [{issuer: a, fromHeaders: [{}]}]}", "`name`"),
        (
            "RequestAuthentication",
            "{jwtRules: [{issuer: a, outputClaimToHeaders: [{header: 'a b', claim: c}]}]}",
            "letters, digits",
        ),
    ] {
        let found = problems(&resource(kind, "foo/p", spec));
        assert!(found.iter().any(|problem| problem.contains(expected)), "{spec}: {found:?}");
        assert!(!found.iter().any(|problem| problem.contains("secret")), "{found:?}");
    }
}

#[test]
fn whose_a_resource_is_must_be_plain() {
    for (metadata, expected) in [
        ("{name: p}", "`namespace` is missing"),
        ("{namespace: foo}", "`name` is missing"),
        ("{name: p, namespace: ''}", "`namespace` is empty"),
        ("{name: 'P q', namespace: foo}", "lower-case"),
        ("{name: p, namespace: foo, labls: {}}", "unknown field"),
        ("{name: p, namespace: foo, creationTimestamp: yesterday}", "a time is written"),
        ("{name: p, namespace: foo, annotations: {a: true}}", "put it in quotes"),
    ] {
        let text = format!(
            "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {metadata}\n"
        );
        let found = problems(&text);
        assert!(found.iter().any(|problem| problem.contains(expected)), "{metadata}: {found:?}");
    }
    assert_eq!(problems("a: b"), ["f:1: a resource has `apiVersion` and `kind`"]);
    assert_eq!(problems("- a"), ["f:1: expected a resource, found a list"]);
    let twice = authorization("foo/p", "{}") + &authorization("foo/p", "{}");
    assert_eq!(problems(&twice).len(), 1);
    let old = HEAD.replace("/v1", "/v1alpha1");
    assert_eq!(problems(&old), ["f:1: AuthorizationPolicy is served as v1 and v1beta1"]);
}

#[test]
fn a_dry_run_of_custom_is_none() {
    let text = HEAD.replace("{name", "{annotations: {istio.io/dry-run: 'true'}, name")
        + "spec: {action: CUSTOM, provider: {name: a}, rules: [{}]}\n";
    assert!(problems(&text)[0].contains("asks all the same"));
}

#[test]
fn only_what_decides_can_be_tried_out() {
    let dry = |kind: &str, value: &str, spec: &str| {
        let annotated = format!("metadata: {{annotations: {{istio.io/dry-run: '{value}'}}, ");
        problems(&resource(kind, "foo/p", spec).replace("metadata: {", &annotated))
    };
    let audit = "{action: AUDIT, rules: [{}]}";
    for (kind, value, spec, expected) in [
        ("AuthorizationPolicy", "true", audit, "AUDIT refuses nothing anyway"),
        ("AuthorizationPolicy", "false", audit, "AUDIT refuses nothing anyway"),
        ("AuthorizationPolicy", "yes", "{rules: [{}]}", "neither true nor false"),
        ("AuthorizationPolicy", "", "{action: DENY, rules: [{}]}", "neither true nor false"),
        ("PeerAuthentication", "true", "{mtls: {mode: STRICT}}", "is for AuthorizationPolicies"),
        ("RequestAuthentication", "true", "{jwtRules: [{issuer: a}]}", "AuthorizationPolicies"),
    ] {
        let found = dry(kind, value, spec);
        assert_eq!(found.len(), 1, "{kind} {spec}: {found:?}");
        assert!(found[0].starts_with("f:4: ") && found[0].contains(expected), "{found:?}");
    }
    for spec in ["{rules: [{}]}", "{action: DENY, rules: [{}]}"] {
        assert_eq!(dry("AuthorizationPolicy", "t", spec), [""; 0], "{spec}");
    }
    assert_eq!(problems(&authorization("foo/p", audit)), [""; 0]);
}

#[test]
fn what_means_something_else_is_warned_of() {
    for (spec, expected) in [
        ("{rules: [{from: []}]}", "spec.rules[0].from: an empty list"),
        (
            "{rules: [{to: [{operation: {methods: [], paths: [/a]}}]}]}",
            "spec.rules[0].to[0].operation.methods: an empty list",
        ),
        ("{rules: [{from: [{source: {trustDomains: [a]}}]}]}", "before 1.31"),
    ] {
        let read = load(&authorization("foo/p", spec));
        let [warning] = read.warnings() else { panic!("{spec}: {:?}", read.warnings()) };
        assert!(warning.to_string().contains(expected), "{warning}");
    }
    let text = authorization("foo/p", "{rules: [{from: [], to: [{operation: {paths: [/a]}}]}]}");
    assert_eq!(word(&text, &plain_text()), "no rule");
    let mut request = plain_text();
    request.http.as_mut().unwrap().path = "/a".to_owned();
    assert_eq!(word(&text, &request), "allowed", "it is as if `from` were not there");
}

#[test]
fn other_people_s_yaml_is_read() {
    let brackets = format!("{HEAD}spec:\n  rules: [\n    {{}}\n  ]\n");
    assert_eq!(word(&brackets, &get("/")), "allowed");
    let anchors = format!(
        "{HEAD}spec:\n  action: DENY\n  rules:\n  - to:\n    \
         - operation: &reads {{methods: [GET]}}\n    \
         - operation: {{<<: *reads, methods: [POST], paths: [/b]}}\n"
    );
    let read = load(&anchors);
    let to = &read.authorization()[0].rules[0].to;
    assert_eq!((to[0].len(), to[1].len()), (1, 2));
    for (method, path, expected) in
        [("GET", "/", "denied"), ("POST", "/b", "denied"), ("POST", "/", "open")]
    {
        assert_eq!(word(&anchors, &request(method, path)), expected, "{method} {path}");
    }
}

#[test]
fn hostile_texts_are_refused() {
    let deep = format!("{HEAD}spec: {}{}", "[".repeat(10_000), "]".repeat(10_000));
    let lists = "{apiVersion: v1, kind: List, items: [".repeat(100) + &"]}".repeat(100);
    let many = "---\n{apiVersion: v1, kind: A}\n".repeat(MAX_RESOURCES + 2);
    let rules = authorization("foo/p", &format!("{{rules: [{}]}}", "{},".repeat(513)));
    for (text, expected) in [
        (deep, "recursion limit"),
        (lists, "nested too deeply"),
        (many, "at most 20000 resources"),
        (rules, "at most 512 items"),
        ("x".repeat((4 << 20) + 1), "larger than 4 MiB"),
        ("a: &a [*a]".to_owned(), "not within it"),
    ] {
        let found = problems(&text);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains(expected), "{found:?}");
    }
}
