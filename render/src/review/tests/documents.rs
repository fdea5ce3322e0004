//! PR101 to PR116, and PR234 as far as it is about descriptors; what follows is in
//! [`identity`](super::identity).

use super::*;

/// A document with these routes.
fn with(routes: &[String]) -> String {
    gateway(&format!("routes:\n{}", routes.concat()))
}

/// Whether a check finds something in the first and nothing in the second.
fn tells_apart(id: &str, open: &str, closed: &str) {
    let (open, closed) = (found(open), found(closed));
    assert!(has(&open, id), "{id} is not among {open:#?}");
    assert!(!has(&closed, id), "{id} is among {closed:#?}");
}

#[test]
fn open_routes() {
    let open = with(&[route("a", "/a", "auth: none")]);
    tells_apart("PR101 high routes.a", &open, &with(&[route("a", "/a", READ)]));
    let reads = with(&["- {name: a, match: {path: /a, methods: [GET]}, service: shop, \
                        limits: [few], auth: none}\n"
        .to_owned()]);
    assert!(has(&found(&reads), "PR101 medium routes.a"));
    let own = with(&["- {name: a, match: {path: /a}, service: postern, limits: [few], \
                      auth: none}\n"
        .to_owned()]);
    assert!(has(&found(&own), "PR101 low routes.a"));
}

#[test]
fn credentials_that_may_be_missing() {
    let optional = with(&[route("a", "/a", "auth: {any: [jwt], optional: true}")]);
    tells_apart("PR102 low routes.a", &optional, &with(&[route("a", "/a", READ)]));
}

#[test]
fn rules_that_hold_for_some() {
    let of = |percent: &str| with(&[route("a", "/a", &format!("{READ}, enforce: {percent}"))]);
    tells_apart("PR103 high routes.a", &of("shadow"), &of("100%"));
    tells_apart("PR103 medium routes.a", &of("99%"), &of("100%"));
}

#[test]
fn routes_without_limits() {
    let of = |auth: &str, limits: &str| {
        with(&[format!(
            "- {{name: a, match: {{path: /a}}, service: shop, {auth}, limits: [{limits}]}}\n"
        )])
    };
    tells_apart("PR104 medium routes.a", &of("auth: none", ""), &of("auth: none", "few"));
    tells_apart("PR104 info routes.a", &of(READ, ""), &of(READ, "few"));
}

#[test]
fn kept_answers_that_no_descriptor_counts() {
    let of = |more: &str| {
        let filter = "version: 1\nrate_limit_filter: {domain: shop, on_failure: deny}\n";
        with(&[route("a", "/a", &format!("{READ}{more}"))])
            .replace("version: 1\n", filter)
            .replace("cluster.local:8080}", "cluster.local:8080, circuit: {}}")
    };
    let (kept, counted) = (", fallback: {stale: {}}", ", descriptors: [[{remote_address: true}]]");
    tells_apart("PR234 low routes.a", &of(&format!("{kept}{counted}")), &of(kept));
    assert!(!has(&found(&of(counted)), "PR234"));
}

#[test]
fn holes_below() {
    let wide = route("wide", "/a/{rest=**}", READ);
    let hole = route("hole", "/a/b", "auth: {any: [jwt]}");
    let even = route("even", "/a/b", "auth: {any: [jwt], scopes: [read, more]}");
    let open = with(&[wide.clone(), hole]);
    tells_apart("PR105 high routes.hole", &open, &with(&[wide.clone(), even]));
    let beside = route("beside", "/ab", "auth: none");
    assert!(!has(&found(&with(&[wide, beside])), "PR105"));
}

#[test]
fn fewer_values_of_a_claim_ask_for_more() {
    let of = |role: &str| format!("auth: {{any: [jwt], claims: {{role: [{role}]}}}}");
    let wide = route("wide", "/a/{rest=**}", &of("admin, root"));
    let less = with(&[wide.clone(), route("narrow", "/a/b", &of("admin, root, user"))]);
    let more = with(&[wide, route("narrow", "/a/b", &of("admin"))]);
    tells_apart("PR105 high routes.narrow", &less, &more);
}

/// A route of these hosts and methods.
fn matching(name: &str, matched: &str, auth: &str) -> String {
    format!("- {{name: {name}, match: {{{matched}}}, service: shop, limits: [few], {auth}}}\n")
}

