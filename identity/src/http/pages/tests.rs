mod account;
mod device;
mod passkeys;

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use axum::body::Body as HttpBody;
use axum::http::{Method, Request, header};
use postern_oauth::AuthorizeFault;
use postern_request::UnixMillis;
use tower::ServiceExt as _;

use crate::Onward;
use crate::http::router::{Browsers as _, Told};
use crate::login::fixture::{EMAIL, ISSUER, NOW, PASSWORD, World, vault};
use crate::oauth::fixture::{self as grants, CHALLENGE};

const FORM: &str = "application/x-www-form-urlencoded";

/// A browser, and the pages that it looks at.
struct Browser {
    pages: Arc<Pages>,
    router: Router,
    cookies: Vec<(String, String)>,
    now: Arc<AtomicU64>,
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The token of the first form.
    fn csrf(&self) -> &str {
        let (_, rest) = self.body.split_once("name=\"csrf\" value=\"").expect("a form");
        rest.split('"').next().unwrap()
    }
}

impl Browser {
    async fn new(world: World) -> Self {
        Self::beside(world, grants::fixture().await.oauth)
    }

    fn beside(world: World, oauth: Arc<OAuthService>) -> Self {
        let rules = world.login.rules();
        let config = PagesConfig::new(ISSUER, &rules.login);
        let now = Arc::new(AtomicU64::new(NOW.0));
        let clock = Arc::clone(&now);
        let pages = Arc::new(Pages::new(PagesParts {
            oauth,
            login: Arc::new(world.login),
            vault: vault(),
            config: postern_document::Current::fixed(config),
            cookies: Cookies::new(ISSUER, "__Host-postern", None),
            clock: Arc::new(move || UnixMillis(clock.load(Ordering::Relaxed))),
        }));
        let router = pages_router(Arc::clone(&pages));
        Self { pages, router, cookies: Vec::new(), now }
    }

    /// Time goes by.
    fn wait(&self, minutes: u64) {
        self.now.fetch_add(minutes * 60 * 1000, Ordering::Relaxed);
    }

    async fn student() -> Self {
        let world = World::new();
        world.user("student").await;
        Self::new(world).await
    }

    async fn send(&mut self, request: axum::http::request::Builder, body: &str) -> Answer {
        let mut request = request.header("x-forwarded-for", "192.0.2.1");
        for (name, value) in &self.cookies {
            request = request.header(header::COOKIE, format!("{name}={value}"));
        }
        let request = request.body(HttpBody::from(body.to_owned())).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        for cookie in headers.get_all(header::SET_COOKIE) {
            let (pair, attributes) = cookie.to_str().unwrap().split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.retain(|(known, _)| known != name);
            if !attributes.contains("Max-Age=0") {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        Answer { status, headers, body: String::from_utf8(body.to_vec()).unwrap() }
    }

    async fn get(&mut self, path: &str) -> Answer {
        self.send(Request::get(path), "").await
    }

    async fn post(&mut self, path: &str, body: &str) -> Answer {
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, FORM)
            .header(header::ORIGIN, ISSUER)
            .header("sec-fetch-site", "same-origin");
        self.send(request, body).await
    }

    async fn log_in(&mut self, path: &str, email: &str) -> Answer {
        let page = self.get(path).await;
        let body = credentials(page.csrf(), email, PASSWORD);
        self.post("/login", &body).await
    }

    fn has(&self, cookie: &str) -> bool {
        self.cookies.iter().any(|(name, _)| name == cookie)
    }

    /// What opens the log-in that is under way.
    fn opener(&self) -> Vec<u8> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.cookies {
            headers.append(header::COOKIE, format!("{name}={value}").parse().unwrap());
        }
        Visit::new(&self.pages, &headers).opener().unwrap().to_vec()
    }
}

fn credentials(csrf: &str, email: &str, password: &str) -> String {
    let (email, password) = (email.replace('@', "%40"), password.replace(' ', "+"));
    format!("csrf={csrf}&email={email}&password={password}")
}

