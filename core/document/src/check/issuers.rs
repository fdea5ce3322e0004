//! Issuers, their keys, and what of their claims is used.

mod clear_text;

use postern_jose::{ClaimsRules, Issuer, KeySet};
use postern_request::headers::{self, is_safe_value};

use super::services::read_upstream;
use super::tokens::check_claim;
use crate::decode::Named;
use crate::model::{JwksSource, JwtIssuer, KeysBy, OWN_SERVICE, TokenPlace};
use crate::problem::{Problems, told};
use crate::raw::{RawAuth, RawDocument, RawFetchedBy, RawIssuer, RawJwks, RawService, Text};
use crate::value;

const DEFAULT_LEEWAY_MS: u64 = 60_000;
const MAX_LEEWAY_MS: u64 = 300_000;
const DEFAULT_REFRESH_MS: u64 = 300_000;
/// Where a service has its keys.
const DEFAULT_KEYS_PATH: &str = "/oauth2/jwks";
/// Most claims of an issuer that go to the filter state: each costs every request a call.
const MAX_CLAIM_STATE: usize = 16;
/// Under this name the list of what is revoked has the ends of API keys, by their ids: with tokens
/// of such an issuer, a key's end would be that of a token with its id, and the other way round.
const API_KEYS_ISSUER: &str = "urn:postern:api-keys";

/// What issuers are checked against.
struct Context<'a> {
    document: &'a RawDocument,
    places: &'a [TokenPlace],
}

/// `places` is where tokens stand.
pub(super) fn check(
    document: &RawDocument,
    places: &[TokenPlace],
    problems: &mut Problems,
) -> Vec<JwtIssuer> {
    let mut issuers: Vec<JwtIssuer> = Vec::new();
    let Some(jwt) = document.credentials.as_ref().and_then(|raw| raw.jwt.as_ref()) else {
        return issuers;
    };
    if jwt.issuers.is_empty() && !problems.any_below("credentials.jwt.issuers") {
        let message = "name at least one issuer, or leave `jwt` out";
        problems.report_as(jwt.at, "credentials.jwt.issuers", message);
    }
    let context = Context { document, places };
    for (at, issuer) in jwt.issuers.iter().enumerate() {
        let path = told!("credentials.jwt.issuers[{at}]");
        if issuers.iter().any(|known| known.issuer.issuer == issuer.issuer.value) {
            problems.report_as(issuer.issuer.at, &path, "this issuer is named twice");
        }
        check_own_keys(issuer, document.issuer.as_ref(), &path, problems);
        issuers.extend(check_issuer(issuer, &path, &context, problems));
    }
    issuers
}

fn check_issuer(
    raw: &RawIssuer,
    path: &str,
    context: &Context<'_>,
    problems: &mut Problems,
) -> Option<JwtIssuer> {
    if raw.issuer.is_empty() || !is_safe_value(&raw.issuer) {
        problems.report_as(raw.issuer.at, &told!("{path}.issuer"), "expected the issuer's `iss`");
    }
    if raw.issuer.value == API_KEYS_ISSUER {
        let message = "the suite itself tells by this name of API keys that have ended, and nobody \
                       signs tokens by it";
        problems.report_as(raw.issuer.at, &told!("{path}.issuer"), message);
    }
    if raw.audiences.is_empty() {
        // Without one, a token for any other service of the issuer opens this one too.
        let message = "name the audiences (`aud`) that tokens must be for";
        problems.report_as(raw.at, &told!("{path}.audiences"), message);
    }
    let leeway_ms = raw.leeway.as_ref().map_or(DEFAULT_LEEWAY_MS, |leeway| {
        if leeway.millis > MAX_LEEWAY_MS {
            let message = "a leeway beyond 5m keeps ended tokens alive";
            problems.report_as(leeway.at, &told!("{path}.leeway"), message);
        }
        leeway.millis
    });
    let claim_headers = check_claim_headers(raw, path, context.places, problems);
    for claim in &raw.required_claims {
        check_claim(claim, &told!("{path}.required_claims"), problems);
    }
    let mut kept = claims_of_routes(raw, context.document);
    let claim_state = check_claim_state(raw, path, &mut kept, problems);
    let jwks_path = told!("{path}.jwks");
    let services = &context.document.services;
    let is_own = context.document.issuer.as_ref().is_some_and(|own| own.value == raw.issuer.value);
    let (jwks, keys_by) = match &raw.jwks {
        Some(jwks) => check_jwks(jwks, &jwks_path, services, problems)?,
        None if problems.any_below(&jwks_path) => return None,
        // Whoever signs is known; filters are told so in other words.
        None if is_own && context.document.oauth.get().is_some() => {
            let (service, path) = (OWN_SERVICE.to_owned(), DEFAULT_KEYS_PATH.to_owned());
            let refresh_ms = DEFAULT_REFRESH_MS;
            (JwksSource::Service { service, path, refresh_ms }, KeysBy::Envoy)
        }
        None => (check_discovery(raw, path, problems)?, KeysBy::Feed),
    };
    Some(JwtIssuer {
        issuer: Issuer {
            issuer: raw.issuer.value.clone(),
            audiences: raw.audiences.iter().map(|audience| audience.value.clone()).collect(),
            leeway_secs: leeway_ms.div_ceil(1000),
            // The suite signs ID tokens with the same keys, and those open no route.
            access_token_type_only: is_own,
            rules: ClaimsRules {
                claim_headers,
                required: raw.required_claims.iter().map(|claim| claim.value.clone()).collect(),
                kept,
            },
        },
        jwks,
        keys_by,
        claim_state,
    })
}

