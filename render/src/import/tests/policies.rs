//! What single policies become.

use super::*;

#[test]
fn an_allow_rule_is_a_route() {
    for (rule, expected) in [
        ("{}", vec!["/** -> pay optional"]),
        (
            "{to: [{operation: {methods: [GET, HEAD], paths: [/a, /b/*]}}]}",
            vec!["GET+HEAD /a -> pay optional", "GET+HEAD /b/** -> pay optional"],
        ),
        (
            "{to: [{operation: {paths: [/a*]}}]}",
            vec!["/a -> pay optional", "/a/** -> pay optional"],
        ),
        ("{from: [{source: {requestPrincipals: ['*']}}]}", vec!["/** -> pay token"]),
        (
            "{from: [{source: {requestPrincipals: ['https://idp.test/alice']}}]}",
            vec!["/** -> pay token sub=alice"],
        ),
        (
            "{when: [{key: 'request.auth.claims[scope]', values: [read]}, \
             {key: 'request.auth.claims[role]', values: [admin, staff]}]}",
            vec!["/** -> pay token scope=read role=admin+staff"],
        ),
        (
            "{when: [{key: request.auth.audiences, values: [other]}]}",
            vec!["/** -> pay token aud=other"],
        ),
        (
            "{from: [{source: {principals: [cluster.local/ns/shop/sa/web]}}]}",
            vec!["/** -> pay optional spiffe://cluster.local/ns/shop/sa/web"],
        ),
        (
            "{from: [{source: {namespaces: [ops]}}]}",
            vec!["/** -> pay optional spiffe://cluster.local/ns/ops/*"],
        ),
        (
            "{from: [{source: {serviceAccounts: [web]}}]}",
            vec!["/** -> pay optional spiffe://cluster.local/ns/shop/sa/web"],
        ),
        (
            "{to: [{operation: {hosts: [a.test, 'a.test:*'], paths: [/a]}}]}",
            vec!["a.test/a -> pay optional"],
        ),
        ("{to: [{operation: {ports: ['8080'], paths: [/a]}}]}", vec!["/a -> pay optional"]),
        (
            "{to: [{operation: {paths: [/a/*], notPaths: [/a/b]}}]}",
            vec!["/a/b -> pay token iss=nobody", "/a/** -> pay optional"],
        ),
    ] {
        assert_eq!(allowed(rule), expected, "{rule}");
    }
}

#[test]
fn what_no_route_says_is_left_out_with_its_line() {
    for (rule, field) in [
        ("{to: [{operation: {paths: ['*.php']}}]}", "to[0].operation.paths"),
        ("{to: [{operation: {paths: ['/a/{*}']}}]}", "to[0].operation.paths"),
        ("{to: [{operation: {hosts: [a.test], paths: [/a]}}]}", "to[0].operation.hosts"),
        ("{to: [{operation: {hosts: ['*.a.test']}}]}", "to[0].operation.hosts"),
        ("{to: [{operation: {notHosts: [a.test]}}]}", "to[0].operation.notHosts"),
        ("{to: [{operation: {ports: ['9090']}}]}", "to[0].operation.ports"),
        ("{to: [{operation: {methods: [get]}}]}", "to[0].operation.methods"),
        ("{from: [{source: {ipBlocks: [10.0.0.0/8]}}]}", "from[0].source.ipBlocks"),
        ("{from: [{source: {principals: ['*']}}]}", "from[0].source.principals"),
        ("{from: [{source: {principals: ['*/sa/web']}}]}", "from[0].source.principals"),
        ("{from: [{source: {notPrincipals: [x]}}]}", "from[0].source.notPrincipals"),
        ("{from: [{source: {notRequestPrincipals: ['*']}}]}", "notRequestPrincipals"),
        ("{from: [{source: {requestPrincipals: ['https://other.test/*']}}]}", "requestPrincipals"),
        ("{when: [{key: 'request.headers[x-a]', values: [b]}]}", "when[0].values"),
        ("{when: [{key: source.ip, values: [10.0.0.1]}]}", "when[0].values"),
        ("{when: [{key: 'request.auth.claims[realm][roles]', values: [a]}]}", "when[0].values"),
        ("{when: [{key: 'request.auth.claims[level]', values: ['7']}]}", "when[0].values"),
        ("{when: [{key: 'request.auth.claims[admin]', values: ['true']}]}", "when[0].values"),
        ("{when: [{key: 'request.auth.claims[role]', values: ['a*']}]}", "when[0].values"),
        ("{when: [{key: 'request.auth.claims[scope]', values: [a, b]}]}", "when[0].values"),
    ] {
        let spec = format!("{{selector: {{matchLabels: {{app: pay}}}}, rules: [{rule}]}}");
        let import = imported(&(WORKLOADS.to_owned() + TOKENS + &policy("p", &spec)));
        assert_eq!(routes(&import), Vec::<String>::new(), "{rule}");
        let lost = |remark: &Remark| remark.fate != Fate::Noted && remark.field.contains(field);
        let found = import.remarks.iter().find(|remark| lost(remark));
        let found = found.unwrap_or_else(|| panic!("{rule}\n{}", told(&import)));
        assert_eq!(found.subject, "AuthorizationPolicy shop/p", "{rule}");
        assert!(found.line > 1 && !found.why.is_empty() && !found.advice.is_empty(), "{found}");
        assert!(!import.is_whole());
    }
}

