use postern_request::principal::Credential;

use super::{OPEN, load, problems};
use crate::{
    Auth, BoundTokens, CertificateSource, ClaimRule, Document, Dpop, JwksSource, KeysBy, Proof,
    TokenPlace, TokenRules, from_json,
};

/// A set with the key of RFC 7515, appendix A.3.
const KEYS: &str = r#"{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\",\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}"#;

/// Two issuers, with more of `jwt` and of the first of them.
fn jwt(more: &str, of_issuer: &str) -> String {
    format!(
        r#""credentials": {{"api_key": {{}}, "jwt": {{{more} "issuers": [
            {{"issuer": "https://a.test", "audiences": ["api"] {of_issuer}}},
            {{"issuer": "b", "audiences": ["api"], "jwks": {{"uri": "https://b.test/jwks"}}}}]}}}},"#
    )
}

/// A route with more rules for its tokens.
fn route(any: &str, rules: &str) -> String {
    format!(
        r#"{{"name": "r", "match": {{"path": "/r"}}, "service": "postern",
             "auth": {{"any": [{any}] {rules}}}}}"#
    )
}

fn rules_of(document: &Document) -> &TokenRules {
    document.routes[0].auth.token().unwrap()
}

/// Each document has the one problem at this place, with this word in it.
fn assert_problems(table: &[(String, String, &str, &str)]) {
    for (members, route, place, word) in table {
        let found = problems(members, &[route]);
        let [only] = found.as_slice() else { panic!("{found:?} for {members} {route}") };
        assert!(only.starts_with(&format!("{place}: ")) && only.contains(word), "{only} ({word})");
    }
}

#[test]
fn tokens_stand_in_the_authorization_header_unless_said_otherwise() {
    let document = load(&jwt("", ""), &[OPEN]).unwrap();
    assert_eq!(document.token_places, [TokenPlace::Authorization]);
    assert_eq!(document.bound, BoundTokens::default());
    assert_eq!(load("", &[OPEN]).unwrap().token_places, [TokenPlace::Authorization]);
    let from = r#""from": [{"cookie": "__Host-token"}, {"header": "authorization"},
                           {"header": "x-token"}, {"query": "access_token"},
                           {"websocket_protocol": "bearer"}],"#;
    let document = load(&jwt(from, ""), &[OPEN]).unwrap();
    let expected = [
        TokenPlace::Cookie("__Host-token".to_owned()),
        TokenPlace::Authorization,
        TokenPlace::Header("x-token".to_owned()),
        TokenPlace::Query("access_token".to_owned()),
        TokenPlace::WebSocketProtocol("bearer".to_owned()),
    ];
    assert_eq!(document.token_places, expected);
    let again = from_json(document.filter_config().as_bytes()).unwrap();
    assert_eq!(again.token_places, expected, "filters read them too");
    assert_eq!(from_json(document.to_json().as_bytes()).unwrap().digest, document.digest);
}

