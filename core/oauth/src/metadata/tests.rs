use super::*;
use crate::{ScopeSet, fixtures};
use postern_request::json;

fn read(text: &str) -> Value {
    json::parse(text.as_bytes()).unwrap()
}

fn check(document: &Value, expected: &[(&str, Option<&str>)]) {
    for (name, expected) in expected {
        let found = document.get(name).map(ToString::to_string);
        assert_eq!(found.as_deref(), *expected, "{name}");
    }
}

#[test]
fn only_what_works_is_named() {
    let rules = ServerRules {
        algorithms: vec![Algorithm::Rs256],
        ..ServerRules::bare("https://gate.example".to_owned())
    };
    let document = read(&ServerMetadata { rules: &rules }.authorization_server());
    let methods = r#"["client_secret_basic","client_secret_post"]"#;
    check(
        &document,
        &[
            ("issuer", Some(r#""https://gate.example""#)),
            ("token_endpoint", Some(r#""https://gate.example/oauth2/token""#)),
            ("jwks_uri", Some(r#""https://gate.example/oauth2/jwks""#)),
            ("response_types_supported", Some("[]")),
            ("grant_types_supported", Some(r#"["client_credentials"]"#)),
            ("token_endpoint_auth_methods_supported", Some(methods)),
            ("authorization_endpoint", None),
            ("registration_endpoint", None),
            ("code_challenge_methods_supported", None),
            ("scopes_supported", None),
        ],
    );
}

#[test]
fn metadata_names_what_works() {
    let endpoints = vec![
        Endpoint::Jwks,
        Endpoint::Token,
        Endpoint::Authorize,
        Endpoint::Revoke,
        Endpoint::Userinfo,
        Endpoint::EndSession,
    ];
    let rules = ServerRules { endpoints, ..fixtures::rules() };
    let metadata = ServerMetadata { rules: &rules };
    let methods = r#"["none","client_secret_basic","client_secret_post","private_key_jwt"]"#;
    let algorithms =
        r#"["RS256","RS384","RS512","PS256","PS384","PS512","ES256","ES384","ES512","EdDSA"]"#;
    let scopes = r#"["openid","profile","email","offline_access","read","write","admin"]"#;
    let grants = r#"["client_credentials","authorization_code","refresh_token","urn:ietf:params:oauth:grant-type:device_code","urn:ietf:params:oauth:grant-type:token-exchange"]"#;
    let expected = [
        ("issuer", Some(r#""https://gate.example""#)),
        ("authorization_endpoint", Some(r#""https://gate.example/oauth2/authorize""#)),
        ("userinfo_endpoint", Some(r#""https://gate.example/oauth2/userinfo""#)),
        ("end_session_endpoint", Some(r#""https://gate.example/oauth2/logout""#)),
        ("revocation_endpoint", Some(r#""https://gate.example/oauth2/revoke""#)),
        ("introspection_endpoint", None),
        ("registration_endpoint", None),
        ("pushed_authorization_request_endpoint", None),
        ("device_authorization_endpoint", None),
        ("grant_types_supported", Some(grants)),
        ("response_types_supported", Some(r#"["code"]"#)),
        ("response_modes_supported", Some(r#"["query"]"#)),
        ("code_challenge_methods_supported", Some(r#"["S256"]"#)),
        ("token_endpoint_auth_methods_supported", Some(methods)),
        ("token_endpoint_auth_signing_alg_values_supported", Some(algorithms)),
        ("revocation_endpoint_auth_methods_supported", Some(methods)),
        ("introspection_endpoint_auth_methods_supported", None),
        ("dpop_signing_alg_values_supported", Some(algorithms)),
        ("scopes_supported", Some(scopes)),
        ("authorization_response_iss_parameter_supported", Some("true")),
        ("require_pushed_authorization_requests", Some("false")),
        ("tls_client_certificate_bound_access_tokens", Some("false")),
    ];
    check(&read(&metadata.authorization_server()), &expected);
    check(&read(&metadata.openid_configuration()), &expected);

    let with_certificates = ServerRules { mutual_tls: true, require_par: true, ..rules };
    let document = read(&ServerMetadata { rules: &with_certificates }.authorization_server());
    let methods = document.get("token_endpoint_auth_methods_supported").unwrap().to_string();
    assert!(methods.ends_with(r#""tls_client_auth","self_signed_tls_client_auth"]"#), "{methods}");
    check(
        &document,
        &[
            ("require_pushed_authorization_requests", Some("true")),
            ("tls_client_certificate_bound_access_tokens", Some("true")),
        ],
    );
}

#[test]
fn a_way_of_authenticating_that_nobody_looks_at_is_not_named() {
    let auth_methods = vec![AuthMethod::Basic];
    let rules = ServerRules { auth_methods, mutual_tls: true, ..fixtures::rules() };
    let methods = r#"["none","client_secret_basic"]"#;
    check(
        &read(&ServerMetadata { rules: &rules }.authorization_server()),
        &[
            ("token_endpoint_auth_methods_supported", Some(methods)),
            ("token_endpoint_auth_signing_alg_values_supported", None),
        ],
    );
}

#[test]
fn discovery_adds_what_its_readers_insist_on() {
    let rules = fixtures::rules();
    let document = read(&ServerMetadata { rules: &rules }.openid_configuration());
    check(
        &document,
        &[
            ("subject_types_supported", Some(r#"["public"]"#)),
            ("id_token_signing_alg_values_supported", Some(r#"["RS256","ES256"]"#)),
            ("acr_values_supported", Some(r#"["urn:postern:acr:1","urn:postern:acr:2"]"#)),
            ("request_uri_parameter_supported", Some("false")),
        ],
    );
    let plain = read(&ServerMetadata { rules: &rules }.authorization_server());
    assert_eq!(plain.get("subject_types_supported"), None);
}

#[test]
fn who_may_not_refresh_is_not_told_of_offline_access() {
    let grants = vec![GrantType::AuthorizationCode];
    let rules = ServerRules { grants, scopes: ScopeSet::default(), ..fixtures::rules() };
    let document = read(&ServerMetadata { rules: &rules }.authorization_server());
    check(&document, &[("scopes_supported", Some(r#"["openid","profile","email"]"#))]);
}

#[test]
fn a_resource_names_its_authorization_server() {
    let rules = fixtures::rules();
    let document = read(&ServerMetadata { rules: &rules }.protected_resource());
    check(
        &document,
        &[
            ("resource", Some(r#""https://gate.example""#)),
            ("authorization_servers", Some(r#"["https://gate.example"]"#)),
            ("scopes_supported", Some(r#"["read","write","admin"]"#)),
            ("bearer_methods_supported", Some(r#"["header"]"#)),
            // Those of RFC 9728 §2 would be the resource's own, by which it signs its answers.
            ("jwks_uri", None),
        ],
    );
}

#[test]
fn each_resource_has_its_metadata_where_its_url_says() {
    let resource = |resource: &str, scopes: &str| (resource.to_owned(), fixtures::scopes(scopes));
    let rules = ServerRules {
        resources: vec![
            resource("https://gate.example/files", "read"),
            resource("https://api.example", "write"),
            resource("https://api.example/", ""),
            resource("https://other.example/a?b=c", ""),
            resource("urn:example:api", ""),
        ],
        ..fixtures::rules()
    };
    let metadata = ServerMetadata { rules: &rules };
    for (host, rest, expected) in [
        (Some("gate.example"), "", Some(("https://gate.example", "read write admin"))),
        (None, "", Some(("https://gate.example", "read write admin"))),
        (Some("unknown.example"), "", Some(("https://gate.example", "read write admin"))),
        (Some("API.example"), "", Some(("https://api.example", "write"))),
        (Some("gate.example"), "/files", Some(("https://gate.example/files", "read"))),
        // Whoever calls the gateway by another name.
        (Some("127.0.0.1:8080"), "/files", Some(("https://gate.example/files", "read"))),
        (None, "/files", Some(("https://gate.example/files", "read"))),
        (
            Some("other.example"),
            "/a?b=c",
            Some(("https://other.example/a?b=c", "read write admin")),
        ),
        (Some("other.example"), "/a", None),
        (Some("gate.example"), "/files/", None),
        (Some("gate.example"), "/other", None),
        (Some("gate.example"), "/a?b=c", None),
        (Some(""), "/files", Some(("https://gate.example/files", "read"))),
    ] {
        let found = metadata.protected_resource_at(host, rest).map(|text| {
            let document = read(&text);
            let scopes = document.get("scopes_supported").and_then(Value::as_array).unwrap();
            let scopes = scopes.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ");
            (document.get("resource").and_then(Value::as_str).unwrap().to_owned(), scopes)
        });
        let expected = expected.map(|(resource, scopes)| (resource.to_owned(), scopes.to_owned()));
        assert_eq!(found, expected, "{host:?} {rest}");
    }
}

#[test]
fn who_asks_about_tokens_has_proven_something() {
    let rules = fixtures::rules();
    let document = read(&ServerMetadata { rules: &rules }.authorization_server());
    let methods = r#"["client_secret_basic","client_secret_post","private_key_jwt"]"#;
    check(
        &document,
        &[
            ("introspection_endpoint", Some(r#""https://gate.example/oauth2/introspect""#)),
            ("introspection_endpoint_auth_methods_supported", Some(methods)),
            ("pushed_authorization_request_endpoint", Some(r#""https://gate.example/oauth2/par""#)),
        ],
    );
    for name in ["introspection", "revocation", "token"] {
        let name = format!("{name}_endpoint_auth_signing_alg_values_supported");
        assert!(document.get(&name).is_some(), "RFC 8414 wants {name}");
    }
}