#[tokio::test]
async fn a_page_is_kept_nowhere_and_shown_in_no_frame() {
    let mut browser = Browser::student().await;
    let page = browser.get("/login").await;
    assert_eq!(page.status, 200, "{}", page.body);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(page.header("cache-control"), "no-store");
    assert_eq!(page.header("referrer-policy"), "same-origin");
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    assert_eq!(page.header("x-frame-options"), "DENY");
    assert_eq!(page.header("vary"), "Accept-Language, Cookie");
    assert_eq!(page.header("content-language"), "en");
    assert_eq!(page.header("x-correlation-id").len(), 36);
    let policy = page.header("content-security-policy");
    for part in ["default-src 'none'", "style-src 'self'", "frame-ancestors 'none'"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(policy.ends_with("; form-action 'self'") && !policy.contains("unsafe"), "{policy}");
}

#[tokio::test]
async fn no_page_is_kept_or_framed_and_none_says_where_people_come_from() {
    let mut browser = reader().await;
    let consent = format!("/login/consent?{}", asks("openid+read"));
    for (path, status) in [
        ("/login", 200),
        (consent.as_str(), 200),
        ("/login/account/sessions", 200),
        ("/login/out", 200),
        ("/login/nothing", 404),
        ("/login/consent?client_id=nobody", 400),
    ] {
        let page = browser.get(path).await;
        assert_eq!(page.status, status, "{path}: {}", page.body);
        for (name, expected) in [
            ("cache-control", "no-store"),
            ("referrer-policy", "same-origin"),
            ("x-frame-options", "DENY"),
        ] {
            assert_eq!(page.header(name), expected, "{path}");
        }
        let policy = page.header("content-security-policy");
        assert!(policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
    }
}

#[tokio::test]
async fn whoever_knows_the_password_gets_in_and_goes_on() {
    let mut browser = Browser::student().await;
    let answer = browser.log_in("/login?return_to=%2fportal%2fx%3fy%3dz", EMAIL).await;
    assert_eq!((answer.status, answer.header("location")), (303, "/portal/x?y=z"));
    assert!(browser.has("__Host-postern") && !browser.has("__Host-postern-login"));
    assert!(browser.has("__Host-postern-device"));
    let account = browser.get("/login/account").await;
    assert_eq!(account.status, 200);
    assert!(account.body.contains(EMAIL));
}

#[tokio::test]
async fn a_wrong_password_shows_the_form_again_and_not_the_password() {
    let mut browser = Browser::student().await;
    let page = browser.get("/login?return_to=%2fportal").await;
    let body = credentials(page.csrf(), EMAIL, "wrong horse battery");
    let again = browser.post("/login", &body).await;
    assert_eq!(again.status, 400);
    assert!(again.body.contains("role=\"alert\"") && again.body.contains(EMAIL));
    assert!(!again.body.contains("horse") && !browser.has("__Host-postern"));
    let unknown = credentials(again.csrf(), "nobody@example.test", "wrong horse battery");
    let unknown = browser.post("/login", &unknown).await;
    let text = |answer: &Answer| {
        let (_, alert) = answer.body.split_once("role=\"alert\">").unwrap();
        alert.split('<').next().unwrap().to_owned()
    };
    assert_eq!((unknown.status, text(&unknown)), (400, text(&again)), "nobody learns who is here");
    let right = credentials(unknown.csrf(), EMAIL, PASSWORD);
    assert_eq!(browser.post("/login", &right).await.header("location"), "/portal");
}

#[tokio::test]
async fn too_many_tries_are_told_when_to_come_back() {
    let mut browser = Browser::student().await;
    for _ in 0..5 {
        let page = browser.get("/login").await;
        let body = credentials(page.csrf(), EMAIL, "wrong horse battery");
        assert_eq!(browser.post("/login", &body).await.status, 400);
    }
    let last = browser.log_in("/login", EMAIL).await;
    assert_eq!(last.status, 429, "{}", last.body);
    assert!(last.header("retry-after").parse::<u64>().unwrap() > 0);
}

#[tokio::test]
async fn a_form_without_its_token_is_refused() {
    let mut browser = Browser::student().await;
    let page = browser.get("/login").await;
    let good = page.csrf().to_owned();
    let mut other = Browser::student().await;
    let others = other.get("/login").await.csrf().to_owned();
    for bad in ["", "x", &others] {
        let answer = browser.post("/login", &credentials(bad, EMAIL, PASSWORD)).await;
        assert_eq!((answer.status, answer.header("location")), (403, ""), "{bad}");
        assert!(!browser.has("__Host-postern"));
    }
    let wrong_form = browser.post("/login/mfa", &format!("csrf={good}&code=123456")).await;
    assert_eq!(wrong_form.status, 403, "a token is one form's alone");
    let answer = browser.post("/login", &credentials(&good, EMAIL, PASSWORD)).await;
    assert_eq!(answer.status, 303, "the good one still is");
}

#[tokio::test]
async fn a_form_from_elsewhere_is_refused_whatever_it_knows() {
    for (origin, site) in [
        ("https://evil.test", "cross-site"),
        (ISSUER, "cross-site"),
        (ISSUER, "same-site"),
        ("null", "same-origin"),
    ] {
        let mut browser = Browser::student().await;
        let page = browser.get("/login").await;
        let body = credentials(page.csrf(), EMAIL, PASSWORD);
        let request = Request::post("/login")
            .header(header::CONTENT_TYPE, FORM)
            .header(header::ORIGIN, origin)
            .header("sec-fetch-site", site);
        let answer = browser.send(request, &body).await;
        assert_eq!(answer.status, 403, "{origin} {site}");
        assert!(!browser.has("__Host-postern"));
    }
}

#[tokio::test]
async fn without_cookies_nobody_logs_in_and_everybody_is_told_why() {
    let mut browser = Browser::student().await;
    let page = browser.get("/login").await;
    browser.cookies.clear();
    let answer = browser.post("/login", &credentials(page.csrf(), EMAIL, PASSWORD)).await;
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("cookie"));
    assert_eq!(browser.get("/login/mfa").await.status, 400);
}

#[tokio::test]
async fn who_begins_again_is_told_why_and_goes_where_they_were_going() {
    const PATH: &str = "/login?return_to=%2fportal";
    let mut browser = Browser::student().await;
    let page = browser.get(PATH).await;
    assert!(page.body.contains(&format!("action=\"{PATH}\"")), "{}", page.body);
    let wrong = credentials(page.csrf(), EMAIL, "wrong horse battery");
    for _ in 0..4 {
        let again = browser.post(PATH, &wrong).await;
        assert!(again.body.contains("E-mail or password is wrong"), "{}", again.body);
    }
    let last = browser.post(PATH, &wrong).await;
    let lost = browser.post(PATH, &wrong).await;
    browser.cookies.clear();
    let without = browser.post(PATH, &wrong).await;
    for (answer, why) in [
        (last, "Too many wrong tries"),
        (lost, "No sign-in is under way in this browser"),
        (without, "Your browser sent no cookie"),
    ] {
        assert_eq!(answer.status, 400, "{}", answer.body);
        assert!(answer.body.contains(why), "{why}: {}", answer.body);
        assert!(answer.body.contains(&format!("href=\"{PATH}\"")), "{why}: {}", answer.body);
    }
    let hostile = browser.post("/login?return_to=https%3a%2f%2fevil.test%2f", &wrong).await;
    assert!(hostile.body.contains("href=\"/login\"") && !hostile.body.contains("evil"));
}

#[tokio::test]
async fn a_log_in_goes_on_in_the_browser_that_began_it_and_in_no_other() {
    let world = World::new();
    world.user("staff").await;
    let mut browser = Browser::new(world).await;
    let answer = browser.log_in("/login", "staff@example.test").await;
    assert_eq!(answer.header("location"), "/login/mfa/totp");
    let own = browser.cookies.clone();
    for other in [None, Some("A".repeat(43))] {
        browser.cookies.retain(|(name, _)| name == "__Host-postern-login");
        assert_eq!(browser.cookies.len(), 1);
        let device = other.map(|device| ("__Host-postern-device".to_owned(), device));
        browser.cookies.extend(device);
        for path in ["/login/mfa/totp", "/login/mfa"] {
            let page = browser.get(path).await;
            assert_eq!((page.status, page.header("location")), (400, ""), "{path}");
            assert!(page.body.contains("start again"), "{path}: {}", page.body);
        }
        browser.cookies.clone_from(&own);
    }
    assert_eq!(browser.get("/login/mfa/totp").await.status, 200, "its own goes on");
}

#[tokio::test]
async fn forms_that_cannot_be_read_are_refused() {
    let mut browser = Browser::student().await;
    let csrf = browser.get("/login").await.csrf().to_owned();
    let good = credentials(&csrf, EMAIL, PASSWORD);
    for (body, expected) in [
        (format!("{good}&email=b"), 400),
        (format!("{good}&x=%zz"), 400),
        (format!("{good}&x={}", "y".repeat(20_000)), 413),
        (String::new(), 403),
    ] {
        assert_eq!(browser.post("/login", &body).await.status, expected);
    }
    let json = Request::post("/login").header(header::CONTENT_TYPE, "application/json");
    assert_eq!(browser.send(json, "{}").await.status, 400);
}

#[tokio::test]
async fn log_in_leads_to_no_place_but_ours() {
    for hostile in
        ["https%3a%2f%2fevil.test%2f", "%2f%2fevil.test", "%2f%5cevil.test", "javascript%3ax"]
    {
        let mut browser = Browser::student().await;
        let answer = browser.log_in(&format!("/login?return_to={hostile}"), EMAIL).await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (303, "/login/account"),
            "{hostile}"
        );
    }
}

