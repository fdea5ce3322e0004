//! What holds for any policies and any request.

use proptest::prelude::*;

use super::*;

/// One field of `source`, `operation` or `when`, from few values, so that they meet.
fn item(
    names: &'static [(&'static str, &'static [&'static str])],
) -> impl Strategy<Value = String> {
    let field = prop::sample::select(names).prop_flat_map(|(name, values)| {
        let values = prop::sample::subsequence(values, 1..=values.len());
        values.prop_map(move |values| format!("{name}: ['{}']", values.join("', '")))
    });
    field.prop_map(|field| format!("{{{field}}}"))
}

const SOURCES: &[(&str, &[&str])] = &[
    ("principals", &["*", "cluster.local/ns/default/sa/sleep", "*/sleep", "x*"]),
    ("notPrincipals", &["cluster.local/*", "x"]),
    ("namespaces", &["default", "d*", "other"]),
    ("notNamespaces", &["default", "other"]),
    ("requestPrincipals", &["*", "a/s", "b/*"]),
    ("notRequestPrincipals", &["*", "a/*"]),
    ("ipBlocks", &["10.0.0.0/8", "::/0"]),
    ("notIpBlocks", &["10.0.0.0/8", "192.0.2.1"]),
];
const OPERATIONS: &[(&str, &[&str])] = &[
    ("methods", &["GET", "P*"]),
    ("notMethods", &["GET", "POST"]),
    ("paths", &["/a", "/a*", "*b", "/{*}", "/{**}"]),
    ("notPaths", &["/a", "/b*"]),
    ("hosts", &["httpbin.foo:*", "x"]),
    ("ports", &["8000", "9000"]),
    ("notPorts", &["8000"]),
];

fn rules() -> impl Strategy<Value = String> {
    let from = prop::collection::vec(item(SOURCES), 0..3);
    let to = prop::collection::vec(item(OPERATIONS), 0..3);
    (from, to).prop_map(|(from, to)| {
        let side = |name: &str, inner: &str, items: &[String]| {
            let items: Vec<String> =
                items.iter().map(|item| format!("{{{inner}: {item}}}")).collect();
            if items.is_empty() { None } else { Some(format!("{name}: [{}]", items.join(", "))) }
        };
        let sides = [side("from", "source", &from), side("to", "operation", &to)];
        format!("{{{}}}", sides.into_iter().flatten().collect::<Vec<String>>().join(", "))
    })
}

/// An action and its rules.
fn policy() -> impl Strategy<Value = (&'static str, Vec<String>)> {
    (prop::sample::select(vec!["ALLOW", "DENY", "AUDIT"]), prop::collection::vec(rules(), 1..3))
}

fn policies() -> impl Strategy<Value = Vec<(&'static str, Vec<String>)>> {
    prop::collection::vec(policy(), 0..4)
}

