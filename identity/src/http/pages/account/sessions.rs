//! Where somebody is signed in.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use postern_identity_pages::{self as html, SessionLine, SessionsView};
use postern_store::flows::SessionRecord;
use postern_store::{FlowKey, FlowKind};

use super::super::csrf::FormName;
use super::super::visit::{Member, Visit};
use super::super::{Body, Pages, answer};
use crate::LoginError;

pub(super) const PATH: &str = "/login/account/sessions";
/// Where it says that nobody is signed in any more.
const OUT_PATH: &str = "/login/out";
/// Digits of a reference: enough to tell a user's sessions apart.
const REFERENCE_DIGITS: usize = 32;

/// The list.
pub(super) async fn show(State(pages): State<Arc<Pages>>, headers: HeaderMap) -> Response {
    let visit = Visit::new(&pages, &headers);
    let Member { cookie, session } = match visit.member(PATH).await {
        Ok(member) => member,
        Err(response) => return response,
    };
    match pages.login.sessions_of(&session.user_id, visit.now).await {
        Ok(all) => list(&visit, cookie, &session, &all),
        Err(error) => visit.failed(&error),
    }
}

/// Ends one of them, all others, or all.
pub(super) async fn end(
    State(pages): State<Arc<Pages>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let visit = Visit::new(&pages, &headers);
    let Member { cookie, session } = match visit.member(PATH).await {
        Ok(member) => member,
        Err(response) => return response,
    };
    let form = match visit.form(body, FormName::Sessions, cookie) {
        Ok(form) => form,
        Err(kind) => return visit.error(kind),
    };
    let user_id = session.user_id.as_str();
    let ended = if let Some(reference) = form.get("end") {
        end_one(&visit, &session, reference).await
    } else if form.get("others").is_some() {
        pages.login.end_others(user_id, &session.id, visit.now).await.map(|_| false)
    } else if form.get("all").is_some() {
        pages.login.end_all(user_id, user_id, visit.now).await.map(|_| true)
    } else {
        Ok(false)
    };
    match ended {
        Ok(true) => {
            let mut response = visit.see_other(OUT_PATH);
            answer::cookie(&mut response, pages.cookies.end_session());
            response
        }
        Ok(false) => visit.see_other(PATH),
        Err(error) => visit.failed(&error),
    }
}

/// Ends the session of a reference, if it is one of the same user's; whether it was this one.
async fn end_one(
    visit: &Visit<'_>,
    session: &SessionRecord,
    reference: &str,
) -> Result<bool, LoginError> {
    let login = &visit.pages.login;
    let all = login.sessions_of(&session.user_id, visit.now).await?;
    let Some(meant) = all.iter().find(|one| reference_of(&one.id) == reference) else {
        return Ok(false);
    };
    login.end_session(&meant.id, &session.user_id, visit.now).await?;
    Ok(meant.id == session.id)
}

fn list(
    visit: &Visit<'_>,
    cookie: &[u8],
    session: &SessionRecord,
    all: &[SessionRecord],
) -> Response {
    let told: Vec<(String, String, String)> = all
        .iter()
        .map(|one| (reference_of(&one.id), one.created_at.to_rfc3339(), one.last_used.to_rfc3339()))
        .collect();
    let lines: Vec<SessionLine<'_>> = all
        .iter()
        .zip(&told)
        .map(|(one, (reference, began, used))| SessionLine {
            reference,
            client: one.client_id.as_deref(),
            is_this: one.id == session.id,
            began,
            used,
        })
        .collect();
    let csrf = visit.token(cookie, FormName::Sessions);
    let view = SessionsView { action: PATH, csrf: &csrf, sessions: &lines };
    visit.page(html::sessions(&view, &visit.look()))
}

/// What a form names a session by: never by its id, which tokens carry.
fn reference_of(id: &str) -> String {
    let hex = FlowKey::of(FlowKind::Session, id.as_bytes()).to_hex();
    hex.chars().take(REFERENCE_DIGITS).collect()
}
