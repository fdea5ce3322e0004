//! Pages behind a log-in, as a browser sees them that knows nothing of tokens: a route with
//! `auth: {any: [session], login: true}`, by the suite's own log-in and by an outside provider's.

use std::fs;
use std::time::Duration;

use postern_e2e::browser::{self, Browser, Page};
use postern_e2e::client::{Answer, Call};
use postern_e2e::gateway::Gateway;
use postern_e2e::provider::{CLIENT_ID, Provider};
use postern_e2e::{documents, oauth, wait};
use serde_json::json;
use tempfile::TempDir;

const STUDENT: &str = "ada@example.test";
const SESSION: &str = "postern";
const PAGE: &str = "/portal/lesson?a=b&c=%2f";
/// A verdict about a session may be kept for five seconds; that it has ended is told sooner.
const ENDS: Duration = Duration::from_secs(10);

/// Pages that need a session; `login` is where browsers are sent that have none.
fn document(login: &str) -> String {
    let route = format!(
        "\n  - name: portal\n    match:\n      path: /portal/{{rest=**}}\n    service: content\n    \
         auth:\n      any: [session]\n      login: {login}\n"
    );
    [documents::IDENTITY, &route].concat()
}

async fn start() -> (Gateway, String) {
    let gateway = Gateway::builder().document(document("true")).durable().start().await;
    let id = oauth::user(&gateway, STUDENT, "student").await;
    (gateway, id)
}

/// A browser of somebody who has come to a page by logging in.
async fn logged_in(gateway: &Gateway) -> (Browser, Page) {
    let mut browser = Browser::new(gateway.port());
    let page = browser.open(PAGE).await.expect(200);
    assert!(page.target.starts_with("/login?return_to="), "{}", page.target);
    let page = oauth::log_in(&mut browser, &page, STUDENT).await;
    (browser, page)
}

fn is_sent_to_log_in(answer: &Answer) -> bool {
    let location = answer.header("location").unwrap_or_default();
    answer.status == 302 && location.contains("/login?return_to=")
}

