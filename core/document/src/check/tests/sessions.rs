use postern_request::principal::Credential;

use super::{OPEN, load, problems};
use crate::{Auth, LoginAt, Mfa};

const HTTPS: &str = "https://login.example.test";

/// A document where people log in at an issuer, with the session's members and those of log-in.
fn members(issuer: &str, session: &str, login: &str) -> String {
    format!(
        r#""issuer": "{issuer}", "oauth": {{}}, "login": {{"roles": {{"user": {{}}}} {login}}},
        "credentials": {{"session": {{{session}}}, "api_key": {{}}, "jwt": {{
            "from": [{{"cookie": "token"}}],
            "issuers": [{{"issuer": "{issuer}", "audiences": ["a"],
                          "jwks": {{"service": "postern"}}}}]}}}},"#
    )
}

fn usual() -> String {
    members(HTTPS, "", "")
}

fn route(auth: &str) -> String {
    format!(
        r#"{{"name": "r", "match": {{"path": "/r"}}, "service": "postern", "auth": {{{auth}}}}}"#
    )
}

fn one_problem(members: &str, route: &str) -> String {
    let found = problems(members, &[route]);
    let [only] = found.as_slice() else { panic!("{found:?} for {members} {route}") };
    only.clone()
}

#[test]
fn the_cookie_is_called_as_narrowly_as_browsers_allow() {
    let domain = r#", "session": {"cookie_domain": "example.test"}"#;
    for (issuer, session, login, expected) in [
        (HTTPS, "", "", "__Host-postern"),
        (HTTPS, "", domain, "__Secure-postern"),
        ("http://127.0.0.1:8080", "", "", "postern"),
        ("http://localhost:8080", "", "", "postern"),
        (HTTPS, r#""cookie": "sid""#, "", "sid"),
        (HTTPS, r#""cookie": "__Secure-sid""#, domain, "__Secure-sid"),
    ] {
        let document = load(&members(issuer, session, login), &[OPEN]);
        let document = document.unwrap_or_else(|found| panic!("{found:?}"));
        assert_eq!(document.session.unwrap().name, expected);
    }
    assert_eq!(load("", &[OPEN]).unwrap().session, None);
}

#[test]
fn a_cookie_that_browsers_drop_is_refused() {
    let domain = r#", "session": {"cookie_domain": "example.test"}"#;
    for (issuer, cookie, login, word) in [
        ("http://localhost:8080", "__Host-sid", "", "https"),
        ("http://localhost:8080", "__secure-sid", "", "https"),
        (HTTPS, "__Host-sid", domain, "__Secure-"),
        (HTTPS, "a b", "", "1 to 128"),
        (HTTPS, "", "", "1 to 128"),
        (HTTPS, "token", "", "tokens stand in"),
        (HTTPS, "__Host-postern-login", "", "log-in pages"),
        (HTTPS, "postern-device", "", "log-in pages"),
    ] {
        let session = format!(r#""cookie": "{cookie}""#);
        let found = one_problem(&members(issuer, &session, login), OPEN);
        assert!(
            found.starts_with("credentials.session.cookie: ") && found.contains(word),
            "{found}"
        );
    }
}

#[test]
fn sessions_begin_at_log_in() {
    let found = one_problem(r#""credentials": {"session": {}},"#, OPEN);
    assert!(found.starts_with("credentials.session: ") && found.contains("`login`"), "{found}");
    let found = one_problem("", &route(r#""any": ["session"]"#));
    assert!(found.contains("`credentials.session` is missing"), "{found}");
}

#[test]
fn routes_take_sessions_and_ask_for_factors() {
    let auth = r#""any": ["session", "jwt"], "mfa": "within 15m", "login": true"#;
    let document = load(&usual(), &[&route(auth)]).unwrap();
    let route_of = &document.routes[0];
    let Auth::Rules { any, mfa, .. } = &route_of.auth else { panic!("{:?}", route_of.auth) };
    assert_eq!(any, &[Credential::Session, Credential::Jwt]);
    assert_eq!(*mfa, Some(Mfa { within_secs: Some(900) }));
    assert_eq!(route_of.login(), Some(&LoginAt::Pages));
    for (auth, needs) in [
        (r#""any": ["jwt"]"#, false),
        (r#""any": ["session"]"#, true),
        (r#""any": ["jwt"], "mfa": "required""#, true),
        (r#""any": ["jwt"], "login": false"#, false),
    ] {
        let document = load(&usual(), &[&route(auth)]).unwrap();
        assert_eq!(document.needs_ext_authz(), needs, "{auth}");
        // What only the server can tell must not pass without it.
        let failing = format!(r#"{} "failures": {{"ext_authz": "allow"}},"#, usual());
        assert_eq!(load(&failing, &[&route(auth)]).is_err(), needs, "{auth}");
        assert!(document.routes[0].login().is_none());
    }
}

#[test]
fn what_a_route_asks_of_log_in_can_be_met() {
    for (auth, place, word) in [
        (r#""any": ["jwt"], "mfa": "within 59s""#, "mfa", "1m to 24h"),
        (r#""any": ["jwt"], "mfa": "within 25h""#, "mfa", "1m to 24h"),
        (r#""any": ["jwt"], "mfa": "15m""#, "mfa", "`within 15m`"),
        (r#""any": ["jwt"], "mfa": true"#, "mfa", "expected text"),
        (r#""any": ["jwt", "api_key"], "mfa": "required""#, "mfa", "`api_key`"),
        (r#""any": ["jwt"], "optional": true, "mfa": "required""#, "mfa", "`optional`"),
        (r#""any": ["jwt"], "login": true"#, "login", "add `session`"),
        (r#""any": ["session"], "optional": true, "login": true"#, "login", "`optional`"),
        (r#""any": ["session"], "login": "corp""#, "login", "no outside provider `corp`"),
        (r#""any": ["session"], "login": []"#, "login", "expected `true`"),
    ] {
        let found = one_problem(&usual(), &route(auth));
        assert!(found.contains(&format!(".auth.{place}: ")) && found.contains(word), "{found}");
    }
    let corp = r#", "outside": [{"name": "corp", "issuer": "https://corp.example.test",
        "client_id": "c", "client_secret": "env:CORP"}]"#;
    let at = route(r#""any": ["session"], "login": "corp""#);
    let document = load(&members(HTTPS, "", corp), &[&at]).unwrap();
    assert_eq!(document.routes[0].login(), Some(&LoginAt::Outside("corp".to_owned())));
}

#[test]
fn cookies_stay_at_the_edge() {
    let guarded = format!(
        r#"{} "workloads": {{"web": {{"namespace": "n", "labels": {{"a": "b"}},
                "service_account": "s", "ports": [80]}}}},
            "services": {{"web": {{"upstream": "web:80", "workload": "web",
                                   "guard": "workload"}}}},"#,
        usual()
    );
    let at = |any: &str| {
        format!(
            r#"{{"name": "r", "match": {{"path": "/r"}}, "service": "web",
                 "auth": {{"any": ["{any}"]}}}}"#
        )
    };
    let found = one_problem(&guarded, &at("session"));
    assert!(found.starts_with("routes.r.auth.any: ") && found.contains("cookie"), "{found}");
    assert!(problems(&guarded, &[&at("jwt")]).is_empty());
}

#[test]
fn nothing_is_routed_by_the_cookie() {
    let hashed = format!(
        r#"{} "services": {{"web": {{"upstream": "web:80",
            "hash": {{"cookie": {{"name": "__Host-postern", "ttl": "1h"}}}}}}}},"#,
        usual()
    );
    assert!(one_problem(&hashed, OPEN).contains("tokens stand in this cookie"));
}

#[test]
fn refusals_name_a_server_that_has_a_name() {
    let of = |issuer: &str| {
        format!(
            r#"{issuer} "credentials": {{"jwt": {{"advertise": true, "issuers": [
                {{"issuer": "https://a.test", "audiences": ["a"]}}]}}}},"#
        )
    };
    assert!(load(&of(r#""issuer": "https://own.test","#), &[OPEN]).unwrap().advertise);
    assert!(!load(&usual(), &[OPEN]).unwrap().advertise);
    let found = one_problem(&of(""), OPEN);
    assert!(found.starts_with("credentials.jwt.advertise: "), "{found}");
}

#[test]
fn a_route_has_headers_of_its_own_and_never_none() {
    let at = |profile: &str| {
        format!(
            r#"{{"name": "r", "match": {{"path": "/r"}}, "service": "postern", "auth": "none",
                 "security_headers": "{profile}"}}"#
        )
    };
    let document = load("", &[&at("web")]).unwrap();
    assert_eq!(document.routes[0].security_headers.map(|one| one.as_str()), Some("web"));
    assert_eq!(
        load(r#""security_headers": "web","#, &[OPEN]).unwrap().security_headers.as_str(),
        "web"
    );
    let found = one_problem("", &at("none"));
    assert!(found.starts_with("routes.r.security_headers: "), "{found}");
}
