use crate::{Document, Problem, Service, from_json, json_schema};

mod circuits;
mod discovery;
mod feed;
mod leases;
mod limits;
mod login;
mod oauth;
mod sessions;
mod split;
mod tokens;
mod traffic;
mod upstreams;
mod workloads;

const OPEN: &str =
    r#"{"name": "r", "match": {"path": "/r"}, "service": "postern", "auth": "none"}"#;

fn load(members: &str, routes: &[&str]) -> Result<Document, Vec<Problem>> {
    let text = format!(r#"{{"version": 1, {members} "routes": [{}]}}"#, routes.join(", "));
    from_json(text.as_bytes())
}

/// Paths and messages of all problems, a line each.
fn problems(members: &str, routes: &[&str]) -> Vec<String> {
    let found = load(members, routes).err().unwrap_or_default();
    found.iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect()
}

/// A document's services, one of these members.
fn service(members: &str) -> String {
    format!(r#""services": {{"s": {{{members}}}}},"#)
}

/// The same with an upstream.
fn named(members: &str) -> String {
    service(&format!(r#""upstream": "h:1", {members}"#))
}

/// The first service of a document, also after it was written out.
fn loaded(members: &str, routes: &[&str]) -> Service {
    let document = load(members, routes).unwrap_or_else(|found| panic!("{found:?} in {members}"));
    let again = crate::from_json(document.to_json().as_bytes()).unwrap();
    assert_eq!(again.services, document.services, "as it is written out");
    Service::clone(&document.services[0])
}

/// One problem alone, at this place.
fn only(members: &str, routes: &[&str], place: &str, word: &str) {
    let found = problems(members, routes);
    let [only] = found.as_slice() else { panic!("{found:?} for {members} {routes:?}") };
    assert!(only.starts_with(&format!("{place}: ")) && only.contains(word), "{only} ({word})");
}

fn issuers(own: &str, entry: &str) -> String {
    format!(
        r#"{own} "credentials": {{"jwt": {{"issuers": [
            {{"issuer": "{entry}", "audiences": ["a"], "jwks": {{"service": "postern"}}}}]}}}},"#
    )
}

#[test]
fn the_suites_keys_are_for_its_own_issuer() {
    let own = r#""issuer": "https://own.test","#;
    assert!(load(&issuers(own, "https://own.test"), &[OPEN]).is_ok());
    for (own, word) in [(own, "https://own.test"), ("", "without an `issuer`")] {
        let found = problems(&issuers(own, "https://other.test"), &[OPEN]);
        let [only] = found.as_slice() else { panic!("{found:?}") };
        assert!(only.starts_with("credentials.jwt.issuers[0].jwks: "), "{only}");
        assert!(only.contains(word), "{only}");
    }
}

#[test]
fn nobody_signs_by_the_name_under_which_keys_end() {
    let of = |issuer: &str| {
        format!(
            r#""credentials": {{"jwt": {{"issuers": [{{"issuer": "{issuer}", "audiences": ["a"],
                "jwks": {{"uri": "https://idp.test/keys"}}}}]}}}},"#
        )
    };
    assert!(load(&of("urn:postern:others"), &[OPEN]).is_ok());
    let found = problems(&of("urn:postern:api-keys"), &[OPEN]);
    let [only] = found.as_slice() else { panic!("{found:?}") };
    assert!(only.starts_with("credentials.jwt.issuers[0].issuer: "), "{only}");
    assert!(only.contains("API keys"), "{only}");
}