/// `DENY` beside an `ALLOW` for everything.
fn denied(rule: &str) -> Vec<String> {
    let text = WORKLOADS.to_owned()
        + TOKENS
        + &policy("a", "{selector: {matchLabels: {app: pay}}, rules: [{}]}")
        + &policy("d", &format!("{{action: DENY, rules: [{rule}]}}"));
    routes(&imported(&text))
}

#[test]
fn what_deny_keeps_out_is_closed_or_left_out() {
    for (rule, expected) in [
        ("{}", vec![]),
        (
            "{to: [{operation: {paths: [/a/*]}}]}",
            vec!["/a/** -> pay token iss=nobody", "/** -> pay optional"],
        ),
        (
            "{to: [{operation: {methods: [DELETE]}}]}",
            vec!["/** -> pay optional", "DELETE /** -> pay token iss=nobody"],
        ),
        // Around `/a*` there are all paths.
        ("{to: [{operation: {paths: ['/a*']}}]}", vec![]),
        ("{to: [{operation: {paths: ['*.php']}}]}", vec![]),
        // Who is somebody cannot be told from who is not.
        ("{from: [{source: {ipBlocks: [10.0.0.0/8]}}]}", vec![]),
        ("{when: [{key: 'request.headers[x-a]', values: [b]}]}", vec![]),
        // What must be there can be asked for.
        ("{from: [{source: {notRequestPrincipals: ['*']}}]}", vec!["/** -> pay token"]),
        (
            "{from: [{source: {notRequestPrincipals: ['*']}}], \
             to: [{operation: {notPaths: [/health]}}]}",
            vec!["/health -> pay optional", "/** -> pay token"],
        ),
        (
            "{when: [{key: 'request.auth.claims[role]', notValues: [admin]}], \
             to: [{operation: {paths: [/admin/*]}}]}",
            vec!["/admin/** -> pay token role=admin", "/** -> pay optional"],
        ),
    ] {
        assert_eq!(denied(rule), expected, "{rule}");
    }
}

#[test]
fn without_tokens_nothing_can_be_closed_and_so_less_is_open() {
    let text = WORKLOADS.to_owned()
        + &policy(
            "a",
            "{selector: {matchLabels: {app: pay}}, rules: [{}, {to: [{operation: \
                        {paths: [/b]}}]}]}",
        )
        + &policy("d", "{action: DENY, rules: [{to: [{operation: {paths: [/a/*]}}]}]}");
    let import = imported(&text);
    assert_eq!(routes(&import), Vec::<String>::new(), "/b is as open as everything else");
    assert!(told(&import).contains("keeps out `/a/{rest=**}` within it"), "{}", told(&import));
    let narrow = text.replace("[{}, {to", "[{to");
    assert_eq!(routes(&imported(&narrow)), ["/b -> pay open"]);
}

#[test]
fn what_a_provider_is_asked_about_is_for_nobody() {
    let text = WORKLOADS.to_owned()
        + TOKENS
        + &policy("a", "{selector: {matchLabels: {app: pay}}, rules: [{}]}")
        + &policy(
            "c",
            "{action: CUSTOM, provider: {name: opa}, rules: [{to: [{operation: {paths: \
                        [/a/*]}}]}]}",
        );
    let import = imported(&text);
    let expected = ["/a/** -> pay token iss=nobody", "/** -> pay optional"];
    assert_eq!(routes(&import), expected);
    assert!(told(&import).contains("`opa`"), "{}", told(&import));
}

#[test]
fn what_decides_nothing_is_told() {
    let open = policy("a", "{selector: {matchLabels: {app: pay}}, rules: [{}]}");
    let audit = policy("u", "{action: AUDIT, rules: [{}]}");
    let dry = policy("dry", "{action: DENY, rules: [{}]}")
        .replace("name: dry}", "name: dry, annotations: {istio.io/dry-run: 'true'}}");
    let peer = "\n---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\n\
                metadata: {name: strict, namespace: shop}\nspec: {mtls: {mode: STRICT}}\n";
    let other = "\n---\napiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\n\
                 metadata: {name: lua, namespace: shop}\nspec: {}\n";
    let import = imported(&[WORKLOADS, &open, &audit, &dry, peer, other].concat());
    assert_eq!(routes(&import), ["/** -> pay open"]);
    let told = told(&import);
    for expected in [
        "AuthorizationPolicy shop/u: all of it: left out",
        "AuthorizationPolicy shop/dry: all of it: left out",
        "PeerAuthentication shop/strict: all of it: note",
        "EnvoyFilter shop/lua: all of it: left out",
    ] {
        assert!(told.contains(expected), "{expected}\n{told}");
    }
}

