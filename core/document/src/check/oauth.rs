//! The authorization server.

use std::collections::BTreeSet;

use postern_request::shown::is_one_line;

use super::credentials::is_scope;
use super::numbers::milliseconds;
use super::urls::{self, Web};
use crate::decode::closest;
use crate::model::{
    CertificateSource, DeviceRules, OAuth, OAuthGrant, ProtectedResource, RefreshRules,
    Registration, RegistrationMode, SigningAlgorithm,
};
use crate::problem::{Position, Problems};
use crate::raw::{
    RawDevice, RawDocument, RawOAuth, RawRefreshToken, RawRegistration, RawResource, Text,
};

/// Scopes that mean something by themselves (OpenID Connect Core §5.4, §11), and those of the suite
/// itself.
pub(crate) const KNOWN_SCOPES: [&str; 6] =
    ["openid", "profile", "email", "offline_access", "postern.admin", "client.register"];
/// The scope of the admin API, and that by which clients may be registered. No client that has
/// registered itself may ask for them, whoever would agree.
const OWN_SCOPES: [&str; 2] = ["postern.admin", "client.register"];
impl OAuth {
    /// Whether there is such a scope: the document names it, or it means something by itself.
    #[must_use]
    pub fn knows_scope(&self, name: &str) -> bool {
        KNOWN_SCOPES.contains(&name) || self.scopes.iter().any(|(known, _)| known == name)
    }
}

/// Where nobody logs in, clients get tokens of their own, and there is nothing else to get.
const GRANTS_WITHOUT_LOGIN: [OAuthGrant; 1] = [OAuthGrant::ClientCredentials];
const DEFAULT_GRANTS: [OAuthGrant; 4] = [
    OAuthGrant::AuthorizationCode,
    OAuthGrant::RefreshToken,
    OAuthGrant::ClientCredentials,
    OAuthGrant::DeviceCode,
];
const MAX_TEXT_CHARS: usize = 200;

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const LONGEST: u64 = 365 * DAY;

pub(super) fn check(document: &RawDocument, problems: &mut Problems) -> Option<OAuth> {
    let raw = document.oauth.get()?;
    check_issuer(document, raw.at, problems);
    check_stores(document, problems);
    check_certificates(document, raw, problems);
    let grants = check_grants(raw, document.login.get().is_some(), problems);
    let access = raw.access_token.as_ref();
    let lifetime = access.and_then(|access| access.lifetime.as_ref());
    let path = "oauth.access_token.lifetime";
    let access_ms = milliseconds(lifetime, MINUTE..=DAY, "1m to 24h", path, problems);
    let code = raw.code.as_ref().and_then(|code| code.lifetime.as_ref());
    let bounds = 10 * SECOND..=10 * MINUTE;
    let code_ms = milliseconds(code, bounds, "10s to 10m", "oauth.code.lifetime", problems);
    let rotate = raw.keys.as_ref().and_then(|keys| keys.rotate_every.as_ref());
    let path = "oauth.keys.rotate_every";
    let rotate_every_ms = milliseconds(rotate, DAY..=LONGEST, "1d to 365d", path, problems);
    Some(OAuth {
        scopes: check_scopes(raw, problems),
        device: check_device(raw.device.as_ref(), &grants, problems),
        grants,
        access_token_secs: access_ms.unwrap_or(HOUR) / SECOND,
        algorithm: access.and_then(|access| access.algorithm).unwrap_or(SigningAlgorithm::Rs256),
        refresh: check_refresh(raw.refresh_token.as_ref(), problems),
        code_secs: code_ms.unwrap_or(10 * MINUTE) / SECOND,
        require_par: raw.require_pushed_requests.unwrap_or(false),
        resources: check_resources(document, raw, problems),
        registration: check_registration(raw, problems),
        rotate_every_ms,
        mutual_tls: raw.mutual_tls,
        cors_origins: check_origins(raw, problems),
    })
}

