use std::time::Instant;

use axum::body::Body;
use axum::http::{Request, header};
use axum::middleware;
use postern_store::BusyKeys;
use postern_telemetry::MetricsRegistry;
use tower::ServiceExt as _;

use super::*;
use crate::counts::testing::{Gateway, ISSUER, NOW, bearer, get as request, holder};
use crate::serve::admin::credential::AdminCredential;
use crate::serve::admin::metrics::Metrics;

const SECRET: &str = "f6e5d4c3b2a190817263544536271809";
const RULES: &str = "
domain: shop
descriptors:
  - key: user
    rate_limit: {unit: hour, requests_per_unit: 5}
";

/// The API of a server that counts.
struct Fixture {
    gateway: Gateway,
    router: Router,
    registry: MetricsRegistry,
}

fn busy(keys: &[(&str, u64)]) -> Busy {
    let list = BusyKeys::default();
    for (key, times) in keys {
        (0..*times).for_each(|_| list.note([*key]));
    }
    Arc::new(move |most| list.top(most))
}

impl Fixture {
    fn new(rules: Option<Arc<Configuration>>) -> Self {
        let gateway = Gateway::new();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, SECRET).unwrap();
        let registry = MetricsRegistry::new("test", Instant::now()).unwrap();
        let admin = Arc::new(Admin {
            credential: Some(AdminCredential::from_file(&file).unwrap()),
            tokens: None,
            denied: None,
            metrics: Metrics::new(&registry).unwrap(),
            clock: Arc::new(|| NOW),
        });
        let counting = Counting {
            document: gateway.document.clone(),
            rules,
            store: Arc::clone(&gateway.store),
            busy: vec![
                ("ext_authz", busy(&[("user: alice", 3), ("user: bob", 1)])),
                ("rate_limit", busy(&[("shop: user=carol", 2)])),
            ],
        };
        let authenticate =
            middleware::from_fn_with_state(Arc::clone(&admin), super::super::authenticate);
        let router = routes(admin, counting).route_layer(authenticate);
        Self { gateway, router, registry }
    }

    /// Status and body of the answer.
    async fn ask(&self, method: &str, target: &str) -> (u16, Value) {
        let request = Request::builder()
            .method(method)
            .uri(target)
            .header(header::AUTHORIZATION, format!("Bearer {SECRET}"))
            .body(Body::empty())
            .unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        assert!(response.headers().contains_key("x-correlation-id"), "{target}");
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    fn count(&self, outcome: &str) -> f64 {
        let text = self.registry.encode(Instant::now()).unwrap();
        let start = format!("postern_admin_requests_total{{outcome=\"{outcome}\"");
        let line = text.lines().find(|line| line.starts_with(&start));
        line.and_then(|line| line.rsplit(' ').next()).map_or(0.0, |value| value.parse().unwrap())
    }
}

#[tokio::test]
async fn a_limit_is_inspected_and_reset() {
    let fixture = Fixture::new(None);
    let alice = bearer(&json!({"sub": "alice smith"}));
    fixture.gateway.send(&request("/user", "192.0.2.1", &[("authorization", &alice)])).await;
    let target = format!("/admin/limits?limit=user&part=claim.sub%3Dalice+smith&issuer={ISSUER}");
    let (status, body) = fixture.ask("GET", &target).await;
    assert_eq!((status, &body["success"]), (200, &json!(true)), "{body}");
    let data = &body["data"];
    assert_eq!((&data["limit"], &data["used"]), (&json!("user"), &json!(1)));
    assert_eq!((&data["remaining"], &data["counted"]), (&json!(4), &json!(true)));

    for forgotten in [true, false] {
        let (status, body) = fixture.ask("DELETE", &target).await;
        assert_eq!((status, &body["data"]["forgotten"]), (200, &json!(forgotten)));
    }
    let (_, body) = fixture.ask("GET", &target).await;
    assert_eq!(body["data"]["counted"], false);
    assert_eq!((fixture.count("inspected"), fixture.count("reset")), (2.0, 2.0));
}

