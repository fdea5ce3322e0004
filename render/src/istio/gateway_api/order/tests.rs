use postern_document::{Document, HostPattern, from_json};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// A document of routes that have a host (none if empty), a path and methods, and are named by
/// where they stand.
fn document(routes: &[(&str, &str, &[&str])]) -> Document {
    let routes: Vec<Value> = routes
        .iter()
        .enumerate()
        .map(|(at, (host, path, methods))| {
            let hosts: Vec<&str> =
                Some(*host).into_iter().filter(|host| !host.is_empty()).collect();
            json!({
                "name": format!("r{at}"), "service": "postern", "auth": "none",
                "match": {"path": path, "hosts": hosts, "methods": methods},
            })
        })
        .collect();
    from_json(json!({"version": 1, "routes": routes}).to_string().as_bytes()).unwrap()
}

/// The document's routes for a host, in the order of its matcher.
fn routes_of<'d>(document: &'d Document, host: &HostPattern) -> Vec<&'d Route> {
    let hosts = document.virtual_hosts();
    let host = hosts.iter().find(|virtual_host| virtual_host.host == *host).unwrap();
    host.routes.iter().map(|index| &*document.routes[*index]).collect()
}

/// Name and form of what is written for a host.
fn written(document: &Document, host: &HostPattern) -> Vec<(String, PathForm)> {
    let candidates = forms(routes_of(document, host)).unwrap();
    candidates.iter().map(|rule| (rule.name.to_owned(), rule.form.clone())).collect()
}

/// The same for all hosts, of routes without methods.
fn forms_of(paths: &[&str]) -> Vec<(String, PathForm)> {
    let routes: Vec<_> = paths.iter().map(|path| ("", *path, &[] as &[&str])).collect();
    written(&document(&routes), &HostPattern::Any)
}

fn exact(text: &str) -> PathForm {
    PathForm::Exact(text.to_owned())
}

fn prefix(text: &str) -> PathForm {
    PathForm::Prefix(text.to_owned())
}

fn regex(text: &str) -> PathForm {
    PathForm::Regex(text.to_owned())
}

/// One match of a rule, as Istio has it before it sorts.
struct Match<'c> {
    rule: &'c Candidate<'c>,
    method: Option<&'c str>,
}

/// What Istio makes of the rules: sorted, a method each, and nothing behind a rule for everything.
/// Ties are left as they came.
fn in_istios_order<'c>(mut rules: Vec<&'c Candidate<'c>>) -> Vec<Match<'c>> {
    let rank = |rule: &Candidate<'_>| match &rule.form {
        PathForm::Exact(_) => 3,
        PathForm::Prefix(_) => 2,
        PathForm::Regex(_) => 1,
    };
    rules.sort_by(|a, b| {
        let by_form = rank(b).cmp(&rank(a));
        let by_length = || b.form.text().len().cmp(&a.form.text().len());
        let by_method = || a.methods.is_empty().cmp(&b.methods.is_empty());
        by_form.then_with(by_length).then_with(by_method)
    });
    let mut matches = Vec::new();
    for rule in rules {
        if rule.methods.is_empty() {
            matches.push(Match { rule, method: None });
            if rule.form == prefix("/") {
                break;
            }
        }
        matches.extend(rule.methods.iter().map(|method| Match { rule, method: Some(*method) }));
    }
    matches
}

impl Match<'_> {
    fn takes(&self, method: &str, path: &str) -> bool {
        let is_path = match &self.rule.form {
            PathForm::Exact(text) => path == text,
            PathForm::Prefix(text) if text == "/" => true,
            PathForm::Prefix(text) => path
                .strip_prefix(text.as_str())
                .is_some_and(|rest| matches!(rest.chars().next(), None | Some('/'))),
            PathForm::Regex(text) => re2(text, path),
        };
        is_path && self.method.is_none_or(|wanted| wanted == method)
    }
}

/// As much of RE2 as is written here, read from the text.
fn re2(regex: &str, text: &str) -> bool {
    if let Some(rest) = regex.strip_prefix("[^/]+") {
        let longest = text.find('/').unwrap_or(text.len());
        return (1..=longest).any(|taken| re2(rest, text.get(taken..).unwrap()));
    }
    if let Some(rest) = regex.strip_prefix(".*") {
        return (0..=text.len()).any(|taken| re2(rest, text.get(taken..).unwrap()));
    }
    if let Some(group) = regex.strip_prefix("(?:") {
        return re2(group.trim_start_matches('|').strip_prefix(')').unwrap(), text);
    }
    let regex = regex.strip_prefix('\\').unwrap_or(regex);
    let (mut regex, mut text) = (regex.chars(), text.chars());
    match (regex.next(), text.next()) {
        (None, None) => true,
        (Some(a), Some(b)) => a == b && re2(regex.as_str(), text.as_str()),
        _ => false,
    }
}

