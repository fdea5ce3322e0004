//! RequestAuthentication.

use super::*;

fn known(spec: &str) -> String {
    resource("RequestAuthentication", "foo/jwt", &format!("{{jwtRules: [{spec}]}}"))
}

/// Whose token the request ends up with; `-` is nobody's.
fn subject(text: &str, request: &Request) -> String {
    for subject in ["alice", "bob"] {
        let policy = rule(
            "ALLOW",
            &format!("{{from: [{{source: {{requestPrincipals: ['*{subject}']}}}}]}}"),
        );
        match word(&(text.to_owned() + &policy), request) {
            "allowed" => return subject.to_owned(),
            "no rule" => {}
            other => return other.to_owned(),
        }
    }
    "-".to_owned()
}

fn token(issuer: &str, subject: &str) -> Token {
    Token::bearer(json(&format!(r#"{{"iss": "{issuer}", "sub": "{subject}"}}"#)), Proof::Holds)
}

fn header(name: &str, prefix: &str, token: Token) -> Token {
    let place = TokenPlace::Header { name: name.to_owned(), prefix: prefix.to_owned() };
    Token { place, ..token }
}

fn param(name: &str, token: Token) -> Token {
    Token { place: TokenPlace::Param(name.to_owned()), ..token }
}

#[test]
fn one_issuer() {
    let text = known("{issuer: a}");
    let with = |proof: Proof| with_tokens(vec![Token { proof, ..token("a", "alice") }]);
    for (request, expected) in [
        (get("/"), "-"),
        (with(Proof::Holds), "alice"),
        (with(Proof::OutOfTime), "bad token"),
        (with(Proof::NotSigned), "bad token"),
        (with_tokens(vec![token("b", "alice")]), "bad token"),
        (with_tokens(vec![Token { claims: None, ..token("a", "alice") }]), "bad token"),
        (with_claims(r#"{"sub": "alice"}"#), "bad token"),
        (with_claims(r#"{"iss": 1, "sub": "alice"}"#), "bad token"),
        (with_claims(r#"{"iss": "a"}"#), "-"),
        (with_tokens(vec![param("access_token", token("a", "alice"))]), "alice"),
        (with_tokens(vec![param("token", token("a", "alice"))]), "-"),
        (with_tokens(vec![header("x-jwt", "", token("a", "alice"))]), "-"),
        (with_tokens(vec![header("authorization", "Basic ", token("a", "alice"))]), "-"),
    ] {
        assert_eq!(subject(&text, &request), expected, "{request:?}");
    }
    assert_eq!(subject("", &with(Proof::NotSigned)), "-", "nobody looks");
}

#[test]
fn places_of_its_own() {
    let text = known(
        "{issuer: a, fromHeaders: [{name: X-Jwt}, {name: x-auth, prefix: 'Token '}], \
         fromParams: [t], fromCookies: [c]}",
    );
    let cookie = Token { place: TokenPlace::Cookie("c".to_owned()), ..token("a", "alice") };
    for (placed, expected) in [
        (header("x-jwt", "", token("a", "alice")), "alice"),
        (header("x-jwt", "Bearer ", token("a", "alice")), "bad token"),
        (header("x-auth", "Token ", token("a", "alice")), "alice"),
        (header("x-auth", "", token("a", "alice")), "-"),
        (param("t", token("a", "alice")), "alice"),
        (cookie, "alice"),
        (token("a", "alice"), "-"),
    ] {
        assert_eq!(subject(&text, &with_tokens(vec![placed.clone()])), expected, "{placed:?}");
    }
}

#[test]
fn several_issuers() {
    let text = known("{issuer: a}, {issuer: b}");
    let bad = |token: Token| Token { proof: Proof::NotSigned, ..token };
    for (tokens, expected) in [
        (vec![], "-"),
        (vec![token("a", "alice")], "alice"),
        (vec![token("b", "bob")], "bob"),
        (vec![token("c", "bob")], "bad token"),
        (vec![bad(token("a", "alice"))], "bad token"),
        // Several in `Authorization` are taken for one.
        (vec![token("a", "alice"), token("b", "bob")], "bad token"),
        (vec![token("b", "bob"), token("c", "carol")], "bad token"),
        (vec![token("a", "alice"), param("access_token", token("a", "bob"))], "alice"),
    ] {
        assert_eq!(subject(&text, &with_tokens(tokens.clone())), expected, "{tokens:?}");
    }
    // In places of their own, one good token is enough.
    let apart = known("{issuer: a, fromHeaders: [{name: x-a}]}, {issuer: b, fromParams: [t]}");
    let both = vec![header("x-a", "", bad(token("a", "alice"))), param("t", token("b", "bob"))];
    assert_eq!(subject(&apart, &with_tokens(both)), "bob");
}

#[test]
fn audiences() {
    let text = known("{issuer: a, audiences: ['https://api.example.com/', other]}");
    for (aud, expected) in [
        (r#""api.example.com""#, "alice"),
        (r#""http://api.example.com""#, "alice"),
        (r#"["x", "other"]"#, "alice"),
        (r#""x""#, "bad token"),
        ("1", "bad token"),
    ] {
        let request = with_claims(&format!(r#"{{"iss": "a", "sub": "alice", "aud": {aud}}}"#));
        assert_eq!(subject(&text, &request), expected, "{aud}");
    }
    let resources = load(&text);
    let status =
        |request: &Request| match evaluate(&resources, &Mesh::default(), &httpbin(), request)
            .decision
        {
            Decision::Denied(by) => by.status(),
            other => panic!("{other:?}"),
        };
    assert_eq!(status(&with_claims(r#"{"iss": "a", "aud": "x"}"#)), Some(403));
    assert_eq!(status(&with_claims(r#"{"iss": "b", "aud": "x"}"#)), Some(401));
}

#[test]
fn no_issuer_takes_all() {
    let text = known("{jwksUri: 'https://keys.example.com'}");
    assert_eq!(subject(&text, &with_tokens(vec![token("any", "alice")])), "alice");
    assert_eq!(subject(&text, &with_claims(r#"{"sub": "alice"}"#)), "-", "no issuer to compare");
}

#[test]
fn headers_are_taken_and_written() {
    let claims = "outputClaimToHeaders: [{header: X-Sub, claim: sub}, {header: x-n, claim: a.n}]";
    let text = known(&format!("{{issuer: a, outputPayloadToHeader: x-payload, {claims}}}"));
    let forwarded = known(&format!("{{issuer: a, forwardOriginalToken: true, {claims}}}"));
    let header = |text: &str, name: &str, value: &str, request: &Request| {
        let condition =
            format!("{{when: [{{key: 'request.headers[{name}]', values: ['{value}']}}]}}");
        word(&(text.to_owned() + &rule("ALLOW", &condition)), request) == "allowed"
    };
    let mut request = with_claims(r#"{"iss": "a", "sub": "alice", "a": {"n": 7}}"#);
    request.http.as_mut().unwrap().headers = vec![
        ("Authorization".to_owned(), "Bearer x".to_owned()),
        ("x-sub".to_owned(), "forged".to_owned()),
    ];
    assert!(header(&text, "x-sub", "alice", &request));
    assert!(!header(&text, "x-sub", "*forged*", &request));
    assert!(header(&text, "x-n", "7", &request));
    assert!(header(&text, "x-payload", "*", &request));
    assert!(!header(&text, "authorization", "*", &request));
    assert!(header(&forwarded, "authorization", "*", &request));
    // Without a token nobody writes them, and they are removed all the same.
    let mut forged = request.clone();
    forged.http.as_mut().unwrap().tokens.clear();
    assert!(!header(&text, "x-sub", "*", &forged));
}

#[test]
fn scopes_are_lists() {
    let text = known("{issuer: a, spaceDelimitedClaims: [roles]}");
    let request = with_claims(
        r#"{"iss": "a", "sub": "s", "scope": "read  write", "roles": "x y", "other": "x y"}"#,
    );
    for (claim, value, expected) in [
        ("scope", "read", true),
        ("scope", "write", true),
        ("scope", "read  write", false),
        ("roles", "y", true),
        ("other", "x", false),
        ("other", "x y", true),
    ] {
        let condition =
            format!("{{when: [{{key: 'request.auth.claims[{claim}]', values: ['{value}']}}]}}");
        let word = word(&(text.clone() + &rule("ALLOW", &condition)), &request);
        assert_eq!(word == "allowed", expected, "{claim} {value}");
    }
}

#[test]
fn nested_claims_and_others() {
    let text = known("{issuer: a}");
    let request = with_claims(
        r#"{"iss": "a", "sub": "s", "aud": ["one", "two"], "azp": "app",
            "a": {"b": ["x", 1, null], "c": {"d": "deep"}}, "flag": true, "empty": ""}"#,
    );
    for (key, value, expected) in [
        ("request.auth.audiences", "two", true),
        ("request.auth.audiences", "three", false),
        ("request.auth.presenter", "app", true),
        ("request.auth.principal", "a/s", true),
        ("request.auth.principal", "a/*", true),
        ("request.auth.principal", "*/*", false),
        ("request.auth.claims[a][b]", "x", true),
        ("request.auth.claims[a][b]", "1", false),
        ("request.auth.claims[a][c][d]", "de*", true),
        ("request.auth.claims[a][c]", "*", false),
        ("request.auth.claims[flag]", "true", false),
        ("request.auth.claims[empty]", "*", false),
    ] {
        let condition = format!("{{when: [{{key: '{key}', values: ['{value}']}}]}}");
        let word = word(&(text.clone() + &rule("ALLOW", &condition)), &request);
        assert_eq!(word == "allowed", expected, "{key} {value}");
    }
}

#[test]
fn no_token_is_asked_for_without_a_policy() {
    let text = known("{issuer: a}");
    let deny = rule("DENY", "{from: [{source: {notRequestPrincipals: ['*']}}]}");
    assert_eq!(word(&text, &get("/")), "open");
    assert_eq!(word(&(text.clone() + &deny), &get("/")), "denied");
    assert_eq!(word(&(text.clone() + &deny), &with_tokens(vec![token("a", "alice")])), "open");
    // A token without a subject is nobody's.
    assert_eq!(word(&(text + &deny), &with_claims(r#"{"iss": "a"}"#)), "denied");
}

#[test]
fn browsers_ask_first_without_a_token() {
    let text = known("{issuer: a}");
    let mut request = with_tokens(vec![Token { proof: Proof::NotSigned, ..token("a", "alice") }]);
    assert_eq!(word(&text, &request), "bad token");
    let http = request.http.as_mut().unwrap();
    http.method = "OPTIONS".to_owned();
    http.headers = [("origin", "https://x"), ("access-control-request-method", "GET")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    assert_eq!(word(&text, &request), "open");
}
