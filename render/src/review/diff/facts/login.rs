//! Who may log in, by what, and what a session lets through.

use postern_document::{
    Breached, BreachedSource, Document, Fingerprint, Login, OnChange, OnFailure, OutsideProvider,
    Role,
};
use postern_limits::{Period, Rate};

use super::super::super::traffic::duration;
use super::super::fact::Says;
use super::{Facts, fingerprint, or_none};

const OWNER: &str = "login";

pub(super) fn say(document: &Document, facts: &mut Facts) {
    let has_login = document.login.is_some();
    let told = if has_login { "people log in" } else { "nobody logs in" };
    facts.say(OWNER, "", Says::amount(u64::from(has_login), told));
    let Some(login) = &document.login else { return };
    roles(login, facts);
    passwords(login, facts);
    sessions(login, facts);
    limits(login, facts);
    let names = login.outside.iter().map(|provider| provider.name.clone());
    facts.say(OWNER, ".outside", Says::any_of(names));
    for provider in &login.outside {
        outside(provider, facts);
    }
    let looks = fingerprint(&format!("{:?}", login.pages));
    facts.say(OWNER, ".pages", Says::Plain(looks));
}

fn roles(login: &Login, facts: &mut Facts) {
    facts.say(OWNER, ".roles", Says::any_of(login.roles.iter().map(|role| role.name.clone())));
    // Whoever is given none has another one then.
    facts.say(OWNER, ".default_role", Says::Root(login.default_role.clone()));
    for Role { name, scopes, tier, mfa } in &login.roles {
        let owner = format!("login.roles.{name}");
        facts.say(&owner, ".scopes", Says::any_of(scopes.iter().cloned()));
        facts.say(&owner, ".tier", Says::Plain(or_none(tier.as_deref())));
        facts.say(&owner, ".mfa", Says::amount(u64::from(!mfa), mfa.to_string()));
    }
}

fn passwords(login: &Login, facts: &mut Facts) {
    let rules = &login.passwords;
    let mut say = |member: &str, says| facts.say("login.passwords", member, says);
    // The less of these, the sooner a password is found.
    let least = |number: u64, told: String| Says::Bounds(vec![(1, number)], told);
    let length = u64::try_from(rules.min_length).unwrap_or(u64::MAX);
    say(".min_length", least(length, length.to_string()));
    let memory = u64::from(rules.memory_kib);
    say(".memory", least(memory, format!("{} MiB", memory / 1024)));
    let iterations = u64::from(rules.iterations);
    say(".iterations", least(iterations, iterations.to_string()));
    let (source, away) = match &rules.breached {
        None => (Says::Root("nobody looks".to_owned()), Says::amount(2, "nobody looks")),
        Some(Breached { source, when_unavailable }) => {
            let source = match source {
                BreachedSource::File(file) => format!("the file {file}"),
                BreachedSource::RangeUrl(url) => url.clone(),
            };
            let rank = u64::from(*when_unavailable == OnFailure::Allow);
            (Says::Root(source), Says::amount(rank, when_unavailable.as_str()))
        }
    };
    say(".breached", source);
    say(".breached.when_unavailable", away);
    let passkeys = login.passkeys.as_ref().map(|rules| rules.rp_id.clone());
    facts.say("login.passkeys", ".rp_id", Says::any_of(passkeys));
}

fn sessions(login: &Login, facts: &mut Facts) {
    let rules = &login.session;
    let mut say = |member: &str, says| facts.say("login.session", member, says);
    for (member, millis) in [
        (".idle", rules.idle_ms),
        (".absolute", rules.absolute_ms),
        (".remembered", rules.remembered_ms),
    ] {
        say(member, Says::amount(millis, duration(millis)));
    }
    say(".cookie_domain", Says::any_of(rules.cookie_domain.clone()));
    facts.say(OWNER, ".hosts", Says::any_of(login.hosts.iter().cloned()));
    let Fingerprint { parts, on_change } = &login.fingerprint;
    let looked_at = parts.iter().map(|part| part.as_str().to_owned());
    facts.say(OWNER, ".fingerprint", Says::all_of(looked_at));
    let rank = match on_change {
        OnChange::End => 0,
        OnChange::AskMfa => 1,
        OnChange::Log => 2,
    };
    facts.say(OWNER, ".on_change", Says::amount(rank, on_change.as_str()));
}

fn limits(login: &Login, facts: &mut Facts) {
    let rates = &login.limits;
    for (member, rate) in [(".pair", rates.pair), (".email", rates.email), (".ip", rates.ip)] {
        facts.say("login.limits", member, allowed(rate));
    }
}

fn allowed(rate: Rate) -> Says {
    let period = match rate.period() {
        Period::Millis(millis) => duration(millis.get()),
        Period::Month => "1mo".to_owned(),
    };
    let told = format!("{}/{period}", rate.requests());
    // In time, and at once.
    Says::Bounds(vec![(rate.requests(), rate.period_ms()), (rate.requests(), 1)], told)
}

