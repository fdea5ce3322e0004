use super::*;

#[test]
fn namespaces_are_found_in_names() {
    let bar = "spiffe://td/ns/bar/sa/web";
    for (namespace, uri, expected) in [
        ("bar", bar, true),
        ("ba", bar, false),
        ("ba*", bar, true),
        ("*ar", bar, true),
        ("b*r", bar, true),
        ("*", bar, true),
        ("b.r", bar, false),
        ("foo", bar, false),
        ("bar", "spiffe://td/ns/bar", false),
        ("bar", "", false),
        // The expression does not say where in the name.
        ("bar", "spiffe://td/ns/foo/sa/x/ns/bar/y", true),
        ("foo*web", "spiffe://td/ns/foo/sa/web/", true),
    ] {
        assert_eq!(Namespace::read(namespace).matches(uri), expected, "{namespace} {uri}");
    }
}

#[test]
fn service_accounts_stand_in_a_namespace() {
    for (account, uri, expected) in [
        ("web", "spiffe://td/ns/own/sa/web", true),
        ("web", "spiffe://td/ns/other/sa/web", false),
        ("other/web", "spiffe://td/ns/other/sa/web", true),
        ("web", "spiffe://td/ns/own/sa/web2", false),
        ("web", "spiffe://td/ns/own/sa/web/x", true),
        ("web", "spiffe://td/ns/own/sa/web/", false),
        ("web", "spiffe://td/ns/own/k/v/sa/web", true),
        ("web", "spiffe://td/ns/own//sa/web", false),
        ("web", "spiffe://td/ns/own/xsa/web", false),
        ("web", "spiffe:///ns/own/sa/web", false),
        ("web", "td/ns/own/sa/web", false),
        ("web", "spiffe://td/ns/own/sa/webs/sa/web", true),
        ("sa", "spiffe://td/ns/own/xsa/sa/sa", true),
        ("web", "spiffe:///ns/own/ns/own/sa/web", true),
    ] {
        let read = ServiceAccount::read(account, "own").unwrap();
        assert_eq!(read.matches(uri), expected, "{account} {uri}");
    }
    for text in ["*", "own/*", "/web", "own/", "a/b/c"] {
        assert!(ServiceAccount::read(text, "own").is_err(), "{text}");
    }
    assert!(ServiceAccount::read(&"a".repeat(321), "own").is_err());
}

#[test]
fn trust_domains_of_a_mesh_stand_for_each_other() {
    let domains = ["new".to_owned(), "old".to_owned()];
    for (domain, uri, expected) in [
        ("new", "spiffe://new/ns/a/sa/b", true),
        ("new", "spiffe://old/ns/a/sa/b", true),
        ("new", "spiffe://other/ns/a/sa/b", false),
        ("other", "spiffe://other/ns/a/sa/b", true),
        ("oth*", "spiffe://other/ns/a/sa/b", true),
        ("*er", "spiffe://other/ns/a/sa/b", true),
        ("*", "spiffe://any", true),
        ("new", "spiffe://new", false),
        ("new", "", false),
    ] {
        let read = TrustDomain::read(domain).unwrap();
        assert_eq!(read.matches(uri, &domains), expected, "{domain} {uri}");
    }
    for text in ["a*b", "**", "a/b"] {
        assert!(TrustDomain::read(text).is_err(), "{text}");
    }
}

#[test]
fn principals_move_with_the_trust_domain() {
    let domains = ["new".to_owned(), "old-td".to_owned()];
    let [new, old, other, own] =
        ["new", "old-td", "other", "cluster.local"].map(|domain| format!("{domain}/ns/a/sa/b"));
    for (principal, names) in [
        ("new/ns/a/sa/b", vec![&new, &old]),
        ("new/ns/a/sa/*", vec![&new, &old]),
        ("new/ns/a/sa/c", vec![]),
        ("cluster.local/ns/a/sa/b", vec![&new, &old]),
        ("other/ns/a/sa/b", vec![&other]),
        ("*/ns/a/sa/b", vec![&new, &old, &other, &own]),
        ("*-td/ns/a/sa/b", vec![&new, &old]),
        ("new/*", vec![&new]),
        ("*", vec![&new, &old, &other, &own]),
    ] {
        let text = Text::read(principal);
        for name in [&new, &old, &other, &own] {
            let expected = names.contains(&name);
            let matches = is_principal(principal, &text, name, &domains);
            assert_eq!(matches, expected, "{principal} {name}");
        }
    }
    assert!(!is_principal(
        "new/ns/a/sa/b",
        &Text::read("new/ns/a/sa/b"),
        "newer/ns/a/sa/b",
        &domains
    ));
    // A domain that begins with a star is a pattern once it is written out.
    let starred = ["*td".to_owned()];
    assert!(is_principal("cluster.local/ns/a/sa/b", &Text::Any, "x-td/ns/a/sa/b", &starred));
    assert!(!is_principal("cluster.local/ns/a/sa/b", &Text::Any, "x-td/ns/a/sa/c", &starred));
}

#[test]
fn request_principals_are_issuer_and_subject() {
    let exact = |text: &str| Text::Exact(text.to_owned());
    let prefix = |text: &str| Text::Prefix(text.to_owned());
    let suffix = |text: &str| Text::Suffix(text.to_owned());
    for (text, issuer, subject) in [
        ("*", Text::Any, Text::Any),
        ("iss/sub", exact("iss"), exact("sub")),
        ("https://a.b/c/sub", exact("https://a.b/c"), exact("sub")),
        ("https://a.b/*", exact("https://a.b"), Text::Any),
        ("iss/s*", exact("iss"), prefix("s")),
        ("iss*", prefix("iss"), Text::Any),
        ("*sub", Text::Any, suffix("sub")),
        ("*/sub", Text::Any, exact("sub")),
        ("*.b/sub", suffix(".b"), exact("sub")),
        // The star at the end is a letter here.
        ("*/*", Text::Any, exact("*")),
        ("iss", exact("iss"), exact("")),
    ] {
        assert_eq!(Subject::read(text), Subject { issuer, subject }, "{text}");
    }
}
