//! What `postern test` expects offline is what a real gateway does: every case file is explained
//! by the binary and sent to Envoy, the bundle, the server and a service.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use postern_e2e::replay::{Replayed, Story};
use postern_e2e::{env, server};
use serde_json::Value;
use tempfile::TempDir;

const TOKENS: [&str; 2] = [
    include_str!("../fixtures/cases/tokens.document.yaml"),
    include_str!("../fixtures/cases/tokens.cases.yaml"),
];
const BOUND: [&str; 2] = [
    include_str!("../fixtures/cases/bound.document.yaml"),
    include_str!("../fixtures/cases/bound.cases.yaml"),
];
const TRAFFIC: [&str; 2] = [
    include_str!("../fixtures/cases/traffic.document.yaml"),
    include_str!("../fixtures/cases/traffic.cases.yaml"),
];
const SESSIONS: [&str; 2] = [
    include_str!("../fixtures/cases/sessions.document.yaml"),
    include_str!("../fixtures/cases/sessions.cases.yaml"),
];
const FAILURES: &str = include_str!("../fixtures/cases/failures.document.yaml");
const CLOSED: &str = include_str!("../fixtures/cases/closed.cases.yaml");
const PASSING: &str = include_str!("../fixtures/cases/passing.cases.yaml");

/// The fewest cases of all files together that are sent.
const FEWEST: usize = 250;

/// Reasons that no case brings about, and why.
const WITHOUT_CASE: [(&str, &str); 13] = [
    ("path_not_text", "Envoy refuses such a path before the bundle sees it"),
    ("token_too_long", "takes a token of 16 kB; core/jose has tests for it"),
    ("dpop_nonce", "nobody asks for one yet"),
    ("dpop_replayed", "every proof counts as one that nobody has seen, which is said"),
    ("api_key_not_text", "takes bytes that no YAML can hold"),
    ("token_budget", "takes a spent budget, which no request and no document tells of"),
    ("token_unsupported", "takes a host without a verifier"),
    ("dpop_unverified", "the same"),
    ("randomness", "takes a system without random numbers"),
    ("decision_aborted", "takes a server that goes down meanwhile"),
    ("session_changed", "takes another browser than the one that has logged in"),
    ("api_key_limit_unknown", "takes a key of the durable store with limits of its own"),
    ("evidence_missing", "takes two documents, or another Envoy than the rendered one"),
];

fn story(name: &str) -> Story {
    match name {
        "sample" => Story::sample(),
        "tokens" => Story::of(name, TOKENS[0], TOKENS[1]),
        "bound" => Story::of(name, BOUND[0], BOUND[1]),
        "traffic" => Story::of(name, TRAFFIC[0], TRAFFIC[1]),
        "sessions" => Story::of(name, SESSIONS[0], SESSIONS[1]),
        "closed" => Story::of(name, &FAILURES.replace("$ANSWER", "deny"), CLOSED),
        "passing" => Story::of(name, &passing(), PASSING),
        _ => panic!("there is no story {name}"),
    }
}

/// The document of failures, where everything that may goes on. A route that takes API keys may
/// not: nobody but the server can check them.
fn passing() -> String {
    let document = FAILURES.replace("$ANSWER", "allow");
    let keyed = "      any: [api_key]\n";
    assert!(document.contains(keyed), "the fixture has a route for API keys");
    document.replace(keyed, "      any: [jwt]\n")
}

const ALL: [&str; 7] = ["sample", "tokens", "bound", "traffic", "sessions", "closed", "passing"];

/// A story as files.
struct Files {
    document: PathBuf,
    cases: PathBuf,
    folder: TempDir,
}

impl Files {
    fn of(story: &Story) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).expect("a file");
            path
        };
        let document = write("document.yaml", &story.readable());
        let cases = write("cases.yaml", &story.cases);
        Self { document, cases, folder }
    }

    /// `postern test` of them.
    fn arguments(&self, more: &[&str]) -> Vec<String> {
        let files = [&self.document, &self.cases].map(|path| path.display().to_string());
        let more = more.iter().map(|word| (*word).to_owned());
        std::iter::once("test".to_owned()).chain(files).chain(more).collect()
    }
}

