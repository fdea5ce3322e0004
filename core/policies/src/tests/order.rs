//! CUSTOM, DENY, ALLOW, and AUDIT beside.

use super::*;

const ALL: &str = "{}";

fn policies(actions: &[(&str, &str)]) -> String {
    let one = |(index, (action, rule)): (usize, &(&str, &str))| {
        let provider = match action.strip_prefix("CUSTOM ") {
            Some(name) => format!("action: CUSTOM, provider: {{name: {name}}}"),
            None => format!("action: {action}"),
        };
        authorization(&format!("foo/p{index}"), &format!("{{{provider}, rules: [{rule}]}}"))
    };
    actions.iter().enumerate().map(one).collect()
}

const A: &str = "{to: [{operation: {paths: [/a]}}]}";
const B: &str = "{to: [{operation: {paths: [/b]}}]}";

#[test]
fn the_order_of_actions() {
    for (actions, a, b) in [
        (vec![("ALLOW", A)], "allowed", "no rule"),
        (vec![("DENY", A)], "denied", "open"),
        (vec![("ALLOW", ALL), ("DENY", A)], "denied", "allowed"),
        (vec![("DENY", A), ("ALLOW", ALL)], "denied", "allowed"),
        (vec![("ALLOW", A), ("ALLOW", B)], "allowed", "allowed"),
        (vec![("DENY", ALL), ("ALLOW", ALL)], "denied", "denied"),
        (vec![("AUDIT", ALL)], "open", "open"),
        (vec![("AUDIT", ALL), ("ALLOW", A)], "allowed", "no rule"),
        (vec![("CUSTOM opa", A)], "ask", "open"),
        // A yes of the provider is no yes of the others.
        (vec![("CUSTOM opa", A), ("ALLOW", B)], "no rule", "allowed"),
        (vec![("CUSTOM opa", ALL), ("ALLOW", A)], "ask", "no rule"),
        (vec![("CUSTOM opa", ALL), ("DENY", A)], "denied", "ask"),
        (vec![("CUSTOM opa", A), ("CUSTOM opa", B)], "ask", "ask"),
    ] {
        let text = policies(&actions);
        assert_eq!(word(&text, &get("/a")), a, "{text}");
        assert_eq!(word(&text, &get("/b")), b, "{text}");
    }
}

#[test]
fn several_providers_refuse_what_they_would_be_asked_about() {
    let text = policies(&[("CUSTOM opa", A), ("CUSTOM proxy", B)]);
    for (path, expected) in [("/a", "no provider"), ("/b", "no provider"), ("/c", "open")] {
        assert_eq!(word(&text, &get(path)), expected, "{path}");
    }
    let mesh = Mesh { several_providers: true, ..Mesh::default() };
    let both = policies(&[("CUSTOM opa", ALL), ("CUSTOM proxy", B)]);
    let (resources, workload) = (load(&both), httpbin());
    for (path, expected) in [("/a", vec!["opa"]), ("/b", vec!["opa", "proxy"])] {
        let decision = evaluate(&resources, &mesh, &workload, &get(path)).decision;
        let Decision::AskProvider(asked) = decision else { panic!("{path}") };
        let names: Vec<&str> = asked.iter().map(|asked| asked.provider).collect();
        assert_eq!(names, expected, "{path}");
    }
}

#[test]
fn a_provider_must_be_known() {
    let text = policies(&[("CUSTOM opa", A)]);
    let with = |name: &str, grpc: bool| Mesh {
        providers: Some(vec![Provider { name: name.to_owned(), grpc }]),
        ..Mesh::default()
    };
    assert_eq!(word_in(&with("opa", true), &text, &get("/a")), "ask");
    assert_eq!(word_in(&with("other", true), &text, &get("/a")), "no provider");
    assert_eq!(word_in(&with("other", true), &text, &get("/b")), "open");
    // What is asked over HTTP is not asked about TCP; the path is no question there.
    assert_eq!(word_in(&with("opa", true), &text, &tcp(9000)), "ask");
    assert_eq!(word_in(&with("opa", false), &text, &tcp(9000)), "open");
}

