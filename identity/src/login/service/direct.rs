//! A log-in in one call, for clients without a browser.

use postern_request::UnixMillis;

use super::LoginService;
use crate::login::flow::{Authenticated, Factor, Known, are_several, methods};
use crate::login::person::Person;
use crate::login::{Caller, DirectLogin, DirectSession, LoginError, sessions};
use crate::metrics::SessionEvent;

impl LoginService {
    /// Logs somebody in, and begins the session that tokens are to be made for.
    ///
    /// Whoever has a second factor, or needs one, shows it in the same call. There is none to be
    /// set up here, and no password to be changed: that takes the pages.
    ///
    /// # Errors
    /// [`LoginError`]; [`LoginError::MfaRequired`] and [`LoginError::MfaWrong`] only after the right
    /// password, [`LoginError::PasswordPolicy`] with `must_change` where the password has to be
    /// changed.
    pub async fn direct(
        &self,
        login: DirectLogin,
        caller: &Caller,
        now: UnixMillis,
    ) -> Result<DirectSession, LoginError> {
        let DirectLogin { email, password, mfa_token, device_id, remember } = login;
        let rules = self.rules();
        let tried = self.try_password(&rules, &email, password, caller, now).await?;
        let (user, taken) = tried.ok_or(LoginError::Credentials)?;
        // Codes have a limit of their own.
        self.parts.limits.give_back(taken, now).await;
        let known = self.known(&user, &rules).await?;
        let mut passed = vec![Factor::Password];
        if known.role_asks || known.has_factor() {
            let names = names_of(known);
            let Some(code) = mfa_token else { return Err(LoginError::MfaRequired(names)) };
            let factor = self.try_code(&rules, &user, code.expose(), caller, now).await?;
            passed.push(factor.ok_or(LoginError::MfaWrong(names))?);
        }
        if user.must_change_password {
            return Err(LoginError::PasswordPolicy("must_change"));
        }
        let authenticated = Authenticated {
            user_id: user.id.clone(),
            several: are_several(&passed),
            methods: methods(&passed),
        };
        let person = Person::of(&user);
        let caller = Caller { device: device_id, ..caller.clone() };
        self.admit(&rules, &person, &authenticated, &caller, now).await?;
        let now = self.after_what_ended(&user.id, now).await;
        let vault = &self.parts.vault;
        let session =
            sessions::direct(&rules, vault, &person, &authenticated, &caller, remember, now)?;
        self.parts.flows.start_session(&session, now).await?;
        self.parts.metrics.session(SessionEvent::Started);
        self.confirm(&session, user.updated_at, now).await?;
        Ok(DirectSession { session, remember })
    }
}

/// What a client may ask its user for. Passkeys take a browser.
fn names_of(known: Known) -> Vec<&'static str> {
    let names = [(known.totp, "totp"), (known.recovery, "recovery_code")];
    names.into_iter().filter(|(is_there, _)| *is_there).map(|(_, name)| name).collect()
}
