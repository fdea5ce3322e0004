//! Sessions: begun, found by their cookie, and what browsers show of themselves.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use postern_document::Browser;
use postern_oauth::Secret;
use postern_request::UnixMillis;
pub(crate) use postern_request::session_cookie::parse as read_cookie;
use postern_store::flows::SessionRecord;
use postern_store::{FlowKey, FlowKind};

use super::agent::Agent;
use super::flow::Authenticated;
use super::person::Person;
use super::rules::LoginRules;
use super::{Caller, LOGIN_CLIENT_ID};
use crate::vault::{Purpose, Vault};
use crate::{IdentityError, random};

/// Digits of a reference: enough to tell a user's sessions apart.
const REFERENCE_DIGITS: usize = 32;

/// What people and applications call a session by: never by its id, which is in tokens.
pub(crate) fn reference_of(session: &SessionRecord) -> String {
    let mut digits = FlowKey::of(FlowKind::Session, session.id.as_bytes()).to_hex();
    digits.truncate(REFERENCE_DIGITS);
    digits
}

/// A session that is to begin.
pub(crate) struct Begun {
    pub(crate) record: SessionRecord,
    /// The cookie's value.
    pub(crate) cookie: Secret,
    pub(crate) max_age_secs: Option<u64>,
}

/// A browser's session.
pub(crate) fn of_browser(
    rules: &LoginRules,
    vault: &Vault,
    person: &Person,
    authenticated: &Authenticated,
    caller: &Caller,
    remember: bool,
    now: UnixMillis,
) -> Result<Begun, IdentityError> {
    let session = &rules.login.session;
    let secret = random::secret()?;
    // Who is to be remembered is not forgotten for not having come by.
    let (idle_ms, absolute_ms) = match remember {
        true => (session.remembered_ms, session.remembered_ms),
        false => (session.idle_ms, session.absolute_ms),
    };
    let mut record = grant(rules, vault, person, authenticated, caller, now)?;
    record.secret = Some(random::sha256(secret.expose().as_bytes()));
    record.fingerprint = fingerprint_of_browser(rules, secret.expose(), caller);
    (record.remember, record.idle_ms) = (remember, idle_ms);
    record.ends_at = UnixMillis(now.0.saturating_add(absolute_ms));
    Ok(Begun {
        cookie: cookie_of(&record.id, &secret),
        record,
        max_age_secs: remember.then_some(absolute_ms / 1000),
    })
}

/// A session of somebody who logs in without a browser; tokens are made for it.
pub(crate) fn direct(
    rules: &LoginRules,
    vault: &Vault,
    person: &Person,
    authenticated: &Authenticated,
    caller: &Caller,
    remember: bool,
    now: UnixMillis,
) -> Result<SessionRecord, IdentityError> {
    let session = &rules.login.session;
    let lasts_ms = if remember { session.remembered_ms } else { session.absolute_ms };
    let mut record = grant(rules, vault, person, authenticated, caller, now)?;
    record.client_id = Some(LOGIN_CLIENT_ID.to_owned());
    record.remember = remember;
    // Its refresh token says how long it may lie idle.
    record.idle_ms = lasts_ms;
    record.ends_at = UnixMillis(now.0.saturating_add(lasts_ms));
    Ok(record)
}

/// What all sessions have in common.
fn grant(
    rules: &LoginRules,
    vault: &Vault,
    person: &Person,
    authenticated: &Authenticated,
    caller: &Caller,
    now: UnixMillis,
) -> Result<SessionRecord, IdentityError> {
    let agent = Agent::of(&caller.user_agent);
    let person = Person { tier: rules.tier_of(person), agent, ..person.clone() };
    Ok(SessionRecord {
        id: random::uuid()?,
        user_id: authenticated.user_id.clone(),
        created_at: now,
        last_used: now,
        authenticated_at: now,
        mfa_at: authenticated.several.then_some(now),
        methods: authenticated.methods.iter().map(|method| (*method).to_owned()).collect(),
        device_id: caller.device.clone(),
        fingerprint: fingerprint(rules, vault, caller),
        client_id: None,
        scopes: rules.scopes_of(&person.role),
        parent: None,
        secret: None,
        person: person.encode(),
        remember: false,
        idle_ms: 0,
        ends_at: now,
    })
}

/// Another authentication within a session, which was `at`: a new secret, what was shown besides,
/// and the browser as it is now.
pub(crate) fn again(
    rules: &LoginRules,
    mut record: SessionRecord,
    authenticated: &Authenticated,
    caller: &Caller,
    at: UnixMillis,
    now: UnixMillis,
) -> Result<Begun, IdentityError> {
    let secret = random::secret()?;
    record.secret = Some(random::sha256(secret.expose().as_bytes()));
    record.fingerprint = fingerprint_of_browser(rules, secret.expose(), caller);
    record.last_used = now;
    // A provider may vouch for an authentication that was before the last one here.
    let is_newer = Some(at) >= record.mfa_at && at >= record.authenticated_at;
    record.authenticated_at = record.authenticated_at.max(at);
    if authenticated.several {
        record.mfa_at = Some(now);
    } else if is_newer {
        // `amr` is about the authentication at `auth_time`: others find no second factor in it
        // that was shown another time. Until when that one counts here, `mfa_at` says.
        record.methods.clear();
    }
    for method in &authenticated.methods {
        if !record.methods.iter().any(|known| known == method) {
            record.methods.push((*method).to_owned());
        }
    }
    let max_age_secs = record.remember.then_some(record.ends_at.millis_since(now) / 1000);
    Ok(Begun { cookie: cookie_of(&record.id, &secret), record, max_age_secs })
}

fn cookie_of(id: &str, secret: &Secret) -> Secret {
    Secret::new([id, ".", secret.expose()].concat())
}

/// Whether the secret half of a cookie is the session's. A grant's session has none, and no cookie
/// opens it.
pub(crate) fn is_opened_by(record: &SessionRecord, secret: &str) -> bool {
    let shown = random::sha256(secret.as_bytes());
    let kept = record.secret.map_or([0; 32], |kept| kept.0);
    verify_slices_are_equal(&shown.0, &kept).is_ok() && record.secret.is_some()
}

/// What a browser shows of itself, under its cookie's secret half: `ext_authz` compares it too, and
/// has no key of the suite's. None where the document looks at nothing.
pub(crate) fn fingerprint_of_browser(
    rules: &LoginRules,
    secret: &str,
    caller: &Caller,
) -> Option<[u8; 16]> {
    rules.login.fingerprint.of(secret, &browser_of(caller))
}

/// The same for whoever has no cookie, under the suite's own key.
pub(crate) fn fingerprint(rules: &LoginRules, vault: &Vault, caller: &Caller) -> Option<[u8; 16]> {
    let text = rules.login.fingerprint.text(&browser_of(caller))?;
    let tag = vault.tag(Purpose::Device, text.as_bytes());
    tag.first_chunk().copied()
}

fn browser_of(caller: &Caller) -> Browser<'_> {
    Browser {
        user_agent: &caller.user_agent,
        accept_language: &caller.accept_language,
        platform: &caller.platform,
        ip: caller.ip,
    }
}

#[cfg(test)]
mod tests;
