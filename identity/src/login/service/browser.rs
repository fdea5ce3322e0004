//! A log-in page by page.

use std::sync::Arc;

use postern_oauth::Secret;
use postern_request::UnixMillis;
use postern_revocation::RevocationKind;
use postern_store::durable::UserRecord;
use postern_store::flows::SessionRecord;

use super::{LoginService, Open};
use crate::audit;
use crate::login::factors::TotpEnrolment;
use crate::login::flow::{Authenticated, Factor, Flow, Input, Known, Step, advance};
use crate::login::person::Person;
use crate::login::rules::LoginRules;
use crate::login::sessions::{self, Begun};
use crate::login::{Caller, LoggedIn, LoginError, Outcome, Screen};
use crate::metrics::SessionEvent;

/// A second factor was set up while logging in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolled {
    /// Shown once.
    pub recovery_codes: Vec<Secret>,
    /// What follows.
    pub outcome: Outcome,
}

/// A log-in whose first factor was shown.
struct Halfway {
    rules: Arc<LoginRules>,
    open: Open,
    user: UserRecord,
    known: Known,
}

impl LoginService {
    /// The first page: e-mail and password.
    ///
    /// # Errors
    /// [`LoginError`]; after [`LoginError::Credentials`] the same log-in may go on.
    pub async fn password(
        &self,
        cookie: &[u8],
        email: &str,
        password: Secret,
        remember: bool,
        caller: &Caller,
        now: UnixMillis,
    ) -> Result<Outcome, LoginError> {
        let rules = self.rules();
        let mut open = self.open(cookie, &rules, now).await?;
        let tried = self.try_password(&rules, email, password, caller, now).await?;
        let Some((user, taken)) = tried else { return self.refuse(open, now).await };
        let known = self.known(&user, &rules).await?;
        open.flow.remember = remember;
        open.flow.must_change = user.must_change_password;
        open.flow.as_of = Some(user.updated_at);
        let step = advance(&mut open.flow, Input::First(Factor::Password, &user.id), known, now);
        let outcome = self.go_on(&rules, open, step, &user, caller, now).await;
        self.parts.limits.give_back(taken, now).await;
        outcome
    }

    /// A code of an application, or a recovery code.
    ///
    /// # Errors
    /// As [`LoginService::password`].
    pub async fn code(
        &self,
        cookie: &[u8],
        code: &str,
        caller: &Caller,
        now: UnixMillis,
    ) -> Result<Outcome, LoginError> {
        let Halfway { rules, mut open, user, known } = self.halfway(cookie, now).await?;
        match self.try_code(&rules, &user, code, caller, now).await? {
            None => self.refuse(open, now).await,
            Some(factor) => {
                let step = advance(&mut open.flow, Input::Second(factor), known, now);
                self.go_on(&rules, open, step, &user, caller, now).await
            }
        }
    }

    /// What the page is to show to somebody who comes back to it.
    ///
    /// # Errors
    /// [`LoginError::Expired`], and those of the store.
    pub async fn screen(&self, cookie: &[u8], now: UnixMillis) -> Result<Screen, LoginError> {
        let open = self.open(cookie, &self.rules(), now).await?;
        // Whose session it is may be known before anything was shown.
        if open.flow.user.is_none() || open.flow.passed.is_empty() {
            return Ok(Screen::Password);
        }
        let Halfway { open, known, .. } = self.halfway(cookie, now).await?;
        Ok(open.flow.screen(Some(known)))
    }

    /// Begins to set up an application for codes, where the log-in asks for that.
    ///
    /// # Errors
    /// [`LoginError`].
    pub async fn start_enrolment(
        &self,
        cookie: &[u8],
        now: UnixMillis,
    ) -> Result<TotpEnrolment, LoginError> {
        let Halfway { rules, mut open, user, known } = self.halfway(cookie, now).await?;
        // Not by whoever has come by a session's cookie: by who has shown the first factor here.
        if open.flow.rests_on_session() || open.flow.screen(Some(known)) != Screen::EnrolTotp {
            return Err(LoginError::Expired);
        }
        self.parts.limits.take_enrolment(rules.replicas, &user.id, now).await?;
        let factors = self.factors();
        let begun = factors.start_totp(&user.id, &user.email, rules.title(), now).await?;
        open.flow.enrolling = Some(begun.factor_id.clone());
        self.save(&open, now).await?;
        Ok(begun)
    }

