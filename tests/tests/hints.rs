//! What commands say of what is hardly meant, or cannot be: which option, which value, what is
//! taken instead.

use postern_e2e::process::Finished;
use postern_e2e::server::{self, Durable};
use serde_json::Value;

const SAMPLE: &str = "envoy/sample.yaml";
/// In the form of a session's id.
const NOBODY: &str = "f47ac10b-58cc-4372-a567-0e02b2c3d479";
const WITHOUT_REDIS: &str = "no Redis is named";

struct Place {
    durable: Durable,
    _folder: tempfile::TempDir,
}

impl Place {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self { durable: Durable::prepare(folder.path()).await, _folder: folder }
    }

    async fn run(&self, words: &[&str]) -> Finished {
        server::run(self.durable.arguments(words)).await
    }

    /// With the sample document.
    async fn run_by_sample(&self, words: &[&str]) -> Finished {
        self.run(&[words, &["--document", SAMPLE]].concat()).await
    }

    /// The id and state of each signing key, oldest first.
    async fn keys(&self) -> Vec<(String, String)> {
        let list = self.run(&["keys", "list", "--json"]).await.expect_success();
        let list: Value = serde_json::from_str(&list).expect("JSON");
        let text = |key: &Value, name: &str| key[name].as_str().expect("a text").to_owned();
        let keys = list.as_array().expect("a list").iter();
        keys.map(|key| (text(key, "kid"), text(key, "state"))).collect()
    }
}

#[tokio::test]
async fn the_last_key_that_signs_is_withdrawn_by_a_yes() {
    let place = Place::new().await;
    let (kid, _) = place.keys().await.remove(0);
    let retire = ["keys", "retire", &kid];
    let asked = place.run(&retire).await.expect_code(1);
    for word in [kid.as_str(), "the last key that signs", "postern keys rotate", "--yes"] {
        assert!(asked.contains(word), "no {word}: {asked}");
    }
    let rotate = place.durable.arguments_with_key(&["keys", "rotate"]);
    server::run(rotate).await.expect_success();
    // The next one is published, and signs later.
    place.run(&retire).await.expect_code(1);
    let states: Vec<_> = place.keys().await.into_iter().map(|(_, state)| state).collect();
    assert_eq!(states, ["active", "pending"]);
    let done = place.run(&["keys", "retire", &kid, "--yes"]).await;
    assert!(done.stderr.contains("no key is left"), "{done}");
    done.expect_success();
    let states: Vec<_> = place.keys().await.into_iter().map(|(_, state)| state).collect();
    assert_eq!(states, ["retired", "pending"]);
    // What signs nothing yet takes nothing away.
    let (next, _) = place.keys().await.remove(1);
    place.run(&["keys", "retire", &next]).await.expect_success();
}

#[tokio::test]
async fn an_end_is_told_of_when_it_has_come_about() {
    let place = Place::new().await;
    for (words, expected) in [
        (&["session", "end", "nope"][..], "`nope` is no session's id"),
        (&["user", "deactivate", "gone@example.test"], "no user with this e-mail"),
        (&["client", "delete", "gone"], "no such client"),
    ] {
        let refused = place.run_by_sample(words).await.expect_code(1);
        assert!(refused.contains(expected) && !refused.contains(WITHOUT_REDIS), "{refused}");
    }
    let ended = place.run_by_sample(&["session", "end", NOBODY]).await;
    assert!(ended.stderr.contains(WITHOUT_REDIS), "{ended}");
    ended.expect_success();
}

