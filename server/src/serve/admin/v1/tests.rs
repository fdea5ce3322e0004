use std::collections::BTreeSet;

use axum::Extension;
use axum::body::Body;
use axum::http::Request as HttpRequest;
use postern_identity::KeyEncryptionKey;
use postern_identity::admin::{Actor, OperatorsParts, Rotation, rotate_keys};
use postern_jose::Algorithm;
use postern_store::durable::memory::MemoryDurableStore;
use postern_store::durable::{AuditStore as _, DurableStore};
use postern_store::{IdentityStore, LocalBus, MemoryFlowStore, MemoryRegistry, MemoryStore};
use postern_telemetry::MetricsRegistry;
use serde_json::json;
use tower::ServiceExt as _;

use super::*;
use crate::commands::now;
use crate::serve::Announcer;
use crate::serve::admin::metrics::Metrics;

const METHODS: [&str; 5] = ["get", "post", "patch", "delete", "put"];
const NOBODY: &str = "f47ac10b-58cc-4372-a567-0e02b2c3d479";

struct Fixture {
    router: Router,
    store: Arc<MemoryDurableStore>,
}

/// Everything that needs no document.
fn fixture() -> Fixture {
    fixture_with(|operators| operators)
}

fn fixture_with(more: impl FnOnce(Operators) -> Operators) -> Fixture {
    let store = Arc::new(MemoryDurableStore::new());
    let durable: Arc<dyn DurableStore> = Arc::<MemoryDurableStore>::clone(&store);
    let all: Arc<dyn IdentityStore> = Arc::<MemoryDurableStore>::clone(&store);
    let operators = Operators::new(OperatorsParts {
        store: all,
        flows: Some(Arc::new(MemoryFlowStore::default())),
        announce: Arc::new(Announcer::new(durable, Arc::new(LocalBus::unconnected()))),
        ending: None,
        issuer: None,
        rules: None,
        tools: None,
        kek: None,
    });
    let operators = operators.with_registry(Arc::new(MemoryRegistry::new()));
    let registry = MetricsRegistry::new("test", std::time::Instant::now()).unwrap();
    let admin = Arc::new(Admin {
        credential: None,
        tokens: None,
        denied: None,
        metrics: Metrics::new(&registry).unwrap(),
        clock: Arc::new(now),
    });
    let by = Actor::credential();
    let caller = Caller { by, correlation_id: "id".to_owned(), remote: None };
    let router = routes(admin, Arc::new(more(operators)), None, None)
        .layer(axum::extract::DefaultBodyLimit::max(16_384))
        .layer(Extension(caller));
    Fixture { router, store }
}

impl Fixture {
    async fn send(&self, method: &str, target: &str, body: Option<&str>) -> (u16, Value) {
        let request = HttpRequest::builder().method(method).uri(target);
        let request = match body {
            Some(body) => request.header("content-type", "application/json").body(body.to_owned()),
            None => request.body(String::new()),
        };
        let request = request.unwrap().map(Body::from);
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    async fn made(&self, path: &str, body: &Value) -> Value {
        let (status, answer) = self.send("POST", path, Some(&body.to_string())).await;
        assert_eq!((status, &answer["success"]), (201, &json!(true)), "{answer}");
        answer["data"].clone()
    }
}

/// A path with something in its places.
fn filled(path: &str) -> String {
    path.split('/')
        .map(|part| if part.starts_with('{') { NOBODY } else { part })
        .collect::<Vec<_>>()
        .join("/")
}

#[tokio::test]
async fn the_specification_names_every_route() {
    let fixture = fixture();
    let spec = spec::document();
    let paths = spec["paths"].as_object().unwrap();
    let mut ids = BTreeSet::new();
    for (path, operations) in paths {
        for method in METHODS {
            let is_named = operations.get(method).is_some();
            let (status, _) = fixture.send(&method.to_uppercase(), &filled(path), None).await;
            assert_eq!(status != 405, is_named, "{method} {path}: {status}");
            if let Some(operation) = operations.get(method) {
                assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{operation}");
            }
        }
    }
    assert_eq!(ids.len(), ENDPOINTS.len(), "each row of the table is an operation");
    let (status, _) = fixture.send("GET", "/admin/v1/nothing", None).await;
    assert_eq!(status, 404, "a path that is not named is not there");
}

#[test]
fn every_reference_of_the_specification_leads_somewhere() {
    let spec = spec::document();
    let mut found = BTreeSet::new();
    collect(&spec, &mut found);
    assert!(found.len() > 30, "{found:?}");
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        let target = spec.pointer(pointer);
        assert!(target.is_some_and(|target| !target.is_null()), "{reference}");
    }
}

