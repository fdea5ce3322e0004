//! Callers by the cookie of a session.

use postern_request::ErrorCode;
use postern_request::principal::Credential;
use postern_store::StoreError;
use postern_store::durable::SecretHash;
use postern_store::flows::SessionRecord;
use sha2::{Digest as _, Sha256};

use super::*;

pub(super) const ID: &str = "f47ac10b-58cc-4372-a567-0e02b2c3d479";
pub(super) const SECRET: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNO-_";

/// Routes that take sessions, of a suite at `https://a.test`.
pub(super) fn document(login: &Value) -> Document {
    let mut login = login.clone();
    login["roles"] = json!({"user": {}});
    let issuers = json!([{"issuer": ISSUER, "audiences": ["gateway"], "jwks": {"inline": JWKS}}]);
    let route = |path: &str, auth: Value| json!({"name": path, "match": {"path": format!("/{path}")}, "service": "s", "auth": auth});
    let document = json!({
        "version": 1,
        "issuer": "https://a.test",
        "oauth": {}, "login": login,
        "services": {"s": {"upstream": "h:1"}},
        "credentials": {"jwt": {"issuers": issuers, "advertise": true},
                        "session": {}, "api_key": {}},
        "routes": [
            route("api", json!({"any": ["jwt", "session"]})),
            route("page", json!({"any": ["session"], "login": true})),
            route("scoped", json!({"any": ["session"], "login": true, "scopes": ["write"]})),
            route("open", json!({"any": ["session"], "optional": true})),
            route("safe", json!({"any": ["jwt", "session"], "login": true, "mfa": "within 15m"})),
            route("keyed", json!({"any": ["api_key", "session"]})),
            route("tokens", json!({"any": ["jwt"]})),
        ],
    });
    let document = postern_document::from_json(document.to_string().as_bytes());
    document.unwrap_or_else(|problems| panic!("{problems:?}"))
}

pub(super) fn record() -> SessionRecord {
    SessionRecord {
        id: ID.to_owned(),
        user_id: "alice".to_owned(),
        created_at: NOW,
        last_used: NOW,
        authenticated_at: NOW,
        mfa_at: None,
        methods: vec!["pwd".to_owned()],
        device_id: None,
        fingerprint: None,
        client_id: None,
        scopes: vec!["read".to_owned()],
        parent: None,
        secret: Some(SecretHash(Sha256::digest(SECRET.as_bytes()).into())),
        person: br#"{"role":"user"}"#.to_vec(),
        remember: false,
        idle_ms: 3_600_000,
        ends_at: UnixMillis(NOW.0 + 7_200_000),
    }
}

/// A gateway whose store has one session.
pub(super) async fn gateway(
    login: &Value,
    record: SessionRecord,
) -> (Gateway, Arc<MemoryFlowStore>) {
    let flows = Arc::new(MemoryFlowStore::default());
    flows.start_session(&record, NOW).await.unwrap();
    let port: Arc<dyn FlowStore> = Arc::<MemoryFlowStore>::clone(&flows);
    let gateway = Gateway::of(document(login), memory(), |parts| {
        parts.sessions = Sessions::new(Arc::clone(&port));
        parts.touched = Arc::new(Touched::new(port, None, parts.metrics.clone()));
    });
    (gateway, flows)
}

pub(super) fn cookie() -> String {
    format!("a=1; __Host-postern={ID}.{SECRET}")
}

pub(super) fn with_cookie(method: &str, path: &str, more: &[(&str, &str)]) -> Incoming {
    let cookie = cookie();
    let mut headers = vec![("cookie", cookie.as_str())];
    headers.extend_from_slice(more);
    request(method, path, &headers)
}

