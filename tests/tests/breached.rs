//! Passwords that were found in breaches, by a list in a file: refused where they are chosen, and
//! changed by whoever logs in with one.

use std::fs;
use std::path::Path;
use std::time::Duration;

use postern_e2e::browser::Browser;
use postern_e2e::client::{Call, Client, Protocol};
use postern_e2e::gateway::Gateway;
use postern_e2e::process::{self, Finished};
use postern_e2e::server::{self, Durable};
use postern_e2e::{documents, oauth};
use serde_json::json;

const STUDENT: &str = "ada@example.test";
const OTHER: &str = "another horse staple battery";
/// The longest that a server takes that does not start.
const START: Duration = Duration::from_secs(30);

fn sha1(text: &str) -> String {
    let kind = &aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY;
    let digest = aws_lc_rs::digest::digest(kind, text.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect()
}

/// A sorted list with these passwords and some others.
fn list(path: &Path, passwords: &[&str]) {
    let others = (0..500).map(|number| sha1(&format!("password{number}")));
    let mut lines: Vec<String> =
        others.chain(passwords.iter().map(|password| sha1(password))).collect();
    lines.sort();
    fs::write(path, lines.iter().map(|line| format!("{line}:7\n")).collect::<String>())
        .expect("the list");
}

fn document(list: &Path, when_unavailable: &str) -> String {
    let breached = format!(
        "    iterations: 1\n    breached: {{file: '{}', when_unavailable: {when_unavailable}}}\n",
        list.display()
    );
    let document = documents::IDENTITY.replace("    iterations: 1\n", &breached);
    assert!(document.contains("breached:"), "the document has no place for it");
    document
}

async fn looked_up(gateway: &Gateway, outcome: &str) -> u64 {
    let name = "postern_identity_breached_passwords_total";
    gateway.server.metric(name, &[("outcome", outcome)]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_password_is_refused_when_it_is_chosen_and_changed_when_it_is_used() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("breached");
    list(&file, &[]);
    let gateway = Gateway::builder().document(document(&file, "deny")).durable().start().await;
    oauth::user(&gateway, STUDENT, "student").await;

    // It becomes known after it was chosen.
    list(&file, &[oauth::PASSWORD, OTHER]);
    let refused = create(&gateway, "grace@example.test", OTHER).await;
    assert_ne!(refused.code, Some(0), "{refused}");
    assert!(refused.stderr.contains("breach"), "{refused}");

    let body = json!({"email": STUDENT, "password": oauth::PASSWORD});
    let login = Call::post("/auth/login").header("content-type", "application/json");
    let answer = gateway.send(&login.body(body.to_string())).await;
    assert_eq!(answer.status, 422, "there is no page to change it on:\n{answer}");
    let mut browser = Browser::new(gateway.port());
    let page = browser.open("/login").await.expect(200);
    let page = oauth::log_in(&mut browser, &page, STUDENT).await.expect(200);
    assert_eq!(page.target, "/login/password");
    assert!(browser.cookie("postern").is_none());
    let page = browser.submit(&page, &[("password", OTHER), ("again", OTHER)]).await;
    assert_eq!(page.answer.status, 400, "the other one is known, too:\n{}", page.answer);
    let fresh = "a password that nobody knows";
    let page = browser.submit(&page, &[("password", fresh), ("again", fresh)]).await.expect(200);
    assert_eq!(page.target, "/login/account");
    assert!(browser.cookie("postern").is_some());
    assert!(looked_up(&gateway, "known").await >= 3);
    assert!(looked_up(&gateway, "unknown").await >= 1);

    // The list is gone: nobody chooses a password, and who has one logs in.
    fs::remove_file(&file).expect("the list is gone");
    let body = json!({"email": STUDENT, "password": fresh});
    let login = Call::post("/auth/login").header("content-type", "application/json");
    gateway.send(&login.body(body.to_string())).await.expect(200);
    assert!(looked_up(&gateway, "unavailable").await >= 1);
    let refused = create(&gateway, "grace@example.test", "a password that is as good").await;
    assert_ne!(refused.code, Some(0), "{refused}");
}

async fn create(gateway: &Gateway, email: &str, password: &str) -> Finished {
    let durable = gateway.durable.as_ref().expect("a durable store");
    let document = gateway.document().display().to_string();
    let words = ["user", "create", "--document", &document, "--email", email];
    let names = ["--first-name", "Grace", "--last-name", "Hopper", "--password-stdin"];
    let arguments = durable.arguments(&[&words[..], &names[..]].concat());
    server::run_with_input(arguments, password).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_none_is_known_at_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("breached");
    fs::write(&file, "password\n").expect("no list");
    let path = folder.path().join("gateway.yaml");
    let ports = server::Ports::free();
    let issuer = format!("http://127.0.0.1:{}", ports.public);
    let upstream = std::net::SocketAddr::from(([127, 0, 0, 1], 9));
    let text = documents::fill_in(&document(&file, "allow"), upstream, &issuer);
    fs::write(&path, text).expect("the document");
    let durable = Durable::prepare(folder.path()).await;
    let options = server::Options {
        document: path,
        volatile: "memory".to_owned(),
        durable: Some(durable),
        folder: folder.path().to_path_buf(),
    };
    let command = server::serve_command(&options, ports);
    let ended = process::run(command, START).await;
    assert_ne!(ended.code, Some(0), "{ended}");
    assert!(ended.to_string().contains("login.passwords.breached.file"), "{ended}");
    assert!(Client::new(Protocol::Http1, ports.public).try_send(&Call::get("/")).await.is_err());
}
