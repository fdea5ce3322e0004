//! Somebody logs in through the mesh: gateway, the server's sidecar, and policies with `CUSTOM` in
//! between.
#![allow(clippy::expect_used, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;

use postern_e2e::browser::{self, Page};
use postern_e2e::client::Answer;
use postern_e2e::server;
use postern_mesh::caller::{Caller, send, until_status};
use postern_mesh::mesh::Mesh;
use reqwest::RequestBuilder;
use serde_json::{Value, json};

const DOCUMENT: &str = include_str!("../fixtures/login.yaml");
/// Of the gateway, as its issuer says.
const ORIGIN: &str = "https://gateway.example.test:8443";
const EMAIL: &str = "ada@example.test";
const PORTAL: &str = "/portal/desk";

/// Cookies, by name.
#[derive(Default)]
struct Jar(BTreeMap<String, String>);

impl Jar {
    fn keep(&mut self, answer: &Answer) {
        for line in answer.headers.get_all("set-cookie") {
            let line = line.to_str().expect("a cookie in ASCII");
            assert!(line.contains("; Secure") && line.contains("; HttpOnly"), "{line}");
            let pair = line.split(';').next().unwrap_or_default();
            let (name, value) = pair.split_once('=').expect("a cookie with a name");
            if line.contains("Max-Age=0") {
                self.0.remove(name);
            } else {
                self.0.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    fn shown(&self) -> String {
        let pairs = self.0.iter().map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join("; ")
    }
}

/// A browser that shows a page.
fn navigation(request: RequestBuilder) -> RequestBuilder {
    request
        .header("accept", "text/html")
        .header("sec-fetch-mode", "navigate")
        .header("sec-fetch-dest", "document")
}

async fn password(mesh: &Mesh) -> String {
    let durable = mesh.durable.as_ref().expect("a durable store");
    let document = mesh.folder().join("gateway.yaml").display().to_string();
    let words = ["user", "create", "--json", "--generate", "--document", document.as_str()];
    let who = ["--email", EMAIL, "--first-name", "Ada", "--last-name", "Lovelace"];
    let made = server::run(durable.arguments(&[words.as_slice(), who.as_slice()].concat())).await;
    let made: Value = serde_json::from_str(&made.expect_success()).expect("JSON");
    made.get("password").and_then(Value::as_str).expect("a password").to_owned()
}

/// The place behind the gateway's origin.
fn target(answer: &Answer) -> String {
    let location = answer.header("location").expect("a redirect says where");
    let target = location.strip_prefix(ORIGIN).unwrap_or(location);
    assert!(target.starts_with('/'), "led away: {location}");
    target.to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_logs_in_through_the_mesh() {
    let mesh = Mesh::builder().document(DOCUMENT).durable().start().await;
    let password = password(&mesh).await;
    let outside = mesh.outside();
    let mut jar = Jar::default();

    // `ext_authz` sends the browser away, and Istio lets that answer through as it is.
    let sent = until_status(302, || navigation(outside.get(PORTAL))).await;
    let to = target(&sent);
    assert!(to.starts_with("/login?return_to="), "{to}");
    // A program is refused.
    let refused = send(outside.get(PORTAL).header("accept", "application/json")).await;
    refused.expect_denial(401, "UNAUTHORIZED");

    let page = send(navigation(outside.get(&to))).await.expect(200);
    let policy = page.header("content-security-policy").expect("a policy").to_owned();
    assert!(policy.contains("style-src 'self'"), "{policy}");
    jar.keep(&page);

    let form = Page { target: to, answer: page }.form();
    let fields = form.fields.into_iter().map(|(name, value)| match name.as_str() {
        "email" => (name, EMAIL.to_owned()),
        "password" => (name, password.clone()),
        _ => (name, value),
    });
    let body = browser::encode(&fields.collect::<Vec<_>>());
    let posted = navigation(outside.post(&form.action))
        .header("origin", ORIGIN)
        .header("cookie", jar.shown())
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body);
    let posted = send(posted).await.expect(303);
    jar.keep(&posted);
    assert_eq!(target(&posted), PORTAL);

    let desk = send(navigation(outside.get(PORTAL)).header("cookie", jar.shown())).await;
    let desk = desk.expect(200);
    assert!(desk.upstream_header("x-postern-subject").is_some(), "{desk}");
    let seen = desk.upstream_header("cookie").unwrap_or_default().to_string();
    assert!(!seen.contains("__Host-postern"), "the service saw {seen}");

    // Another site's form brings the cookie along, and nothing comes of it.
    let forged = outside.post(PORTAL).header("cookie", jar.shown());
    let forged = send(forged.header("origin", "https://evil.test")).await;
    forged.expect_denial(403, "FORBIDDEN");
    mesh.assert_nothing_rejected().await;
}

async fn try_password(outside: &Caller, number: u8) -> u16 {
    let body = json!({"email": format!("nobody-{number}@example.test"), "password": "not the one"});
    // Whatever a caller writes there counts for nothing: the gateway says where it comes from.
    let claimed = format!("192.0.2.{number}");
    let request = outside.post("/auth/login").header("x-forwarded-for", claimed);
    let request = request.header("content-type", "application/json").body(body.to_string());
    send(request).await.status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passwords_are_counted_by_the_address_that_the_gateway_saw() {
    let mesh = Mesh::builder().document(DOCUMENT).durable().start().await;
    let outside = mesh.outside();
    until_status(200, || navigation(outside.get("/login"))).await;
    let mut statuses = Vec::new();
    for number in 1..=4 {
        statuses.push(try_password(&outside, number).await);
    }
    assert_eq!(statuses, [401, 401, 401, 429]);
}
