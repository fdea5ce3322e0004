//! `postern review`: its exit codes, its three forms, what it accepts and what it compares.

use std::fs;

use postern_e2e::server::run;
use serde_json::Value;

const QUIET: &str = "tests/fixtures/review/gateway.yaml";
const OPENED: &str = "tests/fixtures/review/opened.yaml";
const ACCEPT: &str = "tests/fixtures/review/accept.yaml";
const MESH: &str = "tests/fixtures/review/mesh";
const OPEN_MESH: &str = "tests/fixtures/review/open";
const HOSTILE: &str = "tests/fixtures/review/hostile.yaml";
const SAMPLE: &str = "envoy/sample.yaml";

/// A review as JSON, whatever it exits with.
async fn json(arguments: &[&str]) -> Value {
    let all = [&["review", "--format", "json"][..], arguments].concat();
    let finished = run(all).await;
    serde_json::from_str(&finished.stdout).unwrap_or_else(|error| panic!("{error}: {finished}"))
}

/// Findings as `PR101 routes.write`.
fn findings(review: &Value) -> Vec<String> {
    let text = |finding: &Value, name: &str| finding[name].as_str().expect("a text").to_owned();
    let all = review["findings"].as_array().expect("findings").iter();
    all.map(|finding| format!("{} {}", text(finding, "id"), text(finding, "subject"))).collect()
}

#[tokio::test]
async fn the_exit_code_says_whether_somebody_has_to_look() {
    run(["review", QUIET]).await.expect_success();
    run(["review", OPENED]).await.expect_code(3);
    run(["review", OPENED, "--fail-on", "critical"]).await.expect_success();
    run(["review", OPENED, "--fail-on", "never"]).await.expect_success();
    run(["review", "no-such-file.yaml"]).await.expect_code(1);
    run(["review", QUIET, "--fail-on", "sometimes"]).await.expect_code(2);
    run(["review", QUIET, "--policies-old", MESH]).await.expect_code(2);
}

#[tokio::test]
async fn a_review_in_a_file_says_why_it_fails() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("review.md").display().to_string();
    let told = run(["review", OPENED, "--out", &file]).await.expect_code(3);
    let expected = "1 high (PR101 routes.write): exit code 3 by --fail-on high\n";
    assert!(told.contains(expected), "{told}");
    let open = ["review", OPENED, "--diff", QUIET, "--fail-on", "never", "--fail-on-open"];
    let told = run([&open[..], &["--out", &file]].concat()).await.expect_code(3);
    assert!(told.contains(" open (routes.write"), "{told}");
    assert!(told.contains(": exit code 3 by --fail-on-open\n"), "{told}");
    let quiet = run(["review", QUIET, "--out", &file]).await;
    assert!(quiet.code == Some(0) && !quiet.stderr.contains("exit code"), "{quiet}");
}

#[tokio::test]
async fn text_is_for_a_terminal_and_has_no_tables() {
    let page = run(["review", OPENED]).await.expect_code(3);
    assert!(page.starts_with("# Access review\n"), "{page}");
    let text = run(["review", OPENED, "--format", "text"]).await.expect_code(3);
    assert!(text.starts_with("high PR101 routes.write, "), "{text}");
    assert!(text.contains("opened.yaml:") && !text.contains('|'), "{text}");
}

#[tokio::test]
async fn what_is_accepted_does_not_fail_until_its_day() {
    let accepted = ["review", OPENED, "--accept", ACCEPT, "--today"];
    run([&accepted[..], &["2026-12-31"]].concat()).await.expect_success();
    let over = run([&accepted[..], &["2027-01-01"]].concat()).await.expect_code(3);
    assert!(over.contains("PR001"), "{over}");
    let unused = json(&[QUIET, "--accept", ACCEPT, "--today", "2026-06-15"]).await;
    assert!(findings(&unused).contains(&"PR002 PR101 routes.write".to_owned()), "{unused:#}");
    run(["review", QUIET, "--today", "yesterday"]).await.expect_code(1);
}

#[tokio::test]
async fn what_is_graver_than_what_was_accepted_fails() {
    let folder = tempfile::tempdir().expect("a folder");
    let list = folder.path().join("accept.yaml").display().to_string();
    let accepted = ["review", OPENED, "--accept", &list, "--today", "2026-06-15"];
    let write = |severity: &str, more: &str| {
        let entry = format!(
            "- {{id: PR101, subject: routes.write, severity: {severity}, because: b{more}}}\n"
        );
        fs::write(&list, entry).expect("a file");
    };
    write("medium", "");
    let grown = run(accepted).await.expect_code(3);
    assert!(grown.contains("PR001"), "{grown}");
    write("high", "");
    run(accepted).await.expect_success();
    let review = json(&[OPENED]).await;
    let all = review["findings"].as_array().expect("findings").iter();
    let mut of_it = all.filter(|one| one["id"] == "PR101");
    let fingerprint = of_it.next().expect("PR101")["fingerprint"].as_str().expect("a text");
    write("high", &format!(", finding: '{fingerprint}'"));
    run(accepted).await.expect_success();
    write("high", ", finding: '0000000000000000'");
    run(accepted).await.expect_code(3);
    write("low", ", until: 2027-01-31");
    run(accepted).await.expect_code(3);
}

