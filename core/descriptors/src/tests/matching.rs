//! Which rule a descriptor falls under.

use super::*;

/// A rule of so many requests a second.
fn rule(key: &str, value: &str, requests: u32) -> String {
    let value = if value.is_empty() { String::new() } else { format!("value: '{value}', ") };
    format!("{{key: {key}, {value}rate_limit: {{unit: second, requests_per_unit: {requests}}}}}")
}

fn requests(read: &Descriptors, entries: &[(&str, &str)]) -> Option<u32> {
    read.find("d", entries).map(|found| found.rule.requests)
}

#[test]
fn exact_then_the_longest_wildcard_then_the_key_alone() {
    // In the worst order.
    let rules = [
        rule("k", "", 1),
        rule("k", "/*", 2),
        rule("k", "/api/*", 3),
        rule("k", "/api/v1/*", 4),
        rule("k", "/api/v1/users", 5),
    ];
    let read = load(&flow(&rules.join(", ")));
    for (value, expected) in [
        ("/api/v1/users", 5),
        ("/api/v1/users/", 4),
        ("/api/v1/", 4),
        ("/api/v1", 3),
        ("/api/", 3),
        ("/api", 2),
        ("/", 2),
        ("api", 1),
        ("", 1),
    ] {
        assert_eq!(requests(&read, &[("k", value)]), Some(expected), "{value}");
    }
    assert_eq!(requests(&read, &[("K", "/")]), None, "keys have cases");
}

#[test]
fn a_star_stands_anywhere_and_more_than_once() {
    let rules = [
        rule("k", "/v1/*/items", 1),
        rule("k", "/v1/*/items/*/price", 2),
        rule("k", "*.example.com", 3),
        rule("any", "*", 4),
    ];
    let read = load(&flow(&rules.join(", ")));
    for (entry, expected) in [
        (("k", "/v1/7/items"), Some(1)),
        (("k", "/v1/7/items/9/price"), Some(2)),
        (("k", "/v1/items"), None),
        (("k", "a.example.com"), Some(3)),
        (("k", "a.example.org"), None),
        (("any", "thing"), Some(4)),
        // An empty header would otherwise be a way around the rule for any value.
        (("any", ""), Some(4)),
    ] {
        assert_eq!(requests(&read, &[entry]), expected, "{entry:?}");
    }
}

#[test]
fn a_rule_is_as_deep_as_the_descriptor_is_long() {
    let read = load(
        "domain: d\n\
         descriptors:\n\
         - key: a\n  value: x\n  rate_limit: {unit: second, requests_per_unit: 1}\n  \
           descriptors:\n  \
           - key: b\n    descriptors:\n    \
             - key: c\n      rate_limit: {unit: second, requests_per_unit: 3}\n",
    );
    let entries = [("a", "x"), ("b", "y"), ("c", "z"), ("e", "")];
    for (length, expected) in [(0, None), (1, Some(1)), (2, None), (3, Some(3)), (4, None)] {
        assert_eq!(requests(&read, &entries[..length]), expected, "{length}");
    }
    assert_eq!(requests(&read, &[("b", "y"), ("a", "x")]), None, "entries have an order");
}

#[test]
fn an_exact_value_without_a_rule_is_an_exception() {
    let read = load(&flow(&format!(
        "{{key: k, value: trusted}}, {}, {}",
        rule("k", "tr*", 1),
        rule("k", "", 2)
    )));
    assert_eq!(requests(&read, &[("k", "trusted")]), None);
    assert_eq!(requests(&read, &[("k", "try")]), Some(1));
    assert_eq!(requests(&read, &[("k", "other")]), Some(2));
}

#[test]
fn what_was_chosen_on_one_level_is_not_taken_back_on_the_next() {
    let read = load(&flow(&format!(
        "{{key: k, value: x, descriptors: [{}]}}, {{key: k, descriptors: [{}]}}",
        rule("only", "", 1),
        rule("other", "", 2)
    )));
    assert_eq!(requests(&read, &[("k", "x"), ("only", "v")]), Some(1));
    assert_eq!(requests(&read, &[("k", "x"), ("other", "v")]), None);
    assert_eq!(requests(&read, &[("k", "y"), ("other", "v")]), Some(2));
}

#[test]
fn keys_and_values_are_compared_apart() {
    let read = load(&flow(&format!("{}, {}", rule("a_b", "c", 1), rule("a", "b_c", 2))));
    assert_eq!(requests(&read, &[("a_b", "c")]), Some(1));
    assert_eq!(requests(&read, &[("a", "b_c")]), Some(2));
    let counters = [&[("a_b", "c")], &[("a", "b_c")]].map(|entries| counter(&read, "d", entries));
    assert_ne!(counters[0], counters[1]);
}

#[test]
fn values_of_a_shared_wildcard_count_together() {
    let read = load(&flow(
        "{key: file, value: 'pub/*', share_threshold: true, rate_limit: {unit: hour, requests_per_unit: 9}},
         {key: file, value: 'own/*', rate_limit: {unit: hour, requests_per_unit: 9}},
         {key: file, value: 'pub/index', rate_limit: {unit: hour, requests_per_unit: 9}},
         {key: path, value: '/a/*/b', share_threshold: true, descriptors: [
           {key: user, rate_limit: {unit: hour, requests_per_unit: 9}},
           {key: user, value: 'x*', share_threshold: true, rate_limit: {unit: hour, requests_per_unit: 9}}]}",
    ));
    let file = |value| counter(&read, "d", &[("file", value)]);
    assert_eq!(file("pub/a"), file("pub/b"));
    assert_eq!(file("pub/a"), file("pub/*"), "a value that reads like the pattern is one of them");
    assert_ne!(file("own/a"), file("own/b"));
    assert_ne!(file("pub/a"), file("pub/index"), "an exact value counts for itself");
    let path = |value, user| counter(&read, "d", &[("path", value), ("user", user)]);
    assert_eq!(path("/a/1/b", "u"), path("/a/2/b", "u"));
    assert_ne!(path("/a/1/b", "u"), path("/a/1/b", "v"), "only the path is shared");
    assert_eq!(path("/a/1/b", "x1"), path("/a/2/b", "x2"));
    // A descriptor that brings its own limit is no stand-in for the pattern.
    let own = crate::counter_key("d", [("file", "pub/*")].into_iter());
    assert_ne!(own, file("pub/a"));
    assert_eq!(crate::counter_key("d", [("file", "own/a")].into_iter()), file("own/a"));
}

#[test]
fn entries_may_stand_anywhere() {
    let read = load(&flow(&rule("k", "", 1)));
    let entries = [("k".to_owned(), "v".to_owned())];
    let among = entries.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    assert_eq!(read.find_among("d", among), read.find("d", &[("k", "v")]));
}