/// Explains the cases of a story, sends them, and says which were not sent.
async fn is_what_envoy_does(name: &str) {
    let story = story(name);
    let explained = server::run(Files::of(&story).arguments(&[])).await;
    let summary = explained.expect_success();
    let Replayed { sent, skipped, differences } = Box::pin(story.replay()).await;
    let mut said = format!("{name}: {} {sent} sent\n", summary.trim_end());
    for (case, why) in skipped {
        said.push_str(&format!("  not sent: {case}: {why}\n"));
    }
    // Not `eprintln!`, which a test that passes keeps to itself.
    let _ = std::io::stderr().write_all(said.as_bytes());
    assert!(
        differences.is_empty(),
        "{} of {sent} cases are not what Envoy does:\n{}",
        differences.len(),
        differences.join("\n")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_explain_says_of_the_sample_is_what_envoy_does() {
    is_what_envoy_does("sample").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_explain_says_of_tokens_is_what_envoy_does() {
    is_what_envoy_does("tokens").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_explain_says_of_proofs_is_what_envoy_does() {
    is_what_envoy_does("bound").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_explain_says_of_traffic_is_what_envoy_does() {
    is_what_envoy_does("traffic").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_explain_says_of_sessions_is_what_envoy_does() {
    is_what_envoy_does("sessions").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_explain_says_of_failures_is_what_envoy_does() {
    is_what_envoy_does("closed").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_explain_says_of_going_on_is_what_envoy_does() {
    is_what_envoy_does("passing").await;
}

#[test]
fn there_are_enough_cases_that_are_sent() {
    let sent: usize = ALL
        .iter()
        .map(|name| {
            let story = story(name);
            let cases = story.read(&story.load()).cases;
            cases.iter().filter(|case| case.not_replayed.is_none()).count()
        })
        .sum();
    assert!(sent >= FEWEST, "{sent} cases are sent");
}

#[test]
fn every_reason_of_errors_md_can_be_explained() {
    let mut expected = BTreeSet::new();
    for name in ALL {
        let story = story(name);
        for case in story.read(&story.load()).cases {
            expected.extend(case.expect.reason);
        }
    }
    let page = fs::read_to_string(env::repository().join("docs/errors.md")).expect("the page");
    let (_, table) = page.split_once("| `reason` | status | means |").expect("the table");
    let documented: BTreeSet<&str> = table
        .lines()
        .skip(1)
        .take_while(|line| line.is_empty() || line.starts_with('|'))
        .filter_map(|line| line.split('|').nth(1))
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .collect();
    assert!(documented.len() > 50, "the table is read in another way: {documented:?}");
    for reason in &documented {
        let without = WITHOUT_CASE.iter().any(|(known, _)| known == reason);
        let has_case = expected.contains(*reason);
        assert!(has_case != without, "{reason}: a case {has_case}, listed {without}");
    }
    for reason in &expected {
        assert!(documented.contains(reason.as_str()), "{reason} is in no table");
    }
    for (reason, _) in WITHOUT_CASE {
        assert!(documented.contains(reason), "{reason} is listed, and in no table");
    }
}

#[tokio::test]
async fn a_case_that_expects_something_else_fails_and_shows_the_way() {
    let mut story = story("closed");
    let cases = "version: 1\ncases:\n- name: open to all\n  request: {path: /plain/asked}\n  \
                 expect: {allow: true}\n- name: closed\n  request: {path: /plain/asked}\n  \
                 expect: {status: 403, error: FORBIDDEN}\n";
    story.cases = cases.to_owned();
    let files = Files::of(&story);
    let report = server::run(files.arguments(&[])).await.expect_code(1);
    for words in [
        "cases.yaml:3: open to all",
        "expected forwarded, found 401 UNAUTHORIZED (credential_missing) by ext_authz",
        "expected 403, found 401",
        "2 cases, 0 passed, 2 failed",
    ] {
        assert!(report.contains(words), "no `{words}` in:\n{report}");
    }
    // Where the rule stands that decided.
    assert!(report.contains("document.yaml:"), "{report}");

    let report = server::run(files.arguments(&["--json"])).await.expect_code(1);
    let json: Value = serde_json::from_str(report.trim_end()).expect("JSON");
    assert_eq!((&json["cases"], &json["failed"]), (&Value::from(2), &Value::from(2)));
    let case = &json["files"][0]["cases"][1];
    assert_eq!(case["mismatches"][0]["found"], "401", "{case}");

    let junit = files.folder.path().join("junit.xml");
    let shown = junit.display().to_string();
    server::run(files.arguments(&["--junit", &shown, "--filter", "open"])).await.expect_code(1);
    let text = fs::read_to_string(&junit).expect("the file");
    assert!(text.contains("<testsuites tests=\"1\" failures=\"1\">"), "{text}");
}

#[tokio::test]
async fn all_problems_of_cases_are_printed_with_their_lines() {
    let mut story = story("closed");
    story.cases = "version: 1\ncases:\n- name: one\n  requst: {}\n  request: {path: /a}\n  \
                   expect: {allow: true, route: nowhere}\n- name: one\n  request: {token: who}\n  \
                   expect: {status: 200}\n"
        .to_owned();
    let report = server::run(Files::of(&story).arguments(&[])).await.expect_code(1);
    for (line, word) in [
        (4, "did you mean `request`"),
        (6, "no route `nowhere`"),
        (7, "another case `one`"),
        (8, "no token `who`"),
        (8, "`path` is missing"),
        (9, "from 400 to 599"),
    ] {
        let place = format!("cases.yaml:{line}:");
        assert!(
            report.lines().any(|text| text.contains(&place) && text.contains(word)),
            "no `{word}` in line {line}:\n{report}"
        );
    }
}

#[tokio::test]
async fn too_little_coverage_is_a_failure_and_says_what_is_missing() {
    let mut story = story("closed");
    story.cases = "version: 1\ncases:\n- name: open\n  request: {path: /plain/open}\n  \
                   expect: {allow: true}\n"
        .to_owned();
    let files = Files::of(&story);
    server::run(files.arguments(&[])).await.expect_success();
    let report = server::run(files.arguments(&["--coverage", "--min", "50%"])).await;
    let report = report.expect_code(1);
    for words in [
        "no case has seen",
        "routes.plain-token.auth.any refused",
        "routes 1 of",
        "50 % are wanted",
    ] {
        assert!(report.contains(words), "no `{words}` in:\n{report}");
    }
    let covered = "routes.plain-open reached";
    assert!(!report.lines().any(|line| line.ends_with(covered)), "{report}");
}