fn collect(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                match (name.as_str(), value.as_str()) {
                    ("$ref", Some(reference)) => {
                        found.insert(reference.to_owned());
                    }
                    _ => collect(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        _ => {}
    }
}

#[test]
fn bodies_say_that_they_may_have_nothing_else() {
    let spec = spec::document();
    let schemas = &spec["components"]["schemas"];
    for endpoint in ENDPOINTS {
        let Some(body) = &endpoint.body else { continue };
        let schema = &schemas[body.schema];
        assert_eq!(schema["additionalProperties"], false, "{}: {schema}", body.schema);
        let example = (body.example)();
        for (name, _) in example.as_object().unwrap() {
            assert!(schema["properties"].get(name).is_some(), "{}: {name}", body.schema);
        }
    }
    let required = &schemas["NewUser"]["required"];
    assert_eq!(required, &json!(["email", "firstName", "lastName"]));
    assert_eq!(schemas["NewClient"]["required"], json!(["name"]));
}

#[tokio::test]
async fn a_client_is_registered_shown_changed_and_its_secret_is_told_once() {
    let fixture = fixture();
    let new = json!({"name": "Billing", "scopes": ["payments.read"], "accessTokenLifetime": 60});
    let made = fixture.made("/admin/v1/clients", &new).await;
    let secret = made["clientSecret"].as_str().unwrap().to_owned();
    let id = made["client"]["clientId"].as_str().unwrap();
    let path = format!("/admin/v1/clients/{id}");
    let (status, shown) = fixture.send("GET", &path, None).await;
    assert_eq!((status, &shown["data"]), (200, &made["client"]));
    assert!(!shown.to_string().contains(&secret));

    let (status, changed) = fixture.send("PATCH", &path, Some(r#"{"name":"Paying"}"#)).await;
    assert_eq!((status, &changed["data"]["client"]["name"]), (200, &json!("Paying")));
    assert_eq!(changed["data"]["clientSecret"], Value::Null);
    let (status, other) = fixture.send("POST", &format!("{path}/secret"), None).await;
    assert_eq!(status, 201);
    assert_ne!(other["data"]["clientSecret"], json!(secret));

    let (status, list) = fixture.send("GET", "/admin/v1/clients?limit=1", None).await;
    assert_eq!(status, 200);
    let expected = json!({"page": 1, "limit": 1, "total": 1, "pages": 1});
    assert_eq!(list["meta"]["pagination"], expected);
    // There is no issuer whose tokens could end: nothing is deleted by halves.
    let (status, refused) = fixture.send("DELETE", &path, None).await;
    assert_eq!((status, &refused["error"]), (503, &json!("UNAVAILABLE")));
    let log = fixture.store.audit_since(0, 10).await.unwrap();
    assert!(log.iter().all(|record| record.entry.actor == "admin"), "{log:?}");
    assert_eq!(log.len(), 3);
}

#[tokio::test]
async fn an_api_key_is_rotated_and_revoked() {
    let fixture = fixture();
    let new = json!({"subject": "reports", "scopes": ["a"], "limits": ["own"], "expiresIn": 3600});
    let made = fixture.made("/admin/v1/api-keys", &new).await;
    let id = made["apiKey"]["id"].as_str().unwrap();
    assert!(made["key"].as_str().unwrap().starts_with(&format!("pk_{id}_")));
    let path = format!("/admin/v1/api-keys/{id}");
    let next = fixture.made(&format!("{path}/rotate"), &json!({"overlap": 60})).await;
    assert_ne!(next["key"], made["key"]);
    assert_eq!(next["apiKey"]["limits"], json!(["own"]));
    let (_, shown) = fixture.send("GET", &path, None).await;
    assert_eq!(shown["data"]["successor"], next["apiKey"]["id"]);
    let change = r#"{"tier":"gold","limits":[],"expiresIn":null}"#;
    let (status, changed) = fixture.send("PATCH", &path, Some(change)).await;
    assert_eq!((status, &changed["data"]["tier"]), (200, &json!("gold")));
    assert_eq!(changed["data"]["expiresAt"], Value::Null);
    assert_eq!(changed["data"]["limits"], json!([]));
    let (status, revoked) = fixture.send("DELETE", &path, None).await;
    assert_eq!(status, 200);
    assert!(revoked["data"]["revokedAt"].is_string());
    let (status, refused) = fixture.send("PATCH", &path, Some(change)).await;
    assert_eq!((status, &refused["error"]), (422, &json!("VALIDATION_ERROR")));
}

#[tokio::test]
async fn the_last_signing_key_is_withdrawn_where_that_is_said() {
    let fixture = fixture();
    let kek = KeyEncryptionKey::from_text(&"0f1e".repeat(16)).unwrap();
    let rotation = Rotation { algorithm: Algorithm::Es256, ..Rotation::default() };
    let made = rotate_keys(&*fixture.store, &kek, rotation, now()).await.unwrap();
    let path = format!("/admin/v1/keys/{}", made.kid);
    for target in [path.clone(), format!("{path}?yes=false")] {
        let (status, refused) = fixture.send("DELETE", &target, None).await;
        assert_eq!((status, &refused["error"]), (422, &json!("VALIDATION_ERROR")));
        let problem = &refused["validationErrors"][0];
        assert_eq!(problem["field"], "yes", "{refused}");
        assert!(problem["message"].as_str().unwrap().contains("?yes=true"), "{refused}");
    }
    let (status, _) = fixture.send("DELETE", &format!("{path}?yes=perhaps"), None).await;
    assert_eq!(status, 400);
    let (status, done) = fixture.send("DELETE", &format!("{path}?yes=true"), None).await;
    assert_eq!((status, &done["data"]["anotherSigns"]), (200, &json!(false)));
}

#[tokio::test]
async fn a_circuit_is_shown_opened_closed_and_reset() {
    let document = json!({
        "version": 1,
        "services": {
            "bank": {"upstream": "bank:1", "circuit": {}},
            "ship": {"upstream": "ship:1", "circuit": {}},
        },
        "routes": [{"name": "r", "match": {"path": "/"}, "service": "ship", "auth": "none"}],
    });
    let document = postern_document::from_json(document.to_string().as_bytes()).unwrap();
    let document = postern_document::Current::fixed(document);
    let fixture = fixture_with(|operators| {
        operators.by_document(document).with_circuits(Arc::new(MemoryStore::default()))
    });
    let (status, list) = fixture.send("GET", "/admin/v1/circuits?limit=1", None).await;
    assert_eq!((status, &list["data"][0]["service"]), (200, &json!("bank")));
    assert_eq!(list["meta"]["pagination"]["total"], 2);
    let path = "/admin/v1/circuits/bank";
    let word = r#"{"expiresIn":600,"why":"moving"}"#;
    for (what, state) in [("open", "OPEN"), ("close", "CLOSED")] {
        let target = format!("{path}/{what}");
        let (status, said) = fixture.send("POST", &target, Some(word)).await;
        assert_eq!((status, &said["data"]["state"]), (200, &json!(state)), "{said}");
        assert!(said["data"]["forcedUntil"].is_string(), "{said}");
        let (_, shown) = fixture.send("GET", path, None).await;
        assert_eq!(shown["data"]["forcedUntil"], said["data"]["forcedUntil"]);
    }
    let (status, reset) = fixture.send("POST", &format!("{path}/reset"), None).await;
    assert_eq!((status, &reset["data"]["forcedUntil"]), (200, &Value::Null));
    let log = fixture.store.audit_since(0, 10).await.unwrap();
    let told: Vec<&str> = log.iter().map(|record| record.entry.action.as_str()).collect();
    assert_eq!(told, ["circuit.opened", "circuit.closed", "circuit.reset"]);

    for (target, body, status) in [
        ("bank/open", r#"{"expiresIn":0}"#, 422),
        ("bank/open", r#"{"expiresIn":604801}"#, 422),
        ("bank/open", "{}", 422),
        ("bank/close", r#"{"expiresIn":1,"why":""}"#, 422),
        ("none/open", word, 404),
    ] {
        let target = format!("/admin/v1/circuits/{target}");
        let (found, answer) = fixture.send("POST", &target, Some(body)).await;
        assert_eq!(found, status, "{target} {body}: {answer}");
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_its_own_status() {
    let fixture = fixture();
    let user = format!("/admin/v1/users/{NOBODY}");
    let long = format!(r#"{{"name":"{}"}}"#, "a".repeat(17_000));
    let long_token = format!(r#"{{"token":"{}"}}"#, "a".repeat(12_001));
    let six = ["\"refresh_token\""; 6].join(",");
    let six = format!(r#"{{"name":"a","type":"public","grantTypes":[{six}]}}"#);
    for (method, target, body, status) in [
        ("GET", "/admin/v1/users/nobody", None, 404),
        ("GET", "/admin/v1/users/%00", None, 404),
        ("GET", "/admin/v1/users/%FF", None, 400),
        ("GET", "/admin/v1/clients/%00", None, 404),
        ("GET", "/admin/v1/clients/a%2Fb", None, 404),
        ("GET", "/admin/v1/api-keys/%F0%9F%A6%80", None, 404),
        ("GET", user.as_str(), None, 404),
        ("DELETE", user.as_str(), None, 404),
        ("GET", "/admin/v1/sessions/x", None, 404),
        ("GET", "/admin/v1/users?limit=101", None, 400),
        ("GET", "/admin/v1/users?sort=email", None, 400),
        ("GET", "/admin/v1/users?sekrit=1", None, 400),
        ("GET", "/admin/v1/users?page=1&page=2", None, 400),
        ("GET", "/admin/v1/users?email=%00", None, 200),
        ("GET", "/admin/v1/audit?after=9223372036854775807", None, 200),
        ("GET", "/admin/v1/audit?after=9223372036854775808", None, 400),
        ("GET", "/admin/v1/audit?page=1", None, 400),
        ("POST", "/admin/v1/clients", None, 415),
        ("POST", "/admin/v1/clients", Some(""), 400),
        ("POST", "/admin/v1/clients", Some("[]"), 400),
        ("POST", "/admin/v1/clients", Some(r#"["sekrit"]"#), 400),
        ("POST", "/admin/v1/clients", Some("{}"), 422),
        ("POST", "/admin/v1/clients", Some(r#"{"name":null}"#), 422),
        ("POST", "/admin/v1/clients", Some(r#"{"name":""}"#), 422),
        ("POST", "/admin/v1/clients", Some(r#"{"name":"a","sekrit":1}"#), 422),
        ("POST", "/admin/v1/clients", Some(r#"{"name":"a","name":"sekrit"}"#), 422),
        ("POST", "/admin/v1/clients", Some(r#"{"name":"a","scopes":["a sekrit"]}"#), 422),
        ("POST", "/admin/v1/clients", Some(r#"{"name":"a","grantTypes":["password"]}"#), 422),
        ("POST", "/admin/v1/clients", Some(r#"{"name":"a","jwks":{"keys":"sekrit"}}"#), 422),
        (
            "POST",
            "/admin/v1/clients",
            Some(r#"{"name":"a","accessTokenLifetime":18446744073709551615}"#),
            422,
        ),
        ("POST", "/admin/v1/clients", Some(long.as_str()), 413),
        (
            "POST",
            "/admin/v1/api-keys",
            Some(r#"{"subject":"s","expiresIn":18446744073709551615}"#),
            422,
        ),
        ("POST", "/admin/v1/api-keys", Some(r#"{"subject":"\u0000"}"#), 422),
        ("POST", "/admin/v1/api-keys", Some(r#"{"subject":"s","limits":["a sekrit"]}"#), 422),
        ("POST", "/admin/v1/api-keys", Some(r#"{"subject":"s","limits":["a","a"]}"#), 422),
        // More than the specification says there may be, and less.
        ("POST", "/admin/v1/clients", Some(six.as_str()), 422),
        ("POST", "/admin/v1/tokens/inspect", Some(r#"{"token":""}"#), 422),
        ("POST", "/admin/v1/tokens/inspect", Some(long_token.as_str()), 422),
        ("POST", "/admin/v1/tokens/revoke", Some(r#"{"token":""}"#), 422),
        // What this server has not.
        ("POST", "/admin/v1/keys", Some("{}"), 503),
        // Nothing is said: the default.
        ("POST", "/admin/v1/keys", None, 503),
        ("POST", "/admin/v1/keys", Some(""), 503),
        ("POST", "/admin/v1/tokens/inspect", Some(r#"{"token":"a.b.c"}"#), 503),
        ("DELETE", "/admin/v1/keys/none", None, 404),
        ("GET", "/admin/v1/services/a%2Fb/instances", None, 404),
        ("GET", "/admin/v1/services/-/instances", None, 404),
        ("GET", "/admin/v1/services/shop/instances", None, 200),
        ("GET", "/admin/v1/services/shop/instances/none", None, 404),
        ("DELETE", "/admin/v1/services/shop/instances/none", None, 404),
        ("POST", "/admin/v1/services/shop/instances/none/heartbeat", None, 404),
        ("POST", "/admin/v1/services/shop/instances", Some("{}"), 422),
        (
            "POST",
            "/admin/v1/services/shop/instances",
            Some(r#"{"id":"a","address":"sekrit.test","port":80}"#),
            422,
        ),
        (
            "POST",
            "/admin/v1/services/shop/instances",
            Some(r#"{"id":"a b","address":"10.0.0.1","port":80}"#),
            422,
        ),
        (
            "POST",
            "/admin/v1/services/shop/instances",
            Some(r#"{"id":"a","address":"10.0.0.1","port":80,"protocol":"sekrit"}"#),
            422,
        ),
        (
            "POST",
            "/admin/v1/services/shop/instances",
            Some(r#"{"id":"a","address":"10.0.0.1","port":80,"ttl":18446744073709551615}"#),
            422,
        ),
    ] {
        let (found, answer) = fixture.send(method, target, body).await;
        assert_eq!(found, status, "{method} {target} {body:?}: {answer}");
        assert!(!answer.to_string().contains("sekrit"), "{target}: {answer}");
        if status >= 400 {
            assert!(answer["error"].is_string() && answer["timestamp"].is_string(), "{answer}");
            let problems = answer.get("validationErrors").is_some();
            assert_eq!(problems, status == 422, "{target}: {answer}");
        }
    }
    assert!(fixture.store.audit_head().await.unwrap().is_none(), "nothing has happened");
}

#[tokio::test]
async fn an_instance_is_registered_listed_renewed_and_taken_out() {
    let fixture = fixture();
    let instances = "/admin/v1/services/shop/instances";
    let new = json!({"id": "shop-1", "address": "10.0.0.7", "port": 8080, "weight": 5,
                     "healthPath": "/health", "interval": 10, "zone": "a", "region": "eu"});
    let made = fixture.made(instances, &new).await;
    for (name, expected) in [
        ("address", json!("10.0.0.7")),
        ("protocol", json!("http")),
        ("interval", json!(10)),
        ("failureThreshold", json!(5)),
        ("ttl", json!(300)),
        ("health", json!("unknown")),
        ("lastCheck", Value::Null),
    ] {
        assert_eq!(made[name], expected, "{name}");
    }
    let stays = json!({"id": "shop-2", "address": "10.0.0.8", "port": 8080, "stays": true});
    fixture.made(instances, &stays).await;
    let (status, list) = fixture.send("GET", &format!("{instances}?limit=1"), None).await;
    assert_eq!((status, &list["meta"]["pagination"]["total"]), (200, &json!(2)));
    let (_, services) = fixture.send("GET", "/admin/v1/services", None).await;
    assert_eq!(services["data"], json!([{"name": "shop", "instances": 2, "healthy": 2}]));

    let one = format!("{instances}/shop-1");
    let (status, renewed) = fixture.send("POST", &format!("{one}/heartbeat"), None).await;
    assert_eq!((status, &renewed["data"]["id"]), (200, &json!("shop-1")));
    // One that stays is not made one that does not.
    let brief = json!({"id": "shop-2", "address": "10.0.0.8", "port": 8080}).to_string();
    let (status, refused) = fixture.send("POST", instances, Some(&brief)).await;
    assert_eq!((status, &refused["validationErrors"][0]["field"]), (422, &json!("id")));
    for path in [one, format!("{instances}/shop-2")] {
        let (status, ended) = fixture.send("DELETE", &path, None).await;
        assert_eq!((status, &ended["data"]["ended"]), (200, &json!(1)));
        let (status, _) = fixture.send("GET", &path, None).await;
        assert_eq!(status, 404);
    }
    let log = fixture.store.audit_since(0, 10).await.unwrap();
    let actions: Vec<&str> = log.iter().map(|record| record.entry.action.as_str()).collect();
    let [registered, deregistered] = ["service.registered", "service.deregistered"];
    assert_eq!(actions, [registered, registered, deregistered, deregistered]);
}
