use postern_identity::admin::{Rotation, rotate_keys};
use postern_identity::{AccessTokenRequest, KeyEncryptionKey, KeyRing};
use postern_jose::Algorithm;
use postern_oauth::{Actor as Delegate, ScopeSet};
use postern_revocation::RevocationKind;
use postern_store::durable::memory::MemoryDurableStore;
use serde_json::json;

use super::*;

const OWN: &str = "https://own.test";
const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

/// Nothing was revoked.
struct Nothing;

impl RevokedTokens for Nothing {
    fn is_revoked(&self, _: &VerifiedToken, _: UnixMillis) -> bool {
        false
    }

    fn is_named_revoked(&self, _: RevocationKind, _: &str, _: Option<u64>, _: UnixMillis) -> bool {
        false
    }
}

fn document() -> Document {
    let issuers = json!([{"issuer": OWN, "audiences": ["a"], "jwks": {"service": "postern"}}]);
    let document = json!({
        "version": 1,
        "issuer": OWN,
        "services": {"s": {"upstream": "h:1"}},
        "credentials": {"jwt": {"issuers": issuers}},
        "routes": [
            {"name": "a", "match": {"path": "/a"}, "service": "s", "auth": {"any": ["jwt"]}},
        ],
    });
    postern_document::from_json(document.to_string().as_bytes()).unwrap()
}

async fn tokens() -> AdminTokens {
    let store = Arc::new(MemoryDurableStore::new());
    let kek = KeyEncryptionKey::from_text(&"0f1e".repeat(16)).unwrap();
    let rotation = Rotation { algorithm: Algorithm::Es256, activate_after_ms: 0 };
    rotate_keys(&*store, &kek, rotation, NOW).await.unwrap();
    let ring = KeyRing::load(store, Some(kek), NOW).await.unwrap();
    let issuer = TokenIssuer::new(OWN.to_owned(), Arc::new(ring));
    let document = Current::fixed(document());
    AdminTokens::new(issuer, Arc::new(Nothing), document)
}

fn request() -> AccessTokenRequest {
    AccessTokenRequest {
        subject: "root".to_owned(),
        client_id: "web".to_owned(),
        scopes: ScopeSet::parse(ADMIN_SCOPE).unwrap(),
        lifetime_secs: 900,
        ..AccessTokenRequest::default()
    }
}

/// Why this token opens nothing; none where it does.
fn refused(tokens: &AdminTokens, request: &AccessTokenRequest) -> Option<&'static str> {
    let issued = tokens.issuer.issue(request, NOW).unwrap();
    let judged = tokens.judge(issued.token.expose().as_bytes(), NOW);
    judged.err().map(|refused| refused.denial.reason)
}

#[tokio::test]
async fn a_token_with_the_scope_opens_the_admin_api_and_others_do_not() {
    let tokens = tokens().await;
    assert_eq!(refused(&tokens, &request()), None);
    let other = AccessTokenRequest { audiences: vec!["https://a.test".to_owned()], ..request() };
    assert_eq!(refused(&tokens, &other), Some("admin_token_audience"));
    let without = AccessTokenRequest { scopes: ScopeSet::default(), ..request() };
    assert!(refused(&tokens, &without).is_some());
}

#[tokio::test]
async fn whoever_acts_for_an_administrator_is_none() {
    let tokens = tokens().await;
    let act = Delegate { subject: "batch".to_owned(), client_id: None, former: None };
    let delegated = AccessTokenRequest { act: Some(act.clone()), ..request() };
    assert_eq!(refused(&tokens, &delegated), Some("admin_token_delegated"));
    let chain = Delegate { former: Some(Box::new(act)), ..delegated.act.clone().unwrap() };
    let delegated = AccessTokenRequest { act: Some(chain), ..request() };
    assert_eq!(refused(&tokens, &delegated), Some("admin_token_delegated"));
}
