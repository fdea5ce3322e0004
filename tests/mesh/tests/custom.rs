//! AuthorizationPolicies with `CUSTOM`: who is asked, and what happens where nobody can be.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use postern_e2e::keys::{self, Token};
use postern_mesh::caller::{send, until_status};
use postern_mesh::mesh::Mesh;
use serde_json::json;

/// A second policy, of somebody else.
const SECOND: &str = r#"
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: somebody-elses, namespace: istio-system}
spec:
  selector: {matchLabels: {istio: ingressgateway}}
  action: CUSTOM
  provider: {name: somebody-else}
  rules: [{to: [{operation: {paths: ["/content/open/*"]}}]}]
"#;

/// A route that needs `ext_authz`, one that does not, and one that somebody else's policy matches.
const EXACT: &str = "/content/limited/exact";
const LOCAL: &str = "/content/a";
const OPEN: &str = "/content/open/a";

async fn statuses(mesh: &Mesh) -> [u16; 3] {
    let token = Token::of(&keys::subject("caller")).scope("content.read").sign();
    let outside = mesh.outside();
    let mut found = [0; 3];
    for (status, path) in found.iter_mut().zip([EXACT, LOCAL, OPEN]) {
        *status = send(outside.get(path).bearer_auth(&token)).await.status;
    }
    found
}

async fn asked(mesh: &Mesh) -> u64 {
    mesh.gateway().count(".ext_authz.ok").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_is_asked_where_a_route_needs_it_and_nowhere_else() {
    let mesh = Mesh::start().await;
    let outside = mesh.outside();
    until_status(200, || outside.get(OPEN)).await;
    let before = asked(&mesh).await;
    assert_eq!(statuses(&mesh).await, [200, 200, 200]);
    assert_eq!(asked(&mesh).await, before + 1);

    // Without the policy nobody asks, and the bundle misses the evidence.
    mesh.render_again(|one| one["spec"]["action"] != "CUSTOM").await;
    assert_eq!(statuses(&mesh).await, [503, 200, 200]);
    mesh.as_rendered().await;
    assert_eq!(statuses(&mesh).await, [200, 200, 200]);

    // Two providers on one gateway: Istio denies what either policy matches, ours included.
    mesh.put_yaml("second", SECOND).await;
    assert_eq!(statuses(&mesh).await, [403, 200, 403]);
    mesh.take_away("second").await;
    assert_eq!(statuses(&mesh).await, [200, 200, 200]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_provider_a_policy_denies_what_it_matches() {
    let forget = |config: &mut serde_json::Value| config["extensionProviders"] = json!([]);
    let mesh = Mesh::builder().edit_mesh_config(forget).start().await;
    let outside = mesh.outside();
    until_status(200, || outside.get(OPEN)).await;
    assert_eq!(statuses(&mesh).await, [403, 200, 200]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_providers_work_beside_each_other_where_istiod_is_told_so() {
    let twice = |config: &mut serde_json::Value| {
        let mut other = config["extensionProviders"][0].clone();
        other["name"] = json!("somebody-else");
        config["extensionProviders"].as_array_mut().expect("a list").push(other);
    };
    let flag = "PILOT_ENABLE_MULTIPLE_CUSTOM_AUTHZ_PROVIDERS";
    let mesh = Mesh::builder().feature(flag, "true").edit_mesh_config(twice).start().await;
    mesh.put_yaml("second", SECOND).await;
    let before = asked(&mesh).await;
    assert_eq!(statuses(&mesh).await, [200, 200, 200]);
    assert_eq!(asked(&mesh).await, before + 2, "each for what it matches");
    mesh.assert_nothing_rejected().await;
}