#[test]
fn one_bad_field_does_not_hide_the_others() {
    let limits = r#""limits": {"l": {"key": ["moon"], "mode": "local", "rate": "0/1m"}},"#;
    let route = r#"{"name": "x", "match": {"path": "/x"}, "service": "gone", "auth": "jwt"}"#;
    let found = problems(limits, &[OPEN, route]);
    for start in ["limits.l.rate: ", "limits.l.key[0]: ", "routes[1].auth: ", "routes.x.service: "]
    {
        assert!(found.iter().any(|problem| problem.starts_with(start)), "no {start} in {found:?}");
    }
    assert_eq!(found.len(), 4, "{found:?}");
    let found = from_json(br#"{"routes": []}"#).unwrap_err();
    assert_eq!(found.len(), 2, "the version and the routes: {found:?}");
}

#[test]
fn what_cannot_be_read_hides_no_route() {
    let on = |name: &str, hosts: &str| {
        format!(
            r#"{{"name": "{name}", "match": {{"path": "/x", "hosts": [{hosts}]}},
                "service": "postern", "auth": "none"}}"#
        )
    };
    let shadow = |a: &str, b: &str| {
        let found = problems("", &[&on("a", a), &on("b", b)]);
        assert!(!found.is_empty(), "{a} {b}");
        found.iter().any(|problem| problem.contains("hidden by"))
    };
    assert!(shadow(r#""a.test""#, r#""a.test", "b.test""#));
    assert!(!shadow(r#""A.test""#, r#""B.test""#));
    assert!(!shadow(r#""a.test""#, r#""a.test:80""#));
    assert!(!shadow("{}", "[]"));
}

#[test]
fn every_route_that_another_one_hides_is_found() {
    let on = |name: &str, path: &str, more: &str| {
        format!(
            r#"{{"name": "{name}", "match": {{"path": "{path}"{more}}}, "service": "postern",
                "auth": "none"}}"#
        )
    };
    let (get, host) = (r#", "methods": ["GET"]"#, r#", "hosts": ["a.test"]"#);
    let routes = [
        on("d", "/x/{a}", ""),
        on("b", "/z", ""),
        on("a", "/x/{b}", ""),
        on("c", "/x/{rest=**}", ""),
        on("h", "/x/{c}", get),
        on("e", "/x/{d}", host),
        on("b", "/y", ""),
        on("g", "/x/*", ""),
        on("f", "/x/{c}", get),
    ];
    let found = problems("", &routes.each_ref().map(String::as_str));
    let hidden = |name: &str, by: &str| {
        format!(
            "routes.{name}.match: hidden by route `{by}` in configuration: same path, host and method"
        )
    };
    let expected = [
        hidden("a", "d"),
        "routes.b.name: there is a route `b` already, in configuration".to_owned(),
        hidden("f", "h"),
        hidden("g", "d"),
        hidden("g", "a"),
    ];
    assert_eq!(found, expected);
}

#[test]
fn databases_are_named_by_their_scheme() {
    let store = |durable: &str| format!(r#""stores": {{"durable": "{durable}", "replicas": 2}},"#);
    for good in ["env:D", "postgres://db/gate", "postgresql://db/gate"] {
        assert!(load(&store(good), &[OPEN]).is_ok(), "{good}");
    }
    for (bad, word) in [("sqlite:a.db", "one replica"), ("mysql://u:hush@db/x", "postgres://")] {
        let found = problems(&store(bad), &[OPEN]).join("\n");
        assert!(found.contains(word) && !found.contains("hush"), "{found}");
    }
}

#[test]
fn addresses_are_shown_as_they_are_written() {
    let found = problems(r#""stores": {"volatile": "http://hush"},"#, &[OPEN]);
    let [only] = found.as_slice() else { panic!("{found:?}") };
    assert!(only.contains("expected one of memory, redis://…, rediss://…,"), "{only}");
    assert!(only.ends_with("env:…") && !only.contains("hush"), "{only}");
}

#[test]
fn what_is_wrong_is_repeated_with_its_place_in_the_list() {
    let on = |matches: &str| {
        format!(
            r#"{{"name": "r", "match": {{"path": "/r", {matches}}}, "service": "postern",
                "auth": "none"}}"#
        )
    };
    for (matches, expected) in [
        (
            r#""methods": ["GET", "post"]"#,
            "methods[1]: `post`: write methods in capitals, for example POST",
        ),
        (r#""methods": ["*"]"#, "methods[0]: `*`: write methods in capitals, for example GET"),
        (r#""methods": ["GET", "GET"]"#, "methods[1]: this method is there twice"),
        (
            r#""hosts": ["a.test", "B.test"]"#,
            "hosts[1]: `B.test`: write a host in lower case, without a port: api.example.test or *.example.test",
        ),
    ] {
        assert_eq!(problems("", &[&on(matches)]), [format!("routes.r.match.{expected}")]);
    }
    let found = problems("", &[&on(r#""methods": "GET""#)]);
    assert_eq!(found, ["routes[0].match.methods: expected a list, found text: write [GET]"]);
}

#[test]
fn what_is_missing_is_shown() {
    let limits = r#""limits": {"l": {"key": ["ip"], "rate": "5/1m"}},"#;
    let route = r#"{"name": "r", "match": {"path": "/r"}, "service": "postern"}"#;
    let expected = [
        "limits.l: `mode` is missing: local, exact or leased",
        "routes[0]: `auth` is missing: {any: [jwt]}, or none for everybody",
    ];
    assert_eq!(problems(limits, &[route]), expected);
    let wrong = limits.replace(r#""rate""#, r#""mode": "locla", "rate""#);
    let expected = "limits.l.mode: expected one of local, exact, leased; did you mean `local`?";
    assert_eq!(problems(&wrong, &[OPEN]), [expected]);
}

#[test]
fn the_schema_knows_what_cannot_be_zero() {
    let schema = json_schema();
    let (_, replicas) = schema.split_once(r#""replicas":"#).unwrap();
    let (replicas, _) = replicas.split_once('}').unwrap();
    assert!(replicas.contains(r#""minimum":1"#), "{replicas}");
}
