use postern_oauth::{ErrorCode, UserCode};
use postern_request::headers::Single;
use postern_request::json;

use super::*;
use crate::TokenCall;
use crate::oauth::fixture::strangers;

const PATH: &str = "/login/device";
const CONFIRM: &str = "/login/device/confirm";

/// A browser whose user can give something, at a server that devices ask.
async fn browser() -> Browser {
    let world = World::new().with(|login| {
        for role in &mut login.roles {
            role.scopes = vec!["read".to_owned()];
        }
    });
    world.user("student").await;
    Browser::beside(world, strangers().await.oauth)
}

async fn signed_in() -> Browser {
    let mut browser = browser().await;
    browser.log_in("/login", EMAIL).await;
    browser
}

fn call(body: &str) -> TokenCall<'_> {
    TokenCall {
        authorization: Single::Absent,
        content_type: Single::One(FORM.as_bytes()),
        dpop: Single::Absent,
        certificate: None,
        address: None,
        body: body.as_bytes(),
    }
}

impl Browser {
    /// The codes of a device that begins.
    async fn device(&self) -> (String, String) {
        let body = "client_id=tv&scope=openid+read+write&resource=https%3A%2F%2Fapi.example";
        let answer = self.pages.oauth.device(call(body), NOW).await.unwrap();
        let answer = json::parse(answer.as_bytes()).unwrap();
        let text = |name: &str| answer.get(name).unwrap().as_str().unwrap().to_owned();
        (text("device_code"), text("user_code"))
    }

    /// What the device is told now.
    async fn told(&self, device_code: &str) -> ErrorCode {
        let form = format!(
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code&client_id=tv\
             &device_code={device_code}"
        );
        self.pages.oauth.token(call(&form), NOW).await.unwrap_err().code
    }

    /// The page that asks about this code.
    async fn asked(&mut self, user_code: &str) -> Answer {
        let page = self.get(PATH).await;
        let body = format!("csrf={}&user_code={user_code}", page.csrf());
        self.post(PATH, &body).await
    }
}

#[tokio::test]
async fn the_page_shows_what_asks_and_its_code() {
    let mut browser = signed_in().await;
    let (device_code, user_code) = browser.device().await;
    let typed = user_code.to_lowercase().replace('-', "+");
    let page = browser.asked(&typed).await;
    assert_eq!(page.status, 200, "{}", page.body);
    for text in [
        "The television",
        user_code.as_str(),
        EMAIL,
        "Know who you are",
        "Text of read",
        "https://api.example",
    ] {
        assert!(page.body.contains(text), "{text} in {}", page.body);
    }
    assert!(!page.body.contains("Text of write"), "they could not give that");
    let policy = page.header("content-security-policy");
    assert!(policy.contains("frame-ancestors 'none'") && policy.ends_with("; form-action 'self'"));
    assert_eq!(browser.told(&device_code).await, ErrorCode::AuthorizationPending);

    let yes = format!("csrf={}&user_code={user_code}&decision=allow", page.csrf());
    let done = browser.post(CONFIRM, &yes).await;
    assert_eq!((done.status, done.body.contains("The device is connected.")), (200, true));
    // The sessions of this fixture's pages are not those of its grants: nothing is left to wait for.
    assert_eq!(browser.told(&device_code).await, ErrorCode::InvalidGrant);
    let again = browser.post(CONFIRM, &yes).await;
    assert_eq!(again.status, 400, "a code is answered once");
}

#[tokio::test]
async fn everything_but_yes_is_no() {
    for decision in ["&decision=deny", "", "&decision=Allow", "&decision="] {
        let mut browser = signed_in().await;
        let (device_code, user_code) = browser.device().await;
        let page = browser.asked(&user_code).await;
        let no = format!("csrf={}&user_code={user_code}{decision}", page.csrf());
        let done = browser.post(CONFIRM, &no).await;
        assert_eq!((done.status, done.body.contains("gets no access")), (200, true), "{decision}");
        assert_eq!(browser.told(&device_code).await, ErrorCode::AccessDenied, "{decision}");
    }
}

