//! Passkeys through Envoy: made on the account's page, used in place of a password and behind one,
//! and refused where anything about them is not so.
use postern_e2e::client::Call;
use postern_e2e::gateway::{Gateway, Store};
use postern_e2e::passkey::SoftPasskey;
use postern_e2e::{documents, oauth};

use crate::kit::person::Person;

/// What is done to an authenticator, and what that is.
type Lie = (&'static str, fn(&mut SoftPasskey));

const STUDENT: &str = "ada@example.test";

/// A gateway at `localhost`, because browsers bind passkeys to a name.
async fn start(store: Store) -> Gateway {
    let document = documents::IDENTITY.replace("\nlogin:\n", "\nlogin:\n  passkeys: {}\n");
    assert!(document.contains("passkeys: {}"), "the document says how people log in");
    let gateway = Gateway::builder().document(document).named("localhost").store(store).durable();
    let gateway = gateway.start().await;
    oauth::user(&gateway, STUDENT, "student").await;
    gateway
}

async fn made_and_used(store: Store) {
    let gateway = start(store).await;
    let mut person = Person::new(&gateway, 1);
    let answer = person.log_in("/login", STUDENT).await.expect(303);
    assert_eq!(answer.header("location"), Some("/login/account"));
    person.make().await.expect(200);
    let page = person.browser.open("/login/account/passkeys").await.expect(200);
    assert!(page.answer.text().contains("Laptop"), "{}", page.answer);

    // Another day, the same person.
    person.browser = gateway.browser();
    let page = person.browser.open("/login?return_to=%2fcontent%2flesson").await.expect(200);
    let policy = page.answer.header("content-security-policy").unwrap_or_default().to_owned();
    assert!(policy.contains("script-src 'self'"), "{policy}");
    let answer = person.show(&page).await.expect(200);
    assert_eq!(answer.json()["location"], "/content/lesson");
    assert!(person.browser.cookie("postern").is_some());
    let me = Call::get("/auth/me").header("cookie", person.browser.cookies());
    assert_eq!(gateway.send(&me).await.expect(200).json()["email"], STUDENT);

    // Behind a password it is the second factor.
    person.browser = gateway.browser();
    let answer = person.log_in("/login", STUDENT).await.expect(303);
    assert_eq!(answer.header("location"), Some("/login/mfa"));
    let page = person.browser.open("/login/mfa").await.expect(200);
    let answer = person.show(&page).await.expect(200);
    assert_eq!(answer.json()["location"], "/login/account");

    // Taken away, it opens nothing any more, and the session goes on.
    let page = person.browser.open("/login/account/passkeys").await.expect(200);
    person.browser.send_form(&page.form(), &[]).await.1.expect(303);
    person.browser.open("/login/account").await.answer.expect(200);
    person.browser = gateway.browser();
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
    person.log_in("/login", STUDENT).await.expect(303);
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
        person.browser = gateway.browser();
        person.soft = good.clone();
        // The copy's counter stands where the passkey's own has been.
        person.soft.counter = 5;
        let page = person.browser.open("/login").await.expect(200);
        if what == "a copy" {
            person.show(&page).await.expect(200);
            person.browser = gateway.browser();
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
    person.log_in("/login", STUDENT).await.expect(303);
    person.make().await.expect(200);
    person.soft.counts = false;
    person.browser = gateway.browser();
    let page = person.browser.open("/login").await.expect(200);
    let asked = person.asked_to_show(&page).await;
    let credential = person.soft.get(&asked.options);

    let mut thief = Person::new(&gateway, 2);
    let theirs = thief.browser.open("/login").await.expect(200);
    let asked_of_thief = thief.asked_to_show(&theirs).await;
    let refused = thief.shown(&asked_of_thief, &credential).await;
    refused.expect_denial(401, "INVALID_CREDENTIALS");

    let kept = person.browser.clone();
    person.shown(&asked, &credential).await.expect(200);
    person.browser = kept;
    person.shown(&asked, &credential).await.expect(401);
    assert_eq!(person.browser.cookie("postern"), None);
}
