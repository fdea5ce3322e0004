//! Pages and redirects as answers, and what people are told of what failed.

use axum::http::header::{CONTENT_LANGUAGE, LOCATION, RETRY_AFTER, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use postern_identity_pages::{ErrorKind, Look, OnwardView, Page, Problem};
use postern_request::headers::CORRELATION_ID;
use postern_store::StoreError;

use crate::http::reply::{correlation_id, respond};
use crate::{LoginError, Onward};

/// What every page may do: nothing but show itself, with a style of ours. Envoy sets the same for
/// routes whose `security_headers` are `web`; where a page's forms lead only the page knows, which
/// is why it says that itself (and here too, for those who reach this server without Envoy).
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' \
                      data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'";

/// When to come back to a server that is busy, or misses something it needs.
const AGAIN_SECS: u64 = 1;

/// A page.
pub(super) fn page(headers: &HeaderMap, look: &Look<'_>, page: Page) -> Response {
    let policy = [POLICY, "; ", &page.form_action()].concat();
    let out = vec![
        ("content-type", "text/html; charset=utf-8".to_owned()),
        ("content-security-policy", policy),
        ("cache-control", "no-store".to_owned()),
        // Forms of ours say by `origin` where they come from; others are told nothing.
        ("referrer-policy", "same-origin".to_owned()),
        ("x-content-type-options", "nosniff".to_owned()),
        ("x-frame-options", "DENY".to_owned()),
        ("vary", "Accept-Language, Cookie".to_owned()),
        (CORRELATION_ID, correlation_id(headers)),
    ];
    let mut response = respond(page.status, out, page.body);
    let language = HeaderValue::from_static(look.language.tag());
    response.headers_mut().insert(CONTENT_LANGUAGE, language);
    response
}

/// A page of an error. `sign_in` is where somebody begins again, where that helps.
pub(super) fn error(
    headers: &HeaderMap,
    look: &Look<'_>,
    kind: ErrorKind,
    sign_in: &str,
) -> Response {
    let correlation_id = correlation_id(headers);
    tracing::info!(?kind, correlation_id, "an error page was shown");
    let view = postern_identity_pages::ErrorView { kind, correlation_id: &correlation_id, sign_in };
    let error = postern_identity_pages::error(&view, look);
    let mut response = page_about(headers, look, error, &correlation_id);
    if let ErrorKind::Problem(problem) = kind {
        again(&mut response, problem);
    }
    response
}

/// A page of what a stranger does not get.
pub(super) fn refused(headers: &HeaderMap, look: &Look<'_>, to: &Onward) -> Response {
    let correlation_id = correlation_id(headers);
    let told = postern_identity_pages::refused_stranger(&onward(to), &correlation_id, look);
    page_about(headers, look, told, &correlation_id)
}

/// The way on to a stranger, for a page.
pub(super) fn onward(to: &Onward) -> OnwardView<'_> {
    OnwardView { href: &to.location, place: &to.place }
}

/// A page that names its request, so that the header has to name the same.
fn page_about(headers: &HeaderMap, look: &Look<'_>, told: Page, id: &str) -> Response {
    let mut response = page(headers, look, told);
    if let Ok(value) = HeaderValue::try_from(id) {
        response.headers_mut().insert(CORRELATION_ID, value);
    }
    response
}

/// To another place by GET, whatever this request was: 303, never 307 (RFC 9700 §4.12).
pub(super) fn see_other(headers: &HeaderMap, to: &str) -> Response {
    let out = vec![
        ("cache-control", "no-store".to_owned()),
        ("referrer-policy", "same-origin".to_owned()),
        (CORRELATION_ID, correlation_id(headers)),
    ];
    let mut response = respond(303, out, String::new());
    match HeaderValue::try_from(to) {
        Ok(to) => {
            response.headers_mut().insert(LOCATION, to);
        }
        Err(_) => {
            tracing::error!("a location cannot stand in a header");
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        }
    }
    response
}

/// Gives a cookie, or takes one away.
pub(super) fn cookie(response: &mut Response, text: String) {
    // Names are the document's, which `check` has looked at, and values are ours.
    if let Ok(mut value) = HeaderValue::try_from(text) {
        value.set_sensitive(true);
        response.headers_mut().append(SET_COOKIE, value);
    }
}

/// Says when to try again, where that helps.
pub(super) fn again(response: &mut Response, problem: Problem) {
    let seconds = match problem {
        Problem::Limited(seconds) => seconds.max(1),
        Problem::Busy | Problem::Unavailable => AGAIN_SECS,
        _ => return,
    };
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
}

/// What people are told of a log-in that goes no further; nothing where it is our own fault, or
/// where a form cannot help. `wrong` is what they are told of what was not right.
pub(super) fn problem_of(error: &LoginError, wrong: Problem) -> Option<Problem> {
    match error {
        LoginError::Credentials => Some(wrong),
        LoginError::Limited { retry_after_secs, .. } => Some(Problem::Limited(*retry_after_secs)),
        LoginError::Busy => Some(Problem::Busy),
        LoginError::Blocked => Some(Problem::Blocked),
        LoginError::PasswordPolicy(word) => Some(Problem::Password(word)),
        LoginError::Expired => Some(Problem::Expired),
        LoginError::Exhausted => Some(Problem::Exhausted),
        LoginError::Store(StoreError::Unavailable(_)) => Some(Problem::Unavailable),
        LoginError::MfaRequired(_)
        | LoginError::MfaWrong(_)
        | LoginError::Store(_)
        | LoginError::Internal => None,
    }
}

/// The page of what failed where there is no form to say it on.
pub(super) fn failed(
    headers: &HeaderMap,
    look: &Look<'_>,
    failure: &LoginError,
    sign_in: &str,
) -> Response {
    let kind =
        problem_of(failure, Problem::Expired).map_or(ErrorKind::Internal, ErrorKind::Problem);
    if kind == ErrorKind::Internal {
        let correlation_id = correlation_id(headers);
        tracing::error!(error = %failure, correlation_id, "a page failed");
    }
    error(headers, look, kind, sign_in)
}
