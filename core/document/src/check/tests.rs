use crate::{Document, Problem, from_json, json_schema};

mod feed;
mod leases;
mod limits;
mod split;
mod tokens;
mod traffic;
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
fn one_bad_field_does_not_hide_the_others() {
    let limits = r#""limits": {"l": {"key": ["moon"], "mode": "local", "rate": "0/1m"}},"#;
    let route = r#"{"name": "x", "match": {"path": "/x"}, "service": "gone", "auth": "jwt"}"#;
    let found = problems(limits, &[OPEN, route]);
    for start in ["limits.l.rate: ", "limits.l.key: ", "routes[1].auth: ", "routes.x.service: "] {
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
        format!("routes.{name}.match: hidden by route `{by}` at line 0: same path, host and method")
    };
    let expected = [
        hidden("a", "d"),
        "routes.b.name: there is a route `b` already, at line 0".to_owned(),
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
fn the_schema_knows_what_cannot_be_zero() {
    let schema = json_schema();
    let (_, replicas) = schema.split_once(r#""replicas":"#).unwrap();
    let (replicas, _) = replicas.split_once('}').unwrap();
    assert!(replicas.contains(r#""minimum":1"#), "{replicas}");
}
