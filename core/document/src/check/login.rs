//! How people log in.

mod outside;
mod pages;
mod passwords;
mod sessions;

use std::collections::BTreeSet;

use postern_limits::Rate;
use postern_limits::rate::Period;
use postern_request::headers::is_identity_value;

use super::oauth::check_given;
use super::routes::report_dangling;
use crate::decode::Named;
use crate::model::{ADMIN_SCOPE, Fingerprint, Login, LoginLimits, OnChange, Role};
use crate::problem::Problems;
use crate::raw::{Amount, RateText, RawDocument, RawLogin, RawLoginLimits, RawRole, Text};

pub(super) fn check(document: &RawDocument, problems: &mut Problems) -> Option<Login> {
    let raw = document.login.get()?;
    if document.oauth.get().is_none() && !problems.any_below("oauth") {
        let message = "log-in is part of the authorization server: say `oauth` too, `{}` for its \
                       defaults";
        problems.report_as(raw.at, "login", message);
    }
    let roles = check_roles(document, raw, problems);
    let default_role = check_default_role(raw, &roles, problems);
    let session = sessions::check(document, raw, problems);
    Some(Login {
        default_role,
        roles,
        passwords: passwords::check(raw.passwords.as_ref(), problems),
        passkeys: sessions::check_passkeys(document, raw, problems),
        fingerprint: check_fingerprint(raw, problems),
        limits: check_limits(raw.limits.as_ref(), problems)?,
        outside: outside::check(document, raw, problems),
        hosts: sessions::check_hosts(raw, session.cookie_domain.as_deref(), problems),
        session,
        pages: pages::check(raw.pages.as_ref(), document.issuer.as_ref(), problems),
    })
}

fn check_roles(document: &RawDocument, raw: &RawLogin, problems: &mut Problems) -> Vec<Role> {
    if raw.roles.0.is_empty() && !problems.any_below("login.roles") {
        let message = "say what users may be: at least one role";
        problems.report_as(raw.at, "login.roles", message);
    }
    let mut roles = Vec::with_capacity(raw.roles.0.len());
    for (name, _, RawRole { scopes, tier, mfa, .. }) in &raw.roles.0 {
        let path = format!("login.roles.{name}");
        let scopes = check_given(document.oauth.get(), scopes, &format!("{path}.scopes"), problems);
        if let Some(tier) = tier.as_ref().filter(|tier| !is_identity_value(tier)) {
            let message = "expected a text that can stand in a header, without space at its ends";
            problems.report_as(tier.at, &format!("{path}.tier"), message);
        }
        roles.push(Role {
            name: name.clone(),
            scopes,
            tier: tier.as_ref().map(|tier| tier.value.clone()),
            mfa: mfa.unwrap_or(false),
        });
    }
    roles
}

/// What users are where nobody says: the first role, unless that one opens the admin API. Whoever
/// means everybody to have that has to write it.
fn check_default_role(raw: &RawLogin, roles: &[Role], problems: &mut Problems) -> String {
    const PATH: &str = "login.default_role";
    if let Some(role) = &raw.default_role {
        check_role(&raw.roles, role, PATH, problems);
        return role.value.clone();
    }
    let Some(first) = roles.first() else { return String::new() };
    if first.opens_admin_api() {
        let message = format!(
            "without it users of whom nobody says more are `{}`, the first role, which has \
             `{ADMIN_SCOPE}`: name the role that they are meant to have",
            first.name
        );
        problems.report_as(raw.at, PATH, message);
    }
    first.name.clone()
}

/// Whether there is a role of this name.
fn check_role(roles: &Named<RawRole>, name: &Text, path: &str, problems: &mut Problems) {
    if !roles.has(name) {
        report_dangling("role", name, &roles.names(), path, problems);
    }
}

fn check_fingerprint(raw: &RawLogin, problems: &mut Problems) -> Fingerprint {
    let mut seen = BTreeSet::new();
    if let Some(twice) = raw.fingerprint.iter().find(|part| !seen.insert(**part)) {
        let message = format!("`{}` is there twice", twice.as_str());
        problems.report_as(raw.at, "login.fingerprint", message);
    }
    if raw.on_change.is_some()
        && raw.fingerprint.is_empty()
        && !problems.any_below("login.fingerprint")
    {
        let message = "nothing is looked at that could change: say `fingerprint` too";
        problems.report_as(raw.at, "login.on_change", message);
    }
    Fingerprint {
        parts: raw.fingerprint.clone(),
        on_change: raw.on_change.unwrap_or(OnChange::Log),
    }
}

/// Without a bound, whoever has time finds every password: there always is one.
fn check_limits(raw: Option<&RawLoginLimits>, problems: &mut Problems) -> Option<LoginLimits> {
    const PERIOD_MS: u64 = 15 * 60_000;
    let mut rate = |field: Option<&RateText>, name: &str, requests| {
        let path = format!("login.limits.{name}");
        let read = field.and_then(|field| check_rate(field, &path, problems));
        read.or_else(|| Rate::new(requests, PERIOD_MS).ok())
    };
    Some(LoginLimits {
        pair: rate(raw.and_then(|raw| raw.pair.as_ref()), "pair", 5)?,
        email: rate(raw.and_then(|raw| raw.email.as_ref()), "email", 20)?,
        ip: rate(raw.and_then(|raw| raw.ip.as_ref()), "ip", 100)?,
    })
}

fn check_rate(RateText(field): &RateText, path: &str, problems: &mut Problems) -> Option<Rate> {
    let message = match field.amount {
        Amount::Rate(rate) => match rate.period() {
            Period::Millis(_) => return Some(rate),
            Period::Month => "write the period in days: months are of different lengths",
        },
        Amount::Unlimited | Amount::AtOnce(_) => {
            "whoever has time would find every password: write a rate, for example 5/15m"
        }
    };
    problems.report_as(field.at, path, message);
    None
}
