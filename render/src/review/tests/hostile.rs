//! Policies that are written to make a review long, or to hide behind its bounds. How much work it
//! is, `allowance` bounds; these are the shapes that took minutes, or hours, before.

use super::*;

fn shop() -> Document {
    with_routes(&route("a", "/a", READ))
}

fn with_routes(routes: &str) -> Document {
    document(&gateway(&format!(
        "workloads:\n  edge: {{gateway: true, namespace: istio-system, labels: {{istio: \
         ingressgateway}}, service_account: gateway}}\nroutes:\n{routes}"
    )))
}

fn resource(kind: &str, id: &str, spec: &str) -> String {
    let api = match kind {
        "Pod" | "Service" => "v1",
        _ => "security.istio.io/v1",
    };
    let (namespace, name) = id.split_once('/').unwrap();
    format!(
        "---\napiVersion: {api}\nkind: {kind}\nmetadata: {{namespace: {namespace}, name: {name}, \
         labels: {{app: shop}}}}\nspec: {spec}\n"
    )
}

/// So many pods of the shop with so many ports each, its Service, and strict mutual TLS.
fn pods(count: usize, ports: usize) -> String {
    let ports: Vec<String> =
        (0..ports).map(|at| format!("{{containerPort: {}}}", 8080 + at)).collect();
    let spec = format!("{{containers: [{{name: c, ports: [{}]}}]}}", ports.join(", "));
    let pods = (0..count).map(|at| resource("Pod", &format!("default/shop-{at}"), &spec));
    let service = "{selector: {app: shop}, ports: [{name: http, port: 8080}]}";
    pods.collect::<String>()
        + &resource("Service", "default/shop", service)
        + &resource("PeerAuthentication", "istio-system/default", "{mtls: {mode: STRICT}}")
}

/// Policies for the shop with so many rules.
fn rules(action: &str, count: usize, rule: impl Fn(usize) -> String) -> String {
    let all: Vec<String> = (0..count).map(rule).collect();
    let policy = |(at, rules): (usize, &[String])| {
        let id = format!("default/{}-{at}", action.to_lowercase());
        let spec = format!(
            "{{selector: {{matchLabels: {{app: shop}}}}, action: {action}, rules: [{}]}}",
            rules.join(", ")
        );
        resource("AuthorizationPolicy", &id, &spec)
    };
    all.chunks(500).enumerate().map(policy).collect()
}

fn caller(at: usize) -> String {
    format!(
        "{{from: [{{source: {{principals: [cluster.local/ns/a/sa/s{at}]}}}}], to: [{{operation: \
         {{paths: [/q{at}]}}}}]}}"
    )
}

fn asking_header(at: usize) -> String {
    format!("{{key: 'request.headers[x-{at}]', values: [a{at}, b, c], notValues: ['*z']}}")
}

fn policies(text: &str) -> Policies {
    Policies::load(&[source(text)]).unwrap_or_else(|problems| {
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        panic!("{}", told.join("\n"))
    })
}

fn reviewed(mesh: &str, before: Option<&str>) -> Review {
    reviewed_of(&shop(), mesh, before)
}

fn reviewed_of(document: &Document, mesh: &str, before: Option<&str>) -> Review {
    let (mesh, old) = (policies(mesh), before.map(policies));
    let options = IstioOptions::default();
    let before = old.as_ref().map(|old| Before::Document(document, Some(old)));
    let input = Input { policies: Some(&mesh), before, ..input(document, &options) };
    review(&input).unwrap()
}

fn says(review: &Review, what: &str) -> bool {
    review.unknown.iter().any(|line| line.contains(what))
}

const CUT: &str = "more than was asked";
const NOT_OF_ALL: &str = "who may come with the requests of each route was not asked for all";

#[test]
fn workloads_that_are_alike_are_asked_once_and_told_each() {
    let rules = rules("ALLOW", 3, caller);
    let [one, three] = [1, 3].map(|count| reviewed(&(pods(count, 2) + &rules), None));
    let of = |review: &Review, pod: &str| {
        let rows = review.mesh.iter().filter(|row| row.workload == pod);
        let rows: Vec<_> = rows.map(|row| (row.port, row.reach.clone())).collect();
        let findings =
            review.findings.iter().filter(|one| one.subject == format!("Workload {pod}"));
        let findings: Vec<_> = findings.map(|one| (one.id, one.evidence.clone())).collect();
        (rows, findings)
    };
    let known = of(&one, "default/shop-0");
    assert!(!known.0.is_empty() && known.1.iter().any(|(id, _)| *id == "PR222"), "{known:#?}");
    for pod in ["default/shop-0", "default/shop-1", "default/shop-2"] {
        assert_eq!(of(&three, pod), known, "{pod}");
    }
    assert_eq!(one.rows[0].principals, three.rows[0].principals);
    assert!(!says(&three, CUT), "{:#?}", three.unknown);
}

#[test]
fn many_pods_with_many_rules_are_reviewed_in_time() {
    let review = reviewed(&(pods(200, 3) + &rules("ALLOW", 300, caller)), None);
    assert!(!says(&review, CUT), "{:#?}", review.unknown);
    let last = review.mesh.iter().find(|row| row.workload == "default/shop-199").unwrap();
    assert!(!last.reach.is_empty());
}

#[test]
fn a_rule_with_many_headers_is_reviewed_in_time() {
    let all: Vec<String> = (0..500).map(asking_header).collect();
    let rule = format!("{{when: [{}]}}", all.join(", "));
    let review = reviewed(&(pods(1, 1) + &rules("ALLOW", 1, |_| rule.clone())), None);
    assert!(review.findings.iter().any(|finding| finding.id == "PR222"), "{:?}", told(&review));
}

