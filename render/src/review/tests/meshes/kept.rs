//! PR234: kept answers, and policies that are not asked about them.

use super::enforced::{beside_the_shop, found_of, guarding};
use super::*;

const ID: &str = "PR234 medium routes.a";
const STALE: &str = ", fallback: {stale: {}}";
const INSIDE: &str = "{from: [{source: {notIpBlocks: ['10.0.0.0/8']}}]}";

/// A document whose service has a circuit.
fn with_circuit(text: &str) -> Document {
    document(&text.replace("svc.cluster.local:8080}", "svc.cluster.local:8080, circuit: {}}"))
}

/// The shop behind its gateway, with one route.
fn shop_with(auth: &str, more: &str) -> Document {
    let route = route("a", "/a", &format!("auth: {auth}{more}"));
    with_circuit(&gateway(&format!(
        "workloads:\n  edge: {{gateway: true, namespace: istio-system, labels: {{istio: \
         ingressgateway}}, service_account: gateway}}\nroutes:\n{route}"
    )))
}

const JWT: &str = "{any: [jwt], scopes: [read]}";

fn keeping() -> Document {
    shop_with(JWT, STALE)
}

/// A policy for the gateway.
fn at_the_edge(action: &str, rule: &str) -> String {
    policy(
        "istio-system/p",
        &format!(
            "{{selector: {{matchLabels: {{istio: ingressgateway}}}}, action: {action}, rules: \
             [{rule}]}}"
        ),
    )
}

fn when(header: &str, values: &str) -> String {
    format!("{{when: [{{key: 'request.headers[{header}]', {values}}}]}}")
}

/// Whether a DENY rule at the gateway makes a finding of a document.
fn finds(document: &Document, rule: &str) -> bool {
    has(&found_of(document, &(good() + &at_the_edge("DENY", rule))), ID)
}

#[test]
fn kept_answers_go_past_addresses_and_headers() {
    let (keeping, without) = (keeping(), shop_with(JWT, ""));
    for rule in [
        INSIDE.to_owned(),
        "{from: [{source: {remoteIpBlocks: ['198.51.100.0/24']}}]}".to_owned(),
        "{from: [{source: {notIpBlocks: ['10.0.0.0/8']}}], to: [{operation: {paths: ['/a']}}]}"
            .to_owned(),
        "{from: [{source: {notIpBlocks: ['10.0.0.0/8']}}], to: [{operation: {hosts: \
         [shop.internal]}}]}"
            .to_owned(),
        when("x-team", "values: [a]"),
        when("x-postern-subject", "values: [mallory]"),
        when("x-postern-scope-write", "notValues: ['true']"),
    ] {
        assert!(finds(&keeping, &rule), "{rule}");
        assert!(!finds(&without, &rule), "{rule}");
    }
}

#[test]
fn what_kept_answers_hang_on_is_no_way_past_a_policy() {
    let keeping = keeping();
    let elsewhere = "{from: [{source: {notIpBlocks: ['10.0.0.0/8']}}], to: [{operation: {OF}}]}";
    for rule in [
        "{from: [{source: {notPrincipals: ['cluster.local/ns/a/sa/b']}}]}".to_owned(),
        "{from: [{source: {namespaces: [a]}}]}".to_owned(),
        when("accept", "values: [text/html]"),
        when("x-forwarded-host", "values: [a.test]"),
        // The bundle has written it for whoever comes.
        when("x-postern-scope-read", "notValues: ['true']"),
        // Of other requests nothing is kept here.
        elsewhere.replace("OF", "methods: [POST]"),
        elsewhere.replace("OF", "paths: ['/b*']"),
    ] {
        assert!(!finds(&keeping, &rule), "{rule}");
    }
    let deny = at_the_edge("DENY", INSIDE);
    let found = |mesh: &str| has(&found_of(&keeping, mesh), "PR234");
    assert!(found(&(good() + &deny)));
    assert!(!found(&good()));
    // Without the bundle nothing is given out; a dry run refuses nobody.
    assert!(!found(&(unguarded() + &deny)));
    let dry = deny.replace("name: p}", "name: p, annotations: {istio.io/dry-run: 'true'}}");
    assert!(!found(&(good() + &dry)));
    // The shop's own policies are asked about what the gateway asks the shop.
    assert!(!found(&(good() + &rule("DENY", INSIDE))));
}

