//! Istio's policies, put to Envoys that istiod configures: what they answer is what
//! `postern-policies` says, and what was kept for tests without a mesh.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use postern_e2e::policies::{LEAST, Recorded};
use postern_mesh::policies::{self, range::Range};
use postern_mesh::skip;

/// Has what is answered kept, in place of what was.
const WRITE: &str = "POSTERN_WRITE_RECORDED";
/// Kinds of answers and of actions, which are counted aloud.
const SHOWN: [&str; 2] = ["action ", "answered "];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn envoys_answer_as_the_policies_say() {
    let range = Range::start().await;
    let answered = range.answer(policies::cases()).await;
    range.mesh.assert_nothing_rejected().await;

    let is_kept = std::env::var_os(WRITE).is_some_and(|value| value == "1");
    let kept = (!is_kept).then(Recorded::load);
    let is_other_envoy = kept.as_ref().is_some_and(|kept| kept.envoy != answered.envoy);
    let all = answered.requests();
    let answered = if is_other_envoy { answered.without_repeated_headers() } else { answered };
    let left_out = all - answered.requests();
    if left_out > 0 {
        skip::report(&format!("policies: {left_out} requests repeat a header, not compared"));
    }
    let differences = answered.differences();
    let (cases, requests) = (answered.cases.len(), answered.requests());
    skip::report(&format!(
        "policies: {cases} cases, {requests} requests to Envoy {} under istiod {}, differing {}",
        answered.envoy,
        answered.istiod,
        differences.len()
    ));
    for (kind, count) in answered.counts() {
        if SHOWN.iter().any(|shown| kind.starts_with(shown)) {
            skip::report(&format!("policies: {kind}: {count} cases"));
        }
    }
    if is_kept {
        answered.store();
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    if let Some(kept) = kept {
        let kept = if is_other_envoy { kept.without_repeated_headers() } else { kept };
        let changes = answered.changes_since(&kept);
        assert!(
            changes.is_empty(),
            "Envoys answer otherwise than they did; to keep that, set {WRITE}=1:\n{}",
            changes.join("\n")
        );
    }
    if !is_other_envoy {
        let few = answered.too_few();
        assert!(few.is_empty(), "of these there are fewer than {LEAST}: {few:#?}");
    }
}
