//! Logging in: by the pages and by the JSON of `/auth`, with one factor and with two, and being
//! refused.

use postern_e2e::browser::{Browser, Page};
use postern_e2e::client::{Answer, Call};
use postern_e2e::gateway::Gateway;
use postern_e2e::{documents, oauth, totp};
use serde_json::{Value, json};

const STUDENT: &str = "ada@example.test";
const ADMIN: &str = "grace@example.test";

async fn start() -> Gateway {
    let gateway = Gateway::builder().document(documents::IDENTITY).durable().start().await;
    oauth::user(&gateway, STUDENT, "student").await;
    gateway
}

fn login(body: &Value) -> Call {
    Call::post("/auth/login").header("content-type", "application/json").body(body.to_string())
}

fn by(email: &str, password: &str) -> Call {
    login(&json!({"email": email, "password": password}))
}

/// What an answer says, without what differs from one to the next.
fn said(answer: &Answer) -> (u16, Value) {
    let mut body = answer.json();
    for member in ["correlation_id", "timestamp"] {
        body.as_object_mut().expect("an object").remove(member);
    }
    (answer.status, body)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_of_ones_own_logs_people_in() {
    let gateway = start().await;
    let answer = gateway.send(&by(STUDENT, oauth::PASSWORD)).await.expect(200);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let tokens = answer.json();
    let access = tokens["accessToken"].as_str().expect("a token").to_owned();
    gateway.until_status(200, &Call::get("/content/lesson").bearer(&access)).await;
    let me = gateway.send(&Call::get("/auth/me").bearer(&access)).await.expect(200).json();
    assert_eq!(me["email"], STUDENT, "{me}");
    assert!(!me.to_string().contains("hash"), "{me}");

    let refresh = tokens["refreshToken"].as_str().expect("a token");
    let call = Call::post("/auth/refresh").bearer(refresh);
    let turned = gateway.send(&call).await.expect(200).json();
    assert_ne!(turned["refreshToken"], tokens["refreshToken"]);

    let later = turned["accessToken"].as_str().expect("a token");
    gateway.send(&Call::post("/auth/logout").bearer(later)).await.expect(204);
    gateway.until_status(401, &Call::get("/content/lesson").bearer(&access)).await;
    let last = turned["refreshToken"].as_str().expect("a token");
    gateway.send(&Call::post("/auth/refresh").bearer(last)).await.expect(400);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_learns_whether_there_is_such_a_user() {
    let gateway = start().await;
    let wrong = gateway.send(&by(STUDENT, "not the password at all")).await;
    let unknown = gateway.send(&by("nobody@example.test", "not the password at all")).await;
    assert_eq!(said(&wrong), said(&unknown));
    wrong.expect_denial(401, "INVALID_CREDENTIALS");
    let names =
        |answer: &Answer| answer.headers.keys().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(names(&unknown), names(&gateway.send(&by(STUDENT, "still not it, is it")).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_is_stopped_and_others_are_not() {
    let gateway = start().await;
    for _ in 0..5 {
        gateway.send(&by(STUDENT, "a guess of a password")).await.expect(401);
    }
    let stopped = gateway.send(&by(STUDENT, "a guess of a password")).await;
    assert!(stopped.number("retry-after") >= 1, "{stopped}");
    stopped.expect_denial(429, "RATE_LIMIT_EXCEEDED");
    // The right password is not taken either: a guesser would know it by that.
    gateway.send(&by(STUDENT, oauth::PASSWORD)).await.expect(429);
    // Unknown users are counted alike.
    for _ in 0..5 {
        gateway.send(&by("nobody@example.test", "a guess of a password")).await.expect(401);
    }
    gateway.send(&by("nobody@example.test", "a guess of a password")).await.expect(429);
    oauth::user(&gateway, "other@example.test", "student").await;
    gateway.send(&by("other@example.test", oauth::PASSWORD)).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_says_what_is_wrong_with_it() {
    let gateway = start().await;
    for (body, field) in [
        (json!({}), "email"),
        (json!({"email": STUDENT}), "password"),
        (json!({"email": 1, "password": "x"}), "email"),
        (
            json!({"email": STUDENT, "password": oauth::PASSWORD, "admin": true}),
            "deviceId and remember",
        ),
        (json!({"email": "", "password": ""}), "email"),
    ] {
        let answer = gateway.send(&login(&body)).await.expect_denial(422, "VALIDATION_ERROR");
        let fields = answer.json()["validationErrors"].to_string();
        assert!(fields.contains(field), "{body}: {fields}");
    }
    for broken in ["", "{", "[]", "null", "{\"email\":\"a\",\"email\":\"b\",\"password\":\"c\"}"] {
        let call = Call::post("/auth/login").header("content-type", "application/json");
        let status = gateway.send(&call.body(broken)).await.status;
        assert!([400, 422].contains(&status), "{broken}: {status}");
    }
    let long = "x".repeat(1 << 20);
    let status = gateway.send(&by(STUDENT, &long)).await.status;
    assert!([413, 422].contains(&status), "{status}");
}

/// The key that a page of enrolment shows for typing.
fn shown_key(page: &Page) -> String {
    let text = page.answer.text();
    let (_, rest) = text.split_once("<p class=\"code\">").expect("the key");
    rest.split_once('<').expect("its end").0.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_must_have_a_second_factor_gets_one_and_is_asked_for_it() {
    let gateway = start().await;
    oauth::user(&gateway, ADMIN, "admin").await;
    let refused =
        gateway.send(&by(ADMIN, oauth::PASSWORD)).await.expect_denial(401, "MFA_REQUIRED");
    assert_eq!(refused.json()["methods"], json!([]), "there is none yet");

    let mut browser = Browser::new(gateway.port());
    let page = browser.open("/login").await.expect(200);
    let page = oauth::log_in(&mut browser, &page, ADMIN).await.expect(200);
    let key = shown_key(&page);
    assert_eq!(browser.cookie("postern"), None, "nobody is logged in by a password alone");
    let wrong = browser.submit(&page, &[("code", "000000")]).await;
    assert_eq!(browser.cookie("postern"), None, "{}", wrong.answer);
    let first = totp::code(&key, 0);
    let page = browser.submit(&page, &[("code", &first)]).await.expect(200);
    let text = page.answer.text();
    let codes: Vec<&str> = text
        .split("<li>")
        .skip(1)
        .filter_map(|rest| rest.split('<').next())
        .filter(|text| text.len() > 10)
        .collect();
    assert_eq!(codes.len(), 10, "{text}");
    browser.cookie("postern").expect("a session");

    let with = |token: &str| {
        login(&json!({"email": ADMIN, "password": oauth::PASSWORD, "mfaToken": token}))
    };
    let asked = gateway.send(&by(ADMIN, oauth::PASSWORD)).await.expect_denial(401, "MFA_REQUIRED");
    assert!(asked.json()["methods"].to_string().contains("totp"), "{asked}");
    // A code is good once, at whichever page.
    let used = gateway.send(&with(&first)).await.expect_denial(401, "MFA_REQUIRED").json();
    assert_ne!(used["error_description"], asked.json()["error_description"], "{used}");
    gateway.send(&with(&totp::code(&key, 1))).await.expect(200);
    gateway.send(&with(codes[0])).await.expect(200);
    gateway.send(&with(codes[0])).await.expect(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_in_leads_only_to_places_of_ours() {
    let gateway = start().await;
    for foreign in [
        "https://evil.test/",
        "//evil.test/",
        "/\\evil.test",
        "/%09/evil.test",
        "https://127.0.0.1:1/",
        "javascript:alert(1)",
        "\\\\evil.test",
        "http:evil.test",
    ] {
        let mut browser = Browser::new(gateway.port());
        let query = postern_e2e::browser::encode(&[("return_to", foreign)]);
        let page = browser.open(&format!("/login?{query}")).await.expect(200);
        let page = oauth::log_in(&mut browser, &page, STUDENT).await;
        assert_eq!(page.answer.header("location"), None, "{foreign}: {}", page.answer);
        let leaves = page.target.starts_with("//") || page.target.contains('\\');
        assert!(page.target.starts_with('/') && !leaves, "{foreign}: {}", page.target);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_listed_and_ended() {
    let gateway = start().await;
    let mut tokens = Vec::new();
    for device in ["phone", "laptop", "tablet"] {
        let body = json!({"email": STUDENT, "password": oauth::PASSWORD, "deviceId": device});
        let answer = gateway.send(&login(&body)).await.expect(200).json();
        tokens.push(answer["accessToken"].as_str().expect("a token").to_owned());
    }
    let list = |token: String| {
        let gateway = &gateway;
        async move { gateway.send(&Call::get("/auth/sessions").bearer(&token)).await }
    };
    let sessions = list(tokens[0].clone()).await.expect(200).json()["data"].clone();
    let sessions = sessions.as_array().expect("a list").clone();
    assert_eq!(sessions.len(), 3, "{sessions:?}");
    let of = |device: &str| {
        let found = sessions.iter().find(|one| one["deviceId"] == device);
        found.expect("a session")["ref"].as_str().expect("a reference").to_owned()
    };
    // Somebody else's session is not there.
    oauth::user(&gateway, "eve@example.test", "student").await;
    let eve = gateway.send(&by("eve@example.test", oauth::PASSWORD)).await.expect(200).json();
    let eve = eve["accessToken"].as_str().expect("a token").to_owned();
    let target = format!("/auth/sessions/{}", of("laptop"));
    gateway.send(&Call::new("DELETE", &target).bearer(&eve)).await.expect(404);

    let lesson = |at: usize| Call::get("/content/lesson").bearer(&tokens[at]);
    gateway.until_status(200, &lesson(1)).await;
    gateway.send(&Call::new("DELETE", &target).bearer(&tokens[0])).await.expect(204);
    gateway.until_status(401, &lesson(1)).await.expect_denial(401, "TOKEN_REVOKED");
    gateway.send(&lesson(0)).await.expect(200);

    // Log out everywhere.
    gateway.send(&Call::new("DELETE", "/auth/sessions").bearer(&tokens[0])).await.expect(204);
    for at in [0, 2] {
        gateway.until_status(401, &lesson(at)).await;
    }
    list(tokens[0].clone()).await.expect(401);
    gateway.send(&Call::get("/content/lesson").bearer(&eve)).await.expect(200);
}
