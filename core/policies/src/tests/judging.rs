//! Many requests to one workload.

use super::*;

#[test]
fn many_headers_are_looked_up_as_few_are() {
    let asks = |at: usize| format!("{{key: 'request.headers[x-{at}]', values: [v{at}]}}");
    let all: Vec<String> = (0..40).map(asks).collect();
    let text = rule("ALLOW", &format!("{{when: [{}]}}", all.join(", ")));
    let mut request = get("/");
    let of = |at: usize| (format!("X-{at}"), format!("v{at}"));
    request.http.as_mut().unwrap().headers = (0..40).map(of).collect();
    assert_eq!(word(&text, &request), "allowed");
    // Another one of the same name hides none.
    let headers = &mut request.http.as_mut().unwrap().headers;
    headers.insert(0, ("x-7".to_owned(), "other".to_owned()));
    assert_eq!(word(&text, &request), "allowed");
    request.http.as_mut().unwrap().headers.retain(|(name, _)| name != "X-39");
    assert_eq!(word(&text, &request), "no rule");
}

#[test]
fn what_ten_times_the_values_take_is_counted() {
    let work = |count: usize| {
        let paths: Vec<String> = (0..count).map(|at| format!("/p{at}")).collect();
        let paths = paths.join(", ");
        let text = rule("DENY", &format!("{{to: [{{operation: {{paths: [{paths}]}}}}]}}"));
        let (resources, mesh) = (load(&text), Mesh::default());
        let judge = Judge::new(&resources, &mesh, &httpbin());
        assert_eq!(judge.work(), 0);
        let decision = judge.decide(Parts::from(&get("/none")));
        assert!(decision.may_pass());
        judge.work()
    };
    let (few, many) = (work(100), work(1_000));
    assert!(few >= 100 && many >= 1_000 && many < 12 * few, "{few} {many}");
}

#[test]
fn what_is_settled_is_not_looked_at_further() {
    let paths: Vec<String> = (0..500).map(|at| format!("/p{at}")).collect();
    let strict = resource("PeerAuthentication", "foo/p", "{mtls: {mode: STRICT}}");
    let rule = rule("DENY", &format!("{{to: [{{operation: {{paths: [{}]}}}}]}}", paths.join(", ")));
    let (resources, mesh) = (load(&(strict + &rule)), Mesh::default());
    let judge = Judge::new(&resources, &mesh, &httpbin());
    assert!(!judge.decide(Parts::from(&plain_text())).may_pass());
    assert!(judge.work() < 10, "{}", judge.work());
}

#[test]
fn values_that_are_too_many_to_be_compared_are_told() {
    let concerns = |count: usize| {
        let of = |begin: &str| {
            let all: Vec<String> = (0..count).map(|at| format!("/{begin}{at}")).collect();
            all.join(", ")
        };
        let (paths, not) = (of("a"), of("b"));
        let rule = rule(
            "ALLOW",
            &format!("{{to: [{{operation: {{paths: [{paths}], notPaths: [{not}]}}}}]}}"),
        );
        let resources = load(&rule);
        let found = findings(&resources, &Mesh::default(), &[httpbin()]);
        found.into_iter().map(|finding| finding.concern).collect::<Vec<Concern>>()
    };
    let is_it = |concern: &Concern| matches!(concern, Concern::NotCompared { rule: 0 });
    assert!(!concerns(100).iter().any(is_it));
    assert!(concerns(3_000).iter().any(is_it));
}

#[test]
fn workloads_that_know_the_same_issuers_are_told_each() {
    let text = resource("RequestAuthentication", "foo/jwt", "{jwtRules: [{issuer: i}]}")
        + &rule("ALLOW", "{from: [{source: {requestPrincipals: ['j/*']}}]}");
    let others = ["a", "b"].map(|name| Workload { name: name.to_owned(), ..httpbin() });
    let elsewhere = Workload { namespace: "bar".to_owned(), ..httpbin() };
    let resources = load(&text);
    let all = [others.as_slice(), &[elsewhere]].concat();
    let told: Vec<String> = findings(&resources, &Mesh::default(), &all)
        .into_iter()
        .filter_map(|finding| match finding.concern {
            Concern::TokenNotVerified { workload, .. } => Some(workload),
            _ => None,
        })
        .collect();
    assert_eq!(told, ["a", "b"]);
}
