//! Logging in: e-mail and password, then a second factor where one is asked for.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use postern_identity_pages::{self as html, Ceremony, LoginView, MfaView, OutsideLink, Problem};
use postern_oauth::{Acr, Secret};
use postern_request::login::ReturnTo;

use super::csrf::FormName;
use super::visit::{Asked, MFA_PATH, Visit, action};
use super::{Answered, Body, Pages, passkeys};
use crate::login::{BrowserVerdict, Flow, Person};
use crate::{LoginError, Screen};

/// The first page. It begins a log-in, whatever session there is: whoever was sent here has to
/// authenticate (again), and a session of now would send them back to where they came from.
pub(super) async fn show(
    State(pages): State<Arc<Pages>>,
    uri: Uri,
    headers: HeaderMap,
) -> Answered {
    let visit = Visit::new(&pages, &headers);
    let query = visit.query(&uri)?;
    let return_to = visit.config.return_to(query.get("return_to"));
    let wants = query.get("acr_values").map_or(Acr::OneFactor, least);
    // Whoever names an age wants to know that somebody is still there: it is the session's own
    // user who is asked, and the session goes on.
    let max_age_secs = query.get("max_age").map(|secs| secs.parse().unwrap_or(0));
    let begun = begin(&visit, &return_to, wants, max_age_secs).await;
    let (mut response, cookie) = match begun.map_err(|error| visit.failed(&error))? {
        Begun::Anew(cookie, known) => {
            let email = query.get("hint").map(str::to_owned).or(known).unwrap_or_default();
            let again = Again { email: &email, ..Again::default() };
            let page = first(&visit, cookie.expose().as_bytes(), &return_to, &again).await;
            (page, cookie)
        }
        Begun::SecondFactor(cookie) => (visit.see_other(MFA_PATH), cookie),
    };
    visit.begin(&mut response, &cookie);
    Ok(response)
}

/// A log-in that has begun, by its cookie.
enum Begun {
    /// With the e-mail, where somebody is signed in who authenticates again.
    Anew(Secret, Option<String>),
    /// Of somebody who is signed in, and lacks a second factor alone.
    SecondFactor(Secret),
}

async fn begin(
    visit: &Visit<'_>,
    return_to: &ReturnTo,
    wants: Acr,
    max_age_secs: Option<u64>,
) -> Result<Begun, LoginError> {
    let login = &visit.pages.login;
    let asks_second = |verdict: BrowserVerdict| match verdict {
        BrowserVerdict::Same => wants == Acr::SeveralFactors,
        BrowserVerdict::AskSecondFactor => true,
        BrowserVerdict::Ended => false,
    };
    let found = visit.found().await?;
    if let (Some(found), Some(max_age_secs)) = (&found, max_age_secs)
        && found.verdict == BrowserVerdict::Same
    {
        let (session, to) = (&found.session, return_to.clone());
        let cookie = login.authenticate_again(session, to, wants, max_age_secs, visit.now).await?;
        let person = Person::decode(&session.person);
        return Ok(Begun::Anew(cookie, person.and_then(|person| person.email)));
    }
    if let Some(found) = &found
        && asks_second(found.verdict)
    {
        let cookie = login.step_up(&found.session, return_to.clone(), visit.now).await?;
        // Where there is no second factor to ask for, one would be set up: not by whoever has come
        // by a session's cookie, but by who knows the password.
        let screen = login.screen(cookie.expose().as_bytes(), visit.now).await?;
        if matches!(screen, Screen::Mfa { .. }) {
            return Ok(Begun::SecondFactor(cookie));
        }
    }
    let begun = login.begin_within(return_to.clone(), wants, max_age_secs, visit.now);
    Ok(Begun::Anew(begun.await?, None))
}

/// Classes are alternatives (OpenID Connect Core §3.1.2.1): the least of ours will do. Whoever asks
/// looks at what came of it.
pub(super) fn least(acr_values: &str) -> Acr {
    acr_values.split(' ').filter_map(Acr::parse).min().unwrap_or(Acr::OneFactor)
}

