//! What the authorization server and log-in leave open.

use postern_document::{
    ADMIN_SCOPE, Breached, CertificateSource, Document, HostPattern, Login, OAuth, OnFailure,
    OutsideUsers, RegistrationMode,
};
use postern_request::principal::{Credential, IdentityHeader};

use super::super::catalogue::{
    ADMIN_BY_DEFAULT, ADMIN_WITHOUT_MFA, BREACHED_PASSWORDS, FORWARDED_CERTIFICATE, LONG_TOKENS,
    NOBODY_TOLD, OPEN_REGISTRATION, OUTLIVES_LOG_OUT, OUTSIDE_USERS, WIDE_COOKIE,
};
use super::super::model::{Finding, Severity};
use super::super::{place, witness};

/// Scopes that say who somebody is, and let a client come back.
const OF_PEOPLE: [&str; 4] = ["openid", "profile", "email", "offline_access"];
/// Past this, a token that cannot be taken back is out of hand for long.
const LONG_LIFETIME_SECS: u64 = 3600;

pub(super) fn look(document: &Document, found: &mut Vec<Finding>) {
    let mut all: Vec<Finding> = Vec::new();
    if let Some(oauth) = &document.oauth {
        all.extend(client_certificates(document, oauth));
        all.extend(lifetimes(document, oauth));
    }
    if let Some(login) = &document.login {
        all.extend(admins(login));
        all.extend(default_admins(login));
        all.extend(document.oauth.as_ref().and_then(|oauth| registration(oauth, login)));
        all.extend(cookie(document, login));
        all.extend(passwords(login));
        all.extend(outside(document, login));
    }
    all.extend(told_nothing(document));
    for finding in all {
        let at = finding.place.clone().or_else(|| place::of(document, &finding.subject));
        found.push(finding.at(at));
    }
}

/// Whoever learns one password of theirs has the admin API.
fn admins(login: &Login) -> Vec<Finding> {
    let roles = login.roles.iter().filter(|role| !role.mfa && role.opens_admin_api());
    let told = |name: &str| {
        let text = format!(
            "its users get `{ADMIN_SCOPE}`, the scope of the admin API, without a second factor"
        );
        Finding::new(&ADMIN_WITHOUT_MFA, format!("login.roles.{name}"), text)
    };
    roles.map(|role| told(&role.name)).collect()
}

/// Whoever becomes a user without a word on what they are.
fn default_admins(login: &Login) -> Option<Finding> {
    let role = login.admin_by_default()?;
    let text = format!(
        "users of whom nobody says more get the role `{}`, and with it `{ADMIN_SCOPE}`, the scope \
         of the admin API: those that are made without a role, and those whom an outside provider \
         vouches for without one",
        role.name
    );
    Some(Finding::new(&ADMIN_BY_DEFAULT, "login.default_role", text))
}

/// What a client that nobody has looked at gets, if a user agrees. Without log-in nobody could.
fn registration(oauth: &OAuth, login: &Login) -> Option<Finding> {
    let rules = &oauth.registration;
    if rules.mode != RegistrationMode::Open {
        return None;
    }
    let mut text = match rules.scopes.as_slice() {
        [] => "everybody may register a client, which may ask users for no scope".to_owned(),
        scopes => {
            let scopes = scopes.join(", ");
            format!("everybody may register a client, which may ask users for {scopes}")
        }
    };
    let can_be_given = |scope: &&String| {
        let mut roles = login.roles.iter();
        !OF_PEOPLE.contains(&scope.as_str()) && roles.any(|role| role.scopes.contains(*scope))
    };
    let given: Vec<&str> = rules.scopes.iter().filter(can_be_given).map(String::as_str).collect();
    let mut severity = OPEN_REGISTRATION.severity;
    if !given.is_empty() {
        text = format!("{text}; users have {} to give", given.join(", "));
        severity = Severity::High;
    }
    Some(Finding::new(&OPEN_REGISTRATION, "oauth.registration", text).graded(severity))
}

