//! Issuers and API keys.

use std::collections::BTreeSet;

use postern_jose::{ClaimsRules, Issuer, KeySet};
use postern_request::headers::{self, is_identity_value, is_safe_value};
use postern_request::principal::{Credential, Principal};

use super::services::read_upstream;
use crate::decode::Named;
use crate::digest;
use crate::model::{ApiKey, JwksSource, JwtIssuer, OWN_SERVICE};
use crate::problem::Problems;
use crate::raw::{RawApiKey, RawCredentials, RawIssuer, RawJwks, RawService, Text};
use crate::value;

const DEFAULT_LEEWAY_MS: u64 = 60_000;
const MAX_LEEWAY_MS: u64 = 300_000;
const DEFAULT_REFRESH_MS: u64 = 300_000;

/// `own` is the issuer of the suite's own tokens.
pub(super) fn check(
    raw: Option<&RawCredentials>,
    own: Option<&Text>,
    services: &Named<RawService>,
    problems: &mut Problems,
) -> (Vec<JwtIssuer>, Vec<ApiKey>) {
    let mut issuers: Vec<JwtIssuer> = Vec::new();
    let mut keys: Vec<ApiKey> = Vec::new();
    let Some(raw) = raw else {
        return (issuers, keys);
    };
    if let Some(jwt) = &raw.jwt {
        if jwt.issuers.is_empty() && !problems.any_below("credentials.jwt.issuers") {
            let message = "name at least one issuer, or leave `jwt` out";
            problems.report_as(jwt.at, "credentials.jwt.issuers", message);
        }
        for (at, issuer) in jwt.issuers.iter().enumerate() {
            let path = format!("credentials.jwt.issuers[{at}]");
            if issuers.iter().any(|known| known.issuer.issuer == issuer.issuer.value) {
                problems.report_as(issuer.issuer.at, &path, "this issuer is named twice");
            }
            check_own_keys(issuer, own, &path, problems);
            issuers.extend(check_issuer(issuer, &path, services, problems));
        }
    }
    for (at, key) in raw.api_key.iter().flat_map(|api_key| api_key.keys.iter().enumerate()) {
        let path = format!("credentials.api_key.keys[{at}]");
        if keys.iter().any(|known| known.id == key.id.value) {
            problems.report_as(key.id.at, &path, "this key's id is there twice");
        }
        keys.extend(check_key(key, &path, problems));
    }
    (issuers, keys)
}

fn check_issuer(
    raw: &RawIssuer,
    path: &str,
    services: &Named<RawService>,
    problems: &mut Problems,
) -> Option<JwtIssuer> {
    if raw.issuer.is_empty() || !is_safe_value(&raw.issuer) {
        problems.report_as(raw.issuer.at, &format!("{path}.issuer"), "expected the issuer's `iss`");
    }
    if raw.audiences.is_empty() {
        // Without one, a token for any other service of the issuer opens this one too.
        let message = "name the audiences (`aud`) that tokens must be for";
        problems.report_as(raw.at, &format!("{path}.audiences"), message);
    }
    let leeway_ms = raw.leeway.as_ref().map_or(DEFAULT_LEEWAY_MS, |leeway| {
        if leeway.millis > MAX_LEEWAY_MS {
            let message = "a leeway beyond 5m keeps ended tokens alive";
            problems.report_as(leeway.at, &format!("{path}.leeway"), message);
        }
        leeway.millis
    });
    let claim_headers = check_claim_headers(raw, path, problems);
    let jwks = check_jwks(&raw.jwks, &format!("{path}.jwks"), services, problems)?;
    Some(JwtIssuer {
        issuer: Issuer {
            issuer: raw.issuer.value.clone(),
            audiences: raw.audiences.iter().map(|audience| audience.value.clone()).collect(),
            leeway_secs: leeway_ms.div_ceil(1000),
            rules: ClaimsRules { claim_headers, ..ClaimsRules::default() },
        },
        jwks,
    })
}

/// The suite's own keys prove its own tokens and no others.
fn check_own_keys(raw: &RawIssuer, own: Option<&Text>, path: &str, problems: &mut Problems) {
    let service = raw.jwks.service.as_ref();
    let Some(service) = service.filter(|name| name.as_str() == OWN_SERVICE) else {
        return;
    };
    let message = match own {
        Some(own) if own.value == raw.issuer.value => return,
        Some(own) => format!(
            "the suite signs for `{}`, the `issuer` at the top of the document: its keys are not those of `{}`",
            own.value, raw.issuer.value
        ),
        None => "without an `issuer` at the top of the document the suite has no keys".to_owned(),
    };
    problems.report_as(service.at, &format!("{path}.jwks"), message);
}

fn check_claim_headers(
    raw: &RawIssuer,
    path: &str,
    problems: &mut Problems,
) -> Vec<(String, String)> {
    let mut headers = Vec::new();
    for (header, claim) in raw.claim_headers.iter().flat_map(|map| &map.0) {
        let path = format!("{path}.claim_headers");
        if let Err(message) = value::check_name(header) {
            problems.report_as(header.at, &path, message);
        } else if header.contains('_') {
            let message = "write `-` for `_`: some servers read both as one header";
            problems.report_as(header.at, &path, message);
        } else if ["authorization", "cookie"].contains(&header.as_str()) {
            let message = "this header carries credentials; choose a name of its own";
            problems.report_as(header.at, &path, message);
        } else if header.value == headers::TRACEPARENT {
            problems.report_as(header.at, &path, "the bundle writes this header itself");
        }
        if claim.is_empty() {
            problems.report_as(claim.at, &path, "name the claim");
        }
        headers.push((header.value.clone(), claim.value.clone()));
    }
    headers
}

