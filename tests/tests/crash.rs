//! The bundle crashes: nothing passes meanwhile, another VM takes its place, and what was
//! counted stays counted.
//!
//! No request is known to crash it, so a fault is planted in the module that ships.

use postern_e2e::client::{Call, Protocol};
use postern_e2e::faulty_module::{self, crashing};
use postern_e2e::gateway::Gateway;
use postern_e2e::keys::{self, Token};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_passes_a_crashed_bundle_and_another_takes_its_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().to_path_buf();
    let builder = Gateway::builder();
    let builder = builder.edit_envoy(move |config| faulty_module::plant_in(config, &place));
    let gateway = builder.start().await;

    let token = Token::of(&keys::subject("crash")).scope("content.read payments.read").sign();
    let content = Call::get("/content/items").bearer(&token);
    let payments = Call::get("/payments/charges").bearer(&token);
    let limited = Call::get("/limited/local").bearer(&token);
    gateway.until_status(200, &payments).await;
    for _ in 0..2 {
        gateway.send(&limited).await.expect(200);
    }

    for protocol in Protocol::ALL {
        let client = gateway.client(protocol);
        let before = gateway.upstream.total();
        // The second one finds no VM, or crashes the one that has just taken its place.
        for _ in 0..2 {
            let answer = client.send(&crashing(&content)).await.expect_denial(503, "UNAVAILABLE");
            assert!(answer.number("retry-after") >= 1, "{answer}");
            assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer}");
        }
        // Whoever has no right to pass has none now.
        for path in ["/content/items", "/payments/charges", "/commerce/orders"] {
            let answer = client.send(&Call::get(path)).await;
            assert!([401, 503].contains(&answer.status), "{path}:\n{answer}");
        }
        assert_eq!(gateway.upstream.total(), before, "the upstream was asked");

        for call in [&content, &payments] {
            gateway.until_status(200, call).await;
        }
        client.send(&Call::get("/content/items")).await.expect_denial(401, "UNAUTHORIZED");
    }
    assert!(gateway.envoy.stat("wasm.postern.vm_reload_success").await >= 2);

    // The third of three an hour, whichever VM counted the others.
    gateway.send(&limited).await.expect(200);
    gateway.send(&limited).await.expect_denial(429, "RATE_LIMIT_EXCEEDED");
}