/// What becomes of access tokens that should have ended.
fn lifetimes(document: &Document, oauth: &OAuth) -> Option<Finding> {
    if document.revocation.is_some() || !takes_own_tokens(document) {
        return None;
    }
    let (secs, lifetime) = (oauth.access_token_secs, told(oauth.access_token_secs));
    if document.login.is_some() {
        let text = format!(
            "who logs out leaves access tokens behind that Envoy takes until they expire, up to \
             {lifetime} later: without `revocation` it hears of no session's end"
        );
        return Some(Finding::new(&OUTLIVES_LOG_OUT, "login", text));
    }
    (secs > LONG_LIFETIME_SECS).then(|| {
        let text = format!(
            "an access token lives for up to {lifetime}, and without `revocation` nobody can take \
             it back at Envoy"
        );
        Finding::new(&LONG_TOKENS, "oauth.access_token.lifetime", text)
    })
}

/// Whether a route takes tokens of the suite's own issuer.
fn takes_own_tokens(document: &Document) -> bool {
    let own = document.issuer.as_ref();
    let is_own = |index: usize| {
        document.issuers.get(index).is_some_and(|issuer| Some(&issuer.issuer.issuer) == own)
    };
    document.routes.iter().filter(|route| route.auth.accepts(Credential::Jwt)).any(|route| {
        match route.auth.token() {
            Some(token) if !token.issuers.is_empty() => token.issuers.iter().any(|at| is_own(*at)),
            _ => (0..document.issuers.len()).any(is_own),
        }
    })
}

/// How long that is, in the largest unit that it is whole in.
fn told(secs: u64) -> String {
    if secs.is_multiple_of(3600) {
        format!("{}h", secs / 3600)
    } else if secs.is_multiple_of(60) {
        format!("{}m", secs / 60)
    } else {
        format!("{secs}s")
    }
}

/// Every host below the domain is sent the cookie of every session, whoever answers there.
fn cookie(document: &Document, login: &Login) -> Option<Finding> {
    let domain = login.session.cookie_domain.as_deref()?;
    let issuer = witness::issuer_host(document)?;
    let others = other_hosts(document, login);
    let text = if others.iter().all(|host| *host == issuer) {
        format!(
            "every host below {domain} is sent the cookie of every session, and `login.hosts` \
             names none that needs it"
        )
    } else {
        let needed = others.iter().fold(issuer, |all, host| in_common(&all, host));
        let is_narrower = needed.strip_suffix(domain).is_some_and(|above| above.ends_with('.'));
        if !is_narrower {
            return None;
        }
        format!(
            "every host below {domain} is sent the cookie of every session; for `login.hosts` \
             {needed} would do"
        )
    };
    Some(Finding::new(&WIDE_COOKIE, "login.session.cookie_domain", text))
}

/// Hosts besides the issuer's that have a use for the cookie; of `*.example.test`, example.test.
fn other_hosts(document: &Document, login: &Login) -> Vec<String> {
    let takes = document.routes.iter().filter(|route| route.auth.accepts(Credential::Session));
    let of_routes = takes.flat_map(|route| &route.hosts).filter_map(|host| match host {
        HostPattern::Exact(name) => Some(name.clone()),
        HostPattern::Suffix(suffix) => Some(suffix.trim_start_matches('.').to_owned()),
        HostPattern::Any => None,
    });
    login.hosts.iter().cloned().chain(of_routes).collect()
}

/// The longest domain that both are, or are below.
fn in_common(a: &str, b: &str) -> String {
    let both = a.rsplit('.').zip(b.rsplit('.')).take_while(|(a, b)| a == b);
    let mut labels: Vec<&str> = both.map(|(label, _)| label).collect();
    labels.reverse();
    labels.join(".")
}