/// A script's call, with the cookies of its page.
fn by_script(browser: &Browser, method: &str, site: &str) -> Call {
    let call = Call::new(method, "/portal/api")
        .header("accept", "application/json")
        .header("sec-fetch-mode", "cors")
        .header("sec-fetch-dest", "empty")
        .header("sec-fetch-site", site);
    match browser.cookies() {
        cookies if cookies.is_empty() => call,
        cookies => call.header("cookie", cookies),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_logs_in_and_is_back_where_it_was() {
    let (gateway, id) = start().await;
    let mut browser = Browser::new(gateway.port());
    browser.set_cookie("theme", "dark");
    let page = browser.open(PAGE).await.expect(200);
    let page = oauth::log_in(&mut browser, &page, STUDENT).await.expect(200);
    assert_eq!(page.target, PAGE);

    let seen = &page.answer;
    assert_eq!(seen.upstream_header("x-postern-subject"), Some(json!(id)));
    assert!(seen.upstream_header("x-postern-session").is_some(), "{seen}");
    let session = browser.cookie(SESSION).expect("a session");
    let (_, secret) = session.split_once('.').expect("an id and a secret");
    assert!(!seen.text().contains(secret), "the upstream got the cookie:\n{seen}");
    assert!(browser.cookie("postern-device").is_some());
    assert_eq!(seen.upstream_header("cookie"), Some(json!("theme=dark")), "the others");

    let again = browser.follow("/portal/next").await.expect(200);
    assert_eq!(again.target, "/portal/next", "nobody is asked twice");
    assert_eq!(gateway.upstream.requests("portal"), 2, "nothing else arrived there");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_pages_have_set_gets_to_no_service() {
    const OPEN: &str = "\n  - name: kiosk\n    match:\n      path: /kiosk\n    service: content\n    \
                        auth: none\n";
    let document = [document("true").as_str(), OPEN].concat();
    let gateway = Gateway::builder().document(document).durable().start().await;
    let mut browser = Browser::new(gateway.port());
    let page = browser.open("/login").await.expect(200);
    for cookie in ["postern-login", "postern-device"] {
        assert!(browser.cookie(cookie).is_some(), "{cookie}: {}", page.answer);
    }
    let seen = browser.open("/kiosk").await.expect(200).answer;
    assert_eq!(seen.upstream_header("cookie"), None, "{seen}");
    browser.set_cookie("theme", "dark");
    let seen = browser.open("/kiosk").await.expect(200).answer;
    assert_eq!(seen.upstream_header("cookie"), Some(json!("theme=dark")), "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_shows_a_page_is_sent_to_log_in() {
    let (gateway, _) = start().await;
    let browser = Browser::new(gateway.port());
    let redirected = gateway.send(&browser.navigation("GET", PAGE, "none")).await;
    assert!(is_sent_to_log_in(&redirected), "{redirected}");
    assert_eq!(redirected.header("cache-control"), Some("no-store"));
    let by_accept = Call::get(PAGE).header("accept", "text/html,*/*");
    assert!(is_sent_to_log_in(&gateway.send(&by_accept).await), "an old browser");

    let in_frame = Call::get(PAGE)
        .header("accept", "text/html")
        .header("sec-fetch-mode", "navigate")
        .header("sec-fetch-dest", "iframe");
    for call in [
        by_script(&browser, "GET", "same-origin"),
        by_script(&browser, "POST", "same-origin"),
        browser.navigation("POST", "/portal/form", "same-origin").form("a=b"),
        in_frame,
        Call::get(PAGE).header("accept", "application/json"),
        Call::get(PAGE),
    ] {
        let refused = gateway.send(&call).await.expect_denial(401, "UNAUTHORIZED");
        assert_eq!(refused.header("location"), None, "{call}");
        assert!(refused.header("www-authenticate").is_some(), "{call}");
    }
    assert_eq!(gateway.upstream.requests("portal"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_that_opens_nothing_is_as_good_as_none() {
    let (gateway, _) = start().await;
    let (browser, page) = logged_in(&gateway).await;
    assert_eq!(page.answer.status, 200, "{}", page.answer);
    let good = browser.cookie(SESSION).expect("a session").to_owned();
    let (id, secret) = good.split_once('.').expect("an id and a secret");
    for bad in [
        format!("{id}.{}", "A".repeat(secret.len())),
        format!("{id}."),
        id.to_owned(),
        format!("{good}A"),
        "x".repeat(3000),
    ] {
        let mut other = Browser::new(gateway.port());
        other.set_cookie(SESSION, &bad);
        let answer = other.send(other.navigation("GET", PAGE, "none")).await;
        assert!(is_sent_to_log_in(&answer), "{bad}:\n{answer}");
        let script = by_script(&other, "GET", "same-origin");
        assert_eq!(gateway.send(&script).await.status, 401, "{bad}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_other_site_writes_in_somebodys_name() {
    let (gateway, _) = start().await;
    let (browser, _) = logged_in(&gateway).await;
    gateway.send(&by_script(&browser, "GET", "same-origin")).await.expect(200);
    gateway.send(&by_script(&browser, "POST", "same-origin")).await.expect(200);
    for site in ["cross-site", "same-site"] {
        let refused = gateway.send(&by_script(&browser, "POST", site)).await;
        refused.expect_denial(403, "FORBIDDEN");
    }
    let cookies = browser.cookies();
    let bare = |origin: Option<&str>| {
        let call = Call::post("/portal/api").header("cookie", cookies.clone());
        match origin {
            Some(origin) => call.header("origin", origin.to_owned()),
            None => call,
        }
    };
    for (origin, expected) in [
        (Some(browser.origin()), 200),
        (Some("https://evil.test"), 403),
        (Some("null"), 403),
        (None, 403),
    ] {
        assert_eq!(gateway.send(&bare(origin)).await.status, expected, "{origin:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn log_in_leads_to_no_place_but_ours() {
    let (gateway, _) = start().await;
    for hostile in [
        "https://evil.test/",
        "//evil.test/",
        "/\\evil.test/",
        "javascript:alert(1)",
        "https://127.0.0.1@evil.test/",
        "\thttps://evil.test/",
    ] {
        let mut browser = Browser::new(gateway.port());
        let query = browser::encode(&[("return_to", hostile)]);
        let page = browser.open(&format!("/login?{query}")).await.expect(200);
        let page = oauth::log_in(&mut browser, &page, STUDENT).await.expect(200);
        assert_eq!(page.target, "/login/account", "{hostile}");
    }
    // What a link asks for at the protected page stays a path of it.
    let mut browser = Browser::new(gateway.port());
    let page = browser.open("/portal/x?return_to=https://evil.test/").await.expect(200);
    let page = oauth::log_in(&mut browser, &page, STUDENT).await.expect(200);
    assert_eq!(page.target, "/portal/x?return_to=https://evil.test/");
}

#[tokio::test(flavor = "multi_thread")]
async fn logging_out_ends_it_everywhere() {
    let (gateway, _) = start().await;
    let (mut browser, _) = logged_in(&gateway).await;
    let kept = browser.clone();
    let page = browser.open("/login/out").await.expect(200);
    let _ = browser.submit(&page, &[]).await.expect(200);
    assert!(browser.cookie(SESSION).is_none());
    let answer = browser.send(browser.navigation("GET", PAGE, "none")).await;
    assert!(is_sent_to_log_in(&answer), "{answer}");
    // The cookie itself, wherever it is kept, opens nothing any more.
    let call = by_script(&kept, "GET", "same-origin");
    wait::until("an ended session to be refused", ENDS, || {
        let (gateway, call) = (&gateway, &call);
        async move {
            let answer = gateway.send(call).await;
            if answer.status == 401 { Ok(()) } else { Err(answer.to_string()) }
        }
    })
    .await;
}

/// The suite with a provider that pages send browsers to at once.
async fn elsewhere(provider: &Provider) -> (Gateway, TempDir) {
    let folder = tempfile::tempdir().expect("a folder for the secret");
    let secret = folder.path().join("secret");
    fs::write(&secret, "a secret\n").expect("the secret's file");
    let outside = format!(
        "  default_role: student\n  outside:\n    - {{name: corp, issuer: '{}', client_id: \
         {CLIENT_ID}, client_secret: 'file:{}'}}\n",
        provider.issuer(),
        secret.display()
    );
    let document = document("corp").replace("  default_role: student\n", &outside);
    (Gateway::builder().document(document).durable().start().await, folder)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outside_provider_signs_people_in_without_a_page_of_ours() {
    let provider = Provider::start().await;
    let (gateway, _folder) = elsewhere(&provider).await;
    let mut browser = Browser::new(gateway.port());
    let there = browser.open(PAGE).await;
    assert!(there.location().starts_with(&format!("{}/authorize?", provider.issuer())));
    let nonce = there.parameter("nonce").expect("a nonce");
    provider.gives(&provider.id_token("u-1", &nonce).sign());
    let (state, issuer) = (there.parameter("state").expect("a state"), provider.issuer());
    let back = [("code", "c"), ("state", state.as_str()), ("iss", issuer.as_str())];
    let back = format!("/login/outside/corp/callback?{}", browser::encode(&back));
    let page = browser.come_from_elsewhere(&back).await.expect(200);
    assert_eq!(page.target, PAGE);
    assert_eq!(page.answer.upstream_header("x-postern-subject"), Some(json!("corp:u-1")));
    let refused = gateway.send(&by_script(&Browser::new(gateway.port()), "POST", "none")).await;
    refused.expect_denial(401, "UNAUTHORIZED");
}
