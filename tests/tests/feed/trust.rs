//! Whom the feed answers. The certificates in `fixtures/tls` and their keys exist for these tests
//! alone; that of their authority was never kept.

use std::fs;

use postern_e2e::env;
use postern_e2e::envoy::{self, for_each_object};
use postern_e2e::watch::Watch;
use serde_json::{Value, json};

use super::{
    FAILURES, builder, client, closed, closed_until_revoked, content, hears_of_later_ones,
    payments, tokens, until_stat,
};

const CREDENTIAL: &str = "5e0c6f7a91d24b38a6c1f09e7d5b2c84e3f61a0b9c8d7e6f5a4b3c2d1e0f9a8b";
/// Of [`CREDENTIAL`].
const SHA256: &str = "e51edfb05f567fd1a4707b7ff044d702403cac73229b8881aa4506b3bc9599c6";
/// Nobody's.
const GUESS: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_credential_opens_the_feed_and_shows_nowhere() {
    let folder = tempfile::tempdir().expect("a folder for the credential");
    let file = folder.path().join("credential");
    let peer = format!("{{name: edge-test, credential_sha256: {SHA256}, workloads: [edge]}}");
    let feed = format!("feed:\n  peers:\n    - {peer}\n");
    fs::write(&file, CREDENTIAL).expect("a credential");
    let options = ["--feed-credential-file".to_owned(), file.display().to_string()];
    let mut gateway = builder(&feed).render_with(options).start().await;
    let tokens = tokens(&gateway).await;
    let answer = gateway.send(&content(&tokens.good)).await.expect(200);
    assert_eq!(answer.upstream_header("x-postern-feed-credential"), None, "{answer}");
    let mut texts = vec![gateway.envoy.admin("/config_dump").await.text()];

    fs::write(&file, GUESS).expect("a credential");
    gateway.envoy.restart().await;
    until_stat(&gateway, FAILURES, |failures| failures >= 2).await;
    for token in [&tokens.good, &tokens.revoked] {
        closed(&gateway, &content(token)).await;
    }
    texts.push(gateway.envoy.admin("/config_dump").await.text());

    fs::write(&file, CREDENTIAL).expect("a credential");
    gateway.envoy.restart().await;
    closed_until_revoked(&gateway, &content(&tokens.revoked)).await;
    gateway.until_everywhere(200, &content(&tokens.good)).await;
    hears_of_later_ones(&gateway, &tokens).await;

    texts.extend([gateway.envoy.log(), gateway.server.log()]);
    for text in &texts {
        assert!(!text.is_empty(), "there is nothing to look at");
        for secret in [CREDENTIAL, GUESS] {
            assert!(!text.contains(secret), "a credential shows");
        }
    }
}

/// Of the certificate `edge`; `other` has another one of the same authority.
const EDGE: &str = "spiffe://postern.test/ns/gateway/sa/edge";

fn pem(name: &str) -> String {
    let folder = env::repository().join("tests").join("fixtures").join("tls");
    folder.join(format!("{name}.pem")).display().to_string()
}

fn options<const N: usize>(options: [(&str, &str); N]) -> Vec<String> {
    options.into_iter().flat_map(|(option, name)| [option.to_owned(), pem(name)]).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_opens_the_feed_to_the_workload_that_it_names() {
    let feed = format!("feed:\n  peers:\n    - {{spiffe: \"{EDGE}\", workloads: [edge]}}\n");
    let serve = options([
        ("--grpc-tls-cert", "server"),
        ("--grpc-tls-key", "server-key"),
        ("--grpc-client-ca", "ca"),
    ]);
    let render =
        options([("--server-ca", "ca"), ("--client-cert", "edge"), ("--client-key", "edge-key")]);
    let mut gateway = builder(&feed).serve_with(serve).render_with(render).start().await;
    let tokens = tokens(&gateway).await;
    gateway.until_status(200, &payments(&tokens.good)).await;

    let config = envoy::config_file(gateway.folder());
    for shown in [Some("other"), None] {
        envoy::edit(&config, |config| show(config, shown));
        gateway.envoy.restart().await;
        let watch = Watch::begin(client(&gateway), content(&tokens.good));
        until_stat(&gateway, FAILURES, |failures| failures >= 2).await;
        closed(&gateway, &content(&tokens.good)).await;
        watch.end(&[503]).await;
        // It is the feed that looks at who asks.
        let refused = gateway.until_status(401, &payments(&tokens.revoked)).await;
        refused.expect_denial(401, "TOKEN_REVOKED");
    }

    envoy::edit(&config, |config| show(config, Some("edge")));
    gateway.envoy.restart().await;
    closed_until_revoked(&gateway, &content(&tokens.revoked)).await;
    gateway.until_everywhere(200, &content(&tokens.good)).await;
    hears_of_later_ones(&gateway, &tokens).await;
}

/// Has Envoy show the server this certificate, or none.
fn show(config: &mut Value, name: Option<&str>) {
    let mut contexts = 0;
    for_each_object(config, &mut |object| {
        if !object.contains_key("validation_context") {
            return;
        }
        contexts += 1;
        object.remove("tls_certificates");
        if let Some(name) = name {
            let certificate = json!({
                "certificate_chain": {"filename": pem(name)},
                "private_key": {"filename": pem(&format!("{name}-key"))},
            });
            object.insert("tls_certificates".to_owned(), json!([certificate]));
        }
    });
    assert_eq!(contexts, 2, "TLS to decisions, and to the feed");
}
