//! The bundle crashes again and again under load: nothing passes that must not, and what was
//! counted and revoked stays so.

use std::time::Duration;

use postern_e2e::client::Protocol;
use postern_e2e::faulty_module::{self, crashing};
use postern_e2e::gateway::Gateway;
use postern_e2e::{documents, wait};

use crate::mix::{Mix, content, limited, token};
use crate::profile::Profile;
use crate::{LONGEST, until_stat};

const CRASHES: u32 = 6;
/// Between two of them: some find a VM that has just taken another one's place, some find none.
const APART: Duration = Duration::from_millis(400);
const REPLACED: &str = "wasm.postern.vm_reload_success";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_bundle_crashes_nobody_passes_who_must_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().to_path_buf();
    let builder = Gateway::builder().document(documents::chaos(1, "30s")).durable().workers(2);
    let builder = builder.edit_envoy(move |config| faulty_module::plant_in(config, &place));
    let gateway = builder.start().await;
    let mix = Mix::begin(&gateway).await;
    let local = limited("local", &token("local"));
    gateway.until_status(429, &local).await;
    let mix = mix.with("local, used up", local, 429);

    let load = mix.send(&gateway, Profile::get().calm_rate);
    load.until_more(Profile::get().calm_rate).await;
    let client = gateway.client(Protocol::Http1);
    for _ in 0..CRASHES {
        client.send(&crashing(&content(&mix.good))).await.expect_denial(503, "UNAVAILABLE");
        tokio::time::sleep(APART).await;
    }
    load.until_more(Profile::get().calm_rate).await;
    let sent = load.end().await;
    mix.assert_no_wrong_allow(&sent);
    // Those who may pass are told to come again, or are cut off with the VM that had them.
    mix.wrong_denials(&sent);
    until_stat(&gateway, REPLACED, |replaced| replaced >= 1).await;

    // All of them are well again, and know what they knew.
    let load = mix.send(&gateway, Profile::get().calm_rate);
    wait::until("right answers alone", LONGEST, || async {
        let answers = gateway.everywhere(&content(&mix.good)).await;
        let right = answers.iter().filter(|answer| answer.status == 200).count();
        if right == answers.len() { Ok(()) } else { Err(format!("{right} of {}", answers.len())) }
    })
    .await;
    let sent = load.end().await;
    mix.assert_no_wrong_allow(&sent);
    gateway.until_revoked_everywhere(&content(&mix.revoked)).await;
}
