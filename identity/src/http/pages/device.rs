//! Connecting a device that has no browser (RFC 8628 §3.3).
//!
//! Nothing is looked up by a link: what it brings along is put into the form, and whoever sends
//! that gets to see what asks, with the code, and is asked. So nobody is talked into letting a
//! stranger's device in by a click alone (§5.4).

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use postern_identity_pages::{self as html, DeviceConfirmView, DeviceView, ErrorKind, ScopeLine};
use postern_oauth::{Endpoint, Form, UserCode, VERIFICATION_PATH};
use postern_store::flows::SessionRecord;

use super::consent::kind_of;
use super::csrf::FormName;
use super::visit::{Visit, who};
use super::{Body, Pages};
use crate::DeviceAsk;

/// Where the answer is sent.
pub(super) const CONFIRM_PATH: &str = "/login/device/confirm";

/// A form that was sent by somebody who is signed in, and the code that they have typed in.
struct Sent<'a> {
    cookie: &'a [u8],
    session: SessionRecord,
    form: Form,
    code: Option<UserCode>,
}

/// Asks for the code.
pub(super) async fn show(
    State(pages): State<Arc<Pages>>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let visit = Visit::new(&pages, &headers);
    if !pages.oauth.serves(Endpoint::Device) {
        return visit.error(ErrorKind::NotFound);
    }
    let query = match visit.query(&uri) {
        Ok(query) => query,
        Err(kind) => return visit.error(kind),
    };
    // What is no code is not shown again.
    let code = query.get("user_code").and_then(UserCode::parse);
    match visit.session().await {
        Ok(Some((cookie, _))) => ask_code(&visit, cookie, code.as_ref(), false),
        Ok(None) => visit.log_in(&with_code(code.as_ref())),
        Err(error) => visit.failed(&error),
    }
}

/// Shows what asks, and asks whether it may.
pub(super) async fn send(
    State(pages): State<Arc<Pages>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let visit = Visit::new(&pages, &headers);
    let sent = match sent(&visit, body, FormName::Device).await {
        Ok(sent) => sent,
        Err(response) => return response,
    };
    let Some(code) = &sent.code else { return ask_code(&visit, sent.cookie, None, true) };
    let taken = match pages.login.take_user_code(&sent.session, &visit.caller(), visit.now).await {
        Ok(taken) => taken,
        Err(error) => return visit.failed(&error),
    };
    match pages.oauth.device_ask(code, &sent.session, visit.now).await {
        Ok(Some(ask)) => {
            pages.login.give_back(taken, visit.now).await;
            confirm_page(&visit, &sent, code, &ask)
        }
        Ok(None) => ask_code(&visit, sent.cookie, None, true),
        Err(error) => visit.error(kind_of(&error)),
    }
}

/// Nothing is there without a code.
pub(super) async fn back(State(pages): State<Arc<Pages>>, headers: HeaderMap) -> Response {
    Visit::new(&pages, &headers).see_other(VERIFICATION_PATH)
}

/// Does what the user has said.
pub(super) async fn confirm(
    State(pages): State<Arc<Pages>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let visit = Visit::new(&pages, &headers);
    let sent = match sent(&visit, body, FormName::DeviceConfirm).await {
        Ok(sent) => sent,
        Err(response) => return response,
    };
    let Some(code) = &sent.code else { return ask_code(&visit, sent.cookie, None, true) };
    let taken = match pages.login.take_user_code(&sent.session, &visit.caller(), visit.now).await {
        Ok(taken) => taken,
        Err(error) => return visit.failed(&error),
    };
    // Everything but yes is no.
    let is_allowed = sent.form.get("decision") == Some("allow");
    match pages.oauth.answer_device(code, &sent.session, is_allowed, visit.now).await {
        Ok(Some(is_in)) => {
            pages.login.give_back(taken, visit.now).await;
            visit.page(html::device_done(is_in, &visit.look()))
        }
        Ok(None) => ask_code(&visit, sent.cookie, None, true),
        Err(error) => visit.error(kind_of(&error)),
    }
}

/// What was sent from a page of ours by somebody who is signed in; what is answered instead where
/// it was not.
async fn sent<'a>(visit: &Visit<'a>, body: Body, name: FormName) -> Result<Sent<'a>, Response> {
    if !visit.pages.oauth.serves(Endpoint::Device) {
        return Err(visit.error(ErrorKind::NotFound));
    }
    let Some(cookie) = visit.pages.cookies.session(visit.headers) else {
        return Err(visit.log_in(VERIFICATION_PATH));
    };
    let form = visit.form(body, name, cookie).map_err(|kind| visit.error(kind))?;
    let code = form.get("user_code").and_then(UserCode::parse);
    match visit.session().await {
        Ok(Some((cookie, session))) => Ok(Sent { cookie, session, form, code }),
        Ok(None) => Err(visit.log_in(&with_code(code.as_ref()))),
        Err(error) => Err(visit.failed(&error)),
    }
}

/// The page for the code, with the one that is known already.
fn ask_code(
    visit: &Visit<'_>,
    cookie: &[u8],
    code: Option<&UserCode>,
    is_unknown: bool,
) -> Response {
    let view = DeviceView {
        action: VERIFICATION_PATH,
        csrf: &visit.token(cookie, FormName::Device),
        user_code: &code.map(UserCode::to_text).unwrap_or_default(),
        is_unknown,
    };
    visit.page(html::device(&view, &visit.look()))
}

fn confirm_page(visit: &Visit<'_>, sent: &Sent<'_>, code: &UserCode, ask: &DeviceAsk) -> Response {
    let scopes: Vec<ScopeLine<'_>> =
        ask.scopes.iter().map(|(name, text)| ScopeLine { name, text }).collect();
    let resources: Vec<&str> = ask.resources.iter().map(String::as_str).collect();
    let view = DeviceConfirmView {
        action: CONFIRM_PATH,
        csrf: &visit.token(sent.cookie, FormName::DeviceConfirm),
        user_code: &code.to_text(),
        client_name: &ask.client_name,
        who: &who(&sent.session),
        scopes: &scopes,
        resources: &resources,
    };
    visit.page(html::device_confirm(&view, &visit.look()))
}

/// The page for the code, as a link to it: letters and a dash need no escape.
fn with_code(code: Option<&UserCode>) -> String {
    match code {
        Some(code) => [VERIFICATION_PATH, "?user_code=", &code.to_text()].concat(),
        None => VERIFICATION_PATH.to_owned(),
    }
}
