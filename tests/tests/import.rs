//! `postern import`: what it writes passes `postern check` and can be rendered, what it cannot
//! carry over it says, and its exit codes.

use std::fs;

use postern_e2e::server::run;
use serde_json::Value;

const SERVICES: &str = "tests/fixtures/import/services.yaml";
const ROUTES: &str = "tests/fixtures/import/routes.yaml";
const WHOLE: &str = "tests/fixtures/import/whole.yaml";
const REST: &str = "tests/fixtures/import/rest.yaml";
const RATE_LIMITS: &str = "tests/fixtures/import/rate-limits.yaml";
const FOLDER: &str = "tests/fixtures/import";

/// An import as JSON.
async fn json(arguments: &[&str]) -> Value {
    let all = [&["import", "--json"][..], arguments].concat();
    let text = run(all).await.expect_success();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Remarks as `FATE SUBJECT: FIELD`.
fn remarks(answer: &Value) -> Vec<String> {
    let text = |remark: &Value, name: &str| remark[name].as_str().expect("a text").to_owned();
    let all = answer["remarks"].as_array().expect("remarks").iter();
    all.map(|remark| {
        let [fate, subject, field] = ["fate", "subject", "field"].map(|name| text(remark, name));
        format!("{fate} {subject}: {field}")
    })
    .collect()
}

#[tokio::test]
async fn what_is_written_passes_the_check_and_can_be_rendered() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("gateway.yaml").display().to_string();
    run(["import", SERVICES, ROUTES, WHOLE, "--out", &out, "--strict"]).await.expect_success();
    run(["check", &out]).await.expect_success();
    let rendered = folder.path().join("istio").display().to_string();
    run(["render", "istio", &out, "--out", &rendered]).await.expect_success();
    let text = fs::read_to_string(&out).expect("the document");
    for expected in
        ["payments.shop.svc.cluster.local:80", "payments.read", "shop.example.test", "5s"]
    {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
}

#[tokio::test]
async fn what_policies_ask_the_document_asks() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("gateway.yaml").display().to_string();
    run(["import", SERVICES, ROUTES, WHOLE, "--out", &out]).await.expect_success();
    let claims = |scope: &str| {
        format!(
            r#"{{"iss": "https://idp.example.test", "sub": "a", "aud": "shop", "scope": "{scope}"}}"#
        )
    };
    for (method, path, scope, allowed) in [
        ("GET", "/payments/charges", Some("payments.read"), true),
        ("GET", "/payments/charges", Some("payments.write"), false),
        ("GET", "/payments/charges", None, false),
        ("POST", "/payments/charges", Some("payments.write"), true),
        ("POST", "/payments/refunds", Some("payments.write"), false),
        ("GET", "/catalog/items", None, true),
        ("DELETE", "/catalog/items", None, false),
        ("GET", "/other", None, false),
    ] {
        let url = format!("https://shop.example.test{path}");
        let claims = scope.map(claims);
        let mut words = vec!["explain", &out, method, &url, "--json"];
        words.extend(claims.iter().flat_map(|claims| ["--claims", claims.as_str()]));
        let text = run(words).await.expect_success();
        let answer: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(answer["outcome"]["allowed"], allowed, "{method} {path} {scope:?}\n{text}");
    }
}

#[tokio::test]
async fn the_exit_code_says_whether_everything_was_carried_over() {
    let whole = ["import", SERVICES, ROUTES, WHOLE];
    run([&whole[..], &["--strict"]].concat()).await.expect_success();
    run([&whole[..], &[REST]].concat()).await.expect_success();
    run([&whole[..], &[REST, "--strict"]].concat()).await.expect_code(3);
    run(["import", FOLDER]).await.expect_success();
    run(["import", FOLDER, "--strict"]).await.expect_code(3);
    let nothing = run(["import", SERVICES]).await.expect_code(1);
    assert!(nothing.contains("no route could be carried over"), "{nothing}");
    run(["import", "no-such-file.yaml"]).await.expect_code(1);
    run(["import"]).await.expect_code(2);
}

#[tokio::test]
async fn everything_that_is_not_in_the_document_is_listed() {
    let answer = json(&[FOLDER]).await;
    assert_eq!(answer["whole"], false);
    let found = remarks(&answer);
    for expected in [
        "left out AuthorizationPolicy shop/office: rules[0].from[0].source.ipBlocks",
        "left out AuthorizationPolicy shop/audit: all of it",
        "left out EnvoyFilter shop/lua: all of it",
        "left out rate limit domain shop: plan_free",
        "note rate limit domain shop: remote_address",
    ] {
        assert!(found.iter().any(|remark| remark == expected), "{expected}\n{found:#?}");
    }
    for remark in answer["remarks"].as_array().expect("remarks") {
        assert!(remark["line"].as_u64().expect("a line") > 0, "{remark}");
        for field in ["file", "why", "advice"] {
            assert!(!remark[field].as_str().expect("a text").is_empty(), "{field}: {remark}");
        }
    }
}

#[tokio::test]
async fn the_list_stands_beside_the_document_and_never_in_it() {
    let finished = run(["import", SERVICES, ROUTES, WHOLE, REST]).await;
    assert!(finished.stderr.contains("office: rules[0]"), "{finished}");
    assert!(!finished.stdout.contains("office"), "{finished}");
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("gateway.yaml");
    fs::write(&out, &finished.stdout).expect("a file");
    run(["check", &out.display().to_string()]).await.expect_success();
}

#[tokio::test]
async fn limits_are_part_of_the_document() {
    let answer = json(&[SERVICES, ROUTES, WHOLE, RATE_LIMITS]).await;
    let text = answer["document"].as_str().expect("a document");
    for expected in ["600/60s", "per-address", "domain: shop"] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
}

#[tokio::test]
async fn a_policy_that_istio_would_refuse_is_an_error_with_its_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n\
                metadata: {name: a, namespace: b}\nspec:\n  acton: DENY\n";
    let file = folder.path().join("a.yaml");
    fs::write(&file, text).expect("a file");
    let told = run(["import", &file.display().to_string()]).await.expect_code(1);
    assert!(told.contains("a.yaml:5") && told.contains("acton"), "{told}");
}
