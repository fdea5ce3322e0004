//! Passkeys: what the script of the pages asks, as JSON.
//!
//! No other site can send any of it: the browser says where a script's request comes from, JSON
//! takes its leave for another origin, which is never given, and each request carries the token of
//! its page besides.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::{MethodRouter, post};
use postern_request::headers::Single;
use postern_request::json::{self, Value};
use postern_request::{Denial, ErrorCode};
use postern_store::durable::UserRecord;
use postern_store::flows::SessionRecord;

use super::account::PASSKEYS_PATH;
use super::csrf::{self, FormName};
use super::visit::{Visit, path_of};
use super::{Answered, Body, Pages};
use crate::http::refusal;
use crate::http::reply::{self, single};
use crate::{LoginError, Outcome};

/// Where the options come from that use a passkey.
pub(super) const OPTIONS_PATH: &str = "/auth/passkeys/options";
/// Where its answer goes.
pub(super) const FINISH_PATH: &str = "/auth/passkeys/finish";
/// Where the options come from that make one.
pub(super) const MAKE_OPTIONS_PATH: &str = "/login/account/passkeys/options";
/// Where its answer goes.
pub(super) const MAKE_FINISH_PATH: &str = "/login/account/passkeys/finish";

pub(super) fn routes() -> Router<Arc<Pages>> {
    let only = |methods: MethodRouter<Arc<Pages>>| methods.fallback(wrong_method);
    Router::new()
        .route(OPTIONS_PATH, only(post(options)))
        .route(FINISH_PATH, only(post(finish)))
        .route(MAKE_OPTIONS_PATH, only(post(make_options)))
        .route(MAKE_FINISH_PATH, only(post(make_finish)))
}

/// What the browser asks for a passkey with.
async fn options(State(pages): State<Arc<Pages>>, headers: HeaderMap, body: Body) -> Answered {
    let visit = Visit::new(&pages, &headers);
    let (cookie, _) = of_login(&visit, body, &[])?;
    match pages.login.passkey_options(cookie, visit.now).await {
        Ok(options) => Ok(reply::private_json(&headers, options)),
        Err(error) => Err(failed(&visit, &error)),
    }
}

/// The passkey's answer: in place of a password, or behind one.
async fn finish(State(pages): State<Arc<Pages>>, headers: HeaderMap, body: Body) -> Answered {
    let visit = Visit::new(&pages, &headers);
    let (cookie, sent) = of_login(&visit, body, &["credential", "remember"])?;
    let remember = matches!(sent.get("remember"), Some(Value::Bool(true)));
    let answer = credential(&visit, &sent)?;
    let caller = visit.caller();
    match pages.login.passkey(cookie, &answer, remember, &caller, visit.now).await {
        Ok(Outcome::Ask(screen)) => Ok(go_to(&visit, path_of(screen))),
        Ok(Outcome::Done(logged_in)) => {
            let mut response = go_to(&visit, logged_in.return_to.as_str());
            visit.admit(&mut response, &logged_in);
            Ok(response)
        }
        Err(error) => Err(failed(&visit, &error)),
    }
}

/// What the browser makes a passkey with.
async fn make_options(State(pages): State<Arc<Pages>>, headers: HeaderMap, body: Body) -> Answered {
    let visit = Visit::new(&pages, &headers);
    let Making { session, user, .. } = of_account(&visit, body, &[]).await?;
    match pages.login.start_passkey(&user, &session, visit.now).await {
        Ok(options) => Ok(reply::private_json(&headers, options)),
        Err(error) => Err(failed(&visit, &error)),
    }
}

/// The passkey that was made, and what its owner calls it.
async fn make_finish(State(pages): State<Arc<Pages>>, headers: HeaderMap, body: Body) -> Answered {
    let visit = Visit::new(&pages, &headers);
    let Making { session, user, sent } = of_account(&visit, body, &["credential", "name"]).await?;
    let name = sent.get("name").and_then(Value::as_str).unwrap_or_default();
    let answer = credential(&visit, &sent)?;
    match pages.login.finish_passkey(&user, &session, name, &answer, visit.now).await {
        Ok(()) => Ok(go_to(&visit, PASSKEYS_PATH)),
        Err(error) => Err(failed(&visit, &error)),
    }
}

/// Somebody who makes a passkey, and what the script has sent for them.
struct Making {
    session: SessionRecord,
    user: UserRecord,
    sent: Value,
}