#[tokio::test]
async fn a_role_that_asks_for_a_second_factor_has_it_set_up() {
    let world = World::new();
    world.user("staff").await;
    let mut browser = Browser::new(world).await;
    let answer = browser.log_in("/login", "staff@example.test").await;
    assert_eq!((answer.status, answer.header("location")), (303, "/login/mfa/totp"));
    assert!(!browser.has("__Host-postern"), "nobody is in by a password alone");
    assert_eq!(browser.get("/login/mfa").await.header("location"), "/login/mfa/totp");
    let page = browser.get("/login/mfa/totp").await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("<svg role=\"img\""));
    let wrong = format!("csrf={}&code=000000x", page.csrf());
    let again = browser.post("/login/mfa/totp", &wrong).await;
    assert_eq!(again.status, 400);
    assert!(!again.body.contains("<svg"), "a key is shown once");
    assert!(!browser.has("__Host-postern"));
}

#[tokio::test]
async fn a_password_that_has_to_change_changes_before_anything_else() {
    let world = World::new();
    world.user_with("student", |user| user.must_change_password = true).await;
    let mut browser = Browser::new(world).await;
    let answer = browser.log_in("/login?return_to=%2fportal", EMAIL).await;
    assert_eq!((answer.status, answer.header("location")), (303, "/login/password"));
    for (new, again) in [
        ("another+horse", "another+house"),
        ("short", "short"),
        ("correct+horse+battery", "correct+horse+battery"),
    ] {
        let csrf = browser.get("/login/password").await.csrf().to_owned();
        let body = format!("csrf={csrf}&password={new}&again={again}");
        let answer = browser.post("/login/password", &body).await;
        assert_eq!(answer.status, 400, "{new}");
        assert!(!browser.has("__Host-postern"));
    }
    let csrf = browser.get("/login/password").await.csrf().to_owned();
    let body = format!("csrf={csrf}&password=another+horse&again=another+horse");
    let answer = browser.post("/login/password", &body).await;
    assert_eq!((answer.status, answer.header("location")), (303, "/portal"));
    assert!(browser.has("__Host-postern"));
}