#[test]
fn places_of_tokens_are_unambiguous() {
    let from = "credentials.jwt.from";
    let first = "credentials.jwt.from[0]";
    let long = format!(r#"{{"query": "{}"}}"#, "q".repeat(129));
    let many: Vec<String> = (0..9).map(|n| format!(r#"{{"query": "q{n}"}}"#)).collect();
    let many = many.join(", ");
    let table = [
        ("", from, "at least one"),
        (many.as_str(), from, "at most 8"),
        ("{}", first, "exactly one"),
        (r#"{"cookie": "a", "query": "a"}"#, first, "exactly one"),
        (r#"{"cookie": "a"}, {"cookie": "a"}"#, "credentials.jwt.from[1]", "twice"),
        (
            r#"{"header": "authorization"}, {"header": "authorization"}"#,
            "credentials.jwt.from[1]",
            "twice",
        ),
        (r#"{"header": "Authorization"}"#, first, "lower case"),
        (r#"{"header": "x token"}"#, first, "lower case"),
        (r#"{"header": "x_token"}"#, first, "write `-`"),
        (r#"{"header": "host"}"#, first, "Envoy"),
        (r#"{"header": "cookie"}"#, first, "{cookie: NAME}"),
        (r#"{"header": "sec-websocket-protocol"}"#, first, "websocket_protocol"),
        (r#"{"header": "x-postern-subject"}"#, first, "one writer"),
        (r#"{"header": "x-api-key"}"#, first, "API keys"),
        (r#"{"header": "dpop"}"#, first, "proofs"),
        (r#"{"header": "traceparent"}"#, first, "bundle"),
        (r#"{"cookie": "a b"}"#, first, "a cookie's name"),
        (r#"{"cookie": "a=b"}"#, first, "a cookie's name"),
        (r#"{"cookie": ""}"#, first, "a cookie's name"),
        (r#"{"query": "a%20b"}"#, first, "a query parameter's name"),
        (r#"{"query": "a[]"}"#, first, "a query parameter's name"),
        (long.as_str(), first, "1 to 128"),
        (r#"{"websocket_protocol": "a,b"}"#, first, "a subprotocol"),
        (r#"{"cookie": []}"#, "credentials.jwt.from[0].cookie", "expected text"),
    ];
    let table = table.map(|(places, place, word)| {
        (jwt(&format!(r#""from": [{places}],"#), ""), OPEN.to_owned(), place, word)
    });
    assert_problems(&table);
}

#[test]
fn bound_tokens_are_taken_as_the_document_says() {
    for (bound, certificate, max_age_secs) in [
        (r#"{"certificate": "connection"}"#, Some(CertificateSource::Connection), None),
        (r#"{"certificate": "forwarded"}"#, Some(CertificateSource::Forwarded), None),
        (r#"{"dpop": {}}"#, None, Some(60)),
        (
            r#"{"certificate": "connection", "dpop": {"max_age": "5s"}}"#,
            Some(CertificateSource::Connection),
            Some(5),
        ),
        (r#"{"dpop": {"max_age": "5001ms"}}"#, None, Some(6)),
    ] {
        let document = load(&jwt(&format!(r#""bound": {bound},"#), ""), &[OPEN]).unwrap();
        let dpop = max_age_secs.map(|max_age_secs| Dpop { max_age_secs });
        assert_eq!(document.bound, BoundTokens { certificate, dpop }, "{bound}");
        let again = from_json(document.filter_config().as_bytes()).unwrap();
        assert_eq!(again.bound, document.bound);
    }
    let bound = "credentials.jwt.bound";
    let max_age = "credentials.jwt.bound.dpop.max_age";
    let table = [
        ("{}", bound, "`certificate` or `dpop`"),
        (r#"{"certificate": "header"}"#, "credentials.jwt.bound.certificate", "forwarded"),
        (r#"{"dpop": {"max_age": "4s"}}"#, max_age, "5s to 10m"),
        (r#"{"dpop": {"max_age": "11m"}}"#, max_age, "5s to 10m"),
    ];
    let table = table.map(|(bound, place, word)| {
        (jwt(&format!(r#""bound": {bound},"#), ""), OPEN.to_owned(), place, word)
    });
    assert_problems(&table);
}

#[test]
fn keys_come_from_the_document_from_envoy_or_by_the_feed() {
    let inline = format!(r#", "jwks": {{"inline": "{KEYS}"}}"#);
    for (jwks, expected) in [
        ("", KeysBy::Feed),
        (inline.as_str(), KeysBy::Envoy),
        (r#", "jwks": {"uri": "https://a.test/k"}"#, KeysBy::Envoy),
        (r#", "jwks": {"uri": "https://a.test/k", "fetched_by": "envoy"}"#, KeysBy::Envoy),
        (r#", "jwks": {"uri": "https://a.test/k", "fetched_by": "server"}"#, KeysBy::Feed),
    ] {
        let document = load(&jwt("", jwks), &[OPEN]).unwrap();
        assert_eq!(document.issuers[0].keys_by, expected, "{jwks}");
        assert_eq!(document.needs_feed(), expected == KeysBy::Feed, "{jwks}");
        let again = from_json(document.filter_config().as_bytes()).unwrap();
        assert_eq!(again.issuers, document.issuers, "{jwks}");
    }
    let discovered = load(&jwt("", ""), &[OPEN]).unwrap();
    assert_eq!(discovered.issuers[0].jwks, JwksSource::Discovery { refresh_ms: 300_000 });
    let own = r#""issuer": "https://own.test","#;
    let by_server = r#"{"issuer": "https://own.test", "audiences": ["a"],
                        "jwks": {"service": "postern", "fetched_by": "server"}}"#;
    let found = r#"{"issuer": "https://own.test", "audiences": ["a"]}"#;
    for issuer in [by_server, found] {
        let members = format!(r#"{own} "credentials": {{"jwt": {{"issuers": [{issuer}]}}}},"#);
        assert!(load(&members, &[OPEN]).unwrap().needs_feed(), "{issuer}");
    }
    // Where the suite's own authorization server signs, nobody has to look for the keys.
    let members =
        format!(r#"{own} "oauth": {{}}, "credentials": {{"jwt": {{"issuers": [{found}]}}}},"#);
    let document = load(&members, &[OPEN]).unwrap();
    let (service, path) = ("postern".to_owned(), "/oauth2/jwks".to_owned());
    let keys = JwksSource::Service { service, path, refresh_ms: 300_000 };
    assert_eq!((&document.issuers[0].jwks, document.needs_feed()), (&keys, false));
    let again = from_json(document.filter_config().as_bytes()).unwrap();
    assert_eq!(again.issuers, document.issuers);
    let other = members
        .replace(r#""issuer": "https://own.test", "aud"#, r#""issuer": "https://a.test", "aud"#);
    assert!(load(&other, &[OPEN]).unwrap().needs_feed());
}

#[test]
fn what_cannot_be_fetched_is_reported() {
    let inline = format!(r#", "jwks": {{"inline": "{KEYS}", "fetched_by": "server"}}"#);
    let jwks = "credentials.jwt.issuers[0].jwks";
    let table = [
        (inline.as_str(), "credentials.jwt.issuers[0].jwks.fetched_by", "by nobody"),
        (r#", "jwks": {}"#, jwks, "exactly one"),
        (r#", "jwks": {"fetched_by": "server"}"#, jwks, "leave `jwks` out"),
        (r#", "jwks": {"file": "keys.json"}"#, jwks, "`inline`"),
        (r#", "jwks": []"#, jwks, "expected a mapping"),
    ];
    let table = table.map(|(more, place, word)| (jwt("", more), OPEN.to_owned(), place, word));
    assert_problems(&table);
    for (issuer, expected) in [
        ("https://login.test", true),
        ("https://login.test/", true),
        ("https://login.test:8443/tenant/", true),
        ("http://127.0.0.1:8080", true),
        ("http://localhost/tenant", true),
        ("http://login.test", false),
        ("http://localhost.evil.test", false),
        ("http://localhost:80@evil.test", false),
        ("https://user@login.test", false),
        ("https://login.test?tenant=a", false),
        ("https://login.test/#a", false),
        ("https://", false),
        ("login", false),
        ("", false),
    ] {
        let members = format!(
            r#""credentials": {{"jwt": {{"issuers": [
                {{"issuer": "{issuer}", "audiences": ["a"]}}]}}}},"#
        );
        let found = problems(&members, &[OPEN]);
        assert_eq!(found.is_empty(), expected, "{issuer}: {found:?}");
        assert!(found.len() <= 1, "{found:?}");
        for problem in found {
            assert!(problem.starts_with("credentials.jwt.issuers[0].issuer: "), "{problem}");
        }
    }
}

#[test]
fn keys_in_clear_text_from_elsewhere_are_taken_and_found() {
    let service = |upstream: &str, tls: bool| {
        format!(r#""services": {{"keys": {{"upstream": "{upstream}", "tls": {tls}}}}},"#)
    };
    let uri = |uri: &str| format!(r#", "jwks": {{"uri": "{uri}", "fetched_by": "server"}}"#);
    let of_service = || r#", "jwks": {"service": "keys"}"#.to_owned();
    for (services, jwks, expected) in [
        (String::new(), uri("http://keys.test/j?secret"), Some("keys.test:80")),
        (String::new(), uri("http://10.0.0.1:8080/j"), Some("10.0.0.1:8080")),
        (String::new(), uri("http://[fd00::1]:8080/j"), Some("[fd00::1]:8080")),
        (
            String::new(),
            r#", "jwks": {"uri": "http://keys.test/j"}"#.to_owned(),
            Some("keys.test:80"),
        ),
        (String::new(), uri("https://keys.test/j"), None),
        (String::new(), uri("http://127.0.0.1:8080/j"), None),
        (String::new(), uri("http://[::1]:8080/j"), None),
        (String::new(), uri("http://localhost/j"), None),
        (String::new(), String::new(), None),
        (service("keys.test:80", false), of_service(), Some("keys.test:80")),
        (service("[fd00::1]:80", false), of_service(), Some("[fd00::1]:80")),
        (service("keys.test:443", true), of_service(), None),
        (service("127.0.0.1:80", false), of_service(), None),
    ] {
        let document = load(&format!("{services}{}", jwt("", &jwks)), &[OPEN]).unwrap();
        let expected: Vec<(&str, String)> =
            expected.map(|from| ("https://a.test", from.to_owned())).into_iter().collect();
        assert_eq!(document.keys_in_clear_text(), expected, "{services}{jwks}");
    }
}

#[test]
fn claims_are_kept_where_rules_or_the_filter_state_ask_for_them() {
    let of_issuer = r#", "required_claims": ["sub", "org.id"],
        "claim_state": {"tenant": "org.id", "role": "role", "role_again": "role"}"#;
    let only_b = r#", "issuers": ["b"], "claims": {"level": ["7"], "role": ["admin", "owner"]}"#;
    let both = r#", "claims": {"role": ["admin"]}"#;
    let one = route(r#""jwt""#, only_b);
    let two = route(r#""jwt", "api_key""#, both).replace("\"r\"", "\"s\"").replace("/r", "/s");
    let document = load(&jwt("", of_issuer), &[&one, &two]).unwrap();
    let [a, b] = document.issuers.as_slice() else { panic!("two issuers") };
    assert_eq!(a.issuer.rules.required, ["sub", "org.id"]);
    assert_eq!(a.issuer.rules.kept, ["role", "org.id"], "rules first");
    assert_eq!(b.issuer.rules.kept, ["level", "role"]);
    let state = [("tenant", 1), ("role", 0), ("role_again", 0)];
    let state: Vec<_> = state.map(|(name, place)| (name.to_owned(), place)).to_vec();
    assert_eq!(a.claim_state, state);
    assert!(b.claim_state.is_empty());
    let rule = |claim: &str, values: &[&str], kept: [Option<usize>; 2]| ClaimRule {
        claim: claim.to_owned(),
        values: values.iter().map(|value| (*value).to_owned()).collect(),
        kept: kept.to_vec(),
    };
    let rules = rules_of(&document);
    assert_eq!(rules.issuers, [1]);
    let level = rule("level", &["7"], [None, Some(0)]);
    let role = rule("role", &["admin", "owner"], [Some(0), Some(1)]);
    assert_eq!(rules.claims, [level, role]);
    let again = from_json(document.filter_config().as_bytes()).unwrap();
    assert_eq!(again.issuers, document.issuers);
    assert_eq!(again.routes[1].auth, document.routes[1].auth);
}

#[test]
fn names_of_claims_are_bounded() {
    let issuer = "credentials.jwt.issuers[0]";
    let (required, state) = (format!("{issuer}.required_claims"), format!("{issuer}.claim_state"));
    let long = format!(r#", "required_claims": ["{}"]"#, "c".repeat(129));
    let names: Vec<String> = (0..17).map(|n| format!(r#""n{n}": "c""#)).collect();
    let many = format!(r#", "claim_state": {{{}}}"#, names.join(", "));
    let longest = format!(r#", "claim_state": {{"{}": "c"}}"#, "n".repeat(33));
    let table = [
        (r#", "required_claims": [""]"#, &required, "1 to 128"),
        (r#", "required_claims": ["a\nb"]"#, &required, "control"),
        (long.as_str(), &required, "1 to 128"),
        (r#", "claim_state": {"a": ""}"#, &state, "1 to 128"),
        (r#", "claim_state": {"A": "a"}"#, &state, "lower-case"),
        (r#", "claim_state": {"a-b": "a"}"#, &state, "lower-case"),
        (r#", "claim_state": {"": "a"}"#, &state, "1 to 32"),
        (longest.as_str(), &state, "1 to 32"),
        (many.as_str(), &state, "at most 16"),
    ];
    let table =
        table.map(|(more, place, word)| (jwt("", more), OPEN.to_owned(), place.as_str(), word));
    assert_problems(&table);
}

#[test]
fn claims_never_become_a_header_that_holds_tokens() {
    let from = r#""from": [{"header": "x-token"}],"#;
    let headers = r#", "claim_headers": {"x-token": "sub"}"#;
    assert!(load(&jwt("", headers), &[OPEN]).is_ok());
    let place = "credentials.jwt.issuers[0].claim_headers";
    assert_problems(&[(jwt(from, headers), OPEN.to_owned(), place, "carries credentials")]);
}

#[test]
fn a_route_says_which_tokens_it_takes() {
    let bound = r#""bound": {"certificate": "connection", "dpop": {}},"#;
    let rules = r#", "issuers": ["b", "https://a.test"], "audiences": ["payments"],
                   "proof": "certificate", "optional": true"#;
    let document = load(&jwt(bound, ""), &[&route(r#""jwt", "api_key""#, rules)]).unwrap();
    let Auth::Rules { any, optional: true, token, .. } = &document.routes[0].auth else {
        panic!("{:?}", document.routes[0].auth)
    };
    assert_eq!(any, &[Credential::Jwt, Credential::ApiKey]);
    assert_eq!((token.issuers.as_slice(), token.proof), (&[1, 0][..], Some(Proof::Certificate)));
    assert_eq!(token.audiences, ["payments"]);
    assert!(!token.is_empty());
    let plain = load(&jwt(bound, ""), &[&route(r#""jwt""#, "")]).unwrap();
    assert!(rules_of(&plain).is_empty());
    assert!(load("", &[OPEN]).unwrap().routes[0].auth.token().is_none());
}

#[test]
fn only_the_server_notices_a_proof_that_is_shown_again() {
    let bound = r#""bound": {"certificate": "connection", "dpop": {}},"#;
    for (proof, expected) in [("dpop", true), ("certificate", false)] {
        let route = route(r#""jwt""#, &format!(r#", "proof": "{proof}""#));
        let document = load(&jwt(bound, ""), &[&route]).unwrap();
        assert_eq!(document.needs_ext_authz(), expected, "{proof}");
        let members = format!(r#"{} "failures": {{"ext_authz": "allow"}},"#, jwt(bound, ""));
        assert_eq!(load(&members, &[&route]).is_err(), expected, "{proof}");
    }
}

#[test]
fn rules_for_tokens_are_checked_against_the_document() {
    let bound = jwt(r#""bound": {"dpop": {}},"#, "");
    let auth = "routes.r.auth";
    let (issuers, audiences) = ("routes.r.auth.issuers", "routes.r.auth.audiences");
    let (claims, tenant) = ("routes.r.auth.claims", "routes.r.auth.claims.tenant");
    let long = format!(r#", "claims": {{"tenant": ["{}"]}}"#, "v".repeat(1025));
    let table = [
        (r#", "issuers": []"#, issuers, "empty list"),
        (r#", "issuers": ["c"]"#, issuers, "there are https://a.test, b"),
        (r#", "issuers": ["https://b.test"]"#, issuers, "did you mean `https://a.test`"),
        (r#", "issuers": ["b", "b"]"#, issuers, "twice"),
        (r#", "audiences": []"#, audiences, "empty list"),
        (r#", "audiences": [""]"#, audiences, "1 to 1024"),
        (r#", "audiences": ["a", "a"]"#, audiences, "twice"),
        (r#", "claims": {}"#, claims, "at least one claim"),
        (r#", "claims": {"": ["a"]}"#, claims, "1 to 128"),
        (r#", "claims": {"tenant": []}"#, tenant, "empty list"),
        (r#", "claims": {"tenant": [""]}"#, tenant, "1 to 1024"),
        (r#", "claims": {"tenant": ["a\tb"]}"#, tenant, "control"),
        (r#", "claims": {"tenant": ["a", "a"]}"#, tenant, "twice"),
        (long.as_str(), tenant, "1 to 1024"),
        (r#", "proof": "certificate""#, "routes.r.auth.proof", "jwt.bound.certificate"),
    ];
    let table =
        table.map(|(rules, place, word)| (bound.clone(), route(r#""jwt""#, rules), place, word));
    assert_problems(&table);
    let unbound = (jwt("", ""), route(r#""jwt""#, r#", "proof": "dpop""#));
    assert_problems(&[(unbound.0, unbound.1, "routes.r.auth.proof", "jwt.bound.dpop")]);
    for rules in [
        r#", "issuers": ["b"]"#,
        r#", "audiences": ["a"]"#,
        r#", "claims": {"a": ["b"]}"#,
        r#", "proof": "dpop""#,
    ] {
        let by_key = route(r#""api_key""#, rules);
        assert_problems(&[(bound.clone(), by_key, auth, "add `jwt`")]);
    }
}

#[test]
fn rules_that_cannot_be_read_bring_up_nothing_else() {
    let rules = r#", "issuers": ["https://a.test"], "proof": "dpop""#;
    let broken = r#""credentials": {"jwt": {"issuers": [{"issuer": "https://a.test"}, 7]}},"#;
    let found = problems(broken, &[&route(r#""jwt""#, rules)]);
    assert!(found.iter().all(|problem| problem.starts_with("credentials.jwt.")), "{found:?}");
    let missing = problems("", &[&route(r#""jwt""#, rules)]);
    let [only] = missing.as_slice() else { panic!("{missing:?}") };
    assert!(only.contains("`credentials.jwt` is missing"), "{only}");
    let odd = route(r#""jwt""#, r#", "audiences": [[]], "claims": {"a": 7}"#);
    let found = problems(&jwt("", ""), &[&odd]);
    assert_eq!(found.len(), 2, "{found:?}");
}
