use super::*;
use crate::KeyEncryptionKey;
use crate::admin::{Rotation, rotate_keys};
use crate::signing_key::SIGNING;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{DecodingKey, Validation, decode, decode_header};
use postern_jose::{Algorithm, KeySet};
use postern_store::durable::memory::MemoryDurableStore;

const NOW: UnixMillis = UnixMillis(1_800_000_000_999);
const ISSUER: &str = "http://127.0.0.1:8080";

pub(crate) async fn issuer(algorithm: Algorithm) -> TokenIssuer {
    let store = Arc::new(MemoryDurableStore::new());
    let kek = KeyEncryptionKey::from_text(&"0f1e".repeat(16)).unwrap();
    let rotation = Rotation { algorithm, ..Rotation::default() };
    rotate_keys(&*store, &kek, rotation, NOW).await.unwrap();
    let ring = KeyRing::load(store, Some(kek), NOW).await.unwrap();
    TokenIssuer::new(ISSUER.to_owned(), Arc::new(ring))
}

fn request() -> AccessTokenRequest {
    AccessTokenRequest {
        subject: "alice".to_owned(),
        client_id: "web".to_owned(),
        scopes: ScopeSet::parse("payments.read orders:write").unwrap(),
        lifetime_secs: 900,
        role: Some("teacher".to_owned()),
        tier: Some("premium".to_owned()),
        session: Some("s-1".to_owned()),
        ..AccessTokenRequest::default()
    }
}

fn accepting(audience: &str) -> Issuer {
    Issuer {
        issuer: ISSUER.to_owned(),
        audiences: vec![audience.to_owned()],
        leeway_secs: 0,
        access_token_type_only: true,
        rules: ClaimsRules::default(),
    }
}

#[tokio::test]
async fn a_token_is_accepted_by_our_own_reader() {
    for algorithm in SIGNING {
        let issuer = issuer(algorithm).await;
        let issued = issuer.issue(&request(), NOW).unwrap();
        let keys = KeySet::parse(issuer.ring().jwks(NOW).as_bytes()).unwrap();
        let mut verifier = AwsLcVerifier::new();
        let mut check = |audience: &str, now: UnixMillis| {
            let issuers = [accepting(audience)];
            verify(issued.token.expose(), &issuers, |_| Some(&keys), &mut verifier, now)
        };
        let verified = check(ISSUER, NOW).unwrap();
        assert_eq!(verified.claims.token_id.as_ref(), Some(&issued.token_id));
        assert_eq!(verified.claims.expires_at, 1_800_000_900);
        assert_eq!(issued.expires_at, UnixMillis(1_800_000_900_000));
        let principal = verified.principal();
        assert_eq!(principal.subject, "alice");
        assert_eq!(principal.client_id.as_deref(), Some("web"));
        assert_eq!(principal.scopes, ["payments.read", "orders:write"]);
        assert_eq!(principal.role.as_deref(), Some("teacher"));
        assert_eq!(principal.tier.as_deref(), Some("premium"));
        assert_eq!(principal.session.as_deref(), Some("s-1"));
        assert_eq!(principal.device, None);

        assert_eq!(check("https://other.test", NOW).err(), Some(TokenError::Audience));
        let over = UnixMillis(1_800_000_900_000);
        assert_eq!(check(ISSUER, over).err(), Some(TokenError::Expired));
        assert_eq!(issuer.inspect(issued.token.expose(), NOW).unwrap(), verified);
        assert_eq!(issuer.inspect(issued.token.expose(), over).err(), Some(TokenError::Expired));
    }
}

#[tokio::test]
async fn access_tokens_are_as_rfc_9068_wants() {
    let issuer = issuer(Algorithm::Es256).await;
    let request = AccessTokenRequest {
        confirmation: Confirmation { certificate: Some([1; 32]), key: Some([2; 32]) },
        fingerprint: Some("f-1".to_owned()),
        device: Some("d-1".to_owned()),
        auth_time: Some(1_799_999_000),
        acr: Some(Acr::SeveralFactors),
        amr: vec!["pwd".to_owned(), "otp".to_owned()],
        ..request()
    };
    let issued = issuer.issue(&request, NOW).unwrap();
    let mut parts = issued.token.expose().split('.');
    let mut part = || base64url::decode(parts.next().unwrap()).unwrap();
    let header: serde_json::Value = serde_json::from_slice(&part()).unwrap();
    assert_eq!(header["typ"], "at+jwt");
    assert_eq!(header["alg"], "ES256");
    let claims = String::from_utf8(part()).unwrap();
    let read: serde_json::Value = serde_json::from_str(&claims).unwrap();
    let names: Vec<&str> = "iss sub aud iat exp jti scope client_id sessionId deviceId \
                            clientFingerprint role tier cnf auth_time acr amr"
        .split_whitespace()
        .collect();
    let places: Vec<_> =
        names.iter().map(|name| claims.find(&format!("\"{name}\":")).unwrap()).collect();
    assert!(places.is_sorted(), "{claims}");
    assert_eq!(read.as_object().unwrap().len(), names.len());
    for (name, expected) in
        [("iss", ISSUER), ("aud", ISSUER), ("sub", "alice"), ("client_id", "web")]
    {
        assert_eq!(read[name], expected, "{name}");
    }
    let times = [read["iat"].as_u64(), read["exp"].as_u64()];
    assert_eq!(times, [Some(1_800_000_000), Some(1_800_000_900)]);
    assert_eq!(read["jti"], issued.token_id.as_str());
    assert_eq!(read["acr"], "urn:postern:acr:2");
    assert_eq!(read["cnf"]["jkt"], base64url::encode(&[2; 32]));
    assert_eq!(read["cnf"]["x5t#S256"], base64url::encode(&[1; 32]));

    // A bound token is a stolen one until shown otherwise.
    assert_eq!(issuer.inspect(issued.token.expose(), NOW).err(), Some(TokenError::Confirmation));
    let bound = issuer.inspect_bound(issued.token.expose(), NOW).unwrap();
    assert_eq!(bound.claims.confirmation, request.confirmation);
}

