//! The modules of one stage each: what they do is what the bundle does there, and the other
//! stages' business they leave alone.

use std::fs;
use std::path::{Path, PathBuf};

use postern_e2e::client::{Call, Protocol};
use postern_e2e::envoy::{self, for_each_object};
use postern_e2e::gateway::Gateway;
use postern_e2e::keys::{self, Token};
use postern_e2e::{documents, env, ports, server};
use serde_json::{Value, json};

const DOCUMENT: &str = include_str!("../fixtures/modules.yaml");
/// What a limit counts by that any module can tell.
const BY_HEADER: &str = "header.x-test-caller";
/// What only one can tell that knows who calls.
const BY_CALLER: &str = "claim.sub";

fn document(caller: &str) -> String {
    DOCUMENT.replace("$CALLER", caller)
}

/// A stack whose Envoy loads this module in place of the bundle.
async fn stack(module: PathBuf, caller: &str) -> Gateway {
    let edit = move |config: &mut Value| load(config, &module);
    Gateway::builder().document(document(caller)).workers(2).edit_envoy(edit).start().await
}

fn load(config: &mut Value, module: &Path) {
    let module = module.display().to_string();
    let mut loaded = 0;
    for_each_object(config, &mut |object| {
        if object.get("runtime") == Some(&json!("envoy.wasm.runtime.v8")) {
            object.insert("code".to_owned(), json!({"local": {"filename": module}}));
            loaded += 1;
        }
    });
    assert_eq!(loaded, 1, "the rendered configuration has no module");
}

