use proptest::prelude::*;

use super::*;
use crate::fixtures::{self, CALLBACK, scopes};
use crate::{AuthMethod, ClientKind, GrantType, RedirectUri, ScopeSet, Secret, ServerRules};
use postern_jose::Algorithm;
use postern_request::json::{self, Value};

const EC: &str = r#"{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM""#;

/// A request with a redirect URI and these members besides.
fn body(members: &str) -> String {
    format!(r#"{{"redirect_uris": ["{CALLBACK}"]{members}}}"#)
}

fn register(body: &str) -> Result<NewRegistration, ErrorCode> {
    register_at(&fixtures::rules(), body)
}

fn register_at(server: &ServerRules, body: &str) -> Result<NewRegistration, ErrorCode> {
    let request = RegistrationRequest::parse(body.as_bytes());
    let decided = request.and_then(|one| one.decide(server, &scopes("openid read offline_access")));
    decided.map_err(|error| error.code)
}

fn refused(members: &str) -> Option<ErrorCode> {
    register(&body(members)).err()
}

fn answer(new: &NewRegistration, secret: Option<&Secret>) -> Value {
    let answer = RegistrationAnswer {
        registered: new,
        client_id: "f47ac10b-58cc-4372-a567-0e02b2c3d479",
        secret,
        issued_at_secs: 1_800_000_000,
    };
    json::parse(answer.body().as_bytes()).unwrap()
}

#[test]
fn what_is_left_out_is_as_the_rfc_has_it() {
    let new = register(&body("")).unwrap();
    assert_eq!(new.auth_method, AuthMethod::Basic);
    assert_eq!((new.kind, new.has_secret()), (ClientKind::Confidential, true));
    assert_eq!(new.grant_types, [GrantType::AuthorizationCode]);
    assert_eq!(new.response_types(), ["code"]);
    assert_eq!(new.scopes, scopes("openid read offline_access"));
    assert_eq!(new.id_token_alg, Algorithm::Rs256);
    assert!(!new.require_par && !new.bind_dpop && new.name.is_none());
    let null = register(&body(r#", "client_name": null, "grant_types": null, "jwks": null"#));
    assert_eq!(null, Ok(new), "without a value is left out");
}

/// RFC 6749 §10.1: to a client that cannot keep a secret none is given.
#[test]
fn a_public_client_gets_no_secret() {
    for (method, kind, has_secret) in [
        ("none", ClientKind::Public, false),
        ("client_secret_basic", ClientKind::Confidential, true),
        ("client_secret_post", ClientKind::Confidential, true),
    ] {
        let members = format!(r#", "token_endpoint_auth_method": "{method}""#);
        let new = register(&body(&members)).unwrap();
        assert_eq!((new.kind, new.has_secret()), (kind, has_secret), "{method}");
    }
}

#[test]
fn registration_tells_everything_back() {
    let body = format!(
        r#"{{"redirect_uris": ["{CALLBACK}", "http://127.0.0.1/cb", "com.example.app:/cb"],
            "client_name": "Ärzte & Co", "token_endpoint_auth_method": "private_key_jwt",
            "grant_types": ["authorization_code", "refresh_token",
                            "urn:ietf:params:oauth:grant-type:device_code"],
            "response_types": ["code"], "scope": "read openid",
            "client_uri": "https://app.example/", "logo_uri": "https://app.example/logo.svg",
            "policy_uri": "https://app.example/privacy", "tos_uri": "https://app.example/terms",
            "post_logout_redirect_uris": ["https://app.example/bye"],
            "jwks": {{"keys": [{EC}}}]}}, "id_token_signed_response_alg": "ES256",
            "require_pushed_authorization_requests": true, "dpop_bound_access_tokens": true,
            "contacts": ["a@app.example"], "software_id": "x", "application_type": "native",
            "client_name#fr": "Médecins", "subject_type": "public", "unknown": {{"a": 1}}}}"#
    );
    let new = register(&body).unwrap();
    let told = answer(&new, None);
    for (name, expected) in [
        ("client_id", r#""f47ac10b-58cc-4372-a567-0e02b2c3d479""#),
        ("client_id_issued_at", "1800000000"),
        ("client_name", r#""Ärzte & Co""#),
        (
            "redirect_uris",
            r#"["https://app.example/callback","http://127.0.0.1/cb","com.example.app:/cb"]"#,
        ),
        ("token_endpoint_auth_method", r#""private_key_jwt""#),
        (
            "grant_types",
            r#"["authorization_code","refresh_token","urn:ietf:params:oauth:grant-type:device_code"]"#,
        ),
        ("response_types", r#"["code"]"#),
        ("scope", r#""read openid""#),
        ("client_uri", r#""https://app.example/""#),
        ("logo_uri", r#""https://app.example/logo.svg""#),
        ("policy_uri", r#""https://app.example/privacy""#),
        ("post_logout_redirect_uris", r#"["https://app.example/bye"]"#),
        ("id_token_signed_response_alg", r#""ES256""#),
        ("require_pushed_authorization_requests", "true"),
        ("dpop_bound_access_tokens", "true"),
    ] {
        assert_eq!(told.get(name).map(ToString::to_string).as_deref(), Some(expected), "{name}");
    }
    assert_eq!(told.get("jwks"), new.jwks.as_ref());
    for absent in [
        "client_secret",
        "client_secret_expires_at",
        "contacts",
        "tos_uri",
        "software_id",
        "unknown",
        "registration_access_token",
    ] {
        assert_eq!(told.get(absent), None, "{absent} was not registered");
    }
    let secret = Secret::new("s\"ecret".to_owned());
    let told = answer(&register(&self::body("")).unwrap(), Some(&secret));
    assert_eq!(told.get("client_secret").and_then(Value::as_str), Some("s\"ecret"));
    assert_eq!(told.get("client_secret_expires_at"), Some(&Value::Integer(0)));
}

#[test]
fn redirect_uris_are_checked_as_an_operators_are() {
    for uris in [
        r#"[]"#,
        r#""https://app.example/""#,
        r#"["https://app.example/", 1]"#,
        r#"["https://app.example/", "https://app.example/"]"#,
        r#"["/callback"]"#,
        r#"["https://app.example/#a"]"#,
        r#"["https://user@app.example/"]"#,
        r#"["http://app.example/"]"#,
        r#"["http://localhost:3000/cb"]"#,
        r#"["javascript:alert(1)"]"#,
        r#"["https://app.example/", "data:text/html,a"]"#,
        r#"["myapp:/cb"]"#,
    ] {
        let body = format!(r#"{{"redirect_uris": {uris}}}"#);
        assert_eq!(register(&body).err(), Some(ErrorCode::InvalidRedirectUri), "{uris}");
        let of_log_out = format!(r#", "post_logout_redirect_uris": {uris}"#);
        let expected = (uris != "[]").then_some(ErrorCode::InvalidRedirectUri);
        assert_eq!(refused(&of_log_out), expected, "{uris}");
    }
    assert_eq!(register("{}").err(), Some(ErrorCode::InvalidRedirectUri));
    let many: Vec<String> = (0..17).map(|at| format!("\"https://app.example/{at}\"")).collect();
    let body = format!(r#"{{"redirect_uris": [{}]}}"#, many.join(","));
    assert_eq!(register(&body).err(), Some(ErrorCode::InvalidRedirectUri));
    let native = r#"{"redirect_uris": ["http://[::1]:5000/cb", "http://127.0.0.1:5000/cb"],
        "token_endpoint_auth_method": "none"}"#;
    assert_eq!(register(native).unwrap().kind, ClientKind::Public);
}

#[test]
fn registration_errors() {
    use ErrorCode::{InvalidClientMetadata as Metadata, UnapprovedSoftwareStatement};
    for members in [
        r#", "client_name": """#,
        r#", "client_name": " a""#,
        r#", "client_name": "a\nb""#,
        r#", "client_name": "a\u202eb""#,
        r#", "client_name": "a\u200bb""#,
        r#", "client_name": 1"#,
        r#", "client_name": ["a"]"#,
        r#", "token_endpoint_auth_method": "client_secret_jwt""#,
        r#", "token_endpoint_auth_method": "tls_client_auth""#,
        r#", "token_endpoint_auth_method": """#,
        r#", "token_endpoint_auth_method": true"#,
        r#", "grant_types": []"#,
        r#", "grant_types": "authorization_code""#,
        r#", "grant_types": ["authorization_code", "authorization_code"]"#,
        r#", "grant_types": ["refresh_token"]"#,
        r#", "grant_types": ["client_credentials"]"#,
        r#", "grant_types": ["authorization_code", "client_credentials"]"#,
        r#", "grant_types": ["urn:ietf:params:oauth:grant-type:token-exchange"]"#,
        r#", "grant_types": ["implicit"]"#,
        r#", "grant_types": ["password"]"#,
        r#", "response_types": ["token"]"#,
        r#", "response_types": ["code", "id_token"]"#,
        r#", "response_types": []"#,
        r#", "grant_types": ["urn:ietf:params:oauth:grant-type:device_code"], "response_types": ["code"]"#,
        r#", "scope": "admin""#,
        r#", "scope": "read write""#,
        r#", "scope": "client.register""#,
        r#", "scope": "read  openid""#,
        r#", "scope": ["read"]"#,
        r#", "client_uri": "http://app.example/""#,
        r#", "logo_uri": "data:image/png;base64,aGk=""#,
        r#", "logo_uri": "javascript:alert(1)""#,
        r#", "policy_uri": "https://user@app.example/""#,
        r#", "tos_uri": "ftp://app.example/""#,
        r#", "client_uri": "https://app.example/#a""#,
        r#", "subject_type": "pairwise""#,
        r#", "id_token_signed_response_alg": "none""#,
        r#", "id_token_signed_response_alg": "HS256""#,
        r#", "id_token_signed_response_alg": "PS256""#,
        r#", "dpop_bound_access_tokens": "true""#,
        r#", "require_pushed_authorization_requests": 1"#,
    ] {
        assert_eq!(refused(members), Some(Metadata), "{members}");
    }
    for bad in ["", "[]", "null", "{", "{} {}", r#"{"a": 1, "a": 2}"#, "{\"a\": \"\u{0}\"}"] {
        assert_eq!(register(bad).err(), Some(Metadata), "{bad}");
    }
    let statement = r#", "software_statement": "a.b.c""#;
    assert_eq!(refused(statement), Some(UnapprovedSoftwareStatement));
    let large = body(&format!(r#", "x": "{}""#, "y".repeat(MAX_REGISTRATION_BYTES)));
    assert_eq!(register(&large).err(), Some(ErrorCode::RequestTooLarge));
    let long = body(&format!(r#", "client_uri": "https://app.example/{}""#, "y".repeat(2048)));
    assert_eq!(register(&long).err(), Some(Metadata));
}

#[test]
fn only_what_is_offered_can_be_registered() {
    let bare = ServerRules {
        grants: vec![GrantType::AuthorizationCode],
        auth_methods: vec![AuthMethod::Basic],
        algorithms: vec![Algorithm::Es256],
        ..fixtures::rules()
    };
    let refused = |members: &str| register_at(&bare, &body(members)).err();
    let metadata = Some(ErrorCode::InvalidClientMetadata);
    assert_eq!(refused(r#", "grant_types": ["authorization_code", "refresh_token"]"#), metadata);
    assert_eq!(refused(r#", "token_endpoint_auth_method": "client_secret_post""#), metadata);
    let keys = format!(r#", "jwks": {{"keys": [{EC}}}]}}"#);
    let by_key = format!(r#", "token_endpoint_auth_method": "private_key_jwt"{keys}"#);
    assert_eq!(refused(&by_key), metadata);
    assert_eq!(refused(r#", "id_token_signed_response_alg": "RS256""#), metadata);
    let new = register_at(&bare, &body("")).unwrap();
    assert_eq!(new.id_token_alg, Algorithm::Es256, "nothing here signs with RS256");
}

#[test]
fn keys_are_public_and_in_one_place() {
    const BY_KEY: &str = r#", "token_endpoint_auth_method": "private_key_jwt""#;
    let keys = |keys: &str| format!(r#"{BY_KEY}, "jwks": {{"keys": [{keys}]}}"#);
    let at = |uri: &str| format!(r#"{BY_KEY}, "jwks_uri": "{uri}""#);
    let good = register(&body(&keys(&format!("{EC}}}")))).unwrap();
    assert_eq!((good.kind, good.has_secret()), (ClientKind::Confidential, false));
    let elsewhere = register(&body(&at("https://app.example/jwks"))).unwrap();
    assert_eq!(elsewhere.jwks_uri.as_deref(), Some("https://app.example/jwks"));
    for members in [
        BY_KEY.to_owned(),
        keys(""),
        keys("{}"),
        keys(&format!(r#"{EC},"d":"AQAB"}}"#)),
        keys(&format!(r#"{EC}}},{EC},"kid":"a","d":"AQAB"}}"#)),
        keys(r#"{"kty":"oct","k":"AQAB"}"#),
        format!(r#"{BY_KEY}, "jwks": []"#),
        format!(r#"{BY_KEY}, "jwks": "{{}}""#),
        format!(r#"{}, "jwks_uri": "https://app.example/jwks""#, keys(&format!("{EC}}}"))),
        at("http://app.example/jwks"),
        at("https://169.254.169.254/jwks"),
        at("https://localhost/jwks"),
    ] {
        assert_eq!(refused(&members), Some(ErrorCode::InvalidClientMetadata), "{members}");
    }
}

#[test]
fn a_certificate_of_its_own_is_known_by_its_hash() {
    let server = ServerRules { mutual_tls: true, ..fixtures::rules() };
    let of = |keys: &str| {
        let method = r#", "token_endpoint_auth_method": "self_signed_tls_client_auth""#;
        register_at(&server, &body(&format!(r#"{method}, "jwks": {{"keys": [{keys}]}}"#)))
    };
    // SHA-256 of "abc".
    let new = of(&format!(r#"{EC},"x5c":["YWJj"]}}"#)).unwrap();
    assert_eq!(new.certificate.unwrap()[..4], [0xba, 0x78, 0x16, 0xbf]);
    assert!(!new.has_secret());
    for keys in [
        format!("{EC}}}"),
        format!(r#"{EC},"x5c":[]}}"#),
        format!(r#"{EC},"x5c":[""]}}"#),
        format!(r#"{EC},"x5c":["?"]}}"#),
        format!(r#"{EC},"x5c":["YWJj","YWJj"]}}"#),
        format!(r#"{EC},"kid":"a","x5c":["YWJj"]}},{EC},"kid":"b","x5c":["YWJj"]}}"#),
    ] {
        assert_eq!(of(&keys).err(), Some(ErrorCode::InvalidClientMetadata), "{keys}");
    }
    let blind = register(&body(&format!(
        r#", "token_endpoint_auth_method": "self_signed_tls_client_auth",
           "jwks": {{"keys": [{EC},"x5c":["YWJj"]}}]}}"#
    )));
    assert_eq!(blind.err(), Some(ErrorCode::InvalidClientMetadata), "nobody sees certificates");
}

proptest! {
    /// Whatever a stranger sends is read or refused.
    #[test]
    fn nothing_a_stranger_sends_is_trusted(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        name in "\\PC{0,40}",
        uri in "[ -~]{0,40}",
        scope in "[a-z. ]{0,30}",
    ) {
        let _ = RegistrationRequest::parse(&bytes);
        let text = |text: &str| {
            let mut out = String::new();
            json::write_string(&mut out, text);
            out
        };
        let body = format!(
            r#"{{"redirect_uris": [{}], "client_name": {}, "logo_uri": {}, "scope": {}}}"#,
            text(&uri), text(&name), text(&uri), text(&scope),
        );
        if let Ok(new) = register(&body) {
            prop_assert!(new.scopes.is_within(&ScopeSet::parse("openid read offline_access").unwrap()));
            prop_assert!(new.redirect_uris.iter().all(|one| RedirectUri::parse(one.as_str()).is_ok()));
            prop_assert!(new.logo_uri.is_none_or(|uri| uri.starts_with("https://")));
        }
    }
}