fn written(index: usize, (action, rules): &(&'static str, Vec<String>)) -> String {
    let spec = format!("{{action: {action}, rules: [{}]}}", rules.join(", "));
    authorization(&format!("foo/p{index}"), &spec)
}

fn all(policies: &[(&'static str, Vec<String>)]) -> Vec<String> {
    policies.iter().enumerate().map(|(index, policy)| written(index, policy)).collect()
}

fn requests() -> impl Strategy<Value = Request> {
    let principal =
        prop::option::of(prop::sample::select(vec![SLEEP, "cluster.local/ns/other/sa/x", "x"]));
    let method = prop::sample::select(vec!["GET", "POST", "PUT"]);
    let path = "/[ab]{0,2}(/[ab]?)?";
    let token = prop::option::of(prop::sample::select(vec!["a", "b", "c"]));
    (principal, method, path, token, any::<bool>(), prop::sample::select(vec![8000, 9000]))
        .prop_map(|(principal, method, path, token, is_http, port)| {
            let mut request = request(method, &path);
            request.peer.principal = principal.map(str::to_owned);
            request.port = port;
            let claims = |issuer| json(&format!(r#"{{"iss": "{issuer}", "sub": "s"}}"#));
            let tokens = token.map(|issuer| Token::bearer(claims(issuer), Proof::Holds));
            request.http.as_mut().unwrap().tokens = tokens.into_iter().collect();
            request.http = request.http.filter(|_| is_http);
            request
        })
}

const KNOWN: &str = "---\napiVersion: security.istio.io/v1\nkind: RequestAuthentication\n\
                     metadata: {name: jwt, namespace: foo}\n\
                     spec: {jwtRules: [{issuer: a}, {issuer: b}]}\n";

fn passes(texts: &[String], request: &Request) -> bool {
    let resources = load(&(KNOWN.to_owned() + &texts.concat()));
    decided(&resources, &Mesh::default(), request).may_pass()
}

/// An attribute, a rule that asks whether it is like `VALUE`, and a request in which it is a text.
type Asked = (&'static str, fn(&str) -> Request);

fn at_path(text: &str) -> Request {
    get(&format!("/{text}"))
}

fn at_host(text: &str) -> Request {
    let mut request = get("/");
    request.http.as_mut().unwrap().host = text.to_owned();
    request
}

fn by_method(text: &str) -> Request {
    request(text, "/")
}

fn by_header(text: &str) -> Request {
    with_headers(&[("x", text)])
}

fn by_claim(text: &str) -> Request {
    let claims = [("iss", "a"), ("sub", text), ("c", text)]
        .map(|(name, text)| (name.to_owned(), Value::String(text.to_owned())));
    with_tokens(vec![Token::bearer(Value::Object(claims.into()), Proof::Holds)])
}

const ASKED: &[Asked] = &[
    ("{to: [{operation: {paths: ['VALUE']}}]}", at_path),
    ("{to: [{operation: {hosts: ['VALUE']}}]}", at_host),
    ("{to: [{operation: {methods: ['VALUE']}}]}", by_method),
    ("{when: [{key: 'request.headers[x]', values: ['VALUE']}]}", by_header),
    ("{when: [{key: 'request.auth.claims[c]', values: ['VALUE']}]}", by_claim),
    ("{from: [{source: {requestPrincipals: ['VALUE']}}]}", by_claim),
    ("{from: [{source: {principals: ['VALUE']}}]}", from),
    ("{from: [{source: {namespaces: ['VALUE']}}]}", from),
    ("{from: [{source: {trustDomains: ['VALUE']}}]}", from),
];

/// Values that have much in common.
fn values() -> impl Strategy<Value = String> {
    let parts = ["a", "b", "/", "*", "{*}", "{**}", "cluster.local", "new", "/ns/a/sa/b", "/ns/a"];
    let free = prop::collection::vec(prop::sample::select(parts.to_vec()), 1..4);
    free.prop_map(|parts| parts.concat())
}

/// Texts that such values match now and then. JSON may hold line breaks, HTTP may not.
fn texts() -> impl Strategy<Value = String> {
    let parts = ["a", "b", "/", "*", "\n", "cluster.local", "new", "/ns/a/sa/b", "/ns/a"];
    prop::collection::vec(prop::sample::select(parts.to_vec()), 0..4)
        .prop_map(|parts| parts.concat())
}

fn loaded(rule_of: &str, value: &str) -> Option<Resources> {
    Resources::load(&[source("f", &rule("DENY", &rule_of.replace("VALUE", value)))]).ok()
}

/// The one value of the one rule.
fn value_of(resources: &Resources) -> &Pattern {
    let rule = &resources.authorization()[0].rules[0];
    rule.tests().flat_map(|test| &test.values).next().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_is_covered_is_matched(
        asked in prop::sample::select(ASKED), wide in values(), narrow in values(),
        text in texts(), moved in any::<bool>(),
    ) {
        let (rule_of, request) = asked;
        let both = loaded(rule_of, &wide).zip(loaded(rule_of, &narrow));
        let Some((wider, narrower)) = both else { return Ok(()) };
        let covers = value_of(&wider).covers(value_of(&narrower));
        prop_assert!(value_of(&wider).covers(value_of(&wider)));
        let in_http = !rule_of.contains("request.auth") && !rule_of.contains("requestPrincipals");
        let request = request(&if in_http { text.replace('\n', "") } else { text });
        let domain = if moved { "new" } else { "cluster.local" };
        let mesh = Mesh { trust_domains: vec![domain.to_owned()], ..open_mesh() };
        let matches = |value: &str| {
            let text = KNOWN.to_owned() + &rule("DENY", &rule_of.replace("VALUE", value));
            word_in(&mesh, &text, &request) == "denied"
        };
        prop_assert!(!covers || !matches(&narrow) || matches(&wide), "{} {}", wide, narrow);
    }
}

proptest! {
    /// What is decided without an address is decided whatever address it is.
    #[test]
    fn an_address_changes_nothing_that_was_decided(
        policies in policies(), request in requests(),
        ip in prop::sample::select(vec!["10.1.2.3", "192.0.2.1", "203.0.113.9", "2001:db8::1"]),
    ) {
        let resources = load(&(KNOWN.to_owned() + &all(&policies).concat()));
        let decide = |ip: Option<&str>| {
            let mut request = request.clone();
            request.peer.ip = ip.map(|ip| ip.parse().unwrap());
            decided(&resources, &Mesh::default(), &request)
        };
        let (without, with) = (decide(None), decide(Some(ip)));
        prop_assert!(!matches!(with, Decision::Unknown(_)));
        if !matches!(without, Decision::Unknown(_)) {
            prop_assert_eq!(without.may_pass(), with.may_pass());
        }
    }

    /// A judge says of each rule what the trace of a verdict does.
    #[test]
    fn a_rule_matches_for_a_judge_where_it_does_in_the_trace(
        policies in policies(), request in requests(),
    ) {
        let resources = load(&(KNOWN.to_owned() + &all(&policies).concat()));
        let mesh = Mesh::default();
        let judge = Judge::new(&resources, &mesh, &httpbin());
        for step in judge.evaluate(Parts::from(&request)).trace {
            let Some(rule) = step.rule else { continue };
            let rule = RuleOf { policy: step.policy, rule };
            prop_assert_eq!(judge.matches(rule, Parts::from(&request)), step.outcome.matched());
        }
    }

    #[test]
    fn the_order_of_policies_makes_no_difference(
        policies in policies(), request in requests(), rotate in 0..4_usize,
    ) {
        let texts = all(&policies);
        let mut others = texts.clone();
        others.rotate_left(rotate.min(texts.len()));
        prop_assert_eq!(passes(&texts, &request), passes(&others, &request));
        // Nor the order of their names.
        let renamed: Vec<String> =
            policies.iter().enumerate().map(|(index, policy)| written(9 - index, policy)).collect();
        prop_assert_eq!(passes(&texts, &request), passes(&renamed, &request));
    }

    #[test]
    fn a_deny_policy_never_allows_more(
        policies in policies(), rules in prop::collection::vec(rules(), 1..3), request in requests(),
    ) {
        let texts = all(&policies);
        let mut more = texts.clone();
        more.push(written(9, &("DENY", rules)));
        prop_assert!(passes(&texts, &request) || !passes(&more, &request));
    }

    #[test]
    fn a_rule_more_in_an_allow_policy_never_denies_more(
        policies in policies(), first in rules(), second in rules(), request in requests(),
    ) {
        let with = |rules: Vec<String>| {
            let mut texts = all(&policies);
            texts.push(written(9, &("ALLOW", rules)));
            passes(&texts, &request)
        };
        prop_assert!(!with(vec![first.clone()]) || with(vec![first, second]));
    }

    #[test]
    fn audit_decides_nothing(policies in policies(), request in requests()) {
        let texts = all(&policies);
        let (_, others): (Vec<_>, Vec<_>) = policies.into_iter().partition(|(action, _)| *action == "AUDIT");
        prop_assert_eq!(passes(&texts, &request), passes(&all(&others), &request));
    }

    /// What is said to match never is what a rule matches.
    #[test]
    fn what_never_matches_does_not(fields in rules(), request in requests()) {
        let resources = load(&rule("ALLOW", &fields));
        let found = findings(&resources, &Mesh::default(), &[httpbin()]);
        let never = found.iter().any(|finding| {
            matches!(&finding.concern, Concern::NeverMatches { whole: true, .. })
        });
        prop_assert!(!never || word(&rule("ALLOW", &fields), &request) != "allowed", "{}", fields);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[a-z{}\\[\\]:,'*&!\n -]{0,200}", spec in "[a-z{}\\[\\]:, '*]{0,80}") {
        let _ = Resources::load(&[source("f", &text)]);
        let _ = Resources::load(&[source("f", &authorization("foo/p", &spec))]);
        let _ = Resources::load(&[source("f", &resource("RequestAuthentication", "foo/p", &spec))]);
    }
}
