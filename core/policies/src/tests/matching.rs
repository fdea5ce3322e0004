//! What each attribute matches.

use super::*;

#[test]
fn paths_are_compared_without_query() {
    let path = |value: &str| format!("{{to: [{{operation: {{paths: ['{value}']}}}}]}}");
    for (value, request_path, expected) in [
        ("/a", "/a", true),
        ("/a", "/a?b=c", true),
        ("/a", "/a#b", true),
        ("/a", "/a/", false),
        ("/a", "/A", false),
        ("/a*", "/ab/c", true),
        ("*.html", "/a/b.html?x=.txt", true),
        ("*.html", "/a?x=.html", false),
        ("*", "/", true),
        ("/foo/{*}", "/foo/bar?x=/y", true),
        ("/foo/{*}", "/foo/bar/baz", false),
        ("/foo/{**}/", "/foo/bar/baz/", true),
        ("/foo/{*}/bar/{**}", "/foo/x/bar/y/z", true),
    ] {
        assert_eq!(matches(&path(value), &get(request_path)), expected, "{value} {request_path}");
    }
}

#[test]
fn hosts_have_no_case_and_a_port() {
    let host = |value: &str| format!("{{to: [{{operation: {{hosts: ['{value}']}}}}]}}");
    for (value, sent, expected) in [
        ("example.com", "example.com", true),
        ("Example.com", "eXample.com", true),
        ("example.com", "example.com:443", false),
        ("example.com:*", "example.com:443", true),
        ("example.com:*", "example.com", false),
        ("*.example.com", "a.EXAMPLE.com", true),
        ("*.example.com", "a.example.com:80", false),
        ("*", "x", true),
    ] {
        let mut request = get("/");
        request.http.as_mut().unwrap().host = sent.to_owned();
        assert_eq!(matches(&host(value), &request), expected, "{value} {sent}");
    }
}

#[test]
fn not_fields_exclude_and_hold_where_there_is_nothing() {
    let operation = |fields: &str| format!("{{to: [{{operation: {{{fields}}}}}]}}");
    let source = |fields: &str| format!("{{from: [{{source: {{{fields}}}}}]}}");
    for (rule, request, expected) in [
        (operation("notMethods: [GET]"), get("/"), false),
        (operation("notMethods: [POST]"), get("/"), true),
        (operation("paths: ['/a*'], notPaths: ['/a/public*']"), get("/a/x"), true),
        (operation("paths: ['/a*'], notPaths: ['/a/public*']"), get("/a/public/x"), false),
        (operation("notPorts: ['8000']"), get("/"), false),
        (operation("notHosts: ['httpbin.foo*']"), get("/"), false),
        (source("notPrincipals: ['*']"), get("/"), false),
        (source("notPrincipals: ['*']"), plain_text(), true),
        (source("notNamespaces: [default]"), get("/"), false),
        (source("notNamespaces: [default]"), plain_text(), true),
        (source("notServiceAccounts: [default/sleep]"), get("/"), false),
        (source("notRequestPrincipals: ['*']"), get("/"), true),
        (source("notIpBlocks: ['10.0.0.0/8']"), get("/"), false),
        (source("notRemoteIpBlocks: ['10.0.0.0/8']"), get("/"), false),
        // Everything that is asked in one item must hold.
        (source("principals: ['*'], notNamespaces: [default]"), get("/"), false),
        (source("principals: ['*'], notNamespaces: [other]"), get("/"), true),
    ] {
        assert_eq!(matches(&rule, &request), expected, "{rule} {request:?}");
    }
}

#[test]
fn who_calls() {
    let source = |fields: &str| format!("{{from: [{{source: {{{fields}}}}}]}}");
    for (fields, principal, expected) in [
        ("principals: ['*']", SLEEP, true),
        ("principals: ['cluster.local/ns/default/sa/sleep']", SLEEP, true),
        ("principals: ['cluster.local/ns/default/*']", SLEEP, true),
        ("principals: ['*/sa/sleep']", SLEEP, true),
        ("principals: ['*/ns/default/sa/sleep']", "other/ns/default/sa/sleep", true),
        ("principals: ['cluster.local/ns/default/sa/sleep']", "other/ns/default/sa/sleep", false),
        ("principals: ['spiffe://cluster.local/ns/default/sa/sleep']", SLEEP, false),
        ("namespaces: [default]", SLEEP, true),
        ("namespaces: ['def*']", SLEEP, true),
        ("namespaces: ['*']", SLEEP, true),
        ("namespaces: [ault]", SLEEP, false),
        // Without a namespace it is the policy's.
        ("serviceAccounts: [sleep]", SLEEP, false),
        ("serviceAccounts: [sleep]", "cluster.local/ns/foo/sa/sleep", true),
        ("serviceAccounts: [default/sleep]", SLEEP, true),
        ("trustDomains: [cluster.local]", SLEEP, true),
        ("trustDomains: ['cluster.*']", SLEEP, true),
        ("trustDomains: [cluster]", SLEEP, false),
    ] {
        assert_eq!(matches(&source(fields), &from(principal)), expected, "{fields} {principal}");
        assert!(!matches(&source(fields), &plain_text()), "{fields} in plain text");
    }
}

