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

use super::consent::kind_of;
use super::csrf::FormName;
use super::visit::{Member, Visit, who};
use super::{Answered, Body, Pages};
use crate::{DeviceAsk, Taken};

/// Where the answer is sent.
pub(super) const CONFIRM_PATH: &str = "/login/device/confirm";

/// A form that was sent by somebody who is signed in, and the code that they have typed in, for
/// which a try was taken.
struct Sent<'a> {
    member: Member<'a>,
    form: Form,
    code: UserCode,
    taken: Taken,
}

/// Asks for the code.
pub(super) async fn show(
    State(pages): State<Arc<Pages>>,
    uri: Uri,
    headers: HeaderMap,
) -> Answered {
    let visit = Visit::new(&pages, &headers);
    if !pages.oauth.serves(Endpoint::Device) {
        return Err(visit.error(ErrorKind::NotFound));
    }
    // What is no code is not shown again.
    let code = visit.query(&uri)?.get("user_code").and_then(UserCode::parse);
    let member = visit.member(&with_code(code.as_ref())).await?;
    Ok(ask_code(&visit, member.cookie, code.as_ref(), false))
}

/// Shows what asks, and asks whether it may.
pub(super) async fn send(
    State(pages): State<Arc<Pages>>,
    headers: HeaderMap,
    body: Body,
) -> Answered {
    let visit = Visit::new(&pages, &headers);
    let Sent { member, code, taken, .. } = sent(&visit, body, FormName::Device).await?;
    match pages.oauth.device_ask(&code, &member.session, visit.now).await {
        Ok(Some(ask)) => {
            pages.login.give_back(taken, visit.now).await;
            Ok(confirm_page(&visit, &member, &code, &ask))
        }
        Ok(None) => Err(ask_code(&visit, member.cookie, None, true)),
        Err(error) => Err(visit.error(kind_of(&error))),
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
) -> Answered {
    let visit = Visit::new(&pages, &headers);
    let Sent { member, form, code, taken } = sent(&visit, body, FormName::DeviceConfirm).await?;
    // Everything but yes is no.
    let is_allowed = form.get("decision") == Some("allow");
    match pages.oauth.answer_device(&code, &member.session, is_allowed, visit.now).await {
        Ok(Some(is_in)) => {
            pages.login.give_back(taken, visit.now).await;
            Ok(visit.page(html::device_done(is_in, &visit.look())))
        }
        Ok(None) => Err(ask_code(&visit, member.cookie, None, true)),
        Err(error) => Err(visit.error(kind_of(&error))),
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
    let form = visit.form(body, name, cookie)?;
    let code = form.get("user_code").and_then(UserCode::parse);
    let member = visit.member(&with_code(code.as_ref())).await?;
    let Some(code) = code else { return Err(ask_code(visit, member.cookie, None, true)) };
    let taken = visit.pages.login.take_user_code(&member.session, &visit.caller(), visit.now).await;
    let taken = taken.map_err(|error| visit.failed(&error))?;
    Ok(Sent { member, form, code, taken })
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

fn confirm_page(
    visit: &Visit<'_>,
    member: &Member<'_>,
    code: &UserCode,
    ask: &DeviceAsk,
) -> Response {
    let scopes: Vec<ScopeLine<'_>> =
        ask.scopes.iter().map(|(name, text)| ScopeLine { name, text }).collect();
    let resources: Vec<&str> = ask.resources.iter().map(String::as_str).collect();
    let view = DeviceConfirmView {
        action: CONFIRM_PATH,
        csrf: &visit.token(member.cookie, FormName::DeviceConfirm),
        user_code: &code.to_text(),
        client_name: &ask.client_name,
        who: &who(&member.session),
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
