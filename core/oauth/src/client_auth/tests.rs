use super::*;
use crate::{ErrorCode, fixtures};
use postern_jose::base64url;

fn parse(header: Option<&str>, body: &str) -> Result<ClientAuthentication, ErrorCode> {
    let form = Form::parse(body.as_bytes()).unwrap();
    let authorization = header.map_or(Single::Absent, |text| Single::One(text.as_bytes()));
    ClientAuthentication::parse(authorization, &form, None).map_err(|error| error.code)
}

fn header(credentials: &str) -> String {
    format!("Basic {}", STANDARD.encode(credentials))
}

fn assertion(subject: &str) -> String {
    let claims = format!("{{\"sub\":\"{subject}\"}}");
    let token = format!("e30.{}.c2ln", base64url::encode(claims.as_bytes()));
    let kind = ASSERTION_TYPE.replace(':', "%3A");
    format!("client_assertion={token}&client_assertion_type={kind}")
}

#[test]
fn one_way_of_authenticating_and_never_two() {
    const NOTHING: Result<Option<&str>, ErrorCode> = Ok(None);
    const SECRET: Result<Option<&str>, ErrorCode> = Ok(Some("s3cret"));
    let basic = header("web:s3cret");
    let post = "client_id=web&client_secret=s3cret";
    let asserted = assertion("web");
    let both = format!("{post}&{asserted}");
    let others = format!("client_id=other&{asserted}");
    for (authorization, body, expected) in [
        (Some(basic.as_str()), "", SECRET),
        (Some(basic.as_str()), "client_id=web", SECRET),
        (Some(basic.as_str()), "client_id=other", Err(ErrorCode::InvalidRequest)),
        (Some(basic.as_str()), post, Err(ErrorCode::InvalidRequest)),
        (Some(basic.as_str()), asserted.as_str(), Err(ErrorCode::InvalidRequest)),
        (Some("Bearer x"), post, Err(ErrorCode::InvalidClient)),
        (None, post, SECRET),
        (None, both.as_str(), Err(ErrorCode::InvalidRequest)),
        (None, others.as_str(), Err(ErrorCode::InvalidRequest)),
        (None, "client_id=web", NOTHING),
        (None, "client_id=web&client_secret=", NOTHING),
        (None, "client_secret=s3cret", Err(ErrorCode::InvalidClient)),
        (None, "", Err(ErrorCode::InvalidClient)),
        (None, "client_id=we%0Ab", Err(ErrorCode::InvalidClient)),
        (None, "client_id=w%C3%A9b", Err(ErrorCode::InvalidClient)),
    ] {
        let found = parse(authorization, body);
        let seen = found.as_ref().map(|found| {
            assert_eq!(found.client_id, "web");
            match found.proof() {
                Proof::Secret(secret) => Some(secret.expose()),
                _ => None,
            }
        });
        assert_eq!(seen.map_err(|code| *code), expected, "{authorization:?} {body}");
    }
}

#[test]
fn basic_credentials_are_form_decoded() {
    for (credentials, expected) in [
        ("a%3Ab:p+q%25", Some(("a:b", "p q%"))),
        ("a:b:c", Some(("a", "b:c"))),
        ("a", None),
        (":b", None),
        ("a:", None),
        ("a:%zz", None),
        ("a:b c", None),
    ] {
        let found = parse(Some(&header(credentials)), "").ok();
        let seen = found.as_ref().map(|found| match found.proof() {
            Proof::Secret(secret) => (found.client_id.as_str(), secret.expose()),
            other => panic!("{other:?}"),
        });
        assert_eq!(seen, expected, "{credentials}");
    }
    for bad in ["Basic", "Basic ", "Basic !", "Basic YTpi=", "Digest YTpi", "basic\tYTpi"] {
        assert_eq!(parse(Some(bad), ""), Err(ErrorCode::InvalidClient), "{bad}");
    }
    assert!(parse(Some("bAsIc  YTpi "), "").is_ok(), "the scheme has no case");
}

