use super::*;

fn parse(text: &str) -> Result<Claims, TokenError> {
    Claims::parse(text.as_bytes(), &ClaimsRules::default())
}

#[test]
fn claims_are_read_by_their_types() {
    let claims = parse(
        r#"{"iss":"i","sub":"s","aud":["a","b"],"exp":10.9,"nbf":1,"iat":0,"jti":"j",
            "scope":"x  y","client_id":"c","other":{"deep":[1]}}"#,
    )
    .unwrap();
    assert_eq!(claims.issuer(), "i");
    assert_eq!(claims.audiences, ["a", "b"]);
    assert_eq!((claims.expires_at, claims.not_before, claims.issued_at), (10, Some(1), Some(0)));
    assert_eq!(claims.principal.scopes, ["x", "y"]);
    assert_eq!(claims.principal.client_id.as_deref(), Some("c"));
    assert!(!claims.confirmation.is_bound());
    let escaped = parse(r#"{"\u0069ss":"i\u0021","sub":"s","aud":"a\u0062","exp":1}"#).unwrap();
    assert_eq!(escaped.issuer(), "i!");
    assert_eq!(escaped.audiences, ["ab"]);
}

#[test]
fn dates_are_rounded_down_however_they_are_written() {
    let read = |exp: &str| {
        parse(&format!(r#"{{"iss":"i","sub":"s","exp":{exp}}}"#)).ok().map(|c| c.expires_at)
    };
    for (exp, seconds) in [
        ("0", 0),
        ("-0", 0),
        ("-0.0", 0),
        ("-0e7", 0),
        ("0.9", 0),
        ("1.0", 1),
        ("1.99999999999999999999999999", 1),
        ("1700000000.5", 1_700_000_000),
        ("1e3", 1000),
        ("1.7E+9", 1_700_000_000),
        ("1.7000000005e9", 1_700_000_000),
        ("170000000049e-2", 1_700_000_000),
        ("0.00017e13", 1_700_000_000),
        ("5e-1", 0),
        ("5e-2000000000", 0),
        ("0e2000000000", 0),
        ("0.000e2000000000", 0),
        ("9007199254740991.9", (1 << 53) - 1),
        ("9223372036854775807", i64::MAX as u64),
    ] {
        assert_eq!(read(exp), Some(seconds), "{exp}");
    }
    for exp in [
        "-1",
        "-1.5",
        "-0.1",
        "-1e-9",
        "9007199254740992.0",
        "9007199254740992e0",
        "1e16",
        "1e300",
        "1e400",
        "0.1e2000000000",
        "1e99999999999999999999",
        "9223372036854775808",
        "99999999999999999999",
    ] {
        assert_eq!(read(exp), None, "{exp}");
    }
}

#[test]
fn wrong_types_and_dangerous_texts_are_refused() {
    let base = r#""iss":"i","sub":"s""#;
    for bad in [
        r#"{"iss":"i","exp":1}"#.to_owned(),
        r#"{"sub":"s","exp":1}"#.to_owned(),
        r#"{"iss":["i"],"sub":"s","exp":1}"#.to_owned(),
        r#"{"iss":"i\n","sub":"s","exp":1}"#.to_owned(),
        format!(r#"{{{base}}}"#),
        format!(r#"{{{base},"exp":"1"}}"#),
        format!(r#"{{{base},"exp":-1}}"#),
        format!(r#"{{{base},"exp":1e300}}"#),
        format!(r#"{{{base},"exp":null}}"#),
        format!(r#"{{{base},"exp":1,"exp":2}}"#),
        format!(r#"{{{base},"exp":1,"\u0065xp":2}}"#),
        format!(r#"{{{base},"exp":1,"nbf":"now"}}"#),
        format!(r#"{{{base},"exp":1,"iat":"now"}}"#),
        format!(r#"{{{base},"exp":1,"aud":7}}"#),
        format!(r#"{{{base},"exp":1,"aud":null}}"#),
        format!(r#"{{{base},"exp":1,"aud":[7]}}"#),
        format!(r#"{{{base},"exp":1,"aud":["a",["b"]]}}"#),
        format!(r#"{{{base},"exp":1,"scope":["a"]}}"#),
        format!(r#"{{{base},"exp":1,"scope":"a\"b"}}"#),
        format!(r#"{{{base},"exp":1,"scope":"a\tb"}}"#),
        format!(r#"{{{base},"exp":1,"client_id":"a\r\nx-admin: 1"}}"#),
        format!(r#"{{{base},"exp":1,"client_id":"admin "}}"#),
        format!(r#"{{{base},"exp":1,"client_id":null}}"#),
        format!(r#"{{{base},"exp":1,"jti":7}}"#),
        format!(r#"{{{base},"exp":1,"scope":"{}"}}"#, "a ".repeat(129)),
        format!(r#"{{"iss":"i","sub":"{}","exp":1}}"#, "s".repeat(2000)),
        format!(r#"{{{base},"exp":1}} "#) + "{}",
        "[]".to_owned(),
        "{".repeat(5000),
    ] {
        assert_eq!(parse(&bad).err(), Some(TokenError::Claims), "{bad:.80}");
    }
}

#[test]
fn what_a_token_is_bound_to_is_read_or_the_token_refused() {
    let with = |cnf: &str| parse(&format!(r#"{{"iss":"i","sub":"s","exp":1,"cnf":{cnf}}}"#));
    let bound = with(r#"{"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}"#).unwrap();
    assert!(bound.confirmation.key.is_some());
    for other in ["\"x\"", "null", "[]", "{}", r#"{"jwk":{}}"#] {
        assert_eq!(with(other).err(), Some(TokenError::Confirmation), "{other}");
    }
}

#[test]
fn chosen_claims_become_headers() {
    let rules = ClaimsRules {
        claim_headers: ["tenant", "level", "groups", "none", "org.id", "org.none", "void"]
            .map(|claim| (format!("x-{claim}"), claim.to_owned()))
            .to_vec(),
        ..ClaimsRules::default()
    };
    let payload = r#"{"iss":"i","sub":"s","exp":1,"tenant":"t","level":3,"groups":["a","b"],
                      "org":{"id":"o7"},"void":null}"#;
    let claims = Claims::parse(payload.as_bytes(), &rules).unwrap();
    let headers: Vec<_> = claims
        .principal
        .claim_headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let expected = [("x-tenant", "t"), ("x-level", "3"), ("x-groups", "a,b"), ("x-org.id", "o7")];
    assert_eq!(headers, expected);
    for hostile in [r#"{"a":1}"#, r#"["x,admins"]"#, r#"" x""#, "1.5", r#"["a","b\n"]"#, "[7]"] {
        let payload = format!(r#"{{"iss":"i","sub":"s","exp":1,"tenant":{hostile}}}"#);
        assert!(Claims::parse(payload.as_bytes(), &rules).is_err(), "{hostile}");
    }
}

#[test]
fn required_claims_must_be_there_and_say_something() {
    let rules = ClaimsRules {
        required: vec!["jti".to_owned(), "org.id".to_owned()],
        ..ClaimsRules::default()
    };
    let parse = |more: &str| {
        let payload = format!(r#"{{"iss":"i","sub":"s","exp":1{more}}}"#);
        Claims::parse(payload.as_bytes(), &rules).err()
    };
    assert_eq!(parse(r#","jti":"j","org":{"id":7}"#), None);
    assert_eq!(parse(r#","jti":"j","org.id":false"#), None);
    for missing in [
        "",
        r#","jti":"j""#,
        r#","jti":"j","org":{}"#,
        r#","jti":"j","org":{"id":null}"#,
        r#","jti":"j","org":"id""#,
        r#","jti":"j","org.id":null,"org":{"id":7}"#,
    ] {
        assert_eq!(parse(missing), Some(TokenError::Required), "{missing}");
    }
}

fn keeping(claims: &[&str], payload: &str) -> Vec<Option<ClaimValue>> {
    let kept = claims.iter().map(|&claim| claim.to_owned()).collect();
    let rules = ClaimsRules { kept, ..ClaimsRules::default() };
    let payload = format!(r#"{{"iss":"i","sub":"s","exp":1,{payload}}}"#);
    let claims = Claims::parse(payload.as_bytes(), &rules).unwrap();
    assert!(claims.kept_bytes() < 24_000);
    claims.kept
}

#[test]
fn what_routes_ask_about_is_kept() {
    let names = ["role", "groups", "org.id", "level", "admin", "deep", "half", "none", "sub"];
    let kept = keeping(
        &names,
        r#""role":"teacher","groups":["a",7,true],"org":{"id":"7","x":1},"level":3,"admin":false,
           "deep":[["a"]],"half":1.5"#,
    );
    let holds = |name: &str, wanted: &str| {
        let rules = ClaimsRules { kept: names.map(str::to_owned).to_vec(), ..Default::default() };
        let index = rules.kept_index(name).unwrap();
        kept[index].as_ref().is_some_and(|claim| claim.matches(wanted))
    };
    for (name, wanted) in [
        ("role", "teacher"),
        ("groups", "a"),
        ("groups", "7"),
        ("groups", "true"),
        ("org.id", "7"),
        ("level", "3"),
        ("admin", "false"),
        ("sub", "s"),
    ] {
        assert!(holds(name, wanted), "{name} {wanted}");
    }
    for (name, wanted) in [
        ("role", "teache"),
        ("role", ""),
        ("groups", "a,7"),
        ("level", "03"),
        ("level", "+3"),
        ("admin", ""),
        ("deep", "a"),
        ("half", "1.5"),
        ("none", "null"),
    ] {
        assert!(!holds(name, wanted), "{name} {wanted}");
    }
}

#[test]
fn what_is_kept_is_bounded() {
    let long = "x".repeat(3000);
    let payload = format!(r#""a":"{long}","b":"{long}","c":"short""#);
    let kept = keeping(&["a", "b", "c"], &payload);
    let there: Vec<bool> = kept.iter().map(Option::is_some).collect();
    assert_eq!(there, [true, false, true]);
    let many = format!(r#""a":[{}1]"#, "1,".repeat(200));
    assert_eq!(keeping(&["a"], &many), [None]);
}