fn check_jwks(
    raw: &RawJwks,
    path: &str,
    services: &Named<RawService>,
    problems: &mut Problems,
) -> Option<JwksSource> {
    let ways = [&raw.inline, &raw.file, &raw.uri, &raw.service];
    if ways.iter().filter(|way| way.is_some()).count() != 1 {
        let message = "say exactly one of `inline`, `file`, `uri` and `service`";
        problems.report_as(raw.at, path, message);
        return None;
    }
    let refresh_ms = raw.refresh.as_ref().map_or(DEFAULT_REFRESH_MS, |refresh| {
        if !(1000..=86_400_000).contains(&refresh.millis) {
            problems.report_as(refresh.at, &format!("{path}.refresh"), "expected 1s to 1d");
        }
        refresh.millis
    });
    if let Some(inline) = &raw.inline {
        return match KeySet::parse(inline.as_bytes()) {
            Ok(keys) => Some(JwksSource::Inline(keys)),
            Err(error) => {
                problems.report_as(inline.at, path, error.to_string());
                None
            }
        };
    }
    if let Some(uri) = &raw.uri {
        return check_uri(uri, path, refresh_ms, problems);
    }
    let service = raw.service.as_ref()?;
    if service.value != OWN_SERVICE && !services.has(service) {
        problems.report_as(service.at, path, format!("there is no service `{}`", service.value));
    }
    let key_path = raw.path.as_ref().map_or("/oauth2/jwks", |path| path.value.as_str());
    if !key_path.starts_with('/') {
        problems.report_as(raw.at, &format!("{path}.path"), "a path begins with a slash");
    }
    Some(JwksSource::Service {
        service: service.value.clone(),
        path: key_path.to_owned(),
        refresh_ms,
    })
}

fn check_uri(
    uri: &Text,
    path: &str,
    refresh_ms: u64,
    problems: &mut Problems,
) -> Option<JwksSource> {
    let parsed = read_uri(uri);
    if parsed.is_none() {
        problems.report_as(uri.at, path, "expected an http or https URL");
    }
    let (tls, authority, key_path) = parsed?;
    Some(JwksSource::Uri { uri: uri.value.clone(), tls, authority, path: key_path, refresh_ms })
}

/// Whether it is https, HOST:PORT, and path with query.
fn read_uri(uri: &str) -> Option<(bool, String, String)> {
    let (tls, rest) = match uri.strip_prefix("https://") {
        Some(rest) => (true, rest),
        None => (false, uri.strip_prefix("http://")?),
    };
    let (authority, path) = match rest.find('/').and_then(|at| rest.split_at_checked(at)) {
        Some((authority, path)) => (authority, path),
        None => (rest, "/"),
    };
    let default_port = if tls { ":443" } else { ":80" };
    let authority = match read_upstream(authority) {
        Some(_) => authority.to_owned(),
        None => format!("{authority}{default_port}"),
    };
    read_upstream(&authority)?;
    (!path.contains([' ', '#'])).then(|| (tls, authority, path.to_owned()))
}

/// RFC 6749 §3.3
pub(super) fn is_scope(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

fn check_key(raw: &RawApiKey, path: &str, problems: &mut Problems) -> Option<ApiKey> {
    let is_id =
        |id: &str| (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric());
    if !is_id(&raw.id) {
        let message = "an id is 1 to 64 letters and digits";
        problems.report_as(raw.id.at, &format!("{path}.id"), message);
    }
    let texts = [Some(&raw.subject), raw.client_id.as_ref(), raw.tier.as_ref()];
    for text in texts.into_iter().flatten().chain(&raw.scopes) {
        if !is_identity_value(text) {
            let message = "expected a text that can stand in a header, without space at its ends";
            problems.report_as(text.at, path, message);
        }
    }
    if let Some(scope) = raw.scopes.iter().find(|scope| !is_scope(scope)) {
        problems.report_as(scope.at, path, "a scope has no spaces, quotes or backslashes");
    }
    let mut seen = BTreeSet::new();
    if let Some(scope) = raw.scopes.iter().find(|scope| !seen.insert(scope.as_str())) {
        problems.report_as(scope.at, path, "this scope is there twice");
    }
    let sha256 = digest::sha256_from_hex(&raw.sha256);
    if sha256.is_none() {
        let message = "expected SHA-256 of the whole key, 64 hexadecimal digits";
        problems.report_as(raw.sha256.at, &format!("{path}.sha256"), message);
    }
    let text = |text: &Option<Text>| text.as_ref().map(|text| text.value.clone());
    Some(ApiKey {
        id: raw.id.value.clone(),
        sha256: sha256?,
        principal: Principal {
            subject: raw.subject.value.clone(),
            client_id: text(&raw.client_id),
            scopes: raw.scopes.iter().map(|scope| scope.value.clone()).collect(),
            tier: text(&raw.tier),
            credential: Credential::ApiKey,
            ..Principal::default()
        },
    })
}