#[test]
fn a_provider_that_istiod_does_not_take_refuses() {
    let mesh = |names: &[&str]| {
        let provider = |name: &&str| Provider { name: (*name).to_owned(), grpc: true };
        Mesh { providers: Some(names.iter().map(provider).collect()), ..Mesh::default() }
    };
    let text = policies(&[("CUSTOM Opa.v1", A)]);
    let long = "a".repeat(64);
    for name in ["Opa.v1", "opa_v1", "-opa", "opa-", long.as_str()] {
        let text = text.replace("Opa.v1", name);
        assert_eq!(word_in(&mesh(&[name]), &text, &get("/a")), "no provider", "{name}");
        assert_eq!(word_in(&mesh(&[name]), &text, &get("/b")), "open", "{name}");
    }
    let opa = policies(&[("CUSTOM opa", A)]);
    assert_eq!(word_in(&mesh(&["opa", "opa"]), &opa, &get("/a")), "no provider");
    let resources = load(&opa);
    let twice = mesh(&["opa", "opa"]);
    let decision = evaluate(&resources, &twice, &httpbin(), &get("/a")).decision;
    assert!(matches!(decision, Decision::Denied(DeniedBy::NoProvider(_, NoProvider::Invalid))));
    // What is wrong with one is no matter of another one.
    for names in [&["opa", "Bad.One"][..], &["opa", "two", "two"], &["opa-2", "opa"]] {
        assert_eq!(word_in(&mesh(names), &opa, &get("/a")), "ask", "{names:?}");
    }
}

#[test]
fn custom_sees_the_request_before_tokens_are_verified() {
    let text =
        policies(&[("CUSTOM opa", "{when: [{key: 'request.headers[x-sub]', values: ['*']}]}")])
            + &resource(
                "RequestAuthentication",
                "foo/jwt",
                "{jwtRules: [{issuer: me, outputClaimToHeaders: [{header: x-sub, claim: sub}]}]}",
            );
    assert_eq!(word(&text, &with_claims(r#"{"iss": "me", "sub": "alice"}"#)), "open");
    assert_eq!(word(&text, &with_headers(&[("x-sub", "alice")])), "ask");
}

#[test]
fn what_is_rewritten_is_seen_by_the_policies_behind() {
    let scope = "{when: [{key: 'request.headers[x-scope]', values: [read]}]}";
    let mut request = with_headers(&[("x-scope", "read")]);
    assert_eq!(word(&policies(&[("ALLOW", scope)]), &request), "allowed");
    request.http.as_mut().unwrap().rewritten = Some(Vec::new());
    assert_eq!(word(&policies(&[("ALLOW", scope)]), &request), "no rule");
    assert_eq!(word(&policies(&[("CUSTOM opa", scope)]), &request), "ask");
}

#[test]
fn audit_is_written_down_whatever_comes_of_it() {
    let resources = load(&policies(&[("AUDIT", A), ("DENY", ALL)]));
    let (mesh, workload) = (Mesh::default(), httpbin());
    let audited = |path: &str| {
        let verdict = evaluate(&resources, &mesh, &workload, &get(path));
        verdict.audit.iter().map(ToString::to_string).collect::<Vec<String>>()
    };
    assert_eq!(audited("/a"), ["foo/p0 rule 0"]);
    assert_eq!(audited("/b"), Vec::<String>::new());
}

#[test]
fn dry_runs_only_tell() {
    let dry = |id: &str, value: &str, spec: &str| {
        authorization(id, spec).replace(
            "metadata: {",
            &format!("metadata: {{annotations: {{istio.io/dry-run: '{value}'}}, "),
        )
    };
    let deny = "{action: DENY, rules: [{}]}";
    assert_eq!(word(&dry("foo/p", "true", deny), &get("/")), "open");
    assert_eq!(word(&dry("foo/p", "false", deny), &get("/")), "denied");
    // No dry run makes an ALLOW policy of which one rule would have to match.
    assert_eq!(word(&dry("foo/p", "true", "{}"), &get("/")), "open");
    let text = dry("foo/p", "1", "{rules: [{}]}") + &authorization("foo/q", "{}");
    assert_eq!(word(&text, &get("/")), "no rule");
    let resources = load(&text);
    let verdict = evaluate(&resources, &Mesh::default(), &httpbin(), &get("/")).trace.len();
    assert_eq!(verdict, 2, "it is told of all the same");
}

#[test]
fn a_dry_run_without_spec_refuses_nothing() {
    let bare = |annotations: &str| {
        format!(
            "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n\
             metadata: {{{annotations}name: p, namespace: foo}}\n"
        )
    };
    let dry = bare("annotations: {istio.io/dry-run: 'true'}, ");
    assert_eq!(word(&dry, &get("/")), "open");
    assert!(load(&dry).authorization()[0].dry_run);
    assert_eq!(word(&bare(""), &get("/")), "no rule", "what counts refuses all");
    assert_eq!(word(&bare("annotations: {istio.io/dry-run: 'false'}, "), &get("/")), "no rule");
}