#[tokio::test]
async fn a_link_fills_the_code_in_and_does_nothing() {
    let mut browser = browser().await;
    let (device_code, user_code) = browser.device().await;
    let link = format!("{PATH}?user_code={user_code}");
    let stranger = browser.get(&link).await;
    let back = format!("/login?return_to=%2flogin%2fdevice%3fuser_code%3d{user_code}");
    assert_eq!((stranger.status, stranger.header("location")), (303, back.as_str()));
    let answer = browser.log_in(stranger.header("location"), EMAIL).await;
    assert_eq!(answer.header("location"), link, "log-in comes back");
    let page = browser.get(&link).await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains(&format!("value=\"{user_code}\"")), "{}", page.body);
    assert!(!page.body.contains("The television"), "nothing was looked up");
    assert_eq!(browser.told(&device_code).await, ErrorCode::AuthorizationPending);
    let hostile = browser.get(&format!("{PATH}?user_code=%22%3E%3Cscript%3E")).await;
    assert!(hostile.status == 200 && !hostile.body.contains("script>"));
    let back = browser.get(CONFIRM).await;
    assert_eq!((back.status, back.header("location")), (303, PATH));
}

#[tokio::test]
async fn forms_about_devices_need_their_token_and_a_session() {
    let mut browser = signed_in().await;
    let (device_code, user_code) = browser.device().await;
    let code_form = browser.get(PATH).await.csrf().to_owned();
    let confirm_form = browser.asked(&user_code).await.csrf().to_owned();
    for (path, csrf) in [(PATH, "x"), (PATH, &*confirm_form), (CONFIRM, ""), (CONFIRM, &*code_form)]
    {
        let body = format!("csrf={csrf}&user_code={user_code}&decision=allow");
        assert_eq!(browser.post(path, &body).await.status, 403, "{path} {csrf}");
    }
    let body = format!("csrf={confirm_form}&user_code={user_code}&decision=allow");
    let elsewhere = Request::post(CONFIRM)
        .header(header::CONTENT_TYPE, FORM)
        .header(header::ORIGIN, "https://evil.test");
    assert_eq!(browser.send(elsewhere, &body).await.status, 403);
    browser.cookies.clear();
    for path in [PATH, CONFIRM] {
        let answer = browser.post(path, &body).await;
        assert_eq!(answer.status, 303);
        assert_eq!(answer.header("location"), "/login?return_to=%2flogin%2fdevice");
    }
    assert_eq!(browser.told(&device_code).await, ErrorCode::AuthorizationPending);
}

#[tokio::test]
async fn user_codes_cannot_be_tried_out() {
    let mut browser = signed_in().await;
    let (_, user_code) = browser.device().await;
    assert!(UserCode::parse("BBBB-BBBB").is_some() && user_code != "BBBB-BBBB");
    for typed in ["", "x", "0000-0000"] {
        assert_eq!(browser.asked(typed).await.status, 400, "{typed} is no try");
    }
    for _ in 0..10 {
        let page = browser.asked(&user_code).await;
        assert_eq!(page.status, 200, "nor is one that is right");
    }
    for _ in 0..10 {
        let page = browser.asked("BBBB-BBBB").await;
        assert_eq!(page.status, 400);
        assert!(page.body.contains("role=\"alert\""));
    }
    let limited = browser.asked("BBBB-BBBB").await;
    assert_eq!(limited.status, 429);
    assert!(limited.header("retry-after").parse::<u64>().unwrap() > 0);
    assert_eq!(browser.asked(&user_code).await.status, 429, "not even the right one any more");
}

#[tokio::test]
async fn without_devices_there_is_no_page() {
    let mut browser = Browser::student().await;
    browser.log_in("/login", EMAIL).await;
    assert_eq!(browser.get(PATH).await.status, 404);
    assert_eq!(browser.post(PATH, "csrf=x").await.status, 404);
    assert_eq!(browser.post(CONFIRM, "csrf=x&decision=allow").await.status, 404);
}