/// Status, `error` or `location`.
pub(super) async fn told(gateway: &Gateway, request: &Incoming) -> (u16, String) {
    match gateway.authorizer.check(request, NOW).await {
        Answer::Allow { evidence, .. } => {
            (200, evidence.principal.map(|known| known.subject).unwrap_or_default())
        }
        Answer::Deny(denial) if denial.status == 302 => {
            assert!(denial.body.is_empty());
            assert!(denial.headers.contains(&("cache-control", "no-store".to_owned())));
            let location = denial.headers.iter().find(|(name, _)| *name == "location");
            (302, location.unwrap().1.clone())
        }
        Answer::Deny(denial) => {
            let body: Value = serde_json::from_str(&denial.body).unwrap();
            (denial.status, body["error"].as_str().unwrap().to_owned())
        }
    }
}

#[tokio::test]
async fn a_session_says_who_calls() {
    let (gateway, _) = gateway(&json!({}), record()).await;
    let (evidence, _) = gateway.passes(&with_cookie("GET", "/api", &[]), NOW).await;
    let principal = evidence.principal.unwrap();
    assert_eq!(
        (principal.subject.as_str(), principal.issuer.as_str()),
        ("alice", "https://a.test")
    );
    assert_eq!((principal.session.as_deref(), principal.role.as_deref()), (Some(ID), Some("user")));
    assert_eq!((principal.credential, evidence.stepped_up), (Credential::Session, false));
    gateway.passes(&with_cookie("GET", "/api", &[]), NOW).await;
    for outcome in ["found", "cached"] {
        let labels = [("outcome", outcome)];
        assert_eq!(gateway.metric("postern_ext_authz_sessions_total", &labels), 1, "{outcome}");
    }
}

#[tokio::test]
async fn a_cookie_that_opens_nothing_is_refused_unless_something_better_follows() {
    let (gateway, _) = gateway(&json!({}), record()).await;
    let own = format!("__Host-postern={ID}.{SECRET}");
    let page = [("accept", "text/html")];
    for cookie in [
        own.replace("f47", "a47"),
        own.replace("abc", "abd"),
        own.replace('.', ""),
        format!("{own}; {own}"),
        "__Host-postern=".to_owned(),
        format!("__Host-postern={}", "x".repeat(50_000)),
    ] {
        let to = |path: &str, more: &[(&str, &str)]| {
            let headers = [&[("cookie", cookie.as_str())][..], more].concat();
            request("GET", path, &headers)
        };
        let shown: String = cookie.chars().take(60).collect();
        let refused = (401, "INVALID_TOKEN".to_owned());
        assert_eq!(told(&gateway, &to("/api", &[])).await, refused, "{shown}");
        assert_eq!(told(&gateway, &to("/open", &[])).await, (200, String::new()), "{shown}");
        let refused = (401, "UNAUTHORIZED".to_owned());
        assert_eq!(told(&gateway, &to("/page", &[])).await, refused, "{shown}");
        let sent = told(&gateway, &to("/page", &page)).await;
        assert_eq!(sent, (302, "https://a.test/login?return_to=%2Fpage".to_owned()), "{shown}");
    }
    let none = request("GET", "/api", &[("cookie", "a=1; postern=x")]);
    assert_eq!(told(&gateway, &none).await, (401, "UNAUTHORIZED".to_owned()));
}

#[tokio::test]
async fn tokens_and_keys_come_before_sessions_and_are_never_passed_over() {
    let (gateway, _) = gateway(&json!({}), record()).await;
    let bob = format!("Bearer {}", token(&json!({"sub": "bob"})));
    let refused = (401, "INVALID_TOKEN".to_owned());
    for (path, more, expected) in [
        ("/api", ("authorization", bob.as_str()), (200, "bob".to_owned())),
        ("/api", ("authorization", "Bearer x"), refused.clone()),
        ("/keyed", ("x-api-key", "pk_no_key"), refused),
        ("/keyed", ("accept", "*/*"), (200, "alice".to_owned())),
        // Where the route takes no sessions, the cookie is not looked at.
        ("/tokens", ("accept", "*/*"), (401, "UNAUTHORIZED".to_owned())),
    ] {
        let answer = told(&gateway, &with_cookie("GET", path, &[more])).await;
        assert_eq!(answer, expected, "{path} {more:?}");
    }
}