#[test]
fn holes_of_the_same_path() {
    let wide = matching("wide", "path: /a, hosts: ['*.example.test']", READ);
    let on = |host: &str| matching("narrow", &format!("path: /a, hosts: [{host}]"), "auth: none");
    let open = with(&[wide.clone(), on("api.example.test")]);
    tells_apart("PR105 high routes.narrow", &open, &with(&[wide, on("api.other.test")]));
    let wide = matching("wide", "path: /a", READ);
    let by = |methods: &str, auth: &str| {
        with(&[wide.clone(), matching("narrow", &format!("path: /a, methods: [{methods}]"), auth)])
    };
    let asks_more = by("DELETE", "auth: {any: [jwt], scopes: [read, more]}");
    tells_apart("PR105 high routes.narrow", &by("GET, DELETE", "auth: none"), &asks_more);
    tells_apart("PR105 medium routes.narrow", &by("GET, HEAD", "auth: none"), &asks_more);
    // Both lists are thought of, and have nothing in common.
    let listed = matching("wide", "path: /a, methods: [POST]", READ);
    let reads = matching("narrow", "path: /a, methods: [GET]", "auth: none");
    assert!(!has(&found(&with(&[listed, reads])), "PR105"));
}

#[test]
fn methods_that_nobody_thought_of() {
    let listed = |methods: &str| {
        format!(
            "- {{name: a, match: {{path: /a, methods: [{methods}]}}, service: shop, \
             limits: [few], {READ}}}\n"
        )
    };
    let rest = route("rest", "/{rest=**}", "auth: none");
    let open = with(&[listed("GET, HEAD"), rest.clone()]);
    tells_apart("PR106 high routes.a", &open, &with(&[listed("GET, HEAD")]));
    tells_apart("PR106", &open, &with(&[route("a", "/a", READ), rest]));
}

#[test]
fn methods_of_one_route_are_one_finding_with_somebody_who_gets_through() {
    let listed = "- {name: a, match: {path: /a, methods: [GET]}, service: shop, limits: [few], \
                  auth: {any: [jwt], scopes: [read]}}\n"
        .to_owned();
    let review = reviewed(&with(&[listed, route("rest", "/{rest=**}", "auth: {any: [jwt]}")]));
    let holes: Vec<_> = review.findings.iter().filter(|one| one.id == "PR106").collect();
    assert_eq!(holes.len(), 1, "{holes:#?}");
    assert!(holes[0].text.contains("PUT, PATCH, DELETE"), "{holes:#?}");
    assert!(holes[0].evidence[0].contains("a good token: forwarded to shop"), "{holes:#?}");
}

#[test]
fn other_spellings_of_a_path() {
    let admin = route("admin", "/admin", READ);
    let rest = route("rest", "/{rest=**}", "auth: none");
    let open = with(&[admin.clone(), rest]);
    // `/admin/` is another path to the matcher, and the same one to many servers.
    tells_apart("PR107 high routes.admin", &open, &with(&[admin]));
}

#[test]
fn other_spellings_that_still_want_a_token() {
    let admin = route("admin", "/admin/{rest=**}", "auth: {any: [jwt], scopes: [admin]}");
    let rest = |auth: &str| with(&[admin.clone(), route("rest", "/{rest=**}", auth)]);
    let review = reviewed(&rest("auth: {any: [jwt]}"));
    let trick = review.findings.iter().find(|one| one.id == "PR107").unwrap();
    assert_eq!(trick.subject, "routes.admin");
    assert!(trick.evidence[0].contains("by a good token: forwarded"), "{trick:#?}");
    let same = rest("auth: {any: [jwt], scopes: [admin, more]}");
    tells_apart("PR107 high routes.admin", &rest("auth: {any: [jwt]}"), &same);
}

#[test]
fn other_hosts_of_a_path() {
    let admin = matching("admin", "path: '/{rest=**}', hosts: [admin.example.test]", READ);
    let rest = |matched: &str| {
        let rest = matching("rest", &format!("path: '/{{rest=**}}'{matched}"), "auth: none");
        with(&[admin.clone(), rest])
    };
    let named = rest(", hosts: [www.example.test]");
    tells_apart("PR107 high routes.admin", &rest(""), &named);
}

#[test]
fn what_is_open_while_something_is_away() {
    let failing = |answer: &str| {
        gateway(&format!(
            "  shared: {{key: [claim.sub], mode: exact, rate: 5/1m, when_store_fails: {answer}}}\n\
             failures: {{ext_authz: {}}}\nroutes:\n- {{name: a, match: {{path: /a}}, \
             service: shop, limits: [shared], {READ}}}\n",
            if answer == "allow" { "allow" } else { "deny" }
        ))
    };
    tells_apart("PR108 high failures.ext_authz", &failing("allow"), &failing("deny"));
    tells_apart("PR108 medium limits.shared", &failing("allow"), &failing("local_share"));
}

#[test]
fn long_timeouts() {
    let of = |timeout: &str| with(&[route("a", "/a", &format!("{READ}, timeout: {timeout}"))]);
    tells_apart("PR109 medium routes.a", &of("301s"), &of("5m"));
}

