//! One request to the pages: what it brings along, and how it is answered.

use std::sync::Arc;

use axum::http::header::COOKIE;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use postern_identity_pages::{ErrorKind, Look, Page, Problem};
use postern_jose::base64url;
use postern_oauth::{ErrorCode, Form, Secret};
use postern_request::UnixMillis;
use postern_request::login::{LOGIN_PATH, ReturnTo};
use postern_store::durable::UserRecord;
use postern_store::flows::SessionRecord;

use super::config::PagesConfig;
use super::csrf::{self, FormName, origin_of};
use super::{Body, Pages, answer, halves, unread};
use crate::http::caller;
use crate::http::reply::{correlation_id, single};
use crate::login::{BrowserVerdict, Flow, Person};
use crate::oauth::{leading_to, login_location};
use crate::vault::Purpose;
use crate::{Caller, LoggedIn, LoginError, Onward, Outcome, Screen, random};

/// Longest query that is read: what an authorization request may have.
pub(super) const MAX_QUERY_BYTES: usize = 8192;

/// Where a second factor is asked for.
pub(super) const MFA_PATH: &str = "/login/mfa";
/// Where one is set up.
pub(super) const ENROL_PATH: &str = "/login/mfa/totp";
/// Where a new password is asked for.
pub(super) const PASSWORD_PATH: &str = "/login/password";

/// How long somebody is certainly still there who has authenticated.
const FRESH_MS: u64 = 15 * 60 * 1000;

/// One request.
pub(super) struct Visit<'a> {
    pub(super) pages: &'a Pages,
    pub(super) config: Arc<PagesConfig>,
    pub(super) headers: &'a HeaderMap,
    pub(super) now: UnixMillis,
    /// What opens the log-in that is under way, where both of its cookies are there.
    pub(super) opener: Option<Secret>,
    /// Where the log-in was to lead, where that is known, for whoever has to begin again.
    pub(super) again: Option<ReturnTo>,
}

/// Somebody who is signed in, at a page of the account.
pub(super) struct Member<'a> {
    pub(super) cookie: &'a [u8],
    pub(super) session: SessionRecord,
}

/// A session that was found.
pub(super) struct Found<'a> {
    pub(super) cookie: &'a [u8],
    pub(super) session: SessionRecord,
    pub(super) verdict: BrowserVerdict,
}

/// A log-in that is under way.
pub(super) struct Asked<'a> {
    pub(super) cookie: &'a [u8],
    pub(super) screen: Screen,
    pub(super) flow: Flow,
}

impl<'a> Visit<'a> {
    pub(super) fn new(pages: &'a Pages, headers: &'a HeaderMap) -> Self {
        let (config, now) = (pages.config.load(), (pages.clock)());
        Self { pages, config, headers, now, opener: opener(pages, headers), again: None }
    }

    /// The same at a form's address, which says where the log-in was to lead.
    pub(super) fn at(pages: &'a Pages, headers: &'a HeaderMap, uri: &Uri) -> Self {
        let visit = Self::new(pages, headers);
        let query = uri.query().filter(|query| query.len() <= MAX_QUERY_BYTES);
        let query = query.and_then(|query| Form::parse(query.as_bytes()).ok());
        let asked = query.as_ref().and_then(|query| query.get("return_to"));
        let again = asked.map(|asked| visit.config.return_to(Some(asked)));
        Self { again, ..visit }
    }

