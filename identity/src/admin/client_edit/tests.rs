use postern_request::UnixMillis;

use super::*;

const KEY: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","alg":"EdDSA","use":"sig","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
const PRIVATE: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","alg":"EdDSA","use":"sig","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

fn client(kind: ClientKind) -> ClientRecord {
    let mut record = ClientRecord::new("c".to_owned(), "C".to_owned(), kind, UnixMillis(1));
    let grant = match kind {
        ClientKind::Public => GrantType::AuthorizationCode,
        ClientKind::Confidential => GrantType::ClientCredentials,
    };
    record.grant_types = vec![grant.as_str().to_owned()];
    record.redirect_uris = vec!["https://app.example/cb".to_owned()];
    record
}

#[test]
fn what_is_another_value_is_changed_and_named() {
    let mut record = client(ClientKind::Confidential);
    let edit = ClientEdit {
        name: Some("C".to_owned()),
        grant_types: Some(vec![GrantType::AuthorizationCode, GrantType::RefreshToken]),
        require_consent: Some(false),
        links: ClientLinks {
            logo_uri: Some(Some("https://app.example/logo".to_owned())),
            ..ClientLinks::default()
        },
        ..ClientEdit::default()
    };
    let changed = edit.clone().apply(&mut record);
    assert_eq!(changed, ["grantTypes", "requireConsent", "logoUri"], "the name is the same");
    assert_eq!(record.response_types, ["code"]);
    judge(&record).unwrap();
    assert!(edit.apply(&mut record).is_empty(), "nothing is left to change");
    let none = ClientLinks { logo_uri: Some(None), ..ClientLinks::default() };
    let edit = ClientEdit { links: none, ..ClientEdit::default() };
    assert_eq!(edit.apply(&mut record), ["logoUri"]);
    assert_eq!(record.logo_uri, None);
}

/// Each is one change away from a client that is fine.
#[test]
fn what_could_be_no_client_is_refused() {
    type Change = fn(&mut ClientRecord);
    let text = |text: &str| Some(text.to_owned());
    judge(&client(ClientKind::Public)).unwrap();
    judge(&client(ClientKind::Confidential)).unwrap();
    let public: [(&str, Change); 4] = [
        ("grant types", |it| it.grant_types = vec!["client_credentials".to_owned()]),
        ("grant types", |it| it.grant_types.clear()),
        ("authentication method", |it| it.auth_method = "client_secret_basic".to_owned()),
        ("redirect URIs", |it| it.redirect_uris.clear()),
    ];
    for (what, change) in public {
        refused(ClientKind::Public, what, change);
    }
    let confidential: [(&str, Change); 18] = [
        ("name", |it| it.name = "a\nb".to_owned()),
        ("name", |it| it.name.clear()),
        ("redirect URIs", |it| it.redirect_uris = vec!["http://app.example/".to_owned()]),
        ("redirect URIs", |it| it.redirect_uris = vec!["javascript:alert(1)".to_owned()]),
        ("redirect URIs", |it| it.redirect_uris = vec!["https://a.example/".to_owned(); 33]),
        ("URIs after log-out", |it| it.post_logout_redirect_uris = vec!["/x".to_owned()]),
        ("logo URI", |it| it.logo_uri = Some("com.example.app:/logo".to_owned())),
        ("resources", |it| it.resources = vec!["https://a.example/#x".to_owned()]),
        ("authentication method", |it| it.auth_method = "none".to_owned()),
        ("authentication method", |it| it.auth_method = "client_secret_jwt".to_owned()),
        ("JWKS", |it| it.auth_method = "private_key_jwt".to_owned()),
        ("TLS subject", |it| it.auth_method = "tls_client_auth".to_owned()),
        ("access token lifetime", |it| it.access_token_lifetime_secs = 86_401),
        ("refresh token lifetime", |it| it.refresh_token_lifetime_secs = u64::MAX),
        ("ID token algorithm", |it| it.id_token_alg = "none".to_owned()),
        ("clients to act for", |it| it.may_act_for = vec!["a b".to_owned()]),
        ("resources to introspect for", |it| it.may_introspect = vec!["orders".to_owned()]),
        ("resources to introspect for", |it| it.may_introspect = vec!["*".to_owned(); 33]),
    ];
    for (what, change) in confidential {
        refused(ClientKind::Confidential, what, change);
    }
    for (subject, is_fine) in [("dns:a.example", true), ("dns:", false), ("CN=a", false)] {
        let mut record = client(ClientKind::Confidential);
        record.tls_subject = text(subject);
        assert_eq!(judge(&record).is_ok(), is_fine, "{subject}");
    }
    for (resource, is_fine) in [
        ("*", true),
        ("https://a.example/orders", true),
        ("urn:example:orders", true),
        ("https://a.example/#x", false),
        ("**", false),
        ("", false),
    ] {
        let mut record = client(ClientKind::Confidential);
        record.may_introspect = vec![resource.to_owned()];
        assert_eq!(judge(&record).is_ok(), is_fine, "{resource}");
    }
}

#[test]
fn a_redirect_uri_is_refused_by_its_name_and_the_rule() {
    let long = format!("http://a.example/{}", "a".repeat(500));
    for (uri, named, rule) in [
        ("http://app.example/cb", "`http://app.example/cb`", "http on 127.0.0.1"),
        ("https://app.example/#a", "`https://app.example/#a`", "no fragment"),
        ("app:/cb", "`app:/cb`", "a scheme with a dot"),
        ("/cb", "`/cb`", "absolute"),
        ("https://a.example/\u{1b}[2J", "`https://a.example/\\u{1b}[2J`", "RFC 3986"),
        ("https://user:hush@a.example/", "`https://…@a.example/`", "no user"),
        (long.as_str(), "aaa…`", "http on 127.0.0.1"),
    ] {
        let mut record = client(ClientKind::Public);
        record.redirect_uris = vec!["https://fine.example/cb".to_owned(), uri.to_owned()];
        let told = judge(&record).unwrap_err().to_string();
        assert!(told.starts_with("redirect URIs: ") && told.contains(named), "{told}");
        assert!(told.contains(rule) && !told.contains("fine"), "{told}");
        assert!(!told.contains("hush") && told.len() < 400, "{told}");
    }
}

fn refused(kind: ClientKind, expected: &str, change: fn(&mut ClientRecord)) {
    let mut record = client(kind);
    change(&mut record);
    match judge(&record) {
        Err(IdentityError::Invalid { what, .. }) => assert_eq!(what, expected, "{record:?}"),
        other => panic!("{expected}: {other:?}"),
    }
}

#[test]
fn keys_of_a_client_are_public_ones() {
    let mut record = client(ClientKind::Confidential);
    record.auth_method = "private_key_jwt".to_owned();
    record.jwks = Some(KEY.to_owned());
    judge(&record).unwrap();
    let both =
        ClientRecord { jwks_uri: Some("https://a.example/jwks".to_owned()), ..record.clone() };
    assert!(judge(&both).is_err());
    let long = KEY.replacen("{\"keys\"", &format!("{}{{\"keys\"", " ".repeat(MAX_JWKS_BYTES)), 1);
    for bad in [PRIVATE, "", "[]", r#"{"keys":[]}"#, r#"{"keys":[{"kty":"oct","k":"AA"}]}"#, &long]
    {
        record.jwks = Some(bad.to_owned());
        assert!(judge(&record).is_err(), "{bad}");
    }
}