/// The route that Istio would choose; the rules' order before the sort is as it comes, or turned
/// round.
fn chosen(candidates: &[Candidate<'_>], turned: bool, method: &str, path: &str) -> Option<String> {
    let mut rules: Vec<&Candidate<'_>> = candidates.iter().collect();
    if turned {
        rules.reverse();
    }
    let matches = in_istios_order(rules);
    let found = matches.iter().find(|rule| rule.takes(method, path));
    found.map(|found| found.rule.name.to_owned())
}

#[test]
fn the_model_of_the_matches_is_right() {
    for (text, matched, missed) in [
        ("/a\\.b/[^/]+", "/a.b/c", "/a.b/"),
        ("/a/[^/]+", "/a/b", "/a/b/"),
        ("/a/.*", "/a/b/c", "/a"),
        ("/a/[^/]+/c/.*(?:||)", "/a/b/c/", "/a/b/c"),
        ("/[^/]+(?:)", "/a", "/"),
    ] {
        assert!(re2(text, matched), "{text} {matched}");
        assert!(!re2(text, missed), "{text} {missed}");
    }
}

#[test]
fn paths_keep_their_tightest_form_where_nothing_is_in_the_way() {
    let forms = forms_of(&["/health", "/a/{rest=**}", "/b/c/{rest=**}", "/d/{id}/e", "/f/"]);
    assert_eq!(
        forms,
        [
            ("r1".to_owned(), prefix("/a")),
            ("r2".to_owned(), prefix("/b/c")),
            ("r3".to_owned(), regex("/d/[^/]+/e")),
            ("r4".to_owned(), exact("/f/")),
            ("r0".to_owned(), exact("/health")),
        ]
    );
    assert_eq!(
        forms_of(&["/{rest=**}", "/a"]),
        [("r1".to_owned(), exact("/a")), ("r0".to_owned(), prefix("/")),]
    );
}

#[test]
fn a_parameter_is_tried_before_the_rest() {
    // As a prefix, `/a/{rest=**}` would take the requests that `/a/{id}` judges.
    assert_eq!(
        forms_of(&["/a/{rest=**}", "/a/{id}"]),
        [("r1".to_owned(), regex("/a/[^/]+")), ("r0".to_owned(), regex("/a/.*")),]
    );
    // Istio drops what stands behind a prefix for everything.
    assert_eq!(forms_of(&["/{rest=**}", "/a/{id}"])[1].1, regex("/.*"));
}

#[test]
fn a_prefix_takes_nothing_that_is_another_routes() {
    // `PathPrefix: /a` matches `/a`, which is `/{x}` or `/{rest=**}` to the document.
    for other in ["/{x}", "/{rest=**}"] {
        let forms = forms_of(&["/a/{rest=**}", other]);
        assert!(forms.contains(&("r0".to_owned(), regex("/a/.*"))), "{forms:?}");
    }
    // And `PathPrefix: /a/b` matches `/a/b`, which is the wider prefix's.
    let forms = forms_of(&["/a/{rest=**}", "/a/b/{rest=**}"]);
    assert_eq!(forms, [("r1".to_owned(), regex("/a/b/.*")), ("r0".to_owned(), regex("/a/.*"))]);
    // Where it is nobody's, or stands before it, there is no harm.
    assert_eq!(forms_of(&["/a/{rest=**}", "/{x}/b"])[0].1, prefix("/a"));
    assert_eq!(forms_of(&["/a/{rest=**}", "/a"])[1].1, prefix("/a"));
    assert_eq!(forms_of(&["/a/{rest=**}", "/b/{x}"])[0].1, prefix("/a"));
}

#[test]
fn what_is_tried_first_is_the_longer() {
    let forms = forms_of(&["/a/{x}", "/{y}/{z}", "/{y}/bcdef", "/{y}/longer-than-any"]);
    assert_eq!(
        forms,
        [
            // As long as it must be, to stand before `r3`, and no longer.
            ("r0".to_owned(), regex("/a/[^/]+(?:|||||||||||)")),
            // No group is shorter than this one.
            ("r2".to_owned(), regex("/[^/]+/bcdef(?:)")),
            ("r3".to_owned(), regex("/[^/]+/longer-than-any")),
            ("r1".to_owned(), regex("/[^/]+/[^/]+")),
        ]
    );
    assert_eq!(forms[0].1.text().len(), forms[2].1.text().len() + 1);
}

#[test]
fn of_two_rules_for_one_path_the_one_with_a_method_is_first() {
    let routes: [(&str, &str, &[&str]); 3] =
        [("", "/a/{x}", &[]), ("", "/a/{x}", &["POST"]), ("", "/a/{rest=**}", &["POST"])];
    let document = document(&routes);
    let forms = written(&document, &HostPattern::Any);
    assert_eq!(forms[0], ("r1".to_owned(), regex("/a/[^/]+")));
    assert_eq!(forms[1], ("r0".to_owned(), regex("/a/[^/]+")));
    // Routes for different methods have nothing to do with each other.
    let routes: [(&str, &str, &[&str]); 2] =
        [("", "/a/{x}", &["GET"]), ("", "/a/{rest=**}", &["POST"])];
    assert_eq!(written(&self::document(&routes), &HostPattern::Any)[1].1, prefix("/a"));
}

#[test]
fn a_wider_hosts_routes_are_left_out_where_they_are_hidden() {
    let document = document(&[
        ("api.test", "/a", &[]),
        ("api.test", "/b/{x}", &["GET"]),
        ("", "/a", &["GET"]),
        ("", "/b/{x}", &["GET", "POST"]),
        ("", "/b/{x}", &["PUT"]),
        ("", "/b/c", &[]),
    ]);
    let host = HostPattern::parse("api.test").unwrap();
    let candidates = forms(routes_of(&document, &host)).unwrap();
    let rules: Vec<_> = candidates.iter().map(|rule| (rule.name, rule.methods.clone())).collect();
    assert_eq!(
        rules,
        [
            ("r0", vec![]),
            ("r1", vec!["GET"]),
            ("r5", vec![]),
            ("r3", vec!["POST"]),
            ("r4", vec!["PUT"])
        ]
    );
    // Exact by nature, and yet `GET /b/c` is the narrower host's, and `POST /b/c` its own.
    assert_eq!(candidates[2].form, regex("/b/c(?:|)"));
    assert_eq!(written(&document, &HostPattern::Any).len(), 4);
}

#[test]
fn what_the_gateway_api_lets_nobody_write_as_a_path_is_a_regular_expression() {
    assert_eq!(forms_of(&["/a<b"])[0].1, regex("/a\\<b"));
    assert_eq!(forms_of(&["/a;b=%C3%A9/{rest=**}"])[0].1, prefix("/a;b=%C3%A9"));
}

#[test]
fn routes_that_cannot_be_put_in_order_are_named() {
    let long = |length: usize| format!("/{{y}}/{}", "b".repeat(length));
    let of = |path: &str| document(&[("", "/a/{x}", &[]), ("", path, &[])]);
    // `/[^/]+/` is seven characters.
    let (fits, too_long) = (of(&long(MAX_BYTES - 8)), of(&long(MAX_BYTES - 7)));
    let candidates = forms(routes_of(&fits, &HostPattern::Any)).unwrap();
    assert_eq!(candidates[0].form.text().len(), MAX_BYTES);
    assert_eq!(
        forms(routes_of(&too_long, &HostPattern::Any)),
        Err(OutOfOrder { route: "r0", other: "r1" })
    );
}

/// Host, path and methods; no two of them hide each other.
fn routes() -> impl Strategy<Value = Vec<(String, String, Vec<&'static str>)>> {
    let host = prop::sample::select(vec!["", "", "", "a.test", "*.test"]);
    let path = "(/(a|b|\\{p\\})){0,3}(/|/\\{r=\\*\\*\\})?";
    let methods = prop::sample::select(vec![vec![], vec!["GET"], vec!["POST"]]);
    prop::collection::vec((host, path, methods), 1..12).prop_map(|routes| {
        let mut distinct: Vec<(String, String, Vec<&'static str>)> = Vec::new();
        for (host, path, methods) in routes {
            let path = if path.is_empty() { "/".to_owned() } else { path };
            let path = (0..3).fold(path, |path, at| path.replacen("{p}", &format!("{{p{at}}}"), 1));
            let route = (host.to_owned(), path, methods);
            if !distinct.contains(&route) {
                distinct.push(route);
            }
        }
        distinct
    })
}

/// Without this the test below would prove nothing: in their tightest forms, Istio does choose other
/// routes than the document.
#[test]
fn the_tightest_forms_are_in_no_order() {
    let document = document(&[("", "/a/{id}", &[]), ("", "/a/{rest=**}", &[])]);
    let tightest = reachable(routes_of(&document, &HostPattern::Any));
    assert_eq!(chosen(&tightest, false, "GET", "/a/b").as_deref(), Some("r1"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Wherever the document has a route, Istio sends the request to it, whatever order the rules
    /// were created in.
    #[test]
    fn istio_chooses_the_documents_route(
        routes in routes(),
        requests in prop::collection::vec(
            (prop::sample::select(vec!["GET", "POST", "PUT"]), "(/(a|b|c)){0,4}/?"), 32,
        ),
    ) {
        let routes: Vec<_> = routes
            .iter()
            .map(|(host, path, methods)| (host.as_str(), path.as_str(), methods.as_slice()))
            .collect();
        let document = document(&routes);
        for host in document.virtual_hosts() {
            let authority = match &host.host {
                HostPattern::Exact(name) => name.as_str(),
                HostPattern::Suffix(_) => "b.test",
                HostPattern::Any => "example.org",
            };
            let candidates = forms(routes_of(&document, &host.host)).unwrap();
            for (method, path) in &requests {
                let path = if path.is_empty() { "/" } else { path.as_str() };
                let Some(route) = document.find_route(authority, method, path).unwrap() else {
                    continue;
                };
                for turned in [false, true] {
                    let chosen = chosen(&candidates, turned, method, path);
                    prop_assert_eq!(
                        chosen.as_deref(), Some(route.name.as_str()),
                        "{} {}{} of {:?}", method, authority, path, candidates
                    );
                }
            }
        }
    }
}