    /// Finishes it by a code of the application.
    ///
    /// # Errors
    /// As [`LoginService::password`].
    pub async fn finish_enrolment(
        &self,
        cookie: &[u8],
        code: &str,
        caller: &Caller,
        now: UnixMillis,
    ) -> Result<Enrolled, LoginError> {
        let Halfway { rules, mut open, user, known } = self.halfway(cookie, now).await?;
        let Some(factor_id) = open.flow.enrolling.take() else { return Err(LoginError::Expired) };
        // Whoever has a factor by now shows that one.
        if known.has_factor() {
            return Err(LoginError::Expired);
        }
        if !self.factors().confirm_totp(&user.id, &factor_id, code, now).await? {
            open.flow.enrolling = Some(factor_id);
            return self.refuse(open, now).await;
        }
        let recovery_codes = self.factors().new_recovery_codes(&user.id, now).await?;
        let known = self.known(&user, &rules).await?;
        let step = advance(&mut open.flow, Input::Second(Factor::Totp), known, now);
        let outcome = self.go_on(&rules, open, step, &user, caller, now).await?;
        Ok(Enrolled { recovery_codes, outcome })
    }

    /// Another password, where the log-in asks for one.
    ///
    /// # Errors
    /// As [`LoginService::password`]; [`LoginError::PasswordPolicy`] where it is not good enough.
    pub async fn change_password(
        &self,
        cookie: &[u8],
        new: Secret,
        caller: &Caller,
        now: UnixMillis,
    ) -> Result<Outcome, LoginError> {
        let Halfway { rules, mut open, user, known } = self.halfway(cookie, now).await?;
        if open.flow.screen(Some(known)) != Screen::ChangePassword {
            return Err(LoginError::Expired);
        }
        let keep = open.flow.session.clone();
        self.replace_password(&user, new, keep.as_deref(), now).await?;
        open.flow.must_change = false;
        open.flow.as_of = Some(now);
        let known = Known { must_change_password: false, ..known };
        let step = advance(&mut open.flow, Input::Resume, known, now);
        self.go_on(&rules, open, step, &user, caller, now).await
    }

    /// A log-in whose first factor was shown, by a user who may still log in.
    async fn halfway(&self, cookie: &[u8], now: UnixMillis) -> Result<Halfway, LoginError> {
        let rules = self.rules();
        let open = self.open(cookie, &rules, now).await?;
        let Some(user_id) = open.flow.user.clone() else { return Err(LoginError::Expired) };
        if open.flow.passed.is_empty() {
            return Err(LoginError::Expired);
        }
        let user = self.parts.store.find_user(&user_id).await?.ok_or(LoginError::Expired)?;
        if !user.is_active {
            return Err(LoginError::Blocked);
        }
        // A first factor from before says nothing where the session that it is of has ended, or
        // where the record has changed since: the password may be another one.
        let stands = match open.flow.rests_on_session() {
            true => self.has_session(&open.flow, now).await?,
            false => open.flow.as_of == Some(user.updated_at),
        };
        if !stands {
            return Err(LoginError::Expired);
        }
        let known = self.known(&user, &rules).await?;
        Ok(Halfway { rules, open, user, known })
    }

    /// Whether the session of a log-in goes on, and is its user's.
    async fn has_session(&self, flow: &Flow, now: UnixMillis) -> Result<bool, LoginError> {
        let Some(id) = &flow.session else { return Ok(false) };
        let found = self.parts.flows.find_session(id, now).await?;
        Ok(found.is_some_and(|session| {
            Some(&session.user_id) == flow.user.as_ref() && !self.is_revoked(&session, now)
        }))
    }

    /// Something was wrong: counted, and said. Too much of it ends the log-in.
    pub(super) async fn refuse<T>(&self, mut open: Open, now: UnixMillis) -> Result<T, LoginError> {
        let step = advance(&mut open.flow, Input::Wrong, Known::default(), now);
        let Step::Refused(error) = step else { return Err(LoginError::Internal) };
        if error == LoginError::Credentials {
            self.save(&open, now).await?;
        } else {
            self.parts.flows.take(open.key, now).await?;
        }
        Err(error)
    }

    pub(super) async fn go_on(
        &self,
        rules: &LoginRules,
        open: Open,
        step: Step,
        user: &UserRecord,
        caller: &Caller,
        now: UnixMillis,
    ) -> Result<Outcome, LoginError> {
        match step {
            Step::Ask(screen) => {
                self.save(&open, now).await?;
                Ok(Outcome::Ask(screen))
            }
            Step::Refused(error) => Err(error),
            Step::Done(authenticated) => {
                let provider = open.flow.vouched_by.clone();
                let person = Person { provider, ..Person::of(user) };
                let done = self.finish(rules, open, &authenticated, &person, caller, now).await?;
                Ok(Outcome::Done(Box::new(done)))
            }
        }
    }