/// What the script has sent from a page of the log-in that is under way, and the cookie of that.
fn of_login<'v>(
    visit: &'v Visit<'_>,
    body: Body,
    known: &[&str],
) -> Result<(&'v [u8], Value), Response> {
    let cookie = visit.opener().ok_or_else(|| failed(visit, &LoginError::Expired))?;
    Ok((cookie, read(visit, body, FormName::UsePasskey, cookie, known)?))
}

/// The same from a page of the account: its owner has authenticated a short while ago.
async fn of_account(visit: &Visit<'_>, body: Body, known: &[&str]) -> Result<Making, Response> {
    let (cookie, session) = match visit.session().await {
        Ok(Some(found)) if visit.is_fresh(&found.1) => found,
        Ok(_) => return Err(deny(visit, &Denial::missing_credential())),
        Err(error) => return Err(failed(visit, &error)),
    };
    let sent = read(visit, body, FormName::MakePasskey, cookie, known)?;
    match visit.pages.login.user(&session.user_id).await {
        Ok(Some(user)) => Ok(Making { session, user, sent }),
        Ok(None) => Err(not_found(visit)),
        Err(error) => Err(failed(visit, &error)),
    }
}

/// What a script of ours has sent from a page of ours, in the browser that has this cookie: one
/// object with its token, and nothing but these members.
fn read(
    visit: &Visit<'_>,
    body: Body,
    name: FormName,
    cookie: &[u8],
    known: &[&str],
) -> Result<Value, Response> {
    if !visit.pages.login.has_passkeys() {
        return Err(not_found(visit));
    }
    let foreign = || {
        tracing::info!(form = ?name, "a script's request came from elsewhere");
        deny(visit, &Denial::new(ErrorCode::Forbidden, "form_foreign"))
    };
    if !csrf::is_script_from_here(visit.headers, &visit.config.origin) {
        return Err(foreign());
    }
    let bytes = body.map_err(|rejection| deny(visit, &refusal::unread(&rejection)))?;
    let sent = json::parse(&bytes).ok().filter(|sent| {
        let is_known = |name: &str| name == "csrf" || known.contains(&name);
        let members = sent.as_object();
        members.is_some_and(|members| members.iter().all(|(name, _)| is_known(name)))
    });
    let Some(sent) = sent.filter(|_| is_json(visit.headers)) else {
        return Err(unreadable(visit));
    };
    let token = sent.get("csrf").and_then(Value::as_str).unwrap_or_default();
    if !csrf::is_good(&visit.pages.vault, cookie, name, token, visit.now) {
        return Err(foreign());
    }
    Ok(sent)
}

fn is_json(headers: &HeaderMap) -> bool {
    let Single::One(value) = single(headers, "content-type") else { return false };
    let kind = value.split(|byte| *byte == b';').next().unwrap_or_default();
    kind.trim_ascii().eq_ignore_ascii_case(b"application/json")
}

/// What the browser made of the ceremony, as JSON of its own.
fn credential(visit: &Visit<'_>, sent: &Value) -> Result<String, Response> {
    let credential = sent.get("credential").filter(|credential| credential.as_object().is_some());
    credential.map(ToString::to_string).ok_or_else(|| unreadable(visit))
}

/// Where the script takes the browser.
fn go_to(visit: &Visit<'_>, location: &str) -> Response {
    let mut body = String::from("{\"location\":");
    json::write_string(&mut body, location);
    body.push('}');
    reply::private_json(visit.headers, body)
}

fn failed(visit: &Visit<'_>, error: &LoginError) -> Response {
    let id = reply::correlation_id(visit.headers);
    let reason = refusal::reason(error);
    tracing::info!(%error, reason, correlation_id = id, "no passkey");
    reply::turn_away(refusal::login(error, &id, visit.now))
}

fn deny(visit: &Visit<'_>, denial: &Denial) -> Response {
    reply::deny(denial, visit.headers, visit.now)
}

fn not_found(visit: &Visit<'_>) -> Response {
    deny(visit, &Denial::new(ErrorCode::NotFound, "endpoint_unknown"))
}

fn unreadable(visit: &Visit<'_>) -> Response {
    deny(visit, &refusal::unreadable("The body must be one JSON object with known members"))
}

async fn wrong_method(State(pages): State<Arc<Pages>>, headers: HeaderMap) -> Response {
    reply::wrong_method(&headers, (pages.clock)())
}
