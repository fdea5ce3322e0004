//! Asking whether a client may have what it asks for.
//!
//! The page knows nothing but the request's own parameters, which stand in its address: what they
//! ask for is judged anew when the form comes back.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use postern_identity_pages::{self as html, ConsentView, ErrorKind, Problem, ScopeLine};
use postern_oauth::{AuthorizeFault, ErrorCode, Form, OAuthError, ScopeSet};
use postern_store::flows::SessionRecord;

use super::csrf::FormName;
use super::visit::{MAX_QUERY_BYTES, Visit, who};
use super::{Answered, Body, Pages};
use crate::http::reply::correlation_id;
use crate::oauth::{LOGOUT_URI_UNKNOWN, consent_location, login_location};
use crate::{Authorized, ConsentAsk};

/// The page.
pub(super) async fn show(
    State(pages): State<Arc<Pages>>,
    uri: Uri,
    headers: HeaderMap,
) -> Answered {
    let visit = Visit::new(&pages, &headers);
    let (ask, cookie, session) = asked(&visit, &uri).await?;
    Ok(page(&visit, &ask, cookie, &session))
}

/// The answer to it.
pub(super) async fn send(
    State(pages): State<Arc<Pages>>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Answered {
    let visit = Visit::new(&pages, &headers);
    let query = uri.query().unwrap_or_default();
    let Some(cookie) = pages.cookies.session(&headers) else {
        return Err(visit.log_in(&consent_location(query)));
    };
    let form = visit.form(body, FormName::Consent, cookie)?;
    let (ask, _, session) = asked(&visit, &uri).await?;
    let allowed = allowed(&ask, &form);
    let (id, query) = (correlation_id(&headers), query.as_bytes());
    match pages.oauth.consent(query, &session, allowed.as_ref(), &id, visit.now).await {
        Ok(location) => Ok(visit.see_other(&location)),
        Err(error) => Err(visit.error(kind_of(&error))),
    }
}

/// What is asked, and of whom; where there is nothing to ask, what is answered instead.
async fn asked<'a>(
    visit: &Visit<'a>,
    uri: &Uri,
) -> Result<(ConsentAsk, &'a [u8], SessionRecord), Response> {
    let query = uri.query().unwrap_or_default();
    if query.len() > MAX_QUERY_BYTES {
        return Err(visit.error(ErrorKind::TooLarge));
    }
    let session = visit.session().await.map_err(|error| visit.failed(&error))?;
    let record = session.as_ref().map(|(_, record)| record);
    let id = correlation_id(visit.headers);
    let authorized = visit.pages.oauth.authorize(query.as_bytes(), record, &id, visit.now).await;
    let ask = match authorized.map_err(|error| visit.error(kind_of(&error)))? {
        Authorized::Consent(ask) => *ask,
        Authorized::Redirect(location) => return Err(visit.see_other(&location)),
        Authorized::LogIn { return_to, hint, acr, again } => {
            return Err(visit.see_other(&login_location(&return_to, hint.as_deref(), acr, again)));
        }
        Authorized::Refused(onward) => return Err(visit.refused(&onward)),
        Authorized::Fault(fault) => return Err(visit.error(kind_of_fault(fault))),
    };
    match session {
        Some((cookie, record)) => Ok((ask, cookie, record)),
        // Nobody is asked who is not signed in.
        None => Err(visit.log_in(&consent_location(query))),
    }
}

fn page(visit: &Visit<'_>, ask: &ConsentAsk, cookie: &[u8], session: &SessionRecord) -> Response {
    let scopes: Vec<ScopeLine<'_>> =
        ask.scopes.iter().map(|(name, text)| ScopeLine { name, text }).collect();
    let resources: Vec<&str> = ask.resources.iter().map(String::as_str).collect();
    let view = ConsentView {
        action: &consent_location(&ask.query),
        csrf: &visit.token(cookie, FormName::Consent),
        client_name: &ask.client_name,
        client_uri: ask.client_uri.as_deref(),
        who: &who(session),
        scopes: &scopes,
        resources: &resources,
        form_target: &ask.form_target,
    };
    visit.page(html::consent(&view, &visit.look()))
}

/// What the user allows of what was asked for; none for no. Whoever allows none of several things
/// has said no.
fn allowed(ask: &ConsentAsk, form: &Form) -> Option<ScopeSet> {
    if form.get("decision") != Some("allow") {
        return None;
    }
    let names = ask.scopes.iter().map(|(name, _)| name.as_str());
    let is_allowed = |name: &&str| form.get(&["scope.", name].concat()).is_some();
    let allowed: Vec<&str> = names.filter(is_allowed).collect();
    if allowed.is_empty() {
        return ask.scopes.is_empty().then(ScopeSet::default);
    }
    ScopeSet::from_names(allowed).ok()
}

/// What people are told of a request that is answered to nobody else.
pub(super) const fn kind_of_fault(fault: AuthorizeFault) -> ErrorKind {
    match fault {
        AuthorizeFault::Unreadable => ErrorKind::Unreadable,
        AuthorizeFault::TooLarge => ErrorKind::TooLarge,
        AuthorizeFault::UnknownClient => ErrorKind::UnknownClient,
        AuthorizeFault::RedirectUri => ErrorKind::RedirectUri,
        AuthorizeFault::UnknownRequest => ErrorKind::RequestExpired,
    }
}

/// What people are told of what failed.
pub(super) fn kind_of(error: &OAuthError) -> ErrorKind {
    if *error == LOGOUT_URI_UNKNOWN {
        return ErrorKind::LogoutUri;
    }
    match error.code {
        ErrorCode::TemporarilyUnavailable => ErrorKind::Problem(Problem::Unavailable),
        ErrorCode::ServerError => ErrorKind::Internal,
        ErrorCode::RequestTooLarge => ErrorKind::TooLarge,
        _ => ErrorKind::Unreadable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(scopes: &[&str]) -> ConsentAsk {
        ConsentAsk {
            client_name: "Reader".to_owned(),
            client_uri: None,
            logo_uri: None,
            scopes: scopes.iter().map(|name| ((*name).to_owned(), String::new())).collect(),
            resources: Vec::new(),
            form_target: "https://client.test".to_owned(),
            query: String::new(),
        }
    }

    #[test]
    fn the_user_allows_what_is_checked_of_what_was_asked_for() {
        let form = |text: &str| Form::parse(text.as_bytes()).unwrap();
        let asked = ask(&["openid", "content.read"]);
        for (sent, expected) in [
            (
                "decision=allow&scope.openid=true&scope.content.read=true",
                Some("openid content.read"),
            ),
            ("decision=allow&scope.openid=true", Some("openid")),
            ("decision=allow&scope.openid=true&scope.payments.write=true", Some("openid")),
            ("decision=allow", None),
            ("decision=deny&scope.openid=true", None),
            ("scope.openid=true", None),
            ("decision=Allow&scope.openid=true", None),
        ] {
            let expected = expected.map(|names| ScopeSet::parse(names).unwrap());
            assert_eq!(allowed(&asked, &form(sent)), expected, "{sent}");
        }
        let nothing = ask(&[]);
        assert_eq!(allowed(&nothing, &form("decision=allow")), Some(ScopeSet::default()));
        assert_eq!(allowed(&nothing, &form("decision=deny")), None);
    }
}
