//! What is decided of a request whose addresses nobody said, and what is not.

use super::*;

/// A request of `sleep` that has no addresses.
fn without() -> Request {
    let mut request = get("/");
    (request.peer.ip, request.destination_ip) = (None, None);
    request
}

const INSIDE: &str = "{from: [{source: {ipBlocks: ['10.0.0.0/8']}}]}";
const OUTSIDE: &str = "{from: [{source: {notIpBlocks: ['10.0.0.0/8']}}]}";
const BEHIND_PROXIES: &str = "{from: [{source: {remoteIpBlocks: ['10.0.0.0/8']}}]}";
const TO: &str = "{when: [{key: destination.ip, notValues: ['10.0.0.0/8']}]}";

fn several(policies: &[(&str, &str)]) -> String {
    let one = |(index, (action, rule)): (usize, &(&str, &str))| {
        let provider = if *action == "CUSTOM" { "provider: {name: opa}, " } else { "" };
        let spec = format!("{{action: {action}, {provider}rules: [{rule}]}}");
        authorization(&format!("foo/p{index}"), &spec)
    };
    policies.iter().enumerate().map(one).collect()
}

#[test]
fn what_depends_on_an_address_is_unknown() {
    for rule in [INSIDE, OUTSIDE, BEHIND_PROXIES, TO] {
        for policies in [
            vec![("ALLOW", rule)],
            vec![("DENY", rule)],
            vec![("ALLOW", "{}"), ("DENY", rule)],
            vec![("CUSTOM", rule)],
        ] {
            let text = several(&policies);
            assert_eq!(word(&text, &without()), "unknown", "{text}");
            assert_ne!(word(&text, &get("/")), "unknown", "{text}");
        }
    }
    // A workload in 10.0.0.0/8 passes, which nobody may take for refused.
    let text = several(&[("ALLOW", "{}"), ("DENY", OUTSIDE)]);
    assert_eq!(word(&text, &get("/")), "allowed");
    let resources = load(&text);
    let verdict = evaluate(&resources, &Mesh::default(), &httpbin(), &without());
    assert!(verdict.decision.may_pass());
    let Decision::Unknown(rules) = &verdict.decision else { panic!("{verdict:?}") };
    assert_eq!(rules.iter().map(ToString::to_string).collect::<Vec<_>>(), ["foo/p1 rule 0"]);
}

#[test]
fn what_does_not_depend_on_it_is_decided() {
    let elsewhere = "{from: [{source: {ipBlocks: ['10.0.0.0/8'], namespaces: [other]}}]}";
    let named = "{from: [{source: {ipBlocks: ['10.0.0.0/8']}}, {source: {principals: ['*']}}]}";
    for (policies, expected) in [
        (vec![("ALLOW", "{}"), ("ALLOW", INSIDE)], "allowed"),
        (vec![("DENY", "{}"), ("DENY", INSIDE), ("ALLOW", INSIDE)], "denied"),
        (vec![("ALLOW", elsewhere)], "no rule"),
        (vec![("DENY", elsewhere)], "open"),
        (vec![("ALLOW", named)], "allowed"),
        (vec![("AUDIT", INSIDE)], "open"),
        // Who is asked is known already.
        (vec![("CUSTOM", "{}"), ("CUSTOM", INSIDE)], "ask"),
        (vec![("CUSTOM", "{}"), ("ALLOW", INSIDE)], "unknown"),
        (vec![("CUSTOM", INSIDE), ("DENY", "{}")], "denied"),
    ] {
        let text = several(&policies);
        assert_eq!(word(&text, &without()), expected, "{text}");
    }
}

#[test]
fn the_trace_says_which_address_is_asked_for() {
    let resources = load(&rule("DENY", OUTSIDE));
    let verdict = evaluate(&resources, &Mesh::default(), &httpbin(), &without());
    let reason = Reason { place: "from[0].source.notIpBlocks".to_owned(), value: None };
    assert_eq!(verdict.trace[0].outcome, Outcome::Unknown(vec![reason]));
    assert!(!verdict.trace[0].outcome.matched());
}

#[test]
fn one_address_of_two_is_enough_for_its_own_questions() {
    let mut request = without();
    request.peer.ip = Some("10.1.2.3".parse().unwrap());
    for (rule, expected) in [(INSIDE, "denied"), (BEHIND_PROXIES, "denied"), (TO, "unknown")] {
        assert_eq!(word(&several(&[("DENY", rule)]), &request), expected, "{rule}");
    }
    let mut behind = without();
    behind.peer.remote_ip = Some("10.1.2.3".parse().unwrap());
    for (rule, expected) in [(INSIDE, "unknown"), (BEHIND_PROXIES, "denied")] {
        assert_eq!(word(&several(&[("DENY", rule)]), &behind), expected, "{rule}");
    }
}

#[test]
fn dry_runs_leave_nothing_open() {
    let dry = several(&[("DENY", INSIDE)])
        .replace("metadata: {", "metadata: {annotations: {istio.io/dry-run: 'true'}, ");
    assert_eq!(word(&dry, &without()), "open");
}
