//! Where somebody is signed in.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use postern_identity_pages::{self as html, SessionLine, SessionsView};
use postern_store::flows::SessionRecord;

use super::super::csrf::FormName;
use super::super::visit::{Member, Visit};
use super::super::{Answered, Body, Pages, answer};
use crate::login::{Agent, Person, reference_of};

pub(super) const PATH: &str = "/login/account/sessions";
/// Where it says that nobody is signed in any more.
const OUT_PATH: &str = "/login/out";

/// The list.
pub(super) async fn show(State(pages): State<Arc<Pages>>, headers: HeaderMap) -> Answered {
    let visit = Visit::new(&pages, &headers);
    let Member { cookie, session } = visit.member(PATH).await?;
    match pages.login.sessions_of(&session.user_id, visit.now).await {
        Ok(all) => Ok(list(&visit, cookie, &session, &all)),
        Err(error) => Err(visit.failed(&error)),
    }
}

/// Ends one of them, all others, or all.
pub(super) async fn end(
    State(pages): State<Arc<Pages>>,
    headers: HeaderMap,
    body: Body,
) -> Answered {
    let visit = Visit::new(&pages, &headers);
    let Member { cookie, session } = visit.member(PATH).await?;
    let form = visit.form(body, FormName::Sessions, cookie)?;
    let user_id = session.user_id.as_str();
    // Whether it was this one too.
    let ended = if let Some(reference) = form.get("end") {
        let ended = pages.login.end_named(user_id, reference, visit.now).await;
        ended.map(|id| id.as_ref() == Some(&session.id))
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
            Ok(response)
        }
        Ok(false) => Ok(visit.see_other(PATH)),
        Err(error) => Err(visit.failed(&error)),
    }
}

fn list(
    visit: &Visit<'_>,
    cookie: &[u8],
    session: &SessionRecord,
    all: &[SessionRecord],
) -> Response {
    let told: Vec<(String, String, String, Agent)> = all
        .iter()
        .map(|one| {
            let agent = Person::decode(&one.person).map(|person| person.agent).unwrap_or_default();
            let (began, used) = (one.created_at.to_rfc3339(), one.last_used.to_rfc3339());
            (reference_of(one), began, used, agent)
        })
        .collect();
    let lines: Vec<SessionLine<'_>> = all
        .iter()
        .zip(&told)
        .map(|(one, (reference, began, used, agent))| SessionLine {
            reference,
            client: one.client_id.as_deref(),
            is_this: one.id == session.id,
            browser: agent.browser,
            system: agent.system,
            began,
            used,
        })
        .collect();
    let csrf = visit.token(cookie, FormName::Sessions);
    let view = SessionsView { action: PATH, csrf: &csrf, sessions: &lines };
    visit.page(html::sessions(&view, &visit.look()))
}