#[test]
fn a_repeated_header_is_refused() {
    let form = Form::parse(b"client_id=web").unwrap();
    let error = ClientAuthentication::parse(Single::Repeated, &form, None).unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidRequest);
}

#[test]
fn an_assertion_names_its_client_and_its_kind() {
    let found = parse(None, &assertion("web")).unwrap();
    assert_eq!(found.client_id, "web");
    assert!(matches!(found.proof(), Proof::Assertion(text) if text.starts_with("e30.")));
    assert!(parse(None, &format!("client_id=web&{}", assertion("web"))).is_ok());
    for bad in [
        "client_assertion=e30.e30.e30".to_owned(),
        "client_assertion=x&client_id=web".to_owned(),
        assertion("web").replace("jwt-bearer", "saml2-bearer"),
        assertion(""),
        assertion("w\\u0000eb"),
        assertion(&"w".repeat(256)),
    ] {
        let seen = parse(None, &bad);
        assert_eq!(seen, Err(ErrorCode::InvalidClient), "{bad}");
    }
}

#[test]
fn credentials_do_not_show() {
    for body in ["client_id=web&client_secret=hunter2".to_owned(), assertion("web")] {
        let shown = format!("{:?}", parse(None, &body).unwrap());
        assert!(!shown.contains("hunter2") && !shown.contains("e30."), "{shown}");
    }
}

/// A request that presents this.
fn presented(how: &str) -> ClientAuthentication {
    let body = match how {
        "secret" => "client_id=web&client_secret=s".to_owned(),
        "assertion" => assertion("web"),
        _ => "client_id=web".to_owned(),
    };
    let certificate = (how == "certificate").then(ShownCertificate::default);
    let form = Form::parse(body.as_bytes()).unwrap();
    ClientAuthentication::parse(Single::Absent, &form, certificate.as_ref()).unwrap()
}

/// All that could be found out, in the client's favour.
const ALL: Evidence = Evidence {
    secret_matches: true,
    assertion: Some(AssertionFacts { jti_hash: [0; 32], expires_at: 1 }),
    certificate_matches: true,
};

#[test]
fn the_registered_method_and_no_other_counts() {
    for method in AuthMethod::ALL {
        let kind = match method {
            AuthMethod::None => ClientKind::Public,
            _ => ClientKind::Confidential,
        };
        let client = Client { auth_method: method, kind, ..fixtures::confidential() };
        for how in ["nothing", "secret", "assertion", "certificate"] {
            let expected = match method {
                AuthMethod::None => matches!(how, "nothing" | "certificate"),
                AuthMethod::Basic | AuthMethod::Post => how == "secret",
                AuthMethod::PrivateKeyJwt => how == "assertion",
                AuthMethod::TlsClientAuth | AuthMethod::SelfSignedTls => how == "certificate",
            };
            let request = presented(how);
            let found = authenticate(&request, Some(&client), &ALL);
            assert_eq!(found.is_ok(), expected, "{method:?} {how}");
            // Without evidence, only who has nothing to prove is who they say.
            let found = authenticate(&request, Some(&client), &Evidence::default());
            assert_eq!(found.is_ok(), expected && kind == ClientKind::Public, "{method:?} {how}");
        }
    }
}

#[test]
fn whoever_is_not_proven_gets_one_answer() {
    let client = fixtures::confidential;
    let public = Client { kind: ClientKind::Public, ..client() };
    let careless = Client { auth_method: AuthMethod::None, ..client() };
    let inactive = Client { is_active: false, ..client() };
    let other = Client { client_id: "other".to_owned(), ..client() };
    for (client, evidence) in [
        (None, Evidence::default()),
        (None, ALL),
        (Some(client()), Evidence::default()),
        (Some(public), ALL),
        (Some(careless), ALL),
        (Some(inactive), ALL),
        (Some(other), ALL),
    ] {
        for how in ["secret", "nothing"] {
            let found = authenticate(&presented(how), client.as_ref(), &evidence);
            assert_eq!(found, Err(OAuthError::invalid_client()), "{client:?}");
        }
    }
    assert!(authenticate(&presented("secret"), Some(&client()), &ALL).is_ok());
}
