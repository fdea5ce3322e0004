//! Configuration that changes while the service runs.

use std::fs;
use std::time::Duration;

use postern_e2e::client::Call;
use postern_e2e::config_map::ConfigMap;
use postern_e2e::{keys, process, server, wait};
use tempfile::TempDir;

use crate::rate_limit_service::{LONGEST, Limits, Stack, options};

fn rules(requests: u32) -> String {
    format!(
        "domain: shop\ndescriptors:\n  - key: user\n    \
         rate_limit: {{unit: year, requests_per_unit: {requests}}}\n"
    )
}

async fn until_in_use(limits: &Limits, what: &str) {
    wait::until(what, LONGEST, || async {
        let text = limits.rules_in_use().await;
        if text.contains(what) { Ok(()) } else { Err(text) }
    })
    .await;
}

async fn until_refused(limits: &Limits, times: u64) {
    let name = "postern_rate_limit_configuration_loads_total";
    wait::until("a configuration that was refused", LONGEST, || async {
        let found = limits.server.metric(name, &[("outcome", "refused")]).await;
        if found >= times { Ok(()) } else { Err(found) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_config_map_that_changes_is_used_and_a_bad_one_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().join("rules");
    let mut map = ConfigMap::new(place.clone(), "shop.yaml", &rules(3));
    let stack = Stack::start(Limits::start_at("memory", folder, place, &[]).await).await;
    let user = keys::subject("reload");
    let call = Call::get("/any/page").header("x-user", user.as_str());
    stack.lets_pass(&call, 3).await;

    // What was counted goes on counting.
    map.update(&rules(5));
    until_in_use(&stack.limits, "requests_per_unit=5").await;
    stack.lets_pass(&call, 2).await;

    let bad = rules(9).replace("requests_per_unit", "requests_per_minute");
    map.update(&bad);
    until_refused(&stack.limits, 1).await;
    assert!(stack.limits.rules_in_use().await.contains("requests_per_unit=5"));
    let other = Call::get("/any/page").header("x-user", keys::subject("reload"));
    stack.lets_pass(&other, 5).await;

    map.update(&rules(7));
    until_in_use(&stack.limits, "requests_per_unit=7").await;
    stack.lets_pass(&call, 2).await;
    let gauge = stack.limits.server.metric("postern_rate_limit_rules", &[]).await;
    assert_eq!(gauge, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_written_anew_is_read_again_and_one_that_is_gone_changes_nothing() {
    let limits = Limits::start(&rules(3)).await;
    // As long as before, so that its size tells nothing.
    fs::write(&limits.rules, rules(4)).expect("rules");
    until_in_use(&limits, "requests_per_unit=4").await;
    fs::remove_file(&limits.rules).expect("a file that was removed");
    until_refused(&limits, 1).await;
    assert!(limits.rules_in_use().await.contains("requests_per_unit=4"));
    fs::write(&limits.rules, rules(6)).expect("rules");
    until_in_use(&limits, "requests_per_unit=6").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn domains_of_several_files_are_one_only_where_that_is_asked_for() {
    let folder = || {
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join("rules");
        fs::create_dir(&place).expect("a folder");
        fs::write(place.join("one.yaml"), rules(3)).expect("rules");
        let more = rules(4).replace("key: user", "key: tenant");
        fs::write(place.join("two.yml"), more).expect("rules");
        (folder, place)
    };
    let (one, place) = folder();
    let report = refused(&one, &place).await;
    assert!(report.contains("two.yml:1:") && report.contains("shop"), "{report}");

    let (two, place) = folder();
    let merge = ["--rate-limit-merge-domains"];
    let limits = Limits::start_at("memory", two, place, &merge).await;
    let rules = limits.rules_in_use().await;
    assert!(rules.contains("shop.user:") && rules.contains("shop.tenant:"), "{rules}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_bad_configuration_nothing_is_served_and_every_problem_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("shop.yaml");
    let text = "domain: shop\ndescriptors:\n  - key: user\n    algorithm: gcra\n    rate_limit:\n      \
                unit: fortnight\n      requests_per_unit: -1\n  - value: x\n";
    fs::write(&file, text).expect("rules");
    let report = refused(&folder, &file).await;
    for (line, word) in
        [(4, "algorithm"), (6, "second, minute"), (7, "requests_per_unit"), (8, "key")]
    {
        let place = format!("{}:{line}:", file.display());
        let told = report.lines().any(|text| text.contains(&place));
        assert!(told && report.contains(word), "no `{word}` at {place} in:\n{report}");
    }
}

/// What a server says that does not start with these rules.
async fn refused(folder: &TempDir, rules: &std::path::Path) -> String {
    let options = options(folder.path(), "memory");
    let mut command = server::serve_command(&options, server::Ports::free());
    command.arg("--rate-limit-config").arg(rules);
    process::run(command, Duration::from_secs(30)).await.expect_code(1)
}
