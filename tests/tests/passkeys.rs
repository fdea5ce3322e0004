//! Passkeys through Envoy: made on the account's page, used in place of a password and behind one,
//! and refused where anything about them is not so.

use postern_e2e::browser::{Browser, Form, Page, encode};
use postern_e2e::client::{Answer, Call};
use postern_e2e::gateway::{Gateway, Store};
use postern_e2e::passkey::SoftPasskey;
use postern_e2e::{documents, oauth};
use serde_json::{Value, json};

/// What is done to an authenticator, and what that is.
type Lie = (&'static str, fn(&mut SoftPasskey));

const STUDENT: &str = "ada@example.test";
const OPTIONS: &str = "/auth/passkeys/options";
const FINISH: &str = "/auth/passkeys/finish";
const MAKE_OPTIONS: &str = "/login/account/passkeys/options";
const MAKE_FINISH: &str = "/login/account/passkeys/finish";

/// A gateway at `localhost`, because browsers bind passkeys to a name.
async fn start(store: Store) -> Gateway {
    let document = documents::IDENTITY.replace("\nlogin:\n", "\nlogin:\n  passkeys: {}\n");
    assert!(document.contains("passkeys: {}"), "the document says how people log in");
    let gateway = Gateway::builder().document(document).named("localhost").store(store).durable();
    let gateway = gateway.start().await;
    oauth::user(&gateway, STUDENT, "student").await;
    gateway
}

/// Somebody in front of a browser that knows passkeys.
struct Person {
    browser: Browser,
    origin: String,
    soft: SoftPasskey,
}

impl Person {
    fn new(gateway: &Gateway, seed: u8) -> Self {
        let origin = format!("http://localhost:{}", gateway.port());
        let soft = SoftPasskey::new(seed, &origin);
        Self { browser: Browser::new(gateway.port()), origin, soft }
    }

    /// Sends a form from a page at the gateway's name, and follows nothing.
    async fn send(&mut self, form: &Form, values: &[(&str, &str)]) -> Answer {
        let mut pairs = form.fields.clone();
        pairs.extend(values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let mut seen: Vec<(String, String)> = Vec::new();
        for (name, value) in pairs.into_iter().rev() {
            if seen.iter().all(|(known, _)| *known != name) {
                seen.push((name, value));
            }
        }
        let call = self.browser.navigation("POST", &form.action, "same-origin");
        let call = call.header("origin", self.origin.clone()).form(&encode(&seen));
        self.browser.send(call).await
    }

    async fn log_in_by_password(&mut self, target: &str) -> Answer {
        let page = self.browser.open(target).await.expect(200);
        self.send(&page.form(), &[("email", STUDENT), ("password", oauth::PASSWORD)]).await
    }

    /// What the page's script asks.
    async fn ask(&mut self, path: &str, body: &Value) -> Answer {
        let call = Call::post(path)
            .header("content-type", "application/json")
            .header("origin", self.origin.clone())
            .header("sec-fetch-site", "same-origin")
            .header("sec-fetch-mode", "cors")
            .body(body.to_string());
        self.browser.send(call).await
    }

    /// Makes a passkey on the account's page.
    async fn make(&mut self) -> Answer {
        let page = self.browser.open("/login/account/passkeys").await.expect(200);
        let csrf = data(&page, "csrf");
        let options = self.ask(MAKE_OPTIONS, &json!({"csrf": csrf})).await.expect(200).json();
        let credential = self.soft.create(&options);
        let body = json!({"csrf": csrf, "credential": credential, "name": "Laptop"});
        self.ask(MAKE_FINISH, &body).await
    }

    /// Shows the passkey on a page of the log-in.
    async fn show(&mut self, page: &Page) -> Answer {
        let csrf = data(page, "csrf");
        let options = self.ask(OPTIONS, &json!({"csrf": csrf})).await.expect(200).json();
        let credential = self.soft.get(&options);
        self.ask(FINISH, &json!({"csrf": csrf, "credential": credential})).await
    }
}

/// What a page tells the script.
fn data(page: &Page, name: &str) -> String {
    let text = page.answer.text();
    let start = format!("data-{name}=\"");
    let (_, rest) = text.split_once(start.as_str()).expect("a page that offers passkeys");
    rest.split('"').next().unwrap_or_default().to_owned()
}

async fn made_and_used(store: Store) {
    let gateway = start(store).await;
    let mut person = Person::new(&gateway, 1);
    let answer = person.log_in_by_password("/login").await.expect(303);
    assert_eq!(answer.header("location"), Some("/login/account"));
    person.make().await.expect(200);
    let page = person.browser.open("/login/account/passkeys").await.expect(200);
    assert!(page.answer.text().contains("Laptop"), "{}", page.answer);

    // Another day, the same person.
    person.browser = Browser::new(gateway.port());
    let page = person.browser.open("/login?return_to=%2fcontent%2flesson").await.expect(200);
    let policy = page.answer.header("content-security-policy").unwrap_or_default().to_owned();
    assert!(policy.contains("script-src 'self'"), "{policy}");
    let answer = person.show(&page).await.expect(200);
    assert_eq!(answer.json()["location"], "/content/lesson");
    assert!(person.browser.cookie("postern").is_some());
    let me = Call::get("/auth/me").header("cookie", person.browser.cookies());
    assert_eq!(gateway.send(&me).await.expect(200).json()["email"], STUDENT);

    // Behind a password it is the second factor.
    person.browser = Browser::new(gateway.port());
    let answer = person.log_in_by_password("/login").await.expect(303);
    assert_eq!(answer.header("location"), Some("/login/mfa"));
    let page = person.browser.open("/login/mfa").await.expect(200);
    let answer = person.show(&page).await.expect(200);
    assert_eq!(answer.json()["location"], "/login/account");

    // Taken away, it opens nothing any more, and the session goes on.
    let page = person.browser.open("/login/account/passkeys").await.expect(200);
    person.send(&page.form(), &[]).await.expect(303);
    person.browser.open("/login/account").await.answer.expect(200);
    person.browser = Browser::new(gateway.port());
    let page = person.browser.open("/login").await.expect(200);
    person.show(&page).await.expect_denial(401, "INVALID_CREDENTIALS");
    assert_eq!(person.browser.cookie("postern"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passkey_opens_what_a_password_does() {
    made_and_used(Store::Memory).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passkey_opens_what_a_password_does_with_redis() {
    if postern_e2e::redis::is_skipped() {
        return;
    }
    made_and_used(Store::Redis).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_lies_about_a_passkey_stays_outside() {
    let gateway = start(Store::Memory).await;
    let mut person = Person::new(&gateway, 1);
    person.log_in_by_password("/login").await.expect(303);
    person.make().await.expect(200);
    let good = person.soft.clone();
    let lies: [Lie; 6] = [
        ("another site", |soft| "http://localhost:1".clone_into(&mut soft.origin)),
        ("another party", |soft| "evil.test".clone_into(&mut soft.rp_id)),
        ("nobody looked who it is", |soft| soft.verifies_user = false),
        ("somebody else's", |soft| soft.user = vec![7; 16]),
        ("unknown", |soft| soft.id = vec![9; 16]),
        ("a copy", |soft| soft.counts = false),
    ];
    for (what, lie) in lies {
        person.browser = Browser::new(gateway.port());
        person.soft = good.clone();
        // The copy's counter stands where the passkey's own has been.
        person.soft.counter = 5;
        let page = person.browser.open("/login").await.expect(200);
        if what == "a copy" {
            person.show(&page).await.expect(200);
            person.browser = Browser::new(gateway.port());
            let page = person.browser.open("/login").await.expect(200);
            lie(&mut person.soft);
            person.show(&page).await.expect_denial(401, "INVALID_CREDENTIALS");
        } else {
            lie(&mut person.soft);
            person.show(&page).await.expect_denial(401, "INVALID_CREDENTIALS");
        }
        assert_eq!(person.browser.cookie("postern"), None, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_good_once_and_in_its_browser() {
    let gateway = start(Store::Memory).await;
    let mut person = Person::new(&gateway, 1);
    person.log_in_by_password("/login").await.expect(303);
    person.make().await.expect(200);
    person.soft.counts = false;
    person.browser = Browser::new(gateway.port());
    let page = person.browser.open("/login").await.expect(200);
    let csrf = data(&page, "csrf");
    let options = person.ask(OPTIONS, &json!({"csrf": csrf})).await.expect(200).json();
    let credential = person.soft.get(&options);

    let mut thief = Person::new(&gateway, 2);
    let theirs = thief.browser.open("/login").await.expect(200);
    let their_csrf = data(&theirs, "csrf");
    thief.ask(OPTIONS, &json!({"csrf": their_csrf})).await.expect(200);
    let stolen = json!({"csrf": their_csrf, "credential": credential});
    thief.ask(FINISH, &stolen).await.expect_denial(401, "INVALID_CREDENTIALS");

    let body = json!({"csrf": csrf, "credential": credential});
    let kept = person.browser.clone();
    person.ask(FINISH, &body).await.expect(200);
    person.browser = kept;
    person.ask(FINISH, &body).await.expect(401);
    assert_eq!(person.browser.cookie("postern"), None);
}