#[test]
fn many_rules_that_let_in_and_as_many_that_keep_out_are_reviewed_in_time() {
    let mesh = pods(1, 1)
        + &rules("ALLOW", 500, caller)
        + &rules("DENY", 500, |at| {
            format!(
                "{{from: [{{source: {{notPrincipals: [cluster.local/ns/a/sa/s{at}]}}}}], to: \
                 [{{operation: {{notPaths: [/q{at}*]}}}}]}}"
            )
        });
    let review = reviewed(&mesh, None);
    // A quarter of a million pairs.
    assert!(says(&review, CUT), "{:#?}", review.unknown);
}

#[test]
fn what_is_too_much_to_ask_is_said_and_leaves_others_their_turn() {
    let headers = |at: usize| format!("{{when: [{}]}}", asking_header(at));
    let mesh =
        pods(60, 2) + &rules("ALLOW", 400, headers) + &rules("DENY", 400, |at| headers(at + 400));
    let review = reviewed(&mesh, None);
    assert!(says(&review, CUT), "{:#?}", review.unknown);
    for pod in (0..60).map(|at| format!("default/shop-{at}")) {
        let row = review.mesh.iter().find(|row| row.workload == pod).unwrap();
        assert!(!row.reach.is_empty(), "{pod}");
    }
}

#[test]
fn callers_of_many_routes_are_told_apart_as_far_as_there_is_time() {
    let of = |review: &Review, wanted: &str| {
        let row = review.rows.iter().find(|row| row.route == wanted);
        row.map(|row| row.principals.clone()).unwrap_or_default()
    };
    let mesh = pods(2, 1) + &rules("ALLOW", 500, caller);
    let few = with_routes(&(route("a", "/a", READ) + &route("q", "/q7", READ)));
    let review = reviewed_of(&few, &mesh, None);
    assert!(!says(&review, NOT_OF_ALL), "{:#?}", review.unknown);
    assert_eq!(of(&review, "a"), [""; 0]);
    assert_eq!(of(&review, "q"), ["cluster.local/ns/a/sa/s7"]);
    let all = (0..300).map(|at| route(&format!("r{at}"), &format!("/r{at}"), READ));
    let review = reviewed_of(&with_routes(&all.collect::<String>()), &mesh, None);
    for pod in ["default/shop-0", "default/shop-1"] {
        assert!(says(&review, &format!("{pod}: {NOT_OF_ALL}")), "{:#?}", review.unknown);
    }
    // What is not known to be refused, may come.
    let last = of(&review, "r299");
    assert_eq!((last.len(), last.last().map(String::as_str)), (25, Some("and 476 more")));
}

#[test]
fn one_rule_more_of_many_opens() {
    let with = |count: usize| pods(1, 1) + &rules("ALLOW", count, caller);
    let (few, more) = (with(500), with(501));
    let opened = |review: &Review| {
        let all = review.changes.iter().flatten();
        all.filter(|change| change.kind == ChangeKind::Opened).count()
    };
    let there = reviewed(&more, Some(&few));
    let by_it = |change: &Change| change.caller.ends_with("/s500");
    assert!(
        there.changes.iter().flatten().any(by_it) && opened(&there) > 0,
        "{:#?}",
        there.changes
    );
    assert_eq!(opened(&reviewed(&few, Some(&more))), 0);
}

#[test]
fn workloads_that_are_alike_are_compared_once_and_told_each() {
    let with = |count: usize| pods(3, 1) + &rules("ALLOW", count, caller);
    let review = reviewed(&with(4), Some(&with(3)));
    for pod in 0..3 {
        let subject = format!("Workload default/shop-{pod} port 8080");
        let is_told = |change: &Change| {
            change.subject == subject
                && change.kind == ChangeKind::Opened
                && change.caller.ends_with("/s3")
        };
        assert!(review.changes.iter().flatten().any(is_told), "{subject}: {:#?}", review.changes);
    }
}

#[test]
fn what_filters_leave_behind_is_not_known() {
    let asks = |key: &str| format!("{{when: [{{key: '{key}', values: [c]}}]}}");
    let with = |key: &str| pods(1, 1) + &rules("ALLOW", 1, |_| asks(key));
    let review = reviewed(&with("experimental.envoy.filters.a[b]"), Some(&pods(1, 1)));
    assert!(says(&review, "experimental.envoy.filters"), "{:#?}", review.unknown);
    let plain = reviewed(&with("request.headers[a]"), Some(&pods(1, 1)));
    assert!(!says(&plain, "experimental.envoy.filters"), "{:#?}", plain.unknown);
}

#[test]
fn a_denial_by_the_end_of_a_path_with_its_query_that_goes_opens() {
    let gateway = "cluster.local/ns/istio-system/sa/gateway";
    let allows = rules("ALLOW", 1, |_| {
        format!(
            "{{from: [{{source: {{principals: [{gateway}]}}}}], to: [{{operation: {{paths: \
             ['/shop/*']}}}}]}}"
        )
    });
    let denies = |value: &str| {
        let rule = format!("{{when: [{{key: 'request.headers[:path]', values: ['{value}']}}]}}");
        rules("DENY", 1, |_| rule.clone())
    };
    for value in ["*x=1", "*/secret", "/shop/a?x=1", "/shop/s*"] {
        let after = pods(1, 1) + &allows;
        let review = reviewed(&after, Some(&(after.clone() + &denies(value))));
        assert!(review.opens(), "{value}: {:#?}", review.changes);
    }
}
