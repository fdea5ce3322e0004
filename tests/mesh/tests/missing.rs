//! What happens while a part of the rendering is not there: each row says whether that is closed.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use postern_e2e::keys::{self, Token};
use postern_mesh::caller::{send, until_status};
use postern_mesh::mesh::Mesh;
use serde_json::Value;

/// What puts the bundle into the gateway, for the newest version.
const PLUGIN: &str = "TrafficExtension";

fn is(resource: &Value, kind: &str, name: &str) -> bool {
    let named = resource["metadata"]["name"].as_str().unwrap_or_default();
    resource["kind"] == kind && named.starts_with(name)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_missing_part_has_its_answer() {
    let mesh = Mesh::start().await;
    let outside = mesh.outside();
    let token = Token::of(&keys::subject("caller")).scope("content.read").sign();
    let content = || outside.get("/content/a").bearer_auth(&token);
    let buying = || outside.get("/commerce/a").bearer_auth(&token);
    until_status(200, content).await;
    let found = |kind: &'static str, name: &'static str| {
        let found = mesh.rendered.resources.iter().any(|one| is(one, kind, name));
        assert!(found, "nothing of {kind} {name} is rendered any more: this row proves nothing");
        move |one: &mut Value| !is(one, kind, name)
    };

    // Closed: the bundle refuses before anybody routes, and what it lets through goes nowhere.
    mesh.render_again(found("VirtualService", "")).await;
    send(outside.get("/content/a")).await.expect_denial(401, "UNAUTHORIZED");
    assert_eq!(send(content()).await.status, 404);
    mesh.render_again(found("DestinationRule", "")).await;
    send(outside.get("/content/a")).await.expect_denial(401, "UNAUTHORIZED");
    assert_eq!(send(content()).await.status, 503);

    // Closed: what Envoy no longer refuses, the bundle does.
    mesh.render_again(found("EnvoyFilter", "postern-connection-manager")).await;
    send(outside.get("/content/a%2fb").bearer_auth(&token)).await.expect_denial(400, "BAD_REQUEST");
    send(content()).await.expect(200);

    // Closed: what nobody has judged gets no further than the policies, and whoever writes the
    // bundle's headers himself has written them in vain.
    mesh.render_again(found(PLUGIN, "postern")).await;
    assert_eq!(send(content()).await.status, 403);
    let claimed = outside.get("/content/a").header("x-postern-scope-content.read", "true");
    assert_eq!(send(claimed.bearer_auth(&token)).await.status, 403);
    send(outside.get("/content/open/a")).await.expect(200);

    // Open: nobody computes headers.
    mesh.render_again(found("EnvoyFilter", "postern-ext-proc")).await;
    let answer = send(buying()).await.expect(200);
    assert_eq!(answer.upstream_header("x-caller"), None, "{answer}");

    mesh.as_rendered().await;
    let answer = send(buying()).await.expect(200);
    assert!(answer.upstream_header("x-caller").is_some(), "{answer}");
    mesh.assert_nothing_rejected().await;
}