#[test]
fn principals_are_those_of_all_trust_domains() {
    let mesh = Mesh { trust_domains: vec!["new".to_owned(), "old".to_owned()], ..open_mesh() };
    let text = rule("ALLOW", "{from: [{source: {principals: ['old/ns/a/sa/b']}}]}");
    for (principal, expected) in
        [("new/ns/a/sa/b", "allowed"), ("old/ns/a/sa/b", "allowed"), ("x/ns/a/sa/b", "no rule")]
    {
        assert_eq!(word_in(&mesh, &text, &from(principal)), expected, "{principal}");
    }
}

#[test]
fn conditions() {
    let when =
        |key: &str, value: &str| format!("{{when: [{{key: '{key}', values: ['{value}']}}]}}");
    let mut request = with_headers(&[("X-A", "one"), ("x-a", "two"), ("x-empty", "")]);
    request.sni = Some("www.example.com".to_owned());
    request.peer.remote_ip = Some("2001:db8::7".parse().unwrap());
    request.metadata = vec![Metadata {
        filter: "envoy.filters.network.mysql_proxy".to_owned(),
        members: json(r#"{"db.table": ["update"], "one": "x"}"#),
    }];
    for (key, value, expected) in [
        ("source.ip", "10.1.2.3", true),
        ("source.ip", "10.1.0.0/16", true),
        ("source.ip", "10.2.0.0/16", false),
        ("remote.ip", "2001:db8::/32", true),
        ("remote.ip", "10.0.0.0/8", false),
        ("destination.ip", "10.9.9.9", true),
        ("destination.port", "8000", true),
        ("destination.port", "80", false),
        ("source.namespace", "default", true),
        ("source.principal", "*/sleep", true),
        ("source.serviceAccount", "default/sleep", true),
        ("connection.sni", "*.example.com", true),
        ("connection.sni", "example.com", false),
        // Of several headers of one name, each is compared.
        ("request.headers[x-a]", "one,two", false),
        ("request.headers[x-a]", "one", true),
        ("request.headers[x-a]", "two", true),
        ("request.headers[x-a]", "one*", true),
        ("request.headers[X-A]", "*two", true),
        ("request.headers[x-empty]", "*", true),
        ("request.headers[x-none]", "*", false),
        ("request.headers[:method]", "GET", true),
        ("request.headers[host]", "httpbin.foo:8000", true),
        ("experimental.envoy.filters.network.mysql_proxy[db.table]", "[update]", true),
        ("experimental.envoy.filters.network.mysql_proxy[db.table]", "update", false),
        ("experimental.envoy.filters.network.mysql_proxy[one]", "x", true),
        ("experimental.envoy.filters.network.mysql_proxy[one]", "[x]", false),
        ("experimental.envoy.filters.network.other[one]", "x", false),
        ("request.auth.principal", "*", false),
        ("request.auth.claims[a]", "*", false),
    ] {
        assert_eq!(matches(&when(key, value), &request), expected, "{key} {value}");
    }
    assert!(!matches(&when("connection.sni", "*"), &get("/")), "no name is an empty one");
}

#[test]
fn an_address_of_version_4_in_version_6_is_of_version_6() {
    let text = "{from: [{source: {ipBlocks: ['10.0.0.0/8']}}]}";
    let mut request = get("/");
    request.peer.ip = Some("::ffff:10.1.2.3".parse().unwrap());
    assert!(!matches(text, &request));
    request.peer.ip = Some("10.1.2.3".parse().unwrap());
    assert!(matches(text, &request));
}

#[test]
fn a_verdict_says_why() {
    let text = rule(
        "ALLOW",
        "{from: [{source: {namespaces: [a]}}, {source: {principals: ['*/sleep']}}], \
         to: [{operation: {methods: [GET, POST], notPaths: [/x]}}]}",
    );
    let resources = load(&text);
    let (mesh, workload) = (Mesh::default(), httpbin());
    let reasons = |path: &str| {
        let verdict = evaluate(&resources, &mesh, &workload, &get(path));
        let [step] = &verdict.trace[..] else { panic!("{verdict:?}") };
        assert_eq!((step.policy.meta.to_string().as_str(), step.rule), ("foo/p", Some(0)));
        match &step.outcome {
            Outcome::Matched(reasons) | Outcome::Missed(reasons) => {
                reasons.iter().map(ToString::to_string).collect::<Vec<String>>()
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        reasons("/"),
        [
            "from[1].source.principals: `*/sleep`",
            "to[0].operation.methods: `GET`",
            "to[0].operation.notPaths"
        ]
    );
    assert_eq!(reasons("/x"), ["to[0].operation.notPaths: `/x`"]);
}
