//! Logging in elsewhere: to a provider, and back. Both are navigations, and both are answered with
//! another one, or with a page that says why not.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::middleware::from_fn;
use axum::response::Response;
use axum::routing::get;
use postern_identity_pages::{Elsewhere, ErrorKind, Problem};
use postern_oauth::Acr;
use postern_request::login::OUTSIDE_PATH;

use super::login::least;
use super::visit::Visit;
use super::{Answered, Pages, answer};
use crate::http::{reply, whole};
use crate::outside::CALLBACK;
use crate::{LoginError, OutsideError, OutsideService, OutsideStart};

/// Pages, and whom they send people to.
struct Providers {
    pages: Arc<Pages>,
    outside: Arc<OutsideService>,
}

/// The paths of outside providers, for beside those of the pages.
pub fn router(pages: Arc<Pages>, outside: Arc<OutsideService>) -> Router {
    let methods = || get(start).fallback(wrong_method);
    Router::new()
        .route("/login/outside/{name}", methods())
        .route("/login/outside/{name}/callback", get(back).fallback(wrong_method))
        .layer(from_fn(whole::carried_out))
        .layer(from_fn(reply::named))
        .with_state(Arc::new(Providers { pages, outside }))
}

async fn wrong_method(State(at): State<Arc<Providers>>, headers: HeaderMap) -> Response {
    // `Allow` is added by the router, which knows the methods.
    Visit::new(&at.pages, &headers).error(ErrorKind::Method)
}

/// Sends somebody to a provider.
async fn start(State(at): State<Arc<Providers>>, uri: Uri, headers: HeaderMap) -> Answered {
    let visit = Visit::new(&at.pages, &headers);
    let query = visit.query(&uri)?;
    let name = uri.path().strip_prefix(OUTSIDE_PATH).unwrap_or_default();
    let start = OutsideStart {
        cookie: visit.opener(),
        // The button on the log-in page names none: the log-in goes on to where it would have led.
        return_to: query.get("return_to").map(|asked| visit.config.return_to(Some(asked))),
        wants: query.get("acr_values").map_or(Acr::OneFactor, least),
        max_age_secs: query.get("max_age").and_then(|seconds| seconds.parse().ok()),
    };
    let started = at.outside.start(name, start, visit.now).await;
    let started = started.map_err(|error| refused(&visit, &error))?;
    let mut response = visit.see_other(&started.location);
    if let Some(cookie) = &started.cookie {
        visit.begin(&mut response, cookie);
    }
    Ok(response)
}

/// Somebody comes back.
async fn back(State(at): State<Arc<Providers>>, uri: Uri, headers: HeaderMap) -> Answered {
    let mut visit = Visit::new(&at.pages, &headers);
    let query = visit.query(&uri)?;
    let cookie = visit.login_cookie()?;
    let rest = uri.path().strip_prefix(OUTSIDE_PATH).unwrap_or_default();
    let name = rest.strip_suffix(CALLBACK).unwrap_or_default();
    let finished = at.outside.finish(name, cookie, &query, &visit.caller(), visit.now).await;
    match finished {
        Ok(outcome) => Ok(visit.go_on(outcome)),
        Err(error) => {
            visit.again = visit.leads_to().await;
            Err(refused(&visit, &error))
        }
    }
}

/// Why it went no further, as people are told it.
fn refused(visit: &Visit<'_>, error: &OutsideError) -> Response {
    let why = match error {
        OutsideError::Unknown => return visit.error(ErrorKind::NotFound),
        // The log-in that is under way in this browser is not touched: the answer was none of it.
        OutsideError::State(_) => return visit.failed(&LoginError::Expired),
        OutsideError::Login(error) => return visit.ended(error),
        OutsideError::Denied => Elsewhere::Denied,
        OutsideError::Away(_) => Elsewhere::Away,
        OutsideError::Answer(_) => Elsewhere::Answer,
        OutsideError::Email | OutsideError::Domain => Elsewhere::Email,
        OutsideError::Nobody => Elsewhere::Nobody,
        OutsideError::Taken => Elsewhere::Taken,
        OutsideError::SecondFactor => Elsewhere::SecondFactor,
    };
    let mut response = visit.error(ErrorKind::Elsewhere(why));
    if why == Elsewhere::Away {
        answer::again(&mut response, Problem::Unavailable);
    }
    response
}

#[cfg(test)]
mod tests;
