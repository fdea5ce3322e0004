//! What a log-in may ask for before it is over: a second factor to be set up, another password.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use postern_identity_pages::{
    self as html, EnrolTotpView, PasswordView, Problem, RecoveryCodesView, TotpKey,
};
use postern_oauth::Secret;

use super::csrf::FormName;
use super::visit::{Asked, ENROL_PATH, PASSWORD_PATH, Visit, action, path_of};
use super::{Answered, Body, Pages};
use crate::login::Flow;
use crate::{Outcome, Screen};

/// The page with the key of an application: each time a new one, because the last one was shown
/// already.
pub(super) async fn show(State(pages): State<Arc<Pages>>, headers: HeaderMap) -> Answered {
    let visit = Visit::new(&pages, &headers);
    let Asked { cookie, flow, .. } = visit.asked(ENROL_PATH).await?;
    let begun = pages.login.start_enrolment(cookie, visit.now).await;
    let begun = begun.map_err(|error| visit.ended(&error))?;
    let key = TotpKey { secret: begun.secret.expose(), uri: begun.uri.expose() };
    Ok(enrolment(&visit, cookie, &flow, Some(key), None).await)
}

/// The first code of the application.
pub(super) async fn send(
    State(pages): State<Arc<Pages>>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Answered {
    let visit = Visit::at(&pages, &headers, &uri);
    let (cookie, form) = visit.login_form(body, FormName::Enrol)?;
    let code = form.get("code").unwrap_or_default();
    let tried = pages.login.finish_enrolment(cookie, code, &visit.caller(), visit.now).await;
    let error = match tried {
        Ok(enrolled) => return Ok(recovery(&visit, &enrolled.recovery_codes, enrolled.outcome)),
        Err(error) => error,
    };
    let problem = visit.problem(&error, Problem::Code)?;
    let Asked { flow, .. } = visit.asked(ENROL_PATH).await?;
    Ok(enrolment(&visit, cookie, &flow, None, Some(problem)).await)
}

async fn enrolment(
    visit: &Visit<'_>,
    cookie: &[u8],
    flow: &Flow,
    key: Option<TotpKey<'_>>,
    problem: Option<Problem>,
) -> Response {
    let targets = visit.targets(&flow.return_to).await;
    let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
    let view = EnrolTotpView {
        action: &action(Screen::EnrolTotp, &flow.return_to),
        csrf: &visit.token(cookie, FormName::Enrol),
        key,
        restart: ENROL_PATH,
        is_forced: true,
        problem,
        targets: &targets,
    };
    visit.page_or_again(html::enrol_totp(&view, &visit.look()), problem)
}

/// Recovery codes, shown this once; the log-in is over, or goes on behind them.
fn recovery(visit: &Visit<'_>, codes: &[Secret], outcome: Outcome) -> Response {
    let go_on = match &outcome {
        Outcome::Ask(screen) => path_of(*screen).to_owned(),
        Outcome::Done(logged_in) => logged_in.return_to.as_str().to_owned(),
    };
    let mut response = show_codes(visit, codes, &go_on);
    if let Outcome::Done(logged_in) = outcome {
        visit.admit(&mut response, &logged_in);
    }
    response
}

/// The page of recovery codes; it goes on to a path of ours.
pub(super) fn show_codes(visit: &Visit<'_>, codes: &[Secret], go_on: &str) -> Response {
    let codes: Vec<&str> = codes.iter().map(Secret::expose).collect();
    let view = RecoveryCodesView { codes: &codes, go_on };
    visit.page(html::recovery_codes(&view, &visit.look()))
}

/// The page that asks for another password.
pub(super) async fn show_password(State(pages): State<Arc<Pages>>, headers: HeaderMap) -> Answered {
    let visit = Visit::new(&pages, &headers);
    let Asked { cookie, flow, .. } = visit.asked(PASSWORD_PATH).await?;
    Ok(password(&visit, cookie, &flow, None).await)
}

/// Another password.
pub(super) async fn send_password(
    State(pages): State<Arc<Pages>>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Answered {
    let visit = Visit::at(&pages, &headers, &uri);
    let (cookie, form) = visit.login_form(body, FormName::Password)?;
    let new = Secret::new(form.get("password").unwrap_or_default().to_owned());
    let again = Secret::new(form.get("again").unwrap_or_default().to_owned());
    let problem = if new == again {
        match pages.login.change_password(cookie, new, &visit.caller(), visit.now).await {
            Ok(outcome) => return Ok(visit.go_on(outcome)),
            Err(error) => visit.problem(&error, Problem::Credentials)?,
        }
    } else {
        Problem::Repeated
    };
    let Asked { flow, .. } = visit.asked(PASSWORD_PATH).await?;
    Ok(password(&visit, cookie, &flow, Some(problem)).await)
}

async fn password(
    visit: &Visit<'_>,
    cookie: &[u8],
    flow: &Flow,
    problem: Option<Problem>,
) -> Response {
    let targets = visit.targets(&flow.return_to).await;
    let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
    let view = PasswordView {
        action: &action(Screen::ChangePassword, &flow.return_to),
        csrf: &visit.token(cookie, FormName::Password),
        email: None,
        asks_current: false,
        is_forced: true,
        least: visit.pages.login.rules().login.passwords.min_length,
        problem,
        targets: &targets,
    };
    visit.page_or_again(html::password(&view, &visit.look()), problem)
}
