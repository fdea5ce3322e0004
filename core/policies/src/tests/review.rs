//! What a reviewer is told to look at.

use super::*;

/// The concerns about one policy in `foo`, for `httpbin` in a mesh where nothing else is said.
fn concerns(text: &str) -> Vec<Concern> {
    let resources = load(text);
    let found = findings(&resources, &Mesh::default(), &[httpbin()]);
    found
        .into_iter()
        .map(|finding| finding.concern)
        .filter(|concern| !matches!(concern, Concern::PlainText { .. }))
        .collect()
}

/// Why parts of a rule never match.
fn never(fields: &str) -> Vec<(String, bool)> {
    let is_never = |concern: Concern| match concern {
        Concern::NeverMatches { place, whole, .. } => Some((place, whole)),
        _ => None,
    };
    concerns(&rule("ALLOW", fields)).into_iter().filter_map(is_never).collect()
}

#[test]
fn parts_that_never_match() {
    let operation = |fields: &str| format!("{{to: [{{operation: {{{fields}}}}}]}}");
    let source = |fields: &str| format!("{{from: [{{source: {{{fields}}}}}]}}");
    for fields in [
        operation("methods: [GET], notMethods: [GET]"),
        operation("methods: [GET], notMethods: ['*']"),
        operation("notMethods: ['*']"),
        operation("paths: ['/a/b', '/a/c*'], notPaths: ['/a/*']"),
        operation("paths: [admin]"),
        operation("paths: ['/a?b=c']"),
        operation("ports: ['8000'], notPorts: ['8000']"),
        source("ipBlocks: ['10.1.0.0/16'], notIpBlocks: ['10.0.0.0/8']"),
        source("principals: ['spiffe://cluster.local/ns/a/sa/b']"),
        source("principals: ['cluster.local/ns/a/sa/b'], namespaces: [c]"),
        source("principals: ['cluster.local/ns/a/sa/b'], notPrincipals: ['*']"),
        source("requestPrincipals: ['issuer']"),
        source("requestPrincipals: ['*/*']"),
    ] {
        let found = never(&fields);
        assert_eq!(found.len(), 1, "{fields}: {found:?}");
        assert!(found[0].1, "{fields}: there is no other part");
    }
    for fields in [
        operation("methods: [GET, POST], notMethods: [GET]"),
        operation("paths: ['/a/*'], notPaths: ['/a/b']"),
        operation("paths: ['/{*}'], notPaths: ['/a']"),
        source("ipBlocks: ['10.0.0.0/8'], notIpBlocks: ['10.1.0.0/16']"),
        source(
            "principals: ['cluster.local/ns/a/sa/b', 'cluster.local/ns/c/sa/b'], namespaces: [c]",
        ),
        source("principals: ['*'], namespaces: ['*']"),
        "{when: [{key: 'request.auth.claims[a]', values: [b]}, \
         {key: 'request.auth.claims[a]', values: [c]}]}"
            .to_owned(),
        "{when: [{key: 'request.headers[a]', values: [b]}, \
         {key: 'request.headers[a]', values: [c]}]}"
            .to_owned(),
    ] {
        assert_eq!(never(&fields), [], "{fields}");
    }
    assert_eq!(
        never("{to: [{operation: {paths: [/a]}}, {operation: {paths: [b]}}]}"),
        [("to[1]".to_owned(), false)]
    );
    assert_eq!(
        never(
            "{when: [{key: source.ip, values: ['10.0.0.1']}, \
             {key: source.ip, values: ['10.0.0.2']}]}"
        ),
        [("when[1]".to_owned(), true)]
    );
    assert_eq!(
        never(
            "{to: [{operation: {ports: ['8000']}}], \
             when: [{key: destination.port, values: ['9000']}]}"
        ),
        [("to[0]".to_owned(), true)]
    );
}

