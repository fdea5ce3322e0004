//! What `postern test` says of requests, offline, is what comes of them: through a gateway that
//! Istio configures, and on to a sidecar.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::fs;
use std::net::{IpAddr, Ipv4Addr};

use postern_e2e::raw::Answer;
use postern_e2e::replay::Story;
use postern_e2e::server;
use postern_mesh::caller::until_status;
use postern_mesh::mesh::{DOCUMENT, HOST, Mesh};
use postern_mesh::raw::{self, Tls};
use postern_mesh::skip;

const CASES: &str = include_str!("../fixtures/gateway.cases.yaml");
/// The fewest cases.
const FEWEST: usize = 80;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_explain_says_is_what_the_mesh_does() {
    let story = Story::of("gateway", DOCUMENT, CASES);
    let folder = tempfile::tempdir().expect("a folder");
    let files = [("gateway.yaml", story.readable()), ("cases.yaml", story.cases.clone())];
    let files = files.map(|(name, text)| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("a file");
        path.display().to_string()
    });
    let explained = server::run(["test".to_owned()].into_iter().chain(files)).await;
    let summary = explained.expect_success();

    let mesh = Mesh::start().await;
    let outside = mesh.outside();
    until_status(200, || outside.get("/content/open/a")).await;
    let (to, tls) = (mesh.entrance(), Tls::from_outside(HOST));
    let send = |request: Vec<u8>| {
        let exchanged =
            raw::exchange(IpAddr::V4(Ipv4Addr::LOCALHOST), to, Some(tls.clone()), request);
        async move { Answer::of(&exchanged.await) }
    };
    let logs: [&dyn Fn() -> String; 2] = [&|| mesh.gateway().log(), &|| mesh.server.log()];
    let replayed = Box::pin(story.replay_through(logs, send)).await;
    skip::report(&format!(
        "explain: {}; {} sent, differing {}",
        summary.trim_end(),
        replayed.sent,
        replayed.differences.len()
    ));
    for (case, why) in &replayed.skipped {
        skip::report(&format!("explain: not sent: {case}: {why}"));
    }
    assert!(replayed.differences.is_empty(), "{}", replayed.differences.join("\n"));
    assert!(replayed.sent >= FEWEST, "{} cases were sent", replayed.sent);
    mesh.assert_nothing_rejected().await;
}