#[test]
fn tokens_in_queries_and_certificates_in_headers() {
    let of = |jwt: &str| {
        with(&[route("a", "/a", READ)]).replace("  jwt:\n", &format!("  jwt:\n    {jwt}\n"))
    };
    let header = of("from: [{header: authorization}]");
    tells_apart("PR110 medium", &of("from: [{header: authorization}, {query: token}]"), &header);
    let bound = of("bound: {certificate: forwarded}");
    tells_apart("PR112 medium", &bound, &of("bound: {certificate: connection}"));
}

#[test]
fn keys_in_clear_text() {
    let safe = with(&[route("a", "/a", READ)]);
    tells_apart("PR111 high", &safe.replace("uri: https", "uri: http"), &safe);
}

#[test]
fn the_published_sample_key() {
    let of = |sha256: &str| {
        with(&[route("a", "/a", "auth: {any: [api_key]}")]).replace(
            "credentials:\n",
            &format!(
                "credentials:\n  api_key: {{keys: [{{id: k1, sha256: {sha256}, subject: s}}]}}\n"
            ),
        )
    };
    let sample = "bcec5916d291135f291ae1700de501a894c4c4fac813d921f86fba538c1d362b";
    tells_apart("PR113 critical", &of(sample), &of(&sample.replace("bcec", "acec")));
}

#[test]
fn what_callers_choose() {
    let keyed = |key: &str| {
        gateway(&format!(
            "  keyed: {{key: [{key}], mode: local, rate: 5/1m}}\nroutes:\n- {{name: a, \
             match: {{path: /a}}, service: shop, limits: [keyed], {READ}}}\n"
        ))
    };
    tells_apart("PR114 info limits.keyed", &keyed("header.x-tenant"), &keyed("claim.sub"));
    let picked = |header: &str| {
        let route = route(
            "a",
            "/a",
            &format!(
                "{READ}, split: {{stable: 100}}, canary: [{{header: {header}, value: a, \
                 version: canary}}]"
            ),
        );
        with(&[route]).replace(
            "shop: {upstream: shop.default.svc.cluster.local:8080}",
            "shop: {upstream: 'shop.default.svc.cluster.local:8080', versions: {stable: \
             {labels: {version: v1}}, canary: {labels: {version: v2}}}}",
        )
    };
    tells_apart("PR115 info routes.a", &picked("x-canary"), &picked("x-postern-tier"));
}

#[test]
fn planted_faults() {
    let of = |more: &str| with(&[route("a", "/a", &format!("{READ}{more}"))]);
    let fault = of(", fault: {abort: {share: 1%, status: 503}}");
    tells_apart("PR116 medium routes.a", &fault, &of(""));
}

#[test]
fn every_finding_of_the_document_has_a_place_and_what_to_do() {
    let review = reviewed(&with(&[route("a", "/a", "auth: none")]));
    for finding in &review.findings {
        assert!(finding.place.is_some(), "{finding:?}");
        assert!(!finding.fix.is_empty() && !finding.text.is_empty());
    }
    let open = review.findings.iter().find(|one| one.id == "PR101").unwrap();
    assert!(open.evidence[0].contains("forwarded to shop"), "{open:?}");
}

#[test]
fn the_matrix_says_who_gets_through() {
    let review = reviewed(&with(&[route("a", "/a/{id}", READ)]));
    let row = &review.rows[0];
    let answers: Vec<(&str, bool)> =
        row.answers.iter().map(|one| (one.caller.as_str(), one.allowed)).collect();
    assert_eq!(
        answers,
        [("nobody", false), ("a token without read", false), ("a good token", true)]
    );
    assert_eq!(row.credentials, ["jwt"]);
    assert_eq!(row.rules, ["scope read"]);
    assert_eq!(row.limits, ["few 10/1m by ip, local"]);
}

#[test]
fn what_is_accepted_is_told_apart() {
    let text = with(&[route("a", "/a", "auth: none")]);
    let (document, options) = (document(&text), IstioOptions::default());
    let entries = "- {id: PR101, subject: routes.a, severity: high, because: it is a home page}\n";
    let accepted = read_accepted(&source(entries)).unwrap();
    let input = Input { accepted: &accepted, ..input(&document, &options) };
    let review = review(&input).unwrap();
    assert!(!review.has_at_least(Severity::High), "{:?}", told(&review));
    assert_eq!(review.accepted.len(), 1);
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let text = with(&[route("a", "/a/{rest=**}", READ), route("b", "/a/b", "auth: none")]);
    for written in [to_markdown, to_html, to_json] {
        assert_eq!(written(&reviewed(&text)), written(&reviewed(&text)));
    }
}
