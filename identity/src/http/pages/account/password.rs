//! Another password.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use postern_identity_pages::{self as html, PasswordView, Problem};
use postern_oauth::Secret;

use super::super::answer::problem_of;
use super::super::csrf::FormName;
use super::super::visit::Visit;
use super::super::{Answered, Body, Pages};
use super::{Owner, PASSWORD_SAVED, owner, owner_of_form};

pub(super) const PATH: &str = "/login/account/password";

/// The page that asks for it.
pub(super) async fn show(State(pages): State<Arc<Pages>>, headers: HeaderMap) -> Answered {
    let visit = Visit::new(&pages, &headers);
    Ok(page(&visit, &owner(&visit, PATH).await?, None))
}

/// Changes it, and ends every other session.
pub(super) async fn change(
    State(pages): State<Arc<Pages>>,
    headers: HeaderMap,
    body: Body,
) -> Answered {
    let visit = Visit::new(&pages, &headers);
    let (owner, form) = owner_of_form(&visit, PATH, body, FormName::OwnPassword).await?;
    let typed = |name: &str| Secret::new(form.get(name).unwrap_or_default().to_owned());
    let (current, new, again) = (typed("current"), typed("password"), typed("again"));
    if new != again {
        return Ok(page(&visit, &owner, Some(Problem::Repeated)));
    }
    let Owner { member, user } = &owner;
    let (session, caller) = (member.session.id.as_str(), visit.caller());
    let login = &pages.login;
    let changed = login.change_own_password(user, current, new, session, &caller, visit.now).await;
    match changed {
        Ok(()) => Ok(visit.see_other(PASSWORD_SAVED)),
        Err(error) => match problem_of(&error, Problem::CurrentPassword) {
            None | Some(Problem::Expired) => Err(visit.failed(&error)),
            Some(problem) => Ok(page(&visit, &owner, Some(problem))),
        },
    }
}

fn page(visit: &Visit<'_>, owner: &Owner<'_>, problem: Option<Problem>) -> Response {
    let Owner { member, user } = owner;
    let view = PasswordView {
        action: PATH,
        csrf: &visit.token(member.cookie, FormName::OwnPassword),
        email: Some(&user.email),
        asks_current: user.password.is_some(),
        is_forced: false,
        least: visit.pages.login.rules().login.passwords.min_length,
        problem,
        targets: &[],
    };
    visit.page_or_again(html::password(&view, &visit.look()), problem)
}
