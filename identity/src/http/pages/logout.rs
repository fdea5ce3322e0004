//! Logging out. A link asks, and a form does it: no other site logs anybody out.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use postern_identity_pages::{self as html, LogoutView};
use postern_oauth::{Form, RedirectUri};
use postern_request::login::ReturnTo;

use super::csrf::FormName;
use super::visit::{Found, Visit, who};
use super::{Answered, Body, Pages, answer};

const PATH: &str = "/login/out";

/// Asks. Whatever is to be thought of the browser, it may give a session up.
pub(super) async fn show(
    State(pages): State<Arc<Pages>>,
    uri: Uri,
    headers: HeaderMap,
) -> Answered {
    let visit = Visit::new(&pages, &headers);
    let (Found { cookie, session, .. }, back) = asked(&visit, &uri).await?;
    let action = action(&uri);
    let target = back.as_ref().and_then(client_behind);
    let targets: Vec<&str> = target.iter().map(String::as_str).collect();
    let view = LogoutView {
        action: &action,
        csrf: &visit.token(cookie, FormName::Logout),
        who: &who(&session),
        targets: &targets,
    };
    Ok(visit.page(html::ask_logout(&view, &visit.look())))
}

/// Does it.
pub(super) async fn send(
    State(pages): State<Arc<Pages>>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Answered {
    let visit = Visit::new(&pages, &headers);
    let (Found { cookie, session, .. }, back) = asked(&visit, &uri).await?;
    visit.form(body, FormName::Logout, cookie)?;
    match pages.login.end_session(&session.id, &session.user_id, visit.now).await {
        Ok(_) => Ok(done(&visit, back.as_ref())),
        Err(error) => Err(visit.failed(&error)),
    }
}

/// Whose session is to end, and where it goes on; without one there is nothing to do.
async fn asked<'a>(
    visit: &Visit<'a>,
    uri: &Uri,
) -> Result<(Found<'a>, Option<ReturnTo>), Response> {
    let back = back(visit, &visit.query(uri)?);
    match visit.found().await {
        Ok(Some(found)) => Ok((found, back)),
        Ok(None) => Err(done(visit, back.as_ref())),
        Err(error) => Err(visit.failed(&error)),
    }
}

/// Nobody is signed in any more: back to the request that asked for it, or a page that says so.
fn done(visit: &Visit<'_>, back: Option<&ReturnTo>) -> Response {
    let mut response = match back {
        Some(back) => visit.see_other(back.as_str()),
        None => visit.page(html::logged_out(&visit.look())),
    };
    answer::cookie(&mut response, visit.pages.cookies.end_session());
    response
}

/// Where it goes on, where that is a place of ours.
fn back(visit: &Visit<'_>, query: &Form) -> Option<ReturnTo> {
    query.get("return_to").map(|asked| visit.config.return_to(Some(asked)))
}

/// The form goes to where it is shown, with the same query: what it says is looked at again.
fn action(uri: &Uri) -> String {
    match uri.query() {
        Some(query) => [PATH, "?", query].concat(),
        None => PATH.to_owned(),
    }
}

/// Where the client's request would lead the browser. Nobody has looked at it yet, and nobody is
/// sent there for that: it only says how far redirects after this form may go, and the endpoint
/// that redirects looks at it.
fn client_behind(back: &ReturnTo) -> Option<String> {
    let (_, query) = back.as_str().split_once('?')?;
    let form = Form::parse(query.as_bytes()).ok()?;
    let uri = form.get("post_logout_redirect_uri")?;
    RedirectUri::parse(uri).ok()?;
    Some(RedirectUri::origin_for_csp(uri))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_may_lead_to_the_client_that_asked() {
        let back = |text: &str| ReturnTo::parse(text, "https://a.test", &[]).unwrap();
        for (asked, expected) in [
            (
                "/oauth2/logout?post_logout_redirect_uri=https%3a%2f%2fapp.test%2fbye&state=1",
                Some("https://app.test"),
            ),
            ("/oauth2/logout?post_logout_redirect_uri=javascript%3aalert(1)", None),
            ("/oauth2/logout?post_logout_redirect_uri=%2a", None),
            ("/oauth2/logout?state=1", None),
            ("/oauth2/logout", None),
        ] {
            assert_eq!(client_behind(&back(asked)).as_deref(), expected, "{asked}");
        }
    }

    #[test]
    fn the_form_brings_back_where_it_goes_on() {
        let action = |text: &str| action(&text.parse().unwrap());
        assert_eq!(action("/login/out?return_to=%2foauth2"), "/login/out?return_to=%2foauth2");
        assert_eq!(action("/login/out"), "/login/out");
    }
}
