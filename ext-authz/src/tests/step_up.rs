//! Routes that ask for a second factor (RFC 9470).

use postern_store::flows::SessionRecord;

use super::sessions::{ID, SECRET, document, gateway, record, told, with_cookie};
use super::*;

const MINUTE: u64 = 60;

fn ago(secs: u64) -> UnixMillis {
    UnixMillis(NOW.0 - secs * 1000)
}

#[tokio::test]
async fn a_session_is_as_good_as_its_last_second_factor() {
    for (mfa_at, expected, reason) in [
        (None, 401, "mfa_missing"),
        (Some(ago(16 * MINUTE)), 401, "mfa_stale"),
        (Some(ago(14 * MINUTE)), 200, ""),
    ] {
        let (gateway, _) = gateway(&json!({}), SessionRecord { mfa_at, ..record() }).await;
        let request = with_cookie("GET", "/safe", &[]);
        let (status, error) = told(&gateway, &request).await;
        assert_eq!(status, expected, "{mfa_at:?}");
        if status == 200 {
            assert!(gateway.passes(&request, NOW).await.0.stepped_up);
            continue;
        }
        assert_eq!(error, "INSUFFICIENT_USER_AUTHENTICATION");
        let Answer::Deny(denial) = gateway.authorizer.check(&request, NOW).await else { panic!() };
        let challenge = denial.headers.iter().find(|(name, _)| *name == "www-authenticate");
        let challenge = &challenge.unwrap().1;
        assert!(
            challenge.starts_with("Bearer ") && challenge.contains("max_age=\"900\""),
            "{challenge}"
        );
        let outcome = reason.trim_start_matches("mfa_");
        let labels = [("route", "safe"), ("outcome", outcome)];
        assert_eq!(gateway.metric("postern_ext_authz_step_up_total", &labels), 2);
    }
}

#[tokio::test]
async fn a_browser_is_sent_to_authenticate_again() {
    let (gateway, _) = gateway(&json!({}), record()).await;
    let (status, to) =
        told(&gateway, &with_cookie("GET", "/safe", &[("accept", "text/html")])).await;
    let expected = "https://a.test/login?return_to=%2Fsafe&acr_values=urn%3Apostern%3Aacr%3A2\
                    &max_age=900";
    assert_eq!((status, to.as_str()), (302, expected));
    let labels = [("route", "safe")];
    assert_eq!(gateway.metric("postern_ext_authz_login_redirects_total", &labels), 1);
}

#[tokio::test]
async fn a_token_says_itself_how_its_subject_has_authenticated() {
    let (gateway, _) = gateway(&json!({}), record()).await;
    let now = NOW.as_secs();
    for (claims, expected) in [
        (json!({}), 401),
        (json!({"amr": ["pwd"], "auth_time": now}), 401),
        (json!({"amr": ["pwd", "mfa"]}), 401),
        (json!({"amr": ["pwd", "mfa"], "auth_time": now - 901}), 401),
        (json!({"amr": ["pwd", "mfa"], "auth_time": now - 900}), 200),
        (json!({"amr": ["pwd", "mfa"], "auth_time": now + 3600}), 401),
        // A class of ours means nothing in what others sign.
        (json!({"acr": "urn:postern:acr:2", "auth_time": now}), 401),
    ] {
        let bearer = format!("Bearer {}", token(&claims));
        // A page's script, or a program: nothing to redirect, though the route has `login`.
        let headers = [("authorization", bearer.as_str()), ("accept", "text/html")];
        let (status, _) = told(&gateway, &request("GET", "/safe", &headers)).await;
        assert_eq!(status, expected, "{claims}");
    }
}

#[tokio::test]
async fn a_class_of_ours_counts_in_our_own_access_tokens_alone() {
    let text = json!({
        "version": 1, "issuer": ISSUER,
        "services": {"s": {"upstream": "h:1"}},
        "credentials": {"jwt": {"issuers": [
            {"issuer": ISSUER, "audiences": ["gateway"], "jwks": {"inline": JWKS}}]}},
        "routes": [{"name": "safe", "match": {"path": "/safe"}, "service": "s",
                    "auth": {"any": ["jwt"], "mfa": "required"}}],
    });
    let document = postern_document::from_json(text.to_string().as_bytes()).unwrap();
    let gateway = Gateway::of(document, memory(), |_| {});
    let status = async |typ: &str, acr: &str| {
        let claims = json!({
            "iss": ISSUER, "aud": "gateway", "sub": "alice", "exp": NOW.as_secs() + 3600,
            "acr": acr,
        });
        let token = signed(&json!({"alg": "RS256", "kid": "rsa", "typ": typ}), &claims);
        let bearer = format!("Bearer {token}");
        told(&gateway, &request("GET", "/safe", &[("authorization", &bearer)])).await
    };
    assert_eq!(status("at+jwt", "urn:postern:acr:2").await.0, 200);
    let refused = (401, "INSUFFICIENT_USER_AUTHENTICATION".to_owned());
    assert_eq!(status("at+jwt", "urn:postern:acr:1").await, refused);
    // Which is what an ID token looks like.
    let refused = (401, "INVALID_TOKEN".to_owned());
    assert_eq!(status("JWT", "urn:postern:acr:2").await, refused);
}

#[test]
fn what_the_tests_show_is_what_the_document_takes() {
    let session = document(&json!({})).session.unwrap();
    assert_eq!(session.name, "__Host-postern");
    assert_eq!((ID.len(), SECRET.len()), (36, 43));
}