#[tokio::test]
async fn another_site_changes_nothing_with_somebodys_cookie() {
    let (gateway, _) = gateway(&json!({}), record()).await;
    let passed = (200, "alice".to_owned());
    let refused = (403, "FORBIDDEN".to_owned());
    for (method, more, expected) in [
        ("POST", ("sec-fetch-site", "same-origin"), &passed),
        ("POST", ("sec-fetch-site", "cross-site"), &refused),
        ("DELETE", ("origin", "https://a.test"), &passed),
        ("DELETE", ("origin", "https://evil.test"), &refused),
        ("POST", ("accept", "*/*"), &refused),
        ("GET", ("upgrade", "websocket"), &refused),
        ("GET", ("sec-fetch-site", "cross-site"), &passed),
    ] {
        let answer = told(&gateway, &with_cookie(method, "/api", &[more])).await;
        assert_eq!(answer, *expected, "{method} {more:?}");
    }
    // It is nobody's cookie either, so that a form of another site tells nothing apart.
    let page = [("accept", "text/html"), ("origin", "https://evil.test")];
    assert_eq!(told(&gateway, &with_cookie("POST", "/page", &page)).await, refused);
    let reason = gateway.reason(&with_cookie("POST", "/api", &[])).await;
    assert_eq!(reason, "session_cross_site");
}

#[tokio::test]
async fn what_a_session_may_not_do_is_told_and_nobody_is_sent_to_log_in_for_it() {
    let (gateway, _) = gateway(&json!({}), record()).await;
    let page = with_cookie("GET", "/scoped", &[("accept", "text/html")]);
    assert_eq!(told(&gateway, &page).await, (403, "INSUFFICIENT_SCOPE".to_owned()));
}

#[tokio::test]
async fn the_answer_says_where_the_authorization_server_is() {
    let (gateway, _) = gateway(&json!({}), record()).await;
    let Answer::Deny(denial) = gateway.authorizer.check(&request("GET", "/api", &[]), NOW).await
    else {
        panic!("nobody passes")
    };
    let challenge = denial.headers.iter().find(|(name, _)| *name == "www-authenticate");
    let metadata = "resource_metadata=\"https://a.test/.well-known/oauth-protected-resource\"";
    assert!(challenge.unwrap().1.ends_with(metadata), "{challenge:?}");
}

/// Knows of one session that it has ended.
struct Ended;

impl Revoked for Ended {
    fn check(
        &self,
        _: &Document,
        _: &postern_jose::VerifiedToken,
        _: UnixMillis,
    ) -> Result<(), Denial> {
        Ok(())
    }

    fn check_named(&self, _: &Document, named: Named<'_>, _: UnixMillis) -> Result<(), Denial> {
        let authenticated_at = NOW.as_secs();
        assert_eq!(named, Named::Session { id: ID, subject: "alice", authenticated_at });
        Err(Denial::new(ErrorCode::TokenRevoked, "token_revoked"))
    }
}

#[tokio::test]
async fn a_session_that_was_ended_is_none_at_once() {
    let (mut gateway, _) = gateway(&json!({}), record()).await;
    let request = with_cookie("GET", "/api", &[]);
    assert_eq!(told(&gateway, &request).await.0, 200);
    gateway.authorizer.parts.revoked = Arc::new(Ended);
    assert_eq!(told(&gateway, &request).await, (401, "INVALID_TOKEN".to_owned()));
    let count = gateway.metric("postern_ext_authz_sessions_total", &[("outcome", "revoked")]);
    assert_eq!(count, 1);
    assert_eq!(gateway.reason(&request).await, "session_unknown");
}

