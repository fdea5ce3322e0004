//! Sessions, and whose hosts they and passkeys are for.

use super::super::numbers::milliseconds;
use super::super::urls::{self, Web};
use crate::model::{PasskeyRules, SessionRules};
use crate::problem::Problems;
use crate::raw::{RawDocument, RawLogin, Text};

const MINUTE: u64 = 60_000;
const DAY: u64 = 24 * 60 * MINUTE;
const LONGEST: u64 = 365 * DAY;

pub(super) fn check(
    document: &RawDocument,
    raw: &RawLogin,
    problems: &mut Problems,
) -> SessionRules {
    let raw = raw.session.as_ref();
    let mut longer_than = |field, name: &str, shortest: u64, written: &str, default: u64| {
        let path = format!("login.session.{name}");
        let bounds = shortest..=LONGEST;
        milliseconds(field, bounds, written, &path, problems)
            .unwrap_or_else(|| shortest.max(default))
    };
    let idle = raw.and_then(|raw| raw.idle.as_ref());
    let idle_ms = longer_than(idle, "idle", 5 * MINUTE, "5m to 365d", DAY / 2);
    let absolute = raw.and_then(|raw| raw.absolute.as_ref());
    let written = "at least as long as `idle`, and at most 365d";
    let absolute_ms = longer_than(absolute, "absolute", idle_ms, written, 7 * DAY);
    let remembered = raw.and_then(|raw| raw.remembered.as_ref());
    let written = "at least as long as `absolute`, and at most 365d";
    let remembered_ms = longer_than(remembered, "remembered", absolute_ms, written, 30 * DAY);
    let domain = raw.and_then(|raw| raw.cookie_domain.as_ref());
    if let Some(domain) = domain {
        check_domain(document, domain, problems);
    }
    SessionRules {
        idle_ms,
        absolute_ms,
        remembered_ms,
        cookie_domain: domain.map(|domain| domain.value.clone()),
    }
}

/// The issuer as a URL; what is none was reported as such.
fn issuer(document: &RawDocument) -> Option<Web<'_>> {
    document.issuer.as_ref().and_then(|issuer| Web::parse(issuer))
}

/// Every host below it gets the cookie of every session.
fn check_domain(document: &RawDocument, domain: &Text, problems: &mut Problems) {
    const PATH: &str = "login.session.cookie_domain";
    if !urls::is_host_name(domain) || urls::is_public(domain) {
        let message = "expected a domain of yours in lower case, for example example.test: not one \
                       below which anybody may have a name";
        problems.report_as(domain.at, PATH, message);
        return;
    }
    // An http issuer is on loopback, and never within one.
    let outside = issuer(document).filter(|issuer| !urls::is_within(&issuer.host, domain));
    if let Some(issuer) = outside {
        let message = format!("`{}`, where people log in, is not within it", issuer.host);
        problems.report_as(domain.at, PATH, message);
    }
}

/// Browsers bind passkeys to a name, and to nothing above a domain that somebody owns.
pub(super) fn check_passkeys(
    document: &RawDocument,
    raw: &RawLogin,
    problems: &mut Problems,
) -> Option<PasskeyRules> {
    const PATH: &str = "login.passkeys";
    let raw = raw.passkeys.as_ref()?;
    let issuer = issuer(document)?;
    if !urls::is_host_name(&issuer.host) {
        let message = format!(
            "browsers bind passkeys to a name, and the `issuer` has an address: write \
             http://localhost in place of `{}` to try them out",
            issuer.host
        );
        problems.report_as(raw.at, PATH, message);
    }
    let Some(id) = &raw.rp_id else {
        return Some(PasskeyRules { rp_id: issuer.host });
    };
    let is_owned = id.value == issuer.host || !urls::is_public(id);
    if !urls::is_host_name(id) || !urls::is_within(&issuer.host, id) || !is_owned {
        let message = format!("expected `{}`, or a domain of yours above it", issuer.host);
        problems.report_as(id.at, &format!("{PATH}.rp_id"), message);
    }
    Some(PasskeyRules { rp_id: id.value.clone() })
}

/// Other hosts have no use for somebody who comes back without a cookie.
pub(super) fn check_hosts(
    raw: &RawLogin,
    cookie_domain: Option<&str>,
    problems: &mut Problems,
) -> Vec<String> {
    let mut hosts: Vec<String> = Vec::with_capacity(raw.hosts.len());
    for (at, host) in raw.hosts.iter().enumerate() {
        let message = match cookie_domain {
            _ if !urls::is_host_name(host) => "write a host in lower case, without a port",
            _ if hosts.contains(&host.value) => "this host is there twice",
            None => "the cookie would not go there: say `login.session.cookie_domain`",
            Some(domain) if !urls::is_within(host, domain) => {
                "the cookie would not go there: it is not within `login.session.cookie_domain`"
            }
            Some(_) => {
                hosts.push(host.value.clone());
                continue;
            }
        };
        problems.report_as(host.at, &format!("login.hosts[{at}]"), message);
    }
    hosts
}
