use axum::body::Body;
use axum::http::{Request, header};
use postern_oauth::Form;
use serde_json::json;
use tower::ServiceExt as _;

use super::*;
use crate::http::cookies::Cookies;
use crate::http::pages::{PagesConfig, PagesParts};
use crate::login::fixture::{ISSUER, NOW, vault};
use crate::oauth::fixture as grants;
use crate::outside::fixture::{OP, Suite, provider};
use crate::ports::OutboundError;

/// A browser at the pages, beside a provider.
struct Browser {
    suite: Suite,
    router: Router,
    login: Option<String>,
    device: Option<String>,
}

struct Answer {
    status: u16,
    location: String,
    cookies: Vec<String>,
    headers: HeaderMap,
}

impl Browser {
    async fn new() -> Self {
        let suite = Suite::new(provider());
        let rules = suite.login.rules();
        let config = PagesConfig::new(ISSUER, &rules.login);
        let pages = Arc::new(Pages::new(PagesParts {
            oauth: grants::fixture().await.oauth,
            login: Arc::clone(&suite.login),
            vault: vault(),
            config: postern_document::Current::fixed(config),
            cookies: Cookies::new(ISSUER, "__Host-postern", None),
            clock: Arc::new(|| NOW),
        }));
        let router = crate::pages_router(Arc::clone(&pages))
            .merge(router(pages, Arc::clone(&suite.outside)));
        Self { suite, router, login: None, device: None }
    }

    async fn send(&mut self, request: axum::http::request::Builder) -> Answer {
        let mut request = request.header("x-forwarded-for", "192.0.2.1");
        for (name, value) in [("login", &self.login), ("device", &self.device)] {
            if let Some(value) = value {
                let cookie = format!("__Host-postern-{name}={value}");
                request = request.header(header::COOKIE, cookie);
            }
        }
        let request = request.body(Body::empty()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let headers = response.headers().clone();
        let text = |value: &axum::http::HeaderValue| value.to_str().unwrap().to_owned();
        let cookies: Vec<String> = headers.get_all(header::SET_COOKIE).iter().map(text).collect();
        for cookie in &cookies {
            if let Some(rest) = cookie.strip_prefix("__Host-postern-login=") {
                let value = rest.split(';').next().unwrap();
                self.login = Some(value.to_owned()).filter(|value| !value.is_empty());
            }
            if let Some(rest) = cookie.strip_prefix("__Host-postern-device=") {
                self.device = rest.split(';').next().map(str::to_owned);
            }
        }
        let location = headers.get(header::LOCATION).map(text).unwrap_or_default();
        Answer { status: response.status().as_u16(), location, cookies, headers }
    }

    async fn get(&mut self, path: &str) -> Answer {
        self.send(Request::get(path)).await
    }

    /// Goes to the provider, which vouches for `u-1`; the way back.
    async fn go(&mut self, path: &str) -> String {
        let sent = self.get(path).await;
        assert_eq!(sent.status, 303);
        let (_, query) = sent.location.split_once('?').unwrap();
        let query = Form::parse(query.as_bytes()).unwrap();
        let at = NOW.as_secs();
        let token = self.suite.stub.key.sign(&json!({
            "iss": OP, "sub": "u-1", "aud": "postern", "iat": at, "exp": at + 300,
            "nonce": query.get("nonce"),
        }));
        self.suite.stub.gives(&token);
        format!("/login/outside/corp/callback?code=c0de&state={}", query.get("state").unwrap())
    }
}

#[tokio::test]
async fn a_browser_goes_there_and_comes_back_to_where_it_was() {
    let mut browser = Browser::new().await;
    let back = browser.go("/login/outside/corp?return_to=%2fportal%2fx").await;
    let answer = browser.get(&back).await;
    assert_eq!((answer.status, answer.location.as_str()), (303, "/portal/x"));
    assert_eq!(answer.headers.get("cache-control").unwrap(), "no-store");
    let session = answer.cookies.iter().find(|cookie| cookie.starts_with("__Host-postern="));
    let session = session.unwrap();
    for part in ["; Path=/", "; HttpOnly", "; Secure", "; SameSite=Lax"] {
        assert!(session.contains(part), "{session}");
    }
    assert_eq!(browser.login, None, "the log-in is over");
}

#[tokio::test]
async fn the_button_of_the_log_in_page_keeps_the_way() {
    let mut browser = Browser::new().await;
    let page = browser.get("/login?return_to=%2foauth2%2fauthorize%3fx%3dy").await;
    assert_eq!(page.status, 200);
    let back = browser.go("/login/outside/corp").await;
    assert_eq!(browser.get(&back).await.location, "/oauth2/authorize?x=y");
}

#[tokio::test]
async fn log_in_elsewhere_leads_to_no_place_but_ours() {
    for hostile in
        ["https%3a%2f%2fevil.test%2f", "%2f%2fevil.test", "%2f%5cevil.test", "javascript%3ax"]
    {
        let mut browser = Browser::new().await;
        let back = browser.go(&format!("/login/outside/corp?return_to={hostile}")).await;
        assert_eq!(browser.get(&back).await.location, "/login/account", "{hostile}");
    }
}

#[tokio::test]
async fn whoever_comes_back_without_a_cookie_is_told_so() {
    let mut browser = Browser::new().await;
    let back = browser.go("/login/outside/corp").await;
    let login = browser.login.take();
    let answer = browser.get(&back).await;
    assert_eq!((answer.status, answer.location.as_str()), (400, ""));
    assert!(answer.cookies.is_empty());
    browser.login = login;
    assert_eq!(browser.get(&back).await.status, 303, "nothing was used up");
    assert_eq!(browser.get(&back).await.status, 400);
    let back = browser.go("/login/outside/corp").await;
    browser.device = Some("A".repeat(43));
    assert_eq!(browser.get(&back).await.status, 400, "another browser");
}

#[tokio::test]
async fn each_failure_is_a_page_and_no_redirect() {
    let mut browser = Browser::new().await;
    for (path, expected) in [
        ("/login/outside/nobody", 404),
        ("/login/outside/", 404),
        ("/login/outside/corp/else", 404),
        ("/login/outside/nobody/callback?code=a&state=b", 404),
        ("/login/outside/corp/callback", 400),
        ("/login/outside/corp/callback?code=a&state=b", 400),
        ("/login/outside/corp/callback?code=a&code=b", 400),
        ("/login/outside/corp?return_to=%zz", 400),
    ] {
        (browser.login, browser.device) = (Some("A".repeat(43)), Some("A".repeat(43)));
        let answer = browser.get(path).await;
        assert_eq!((answer.status, answer.location.as_str()), (expected, ""), "{path}");
        assert!(answer.headers.contains_key("content-security-policy"), "{path}");
    }
    let posted = browser.send(Request::post("/login/outside/corp")).await;
    assert_eq!(posted.status, 405);
    assert!(posted.headers.contains_key("allow"));
    browser.login = None;
    let back = browser.go("/login/outside/corp").await;
    let denied = back.replace("code=c0de", "error=access_denied");
    assert_eq!(browser.get(&denied).await.status, 403);
    let back = browser.go("/login/outside/corp").await;
    browser.suite.stub.says().token = Err(OutboundError::TooLarge);
    let away = browser.get(&back).await;
    assert_eq!((away.status, away.headers.get("retry-after").is_some()), (503, true));
}
