//! Whose session it is: `by_session` of `ext-authz/src/sessions.rs`. And how callers have
//! authenticated, as routes with a second factor ask: `ext-authz/src/step_up.rs`.

use postern_document::{Document, MfaProblem, Route, Visit};
use postern_jose::{AuthenticationFacts, VerifiedToken};
use postern_request::principal::Credential;
use postern_request::session_cookie::ShownSession;
use postern_request::{Denial, ErrorCode, Principal, ShownToken, cross_site};

use crate::assume::{Part, Revoked};
use crate::credential::{GIVEN_SESSION, span};
use crate::envoy::Incoming;
use crate::outcome::SentToLogIn;
use crate::request::{GivenSession, Shown};
use crate::rule::{Effect, Rule};
use crate::secret;
use crate::step::{By, Stage, Verdict};
use crate::walk::Walk;

const BY: By = By::ExtAuthz;

/// How a caller has authenticated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Authenticated {
    several_factors: bool,
    /// In seconds.
    at: Option<u64>,
    with_proof: bool,
}

/// A session that holds.
pub(crate) struct OpenSession {
    pub(crate) principal: Principal,
    pub(crate) authenticated: Authenticated,
}

/// How the subject of a verified token has authenticated.
pub(crate) fn of_token(
    document: &Document,
    token: &ShownToken<'_>,
    verified: &VerifiedToken,
) -> Authenticated {
    let facts = AuthenticationFacts::of(core::str::from_utf8(&token.text).unwrap_or_default());
    let is_own = document.issuer.as_deref() == Some(verified.claims.issuer());
    Authenticated {
        several_factors: facts.several_factors(is_own),
        at: facts.auth_time,
        with_proof: token.with_proof,
    }
}

impl Walk<'_, '_> {
    /// The caller by the cookie of a session; none where there is none that counts.
    pub(crate) fn by_session(
        &mut self,
        route: &Route,
        incoming: &Incoming,
        shown: &Shown,
    ) -> Result<Option<OpenSession>, Denial> {
        let Some(cookie) = &self.document.session else { return Ok(None) };
        let found = match ShownSession::of(&incoming.headers, &cookie.name) {
            ShownSession::Nothing => return Ok(None),
            ShownSession::Unusable => None,
            ShownSession::Value(value) => self.look_session_up(&value, shown)?,
        };
        let Some(given) = found else { return self.without_session(route) };
        let scheme = cross_site::scheme(&incoming.headers, &incoming.scheme);
        let Incoming { method, authority, headers, .. } = incoming;
        if cross_site::is_from_elsewhere(method, scheme, authority, headers) {
            let denial = Denial::new(ErrorCode::Forbidden, "session_cross_site");
            let text = "no page of the same origin sends it, as far as the browser says";
            return Err(self.deny(Stage::Session, BY, denial, Vec::new(), text));
        }
        let now = self.assume.now.as_secs();
        let at = given.mfa_age_secs.map(|age| now.saturating_sub(age));
        let principal = Principal {
            issuer: self.document.issuer.clone().unwrap_or_default(),
            credential: Credential::Session,
            ..given.principal.clone()
        };
        let text = format!("session of {}", principal.subject);
        let verdict = Verdict::Assumed("the session counts as known");
        self.push(Stage::Session, BY, verdict, Vec::new(), text);
        if self.document.login.as_ref().is_some_and(|login| !login.fingerprint.parts.is_empty()) {
            self.assumed("the browser shows what it showed when it logged in");
        }
        let authenticated = Authenticated { several_factors: at.is_some(), at, with_proof: false };
        Ok(Some(OpenSession { principal, authenticated }))
    }