#[tokio::test]
async fn a_strict_mesh_is_quiet_and_a_permissive_one_is_not() {
    let strict = json(&[QUIET, "--policies", MESH]).await;
    let of_mesh = |review: &Value| -> Vec<String> {
        findings(review).into_iter().filter(|finding| finding.starts_with("PR2")).collect()
    };
    assert_eq!(of_mesh(&strict), Vec::<String>::new(), "{strict:#}");
    assert_eq!(strict["routes"][0]["principals"], serde_json::json!(["the gateway"]));
    let open = json(&[QUIET, "--policies", OPEN_MESH]).await;
    assert!(of_mesh(&open).contains(&"PR203 Workload default/shop".to_owned()), "{open:#}");
}

#[tokio::test]
async fn a_policy_that_istio_would_refuse_is_an_error_with_its_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n\
                metadata: {name: a, namespace: b}\nspec:\n  acton: DENY\n";
    fs::write(folder.path().join("a.yaml"), text).expect("a file");
    let path = folder.path().display().to_string();
    let told = run(["review", QUIET, "--policies", &path]).await.expect_code(1);
    assert!(told.contains("a.yaml:5") && told.contains("acton"), "{told}");
}

#[tokio::test]
async fn a_change_says_what_it_opens() {
    let opened = ["review", OPENED, "--diff", QUIET, "--fail-on", "never"];
    let text = run(opened).await.expect_success();
    assert!(text.contains("| **opens** | routes.write | nobody | POST"), "{text}");
    run([&opened[..], &["--fail-on-open"]].concat()).await.expect_code(3);
    let closed = ["review", QUIET, "--diff", OPENED, "--fail-on-open"];
    let text = run(closed).await.expect_success();
    assert!(text.contains("| closes | routes.write | nobody | POST"), "{text}");
    assert!(!text.contains("**opens**"), "{text}");
    let same = json(&[QUIET, "--diff", QUIET]).await;
    assert_eq!(same["changes"], serde_json::json!([]));
    let mesh = ["--policies", OPEN_MESH, "--policies-old", MESH, "--diff", QUIET];
    let mesh = json(&[&[QUIET][..], &mesh[..]].concat()).await;
    let opens = mesh["changes"][0]["kind"].as_str();
    assert_eq!(opens, Some("opens"), "{mesh:#}");
}

#[tokio::test]
async fn an_older_review_can_be_compared_with() {
    let folder = tempfile::tempdir().expect("a folder");
    let old = folder.path().join("old.json").display().to_string();
    run(["review", QUIET, "--format", "json", "--out", &old]).await.expect_success();
    let same = json(&[QUIET, "--diff", &old]).await;
    assert_eq!(same["changes"], serde_json::json!([]));
    let opened = ["review", OPENED, "--diff", &old, "--fail-on", "never", "--fail-on-open"];
    run(opened).await.expect_code(3);
    let two = ["--policies", MESH, "--policies-old", MESH, "--diff", &old];
    run([&["review", QUIET][..], &two].concat()).await.expect_code(1);
    fs::write(&old, "{}").expect("a file");
    run(["review", QUIET, "--diff", &old]).await.expect_code(1);
}

#[tokio::test]
async fn hostile_texts_stay_texts() {
    for format in ["md", "html"] {
        let page = run(["review", HOSTILE, "--format", format, "--fail-on", "never"]).await;
        let page = page.expect_success();
        // What pull requests make links, formulas and mentions of; pages show it as it is.
        let only_there = if format == "md" { ["https://idp", "$x$", "@team"] } else { [""; 3] };
        let everywhere = ["<script", "<img", "\u{202e}", "\u{61c}", "\u{e0041}", "[x](java"];
        for bad in everywhere.into_iter().chain(only_there).filter(|bad| !bad.is_empty()) {
            assert!(!page.contains(bad), "{format}: {bad}\n{page}");
        }
        assert!(page.contains("alert(1)"), "{format}: the text itself is shown");
    }
}

#[tokio::test]
async fn the_same_input_gives_the_same_bytes() {
    for format in ["md", "html", "json"] {
        let all =
            ["review", SAMPLE, "--policies", MESH, "--format", format, "--today", "2026-06-15"];
        let first = run(all).await;
        let second = run(all).await;
        assert_eq!(first.stdout, second.stdout, "{format}");
        assert!(!first.stdout.is_empty());
    }
}

#[tokio::test]
async fn the_sample_has_what_its_comments_say() {
    let review = json(&[SAMPLE]).await;
    let found = findings(&review);
    for expected in [
        "PR113 credentials.api_key.keys",
        "PR101 routes.notifications",
        "PR117 login.roles.admin",
        "PR119 login",
        "PR121 login.passwords.breached",
    ] {
        assert!(found.contains(&expected.to_owned()), "{found:#?}");
    }
    let critical = review["findings"].as_array().expect("findings").iter();
    assert_eq!(critical.filter(|one| one["severity"] == "critical").count(), 1);
}
