//! Sessions: begun, found by their cookie, and what browsers show of themselves.

use std::net::IpAddr;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use postern_document::FingerprintPart;
use postern_oauth::Secret;
use postern_request::{UnixMillis, address, correlation};
use postern_store::flows::SessionRecord;

use super::flow::Authenticated;
use super::person::Person;
use super::rules::LoginRules;
use super::{Caller, LOGIN_CLIENT_ID};
use crate::vault::{Purpose, Vault};
use crate::{IdentityError, random};

/// Bytes of a session's id, and of its cookie's secret half.
const ID_BYTES: usize = 36;
const SECRET_BYTES: usize = 43;
/// Bits of an address that stay while somebody moves about in a network.
const NETWORK: (u8, u8) = (24, 56);

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
    let person = Person { tier: rules.tier_of(person), ..person.clone() };
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

/// Another authentication within a session: a new secret, and what was shown besides.
pub(crate) fn again(
    mut record: SessionRecord,
    authenticated: &Authenticated,
    now: UnixMillis,
) -> Result<Begun, IdentityError> {
    let secret = random::secret()?;
    record.secret = Some(random::sha256(secret.expose().as_bytes()));
    (record.authenticated_at, record.last_used) = (now, now);
    if authenticated.several {
        record.mfa_at = Some(now);
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

/// Takes a cookie's value apart; none where it cannot be one. The id is looked up in a store, so
/// it has to look like one.
pub(crate) fn read_cookie(value: &[u8]) -> Option<(&str, &str)> {
    let (id, secret) = std::str::from_utf8(value).ok()?.split_once('.')?;
    let fits = id.len() == ID_BYTES
        && correlation::is_uuid(id.as_bytes())
        && secret.len() == SECRET_BYTES
        && secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    fits.then_some((id, secret))
}

/// Whether the secret half of a cookie is the session's. A grant's session has none, and no cookie
/// opens it.
pub(crate) fn is_opened_by(record: &SessionRecord, secret: &str) -> bool {
    let shown = random::sha256(secret.as_bytes());
    let kept = record.secret.map_or([0; 32], |kept| kept.0);
    verify_slices_are_equal(&shown.0, &kept).is_ok() && record.secret.is_some()
}

/// What a browser shows of itself, as a keyed hash; none where the document looks at nothing.
pub(crate) fn fingerprint(rules: &LoginRules, vault: &Vault, caller: &Caller) -> Option<[u8; 16]> {
    let parts = &rules.login.fingerprint.parts;
    if parts.is_empty() {
        return None;
    }
    let mut text = String::new();
    for part in parts {
        let shown = match part {
            FingerprintPart::UserAgent => caller.user_agent.clone(),
            FingerprintPart::AcceptLanguage => caller.accept_language.clone(),
            FingerprintPart::IpPrefix => caller.ip.map(network).unwrap_or_default(),
            FingerprintPart::ClientHint => caller.platform.clone(),
        };
        // With its length before it, no part can pass for another one's end.
        text.push_str(&shown.len().to_string());
        text.push(':');
        text.push_str(&shown);
    }
    let tag = vault.tag(Purpose::Device, text.as_bytes());
    tag.first_chunk().copied()
}

fn network(ip: IpAddr) -> String {
    let (v4, v6) = NETWORK;
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(v4)).unwrap_or(0);
            std::net::Ipv4Addr::from(u32::from(ip) & mask).to_string()
        }
        ip @ IpAddr::V6(_) => address::limit_key(ip, v6).to_string(),
    }
}

#[cfg(test)]
mod tests;