/// Whether a document gives a scope a meaning.
fn knows(raw: &RawOAuth, scope: &str) -> bool {
    let mut named = raw.scopes.iter().flat_map(|scopes| &scopes.0);
    KNOWN_SCOPES.contains(&scope) || named.any(|(name, _)| name.value == scope)
}

/// Scopes that something is given, each known and named once.
pub(super) fn check_given<'s>(
    raw: Option<&RawOAuth>,
    scopes: impl IntoIterator<Item = &'s Text>,
    path: &str,
    problems: &mut Problems,
) -> Vec<String> {
    let mut given: Vec<String> = Vec::new();
    for scope in scopes {
        let is_known = raw.is_none_or(|raw| knows(raw, scope));
        if given.contains(&scope.value) {
            problems.report_as(scope.at, path, "this scope is there twice");
        } else if !is_known && !problems.any_below("oauth.scopes") {
            let named = raw.into_iter().flat_map(|raw| &raw.scopes);
            let named = named.flat_map(|scopes| &scopes.0).map(|(name, _)| name.as_str());
            let known: Vec<&str> = KNOWN_SCOPES.into_iter().chain(named).collect();
            let meant =
                closest(scope, &known).map(|known| format!("did you mean `{known}`? Else "));
            let (scope_name, meant) = (scope.escape_debug(), meant.unwrap_or_default());
            let message = format!(
                "`oauth.scopes` says nothing of `{scope_name}`: {meant}add `{scope_name}: TEXT` \
                 under `oauth.scopes`"
            );
            problems.report_as(scope.at, path, message);
        }
        given.push(scope.value.clone());
    }
    given
}

/// RFC 8414 §3 puts a path behind the well-known part, where nobody else of ours looks.
fn check_issuer(document: &RawDocument, at: Position, problems: &mut Problems) {
    let Some(issuer) = &document.issuer else {
        let message = "an authorization server has a name: say `issuer` at the top of the document";
        problems.report_as(at, "oauth", message);
        return;
    };
    // What is no URL was reported as such.
    if Web::parse(issuer).is_some_and(|web| !web.rest.is_empty()) {
        let message = "with `oauth` the issuer is a host alone, without path and query";
        problems.report_as(issuer.at, "issuer", message);
    }
}

/// What one replica remembers, another would not know. Without an address here, the command line
/// has the word.
fn check_stores(document: &RawDocument, problems: &mut Problems) {
    let Some(stores) = &document.stores else { return };
    let replicas = stores.replicas.as_ref().map_or(1, |replicas| replicas.value);
    let volatile = stores.volatile.as_ref().filter(|volatile| volatile.as_str() == "memory");
    if let (Some(volatile), true) = (volatile, replicas > 1) {
        let message = "codes, sessions and refresh tokens would be in one replica's memory: with \
                       `oauth` and more replicas, name the Redis that they share";
        problems.report_as(volatile.at, "stores.volatile", message);
    }
}

/// Envoy either tells the certificate that it has seen itself, or leaves what a proxy has told.
fn check_certificates(document: &RawDocument, raw: &RawOAuth, problems: &mut Problems) {
    let jwt = document.credentials.as_ref().and_then(|credentials| credentials.jwt.as_ref());
    let bound = jwt.and_then(|jwt| jwt.bound.as_ref()).and_then(|bound| bound.certificate);
    if raw.mutual_tls == Some(CertificateSource::Connection)
        && bound == Some(CertificateSource::Forwarded)
    {
        let message = "`credentials.jwt.bound.certificate: forwarded` takes certificates from the \
                       proxy in front, and `connection` would overwrite what it says: say the same \
                       in both places";
        problems.report_as(raw.at, "oauth.mutual_tls", message);
    }
}

fn check_scopes(raw: &RawOAuth, problems: &mut Problems) -> Vec<(String, String)> {
    let mut scopes = Vec::new();
    for (name, text) in raw.scopes.iter().flat_map(|scopes| &scopes.0) {
        let path = format!("oauth.scopes.{}", name.escape_debug());
        if !is_scope(name) {
            problems.report_as(name.at, &path, "a scope has no spaces, quotes or backslashes");
        }
        if !is_one_line(text, MAX_TEXT_CHARS) {
            let message = format!(
                "tell people what it allows, in 1 to {MAX_TEXT_CHARS} characters on one line"
            );
            problems.report_as(text.at, &path, message);
        }
        scopes.push((name.value.clone(), text.value.clone()));
    }
    scopes
}

