use postern_document::{Document, Source, load};
use postern_jose::{Key, SignatureVerifier, VerifyError};

use super::*;

mod bounds;

const DOCUMENT: &str = "\
version: 1
issuer: https://issuer.example.test
credentials:
  jwt:
    issuers:
    - issuer: https://issuer.example.test
      audiences: [gateway]
      jwks: {service: postern}
services:
  shop: {upstream: '127.0.0.1:9'}
limits:
  few: {key: [ip], mode: local, rate: 10/1m}
routes:
- name: open
  match: {path: /open}
  service: shop
  auth: none
- name: orders
  match: {path: '/orders/{rest=**}'}
  service: shop
  auth: {any: [jwt], scopes: [orders.read]}
  limits: [few]
";

/// What every file of these tests begins with.
const HEAD: &str = "\
version: 1
tokens:
  alice: {issuer: https://issuer.example.test, subject: alice, audiences: [gateway], scopes: [orders.read]}
  late: {like: alice, expires_in: -10m}
  wrong: {like: alice, signature: wrong}
  narrow: {like: alice, scopes: []}
keys:
  stored: {subject: robot}
cases:
";

/// Knows no signature.
struct Nobody;

impl SignatureVerifier for Nobody {
    fn verify(&mut self, _: &Key, _: &[u8], _: &[u8]) -> Result<bool, VerifyError> {
        Ok(false)
    }
}

fn document() -> Document {
    let source = Source { name: "a.yaml".to_owned(), text: DOCUMENT.to_owned() };
    load(&[source], &|_| Err(String::new())).unwrap()
}

fn read_cases(cases: &str) -> Result<Vec<CaseFile>, Vec<String>> {
    let source = Source { name: "a.cases.yaml".to_owned(), text: format!("{HEAD}{cases}") };
    let problems = |found: Vec<postern_document::Problem>| {
        found.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    read(&document(), &[source]).map_err(problems)
}

fn report_of(cases: &str, filter: Option<&str>) -> Report {
    let files = read_cases(cases).unwrap();
    let context = Context { verifier: &mut Nobody, filter };
    run(&document(), &files, context)
}

#[test]
fn tokens_of_case_files_are_judged_in_full_but_for_who_has_signed_them() {
    let report = report_of(
        "- {name: good, request: {path: /orders/7, token: alice}, expect: {allow: true, route: orders, service: shop, limits: [few], headers: {x-postern-subject: alice, x-none: null}}}
- {name: late, request: {path: /orders/7, token: late}, expect: {status: 401, error: INVALID_TOKEN, reason: token_expired, by: bundle}}
- {name: wrong, request: {path: /orders/7, token: wrong}, expect: {status: 401, reason: token_signature}}
- {name: narrow, request: {path: /orders/7, token: narrow}, expect: {status: 403, reason: scope_missing}}
- {name: none, request: {path: /orders/7}, expect: {status: 401, reason: credential_missing}}
- {name: nowhere, request: {path: /other}, expect: {status: 404, route: none}}
- {name: placed, request: {path: /orders/7, headers: {authorization: 'Bearer {token.alice}'}}, expect: {allow: true}}
- {name: used up, request: {path: /orders/7, token: alice}, given: {used_up: [few]}, expect: {status: 429}}
- {name: open, request: {path: /open, headers: {x-a: b}}, expect: {allow: true, limits: [], headers: {x-a: b}}}
",
        None,
    );
    assert_eq!((report.cases(), report.failed()), (9, 0), "{}", report.to_text(false));
    // Nothing was assumed of signatures that the file itself says to hold.
    for case in &report.files[0].cases {
        let uncertain = &case.explanation.uncertain;
        assert!(!uncertain.iter().any(|text| text.contains("not at hand")), "{uncertain:?}");
    }
    let coverage = &report.coverage;
    assert_eq!((coverage.reached, coverage.routes, coverage.percent()), (2, 2, 100));
}

#[test]
fn what_is_otherwise_is_said_and_covers_nothing() {
    let report = report_of(
        "- {name: one, request: {path: /orders/7, token: alice}, expect: {allow: true, service: shop, limits: [], headers: {x-postern-subject: bob}}}
- {name: two, request: {path: /orders/7}, expect: {allow: true}}
- {name: three, request: {path: /open}, expect: {status: 403}}
- {name: four, request: {path: /orders/7}, expect: {status: 403, error: FORBIDDEN, by: ext_authz}}
",
        None,
    );
    assert_eq!(report.failed(), 4);
    let of = |index: usize| {
        let found = report.files[0].cases[index].mismatches.iter();
        found
            .map(|one| format!("{}: {} / {}", one.what, one.expected, one.found))
            .collect::<Vec<_>>()
    };
    assert_eq!(of(0), ["header x-postern-subject: \"bob\" / \"alice\"", "limits: none / few"]);
    assert_eq!(of(1), ["allow: forwarded / 401 UNAUTHORIZED (credential_missing) by bundle"]);
    assert_eq!(of(2), ["status: 403 / forwarded to shop"]);
    assert_eq!(of(3).len(), 3, "{:?}", of(3));
    assert_eq!(report.coverage.covered(), 0);
    let text = report.to_text(true);
    assert!(text.contains("a.yaml:21: routes.orders.auth.any[jwt] passed"), "{text}");
    // Steps are called as `explain` calls them.
    assert!(text.contains(" limit ") && !text.contains("limits_"), "{text}");
    assert!(!text.contains(" normalize "), "{text}");
    assert!(text.ends_with("4 cases, 0 passed, 4 failed; routes 0 of 2, rules 0 of 7\n"), "{text}");
}

#[test]
fn coverage_names_each_rule_once() {
    let report = report_of("- {name: a, request: {path: /open}, expect: {status: 404}}\n", None);
    let rules: Vec<_> = report.coverage.uncovered.iter().map(|one| one.rule.to_string()).collect();
    let known: BTreeSet<&String> = rules.iter().collect();
    assert_eq!(known.len(), rules.len(), "{rules:#?}");
}

#[test]
fn each_goes_through_every_combination() {
    let files = read_cases(
        "- name: all
  each: {method: [GET, PUT], path: [/open, /orders/7]}
  expect: {status: 404}
",
    )
    .unwrap();
    let names: Vec<&str> = files[0].cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(
        names,
        ["all [GET /open]", "all [GET /orders/7]", "all [PUT /open]", "all [PUT /orders/7]"]
    );
    assert!(files[0].cases.iter().all(|case| case.line == 10));
}

#[test]
fn only_the_cases_that_are_asked_for_are_run() {
    let cases = "- {name: one, request: {path: /open}, expect: {allow: true}}
- {name: two, request: {path: /open}, expect: {allow: true}}
";
    assert_eq!(report_of(cases, Some("tw")).cases(), 1);
    assert_eq!(report_of(cases, Some("three")).cases(), 0);
}

#[test]
fn every_problem_of_a_case_is_reported() {
    for (case, word) in [
        ("{request: {path: /a}, expect: {allow: true}}", "`name` is missing"),
        ("{name: a, request: {path: /a}}", "`expect` is missing"),
        ("{name: a, request: {}, expect: {allow: true}}", "`path` is missing"),
        ("{name: a, expect: {allow: true}}", "`path` is missing"),
        ("{name: a, request: {path: /a}, expect: {}}", "`allow: true`, or the `status`"),
        ("{name: a, request: {path: /a}, expect: {allow: true, status: 401}}", "`allow: true`, or"),
        ("{name: a, request: {path: /a}, expect: {allow: false}}", "say how it is refused"),
        ("{name: a, request: {path: /a}, expect: {status: 200}}", "from 400 to 599"),
        ("{name: a, request: {path: /a}, expect: {status: 401, service: shop}}", "gets through"),
        ("{name: a, request: {path: /a}, expect: {allow: true, reason: x}}", "is refused"),
        (
            "{name: a, request: {path: /a}, expect: {status: 401, error: INVALID}}",
            "no error `INVALID`",
        ),
        (
            "{name: a, request: {path: /a}, expect: {status: 401, reason: expired}}",
            "no reason `expired`; known: token_expired",
        ),
        ("{name: a, request: {path: /a}, expect: {status: 401, by: me}}", "expected one of envoy"),
        ("{name: a, request: {path: /a}, expect: {status: 401, route: b}}", "no route `b`"),
        (
            "{name: a, request: {path: /a}, expect: {allow: true, limits: [many]}}",
            "no limit `many`",
        ),
        ("{name: a, request: {path: /a}, expect: {allow: true, service: b}}", "no service with"),
        ("{name: a, request: {path: /a, token: bob}, expect: {allow: true}}", "no token `bob`"),
        ("{name: a, request: {path: /a, api_key: b}, expect: {allow: true}}", "no key `b`"),
        ("{name: a, request: {path: '/{token.bob}'}, expect: {allow: true}}", "no token `bob`"),
        ("{name: a, request: {path: /a, proof: good}, expect: {allow: true}}", "for the request's"),
        ("{name: a, request: {path: /a, headers: {X-A: b}}, expect: {allow: true}}", "lower case"),
        (
            "{name: a, request: {path: /a, headers: {host: b}}, expect: {allow: true}}",
            "has a field",
        ),
        (
            "{name: a, request: {path: /a, token: alice, headers: {authorization: b}}, expect: {allow: true}}",
            "write one of them",
        ),
        ("{name: a, request: {path: /a, address: here}, expect: {allow: true}}", "an IP address"),
        (
            "{name: a, request: {path: /a, workload: shop}, expect: {allow: true}}",
            "no workload `shop`",
        ),
        (
            "{name: a, request: {path: /a, peer: 'spiffe://m/a'}, expect: {allow: true}}",
            "nobody outside has a certificate",
        ),
        (
            "{name: a, request: {path: /a, workload: edge, peer: 'spiffe://m/a'}, expect: {allow: true}}",
            "nobody outside has a certificate",
        ),
        (
            "{name: a, request: {path: /a}, expect: {allow: true, version: v1}}",
            "no version with a route",
        ),
        ("{name: a, request: {path: /a}, expect: {status: 403, at: shop}}", "no Envoy `shop`"),
        (
            "{name: a, request: {path: /a}, given: {fault: true}, expect: {allow: true}}",
            "no route of the document has a `fault`",
        ),
        (
            "{name: a, request: {path: /a}, given: {failed: [rate-limit-service]}, expect: {allow: true}}",
            "no route has `descriptors`",
        ),
        ("{name: a, request: {path: /a, scheme: ftp}, expect: {allow: true}}", "http or https"),
        (
            "{name: a, request: {path: /a}, given: {failed: [moon]}, expect: {allow: true}}",
            "no part `moon`",
        ),
        (
            "{name: a, request: {path: /a}, given: {failed: ['keys:https://b']}, expect: {allow: true}}",
            "no issuer `https://b`",
        ),
        (
            "{name: a, request: {path: /a}, given: {open: [shop]}, expect: {allow: true}}",
            "no service with a circuit",
        ),
        (
            "{name: a, request: {path: /a}, given: {used_up: [many]}, expect: {allow: true}}",
            "no limit `many`",
        ),
        (
            "{name: a, each: {status: [1]}, request: {path: /a}, expect: {allow: true}}",
            "goes through",
        ),
        ("{name: a, each: {path: []}, expect: {allow: true}}", "one or more values"),
        (
            "{name: a, each: {path: [/a]}, request: {path: /b}, expect: {allow: true}}",
            "in `each` and in `request`",
        ),
        ("{name: a, each: {path: [/a, /a]}, expect: {allow: true}}", "another case `a [/a]`"),
        ("{name: a, request: {path: /a}, expect: {allow: true}, replay: {}}", "`skip` is missing"),
    ] {
        let found = read_cases(&format!("- {case}\n")).unwrap_err();
        let is_there = |text: &String| text.starts_with("a.cases.yaml:10:") && text.contains(word);
        assert!(found.iter().any(is_there), "{case}: no `{word}` in {found:#?}");
    }
}

#[test]
fn a_file_says_its_version_and_has_cases() {
    let document = document();
    for (text, word) in [
        ("cases: []\n", "`version: 1`"),
        ("version: 2\ncases: []\n", "`version: 1`"),
        ("version: 1\n", "`cases` is missing"),
        ("version: 1\ncases: []\n", "no case here"),
        ("version: 1\ndefaults: {now: noon}\ncases: []\n", "a time in UTC"),
        ("version: 1\ndefaults: {hots: a}\ncases: []\n", "did you mean `host`"),
        ("version: 1\ndefaults: {workload: shop}\ncases: []\n", "no workload `shop`"),
        ("version: 1\nkeys: {a: {}}\ncases: []\n", "a key is its `text`"),
        ("version: 1\nkeys: {a: {id: b}}\ncases: []\n", "no API key `b`"),
        ("version: 1\nkeys: {a: {id: b, text: c}}\ncases: []\n", "a key is its `text`"),
    ] {
        let source = Source { name: "b".to_owned(), text: text.to_owned() };
        let found = read(&document, &[source]).unwrap_err();
        let is_there = |problem: &postern_document::Problem| problem.message.contains(word);
        assert!(found.iter().any(is_there), "{text}: no `{word}` in {found:#?}");
    }
}

/// The names of elements that are open, from the outside in; panics where one ends that is not the
/// innermost.
fn check_xml(text: &str) {
    let mut open: Vec<&str> = Vec::new();
    for piece in text.split('<').skip(1) {
        let (tag, _) = piece.split_once('>').unwrap();
        let name = tag.split([' ', '/']).find(|word| !word.is_empty()).unwrap();
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "{text}");
        } else if !tag.starts_with('?') && !tag.ends_with('/') {
            open.push(name);
        }
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
    }
    assert!(open.is_empty(), "{open:?} stay open in {text}");
}