/// The claims that rules of routes are about, where these take tokens of the issuer. They come
/// before those for the filter state: there is room for so much, and a rule never holds for
/// what found none.
fn claims_of_routes(raw: &RawIssuer, document: &RawDocument) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for route in &document.routes {
        let RawAuth::Rules(rules) = &route.auth else { continue };
        let takes = rules
            .issuers
            .as_ref()
            .is_none_or(|issuers| issuers.iter().any(|issuer| issuer.value == raw.issuer.value));
        for (claim, _) in rules.claims.iter().filter(|_| takes).flat_map(|claims| &claims.0) {
            if !kept.contains(&claim.value) {
                kept.push(claim.value.clone());
            }
        }
    }
    kept
}

/// Names in the filter state and the places of their claims in `kept`, where they are added.
fn check_claim_state(
    raw: &RawIssuer,
    path: &str,
    kept: &mut Vec<String>,
    problems: &mut Problems,
) -> Vec<(String, usize)> {
    let path = told!("{path}.claim_state");
    let is_name = |name: &str| {
        (1..=32).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    let mut state: Vec<(String, usize)> = Vec::new();
    for (name, claim) in raw.claim_state.iter().flat_map(|map| &map.0) {
        if !is_name(name) {
            let message =
                "names in the filter state are 1 to 32 lower-case letters, digits and `_`";
            problems.report_as(name.at, &path, message);
        }
        if state.len() == MAX_CLAIM_STATE {
            let message = told!("at most {MAX_CLAIM_STATE} claims go to the filter state");
            problems.report_as(name.at, &path, message);
            break;
        }
        check_claim(claim, &path, problems);
        let known = kept.iter().position(|known| *known == claim.value);
        let place = known.unwrap_or_else(|| {
            kept.push(claim.value.clone());
            kept.len() - 1
        });
        state.push((name.value.clone(), place));
    }
    state
}

/// RFC 8414 §3: the metadata lies at the issuer's own address.
fn check_discovery(raw: &RawIssuer, path: &str, problems: &mut Problems) -> Option<JwksSource> {
    let issuer = &raw.issuer;
    if super::is_issuer_url(issuer) && read_uri(issuer).is_some() {
        return Some(JwksSource::Discovery { refresh_ms: DEFAULT_REFRESH_MS });
    }
    let path = told!("{path}.issuer");
    if !problems.any_below(&path) {
        let message = "keys are found from an https URL without query and fragment only (http on loopback); else say in `jwks` where they are";
        problems.report_as(issuer.at, &path, message);
    }
    None
}

/// The suite's own keys prove its own tokens and no others.
fn check_own_keys(raw: &RawIssuer, own: Option<&Text>, path: &str, problems: &mut Problems) {
    let service = raw.jwks.as_ref().and_then(|jwks| jwks.service.as_ref());
    let Some(service) = service.filter(|name| name.as_str() == OWN_SERVICE) else {
        return;
    };
    let message = match own {
        Some(own) if own.value == raw.issuer.value => return,
        Some(own) => told!(
            "the suite signs for `{}`, the `issuer` at the top of the document: its keys are not those of `{}`",
            own.value,
            raw.issuer.value
        ),
        None => "without an `issuer` at the top of the document the suite has no keys".to_owned(),
    };
    problems.report_as(service.at, &told!("{path}.jwks"), message);
}

fn check_claim_headers(
    raw: &RawIssuer,
    path: &str,
    places: &[TokenPlace],
    problems: &mut Problems,
) -> Vec<(String, String)> {
    let mut headers = Vec::new();
    for (header, claim) in raw.claim_headers.iter().flat_map(|map| &map.0) {
        let path = told!("{path}.claim_headers");
        if let Err(message) = value::check_name(header) {
            problems.report_as(header.at, &path, message);
        } else if header.contains('_') {
            let message = "write `-` for `_`: some servers read both as one header";
            problems.report_as(header.at, &path, message);
        } else if carries_credentials(header, places) {
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

/// What a claim became would stand where a credential is looked for.
fn carries_credentials(header: &str, places: &[TokenPlace]) -> bool {
    [headers::AUTHORIZATION, headers::COOKIE].contains(&header)
        || places.iter().any(|place| matches!(place, TokenPlace::Header(name) if name == header))
}

fn check_jwks(
    raw: &RawJwks,
    path: &str,
    services: &Named<RawService>,
    problems: &mut Problems,
) -> Option<(JwksSource, KeysBy)> {
    let ways = [&raw.inline, &raw.file, &raw.uri, &raw.service];
    if ways.iter().filter(|way| way.is_some()).count() != 1 {
        let message =
            "say exactly one of `inline`, `file`, `uri` and `service`, or leave `jwks` out";
        problems.report_as(raw.at, path, message);
        return None;
    }
    let by_server = raw.fetched_by == Some(RawFetchedBy::Server);
    if by_server && (raw.inline.is_some() || raw.file.is_some()) {
        let message = "keys that stand in the document or a file are fetched by nobody";
        problems.report_as(raw.at, &told!("{path}.fetched_by"), message);
    }
    let keys_by = if by_server { KeysBy::Feed } else { KeysBy::Envoy };
    let refresh_ms = raw.refresh.as_ref().map_or(DEFAULT_REFRESH_MS, |refresh| {
        if !(1000..=86_400_000).contains(&refresh.millis) {
            problems.report_as(refresh.at, &told!("{path}.refresh"), "expected 1s to 1d");
        }
        refresh.millis
    });
    if let Some(inline) = &raw.inline {
        return match KeySet::parse(inline.as_bytes()) {
            Ok(keys) if keys.keys.is_empty() => {
                problems.report_as(inline.at, path, "the set has no key, so no token would pass");
                None
            }
            Ok(keys) => Some((JwksSource::Inline(keys), KeysBy::Envoy)),
            Err(error) => {
                problems.report_as(inline.at, path, told!("{error}"));
                None
            }
        };
    }
    if let Some(uri) = &raw.uri {
        return Some((check_uri(uri, path, refresh_ms, problems)?, keys_by));
    }
    if let (Some(file), true) = (&raw.file, problems.is_empty()) {
        // Whoever reads files has put their content in place, or reported why not.
        problems.report_as(file.at, path, "files are not read here; write the set to `inline`");
    }
    let service = raw.service.as_ref()?;
    if service.value != OWN_SERVICE && !services.has(service) {
        problems.report_as(service.at, path, told!("there is no service `{}`", service.value));
    }
    let is_discovered = services.get(service).is_some_and(|found| found.discover.get().is_some());
    if by_server && is_discovered {
        let message = "the server asks where the document says, and a registry says where this \\
                       service is (`discover`): let Envoys fetch the keys, or name them by `uri`";
        problems.report_as(service.at, path, message);
    }
    let key_path = raw.path.as_ref().map_or(DEFAULT_KEYS_PATH, |path| path.value.as_str());
    if !key_path.starts_with('/') {
        problems.report_as(raw.at, &told!("{path}.path"), "a path begins with a slash");
    }
    let (service, path) = (service.value.clone(), key_path.to_owned());
    Some((JwksSource::Service { service, path, refresh_ms }, keys_by))
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