fn check_grants(raw: &RawOAuth, has_login: bool, problems: &mut Problems) -> Vec<OAuthGrant> {
    const PATH: &str = "oauth.grants";
    let Some(grants) = &raw.grants else {
        return if has_login { DEFAULT_GRANTS.to_vec() } else { GRANTS_WITHOUT_LOGIN.to_vec() };
    };
    if grants.is_empty() && !problems.any_below(PATH) {
        let message = "name at least one way to get tokens, or leave `grants` out";
        problems.report_as(raw.at, PATH, message);
    }
    let mut seen = BTreeSet::new();
    if let Some(twice) = grants.iter().find(|grant| !seen.insert(**grant)) {
        problems.report_as(raw.at, PATH, format!("`{}` is there twice", twice.as_str()));
    }
    let takes_users = |grant: &&OAuthGrant| {
        use OAuthGrant::{AuthorizationCode, DeviceCode, RefreshToken};
        matches!(grant, AuthorizationCode | DeviceCode | RefreshToken)
    };
    if let Some(first) = grants.iter().find(takes_users).filter(|_| !has_login) {
        let message = format!(
            "nobody could get a token by `{}`, because nobody can log in: say how in `login`, or \
             leave it out",
            first.as_str()
        );
        problems.report_as(raw.at, PATH, message);
    }
    grants.clone()
}

fn check_refresh(raw: Option<&RawRefreshToken>, problems: &mut Problems) -> RefreshRules {
    const PATH: &str = "oauth.refresh_token";
    let bounds = 5 * MINUTE..=LONGEST;
    let (lifetime, remembered, grace) = raw.map_or((None, None, None), |raw| {
        (raw.lifetime.as_ref(), raw.remembered.as_ref(), raw.grace.as_ref())
    });
    let path = format!("{PATH}.lifetime");
    let idle = milliseconds(lifetime, bounds.clone(), "5m to 365d", &path, problems);
    let idle = idle.unwrap_or(7 * DAY);
    let path = format!("{PATH}.remembered");
    let longer = milliseconds(remembered, bounds, "5m to 365d", &path, problems);
    if let (Some(field), Some(longer)) = (remembered, longer)
        && longer < idle
    {
        let message = "who asks to be remembered is not to be forgotten sooner than others: at \
                       least as long as `lifetime`";
        problems.report_as(field.at, &path, message);
    }
    let grace_ms = grace.map_or(10 * SECOND, |grace| {
        if grace.millis > 60 * SECOND {
            problems.report_as(grace.at, &format!("{PATH}.grace"), "expected 0s to 60s");
        }
        grace.millis
    });
    RefreshRules {
        secs: idle / SECOND,
        remembered_secs: longer.unwrap_or_else(|| idle.max(30 * DAY)) / SECOND,
        grace_ms,
    }
}

fn check_resources(
    document: &RawDocument,
    raw: &RawOAuth,
    problems: &mut Problems,
) -> Vec<ProtectedResource> {
    let mut resources: Vec<ProtectedResource> = Vec::with_capacity(raw.resources.len());
    let issuer = document.issuer.as_ref().map(|issuer| issuer.as_str());
    for (at, RawResource { resource, scopes, .. }) in raw.resources.iter().enumerate() {
        let path = format!("oauth.resources[{at}]");
        if !urls::is_absolute(resource) {
            let message = "expected an absolute URL without fragment (RFC 8707 §2)";
            problems.report_as(resource.at, &format!("{path}.resource"), message);
        } else if resources.iter().any(|known| known.resource == resource.value) {
            problems.report_as(resource.at, &path, "this resource is there twice");
        } else if issuer == Some(resource.as_str()) {
            problems.report_as(resource.at, &path, "the issuer always is one, with all scopes");
        }
        let path = format!("{path}.scopes");
        if scopes.as_ref().is_some_and(Vec::is_empty) && !problems.any_below(&path) {
            let message = "nothing could be asked for there; leave `scopes` out for all";
            problems.report_as(resource.at, &path, message);
        }
        let scopes = check_given(Some(raw), scopes.iter().flatten(), &path, problems);
        resources.push(ProtectedResource { resource: resource.value.clone(), scopes });
    }
    resources
}

