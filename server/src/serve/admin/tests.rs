use axum::body::Body;
use axum::http::Request as HttpRequest;
use axum::http::header;
use clap::Parser as _;
use postern_document::{Current, Document};
use postern_jose::base64url;
use postern_request::UnixMillis;
use postern_revocation::{Revocation, RevocationKind};
use postern_store::bus::{LocalBus, RevocationBus, Wakeup, Wakeups};
use postern_store::durable::NewRevocation;
use postern_store::durable::memory::MemoryDurableStore;
use postern_store::{IdentityStore, MemoryStore};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::*;
use crate::cli::{Cli, Command, Serve};
use crate::serve::{discovery, in_use, services};

const SECRET: &str = "f6e5d4c3b2a190817263544536271809";
const OWN: &str = "https://own.test";
const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

struct Fixture {
    folder: tempfile::TempDir,
    store: Arc<dyn IdentityStore>,
    bus: Arc<LocalBus>,
    registry: MetricsRegistry,
    discovery: Option<Arc<Discovery>>,
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), format!("{SECRET}\n")).unwrap();
        Self {
            folder,
            store: Arc::new(MemoryDurableStore::new()),
            bus: Arc::new(LocalBus::default()),
            registry: MetricsRegistry::new("test", std::time::Instant::now()).unwrap(),
            discovery: None,
        }
    }

    /// What `postern serve` with these options serves.
    fn arguments(&self, options: &[&str]) -> Serve {
        let file = self.folder.path().join("token").display().to_string();
        let options = options.iter().map(|option| option.replace("FILE", &file));
        let words = ["postern", "serve", "gateway.yaml"].map(str::to_owned).into_iter();
        match Cli::try_parse_from(words.chain(options)).unwrap().command {
            Command::Serve(serve) => *serve,
            other => panic!("{other:?}"),
        }
    }

    fn build(&self, options: &[&str], with_store: bool) -> Result<Option<Router>> {
        let arguments = self.arguments(options);
        let bus: Arc<dyn RevocationBus> = Arc::<LocalBus>::clone(&self.bus);
        let stores = with_store.then(|| (Arc::clone(&self.store), bus));
        let counting = Counting {
            document: Current::fixed(document()),
            rules: None,
            store: Arc::new(MemoryStore::default()),
            busy: Vec::new(),
        };
        let beside = Beside { discovery: self.discovery.as_ref(), ..Beside::default() };
        build(&arguments, counting, stores, beside, None, &self.registry)
    }

    fn router(&self) -> Router {
        self.build(&["--admin-token-file", "FILE"], true).unwrap().unwrap()
    }

    fn count(&self, outcome: &str) -> f64 {
        let text = self.registry.encode(std::time::Instant::now()).unwrap();
        let start = format!("postern_admin_requests_total{{outcome=\"{outcome}\"");
        let line = text.lines().find(|line| line.starts_with(&start));
        line.and_then(|line| line.rsplit(' ').next()).map_or(0.0, |value| value.parse().unwrap())
    }

    fn wakeups(&self) -> Wakeups {
        self.bus.subscribe()
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

async fn send(router: &Router, request: HttpRequest<Body>) -> Answer {
    let response = router.clone().oneshot(request).await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    Answer { status, headers, body: serde_json::from_slice(&body).unwrap_or_default() }
}

fn request(method: &str, target: &str, body: impl Into<Body>) -> HttpRequest<Body> {
    HttpRequest::builder()
        .method(method)
        .uri(target)
        .header(header::AUTHORIZATION, format!("Bearer {SECRET}"))
        .body(body.into())
        .unwrap()
}

async fn post(router: &Router, body: impl Into<Body>) -> Answer {
    send(router, request("POST", "/admin/revocations", body)).await
}

async fn list(router: &Router, query: &str) -> Answer {
    send(router, request("GET", &format!("/admin/revocations{query}"), "")).await
}

#[tokio::test]
async fn what_is_revoked_is_committed_told_and_listed() {
    let fixture = Fixture::new();
    let (router, mut wakeups) = (fixture.router(), fixture.wakeups());
    assert_eq!(wakeups.next().await, Some(Wakeup::Connected));
    let answer = post(&router, r#"{"kind":"subject","value":"alice","reason":"left"}"#).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
    assert!(answer.headers.contains_key("x-correlation-id"));
    let data = &answer.body["data"];
    assert_eq!(answer.body["success"], true);
    assert_eq!((&data["kind"], &data["value"]), (&json!("subject"), &json!("alice")));
    assert_eq!((&data["issuer"], &data["sequence"]), (&json!(OWN), &json!(1)));
    assert_eq!((&data["announced"], &data["issuer_known"]), (&json!(true), &json!(true)));
    let issued_before = data["issued_before"].as_u64().unwrap();
    let until = data["remembered_until"].as_u64().unwrap();
    assert_eq!(until - issued_before, 30 * 86_400 - 1);
    assert_eq!(wakeups.next().await, Some(Wakeup::News(1)), "the loader of this server too");

    let body = r#"{"kind":"session","value":"s","issuer":"https://other.test","remember":"1h"}"#;
    let answer = post(&router, body).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.body["data"]["issuer_known"], false);
    assert_eq!(fixture.count("revoked"), 2.0);

    let answer = list(&router, "").await;
    assert_eq!(answer.status, 200);
    let entries = answer.body["data"].as_array().unwrap();
    assert_eq!(entries.len(), 2);
    assert_eq!((&entries[0]["value"], &entries[0]["reason"]), (&json!("alice"), &json!("left")));
    assert_eq!(
        (&entries[1]["kind"], &entries[1]["issued_before"]),
        (&json!("session"), &json!(null))
    );
    let expected = json!({"after": 0, "limit": 20, "total": 2, "next": null});
    assert_eq!(answer.body["meta"]["pagination"], expected);
    assert_eq!(fixture.count("listed"), 1.0);
}

/// Whoever comes in by a token is not whoever has the credential.
#[tokio::test]
async fn what_is_revoked_is_written_down_with_who_asked_for_it() {
    let fixture = Fixture::new();
    let admin = Arc::new(Admin {
        credential: None,
        tokens: None,
        denied: None,
        metrics: Metrics::new(&fixture.registry).unwrap(),
        clock: Arc::new(|| NOW),
    });
    let bus: Arc<dyn RevocationBus> = Arc::<LocalBus>::clone(&fixture.bus);
    let stores = (Arc::clone(&fixture.store), bus);
    let by = Actor::of_token("alice", None);
    let caller = Caller { by, correlation_id: "id".to_owned(), remote: None };
    let routes = revocations::routes(admin, stores, Current::fixed(document()));
    let router = routes.layer(axum::Extension(caller));
    assert_eq!(post(&router, r#"{"kind":"key","value":"k"}"#).await.status, 201);
    let log = fixture.store.audit_since(0, 10).await.unwrap();
    assert_eq!((log.len(), log[0].entry.actor.as_str()), (1, "subject:alice"));
}

#[tokio::test]
async fn a_token_is_revoked_by_itself() {
    let fixture = Fixture::new();
    let router = fixture.router();
    let part = |json: Value| base64url::encode(json.to_string().as_bytes());
    let header = part(json!({"alg": "ES256", "typ": "at+jwt"}));
    let claims = part(json!({"iss": OWN, "sub": "alice", "exp": 4_000_000_000_u64, "jti": "t-1"}));
    let token = format!("{header}.{claims}.c2ln");
    let answer = post(&router, json!({"token": token}).to_string()).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    let data = &answer.body["data"];
    assert_eq!((&data["kind"], &data["value"]), (&json!("token"), &json!("t-1")));
    assert_eq!(data["remembered_until"], 4_000_003_600_u64);
}

#[tokio::test]
async fn a_list_is_read_page_by_page() {
    let fixture = Fixture::new();
    let router = fixture.router();
    let new = |value: String| NewRevocation {
        revocation: Revocation::at(100, RevocationKind::Key, OWN, value, 4_000_000_000).unwrap(),
        created_at: NOW,
        reason: None,
    };
    let all: Vec<NewRevocation> = (0..25).map(|number: u8| new(number.to_string())).collect();
    fixture.store.revoke(all).await.unwrap();
    let (mut after, mut values) = (json!(0), Vec::new());
    while !after.is_null() {
        let answer = list(&router, &format!("?after={after}&limit=10")).await;
        let page = answer.body["data"].as_array().unwrap();
        values.extend(page.iter().map(|entry| entry["value"].as_str().unwrap().to_owned()));
        let pagination = &answer.body["meta"]["pagination"];
        assert_eq!(pagination["total"], 25);
        after = pagination["next"].clone();
    }
    let expected: Vec<String> = (0..25).map(|number: u8| number.to_string()).collect();
    assert_eq!(values, expected);
    let answer = list(&router, "?limit=1000").await;
    assert_eq!((answer.status, &answer.body["error"]), (400, &json!("BAD_REQUEST")));
}

#[tokio::test]
async fn what_makes_no_sense_revokes_nothing_and_says_why() {
    let fixture = Fixture::new();
    let router = fixture.router();
    for (body, status, error) in [
        ("{".to_owned(), 400, "BAD_REQUEST"),
        (r#"{"kind":"user","value":"secret"}"#.to_owned(), 400, "BAD_REQUEST"),
        (r#"{"kind":"key","value":"v","secret":"x"}"#.to_owned(), 400, "BAD_REQUEST"),
        (r#"{"token":"secret"}"#.to_owned(), 400, "BAD_REQUEST"),
        (format!(r#"{{"kind":"key","value":"{}"}}"#, "v".repeat(17_000)), 413, "PAYLOAD_TOO_LARGE"),
    ] {
        let answer = post(&router, body).await;
        assert_eq!((answer.status, answer.body["error"].as_str()), (status, Some(error)));
        assert!(answer.body["correlation_id"].is_string() && answer.body["timestamp"].is_string());
        let described = answer.body["error_description"].as_str().unwrap();
        assert!(!described.contains("secret"), "{described}");
    }
    let answer = send(&router, request("DELETE", "/admin/revocations", "")).await;
    assert_eq!(answer.status, 405);
    assert!(answer.headers.contains_key(header::ALLOW));
    assert_eq!(fixture.count("invalid"), 6.0);
    assert_eq!(fixture.store.count_revocations(UnixMillis(0)).await.unwrap(), 0);
}

#[tokio::test]
async fn nobody_comes_in_without_the_credential() {
    let fixture = Fixture::new();
    let router = fixture.router();
    let body = r#"{"kind":"key","value":"v"}"#;
    let with = |values: &[&str]| {
        let mut request = request("POST", "/admin/revocations", body);
        request.headers_mut().remove(header::AUTHORIZATION);
        for value in values {
            request.headers_mut().append(header::AUTHORIZATION, value.parse().unwrap());
        }
        request
    };
    let right = format!("Bearer {SECRET}");
    for (values, error) in [
        (&[][..], "UNAUTHORIZED"),
        (&["Bearer f6e5d4c3"][..], "INVALID_TOKEN"),
        (&["Bearer F6E5D4C3B2A190817263544536271809"][..], "INVALID_TOKEN"),
        (&["Basic f6e5d4c3b2a190817263544536271809"][..], "INVALID_TOKEN"),
        (&["DPoP f6e5d4c3b2a190817263544536271809"][..], "INVALID_TOKEN"),
        (&[right.as_str(), right.as_str()][..], "INVALID_TOKEN"),
    ] {
        let answer = send(&router, with(values)).await;
        assert_eq!((answer.status, answer.body["error"].as_str()), (401, Some(error)));
        assert!(answer.headers.contains_key(header::WWW_AUTHENTICATE), "{values:?}");
    }
    assert_eq!(fixture.count("unauthenticated"), 6.0);
    assert_eq!(fixture.store.count_revocations(UnixMillis(0)).await.unwrap(), 0);
    assert_eq!(send(&router, with(&[right.as_str()])).await.status, 201);
}

#[tokio::test]
async fn what_it_takes_is_there_or_there_is_no_api() {
    let fixture = Fixture::new();
    let file = ["--admin-token-file", "FILE"];
    let other_roles = ["--admin-token-file", "FILE", "--roles", "decide,message"];
    for (options, with_store) in [(&[][..], true), (&[][..], false), (&other_roles[..], true)] {
        assert!(fixture.build(options, with_store).unwrap().is_none(), "{options:?}");
    }
    // Without a store there is nothing to revoke in; limits have one all the same.
    let without_store = fixture.build(&file, false).unwrap().unwrap();
    assert_eq!(list(&without_store, "").await.status, 404);
    let top = send(&without_store, request("GET", "/admin/limits/top", "")).await;
    assert_eq!((top.status, &top.body), (200, &json!({"keys": []})));
    std::fs::write(fixture.folder.path().join("token"), "short").unwrap();
    let error = format!("{:#}", fixture.build(&file, true).unwrap_err());
    assert!(error.contains("--admin-token-file") && !error.contains("short"), "{error}");
}

#[tokio::test]
async fn envoys_that_are_told_what_they_run_can_be_looked_at() {
    let mut fixture = Fixture::new();
    let none = send(&fixture.router(), request("GET", "/admin/xds", "")).await;
    assert_eq!(none.status, 404, "this server tells nobody");
    let registry = MetricsRegistry::new("test", std::time::Instant::now()).unwrap();
    let needs = discovery::Needs {
        arguments: &fixture.arguments(&["--roles", "discovery"]),
        kept: &in_use::testing::kept(document()),
        services: &services::testing::in_memory(&registry),
        registry: &registry,
        drain: &postern_telemetry::Drain::new(std::time::Duration::ZERO),
    };
    fixture.discovery = discovery::build(&needs).unwrap();
    let fixture = Fixture { registry, ..fixture };
    let router = fixture.router();
    let empty = send(&router, request("GET", "/admin/xds", "")).await;
    assert_eq!((empty.status, &empty.body), (200, &json!({"success": true, "data": []})));
    assert_eq!(send(&router, request("GET", "/admin/xds?id=1", "")).await.status, 400);
    assert_eq!(send(&router, request("POST", "/admin/xds", "")).await.status, 405);
    let stranger = HttpRequest::builder().uri("/admin/xds").body(Body::empty()).unwrap();
    assert_eq!(send(&router, stranger).await.status, 401);
}