    /// The session of a cookie that may be one's; none where nobody knows it, or it was ended.
    fn look_session_up<'s>(
        &mut self,
        value: &[u8],
        shown: &'s Shown,
    ) -> Result<Option<&'s GivenSession>, Denial> {
        if self.assume.has_failed(&Part::VolatileStore) {
            let denial = Denial::unavailable("sessions_unavailable", 1);
            let text = "nobody can look sessions up: the volatile store is away";
            return Err(self.deny(Stage::Session, BY, denial, Vec::new(), text));
        }
        let given = match shown {
            Shown::Session(given) if value == GIVEN_SESSION.as_bytes() => &**given,
            _ => {
                self.assumed("the store of sessions is not at hand: cookies in headers open none");
                return Ok(None);
            }
        };
        let was_ended = self.was_ended(given)?;
        Ok((!was_ended).then_some(given))
    }

    /// The cookie opens nothing.
    fn without_session(&mut self, route: &Route) -> Result<Option<OpenSession>, Denial> {
        if route.passes_over_sessions() {
            let text = "the cookie opens no session: as if there were none";
            self.push(Stage::Session, BY, Verdict::Noted, Vec::new(), text);
            return Ok(None);
        }
        let denial = Denial::invalid_session("session_unknown");
        Err(self.deny(Stage::Session, BY, denial, Vec::new(), "the cookie opens no session"))
    }

    /// Whether the session was revoked. Its own name nobody knows here; by its holder's a list may.
    /// It began when the second factor was shown, or just now.
    fn was_ended(&mut self, given: &GivenSession) -> Result<bool, Denial> {
        let issuer = self.document.issuer.as_deref().unwrap_or_default();
        let age = given.mfa_age_secs.unwrap_or_default();
        let began_at = self.assume.now.as_secs().saturating_sub(age);
        let subject = given.principal.subject.as_str();
        let is_listed = self
            .assume
            .revocations
            .is_some_and(|list| list.has_sessions_of(issuer, subject, began_at));
        self.check_named_revoked("session", is_listed.then_some(true))
    }

    /// Whether a credential that is no token was revoked, by the list where that says so: as
    /// `check_named` of `server/src/serve/feed/revoked.rs`.
    pub(crate) fn check_named_revoked(
        &mut self,
        what: &str,
        listed: Option<bool>,
    ) -> Result<bool, Denial> {
        match (listed, self.assume.revoked) {
            // What is known to be revoked stays so, however long nothing has been heard.
            (Some(true), _) | (_, Revoked::Yes) => Ok(true),
            (Some(false), Revoked::No) => Ok(false),
            (None, Revoked::No) => {
                self.assumed(format!("the {what} was not revoked"));
                Ok(false)
            }
            (_, Revoked::Unknown) => self.nobody_knows_of_revocations(BY).map(|()| false),
        }
    }

    /// Whether the caller has authenticated as the route asks; whether anything was asked.
    pub(crate) fn check_step_up(
        &mut self,
        route: &Route,
        how: Option<Authenticated>,
    ) -> Result<bool, Denial> {
        let Some(mfa) = route.auth.mfa() else { return Ok(false) };
        let now = self.assume.now.as_secs();
        let judged = match how {
            Some(how) => mfa.judge(how.several_factors, how.at, now),
            None => Err(MfaProblem::Missing),
        };
        let asks = match mfa.within_secs {
            Some(secs) => format!("asks for several factors within {}", span(secs)),
            None => "asks for several factors".to_owned(),
        };
        let at = how.filter(|how| how.several_factors).and_then(|how| how.at);
        let shown = match at {
            Some(at) => format!("{} ago", span(now.saturating_sub(at))),
            None if how.is_some_and(|how| how.several_factors) => "at some time".to_owned(),
            None => "none that anybody knows of".to_owned(),
        };
        let text = format!("{asks}; {shown}");
        let rule = |effect| vec![Rule::route(route, "auth.mfa", effect)];
        match judged {
            Ok(()) => {
                self.push(Stage::StepUp, BY, Verdict::Passed, rule(Effect::Passed), text);
                Ok(true)
            }
            Err(problem) => {
                let with_proof = how.is_some_and(|how| how.with_proof);
                let denial = Denial::step_up(problem.as_str(), mfa.within_secs, with_proof);
                Err(self.deny(Stage::StepUp, BY, denial, rule(Effect::Refused), text))
            }
        }
    }

    /// Notes where a browser is sent instead of being refused, where it is.
    pub(crate) fn send_to_log_in(
        &mut self,
        route: &Route,
        incoming: &Incoming,
        denial: &Denial,
        by_session: bool,
    ) {
        if !self.held {
            return;
        }
        let issuer = self.document.issuer.as_deref();
        let visit = Visit {
            method: &incoming.method,
            scheme: cross_site::scheme(&incoming.headers, &incoming.scheme),
            authority: &incoming.authority,
            target: &incoming.target,
            headers: &incoming.headers,
        };
        let Some(location) = route.login_location(issuer, visit, denial, by_session) else {
            return;
        };
        // What it comes back to may have a credential in it.
        let hidden = secret::target(self.document, &incoming.target);
        let told = Visit { target: &hidden, ..visit };
        let told = route.login_location(issuer, told, denial, by_session).unwrap_or_default();
        let rules = vec![Rule::route(route, "auth.login", Effect::Refused)];
        let text = format!("a browser that shows a page is sent to {told}");
        self.push(Stage::Session, BY, Verdict::Noted, rules, text);
        self.sent = Some(SentToLogIn { location, told });
    }
}