    /// What pages look like for whoever asks.
    pub(super) fn look(&self) -> Look<'_> {
        self.config.look(self.headers, "")
    }

    /// Who is at the other end.
    pub(super) fn caller(&self) -> Caller {
        let cookies = &self.pages.cookies;
        let device = cookies.device(self.headers).map(|device| self.name_of(device));
        let session = cookies.session(self.headers).map(String::from_utf8_lossy);
        Caller {
            session: session.map(|cookie| Secret::new(cookie.into_owned())),
            ..caller::of(self.headers, self.pages.login.rules().trusted_proxies, device)
        }
    }

    /// What sessions and tokens call a device: a keyed hash, because the cookie is the device's
    /// alone to know.
    fn name_of(&self, device: &str) -> String {
        let tag = self.pages.vault.tag(Purpose::Device, device.as_bytes());
        let half: Vec<u8> = tag.iter().take(16).copied().collect();
        base64url::encode(&half)
    }

    /// The parameters of a query.
    pub(super) fn query(&self, uri: &Uri) -> Result<Form, Response> {
        let query = uri.query().unwrap_or_default();
        if query.len() > MAX_QUERY_BYTES {
            return Err(self.error(ErrorKind::TooLarge));
        }
        Form::parse(query.as_bytes()).map_err(|_| self.error(ErrorKind::Unreadable))
    }

    /// A form that was sent from a page of ours, in the browser that has this cookie.
    pub(super) fn form(&self, body: Body, name: FormName, cookie: &[u8]) -> Result<Form, Response> {
        let body = body.map_err(|rejection| self.error(unread(&rejection)))?;
        // What the browser says comes first: nothing of a stranger's form is looked at.
        if !csrf::is_from_here(self.headers, &self.config.origin) {
            let correlation_id = correlation_id(self.headers);
            tracing::info!(form = ?name, correlation_id, "a form came from elsewhere");
            return Err(self.error(ErrorKind::Form));
        }
        let form = Form::read(single(self.headers, "content-type"), &body).map_err(|error| {
            self.error(match error.code {
                ErrorCode::RequestTooLarge => ErrorKind::TooLarge,
                _ => ErrorKind::Unreadable,
            })
        })?;
        let token = form.get("csrf").unwrap_or_default();
        if !csrf::is_good(&self.pages.vault, cookie, name, token, self.now) {
            let correlation_id = correlation_id(self.headers);
            tracing::info!(form = ?name, correlation_id, "a form has no good token");
            return Err(self.error(ErrorKind::Form));
        }
        Ok(form)
    }

    /// A form of the log-in that is under way, and the cookie of that.
    pub(super) fn login_form(&self, body: Body, name: FormName) -> Result<(&[u8], Form), Response> {
        let cookie = self.login_cookie()?;
        Ok((cookie, self.form(body, name, cookie)?))
    }

    /// What opens the log-in that is under way.
    pub(super) fn opener(&self) -> Option<&[u8]> {
        self.opener.as_ref().map(|opener| opener.expose().as_bytes())
    }

    /// The same; else the page that says why there is none.
    pub(super) fn login_cookie(&self) -> Result<&[u8], Response> {
        self.opener().ok_or_else(|| {
            // A browser that has sent others takes cookies.
            let why = match self.headers.contains_key(COOKIE) {
                true => Problem::NoLogIn,
                false => Problem::Cookies,
            };
            self.error(ErrorKind::Problem(why))
        })
    }

    /// Where the log-in that is under way leads; none where nobody can say.
    pub(super) async fn leads_to(&self) -> Option<ReturnTo> {
        let flow = self.pages.login.flow(self.opener()?, self.now).await;
        flow.ok().flatten().map(|flow| flow.return_to)
    }

    /// The token of a form that is shown to whoever has this cookie.
    pub(super) fn token(&self, cookie: &[u8], name: FormName) -> String {
        csrf::token(&self.pages.vault, cookie, name, self.now)
    }

    /// Where a form's answer leads that goes on to `return_to`, besides to this server: browsers
    /// hold every redirect that follows to what the page has said.
    pub(super) async fn targets(&self, return_to: &ReturnTo) -> Vec<String> {
        let client = self.pages.oauth.form_target(return_to, self.now).await;
        // A path has no origin but ours.
        client.or_else(|| origin_of(return_to.as_str())).into_iter().collect()
    }

    /// The session's cookie and the session; none where nobody is signed in, or where the browser
    /// shows that it is another one than it was.
    pub(super) async fn session(&self) -> Result<Option<(&'a [u8], SessionRecord)>, LoginError> {
        let found = self.found().await?;
        let is_same = |found: &Found<'a>| found.verdict == BrowserVerdict::Same;
        Ok(found.filter(is_same).map(|found| (found.cookie, found.session)))
    }

    /// Who is signed in; else what leads there, and back to this page.
    pub(super) async fn member(&self, path: &str) -> Result<Member<'a>, Response> {
        match self.session().await {
            Ok(Some((cookie, session))) => Ok(Member { cookie, session }),
            Ok(None) => Err(self.log_in(path)),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// The same where it is certain who sits there: they have authenticated a short while ago, or
    /// do so first. What lets somebody in asks for that, so that a browser that was left alone
    /// gives away no more than what it shows.
    pub(super) async fn fresh_member(&self, path: &str) -> Result<Member<'a>, Response> {
        let member = self.member(path).await?;
        if self.is_fresh(&member.session) {
            return Ok(member);
        }
        let to = login_location(path, None, None, false);
        Err(self.see_other(&[to.as_str(), "&max_age=900"].concat()))
    }

    pub(super) fn is_fresh(&self, session: &SessionRecord) -> bool {
        self.now.millis_since(session.authenticated_at) <= FRESH_MS
    }

    /// Their record; else what says that there is none: whom a provider elsewhere vouches for has
    /// neither password nor factors here.
    pub(super) async fn user(&self, session: &SessionRecord) -> Result<UserRecord, Response> {
        match self.pages.login.user(&session.user_id).await {
            Ok(Some(user)) => Ok(user),
            Ok(None) => Err(self.error(ErrorKind::NotFound)),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// The session, whatever is to be thought of its browser.
    pub(super) async fn found(&self) -> Result<Option<Found<'a>>, LoginError> {
        let Some(cookie) = self.pages.cookies.session(self.headers) else { return Ok(None) };
        let login = &self.pages.login;
        let Some(session) = login.session(Some(cookie), self.now).await? else { return Ok(None) };
        let verdict = login.judge_browser(cookie, &session, &self.caller(), self.now).await?;
        Ok(Some(Found { cookie, session, verdict }))
    }

    /// The log-in that is under way, where its next page is this one; else what leads there.
    pub(super) async fn asked(&self, path: &str) -> Result<Asked<'_>, Response> {
        let cookie = self.login_cookie()?;
        let login = &self.pages.login;
        let flow = match login.flow(cookie, self.now).await {
            Ok(Some(flow)) => flow,
            Ok(None) => return Err(self.ended(&LoginError::Expired)),
            Err(error) => return Err(self.failed(&error)),
        };
        let screen = login.screen(cookie, self.now).await.map_err(|error| self.ended(&error))?;
        match path_of(screen) {
            there if there == path => Ok(Asked { cookie, screen, flow }),
            LOGIN_PATH => Err(self.log_in(flow.return_to.as_str())),
            elsewhere => Err(self.see_other(elsewhere)),
        }
    }

    /// What a step's page says when it is shown again; else what ends the log-in. `wrong` is what
    /// it says of what was not right.
    pub(super) fn problem(&self, error: &LoginError, wrong: Problem) -> Result<Problem, Response> {
        let problem = answer::problem_of(error, wrong);
        problem.filter(|_| !ends(error)).ok_or_else(|| self.ended(error))
    }

    /// A log-in that goes no further: its cookie is of no use any more.
    pub(super) fn ended(&self, error: &LoginError) -> Response {
        let mut response = self.failed(error);
        if ends(error) {
            answer::cookie(&mut response, self.pages.cookies.end_login());
        }
        response
    }

    /// To the log-in, and back to a path of ours.
    pub(super) fn log_in(&self, return_to: &str) -> Response {
        self.see_other(&login_location(return_to, None, None, false))
    }

    /// What follows a step of a log-in.
    pub(super) fn go_on(&self, outcome: Outcome) -> Response {
        let logged_in = match outcome {
            Outcome::Ask(screen) => return self.see_other(path_of(screen)),
            Outcome::Done(logged_in) => logged_in,
        };
        let mut response = self.see_other(logged_in.return_to.as_str());
        self.admit(&mut response, &logged_in);
        response
    }

    /// Gives the cookies of a log-in that has begun: its own, and the one that the browser is known
    /// by as a device, from its first log-in on.
    pub(super) fn begin(&self, response: &mut Response, opener: &Secret) {
        let Pages { cookies, vault, .. } = self.pages;
        let known = cookies.device(self.headers);
        let made = if known.is_none() { random::secret().ok() } else { None };
        let device = known.or(made.as_ref().map(Secret::expose));
        let half = device.and_then(|device| halves::other(vault, opener.expose(), device));
        let Some(half) = half else {
            tracing::error!("a log-in has begun, and there is no cookie for it");
            return;
        };
        answer::cookie(response, cookies.set_login(half.expose()));
        if let Some(made) = made {
            answer::cookie(response, cookies.set_device(made.expose()));
        }
    }

    /// Gives the cookie of a session that has begun.
    pub(super) fn admit(&self, response: &mut Response, logged_in: &LoggedIn) {
        let LoggedIn { cookie, max_age_secs, .. } = logged_in;
        let cookies = &self.pages.cookies;
        answer::cookie(response, cookies.set_session(cookie.expose(), *max_age_secs));
        answer::cookie(response, cookies.end_login());
    }

    /// A page.
    pub(super) fn page(&self, page: Page) -> Response {
        answer::page(self.headers, &self.look(), page)
    }

    /// A page that is shown again where there is a problem.
    pub(super) fn page_or_again(&self, page: Page, problem: Option<Problem>) -> Response {
        let mut response = self.page(page);
        if let Some(problem) = problem {
            answer::again(&mut response, problem);
        }
        response
    }

    /// A page of an error.
    pub(super) fn error(&self, kind: ErrorKind) -> Response {
        answer::error(self.headers, &self.look(), kind, &self.sign_in())
    }

    /// A page of what a stranger does not get.
    pub(super) fn refused(&self, onward: &Onward) -> Response {
        answer::refused(self.headers, &self.look(), onward)
    }

    /// A page of what failed.
    pub(super) fn failed(&self, error: &LoginError) -> Response {
        answer::failed(self.headers, &self.look(), error, &self.sign_in())
    }

    /// Where somebody begins again.
    fn sign_in(&self) -> String {
        step_leading_to(LOGIN_PATH, self.again.as_ref())
    }

    /// To another place, by GET.
    pub(super) fn see_other(&self, to: &str) -> Response {
        answer::see_other(self.headers, to)
    }
}

