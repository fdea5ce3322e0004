//! Grants from end to end, in memory. Rules of the protocol are tried in `postern-oauth`; here is
//! what stores, time and signatures add to them.

mod authorize;
mod clients;
mod code;
mod device;
mod exchange;
mod introspection;
mod par;
mod proofs;
mod refresh;
mod register;
mod tokens;

use postern_jose::base64url;
use postern_oauth::{ErrorCode, Form};
use postern_request::UnixMillis;
use postern_request::headers::Single;
use postern_request::json::{self, Value};
use postern_store::FlowStore as _;
use postern_store::flows::SessionRecord;

use super::fixture::{CHALLENGE, Fixture, NOW, VERIFIER, fixture, later, session};
use super::{Authorized, TokenCall};

const FORM: Single<'static> = Single::One(b"application/x-www-form-urlencoded");
const REDIRECT: &str = "https%3A%2F%2Fapp.example%2Fcallback";

/// A form's call, with a proof where there is one.
fn call<'a>(body: &'a str, dpop: Option<&'a str>) -> TokenCall<'a> {
    TokenCall {
        authorization: Single::Absent,
        content_type: FORM,
        dpop: dpop.map_or(Single::Absent, |proof| Single::One(proof.as_bytes())),
        certificate: None,
        address: None,
        body: body.as_bytes(),
    }
}

/// An authorization request of a client.
fn request(client: &str, scope: &str) -> String {
    let scope = scope.replace(' ', "+");
    format!(
        "response_type=code&client_id={client}&redirect_uri={REDIRECT}&scope={scope}&state=xyz\
         &nonce=n-1&code_challenge={CHALLENGE}&code_challenge_method=S256"
    )
}

/// A parameter of a place that a browser is sent to.
fn parameter(location: &str, name: &str) -> Option<String> {
    let (_, query) = location.split_once('?')?;
    Form::parse(query.as_bytes()).unwrap().get(name).map(str::to_owned)
}

fn text<'v>(answer: &'v Value, name: &str) -> &'v str {
    answer.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The claims of a token, read without looking at its signature.
fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    json::parse(&base64url::decode(payload).unwrap()).unwrap()
}

impl Fixture {
    /// The code that this request gives, without anybody being asked.
    async fn code(&self, request: &str, session: &SessionRecord) -> String {
        let answer =
            self.oauth.authorize(request.as_bytes(), Some(session), "id", NOW).await.unwrap();
        let Authorized::Redirect(location) = answer else { panic!("{answer:?}") };
        parameter(&location, "code").unwrap_or_else(|| panic!("{location}"))
    }

    async fn token(&self, body: &str, now: UnixMillis) -> Result<Value, ErrorCode> {
        self.token_by(body, None, now).await
    }

    async fn token_by(
        &self,
        body: &str,
        dpop: Option<&str>,
        now: UnixMillis,
    ) -> Result<Value, ErrorCode> {
        let answer = self.oauth.token(call(body, dpop), now).await;
        answer.map(|body| json::parse(body.as_bytes()).unwrap()).map_err(|error| error.code)
    }

    /// The tokens of a user of the public client.
    async fn tokens(&self, scope: &str) -> Value {
        let session = match self.oauth.flows.find_session("browser-1", NOW).await.unwrap() {
            Some(session) => session,
            None => self.log_in().await,
        };
        let code = self.code(&request("spa", scope), &session).await;
        self.token(&exchange("spa", &code), NOW).await.unwrap()
    }
}

/// The form by which a public client exchanges a code.
fn exchange(client: &str, code: &str) -> String {
    format!(
        "grant_type=authorization_code&client_id={client}&code={code}&redirect_uri={REDIRECT}\
         &code_verifier={VERIFIER}"
    )
}

/// The form by which a public client exchanges a refresh token.
fn refresh(token: &str) -> String {
    format!("grant_type=refresh_token&client_id=spa&refresh_token={token}")
}