#[test]
fn callers_without_a_credential_are_some_of_them() {
    let asks = when("x-postern-subject", "notValues: ['*']");
    assert!(finds(&shop_with("{any: [jwt], optional: true}", STALE), &asks));
    for auth in [JWT, "none"] {
        assert!(!finds(&shop_with(auth, STALE), &asks), "{auth}");
    }
}

#[test]
fn whoever_must_bring_a_token_has_one() {
    let verified = resource(
        "RequestAuthentication",
        "istio-system/jwt",
        "{jwtRules: [{issuer: 'https://idp.example.test'}]}",
    );
    let found = |document: &Document, rule: &str| {
        has(&found_of(document, &(good() + &verified + &at_the_edge("DENY", rule))), ID)
    };
    let asks_for_one = "{from: [{source: {notRequestPrincipals: ['https://idp.example.test/*']}}]}";
    assert!(!found(&keeping(), asks_for_one));
    assert!(found(&shop_with("{any: [jwt], optional: true}", STALE), asks_for_one));
    let asks_for_more = "{when: [{key: 'request.auth.claims[role]', notValues: [admin]}]}";
    assert!(found(&keeping(), asks_for_more));
}

#[test]
fn two_requests_show_what_is_kept() {
    let mesh = good() + &at_the_edge("DENY", INSIDE);
    let review = reviewed_of(&keeping(), &[("mesh.yaml", &mesh)], &IstioOptions::default());
    let finding = review.findings.iter().find(|finding| finding.id == "PR234").unwrap();
    let [passes, refused] = finding.evidence.as_slice() else { panic!("{finding:?}") };
    assert_eq!(passes, "GET /a from 10.0.0.0: passes by istio-system/edge rule 0");
    assert_eq!(refused, "GET /a: refused: denied by istio-system/p rule 0");
    assert!(finding.text.contains("istio-system/edge"), "{}", finding.text);
    assert!(finding.place.as_ref().is_some_and(|place| place.line > 1), "{finding:?}");
}

#[test]
fn a_workload_that_guards_itself_keeps_answers_too() {
    let text = guarding().replace("guard: workload}", "guard: workload, circuit: {}}");
    let keeping = document(&text.replace(READ, &format!("{READ}{STALE}")));
    let inside = INSIDE.replace("}]}", "}], to: [{operation: {ports: ['8080']}}]}");
    let mesh = good() + &beside_the_shop("8080") + &rule("DENY", &inside);
    assert!(has(&found_of(&keeping, &mesh), ID), "{:#?}", found_of(&keeping, &mesh));
    let at_the_gateway = good() + &beside_the_shop("8080") + &at_the_edge("DENY", INSIDE);
    assert!(!has(&found_of(&keeping, &at_the_gateway), "PR234"));
    let unguarded = good() + &rule("DENY", &inside);
    assert!(!has(&found_of(&keeping, &unguarded), "PR234"));
}

#[test]
fn what_is_rendered_asks_for_nothing_that_callers_lack() {
    let sample = include_str!("../../../../../envoy/sample.yaml").replace(
        "  - name: payments-read\n",
        "  - name: payments-read\n    fallback: {stale: {private: true}}\n",
    );
    let sample = document(&sample);
    let found = |edit: &dyn Fn(String) -> String, more: &str| {
        let files: Vec<(String, String)> =
            rendering(&sample).into_iter().map(|(name, text)| (name, edit(text))).collect();
        let mut texts: Vec<(&str, &str)> =
            files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        texts.push(("more.yaml", more));
        told(&reviewed_of(&sample, &texts, &IstioOptions::default()))
    };
    // Also where nobody can tell that it was rendered, and so every rule is looked at.
    let by_hand = |text: String| text.replace("postern.dev/document", "example.test/document");
    let as_it_is = |text: String| text;
    let edits: [&dyn Fn(String) -> String; 2] = [&as_it_is, &by_hand];
    for edit in edits {
        let quiet = found(edit, &pods());
        assert!(!has(&quiet, "PR234"), "{quiet:#?}");
        let open = found(edit, &at_the_edge("DENY", INSIDE));
        assert!(has(&open, "PR234 medium routes.payments-read"), "{open:#?}");
    }
}