/// What opens the log-in that is under way.
fn opener(pages: &Pages, headers: &HeaderMap) -> Option<Secret> {
    let half = std::str::from_utf8(pages.cookies.login(headers)?).ok()?;
    halves::other(&pages.vault, half, pages.cookies.device(headers)?)
}

/// Whether a log-in goes no further after this.
fn ends(error: &LoginError) -> bool {
    matches!(error, LoginError::Expired | LoginError::Exhausted)
}

/// Where a step's form goes. It names where the log-in leads, for whoever has to begin again.
pub(super) fn action(screen: Screen, return_to: &ReturnTo) -> String {
    step_leading_to(path_of(screen), Some(return_to))
}

fn step_leading_to(path: &str, return_to: Option<&ReturnTo>) -> String {
    let elsewhere = return_to.filter(|to| **to != ReturnTo::default());
    elsewhere.map_or_else(|| path.to_owned(), |to| leading_to(path, to.as_str()))
}

/// The page of a step.
pub(super) const fn path_of(screen: Screen) -> &'static str {
    match screen {
        Screen::Password => LOGIN_PATH,
        Screen::Mfa { .. } => MFA_PATH,
        Screen::EnrolTotp => ENROL_PATH,
        Screen::ChangePassword => PASSWORD_PATH,
    }
}

/// What people are called on pages: their e-mail, or where there is none, their name or id.
pub(super) fn who(session: &SessionRecord) -> String {
    let person = Person::decode(&session.person).unwrap_or_default();
    let name = [person.profile.first_name.as_str(), person.profile.last_name.as_str()].join(" ");
    let name = Some(name.trim().to_owned()).filter(|name| !name.is_empty());
    person.email.or(name).unwrap_or_else(|| session.user_id.clone())
}
