//! Passwords and codes that are tried, counted and written down.

use std::sync::Arc;

use postern_oauth::Secret;
use postern_request::UnixMillis;
use postern_store::durable::{AuditEntry, PasswordHash, UserRecord};

use super::LoginService;
use crate::audit;
use crate::login::factors::Verified;
use crate::login::flow::{Authenticated, Factor, Known};
use crate::login::hashing::Verdict;
use crate::login::limits::Taken;
use crate::login::person::Person;
use crate::login::rules::LoginRules;
use crate::login::{Caller, LoginError, passwords};
use crate::metrics::{Means, OTHER_ROLE};

/// Longest e-mail that is looked up, in bytes.
const MAX_EMAIL_BYTES: usize = 255;
/// Whom an entry is about where nobody has this e-mail. What was typed in is not written down.
pub(super) const NOBODY: &str = "unknown";

impl LoginService {
    /// The user whose password this is, and what was taken of the limits; none where it is not.
    /// Either takes as long.
    pub(super) async fn try_password(
        &self,
        rules: &LoginRules,
        email: &str,
        password: Secret,
        caller: &Caller,
        now: UnixMillis,
    ) -> Result<Option<(UserRecord, Taken)>, LoginError> {
        let parts = &self.parts;
        let limits = &rules.login.limits;
        if email.len() > MAX_EMAIL_BYTES || !passwords::is_bounded(&password) {
            return Err(LoginError::Credentials);
        }
        let taken = parts.limits.take(limits, rules.replicas, email, caller.ip, now).await?;
        let (user, verdict) = match self.compare(email, &password).await {
            Ok(compared) => compared,
            Err(error) => {
                // Nothing was tried.
                parts.limits.give_back(taken, now).await;
                return Err(error);
            }
        };
        let role = user.as_ref().map_or(OTHER_ROLE, |user| rules.role_label(&user.role));
        let right = match (user, verdict) {
            (Some(user), Verdict::Right { outdated }) => Some((user, outdated)),
            (user, _) => {
                parts.metrics.authentication(Means::Password, false, None);
                parts.metrics.login(role, false);
                let target = user.as_ref().map_or(NOBODY, |user| user.id.as_str());
                self.write_down(&told(now, "login.failed", target, caller, &[])).await?;
                None
            }
        };
        let Some((mut user, outdated)) = right else { return Ok(None) };
        let tier = rules.role(&user.role).and_then(|role| role.tier.as_deref());
        parts.metrics.authentication(Means::Password, true, tier);
        if !user.is_active {
            parts.metrics.login(role, false);
            self.write_down(&told(now, "login.blocked", &user.id, caller, &[])).await?;
            return Err(LoginError::Blocked);
        }
        let (password_rules, tools) = (&rules.login.passwords, parts.tools.load());
        if passwords::is_known(&password, password_rules, tools.breached.as_ref()).await {
            tracing::info!(user = user.id, "a password is known from breaches, and has to change");
            // For this log-in; the next one looks again.
            user.must_change_password = true;
        }
        if let (true, Some(from)) = (outdated, user.password.clone()) {
            self.upgrade(user.id.clone(), password, from);
        }
        Ok(Some((user, taken)))
    }

    async fn compare(
        &self,
        email: &str,
        password: &Secret,
    ) -> Result<(Option<UserRecord>, Verdict), LoginError> {
        let user = self.parts.store.find_user_by_email(email).await?;
        let hash = user.as_ref().and_then(|user| user.password.clone());
        let tools = self.parts.tools.load();
        let verdict = tools.hasher.verify(password.clone(), hash).await?;
        Ok((user, verdict))
    }

    /// Hashes a password as it is done today, once the answer is on its way.
    fn upgrade(&self, user_id: String, password: Secret, from: PasswordHash) {
        let (store, tools) = (Arc::clone(&self.parts.store), self.parts.tools.load());
        tokio::spawn(async move {
            let Ok(to) = tools.hasher.make(password).await else { return };
            if let Err(error) = store.upgrade_password(&user_id, &from, to).await {
                tracing::warn!(%error, "a password's hash stays the old one until the next log-in");
            }
        });
    }

    /// What has to be known of a user to go on.
    pub(super) async fn known(
        &self,
        user: &UserRecord,
        rules: &LoginRules,
    ) -> Result<Known, LoginError> {
        let known = self.parts.factors.known(&user.id).await?;
        Ok(Known {
            role_asks: rules.role(&user.role).is_some_and(|role| role.mfa),
            must_change_password: user.must_change_password,
            ..known
        })
    }

    /// The factor that a code stands for; none where it is wrong.
    pub(super) async fn try_code(
        &self,
        rules: &LoginRules,
        user: &UserRecord,
        code: &str,
        caller: &Caller,
        now: UnixMillis,
    ) -> Result<Option<Factor>, LoginError> {
        let parts = &self.parts;
        let taken = parts.limits.take_code(rules.replicas, &user.id, now).await?;
        let verified = match parts.factors.verify(&user.id, code, now).await {
            Ok(verified) => verified,
            Err(error) => {
                parts.limits.give_back(taken, now).await;
                return Err(error);
            }
        };
        let tier = rules.role(&user.role).and_then(|role| role.tier.as_deref());
        let (factor, means) = match verified {
            Verified::Totp => (Factor::Totp, Means::Totp),
            Verified::Recovery { left } => {
                tracing::info!(user = user.id, left, "a recovery code was used");
                (Factor::Recovery, Means::RecoveryCode)
            }
            Verified::Wrong => {
                parts.metrics.authentication(Means::Totp, false, tier);
                self.write_down(&told(now, "mfa.failed", &user.id, caller, &[])).await?;
                return Ok(None);
            }
        };
        parts.metrics.authentication(means, true, tier);
        parts.limits.give_back(taken, now).await;
        Ok(Some(factor))
    }

    /// Writes that somebody logs in; they do not where that fails.
    pub(super) async fn admit(
        &self,
        rules: &LoginRules,
        person: &Person,
        authenticated: &Authenticated,
        caller: &Caller,
        now: UnixMillis,
    ) -> Result<(), LoginError> {
        let methods = authenticated.methods.join(" ");
        let detail = [("methods", methods.as_str())];
        let user_id = authenticated.user_id.as_str();
        self.write_down(&told(now, "login.succeeded", user_id, caller, &detail)).await?;
        self.parts.metrics.login(rules.role_label(&person.role), true);
        Ok(())
    }

    pub(super) async fn write_down(&self, entry: &AuditEntry) -> Result<(), LoginError> {
        if let Err(error) = self.parts.store.append_audit(entry).await {
            self.parts.metrics.audit_failed();
            return Err(error.into());
        }
        Ok(())
    }
}

/// An entry about somebody who logs in: who acts is who it is about.
pub(super) fn told(
    now: UnixMillis,
    action: &str,
    user_id: &str,
    caller: &Caller,
    more: &[(&str, &str)],
) -> AuditEntry {
    let ip = caller.ip.map(|ip| ip.to_string()).unwrap_or_default();
    let mut detail = vec![("ip", ip.as_str()), ("userAgent", caller.user_agent.as_str())];
    detail.extend_from_slice(more);
    audit::entry(now, user_id, action, user_id, &detail)
}
