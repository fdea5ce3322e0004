//! The service on the admin port: the rules in use, and one request at a time.

use postern_e2e::client::Call;
use serde_json::{Value, json};

use crate::rate_limit_service::{CREDENTIAL, Limits};

const RULES: &str = "
domain: shop
descriptors:
  - key: user
    rate_limit: {unit: year, requests_per_unit: 2}
  - key: area
    value: search
    shadow_mode: true
    rate_limit: {unit: second, requests_per_unit: 500}
    descriptors:
      - key: user
        rate_limit: {unlimited: true}
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rules_in_use_can_be_read() {
    let limits = Limits::start(RULES).await;
    let lines = "shop.area_search.user: unit=UNKNOWN requests_per_unit=0, shadow_mode: false, \
                 unlimited: true\n\
                 shop.area_search: unit=SECOND requests_per_unit=500, shadow_mode: true\n\
                 shop.user: unit=YEAR requests_per_unit=2, shadow_mode: false\n";
    assert_eq!(limits.rules_in_use().await, lines);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_credential_nothing_is_told_and_nothing_counts() {
    let limits = Limits::start(RULES).await;
    let admin = limits.admin();
    let json = Call::post("/json").body(of_user("b").to_string());
    for call in [Call::get("/rlconfig"), Call::get("/rlconfig").bearer("guess"), json] {
        admin.send(&call).await.expect(401);
    }
    let said = admin.send(&asked(&of_user("b"))).await.expect(200).json();
    assert_eq!(said["statuses"][0]["limitRemaining"], 1, "{said}");
}

fn asked(body: &impl ToString) -> Call {
    let call = Call::post("/json").header("content-type", "application/json");
    call.bearer(CREDENTIAL).body(body.to_string())
}

fn of_user(user: &str) -> Value {
    json!({"domain": "shop", "descriptors": [{"entries": [{"key": "user", "value": user}]}]})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_can_be_tried_and_counts() {
    let limits = Limits::start(RULES).await;
    let admin = limits.admin();
    for left in [1, 0] {
        let said = admin.send(&asked(&of_user("a"))).await.expect(200).json();
        assert_eq!(said["overallCode"], "OK", "{said}");
        let status = &said["statuses"][0];
        let limit = json!({"requestsPerUnit": 2, "unit": "YEAR"});
        assert_eq!((&status["code"], &status["currentLimit"]), (&json!("OK"), &limit), "{said}");
        assert_eq!(status["limitRemaining"], left, "{said}");
        let reset = status["durationUntilReset"].as_str().and_then(|text| text.strip_suffix('s'));
        assert!(reset.is_some_and(|seconds| seconds.parse::<u64>().is_ok()), "{said}");
    }
    let said = admin.send(&asked(&of_user("a"))).await.expect(429).json();
    assert_eq!(said["overallCode"], "OVER_LIMIT", "{said}");
    let names: Vec<_> = said["responseHeadersToAdd"]
        .as_array()
        .expect("headers")
        .iter()
        .map(|header| header["key"].as_str().expect("a name").to_owned())
        .collect();
    assert!(names.contains(&"retry-after".to_owned()), "{said}");
    assert!(said["rawBody"].is_string(), "{said}");
    // Both ways to spell a name.
    let mut by_protocol = of_user("b");
    by_protocol["hits_addend"] = json!(2);
    let mut by_camel_case = of_user("c");
    by_camel_case["hitsAddend"] = json!("2");
    for request in [by_protocol, by_camel_case] {
        let said = admin.send(&asked(&request)).await.expect(200).json();
        assert_eq!(said["statuses"][0]["limitRemaining"], 0, "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_request_is_said_to_be_none() {
    let limits = Limits::start(RULES).await;
    let admin = limits.admin();
    let unknown_member = json!({"domain": "shop", "descriptors": [], "descriptor": []});
    let long = "v".repeat(1 << 20);
    for senseless in [
        String::new(),
        "{".to_owned(),
        "[]".to_owned(),
        json!({"domain": "shop"}).to_string(),
        unknown_member.to_string(),
        of_user(&long).to_string(),
        json!({"domain": "shop", "descriptors": [{"entries": []}], "hits_addend": -1}).to_string(),
        json!({"domain": "shop", "descriptors": [{"entries": []}], "hits_addend": 1.5}).to_string(),
    ] {
        let shown: String = senseless.chars().take(80).collect();
        let answer = admin.send(&asked(&senseless)).await;
        assert_eq!(answer.status, 400, "{shown}:\n{answer}");
        let answer = answer.expect_denial(400, "BAD_REQUEST");
        assert!(answer.body.len() < 1000, "what was sent comes back");
    }
    let wrong_method = admin.send(&Call::get("/json").bearer(CREDENTIAL)).await;
    assert_eq!(wrong_method.status, 405, "{wrong_method}");
    admin.send(&asked(&of_user("a"))).await.expect(200);
}