#[tokio::test]
async fn the_algorithm_of_the_document_signs_where_it_can() {
    let issuer = issuer(Algorithm::Es256).await;
    for algorithm in [None, Some(Algorithm::Es256), Some(Algorithm::Rs256)] {
        let issued = issuer.issue(&AccessTokenRequest { algorithm, ..request() }, NOW).unwrap();
        let header = decode_header(issued.token.expose()).unwrap();
        assert_eq!(header.alg, jsonwebtoken::Algorithm::ES256, "{algorithm:?}");
    }
}

#[tokio::test]
async fn an_access_token_is_no_hint() {
    let issuer = issuer(Algorithm::Es256).await;
    let issued = issuer.issue(&request(), NOW).unwrap();
    assert_eq!(issuer.inspect_hint(issued.token.expose(), NOW), None);
    for bad in ["", ".", "..", "e30.e30.e30"] {
        assert_eq!(issuer.inspect_hint(bad, NOW), None, "{bad}");
    }
}

#[tokio::test]
async fn a_token_is_accepted_by_another_library() {
    for algorithm in SIGNING {
        let issuer = issuer(algorithm).await;
        let issued = issuer.issue(&request(), NOW).unwrap();
        let header = decode_header(issued.token.expose()).unwrap();
        assert_eq!(header.typ.as_deref(), Some("at+jwt"));

        let set: JwkSet = serde_json::from_str(&issuer.ring().jwks(NOW)).unwrap();
        let jwk = set.find(header.kid.as_deref().unwrap()).unwrap();
        let mut validation = Validation::new(header.alg);
        validation.set_audience(&[ISSUER]);
        validation.set_issuer(&[ISSUER]);
        // Its clock is the machine's; the test's is not.
        validation.validate_exp = false;
        let key = DecodingKey::from_jwk(jwk).unwrap();
        let decoded =
            decode::<serde_json::Value>(issued.token.expose(), &key, &validation).unwrap();
        assert_eq!(
            decoded.claims,
            serde_json::json!({
                "iss": ISSUER, "sub": "alice", "aud": ISSUER,
                "iat": 1_800_000_000, "exp": 1_800_000_900, "jti": issued.token_id,
                "scope": "payments.read orders:write", "client_id": "web",
                "sessionId": "s-1", "role": "teacher", "tier": "premium",
            })
        );
    }
}

#[tokio::test]
async fn audiences_replace_the_issuer() {
    let issuer = issuer(Algorithm::Es256).await;
    for audiences in [vec!["a".to_owned()], vec!["a".to_owned(), "b".to_owned()]] {
        let request = AccessTokenRequest { audiences: audiences.clone(), ..request() };
        let issued = issuer.issue(&request, NOW).unwrap();
        let verified = issuer.inspect(issued.token.expose(), NOW).unwrap();
        assert_eq!(verified.claims.audiences, audiences);
    }
}

#[tokio::test]
async fn a_changed_token_is_refused() {
    let issuer = issuer(Algorithm::Es256).await;
    let issued = issuer.issue(&request(), NOW).unwrap();
    let token = issued.token.expose();
    let mut parts = token.split('.');
    let (header, claims) = (parts.next().unwrap(), parts.next().unwrap());
    let signature = parts.next().unwrap();
    let more = postern_jose::base64url::decode(claims).unwrap();
    let more = String::from_utf8(more).unwrap().replace("payments.read", "payments.root");
    let more = postern_jose::base64url::encode(more.as_bytes());
    let forged = format!("{header}.{more}.{signature}");
    assert_eq!(issuer.inspect(&forged, NOW).err(), Some(TokenError::Signature));
    let elsewhere = self::issuer(Algorithm::Es256).await;
    assert_eq!(elsewhere.inspect(token, NOW).err(), Some(TokenError::Key));
}

#[tokio::test]
async fn what_readers_would_refuse_is_not_signed() {
    let issuer = issuer(Algorithm::Es256).await;
    for bad in [
        AccessTokenRequest { subject: String::new(), ..request() },
        AccessTokenRequest { subject: "a\r\nx-admin: 1".to_owned(), ..request() },
        AccessTokenRequest { client_id: "c".repeat(2000), ..request() },
        AccessTokenRequest { role: Some(String::new()), ..request() },
        AccessTokenRequest { fingerprint: Some(String::new()), ..request() },
        AccessTokenRequest { amr: vec!["a\nb".to_owned()], ..request() },
        AccessTokenRequest { audiences: vec![String::new()], ..request() },
        AccessTokenRequest { lifetime_secs: 0, ..request() },
        AccessTokenRequest { lifetime_secs: MAX_LIFETIME_SECS + 1, ..request() },
    ] {
        let refused = issuer.issue(&bad, NOW);
        assert!(matches!(refused, Err(IdentityError::Invalid { .. })), "{bad:?}");
    }
    let bare = AccessTokenRequest { scopes: ScopeSet::default(), ..request() };
    let issued = issuer.issue(&bare, NOW).unwrap();
    let verified = issuer.inspect(issued.token.expose(), NOW).unwrap();
    assert!(verified.principal().scopes.is_empty());
}