#[tokio::test]
async fn a_leased_limit_is_too() {
    let fixture = Fixture::new(None);
    let target = format!("/admin/limits?limit=shared&part=claim.sub%3Dalice&issuer={ISSUER}");
    assert_eq!(fixture.ask("GET", &target).await.1["data"]["counted"], false);
    assert_eq!(fixture.gateway.lend(Some(&holder("alice", None)), 1, 30).await, 30);
    let (status, body) = fixture.ask("GET", &target).await;
    let data = &body["data"];
    assert_eq!((status, &data["used"], &data["remaining"]), (200, &json!(30), &json!(970)));
    for forgotten in [true, false] {
        let (status, body) = fixture.ask("DELETE", &target).await;
        assert_eq!((status, &body["data"]["forgotten"]), (200, &json!(forgotten)));
    }
    assert_eq!(fixture.ask("GET", &target).await.1["data"]["counted"], false);
}

#[tokio::test]
async fn descriptors_are_looked_up_where_there_is_a_service() {
    let target = "/admin/limits?domain=shop&entry=user%3Dalice";
    let without = Fixture::new(None).ask("GET", target).await;
    assert_eq!(without.0, 400);
    assert!(without.1["error_description"].as_str().unwrap().contains("no rate limit service"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.yaml");
    std::fs::write(&file, RULES).unwrap();
    let rules = Configuration::load(&file, false).unwrap();
    let fixture = Fixture::new(Some(Arc::new(rules)));
    let (status, body) = fixture.ask("GET", target).await;
    assert_eq!((status, &body["data"]["limit"]), (200, &json!("shop.user")), "{body}");
    assert_eq!(fixture.ask("DELETE", target).await.1["data"]["forgotten"], false);
}

#[tokio::test]
async fn who_is_busiest_comes_first_whoever_counts() {
    let fixture = Fixture::new(None);
    let (status, body) = fixture.ask("GET", "/admin/limits/top?n=2").await;
    assert_eq!(status, 200);
    let expected = json!({"keys": [
        {"key": "user: alice", "count": 3, "error": 0, "source": "ext_authz"},
        {"key": "shop: user=carol", "count": 2, "error": 0, "source": "rate_limit"},
    ]});
    assert_eq!(body, expected);
    assert_eq!(fixture.ask("GET", "/admin/limits/top").await.1["keys"][2]["key"], "user: bob");
    assert_eq!(fixture.count("listed"), 2.0);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_and_not_repeated() {
    let fixture = Fixture::new(None);
    for (method, target, status) in [
        ("GET", "/admin/limits", 400),
        ("GET", "/admin/limits?limit=sekrit", 400),
        ("DELETE", "/admin/limits?limit=user&part=sekrit%3D1", 400),
        ("DELETE", "/admin/limits?limit=near&part=ip%3D192.0.2.1", 400),
        ("GET", "/admin/limits/top?n=0", 400),
        ("POST", "/admin/limits?limit=user", 405),
        ("DELETE", "/admin/limits/top", 405),
    ] {
        let (answered, body) = fixture.ask(method, target).await;
        assert_eq!((answered, &body["error"]), (status, &json!("BAD_REQUEST")), "{target}");
        assert!(!body.to_string().contains("sekrit"), "{body}");
    }
    assert_eq!(fixture.count("invalid"), 7.0);
}

#[tokio::test]
async fn nobody_comes_in_without_the_credential() {
    let fixture = Fixture::new(None);
    for target in ["/admin/limits?limit=user", "/admin/limits/top"] {
        let request = Request::get(target).body(Body::empty()).unwrap();
        let response = fixture.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status().as_u16(), 401, "{target}");
    }
    assert_eq!(fixture.count("unauthenticated"), 2.0);
}
