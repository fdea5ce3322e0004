//! Several files, several domains.

use super::*;

const A: &str = "domain: a\n\
    descriptors:\n\
    - key: k\n  value: 'x*'\n  rate_limit: {unit: second, requests_per_unit: 1}\n";
const B: &str = "domain: b\n\
    descriptors:\n\
    - key: k\n  rate_limit: {unit: second, requests_per_unit: 2}\n";
const MORE: &str = "# More of it.\n\
    domain: a\n\
    descriptors:\n\
    - key: k\n  rate_limit: {unit: second, requests_per_unit: 3}\n\
    - key: k\n  value: 'xy*'\n  rate_limit: {unit: second, requests_per_unit: 4}\n";

fn shown(sources: &[(&str, &str)], merge: bool) -> Result<Descriptors, Vec<String>> {
    let sources: Vec<Source> = sources.iter().map(|(name, text)| source(name, text)).collect();
    Descriptors::load(&sources, merge)
        .map_err(|found| found.iter().map(ToString::to_string).collect())
}

#[test]
fn each_file_has_a_domain() {
    let read = shown(&[("a.yaml", A), ("b.yaml", B)], false).unwrap();
    assert_eq!(read.domains(), ["a", "b"]);
    assert_eq!(allowed(&read, "a", &[("k", "x")]), Some(per(1, 1)));
    assert_eq!(allowed(&read, "b", &[("k", "x")]), Some(per(2, 1)));
    assert_ne!(counter(&read, "a", &[("k", "x")]), counter(&read, "b", &[("k", "x")]));
}

#[test]
fn a_domain_stands_in_one_file() {
    let found = shown(&[("a.yaml", A), ("more.yaml", MORE)], false).unwrap_err();
    assert_eq!(found, ["more.yaml:2: the domain `a` stands on line 1 of a.yaml already"]);
    let broken = MORE.replace("requests_per_unit: 3", "requests_per_unit: many");
    let found = shown(&[("a.yaml", A), ("more.yaml", &broken)], false).unwrap_err();
    assert_eq!(found.len(), 2, "what else is wrong there is said too: {found:?}");
}

#[test]
fn merged_files_are_as_one() {
    let read = shown(&[("a.yaml", A), ("b.yaml", B), ("more.yaml", MORE)], true).unwrap();
    assert_eq!(read.domains(), ["a", "b"]);
    for (value, requests) in [("x", 1), ("xyz", 4), ("other", 3)] {
        assert_eq!(allowed(&read, "a", &[("k", value)]), Some(per(requests, 1)), "{value}");
    }
    let found = shown(&[("one.yaml", A), ("two.yaml", A)], true).unwrap_err();
    assert_eq!(
        found,
        [
            "two.yaml:3: descriptors[0]: `k` with the value `x*` stands on line 3 of one.yaml already"
        ]
    );
}

#[test]
fn all_problems_of_all_files_in_one_run() {
    let broken = "domain: ''\ndescriptors: {}\n";
    let found = shown(&[("1", broken), ("2", "["), ("3", ""), ("4", "domain: ok")], false);
    let found = found.unwrap_err();
    assert_eq!(found.len(), 4, "{found:?}");
    assert!(found[0].starts_with("1:1: domain: `domain` is empty"), "{found:?}");
    assert_eq!(found[1], "1:2: descriptors: expected a list, found a mapping");
    assert!(found[2].starts_with("2:") && found[2].contains("not YAML"), "{found:?}");
    assert_eq!(found[3], "3:1: the file is empty");
}

#[test]
fn a_domain_may_have_no_rules() {
    for text in ["domain: d", "domain: d\ndescriptors: []"] {
        let read = load(text);
        assert!(read.has_domain("d") && read.rules().is_empty());
        assert_eq!(allowed(&read, "d", &[("k", "v")]), None);
    }
    assert!(shown(&[], false).unwrap().domains().is_empty());
}

#[test]
fn there_is_a_bound_on_descriptors_and_on_bytes() {
    // Two files: the bound is for all of them.
    let file = |domain: &str, count: usize| {
        let items: Vec<String> = (0..count).map(|index| format!("{{key: k{index}}}")).collect();
        format!("domain: {domain}\ndescriptors: [{}]", items.join(",\n  "))
    };
    let half = crate::MAX_DESCRIPTORS / 2;
    let (one, two) = (file("one", half), file("two", half));
    assert!(shown(&[("1", &one), ("2", &two)], false).is_ok());
    let more = file("two", half + 2);
    let found = shown(&[("1", &one), ("2", &more)], false).unwrap_err();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("2:50002: descriptors: at most 100000"), "{found:?}");

    let large = format!("{A}#{}", "x".repeat(4 << 20));
    let found = shown(&[("large", &large)], false).unwrap_err();
    assert_eq!(found, ["large:1: the file is larger than 4 MiB"]);
}
