//! Log-ins at an outside provider: one that came to its end, and one whose browser is there still.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postern_e2e::browser::{self, Browser};
use postern_e2e::client::Call;
use postern_e2e::provider::Provider;
use serde_json::json;

use super::secrets::Secrets;
use super::{SECRET, Stage};
use crate::kit::elsewhere::{back, sent};

/// What the provider gives.
const CODE: &str = "c0de-8Wm2Zk5Rt1Yq7Lp4Nd";
const ACCESS_TOKEN: &str = "at-6Jx3Vb9Gf2Hs5Kw8Qc";
const REFRESH_TOKEN: &str = "rt-1Pz7Dn4Mt9Xa3Ry6Be";

/// Somebody who was sent to the provider.
pub struct Away {
    browser: Browser,
    state: String,
    nonce: String,
}

/// Both.
pub async fn log_ins(stage: &Stage, secrets: &mut Secrets) -> Away {
    let back = Away::sent(stage, secrets).await;
    let id_token = back.id_token(&stage.provider);
    secrets.saw_token("ID token of a provider", &id_token);
    secrets.saw("access token of a provider", ACCESS_TOKEN);
    secrets.saw("refresh token of a provider", REFRESH_TOKEN);
    secrets.saw("code of a provider", CODE);
    let tokens = json!({
        "id_token": id_token, "access_token": ACCESS_TOKEN, "refresh_token": REFRESH_TOKEN,
        "token_type": "Bearer",
    });
    stage.provider.say("/token", 200, &tokens);
    let browser = back.returns(stage).await;
    secrets.saw_session(&browser);
    exchanged(&stage.provider, secrets);

    let away = Away::sent(stage, secrets).await;
    secrets.knows("postern:login:outside:");
    // Whoever is taken for them gets in.
    stage.provider.gives(&away.id_token(&stage.provider));
    away
}

/// What we have shown the provider behind the browser's back.
fn exchanged(provider: &Provider, secrets: &mut Secrets) {
    let asked = provider.asked("/token").pop().expect("the code was exchanged");
    let verifier = browser::parameter(&format!("?{}", asked.body), "code_verifier");
    secrets.saw("code_verifier for a provider", &verifier.expect("a verifier"));
    let basic = asked.authorization.expect("the suite has shown who it is");
    let pair = STANDARD.decode(basic.strip_prefix("Basic ").expect("Basic")).expect("base64");
    let pair = String::from_utf8(pair).expect("text");
    let (_, secret) = pair.split_once(':').expect("a name and a secret");
    assert_eq!(secret, SECRET);
    secrets.saw("client secret at a provider", secret);
}

impl Away {
    async fn sent(stage: &Stage, secrets: &mut Secrets) -> Self {
        let (browser, page) = sent(&stage.gateway, "/login/account").await;
        let state = page.parameter("state").expect("a state");
        let nonce = page.parameter("nonce").expect("a nonce");
        secrets.saw("state at a provider", &state);
        secrets.saw("nonce at a provider", &nonce);
        secrets.saw_log_in(&browser);
        Self { browser, state, nonce }
    }

    fn id_token(&self, provider: &Provider) -> String {
        let token = provider.id_token("u-1", &self.nonce);
        token.claim("email", json!("u-1@corp.test")).claim("email_verified", json!(true)).sign()
    }

    /// This browser's answer with a text as its `state`.
    pub fn shows(&self, stage: &Stage, state: &str) -> Call {
        let cookies = self.browser.cookies();
        Call::get(&back(&stage.provider, CODE, state)).header("cookie", cookies)
    }

    /// Comes back in the end: the log-in was there all the time.
    pub async fn comes_back(self, stage: &Stage) {
        // A new one, because tokens do not live long.
        stage.provider.gives(&self.id_token(&stage.provider));
        self.returns(stage).await;
    }

    /// Comes back with a code; the browser, in which somebody is logged in then.
    async fn returns(self, stage: &Stage) -> Browser {
        let Self { mut browser, state, .. } = self;
        let back = back(&stage.provider, CODE, &state);
        let page = browser.come_from_elsewhere(&back).await.expect(200);
        assert!(browser.cookie("postern").is_some(), "{}", page.answer);
        browser
    }
}