#[test]
fn values_that_no_request_has() {
    let operation = |fields: &str| format!("{{to: [{{operation: {{{fields}}}}}]}}");
    let source = |fields: &str| format!("{{from: [{{source: {{{fields}}}}}]}}");
    for fields in [
        operation("methods: [delete]"),
        operation("methods: ['Del*', 'P*T']"),
        operation("hosts: ['https://x:*']"),
        operation("hosts: [x/admin, 'a.*.test']"),
        operation("hosts: ['x test']"),
        operation("paths: ['/a/*/b', '/a/**']"),
        operation("paths: ['/a b']"),
        operation("ports: ['80', '443']"),
        source("principals: ['cluster.local/ns/*/sa/evil']"),
        source("principals: ['cluster.local/ns/x/sa/evil/']"),
        source("principals: ['*/sa/evil/']"),
        source("principals: ['/ns/x/sa/evil']"),
        source("principals: ['cluster.local//ns/x/*']"),
        "{when: [{key: source.principal, values: ['cluster.local/ns/*/sa/a']}]}".to_owned(),
    ] {
        let found = never(&fields);
        assert_eq!(found.len(), 1, "{fields}: {found:?}");
        assert!(found[0].1, "{fields}: there is no other part");
        let found = concerns(&rule("DENY", &fields));
        let is_never = |c: &Concern| matches!(c, Concern::NeverMatches { whole: true, .. });
        assert!(found.iter().any(is_never), "{fields}: {found:?}");
    }
    for fields in [
        operation("methods: [DELETE, 'P*', '*', M-SEARCH]"),
        operation("methods: [delete, DELETE]"),
        operation("hosts: ['x:*', '*.example.test', 'A.test:8443', '[::1]:80']"),
        operation("paths: ['/a/*', '*/b', '/{*}/b', '/a/{**}', '*', '/A%20b']"),
        operation("ports: ['80', '8000']"),
        // Of the proxy itself.
        operation("ports: ['15021']"),
        source("principals: ['cluster.local/ns/x/*', '*/sa/x', 'td.test/a_b/C-d']"),
        source("principals: ['cluster.local/ns/*']"),
        "{when: [{key: 'request.headers[accept]', values: ['*/*, text/*', 'a b']}]}".to_owned(),
        "{when: [{key: 'request.auth.claims[scope]', values: ['a:*:b']}]}".to_owned(),
        "{from: [{source: {namespaces: ['a*b']}}]}".to_owned(),
    ] {
        assert_eq!(never(&fields), [], "{fields}");
    }
}

#[test]
fn a_port_is_missed_only_where_all_ports_are_known() {
    let found = |workloads: &[Workload]| {
        let resources = load(&rule("DENY", "{to: [{operation: {ports: ['80']}}]}"));
        let found = findings(&resources, &Mesh::default(), workloads);
        found.iter().any(|found| matches!(found.concern, Concern::NeverMatches { .. }))
    };
    let on = |numbers: &[u16]| {
        let port = |number: &u16| Port { number: *number, protocol: Protocol::Http };
        Workload { ports: numbers.iter().map(port).collect(), ..httpbin() }
    };
    assert!(found(&[on(&[8080])]));
    assert!(found(&[on(&[8080]), on(&[9090])]));
    for workloads in [
        vec![on(&[8080]), on(&[80])],
        vec![on(&[8080]), on(&[])],
        vec![on(&[8080, 0])],
        vec![Workload { proxy: Proxy::Waypoint, ..on(&[8080]) }],
        Vec::new(),
    ] {
        assert!(!found(&workloads), "{workloads:?}");
    }
}

#[test]
fn what_is_for_nobody_and_what_for_everybody() {
    let nobody = "{selector: {matchLabels: {app: other}}, jwtRules: [{issuer: a}]}";
    assert_eq!(
        concerns(&resource("RequestAuthentication", "foo/p", nobody)),
        [Concern::SelectsNothing]
    );
    assert_eq!(concerns(&authorization("bar/p", "{}")), [Concern::SelectsNothing]);
    assert_eq!(concerns(&authorization("istio-system/p", "{}")), [Concern::MeshWide]);
    let ignored = "{selector: {matchLabels: {app: httpbin}}, mtls: {mode: STRICT}}";
    assert_eq!(
        concerns(&resource("PeerAuthentication", "istio-system/p", ignored)),
        [Concern::SelectsNothing]
    );
    assert_eq!(
        concerns(&authorization("foo/p", "{rules: [{}]}")),
        [Concern::AllowsEverything { rule: 0 }]
    );
    assert_eq!(concerns(&authorization("foo/p", "{}")), []);
}

#[test]
fn http_on_a_port_without_it() {
    let methods = "{to: [{operation: {methods: [GET]}}]}";
    for action in ["ALLOW", "DENY"] {
        let found = concerns(&rule(action, methods));
        let [Concern::HttpOnTcp { rule: 0, place, port: 9000, .. }] = &found[..] else {
            panic!("{action}: {found:?}")
        };
        assert_eq!(place, "to[0].operation.methods");
    }
    let with_port = "{to: [{operation: {methods: [GET], ports: ['8000']}}]}";
    assert_eq!(concerns(&rule("DENY", with_port)), []);
}

