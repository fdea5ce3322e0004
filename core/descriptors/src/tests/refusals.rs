//! What is refused, and what is said then.

use postern_document::Position;
use postern_document::yaml::{Kind, Node, Problems};

use super::*;
use crate::reader::{Reader, Seen};
use crate::tree::Level;

/// One problem each, with its line and its path.
#[test]
fn every_problem_names_its_place() {
    for (text, expected) in [
        ("domain: d\nlimits: []", "f:2: unknown field `limits`; known here: domain, descriptors"),
        ("descriptors: []", "f:1: `domain` is missing"),
        (
            "domain: d\ndescriptors:\n- key: a\n  ratelimit: {}",
            "f:4: descriptors[0]: unknown field `ratelimit`; did you mean `rate_limit`?",
        ),
        ("domain: d\ndescriptors:\n- key: a\n- value: b", "f:4: descriptors[1]: `key` is missing"),
        (
            "domain: d\ndescriptors:\n- key: ''",
            "f:3: descriptors[0].key: `key` is empty, which means nothing here",
        ),
        (
            "domain: d\ndescriptors:\n- key: a\n  value: ''",
            "f:4: descriptors[0].value: `value` is empty, which means nothing here",
        ),
        (
            "domain: d\ndescriptors:\n- key: a\n  value: null",
            "f:4: descriptors[0].value: there is no value here; write one or remove the field",
        ),
        (
            "domain: d\ndescriptors:\n- key: a\n  value: [b]",
            "f:4: descriptors[0].value: expected text, found a list",
        ),
        (
            "domain: d\ndescriptors:\n- key: a\n  shadow_mode: yes",
            "f:4: descriptors[0].shadow_mode: expected true or false, found text",
        ),
        ("domain: d\ndescriptors:\n- a", "f:3: descriptors[0]: expected a mapping, found text"),
        (
            "domain: d\ndescriptors:\n- key: a\n  value: 007",
            "f:4: descriptors[0].value: `value` must stand in quotes, or its spelling is lost",
        ),
        (
            "domain: d\ndescriptors:\n- key: TRUE",
            "f:3: descriptors[0].key: `key` must stand in quotes, or its spelling is lost",
        ),
        (
            "domain: d\ndescriptors:\n- key: a\n  value: b\n  share_threshold: true",
            "f:5: descriptors[0]: `share_threshold` is for values with `*`",
        ),
        (
            "domain: d\ndescriptors:\n- key: a\n- key: b\n- key: a",
            "f:5: descriptors[2]: `a` without a value stands on line 3 already",
        ),
        (
            "domain: d\ndescriptors:\n- key: a\n  descriptors:\n  - {key: b, value: c}\n  - {key: b, value: c}",
            "f:6: descriptors[0].descriptors[1]: `b` with the value `c` stands on line 5 already",
        ),
        ("domain: d\ndescriptors:\n- key: a\n  key: b", "f:4: `key` stands here twice"),
        (
            "domain: d\ndescriptors:\n- key: a\n  descriptors: ~",
            "f:4: descriptors[0].descriptors: there is no value here; write one or remove the field",
        ),
        ("- domain: d", "f:1: expected a mapping, found a list"),
    ] {
        assert_eq!(problems(text), [expected], "{text}");
    }
}

/// What is wrong with a limit, each on a line of its own.
#[test]
fn a_limit_is_complete_and_means_something() {
    for (fields, expected) in [
        ("requests_per_unit: 5", "5: descriptors[0].rate_limit: `unit` is missing"),
        ("unit: second", "5: descriptors[0].rate_limit: `requests_per_unit` is missing"),
        (
            "unit: fortnight\n    requests_per_unit: 5",
            "5: descriptors[0].rate_limit.unit: `unit` is one of second, minute, hour, day, week, month, year",
        ),
        (
            "unit: second\n    requests_per_unit: -5",
            "6: descriptors[0].rate_limit.requests_per_unit: expected a whole number, found text",
        ),
        (
            "unit: second\n    requests_per_unit: 1.5",
            "6: descriptors[0].rate_limit.requests_per_unit: expected a whole number, found text",
        ),
        (
            "unit: second\n    requests_per_unit: 4294967296",
            "6: descriptors[0].rate_limit.requests_per_unit: `requests_per_unit` is a number from 0 to 4294967295",
        ),
        (
            "unit: second\n    requests_per_unit: 1\n    unit_multiplier: 0",
            "7: descriptors[0].rate_limit.unit_multiplier: `unit_multiplier` is a number from 1 to 4294967295",
        ),
        (
            "unit: second\n    requests_per_unit: 1\n    algorithm: gcra",
            "7: descriptors[0].rate_limit: unknown field `algorithm`; known here: name, replaces, unit, unit_multiplier, requests_per_unit, unlimited",
        ),
        (
            "unlimited: true\n    unit: second",
            "6: descriptors[0].rate_limit.unit: `unit` has no meaning where `unlimited` is true; remove one of them",
        ),
        (
            "unlimited: true\n    requests_per_unit: 5",
            "6: descriptors[0].rate_limit.requests_per_unit: `requests_per_unit` has no meaning where `unlimited` is true; remove one of them",
        ),
        (
            "unlimited: maybe",
            "5: descriptors[0].rate_limit.unlimited: expected true or false, found text",
        ),
        (
            "unlimited: true\n    replaces: [{name: ''}]",
            "6: descriptors[0].rate_limit.replaces[0].name: `name` is empty, which means nothing here",
        ),
        (
            "unlimited: true\n    replaces: [{}]",
            "6: descriptors[0].rate_limit.replaces[0]: `name` is missing",
        ),
        (
            "unlimited: true\n    replaces: [other]",
            "6: descriptors[0].rate_limit.replaces[0]: expected a mapping, found text",
        ),
        (
            "unlimited: true\n    name: own\n    replaces: [{name: own}]",
            "7: descriptors[0].rate_limit.replaces[0].name: `name` is its own rule's",
        ),
    ] {
        let text = format!("domain: d\ndescriptors:\n- key: a\n  rate_limit:\n    {fields}");
        assert_eq!(problems(&text), [format!("f:{expected}")], "{text}");
    }
    let empty = problems("domain: d\ndescriptors:\n- key: a\n  rate_limit:");
    assert_eq!(empty.len(), 1, "a limit that was forgotten is no unlimited one: {empty:?}");
}