#[tokio::test]
async fn the_account_is_for_those_who_are_signed_in() {
    let mut browser = Browser::student().await;
    for (path, back) in [
        ("/login/account", "/login?return_to=%2flogin%2faccount"),
        ("/login/account/sessions", "/login?return_to=%2flogin%2faccount%2fsessions"),
    ] {
        let answer = browser.get(path).await;
        assert_eq!((answer.status, answer.header("location")), (303, back), "{path}");
    }
    let answer = browser.post("/login/account/sessions", "csrf=x&all=true").await;
    assert_eq!(answer.status, 303);
}

#[tokio::test]
async fn sessions_are_ended_one_by_one_and_all_at_once() {
    let mut browser = Browser::student().await;
    browser.log_in("/login", EMAIL).await;
    let first = browser.cookies.clone();
    browser.cookies.clear();
    browser.log_in("/login", EMAIL).await;
    let page = browser.get("/login/account/sessions").await;
    assert_eq!(page.body.matches("name=\"end\"").count(), 2, "{}", page.body);
    for (_, value) in browser.cookies.iter().chain(&first) {
        let id = value.split('.').next().unwrap();
        assert!(!page.body.contains(id), "a session's id is in no page");
    }
    let unknown = format!("csrf={}&end=0123456789abcdef0123456789abcdef", page.csrf());
    assert_eq!(browser.post("/login/account/sessions", &unknown).await.status, 303);
    let all = format!("csrf={}&all=true", page.csrf());
    let refused = browser.post("/login/account/sessions", "all=true").await;
    assert_eq!(refused.status, 403);
    let ended = browser.post("/login/account/sessions", &all).await;
    assert_eq!((ended.status, ended.header("location")), (303, "/login/out"));
    assert_eq!(browser.get("/login/out").await.status, 200);
    assert!(!browser.has("__Host-postern"));
    browser.cookies = first;
    assert_eq!(browser.get("/login/account").await.status, 303, "the other one has ended too");
}