#[test]
fn tokens_that_nobody_verifies() {
    let rule = rule(
        "ALLOW",
        "{to: [{operation: {ports: ['8000']}}], from: [{source: {requestPrincipals: ['a/*']}}]}",
    );
    let issuer = |found: Vec<Concern>| match &found[..] {
        [Concern::TokenNotVerified { issuer, .. }] => issuer.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(issuer(concerns(&rule)), None);
    let known = |issuer: &str| {
        resource(
            "RequestAuthentication",
            "foo/jwt",
            &format!("{{jwtRules: [{{issuer: {issuer}}}]}}"),
        )
    };
    assert_eq!(issuer(concerns(&(known("b") + &rule))), Some("a/*".to_owned()));
    assert_eq!(concerns(&(known("a") + &rule)), []);
}

#[test]
fn headers_that_clients_can_write() {
    let by_header = "{to: [{operation: {ports: ['8000']}}], \
                     when: [{key: 'request.headers[x-sub]', values: [a]}]}";
    let trusts = |text: &str| {
        let is_it =
            |c: &Concern| matches!(c, Concern::TrustsHeader { header, .. } if header == "x-sub");
        concerns(text).iter().any(is_it)
    };
    assert!(trusts(&rule("ALLOW", by_header)));
    assert!(!trusts(&rule("DENY", by_header)));
    assert!(trusts(&rule("DENY", &by_header.replace("values", "notValues"))));
    let written = resource(
        "RequestAuthentication",
        "foo/jwt",
        "{jwtRules: [{issuer: a, outputClaimToHeaders: [{header: X-Sub, claim: sub}]}]}",
    );
    assert!(!trusts(&(written.clone() + &rule("ALLOW", by_header))));
    // CUSTOM comes first.
    let custom = authorization(
        "foo/p",
        &format!("{{action: CUSTOM, provider: {{name: opa}}, rules: [{by_header}]}}"),
    );
    assert!(trusts(&(written + &custom)));
}

#[test]
fn hosts_and_providers() {
    let hosts = |hosts: &str| {
        let fields = format!("{{to: [{{operation: {{ports: ['8000'], hosts: {hosts}}}}}]}}");
        concerns(&rule("DENY", &fields)).len()
    };
    assert_eq!(hosts("[a.example.com]"), 1);
    assert_eq!(hosts("[a.example.com, 'a.example.com:*']"), 0);
    assert_eq!(hosts("['*.example.com']"), 1);
    let custom = |id: &str, provider: &str| {
        authorization(
            id,
            &format!("{{action: CUSTOM, provider: {{name: {provider}}}, rules: [{{}}]}}"),
        )
    };
    let both = load(&(custom("foo/a", "opa") + &custom("foo/b", "proxy")));
    let known = vec![Provider { name: "opa".to_owned(), grpc: true }];
    let mesh = Mesh { providers: Some(known), ..Mesh::default() };
    let found: Vec<Concern> =
        findings(&both, &mesh, &[httpbin()]).into_iter().map(|finding| finding.concern).collect();
    assert!(found.contains(&Concern::UnknownProvider { provider: "proxy".to_owned() }));
    let providers = vec!["opa".to_owned(), "proxy".to_owned()];
    assert!(
        found.contains(&Concern::SeveralProviders { workload: "httpbin".to_owned(), providers })
    );
}

#[test]
fn providers_that_istiod_does_not_take() {
    let text = "{action: CUSTOM, provider: {name: opa}, rules: [{}]}";
    let resources = load(&authorization("foo/a", text));
    let found = |names: &[&str]| {
        let provider = |name: &&str| Provider { name: (*name).to_owned(), grpc: true };
        let providers = Some(names.iter().map(provider).collect());
        let mesh = Mesh { providers, ..Mesh::default() };
        let all = findings(&resources, &mesh, &[httpbin()]);
        let wanted = |concern: &Concern| {
            matches!(concern, Concern::InvalidProvider { .. } | Concern::UnknownProvider { .. })
        };
        all.into_iter().map(|found| found.concern).find(wanted)
    };
    let provider = || "opa".to_owned();
    let why = "there are several of this name";
    assert_eq!(
        found(&["opa", "x", "opa"]),
        Some(Concern::InvalidProvider { provider: provider(), why })
    );
    assert_eq!(found(&["x"]), Some(Concern::UnknownProvider { provider: provider() }));
    assert_eq!(found(&["opa", "X.y"]), None);
}

#[test]
fn plain_text_and_which_policy_is_older() {
    let text = resource("PeerAuthentication", "foo/a", "{mtls: {mode: PERMISSIVE}}")
        + &resource("PeerAuthentication", "foo/b", "{mtls: {mode: STRICT}}");
    let resources = load(&text);
    let found = findings(&resources, &Mesh::default(), &[httpbin()]);
    let older = Concern::NotTheOldest {
        workload: "httpbin".to_owned(),
        instead: "foo/a".to_owned(),
        is_known: false,
    };
    assert!(found.iter().any(|f| f.concern == older && f.of.unwrap().1.name == "b"), "{found:?}");
    let plain = |port: u16| Concern::PlainText {
        workload: "httpbin".to_owned(),
        port: Some(port),
        mode: MtlsMode::Permissive,
    };
    assert!(found.iter().any(|f| f.concern == plain(8000) && f.line == 2), "{found:?}");
    assert!(found.iter().any(|f| f.concern == plain(9000)));
    let strict = load(&resource("PeerAuthentication", "istio-system/a", "{mtls: {mode: STRICT}}"));
    assert_eq!(findings(&strict, &Mesh::default(), &[httpbin()]), []);
}
