//! A request that reaches a route needing `ext_authz` without its evidence is denied: however
//! it got past, and however its path is spelled.

use postern_e2e::client::{Call, Client, Protocol};
use postern_e2e::envoy::for_each_object;
use postern_e2e::gateway::Gateway;
use postern_e2e::keys::{self, Token};
use postern_e2e::{documents, raw};
use serde_json::{Value, json};

const FILTER: &str = "envoy.filters.http.ext_authz";

/// Good for everything that a token is good for.
fn token() -> String {
    Token::of(&keys::subject("evidence"))
        .scope("content.read content.write payments.read payments.write")
        .sign()
}

/// Every kind of route that needs evidence: because it says so, for an API key, and for an exact
/// limit.
fn protected() -> [Call; 5] {
    [
        Call::get("/payments/charges").bearer(&token()),
        Call::post("/payments/charges").bearer(&token()),
        Call::get("/commerce/orders").header("x-api-key", keys::API_KEY),
        Call::get("/limited/exact").bearer(&token()),
        Call::get("/bodies/any").bearer(&token()),
    ]
}

async fn assert_denied_without_evidence(gateway: &Gateway, what: &str) {
    for protocol in Protocol::ALL {
        let client = gateway.client(protocol);
        let before = gateway.upstream.total();
        for call in protected() {
            let answer = client.send(&call).await;
            assert!((401..=503).contains(&answer.status), "{what}: {call}:\n{answer}");
            assert!(answer.json()["error"].is_string(), "{what}: {call}:\n{answer}");
        }
        assert_eq!(gateway.upstream.total(), before, "{what}: the upstream was asked");
        // What needs no evidence goes on.
        client.send(&Call::get("/content/items").bearer(&token())).await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_filter_is_gone() {
    let gateway = Gateway::builder().edit_envoy(remove_ext_authz).start().await;
    assert_denied_without_evidence(&gateway, "without the filter").await;
}

/// Takes the filter out of every chain, and what routes say about it.
fn remove_ext_authz(config: &mut Value) {
    let mut removed = 0;
    for_each_object(config, &mut |object| {
        if let Some(Value::Array(filters)) = object.get_mut("http_filters") {
            let before = filters.len();
            filters.retain(|filter| filter["name"] != FILTER);
            removed += before - filters.len();
        }
        if let Some(Value::Object(of_routes)) = object.get_mut("typed_per_filter_config") {
            of_routes.remove(FILTER);
        }
    });
    assert!(removed > 0, "the rendered configuration has no {FILTER} to remove");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_routes_say_not_to_ask() {
    let gateway = Gateway::builder().edit_envoy(disable_ext_authz).start().await;
    assert_denied_without_evidence(&gateway, "with the filter off on every route").await;
}

/// As if Envoy had matched every request to a route that does not need to ask.
fn disable_ext_authz(config: &mut Value) {
    let per_route =
        "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute";
    for_each_object(config, &mut |object| {
        if object.contains_key("match") && object.contains_key("route") {
            let of_route = object.entry("typed_per_filter_config").or_insert_with(|| json!({}));
            of_route[FILTER] = json!({"@type": per_route, "disabled": true});
        }
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_judges_by_another_document() {
    // More is allowed there: its verdicts must not open what this Envoy's document closes.
    let other = documents::GATEWAY.replace("scopes: [payments.write]", "scopes: [payments.read]");
    assert_ne!(other, documents::GATEWAY);
    let gateway = Gateway::builder().server_document(other).start().await;
    assert_denied_without_evidence(&gateway, "by another document").await;
}

/// Spellings of `/payments/charges` that some reader may take for it and another may not.
const SPELLINGS: &[&str] = &[
    "//payments/charges",
    "///payments///charges",
    "/payments//charges",
    "/./payments/charges",
    "/payments/./charges",
    "/payments/../payments/charges",
    "/open/../payments/charges",
    "/open/x/../../payments/charges",
    "/open/%2e%2e/payments/charges",
    "/open/%2E%2E/payments/charges",
    "/open/.%2e/payments/charges",
    "/open/..%2fpayments/charges",
    "/open/..%2Fpayments/charges",
    "/open/%2e%2e%2fpayments%2fcharges",
    "/open/..%5cpayments/charges",
    "/open/..\\payments\\charges",
    "/open/..;/payments/charges",
    "/open/..;x=1/payments/charges",
    "/open/%252e%252e/payments/charges",
    "/open/..%252fpayments/charges",
    "/open/%c0%ae%c0%ae/payments/charges%00",
    "/payments%2fcharges",
    "/payments%2Fcharges",
    "/payments%5Ccharges",
    "/payments\\charges",
    "/payments%252fcharges",
    "/Payments/charges",
    "/PAYMENTS/CHARGES",
    "/%70ayments/charges",
    "/%50ayments/charges",
    "/payment%73/charges",
    "/p%61yments/charges",
    "/payments;x=1/charges",
    "/payments%3bx=1/charges",
    "/payments%00/charges",
    "/payments%20/charges",
    "/payments./charges",
    "/payments",
    "/payments/%2e%2e/payments/charges",
    "/payments/charges/%2e%2e/%2e%2e/open/page",
    "/payments/charges#/../../open/page",
    "/payments/charges?/../../open/page",
    "http://gateway.test/payments/charges",
    "http://gateway.test//payments/charges",
    "payments/charges",
    "*",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spellings_reach_no_protected_upstream() {
    let gateway = Gateway::builder().start().await;
    let warm = Call::get("/payments/charges").bearer(&token());
    gateway.until_status(200, &warm).await;
    let port = gateway.port();

    // Without a token, and with one that opens another service alone.
    let narrow = Token::of(&keys::subject("narrow")).scope("content.read").sign();
    for lines in [vec![], vec![format!("authorization: Bearer {narrow}")]] {
        for spelling in SPELLINGS {
            for spelling in [(*spelling).to_owned(), spelling.replace("/open/", "/content/")] {
                let before = gateway.upstream.requests("payments");
                let answer = raw::exchange(port, &raw::get(spelling.as_bytes(), &lines)).await;
                let status = answer.status.unwrap_or(400);
                // Envoy and the filter agree that this one is another service's page.
                let elsewhere = spelling.starts_with("/payments/charges/%2e%2e/%2e%2e/");
                assert!(
                    (400..500).contains(&status) || (elsewhere && status == 200),
                    "{spelling} ({} header lines):\n{}",
                    lines.len(),
                    answer.text
                );
                let after = gateway.upstream.requests("payments");
                assert_eq!(after, before, "{spelling} reached the upstream:\n{}", answer.text);
            }
        }
    }
    // The upstream counts by the first segment as it is spelled: nothing may have arrived under
    // any other spelling either.
    let upstream = Client::new(Protocol::Http1, gateway.upstream.address().port());
    let state = upstream.send(&Call::get("/_sample/state")).await.json();
    let services = state["services"].as_object().expect("services");
    for name in services.keys() {
        assert!(["payments", "open", "content"].contains(&name.as_str()), "{name} in {state}");
    }
}