#[test]
fn a_service_that_no_policy_is_for_is_not_opened() {
    let import = imported(
        &(WORKLOADS.to_owned()
            + &policy(
                "p",
                "{selector: {matchLabels: {app: \
                                                               pay}}, rules: [{}]}",
            )),
    );
    assert_eq!(routes(&import), ["/** -> pay open"]);
    let told = told(&import);
    assert!(told.contains("Service shop/web: all of it: left out — no policy says"), "{told}");
}

#[test]
fn policies_that_allow_nothing_leave_no_document() {
    let import = imported(&(WORKLOADS.to_owned() + &policy("p", "{}")));
    assert_eq!(import.document, None);
    assert!(!import.is_whole());
    assert_eq!(imported("").document, None);
}

#[test]
fn of_two_rules_that_no_route_says_together_one_is_taken() {
    let rules = "{from: [{source: {requestPrincipals: ['*']}}]}, \
                 {from: [{source: {principals: [cluster.local/ns/shop/sa/web]}}]}";
    let spec = format!("{{selector: {{matchLabels: {{app: pay}}}}, rules: [{rules}]}}");
    let import = imported(&(WORKLOADS.to_owned() + TOKENS + &policy("p", &spec)));
    assert_eq!(routes(&import), ["/** -> pay token"]);
    assert!(told(&import).contains("one route cannot ask for either"), "{}", told(&import));
}

#[test]
fn labels_that_may_or_may_not_fit_let_nobody_in() {
    // Without Deployments, pods of the Service may have any other label.
    let service = WORKLOADS.split("---").next().unwrap();
    let allow = |labels: &str| {
        policy("p", &format!("{{selector: {{matchLabels: {{{labels}}}}}, rules: [{{}}]}}"))
    };
    let import = imported(&(service.to_owned() + &allow("app: pay")));
    assert_eq!(routes(&import), ["/** -> pay open"]);
    let import = imported(&(service.to_owned() + &allow("tier: back")));
    assert!(!routes(&import).iter().any(|route| route.contains("-> pay")), "{}", told(&import));
    // And what may be denied is.
    let deny = policy("d", "{action: DENY, selector: {matchLabels: {tier: back}}, rules: [{}]}");
    let import = imported(&(service.to_owned() + &allow("app: pay") + &deny));
    assert!(!routes(&import).iter().any(|route| route.contains("-> pay")), "{}", told(&import));
}

#[test]
fn pods_without_a_service_get_an_address_that_leads_nowhere() {
    let spec = "{selector: {matchLabels: {app: pay}}, rules: [{to: [{operation: {ports: ['9000'], \
                paths: [/a]}}]}]}";
    let import = imported(&policy("p", spec));
    let upstream = &document(&import).services[0];
    assert_eq!((upstream.host.as_str(), upstream.port), ("pay.shop.invalid", 9000));
    assert!(told(&import).contains("fill in"), "{}", told(&import));
}

#[test]
fn who_connects_is_asked_beside_the_pods() {
    let spec = "{selector: {matchLabels: {app: pay}}, rules: [{from: [{source: {principals: \
                [cluster.local/ns/shop/sa/web]}}]}]}";
    let import = imported(&(WORKLOADS.to_owned() + &policy("p", spec)));
    let text = import.document.unwrap();
    for expected in ["guard: workload", "service_account: pay", "app: pay"] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
}

#[test]
fn files_that_istio_would_refuse_are_refused() {
    for text in [
        policy("p", "{acton: DENY}"),
        "a: [".to_owned(),
        "domain: shop\ndescriptors: [{kye: a}]\n".to_owned(),
    ] {
        let result = import(&[source("f.yaml", &text)], &ImportOptions::default());
        let Err(ImportError::Unreadable(problems)) = result else { panic!("{text}") };
        assert!(problems[0].to_string().starts_with("f.yaml:"), "{problems:?}");
    }
}

#[test]
fn limits_by_address_are_for_every_route() {
    let limits = "domain: shop\ndescriptors:\n- key: remote_address\n  rate_limit: {unit: minute, \
                  requests_per_unit: 100}\n";
    let text =
        WORKLOADS.to_owned() + &policy("p", "{selector: {matchLabels: {app: pay}}, rules: [{}]}");
    let sources = [source("p.yaml", &text), source("l.yaml", limits)];
    let import = import(&sources, &ImportOptions::default()).unwrap();
    let document = document(&import);
    assert_eq!(document.routes[0].exact_limits.len(), 1);
}