#[tokio::test]
async fn where_nobody_can_look_sessions_up_nobody_says_who_calls() {
    struct Unreachable;
    impl Revoked for Unreachable {
        fn check(
            &self,
            _: &Document,
            _: &postern_jose::VerifiedToken,
            _: UnixMillis,
        ) -> Result<(), Denial> {
            Ok(())
        }

        fn check_named(&self, _: &Document, _: Named<'_>, _: UnixMillis) -> Result<(), Denial> {
            Err(Denial::unavailable("revocation_stale", 1))
        }
    }
    let (mut gateway, _) = gateway(&json!({}), record()).await;
    gateway.authorizer.parts.revoked = Arc::new(Unreachable);
    for path in ["/api", "/open", "/page"] {
        let answer = told(&gateway, &with_cookie("GET", path, &[])).await;
        assert_eq!(answer, (503, "UNAVAILABLE".to_owned()), "{path}");
    }
    // A record that cannot be read is no session that nobody knows.
    let corrupt = SessionRecord { person: Vec::new(), ..record() };
    let (gateway, flows) = super::sessions::gateway(&json!({}), corrupt).await;
    let answer = told(&gateway, &with_cookie("GET", "/open", &[])).await;
    assert_eq!(answer, (503, "UNAVAILABLE".to_owned()));
    assert_eq!(gateway.reason(&with_cookie("GET", "/api", &[])).await, "sessions_unavailable");
    assert!(matches!(flows.start_session(&record(), NOW).await, Err(StoreError::Conflict)));
    // Who shows no cookie is nobody, whatever the store says.
    assert_eq!(told(&gateway, &request("GET", "/open", &[])).await, (200, String::new()));
}

#[tokio::test]
async fn another_browser_with_the_same_cookie_is_judged_as_the_document_says() {
    let agent = [("user-agent", "Browser/1")];
    let other = [("user-agent", "Other/2"), ("accept", "text/html")];
    for (on_change, api, page) in [
        ("log", (200, "alice".to_owned()), 200),
        ("ask_mfa", (401, "INSUFFICIENT_USER_AUTHENTICATION".to_owned()), 302),
        ("end", (401, "INVALID_TOKEN".to_owned()), 302),
    ] {
        let login = json!({"fingerprint": ["user_agent"], "on_change": on_change});
        let rules = document(&login).login.unwrap().fingerprint;
        let browser = postern_document::Browser { user_agent: "Browser/1", ..Default::default() };
        let fingerprint = rules.of(SECRET, &browser);
        assert!(fingerprint.is_some());
        let (gateway, _) = gateway(&login, SessionRecord { fingerprint, ..record() }).await;
        assert_eq!(told(&gateway, &with_cookie("GET", "/api", &agent)).await.0, 200);
        assert_eq!(told(&gateway, &with_cookie("GET", "/api", &other)).await, api, "{on_change}");
        let answer = told(&gateway, &with_cookie("GET", "/page", &other)).await;
        assert_eq!(answer.0, page, "{on_change}");
        assert_eq!(told(&gateway, &with_cookie("GET", "/api", &agent)).await.0, 200);
    }
}

#[tokio::test]
async fn what_passed_has_used_its_session_and_what_did_not_has_not() {
    let (gateway, flows) = gateway(&json!({}), record()).await;
    let later = UnixMillis(NOW.0 + 3_000);
    gateway.status(&with_cookie("POST", "/api", &[]), later).await;
    gateway.authorizer.parts.touched.write(later).await;
    let kept = flows.find_session(ID, later).await.unwrap().unwrap();
    assert_eq!(kept.last_used, NOW, "refused");
    gateway.status(&with_cookie("GET", "/api", &[]), later).await;
    gateway.authorizer.parts.touched.write(later).await;
    let kept = flows.find_session(ID, later).await.unwrap().unwrap();
    assert_eq!(kept.last_used, later);
}