#[tokio::test]
async fn a_link_logs_nobody_out_and_a_form_does() {
    let mut browser = Browser::student().await;
    browser.log_in("/login", EMAIL).await;
    let cookies = browser.cookies.clone();
    let back =
        "%2foauth2%2flogout%3fpost_logout_redirect_uri%3dhttps%253a%252f%252fapp.example%252f";
    let path = format!("/login/out?return_to={back}");
    let page = browser.get(&path).await;
    assert_eq!(page.status, 200);
    assert!(
        page.header("content-security-policy").ends_with("form-action 'self' https://app.example")
    );
    assert_eq!(browser.get("/login/account").await.status, 200, "still signed in");
    assert_eq!(browser.post(&path, "csrf=x").await.status, 403);
    let answer = browser.post(&path, &format!("csrf={}", page.csrf())).await;
    assert_eq!(answer.status, 303);
    assert!(answer.header("location").starts_with("/oauth2/logout?post_logout"));
    assert!(!browser.has("__Host-postern"));
    browser.cookies = cookies;
    assert_eq!(browser.get("/login/account").await.status, 303, "the cookie opens nothing");
    assert_eq!(browser.get("/login/out").await.status, 200, "who is out is told so");
}

#[tokio::test]
async fn whose_browser_has_changed_is_nobody_and_can_log_out_all_the_same() {
    let world = World::new().with(|login| {
        login.fingerprint = postern_document::Fingerprint {
            parts: vec![postern_document::FingerprintPart::UserAgent],
            on_change: postern_document::OnChange::AskMfa,
        };
    });
    world.user("student").await;
    let mut browser = Browser::new(world).await;
    browser.log_in("/login", EMAIL).await;
    let mut headers = HeaderMap::new();
    headers.insert(header::USER_AGENT, header::HeaderValue::from_static("Other/2"));
    for (name, value) in &browser.cookies {
        headers.append(header::COOKIE, format!("{name}={value}").parse().unwrap());
    }
    assert_eq!(browser.pages.session(&headers, NOW).await, Ok(None));
    let to_end = browser.pages.session_to_end(&headers, NOW).await.unwrap();
    assert!(to_end.is_some(), "or the session would outlive its cookie");
}

