//! What a log-in may ask for before it is over: a second factor to be set up, another password.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use postern_identity_pages::{
    self as html, EnrolTotpView, ErrorKind, PasswordView, Problem, RecoveryCodesView, TotpKey,
};
use postern_oauth::Secret;

use super::answer::problem_of;
use super::csrf::FormName;
use super::visit::{Asked, ENROL_PATH, PASSWORD_PATH, Visit, path_of};
use super::{Body, Pages};
use crate::Outcome;
use crate::login::Flow;

/// The page with the key of an application: each time a new one, because the last one was shown
/// already.
pub(super) async fn show(State(pages): State<Arc<Pages>>, headers: HeaderMap) -> Response {
    let visit = Visit::new(&pages, &headers);
    let Asked { cookie, flow, .. } = match visit.asked(ENROL_PATH).await {
        Ok(asked) => asked,
        Err(response) => return response,
    };
    match pages.login.start_enrolment(cookie, visit.now).await {
        Ok(begun) => {
            let key = TotpKey { secret: begun.secret.expose(), uri: begun.uri.expose() };
            enrolment(&visit, cookie, &flow, Some(key), None).await
        }
        Err(error) => visit.ended(&error),
    }
}

/// The first code of the application.
pub(super) async fn send(
    State(pages): State<Arc<Pages>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let visit = Visit::new(&pages, &headers);
    let Some(cookie) = pages.cookies.login(&headers) else {
        return visit.error(ErrorKind::Problem(Problem::Cookies));
    };
    let form = match visit.form(body, FormName::Enrol, cookie) {
        Ok(form) => form,
        Err(kind) => return visit.error(kind),
    };
    let code = form.get("code").unwrap_or_default();
    let tried = pages.login.finish_enrolment(cookie, code, &visit.caller(), visit.now).await;
    let error = match tried {
        Ok(enrolled) => return recovery(&visit, &enrolled.recovery_codes, enrolled.outcome),
        Err(error) => error,
    };
    let problem = problem_of(&error, Problem::Code);
    let Some(problem) = problem.filter(|problem| *problem != Problem::Expired) else {
        return visit.ended(&error);
    };
    match visit.asked(ENROL_PATH).await {
        Ok(Asked { flow, .. }) => enrolment(&visit, cookie, &flow, None, Some(problem)).await,
        Err(response) => response,
    }
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
        action: ENROL_PATH,
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
pub(super) async fn show_password(State(pages): State<Arc<Pages>>, headers: HeaderMap) -> Response {
    let visit = Visit::new(&pages, &headers);
    match visit.asked(PASSWORD_PATH).await {
        Ok(Asked { cookie, flow, .. }) => password(&visit, cookie, &flow, None).await,
        Err(response) => response,
    }
}

/// Another password.
pub(super) async fn send_password(
    State(pages): State<Arc<Pages>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let visit = Visit::new(&pages, &headers);
    let Some(cookie) = pages.cookies.login(&headers) else {
        return visit.error(ErrorKind::Problem(Problem::Cookies));
    };
    let form = match visit.form(body, FormName::Password, cookie) {
        Ok(form) => form,
        Err(kind) => return visit.error(kind),
    };
    let new = Secret::new(form.get("password").unwrap_or_default().to_owned());
    let again = Secret::new(form.get("again").unwrap_or_default().to_owned());
    let problem = if new == again {
        match pages.login.change_password(cookie, new, &visit.caller(), visit.now).await {
            Ok(outcome) => return visit.go_on(outcome),
            Err(error) => match problem_of(&error, Problem::Credentials) {
                None | Some(Problem::Expired) => return visit.ended(&error),
                Some(problem) => problem,
            },
        }
    } else {
        Problem::Repeated
    };
    match visit.asked(PASSWORD_PATH).await {
        Ok(Asked { flow, .. }) => password(&visit, cookie, &flow, Some(problem)).await,
        Err(response) => response,
    }
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
        action: PASSWORD_PATH,
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