    /// The log-in is over, and a session begins, or goes on under another cookie.
    pub(super) async fn finish(
        &self,
        rules: &LoginRules,
        open: Open,
        authenticated: &Authenticated,
        person: &Person,
        caller: &Caller,
        now: UnixMillis,
    ) -> Result<LoggedIn, LoginError> {
        let Open { key, kept, flow, .. } = open;
        // Taken out: of two that finish at once one does.
        if self.parts.flows.take(key, now).await?.as_ref() != Some(&kept) {
            return Err(LoginError::Expired);
        }
        if flow.rests_on_session() && !self.has_session(&flow, now).await? {
            return Err(LoginError::Expired);
        }
        self.admit(rules, person, authenticated, caller, now).await?;
        let now = self.after_what_ended(&authenticated.user_id, now).await;
        let at = self.moment(&flow, &authenticated.user_id, now);
        let renewed = match &flow.session {
            Some(id) => self.renew(rules, id, authenticated, caller, at, now).await?,
            None => None,
        };
        let Begun { record, cookie, max_age_secs } = match renewed {
            Some(renewed) => renewed,
            // What was shown in it ends with a session, and a second factor alone begins none.
            None if flow.rests_on_session() => return Err(LoginError::Expired),
            None => {
                let vault = &self.parts.vault;
                let remember = flow.remember;
                let mut begun = sessions::of_browser(
                    rules,
                    vault,
                    person,
                    authenticated,
                    caller,
                    remember,
                    now,
                )?;
                begun.record.authenticated_at = at;
                self.parts.flows.start_session(&begun.record, now).await?;
                self.parts.metrics.session(SessionEvent::Started);
                begun
            }
        };
        if let Some(as_of) = flow.as_of {
            self.confirm(&record, as_of, now).await?;
        }
        self.end_replaced(caller, &record, now).await;
        Ok(LoggedIn { session: record, cookie, max_age_secs, return_to: flow.return_to })
    }

    /// When the user of a log-in has authenticated: just now, or at an outside provider when that
    /// says, which may have known them for long.
    ///
    /// What a user had until some moment may have been revoked since then. The session that begins
    /// now is none of that, and would be taken for it by the moment of its authentication alone, so
    /// that this is then no earlier than that one.
    fn moment(&self, flow: &Flow, user_id: &str, now: UnixMillis) -> UnixMillis {
        let Some(at) = flow.vouched_at else { return now };
        let revoked = &self.parts.revoked;
        let is_revoked =
            |secs: u64| revoked.is_named_revoked(RevocationKind::Subject, user_id, Some(secs), now);
        if !is_revoked(at.as_secs()) {
            return at.min(now);
        }
        // What was revoked of a time was so of each earlier one.
        let (mut early, mut late) = (at.as_secs(), now.as_secs());
        while late.saturating_sub(early) > 1 {
            let middle = early + (late - early) / 2;
            match is_revoked(middle) {
                true => early = middle,
                false => late = middle,
            }
        }
        UnixMillis(late.saturating_mul(1000))
    }

    /// Ends the session that the browser had, where another one has begun there: nobody has its
    /// cookie any more who should, and whoever else has come by it would go on for as long as it
    /// lives. The log-in stands whatever comes of that.
    async fn end_replaced(&self, caller: &Caller, begun: &SessionRecord, now: UnixMillis) {
        let cookie = caller.session.as_ref().map(|cookie| cookie.expose().as_bytes());
        let Some((id, secret)) = cookie.and_then(sessions::read_cookie) else { return };
        if id == begun.id {
            return;
        }
        match self.parts.flows.find_session(id, now).await {
            // Its id alone ends nothing: that is no secret.
            Ok(Some(old)) if sessions::is_opened_by(&old, secret) => {
                let ending = &self.parts.ending;
                Box::pin(ending.session_or_later(&old.id, "replaced", &old.user_id, now)).await;
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "the session of before was not looked up"),
        }
    }

    /// Whether a user is still who they were when they showed the first factor. Whoever changes a
    /// password ends the sessions that there are by then; one that begins a moment later, by the
    /// password of before, ends here.
    pub(super) async fn confirm(
        &self,
        session: &SessionRecord,
        as_of: UnixMillis,
        now: UnixMillis,
    ) -> Result<(), LoginError> {
        let user = self.parts.store.find_user(&session.user_id).await?;
        if user.is_some_and(|user| user.is_active && user.updated_at == as_of) {
            return Ok(());
        }
        // Rare, and large: apart from the future that every log-in is.
        let ending = &self.parts.ending;
        Box::pin(ending.session(&session.id, "user_changed", audit::SYSTEM, now)).await?;
        Err(LoginError::Expired)
    }

    /// The same session with another secret; none where it is no more, or somebody else's.
    async fn renew(
        &self,
        rules: &LoginRules,
        id: &str,
        authenticated: &Authenticated,
        caller: &Caller,
        at: UnixMillis,
        now: UnixMillis,
    ) -> Result<Option<Begun>, LoginError> {
        let Some(record) = self.parts.flows.find_session(id, now).await? else { return Ok(None) };
        if record.user_id != authenticated.user_id || self.is_revoked(&record, now) {
            return Ok(None);
        }
        let begun = sessions::again(rules, record, authenticated, caller, at, now)?;
        if !self.parts.flows.renew_session(&begun.record, now).await? {
            return Ok(None);
        }
        self.parts.metrics.session(SessionEvent::Renewed);
        Ok(Some(begun))
    }
}