/// Headers that only the stage of tokens may write.
fn forged(call: Call) -> Call {
    call.header("x-postern-subject", "admin").header("x-tenant", "somebody else's")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_alone() {
    let mut gateway = stack(env::jwt_auth(), BY_CALLER).await;
    let good = Token::of("alice").scope("content.read").claim("tenant", json!("blue")).sign();
    let content = Call::get("/content/items");
    gateway.until_status(200, &content.clone().bearer(&good)).await;
    for protocol in Protocol::ALL {
        let client = gateway.client(protocol);
        let before = gateway.upstream.total();
        client.send(&content).await.expect_denial(401, "UNAUTHORIZED");
        let tampered = content.clone().bearer(&keys::tampered(&good));
        client.send(&tampered).await.expect_denial(401, "INVALID_TOKEN");
        let narrow = content.clone().bearer(&Token::of("alice").scope("other").sign());
        client.send(&narrow).await.expect_denial(403, "INSUFFICIENT_SCOPE");
        assert_eq!(gateway.upstream.total(), before, "the upstream was asked");

        let answer = client.send(&forged(content.clone().bearer(&good))).await.expect(200);
        assert_eq!(answer.upstream_header("x-postern-subject"), Some(json!("alice")), "{answer}");
        assert_eq!(answer.upstream_header("x-postern-scopes"), Some(json!("content.read")));
        assert_eq!(answer.upstream_header("x-tenant"), Some(json!("blue")), "{answer}");
        assert!(answer.header("x-correlation-id").is_some(), "{answer}");

        let nobody = client.send(&forged(Call::get("/open/page"))).await.expect(200);
        for name in ["x-postern-subject", "x-tenant"] {
            assert_eq!(nobody.upstream_header(name), None, "{name}:\n{nobody}");
        }

        // Twice the rate, by whatever is counted, and nothing is said of limits.
        for path in ["/limited/ip", "/limited/route", "/limited/caller"] {
            for _ in 0..6 {
                let answer = client.send(&Call::get(path).bearer(&good)).await.expect(200);
                assert_eq!(answer.header("x-ratelimit-limit"), None, "{path}:\n{answer}");
            }
        }
    }
    gateway.envoy.assert_no_failed_machine().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_alone() {
    let mut gateway = stack(env::local_rate_limit(), BY_HEADER).await;
    gateway.until_status(200, &Call::get("/open/page")).await;
    for (path, protocol) in [
        ("/limited/ip", Protocol::Http1),
        ("/limited/route", Protocol::Http2),
        ("/limited/header", Protocol::Http1),
        ("/limited/header", Protocol::Http2),
        // Who calls is another filter's business.
        ("/limited/caller", Protocol::Http1),
    ] {
        let before = gateway.upstream.requests("limited");
        let call = Call::get(path).header("x-test-caller", keys::subject("modules"));
        for left in [2, 1, 0] {
            let answer = gateway.client(protocol).send(&call).await.expect(200);
            assert_eq!(answer.number("x-ratelimit-limit"), 3, "{path}:\n{answer}");
            assert_eq!(answer.number("x-ratelimit-remaining"), left, "{path}:\n{answer}");
        }
        // On whichever worker these land.
        for protocol in Protocol::ALL.repeat(4) {
            let answer = gateway.client(protocol).send(&call).await;
            let answer = answer.expect_denial(429, "RATE_LIMIT_EXCEEDED");
            assert_eq!(answer.number("x-ratelimit-remaining"), 0, "{path}:\n{answer}");
            assert!(answer.number("retry-after") >= 1, "{path}:\n{answer}");
            assert!(answer.header("x-correlation-id").is_some(), "{path}:\n{answer}");
        }
        assert_eq!(gateway.upstream.requests("limited") - before, 3, "{path}");
    }

    // Nobody is turned away for want of a token, and what another filter wrote stays.
    let written = Call::get("/content/items").header("x-postern-subject", "alice");
    let answer = gateway.send(&written).await.expect(200);
    assert_eq!(answer.upstream_header("x-postern-subject"), Some(json!("alice")), "{answer}");
    gateway.envoy.assert_no_failed_machine().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn circuits_alone() {
    let mut gateway = stack(env::circuit_breaker(), BY_CALLER).await;
    let call = Call::get("/guarded/page");
    gateway.until_status(200, &call).await;
    gateway.upstream.fail("guarded", 500);
    for _ in 0..3 {
        gateway.send(&call).await.expect(500);
    }
    let before = gateway.upstream.requests("guarded");
    // On whichever worker these land.
    for protocol in Protocol::ALL.repeat(4) {
        let answer = gateway.client(protocol).send(&call).await;
        let answer = answer.expect_denial(503, "CIRCUIT_OPEN");
        assert!(answer.number("retry-after") > 1, "{answer}");
    }
    assert_eq!(gateway.upstream.requests("guarded"), before, "the upstream was asked");

    // Nobody is turned away for want of a token, nothing is counted, and what another filter wrote
    // stays.
    let written = Call::get("/content/items").header("x-postern-subject", "alice");
    let answer = gateway.send(&written).await.expect(200);
    assert_eq!(answer.upstream_header("x-postern-subject"), Some(json!("alice")), "{answer}");
    for _ in 0..6 {
        gateway.send(&Call::get("/limited/ip")).await.expect(200);
    }
    gateway.envoy.assert_no_failed_machine().await;
}

/// All callers would share one count.
#[tokio::test]
async fn limits_alone_refuse_to_count_by_caller() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = documents::fill_in(&document(BY_CALLER), ports::local(ports::free()), "");
    let document = folder.path().join("gateway.yaml");
    fs::write(&document, text).expect("the document's file");
    let (envoy_ports, server_ports) = (envoy::Ports::free(), server::Ports::free());
    let rendered = envoy::render(&document, folder.path(), envoy_ports, server_ports).await;
    rendered.expect_success();
    let config = envoy::config_file(folder.path());
    for module in [env::bundle(), env::jwt_auth()] {
        envoy::edit(&config, |config| load(config, &module));
        envoy::validate(&config).await.expect_success();
    }
    envoy::edit(&config, |config| load(config, &env::local_rate_limit()));
    let problems = envoy::validate(&config).await.expect_code(1);
    assert!(problems.contains("few-by-caller"), "{problems}");
}
