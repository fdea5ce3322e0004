use super::*;
use postern_jose::{Algorithm, dpop::access_token_hash};
use postern_oauth::Endpoint;

use crate::oauth::UserinfoCall;
use crate::oauth::fixture::ISSUER;
use crate::sign::Pair;
use crate::signing_key::{self, NewSigningKey};

/// A client's key, and proofs by it.
pub(super) struct Key {
    pub(super) new: NewSigningKey,
    pair: Pair,
}

/// What a proof says.
#[derive(Clone)]
pub(super) struct Said {
    pub(super) typ: &'static str,
    pub(super) method: &'static str,
    pub(super) url: String,
    pub(super) issued_at: u64,
    pub(super) id: String,
    pub(super) more: String,
}

pub(super) fn said(id: &str) -> Said {
    Said {
        typ: "dpop+jwt",
        method: "POST",
        url: format!("{ISSUER}{}", Endpoint::Token.path()),
        issued_at: NOW.as_secs(),
        id: id.to_owned(),
        more: String::new(),
    }
}

impl Key {
    pub(super) fn new() -> Self {
        let new = signing_key::generate(Algorithm::Es256).unwrap();
        let pair = Pair::open(Algorithm::Es256, &new.private).unwrap();
        Self { new, pair }
    }

    pub(super) fn proof(&self, said: &Said) -> String {
        let jwk = &self.new.public_jwk;
        let header = format!(r#"{{"typ":"{}","alg":"ES256","jwk":{jwk}}}"#, said.typ);
        let payload = format!(
            r#"{{"jti":"{}","htm":"{}","htu":"{}","iat":{}{}}}"#,
            said.id, said.method, said.url, said.issued_at, said.more
        );
        self.sign(&header, &payload)
    }

    pub(super) fn sign(&self, header: &str, payload: &str) -> String {
        let input = [header, payload].map(|part| base64url::encode(part.as_bytes())).join(".");
        let signature = self.pair.sign(input.as_bytes()).unwrap();
        format!("{input}.{}", base64url::encode(&signature))
    }
}

#[tokio::test]
async fn a_proof_binds_the_token() {
    let (fixture, key) = (fixture().await, Key::new());
    let form = "grant_type=client_credentials&client_id=web&client_secret=s3cret&scope=read";
    let tokens = fixture.token_by(form, Some(&key.proof(&said("1"))), NOW).await.unwrap();
    assert_eq!(text(&tokens, "token_type"), "DPoP");
    let access = claims(text(&tokens, "access_token"));
    assert_eq!(text(access.get("cnf").unwrap(), "jkt"), key.new.kid, "RFC 7638");
    assert!(fixture.issuer.inspect(text(&tokens, "access_token"), NOW).is_err(), "no bearer token");
    let bearer = fixture.token(form, NOW).await.unwrap();
    assert_eq!(text(&bearer, "token_type"), "Bearer");
}

#[tokio::test]
async fn proofs_at_the_token_endpoint() {
    let (fixture, key) = (fixture().await, Key::new());
    let form = "grant_type=client_credentials&client_id=web&client_secret=s3cret";
    let now = NOW.as_secs();
    let good = key.proof(&said("once"));
    let other = Key::new().proof(&said("a"));
    let (input, _) = good.rsplit_once('.').unwrap();
    let (_, signature) = other.rsplit_once('.').unwrap();
    let url = |url: &str| Said { url: url.to_owned(), ..said("b") };
    for (proof, is_good) in [
        (good.clone(), true),
        (good.clone(), false),
        (key.proof(&Said { issued_at: now - 60, ..said("c") }), true),
        (key.proof(&Said { issued_at: now - 66, ..said("d") }), false),
        (key.proof(&Said { issued_at: now + 6, ..said("e") }), false),
        (key.proof(&Said { method: "GET", ..said("f") }), false),
        (key.proof(&Said { typ: "JWT", ..said("g") }), false),
        (key.proof(&url("http://evil.test/oauth2/token")), false),
        (key.proof(&url("http://127.0.0.1:8080/oauth2/revoke")), false),
        (key.proof(&Said { id: String::new(), ..said("") }), false),
        (format!("{input}.{signature}"), false),
        ("junk".to_owned(), false),
        (String::new(), false),
    ] {
        let answer = fixture.token_by(form, Some(&proof), NOW).await;
        let expected = if is_good { Ok(()) } else { Err(ErrorCode::InvalidDpopProof) };
        assert_eq!(answer.map(drop), expected, "{proof:.40}");
    }
    let twice = TokenCall { dpop: Single::Repeated, ..call(form, None) };
    let refused = fixture.oauth.token(twice, NOW).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::InvalidDpopProof);
}

#[tokio::test]
async fn a_refresh_token_of_a_public_client_needs_its_key() {
    let (fixture, key) = (fixture().await, Key::new());
    let session = fixture.log_in().await;
    let code = fixture.code(&request("spa", "openid read"), &session).await;
    let proof = key.proof(&said("1"));
    let tokens = fixture.token_by(&exchange("spa", &code), Some(&proof), NOW).await.unwrap();
    assert_eq!(text(&tokens, "token_type"), "DPoP");
    let form = refresh(text(&tokens, "refresh_token"));
    let others = Key::new().proof(&said("2"));
    for proof in [None, Some(others.as_str())] {
        let refused = fixture.token_by(&form, proof, later(1)).await;
        assert_eq!(refused, Err(ErrorCode::InvalidGrant), "{proof:?}");
    }
    let proof = key.proof(&said("3"));
    assert!(fixture.token_by(&form, Some(&proof), later(1)).await.is_ok());
}

#[tokio::test]
async fn userinfo_wants_the_proof_of_a_token_that_is_bound() {
    let (fixture, key) = (fixture().await, Key::new());
    let session = fixture.log_in().await;
    let code = fixture.code(&request("spa", "openid"), &session).await;
    let proof = key.proof(&said("1"));
    let tokens = fixture.token_by(&exchange("spa", &code), Some(&proof), NOW).await.unwrap();
    let token = text(&tokens, "access_token");
    let hash = base64url::encode(&access_token_hash(token.as_bytes()));
    let said = |id: &str, more: String| Said {
        method: "GET",
        url: format!("{ISSUER}{}", Endpoint::Userinfo.path()),
        more,
        ..self::said(id)
    };
    let ath = format!(r#","ath":"{hash}""#);
    let (good, without) =
        (key.proof(&said("2", ath.clone())), key.proof(&said("3", String::new())));
    let other = Key::new().proof(&said("4", ath));
    for (scheme, proof, expected) in [
        ("DPoP", Some(&good), Ok(())),
        ("DPoP", Some(&good), Err(ErrorCode::InvalidDpopProof)),
        ("DPoP", Some(&without), Err(ErrorCode::InvalidDpopProof)),
        ("DPoP", Some(&other), Err(ErrorCode::InvalidDpopProof)),
        ("DPoP", None, Err(ErrorCode::InvalidDpopProof)),
        ("Bearer", Some(&good), Err(ErrorCode::InvalidToken)),
        ("Bearer", None, Err(ErrorCode::InvalidToken)),
    ] {
        let header = format!("{scheme} {token}");
        let call = UserinfoCall {
            method: "GET",
            authorization: Single::One(header.as_bytes()),
            dpop: proof.map_or(Single::Absent, |proof| Single::One(proof.as_bytes())),
            certificate: None,
        };
        let answer = fixture.oauth.userinfo(call, NOW).await;
        assert_eq!(answer.map(drop).map_err(|error| error.code), expected, "{scheme}");
    }
}