/// E-mail and password.
pub(super) async fn send(
    State(pages): State<Arc<Pages>>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Answered {
    let visit = Visit::at(&pages, &headers, &uri);
    let (cookie, form) = visit.login_form(body, FormName::Login)?;
    let email = form.get("email").unwrap_or_default().trim();
    let password = Secret::new(form.get("password").unwrap_or_default().to_owned());
    let remember = form.get("remember").is_some();
    let caller = visit.caller();
    let tried = pages.login.password(cookie, email, password, remember, &caller, visit.now).await;
    let error = match tried {
        Ok(outcome) => return Ok(visit.go_on(outcome)),
        Err(error) => error,
    };
    let problem = visit.problem(&error, Problem::Credentials)?;
    let Some(flow) = flow_of(&visit, cookie).await else { return Err(visit.ended(&error)) };
    let again = Again { email, remember, problem: Some(problem) };
    Ok(first(&visit, cookie, &flow.return_to, &again).await)
}

/// What the first page has on it.
#[derive(Default)]
struct Again<'a> {
    email: &'a str,
    remember: bool,
    problem: Option<Problem>,
}

async fn first(
    visit: &Visit<'_>,
    cookie: &[u8],
    return_to: &ReturnTo,
    again: &Again<'_>,
) -> Response {
    let targets = visit.targets(return_to).await;
    let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
    let outside: Vec<OutsideLink<'_>> =
        visit.config.outside.iter().map(|(title, href)| OutsideLink { title, href }).collect();
    let passkey_csrf = visit.token(cookie, FormName::UsePasskey);
    let view = LoginView {
        action: &action(Screen::Password, return_to),
        csrf: &visit.token(cookie, FormName::Login),
        email: again.email,
        remember: again.remember,
        problem: again.problem,
        passkey: visit.pages.login.has_passkeys().then(|| ceremony(&passkey_csrf)),
        outside: &outside,
        targets: &targets,
    };
    visit.page_or_again(html::login(&view, &visit.look()), again.problem)
}

/// The page that asks for a code.
pub(super) async fn show_mfa(State(pages): State<Arc<Pages>>, headers: HeaderMap) -> Answered {
    let visit = Visit::new(&pages, &headers);
    let asked = visit.asked(MFA_PATH).await?;
    Ok(second(&visit, &asked, None).await)
}

/// A code.
pub(super) async fn send_mfa(
    State(pages): State<Arc<Pages>>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Answered {
    let visit = Visit::at(&pages, &headers, &uri);
    let (cookie, form) = visit.login_form(body, FormName::Mfa)?;
    let code = form.get("code").unwrap_or_default();
    let tried = pages.login.code(cookie, code, &visit.caller(), visit.now).await;
    let error = match tried {
        Ok(outcome) => return Ok(visit.go_on(outcome)),
        Err(error) => error,
    };
    let problem = visit.problem(&error, Problem::Code)?;
    let asked = visit.asked(MFA_PATH).await?;
    Ok(second(&visit, &asked, Some(problem)).await)
}

async fn second(visit: &Visit<'_>, asked: &Asked<'_>, problem: Option<Problem>) -> Response {
    let targets = visit.targets(&asked.flow.return_to).await;
    let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
    let (totp, passkey, recovery) = match asked.screen {
        Screen::Mfa { totp, passkey, recovery } => (totp, passkey, recovery),
        _ => (true, false, false),
    };
    let has_passkey = passkey && visit.pages.login.has_passkeys();
    let passkey_csrf = visit.token(asked.cookie, FormName::UsePasskey);
    let view = MfaView {
        action: &action(asked.screen, &asked.flow.return_to),
        csrf: &visit.token(asked.cookie, FormName::Mfa),
        totp,
        recovery,
        passkey: has_passkey.then(|| ceremony(&passkey_csrf)),
        problem,
        targets: &targets,
    };
    visit.page_or_again(html::mfa(&view, &visit.look()), problem)
}

/// Where the script asks that uses a passkey.
fn ceremony(csrf: &str) -> Ceremony<'_> {
    Ceremony { options: passkeys::OPTIONS_PATH, finish: passkeys::FINISH_PATH, csrf }
}

/// The log-in of a cookie, for the page that is shown again; where nobody can say, there is none to
/// show it for.
async fn flow_of(visit: &Visit<'_>, cookie: &[u8]) -> Option<Flow> {
    visit.pages.login.flow(cookie, visit.now).await.ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_class_that_is_ours_will_do() {
        for (asked, expected) in [
            ("urn:postern:acr:2", Acr::SeveralFactors),
            ("urn:others:gold urn:postern:acr:2", Acr::SeveralFactors),
            ("urn:postern:acr:2 urn:postern:acr:1", Acr::OneFactor),
            ("urn:postern:acr:1", Acr::OneFactor),
            ("urn:others:gold", Acr::OneFactor),
            ("", Acr::OneFactor),
        ] {
            assert_eq!(least(asked), expected, "{asked}");
        }
    }
}
