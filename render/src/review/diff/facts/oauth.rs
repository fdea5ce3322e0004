//! What the authorization server gives, to whom, and for how long.

use postern_document::{CertificateSource, Document, OAuth, Registration, RegistrationMode};

use super::super::super::traffic::duration;
use super::super::fact::{Says, UNBOUNDED};
use super::Facts;

const OWNER: &str = "oauth";

pub(super) fn say(document: &Document, facts: &mut Facts) {
    let served = document.oauth.is_some();
    let told = if served { "served" } else { "not served" };
    facts.say(OWNER, "", Says::amount(u64::from(served), told));
    let Some(oauth) = &document.oauth else { return };
    tokens(oauth, facts);
    clients(oauth, facts);
    registration(&oauth.registration, facts);
}

/// A life in seconds: the longer, the longer what was stolen is of use.
fn life(secs: u64) -> Says {
    Says::amount(secs, duration(secs.saturating_mul(1000)))
}

fn tokens(oauth: &OAuth, facts: &mut Facts) {
    let mut say = |member: &str, says| facts.say(OWNER, member, says);
    say(".access_token.lifetime", life(oauth.access_token_secs));
    say(".access_token.algorithm", Says::Plain(oauth.algorithm.as_str().to_owned()));
    say(".refresh_token.lifetime", life(oauth.refresh.secs));
    say(".refresh_token.remembered", life(oauth.refresh.remembered_secs));
    let grace_ms = oauth.refresh.grace_ms;
    say(".refresh_token.grace", Says::amount(grace_ms, duration(grace_ms)));
    say(".code.lifetime", life(oauth.code_secs));
    say(".device.lifetime", life(oauth.device.secs));
    // The shorter, the more codes can be tried.
    let interval = oauth.device.interval_secs;
    let told = duration(interval.saturating_mul(1000));
    say(".device.interval", Says::Bounds(vec![(1, interval)], told));
    let rotate = oauth.rotate_every_ms.map_or_else(
        || Says::Bounds(vec![UNBOUNDED], "by operators".to_owned()),
        |millis| Says::amount(millis, duration(millis)),
    );
    say(".keys.rotate_every", rotate);
}

fn clients(oauth: &OAuth, facts: &mut Facts) {
    let mut say = |member: &str, says| facts.say(OWNER, member, says);
    say(".scopes", Says::any_of(oauth.scopes.iter().map(|(name, _)| name.clone())));
    // What people agree to is what they have read.
    for (name, text) in &oauth.scopes {
        say(&format!(".scopes.{name}"), Says::Plain(text.clone()));
    }
    let grants = oauth.grants.iter().map(|grant| grant.as_str().to_owned());
    say(".grants", Says::any_of(grants));
    let unpushed = !oauth.require_par;
    let told = if unpushed { "false" } else { "true" };
    say(".require_pushed_requests", Says::amount(u64::from(unpushed), told));
    say(".resources", Says::any_of(oauth.resources.iter().map(|one| one.resource.clone())));
    for one in &oauth.resources {
        let member = format!(".resources.{}", one.resource);
        say(&member, Says::any_of_or_all(&one.scopes));
    }
    let mutual_tls = match oauth.mutual_tls {
        None => Says::amount(0, "not taken"),
        Some(source @ CertificateSource::Connection) => Says::amount(1, source.as_str()),
        Some(source @ CertificateSource::Forwarded) => Says::amount(2, source.as_str()),
    };
    say(".mutual_tls", mutual_tls);
    say(".cors_origins", Says::any_of(oauth.cors_origins.iter().cloned()));
}

fn registration(registration: &Registration, facts: &mut Facts) {
    let mut say = |member: &str, says| facts.say("oauth.registration", member, says);
    let mode = registration.mode;
    let rank = match mode {
        RegistrationMode::Off => 0,
        RegistrationMode::Token => 1,
        RegistrationMode::Open => 2,
    };
    say(".mode", Says::amount(rank, mode.as_str()));
    say(".scopes", Says::any_of(registration.scopes.iter().cloned()));
    let unused_ms = registration.unused_for_ms;
    say(".unused_for", Says::amount(unused_ms, duration(unused_ms)));
}

