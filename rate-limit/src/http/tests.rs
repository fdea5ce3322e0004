use axum::http::Request;
use http_body_util::BodyExt as _;
use postern_request::json::{self, Value};
use tower::ServiceExt as _;

use super::*;
use crate::testing::{PLAIN, Service};
use postern_store::away::Away;

const RULES: &str = "
domain: shop
descriptors:
  - key: ip
    rate_limit: {unit: day, requests_per_unit: 1}
";

const BY_IP: &str = r#"{"domain": "shop", "descriptors": [{"entries": [{"key": "ip"}]}]}"#;

struct Answered {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Answered {
    fn member(&self, name: &str) -> Option<String> {
        let body = json::parse(self.body.as_bytes()).unwrap();
        body.get(name).and_then(Value::as_str).map(str::to_owned)
    }
}

impl Service {
    async fn http(&self, request: Request<Body>) -> Answered {
        let response = router(Arc::clone(&self.limiter)).oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answered {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    async fn post(&self, body: &str) -> Answered {
        self.http(Request::post("/json").body(Body::from(body.to_owned())).unwrap()).await
    }
}

#[tokio::test]
async fn the_rules_in_use_are_told_as_text() {
    let service = Service::new(RULES, PLAIN);
    let answered = service.http(Request::get("/rlconfig").body(Body::empty()).unwrap()).await;
    assert_eq!(answered.status, 200);
    assert!(answered.headers[header::CONTENT_TYPE].to_str().unwrap().starts_with("text/plain"));
    assert!(
        answered.body.starts_with("shop.ip: unit=DAY requests_per_unit=1"),
        "{}",
        answered.body
    );
}

#[tokio::test]
async fn a_request_is_answered_with_its_status() {
    let service = Service::new(RULES, PLAIN);
    let passes = service.post(BY_IP).await;
    assert_eq!((passes.status, passes.member("overallCode").as_deref()), (200, Some("OK")));
    assert_eq!(passes.headers[header::CONTENT_TYPE], "application/json");
    assert_eq!(passes.headers[header::CACHE_CONTROL], "no-store");
    let over = service.post(BY_IP).await;
    assert_eq!((over.status, over.member("overallCode").as_deref()), (429, Some("OVER_LIMIT")));
    assert!(over.body.contains(r#""limitRemaining":0"#), "{}", over.body);
}

#[tokio::test]
async fn what_cannot_be_answered_is_refused_in_our_form() {
    let service = Service::new(RULES, PLAIN);
    let long = "x".repeat(service::MAX_MESSAGE_BYTES + 1);
    let key = "k".repeat(1024 * 1024);
    let key = format!(r#"{{"domain": "d", "descriptors": [{{"entries": [{{"key": "{key}"}}]}}]}}"#);
    for (body, status, code) in [
        ("", 400, "BAD_REQUEST"),
        ("{}", 400, "BAD_REQUEST"),
        (r#"{"domain": "shop", "descriptors": []}"#, 400, "BAD_REQUEST"),
        (r#"{"domain": "shop", "unknown": 1}"#, 400, "BAD_REQUEST"),
        (key.as_str(), 400, "BAD_REQUEST"),
        (long.as_str(), 413, "PAYLOAD_TOO_LARGE"),
    ] {
        let refused = service.post(body).await;
        assert_eq!((refused.status, refused.member("error").as_deref()), (status, Some(code)));
        let id = refused.headers.get(headers::CORRELATION_ID).unwrap().to_str().unwrap();
        assert_eq!(refused.member("correlation_id").as_deref(), Some(id));
    }
    let away = Service::with_store(RULES, PLAIN, Arc::new(Away));
    let refused = away.post(BY_IP).await;
    assert_eq!((refused.status, refused.member("error").as_deref()), (503, Some("UNAVAILABLE")));
    assert_eq!(refused.headers[header::RETRY_AFTER], "1");
    let wrong = service.http(Request::get("/json").body(Body::empty()).unwrap()).await;
    assert_eq!(wrong.status, 405);
}