#[test]
fn junit_is_well_formed() {
    let report = report_of(
        "- {name: '<a> & \"b\"', request: {path: /open}, expect: {status: 404}}
- {name: good, request: {path: /open}, expect: {allow: true}}
",
        None,
    );
    let text = report.to_junit();
    check_xml(&text);
    assert!(text.contains("name=\"&lt;a&gt; &amp; &quot;b&quot;\""), "{text}");
    assert!(text.contains("<testsuite name=\"a.cases.yaml\" tests=\"2\" failures=\"1\""), "{text}");
    assert!(text.contains("status: expected 404, found forwarded to shop"), "{text}");
}

#[test]
fn json_says_what_text_says() {
    let report = report_of("- {name: a, request: {path: /open}, expect: {status: 404}}\n", None);
    let json = postern_request::json::parse(report.to_json().as_bytes()).unwrap();
    let number = |name: &str| json.get(name).cloned();
    assert_eq!(number("failed"), Some(postern_request::json::Value::Integer(1)));
    let coverage = json.get("coverage").unwrap();
    let uncovered = coverage.get("uncovered").unwrap().as_array().unwrap();
    assert_eq!(uncovered.len(), report.coverage.uncovered.len());
}

#[test]
fn a_token_of_a_case_file_is_not_shown() {
    let report = report_of(
        "- {name: a, request: {path: '/open?t={token.alice}', token: alice}, expect: {status: 404}}\n",
        None,
    );
    let token = report.files[0].cases[0].request.target.split_once("t=").unwrap().1.to_owned();
    assert!(token.len() > 100, "{token}");
    for text in [report.to_text(true), report.to_json(), report.to_junit()] {
        assert!(!text.contains(&token), "{text}");
    }
}