#[test]
fn a_window_is_at_most_a_year() {
    let limit = |unit: &str, multiplier: u32, requests: u32| {
        problems(&format!(
            "domain: d\ndescriptors:\n- key: a\n  rate_limit:\n    unit: {unit}\n    \
             unit_multiplier: {multiplier}\n    requests_per_unit: {requests}"
        ))
    };
    assert!(limit("year", 1, 1).is_empty());
    assert!(limit("day", 366, 1).is_empty());
    for (unit, multiplier, requests) in
        [("year", 2, 1), ("day", 367, 1), ("year", u32::MAX, 1), ("year", 2, 0)]
    {
        let found = limit(unit, multiplier, requests);
        assert_eq!(found.len(), 1, "{unit} {multiplier}: {found:?}");
        assert!(found[0].starts_with("f:6: descriptors[0].rate_limit: "), "{found:?}");
    }
}

#[test]
fn one_problem_does_not_hide_the_others() {
    let found = problems(
        "domain: d\n\
         descriptors:\n\
         - kee: a\n  shadow_mode: 1\n  rate_limit: {unit: eon}\n  descriptors:\n  \
           - key: b\n    rate_limit: {unlimited: 1, name: []}\n\
         - key: c\n  rate_limit: 5\n",
    );
    let lines = found.iter().map(|line| line.split(": ").next().unwrap_or_default());
    assert_eq!(
        lines.collect::<Vec<&str>>(),
        ["f:3", "f:3", "f:4", "f:5", "f:5", "f:8", "f:8", "f:10"],
        "{found:#?}"
    );
}

#[test]
fn rules_do_not_replace_each_other_in_a_circle() {
    let rule = |name: &str, replaces: &str| {
        format!(
            "- key: {name}\n  rate_limit: {{name: {name}, unlimited: true, replaces: [{replaces}]}}"
        )
    };
    let text = |rules: &[String]| format!("domain: d\ndescriptors:\n{}", rules.join("\n"));
    let chain = [rule("a", "{name: b}"), rule("b", "{name: c}, {name: gone}"), rule("c", "")];
    assert!(problems(&text(&chain)).is_empty());
    let circle = [
        rule("a", "{name: b}"),
        rule("b", "{name: c}"),
        rule("c", "{name: a}"),
        rule("aside", "{name: gone}"),
    ];
    let found = problems(&text(&circle));
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[0].starts_with("f:4: `replaces` goes round in a circle"), "{found:?}");
}

#[test]
fn a_path_that_no_request_may_have_is_refused() {
    let text = |bytes: usize| {
        let value = "x".repeat(bytes);
        format!(
            "domain: d\ndescriptors:\n- key: abc\n  descriptors:\n  - {{key: d, value: {value}}}"
        )
    };
    assert!(problems(&text(crate::MAX_PATH_BYTES - 4)).is_empty());
    let found = problems(&text(crate::MAX_PATH_BYTES - 3));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("f:5: descriptors[0].descriptors[0]: keys and values"));
}

#[test]
fn descriptors_nest_to_a_bound() {
    // Deep YAML ends in the reader; the bound on descriptors holds for trees from anywhere.
    let deep = |levels: usize| {
        let mut text = "domain: d\ndescriptors:".to_owned();
        (0..levels).for_each(|_| text.push_str(" [{key: k, descriptors:"));
        text.push_str(" []");
        (0..levels).for_each(|_| text.push_str("}]"));
        text
    };
    assert!(problems(&deep(10)).is_empty());
    assert_eq!(problems(&deep(100_000)).len(), 1);

    let node = |kind: Kind| Node { at: Position::default(), kind };
    let nested = |levels: usize| {
        let mut tree = node(Kind::List(Vec::new()));
        for _ in 0..levels {
            let key = ("key".to_owned(), Position::default(), node(Kind::Text("k".to_owned())));
            let below = ("descriptors".to_owned(), Position::default(), tree);
            tree = node(Kind::List(vec![node(Kind::Map(vec![key, below]))]));
        }
        let mut problems = Problems::new(vec!["f".to_owned()]);
        let mut links = Vec::new();
        let mut reader = Reader {
            sources: &[],
            lines: &[],
            domain: "d",
            links: &mut links,
            count: 0,
            steps: Vec::new(),
        };
        reader.descriptors(&tree, &mut Level::default(), &mut Seen::new(), &mut problems);
        problems.into_sorted()
    };
    assert!(nested(crate::MAX_DEPTH).is_empty());
    let found = nested(crate::MAX_DEPTH + 1);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].message, "descriptors nest at most 32 deep");
}