/// Most accounts are lost to passwords that stand in lists.
fn passwords(login: &Login) -> Option<Finding> {
    let (severity, text) = match &login.passwords.breached {
        None => {
            let text = "users may choose passwords that everybody knows: nobody looks them up";
            (Severity::Low, text)
        }
        Some(Breached { when_unavailable: OnFailure::Allow, .. }) => {
            let text = "while nobody can look, users may choose passwords that everybody knows";
            (Severity::Info, text)
        }
        Some(_) => return None,
    };
    let subject = "login.passwords.breached";
    Some(Finding::new(&BREACHED_PASSWORDS, subject, text).graded(severity))
}

/// Providers elsewhere that say who somebody is here.
fn outside(document: &Document, login: &Login) -> Vec<Finding> {
    let mut found = Vec::new();
    for (at, provider) in login.outside.iter().enumerate() {
        let text = match provider.users {
            OutsideUsers::Link => format!(
                "who has the e-mail of a user at {} is that user here, by that provider's word in \
                 place of a password",
                provider.issuer
            ),
            OutsideUsers::Create if provider.domains.is_empty() => {
                format!("everybody with an account at {} becomes a user", provider.issuer)
            }
            OutsideUsers::Create | OutsideUsers::None => continue,
        };
        let subject = format!("login.outside.{}", provider.name);
        let at = place::of(document, &format!("login.outside[{at}]"));
        found.push(Finding::new(&OUTSIDE_USERS, subject, text).at(at));
    }
    found
}

/// Clients that prove who they are by what a header says. Only a proxy in front of Envoy can have
/// seen their certificates, and with no trusted proxy there is none.
fn client_certificates(document: &Document, oauth: &OAuth) -> Option<Finding> {
    if oauth.mutual_tls != Some(CertificateSource::Forwarded) {
        return None;
    }
    let (severity, text) = if document.trusted_proxies == 0 {
        let text = "a client's certificate is taken from a header, and by `trusted_proxies` \
                    nothing stands in front of Envoy that would write it: whoever reaches Envoy \
                    can say that it is any client";
        (Severity::High, text)
    } else {
        let text = "a client's certificate is taken from a header: whoever reaches Envoy past the \
                    proxies can say that it is any client";
        (FORWARDED_CERTIFICATE.severity, text)
    };
    Some(Finding::new(&FORWARDED_CERTIFICATE, "oauth.mutual_tls", text).graded(severity))
}

/// Services behind a log-in that never hear who has logged in.
fn told_nothing(document: &Document) -> Vec<Finding> {
    if document.identity_headers.contains(&IdentityHeader::Subject) {
        return Vec::new();
    }
    // A value that the server computes may be the subject.
    let routes = document.routes.iter().filter(|route| {
        route.login().is_some()
            && route.service.is_some()
            && !route.transform.request.needs_server()
    });
    let text = "its users log in, and its service is not told who they are: `identity_headers` \
                leave `subject` out";
    let told = |name: &str| Finding::new(&NOBODY_TOLD, format!("routes.{name}"), text);
    routes.map(|route| told(&route.name)).collect()
}

#[cfg(test)]
mod tests {
    use super::{in_common, told};

    #[test]
    fn domains_have_whole_labels_in_common() {
        for (a, b, expected) in [
            ("login.a.test", "app.a.test", "a.test"),
            ("login.a.test", "x.login.a.test", "login.a.test"),
            ("ba.test", "a.test", "test"),
            ("a.test", "a.example", ""),
        ] {
            assert_eq!(in_common(a, b), expected, "{a} {b}");
            assert_eq!(in_common(b, a), expected, "{a} {b}");
        }
    }

    #[test]
    fn lifetimes_are_told_in_whole_units() {
        for (secs, expected) in [(3600, "1h"), (86_400, "24h"), (5400, "90m"), (61, "61s")] {
            assert_eq!(told(secs), expected);
        }
    }
}