#[cfg(test)]
mod tests {
    use postern_document::from_json;

    use super::super::super::fact::compare;
    use super::super::of;
    use crate::review::model::ChangeKind;

    fn kinds(old: &str, new: &str) -> Vec<(String, ChangeKind)> {
        let facts = |members: &str| {
            let text = format!(
                r#"{{"version": 1, "issuer": "https://a.test", {members} "routes": [{{"name": "r",
                    "match": {{"path": "/r"}}, "service": "postern", "auth": "none"}}]}}"#
            );
            of(&from_json(text.as_bytes()).unwrap_or_else(|found| panic!("{found:?}")))
        };
        let changes = compare(&facts(old), &facts(new));
        changes
            .into_iter()
            .map(|noted| (format!("{}{}", noted.owner, noted.member), noted.kind))
            .collect()
    }

    #[test]
    fn what_the_server_gives_more_of_opens() {
        for (old, new, fact) in [
            (r#""code": {"lifetime": "1m"}"#, "", "oauth.code.lifetime"),
            (r#""access_token": {"lifetime": "5m"}"#, "", "oauth.access_token.lifetime"),
            (r#""refresh_token": {"lifetime": "1d"}"#, "", "oauth.refresh_token.lifetime"),
            (r#""refresh_token": {"remembered": "8d"}"#, "", "oauth.refresh_token.remembered"),
            (r#""refresh_token": {"grace": "0s"}"#, "", "oauth.refresh_token.grace"),
            (r#""device": {"lifetime": "1m"}"#, "", "oauth.device.lifetime"),
            (r#""device": {"interval": "10s"}"#, "", "oauth.device.interval"),
            (r#""keys": {"rotate_every": "30d"}"#, "", "oauth.keys.rotate_every"),
            (r#""grants": ["client_credentials"]"#, "", "oauth.grants"),
            (r#""require_pushed_requests": true"#, "", "oauth.require_pushed_requests"),
            ("", r#""scopes": {"a": "b"}"#, "oauth.scopes"),
            ("", r#""resources": [{"resource": "urn:a:b"}]"#, "oauth.resources"),
            ("", r#""cors_origins": ["https://b.test"]"#, "oauth.cors_origins"),
            ("", r#""mutual_tls": "connection""#, "oauth.mutual_tls"),
            (
                r#""resources": [{"resource": "urn:a:b", "scopes": ["openid"]}]"#,
                r#""resources": [{"resource": "urn:a:b"}]"#,
                "oauth.resources.urn:a:b",
            ),
            (
                r#""registration": {"mode": "token", "scopes": []}"#,
                r#""registration": {"mode": "open", "scopes": []}"#,
                "oauth.registration.mode",
            ),
            (
                r#""registration": {"mode": "open", "scopes": []}"#,
                r#""registration": {"mode": "open", "scopes": ["openid"]}"#,
                "oauth.registration.scopes",
            ),
            (
                r#""registration": {"mode": "open", "scopes": [], "unused_for": "1d"}"#,
                r#""registration": {"mode": "open", "scopes": []}"#,
                "oauth.registration.unused_for",
            ),
        ] {
            let login = r#""login": {"roles": {"user": {}}},"#;
            let of = |members: &str| format!(r#""oauth": {{{members}}}, {login}"#);
            let (old, new) = (of(old), of(new));
            assert_eq!(kinds(&old, &new), [(fact.to_owned(), ChangeKind::Opened)], "{new}");
            assert_eq!(kinds(&new, &old), [(fact.to_owned(), ChangeKind::Closed)], "{old}");
        }
        let served = kinds("", r#""oauth": {},"#);
        assert_eq!(served, [("oauth".to_owned(), ChangeKind::Opened)]);
    }
}