fn check_registration(oauth: &RawOAuth, problems: &mut Problems) -> Registration {
    const PATH: &str = "oauth.registration";
    let nobody = RawRegistration { at: oauth.at, mode: None, scopes: None, unused_for: None };
    let raw = oauth.registration.as_ref().unwrap_or(&nobody);
    let mode = raw.mode.unwrap_or(RegistrationMode::Off);
    let is_off = mode == RegistrationMode::Off;
    let is_told = problems.any_below(PATH);
    if is_off && (raw.scopes.is_some() || raw.unused_for.is_some()) && !is_told {
        let message = "this means nothing while nobody may register: say `mode: open` or `token`";
        problems.report_as(raw.at, PATH, message);
    }
    let path = format!("{PATH}.scopes");
    if !is_off && raw.scopes.is_none() && !is_told {
        let message = "say what clients that nobody has looked at may ask for at most, `[]` for \
                       nothing";
        problems.report_as(raw.at, &path, message);
    }
    let scopes = check_given(Some(oauth), raw.scopes.iter().flatten(), &path, problems);
    let mut named = raw.scopes.iter().flatten();
    if let Some(own) = named.find(|scope| OWN_SCOPES.contains(&scope.as_str())) {
        let message = format!(
            "`{}` is for clients that an operator has made: whoever registers could talk somebody \
             into it",
            own.as_str()
        );
        problems.report_as(own.at, &path, message);
    }
    let path = format!("{PATH}.unused_for");
    let unused = raw.unused_for.as_ref();
    let unused = milliseconds(unused, DAY..=LONGEST, "1d to 365d", &path, problems);
    Registration { mode, scopes, unused_for_ms: unused.unwrap_or(90 * DAY) }
}

fn check_device(
    raw: Option<&RawDevice>,
    grants: &[OAuthGrant],
    problems: &mut Problems,
) -> DeviceRules {
    const PATH: &str = "oauth.device";
    if let Some(raw) = raw
        && !grants.contains(&OAuthGrant::DeviceCode)
        && !problems.any_below("oauth.grants")
    {
        let message = "this means nothing where `grants` leave `device_code` out";
        problems.report_as(raw.at, PATH, message);
    }
    let lifetime = raw.and_then(|raw| raw.lifetime.as_ref());
    let (bounds, path) = (MINUTE..=30 * MINUTE, format!("{PATH}.lifetime"));
    let lifetime = milliseconds(lifetime, bounds, "1m to 30m", &path, problems);
    let interval = raw.and_then(|raw| raw.interval.as_ref());
    let (bounds, path) = (5 * SECOND..=MINUTE, format!("{PATH}.interval"));
    let interval = milliseconds(interval, bounds, "5s to 60s", &path, problems);
    DeviceRules {
        secs: lifetime.unwrap_or(15 * MINUTE) / SECOND,
        interval_secs: interval.unwrap_or(5 * SECOND).div_ceil(SECOND),
    }
}

fn check_origins(raw: &RawOAuth, problems: &mut Problems) -> Vec<String> {
    let mut origins: Vec<String> = Vec::with_capacity(raw.cors_origins.len());
    for (at, origin) in raw.cors_origins.iter().enumerate() {
        let path = format!("oauth.cors_origins[{at}]");
        if let Err(message) = urls::check_origin(origin) {
            problems.report_as(origin.at, &path, message);
        } else if origins.contains(&origin.value) {
            problems.report_as(origin.at, &path, "this origin is there twice");
        }
        origins.push(origin.value.clone());
    }
    origins
}