/// A request of the client that asks people first.
fn asks(scope: &str) -> String {
    format!(
        "response_type=code&client_id=web&redirect_uri=https%3A%2F%2Fapp.example%2Fcallback&\
         scope={scope}&state=s%26t&code_challenge={CHALLENGE}&code_challenge_method=S256"
    )
}

async fn reader() -> Browser {
    let world = World::new().with(|login| {
        for role in &mut login.roles {
            role.scopes = vec!["read".to_owned(), "write".to_owned()];
        }
    });
    world.user("student").await;
    let mut browser = Browser::new(world).await;
    browser.log_in("/login", EMAIL).await;
    browser
}

#[tokio::test]
async fn consent_is_asked_for_and_may_be_refused() {
    let mut browser = reader().await;
    let path = format!("/login/consent?{}", asks("openid+read+write"));
    let page = browser.get(&path).await;
    assert_eq!(page.status, 200, "{} {}", page.header("location"), page.body);
    for text in ["The shop", "Know who you are", "Text of read", "https://app.example"] {
        assert!(page.body.contains(text), "{text} in {}", page.body);
    }
    let policy = page.header("content-security-policy");
    assert!(policy.ends_with("form-action 'self' https://app.example"), "{policy}");
    let refused = browser.post(&path, "decision=allow&scope.openid=true").await;
    assert_eq!(refused.status, 403, "not without its token");
    let csrf = page.csrf();
    let denied = browser.post(&path, &format!("csrf={csrf}&decision=deny")).await;
    assert_eq!(denied.status, 303);
    let location = denied.header("location");
    assert!(location.starts_with("https://app.example/callback?"), "{location}");
    assert!(location.contains("error=access_denied"), "{location}");
    let body = format!("csrf={csrf}&decision=allow&scope.openid=true&scope.read=true");
    let allowed = browser.post(&path, &body).await;
    assert_eq!(allowed.status, 303, "{}", allowed.body);
    let location = allowed.header("location");
    assert!(location.starts_with("https://app.example/callback?code="), "{location}");
}

#[tokio::test]
async fn a_consent_page_is_for_those_who_are_signed_in() {
    let mut browser = Browser::student().await;
    let path = format!("/login/consent?{}", asks("openid"));
    let answer = browser.get(&path).await;
    assert_eq!(answer.status, 303);
    assert!(answer.header("location").starts_with("/login?return_to=%2foauth2%2fauthorize"));
    let answer = browser.post(&path, "csrf=x&decision=allow").await;
    assert!(answer.header("location").starts_with("/login?return_to="));
    let answer = browser.get("/login/consent?client_id=nobody").await;
    assert_eq!((answer.status, answer.header("location")), (400, ""));
}

#[tokio::test]
async fn who_is_to_log_in_anew_is_to_do_so_elsewhere_as_well() {
    for (path, expected) in [
        ("/login", None),
        ("/login?max_age=0", Some(0)),
        ("/login?max_age=900", Some(900)),
        ("/login?max_age=soon", Some(0)),
    ] {
        let mut browser = Browser::student().await;
        for is_known in [false, true] {
            if is_known {
                browser.log_in("/login", EMAIL).await;
            }
            browser.get(path).await;
            let opener = browser.opener();
            let flow = browser.pages.login.flow(&opener, NOW).await.unwrap().unwrap();
            assert_eq!(flow.max_age_secs, expected, "{path} {is_known}");
        }
    }
}

#[tokio::test]
async fn logging_in_again_leaves_no_session_behind() {
    let mut browser = Browser::student().await;
    browser.log_in("/login", EMAIL).await;
    let before = browser.cookies.clone();
    let answer = browser.log_in("/login", EMAIL).await;
    assert_eq!(answer.status, 303);
    let page = browser.get("/login/account/sessions").await;
    assert_eq!(page.body.matches("name=\"end\"").count(), 1, "{}", page.body);
    browser.cookies = before;
    assert_eq!(browser.get("/login/account").await.status, 303, "its cookie opens nothing");
}

