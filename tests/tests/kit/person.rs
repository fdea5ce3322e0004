//! Somebody in front of a browser that knows passkeys.

use postern_e2e::browser::{Browser, Page};
use postern_e2e::client::{Answer, Call};
use postern_e2e::gateway::Gateway;
use postern_e2e::oauth;
use postern_e2e::passkey::SoftPasskey;
use serde_json::{Value, json};

const OPTIONS: &str = "/auth/passkeys/options";
const FINISH: &str = "/auth/passkeys/finish";
const MAKE_OPTIONS: &str = "/login/account/passkeys/options";
const MAKE_FINISH: &str = "/login/account/passkeys/finish";

/// Somebody, and what they have in their hands.
pub struct Person {
    pub browser: Browser,
    pub soft: SoftPasskey,
}

/// A ceremony that was begun.
pub struct Asked {
    /// The token of the page that began it.
    pub csrf: String,
    /// What the browser is asked for.
    pub options: Value,
}

impl Person {
    /// Two of one seed have the same authenticator.
    pub fn new(gateway: &Gateway, seed: u8) -> Self {
        let browser = gateway.browser();
        let soft = SoftPasskey::new(seed, gateway.issuer());
        Self { browser, soft }
    }

    /// Logs in by a password on the page that this leads to, and follows nothing.
    pub async fn log_in(&mut self, target: &str, email: &str) -> Answer {
        let page = self.browser.open(target).await.expect(200);
        let filled = [("email", email), ("password", oauth::PASSWORD)];
        self.browser.send_form(&page.form(), &filled).await.1
    }

    /// Makes a passkey on the account's page.
    pub async fn make(&mut self) -> Answer {
        let asked = self.asked_to_make().await;
        let credential = self.soft.create(&asked.options);
        self.made(&asked, &credential).await
    }

    /// Begins that.
    pub async fn asked_to_make(&mut self) -> Asked {
        let page = self.browser.open("/login/account/passkeys").await.expect(200);
        self.begin(MAKE_OPTIONS, &page).await
    }

    /// Finishes it.
    pub async fn made(&mut self, asked: &Asked, credential: &Value) -> Answer {
        let body = json!({"csrf": asked.csrf, "credential": credential, "name": "Laptop"});
        self.ask(MAKE_FINISH, &body).await
    }

    /// Shows the passkey on a page of the log-in.
    pub async fn show(&mut self, page: &Page) -> Answer {
        let asked = self.asked_to_show(page).await;
        let credential = self.soft.get(&asked.options);
        self.shown(&asked, &credential).await
    }

    /// Begins that.
    pub async fn asked_to_show(&mut self, page: &Page) -> Asked {
        self.begin(OPTIONS, page).await
    }

    /// Finishes it.
    pub async fn shown(&mut self, asked: &Asked, credential: &Value) -> Answer {
        let body = json!({"csrf": asked.csrf, "credential": credential});
        self.ask(FINISH, &body).await
    }

    async fn begin(&mut self, path: &str, page: &Page) -> Asked {
        let csrf = token(page);
        let options = self.ask(path, &json!({"csrf": csrf})).await.expect(200).json();
        Asked { csrf, options }
    }

    /// What the page's script asks.
    async fn ask(&mut self, path: &str, body: &Value) -> Answer {
        let call = Call::post(path)
            .header("content-type", "application/json")
            .header("origin", self.browser.origin())
            .header("sec-fetch-site", "same-origin")
            .header("sec-fetch-mode", "cors")
            .body(body.to_string());
        self.browser.send(call).await
    }
}

/// The token that a page tells the script.
fn token(page: &Page) -> String {
    let text = page.answer.text();
    let (_, rest) = text.split_once("data-csrf=\"").expect("a page that offers passkeys");
    rest.split('"').next().unwrap_or_default().to_owned()
}
