//! What is left of a policy where nobody speaks HTTP.

use super::*;

#[test]
fn allow_rules_about_http_are_left_out() {
    for (fields, expected) in [
        ("{}", "allowed"),
        ("{from: [{source: {namespaces: [default]}}]}", "allowed"),
        ("{to: [{operation: {ports: ['9000']}}]}", "allowed"),
        ("{to: [{operation: {ports: ['9001']}}]}", "no rule"),
        ("{to: [{operation: {methods: [GET]}}]}", "no rule"),
        ("{to: [{operation: {notMethods: [GET]}}]}", "no rule"),
        // One item about HTTP takes the whole rule along, items beside it too.
        ("{to: [{operation: {paths: [/a]}}, {operation: {ports: ['9000']}}]}", "no rule"),
        (
            "{from: [{source: {principals: ['*']}}, {source: {requestPrincipals: ['*']}}]}",
            "no rule",
        ),
        ("{when: [{key: 'request.headers[a]', notValues: [b]}]}", "no rule"),
        ("{when: [{key: 'request.auth.claims[a]', notValues: [b]}]}", "no rule"),
        ("{when: [{key: source.ip, values: ['10.0.0.0/8']}]}", "allowed"),
        ("{when: [{key: connection.sni, notValues: [a]}]}", "allowed"),
    ] {
        assert_eq!(word(&rule("ALLOW", fields), &tcp(9000)), expected, "{fields}");
    }
    // What is left out leaves its policy there, which then allows less.
    let two = authorization(
        "foo/p",
        "{rules: [{to: [{operation: {methods: [GET]}}]}, {to: [{operation: {ports: ['9000']}}]}]}",
    );
    assert_eq!(word(&two, &tcp(9000)), "allowed");
    assert_eq!(word(&two, &tcp(9001)), "no rule");
}

#[test]
fn other_rules_forget_what_they_ask_about_http() {
    for (fields, port, expected) in [
        ("{to: [{operation: {methods: [GET]}}]}", 9000, "denied"),
        ("{to: [{operation: {notMethods: [GET]}}]}", 9000, "denied"),
        ("{from: [{source: {notRequestPrincipals: ['*']}}]}", 9000, "denied"),
        ("{to: [{operation: {methods: [GET], ports: ['8000']}}]}", 9000, "open"),
        ("{to: [{operation: {methods: [GET], ports: ['8000']}}]}", 8000, "denied"),
        (
            "{to: [{operation: {methods: [GET]}}], from: [{source: {namespaces: [a]}}]}",
            9000,
            "open",
        ),
        (
            "{from: [{source: {requestPrincipals: [a/b]}}, {source: {namespaces: [a]}}]}",
            9000,
            "denied",
        ),
        ("{when: [{key: 'request.auth.claims[a]', values: [b]}]}", 9000, "denied"),
    ] {
        assert_eq!(word(&rule("DENY", fields), &tcp(port)), expected, "{fields} {port}");
    }
    let text = rule("AUDIT", "{to: [{operation: {methods: [GET]}}]}");
    let resources = load(&text);
    let verdict = evaluate(&resources, &Mesh::default(), &httpbin(), &tcp(9000));
    assert_eq!(verdict.audit.len(), 1);
}

#[test]
fn the_trace_says_what_was_left_out() {
    let text = rule("ALLOW", "{to: [{operation: {notPaths: [/a]}}]}");
    let resources = load(&text);
    let verdict = evaluate(&resources, &Mesh::default(), &httpbin(), &tcp(9000));
    let reason = Reason { place: "to[0].operation.notPaths".to_owned(), value: None };
    assert_eq!(verdict.trace[0].outcome, Outcome::HttpOnly(reason));
}