#[tokio::test]
async fn a_log_in_for_a_client_may_lead_to_that_client() {
    let mut browser = Browser::student().await;
    let request = asks("openid").replace('%', "%25").replace('&', "%26").replace('=', "%3d");
    let page = browser.get(&format!("/login?return_to=%2foauth2%2fauthorize%3f{request}")).await;
    let policy = page.header("content-security-policy");
    assert!(policy.ends_with("form-action 'self' https://app.example"), "{policy}");
}

#[tokio::test]
async fn the_style_is_kept_for_ever_under_its_digest() {
    let mut browser = Browser::student().await;
    let page = browser.get("/login").await;
    let (_, rest) = page.body.split_once("<link rel=\"stylesheet\" href=\"").unwrap();
    let href = rest.split('"').next().unwrap().to_owned();
    let style = browser.get(&href).await;
    assert_eq!((style.status, style.header("content-type")), (200, "text/css; charset=utf-8"));
    assert_eq!(style.header("cache-control"), "public, max-age=31536000, immutable");
    assert!(style.body.contains("--accent"));
    let other = browser.get("/login/assets/0000000000000000/style.css").await;
    assert_eq!((other.status, other.header("cache-control")), (200, "no-store"));
    assert_eq!(browser.get("/login/assets/0000000000000000/other.js").await.status, 404);
}

#[tokio::test]
async fn what_is_not_there_and_what_is_not_done_are_told_on_pages() {
    let mut browser = Browser::student().await;
    for path in ["/login/", "/login/nothing", "/login/mfa/x/y", "/login/assets"] {
        let answer = browser.get(path).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (404, "text/html; charset=utf-8")
        );
    }
    for (path, allow) in [("/login", "GET,HEAD,POST"), ("/login/account", "GET,HEAD")] {
        let request = Request::builder().method(Method::DELETE).uri(path);
        let answer = browser.send(request, "").await;
        assert_eq!((answer.status, answer.header("allow")), (405, allow), "{path}");
    }
    let long = format!("/login?return_to={}", "x".repeat(9000));
    assert_eq!(browser.get(&long).await.status, 413);
}

#[tokio::test]
async fn pages_stand_in_for_endpoints_that_have_none() {
    let mut browser = Browser::student().await;
    let headers = HeaderMap::new();
    let onward = || Onward {
        location: "https://agent.test/cb?error=a&iss=\"".to_owned(),
        place: "https://agent.test".to_owned(),
    };
    for (told, status) in [
        (Told::Refused(onward()), 400),
        (Told::LoggedOutBy(onward()), 200),
        (Told::Fault(AuthorizeFault::UnknownClient), 400),
        (Told::Fault(AuthorizeFault::TooLarge), 413),
        (Told::Error(postern_oauth::OAuthError::unavailable()), 503),
        (Told::Error(postern_oauth::OAuthError::server_error()), 500),
        (Told::LoggedOut, 200),
    ] {
        let response = browser.pages.tell(&headers, told.clone(), NOW);
        assert_eq!(response.status().as_u16(), status, "{told:?}");
        let policy = response.headers().get("content-security-policy").unwrap().to_str().unwrap();
        assert!(policy.contains("frame-ancestors 'none'"), "{told:?}: {policy}");
        assert!(!response.headers().contains_key("location"), "{told:?}");
    }
    assert_eq!(browser.pages.session(&headers, NOW).await, Ok(None));
    browser.log_in("/login", EMAIL).await;
    let mut headers = HeaderMap::new();
    for (name, value) in &browser.cookies {
        headers.append(header::COOKIE, format!("{name}={value}").parse().unwrap());
    }
    assert!(browser.pages.session(&headers, NOW).await.unwrap().is_some());
    let later = UnixMillis(NOW.0 + 13 * 60 * 60 * 1000);
    assert_eq!(browser.pages.session(&headers, later).await, Ok(None), "it was idle for too long");
    let forgotten = browser.pages.forget(Response::default());
    let cookie = forgotten.headers().get(header::SET_COOKIE).unwrap().to_str().unwrap();
    assert!(cookie.starts_with("__Host-postern=;") && cookie.contains("Max-Age=0"));
}