fn outside(provider: &OutsideProvider, facts: &mut Facts) {
    let owner = format!("login.outside.{}", provider.name);
    let mut say = |member: &str, says| facts.say(&owner, member, says);
    say(".issuer", Says::Root(provider.issuer.clone()));
    say(".client_id", Says::Root(provider.client_id.clone()));
    // Where it is, not what it is.
    say(".client_secret", Says::Plain(provider.client_secret.clone()));
    say(".scopes", Says::Plain(provider.scopes.join(" ")));
    say(".title", Says::Plain(provider.title.clone()));
    say(".users", Says::Root(provider.users.as_str().to_owned()));
    say(".role", Says::Root(or_none(provider.role.as_deref())));
    let claim = provider.role_claim.as_ref();
    say(".role_claim", Says::Root(or_none(claim.map(|claim| claim.claim.as_str()))));
    let values = claim.into_iter().flat_map(|claim| &claim.values);
    say(".role_claim.values", Says::any_of(values.map(|(value, role)| format!("{value}: {role}"))));
    say(".domains", Says::any_of_or_all(&provider.domains));
}

#[cfg(test)]
mod tests {
    use postern_document::from_json;

    use super::super::super::fact::compare;
    use super::super::of;
    use crate::review::model::ChangeKind;

    /// A document where people log in, with more of `login` and of a route.
    fn changes(old: (&str, &str), new: (&str, &str)) -> Vec<(String, ChangeKind)> {
        let facts = |(login, route): (&str, &str)| {
            let text = format!(
                r#"{{"version": 1, "issuer": "https://login.shop.test", "oauth": {{}},
                    "credentials": {{"session": {{"cookie": "sid"}}}},
                    "login": {{"default_role": "user", "roles": {{"user": {{}}}} {login}}},
                    "routes": [{{"name": "r", "match": {{"path": "/r"}}, "service": "postern",
                                 {route}}}]}}"#
            );
            of(&from_json(text.as_bytes()).unwrap_or_else(|found| panic!("{found:?}")))
        };
        let found = compare(&facts(old), &facts(new)).into_iter();
        found.map(|noted| (format!("{}{}", noted.owner, noted.member), noted.kind)).collect()
    }

    const OPEN: &str = r#""auth": "none""#;

    #[test]
    fn what_makes_log_in_easier_opens() {
        for (old, new, fact) in [
            (r#", "passwords": {"min_length": 12}"#, "", "login.passwords.min_length"),
            (r#", "passwords": {"memory": 64}"#, "", "login.passwords.memory"),
            (r#", "passwords": {"iterations": 4}"#, "", "login.passwords.iterations"),
            (r#", "session": {"idle": "1h"}"#, "", "login.session.idle"),
            (r#", "session": {"absolute": "1d"}"#, "", "login.session.absolute"),
            (r#", "session": {"remembered": "8d"}"#, "", "login.session.remembered"),
            ("", r#", "session": {"cookie_domain": "shop.test"}"#, "login.session.cookie_domain"),
            ("", r#", "passkeys": {}"#, "login.passkeys.rp_id"),
            (r#", "fingerprint": ["ip_prefix"]"#, "", "login.fingerprint"),
            (
                r#", "fingerprint": ["ip_prefix"], "on_change": "end""#,
                r#", "fingerprint": ["ip_prefix"]"#,
                "login.on_change",
            ),
            ("", r#", "limits": {"pair": "10/15m"}"#, "login.limits.pair"),
            ("", r#", "limits": {"ip": "200/15m"}"#, "login.limits.ip"),
        ] {
            let kind = |kind| [(fact.to_owned(), kind)];
            assert_eq!(changes((old, OPEN), (new, OPEN)), kind(ChangeKind::Opened), "{new}");
            assert_eq!(changes((new, OPEN), (old, OPEN)), kind(ChangeKind::Closed), "{old}");
        }
    }

    #[test]
    fn a_route_that_asks_for_less_of_log_in_opens() {
        let auth = |more: &str| format!(r#""auth": {{"any": ["session"] {more}}}"#);
        for (old, new) in [
            (r#", "mfa": "within 5m""#, r#", "mfa": "within 15m""#),
            (r#", "mfa": "within 15m""#, r#", "mfa": "required""#),
            (r#", "mfa": "required""#, ""),
        ] {
            let (old, new) = (auth(old), auth(new));
            let kind = |kind| [("routes.r.auth.mfa".to_owned(), kind)];
            assert_eq!(changes(("", &old), ("", &new)), kind(ChangeKind::Opened), "{new}");
            assert_eq!(changes(("", &new), ("", &old)), kind(ChangeKind::Closed), "{old}");
        }
        let login = changes(("", &auth("")), ("", &auth(r#", "login": true"#)));
        assert_eq!(login, [("routes.r.auth.login".to_owned(), ChangeKind::Changed)]);
        let web = format!(r#"{OPEN}, "security_headers": "web""#);
        let headers = changes(("", OPEN), ("", &web));
        assert_eq!(headers, [("routes.r.security_headers".to_owned(), ChangeKind::Opened)]);
    }
}
