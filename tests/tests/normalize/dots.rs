//! A dot segment with parameters is `..` to some readers and a name to others, and which of both
//! an Envoy is depends on its version. Where parameters are allowed at all, it reaches nobody.

use postern_e2e::gateway::Gateway;
use postern_e2e::raw;

const DOCUMENT: &str = "
version: 1
matrix_parameters: allow
services:
  all: {upstream: $UPSTREAM}
routes:
  - {name: below, match: {path: \"/a/{rest=**}\"}, service: all, auth: none}
";

async fn status(gateway: &Gateway, target: &str) -> Option<u16> {
    raw::exchange(gateway.port(), &raw::get(target.as_bytes(), &[])).await.status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dots_with_parameters_reach_nobody() {
    let mut gateway = Gateway::builder().document(DOCUMENT).start().await;
    for target in ["/a/b;v=1/c", "/a/b%3Bv/c", "/a/...;x/c", "/a/.b;x", "/a/b;.."] {
        assert_eq!(status(&gateway, target).await, Some(200), "{target}");
    }
    let before = gateway.upstream.total();
    // What an escape hides from this Envoy, it might not hide from the next reader.
    for target in ["/a/%2e%2e;x/b", "/a/.%2E;/b", "/a/%2e;x/b", "/a/..%3Bx/b", "/a/.%3b", "/a/;x/b"]
    {
        assert_eq!(status(&gateway, target).await, Some(400), "{target}");
    }
    // Newer Envoys resolve these, and there is no route for what is left.
    for target in ["/a/..;x/b", "/a/..;/b", "/a/c/..;x/..;y/b", "/a/..;x", "/a\\..;x\\b"] {
        let status = status(&gateway, target).await;
        assert!(matches!(status, Some(400 | 404)), "{target}: {status:?}");
    }
    assert_eq!(gateway.upstream.total(), before, "none of them came through");
    gateway.envoy.assert_no_failed_machine().await;
}