#[tokio::test]
async fn scopes_and_grants_that_no_document_knows_are_told_of() {
    let place = Place::new().await;
    let client = ["client", "create", "--name", "A", "--scopes", "content.read"];
    let key = ["apikey", "create", "--subject", "s", "--scopes", "content.read"];
    for words in [&client, &key] {
        let unchecked = place.run(words).await;
        assert!(unchecked.stderr.contains("with --document that is checked"), "{unchecked}");
        unchecked.expect_success();
        let checked = place.run_by_sample(words).await;
        assert!(!checked.stderr.contains("--document"), "{checked}");
        assert!(!checked.stderr.contains("warning"), "{checked}");
        checked.expect_success();
    }
    let exchange = [&client[..], &["--grant", "token_exchange"]].concat();
    let warned = place.run_by_sample(&exchange).await;
    assert!(warned.stderr.contains("`token_exchange`: `oauth.grants`"), "{warned}");
    warned.expect_success();
    let mistyped = ["apikey", "create", "--subject", "s", "--scopes", "contnet.read"];
    let refused = place.run_by_sample(&mistyped).await.expect_code(1);
    assert!(refused.contains("scopes: ") && refused.contains("`contnet.read`"), "{refused}");

    let issue = ["token", "issue", "--document", SAMPLE, "--subject", "s", "--scope"];
    for (scope, is_known) in [("content.read", true), ("contnet.read", false)] {
        let words = [&issue[..], &[scope]].concat();
        let issued = server::run(place.durable.arguments_with_key(&words)).await;
        assert_eq!(issued.stderr.contains("`contnet.read`"), !is_known, "{issued}");
        issued.expect_success();
    }
}

#[tokio::test]
async fn values_that_cannot_be_are_told_with_option_and_bounds() {
    let place = Place::new().await;
    let kid = place.keys().await.remove(0).0;
    for (words, expected) in [
        (&["client", "create", "--name", "a", "--lifetime", "10"][..], "--lifetime: `10` is no"),
        (&["client", "create", "--name", "a", "--lifetime", "25h"], "1s to 24h"),
        (&["client", "create", "--name", "a", "--refresh-lifetime", "1s"], "--refresh-lifetime: "),
        (&["apikey", "create", "--subject", "s", "--expires-in", "90"], "--expires-in: `90` is"),
        (&["apikey", "rotate", "none", "--overlap", "1s"], "--overlap: `1s` is no duration of 1m"),
        (&["token", "revoke", "--key", &kid, "--issuer", "i", "--remember", "9"], "--remember: "),
        (
            &["client", "create", "--name", "a", "--redirect-uri", "http://a.example/cb"],
            "`http://a.example/cb`: a redirect URI is https",
        ),
        (
            &["client", "create", "--name", "a", "--redirect-uri", "https://a.example/#cb"],
            "`https://a.example/#cb`: a redirect URI has no fragment",
        ),
        (&["client", "update", NOBODY], "say what is to change: --name, --scopes, "),
        (&["apikey", "update", "none"], "--expires-in, --no-expiry"),
    ] {
        let refused = place.run(words).await.expect_code(1);
        assert!(refused.contains(expected), "no {expected}: {refused}");
    }
    let issue = ["token", "issue", "--document", SAMPLE, "--subject", "s", "--ttl", "48h"];
    let refused = server::run(place.durable.arguments_with_key(&issue)).await.expect_code(1);
    assert!(refused.contains("--ttl: `48h` is no duration of 1s to 24h"), "{refused}");
    let limits = ["--limit", "per-user", "--limit", "gone"];
    let limits = [&["apikey", "create", "--subject", "s"][..], &limits].concat();
    let refused = place.run_by_sample(&limits).await.expect_code(1);
    assert!(refused.contains("the document has no limit `gone`"), "{refused}");
}

#[tokio::test]
async fn who_is_made_without_a_password_is_told_how_to_get_one() {
    let place = Place::new().await;
    let create = ["user", "create", "--first-name", "A", "--last-name", "B", "--email"];
    let made = async |more: &[&str]| place.run_by_sample(&[&create[..], more].concat()).await;
    let without = made(&["a@example.test"]).await;
    let how = "postern user update a@example.test --generate";
    assert!(without.stderr.contains(how), "{without}");
    without.expect_success();
    let with = made(&["b@example.test", "--generate"]).await;
    assert!(!with.stderr.contains("no password"), "{with}");
    with.expect_success();
    let refused = made(&["c@example.test", "--role", "gone"]).await.expect_code(1);
    assert!(refused.contains("it has ") && refused.contains("teacher"), "{refused}");
}

#[tokio::test]
async fn a_module_by_a_relative_path_is_warned_of() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().display().to_string();
    for (wasm, is_warned) in [("nowhere.wasm", true), ("/etc/postern/bundle.wasm", false)] {
        let words = ["render", "envoy", SAMPLE, "--out", &out, "--wasm", wasm];
        let rendered = server::run(words).await;
        assert_eq!(rendered.stderr.contains("--wasm nowhere.wasm"), is_warned, "{rendered}");
        rendered.expect_success();
    }
}
