//! Where tokens stand, what they may be bound to, and what routes ask of them.

use postern_request::headers;
use postern_request::principal::Credential;
use postern_request::token_places::{is_token, is_unreserved};

use super::routes::{Context, report_dangling};
use crate::model::{BoundTokens, ClaimRule, Dpop, JwtIssuer, Proof, TokenPlace, TokenRules};
use crate::problem::{Position, Problems, told};
use crate::raw::{Entries, RawAuthRules, RawBound, RawDpop, RawJwt, RawTokenPlace, Text};
use crate::value;

const DEFAULT_PROOF_AGE_MS: u64 = 60_000;
/// Every place is looked at on every request that has no token in an earlier one.
const MAX_PLACES: usize = 8;
const MAX_NAME_BYTES: usize = 128;
/// Longest value of a claim that is kept with a token, in bytes.
const MAX_VALUE_BYTES: usize = 1024;

/// Where tokens stand.
pub(super) fn check_places(raw: Option<&RawJwt>, problems: &mut Problems) -> Vec<TokenPlace> {
    const PATH: &str = "credentials.jwt.from";
    let Some((jwt, from)) = raw.and_then(|raw| Some((raw, raw.from.as_ref()?))) else {
        return vec![TokenPlace::Authorization];
    };
    if from.is_empty() && !problems.any_below(PATH) {
        let message = "name at least one place, or leave `from` out";
        problems.report_as(jwt.at, PATH, message);
    }
    if let Some(beyond) = from.get(MAX_PLACES) {
        let message = told!("at most {MAX_PLACES} places are looked at");
        problems.report_as(beyond.at, PATH, message);
    }
    let mut places: Vec<TokenPlace> = Vec::with_capacity(from.len());
    for (at, raw) in from.iter().enumerate() {
        let path = told!("{PATH}[{at}]");
        let Some(place) = check_place(raw, &path, problems) else { continue };
        if places.contains(&place) {
            problems.report_as(raw.at, &path, "this place is there twice");
        }
        places.push(place);
    }
    places
}

fn check_place(raw: &RawTokenPlace, path: &str, problems: &mut Problems) -> Option<TokenPlace> {
    let one = match (&raw.header, &raw.cookie, &raw.query, &raw.websocket_protocol) {
        (Some(header), None, None, None) => {
            let place = if header.value == headers::AUTHORIZATION {
                TokenPlace::Authorization
            } else {
                TokenPlace::Header(header.value.clone())
            };
            Some((header, check_header(header), place))
        }
        (None, Some(cookie), None, None) => {
            let checked = check_name(cookie, is_token(cookie.as_bytes()), "a cookie's name");
            Some((cookie, checked, TokenPlace::Cookie(cookie.value.clone())))
        }
        (None, None, Some(query), None) => {
            let fits = !query.is_empty() && query.bytes().all(is_unreserved);
            let checked = check_name(query, fits, "a query parameter's name");
            Some((query, checked, TokenPlace::Query(query.value.clone())))
        }
        (None, None, None, Some(marker)) => {
            let checked = check_name(marker, is_token(marker.as_bytes()), "a subprotocol");
            Some((marker, checked, TokenPlace::WebSocketProtocol(marker.value.clone())))
        }
        _ => None,
    };
    let Some((name, checked, place)) = one else {
        if !problems.any_below(path) {
            let message = "say exactly one of `header`, `cookie`, `query` and `websocket_protocol`";
            problems.report_as(raw.at, path, message);
        }
        return None;
    };
    if let Err(message) = checked {
        problems.report_as(name.at, path, message);
    }
    Some(place)
}

fn check_header(header: &str) -> Result<(), String> {
    value::check_name(header)?;
    let message = match header {
        headers::COOKIE => "name the cookie: {cookie: NAME}",
        headers::WEBSOCKET_PROTOCOL => "name the marker: {websocket_protocol: NAME}",
        headers::API_KEY => "API keys stand in this header",
        headers::DPOP => "proofs stand in this header; their tokens in another one",
        headers::TRACEPARENT => "the bundle writes this header itself",
        // Envoy as it is rendered drops such headers, or refuses their requests.
        header if header.contains('_') => "write `-` for `_`: some servers read both as one header",
        _ => return Ok(()),
    };
    Err(message.to_owned())
}

fn check_name(name: &str, fits: bool, what: &str) -> Result<(), String> {
    if fits && name.len() <= MAX_NAME_BYTES {
        Ok(())
    } else {
        let rule = "letters, digits and a few signs such as `-`, `.` and `_`";
        Err(told!("{what} is 1 to {MAX_NAME_BYTES} {rule}"))
    }
}

/// Which bound tokens are taken.
pub(super) fn check_bound(raw: Option<&RawJwt>, problems: &mut Problems) -> BoundTokens {
    const PATH: &str = "credentials.jwt.bound";
    let Some(raw) = raw.and_then(|raw| raw.bound.as_ref()) else {
        return BoundTokens::default();
    };
    let RawBound { at, certificate, dpop } = raw;
    if certificate.is_none() && dpop.is_none() && !problems.any_below(PATH) {
        let message = "say what tokens may be bound to, `certificate` or `dpop`";
        problems.report_as(*at, PATH, message);
    }
    let dpop = dpop.as_ref().map(|dpop| check_dpop(dpop, problems));
    BoundTokens { certificate: *certificate, dpop }
}

fn check_dpop(raw: &RawDpop, problems: &mut Problems) -> Dpop {
    let max_age_ms = raw.max_age.as_ref().map_or(DEFAULT_PROOF_AGE_MS, |age| {
        if !(5_000..=600_000).contains(&age.millis) {
            let path = "credentials.jwt.bound.dpop.max_age";
            problems.report_as(age.at, path, "expected 5s to 10m");
        }
        age.millis
    });
    Dpop { max_age_secs: max_age_ms.div_ceil(1000) }
}

/// A claim's name or path.
pub(super) fn check_claim(claim: &Text, path: &str, problems: &mut Problems) {
    if !(1..=MAX_NAME_BYTES).contains(&claim.len()) || claim.chars().any(char::is_control) {
        let message =
            told!("a claim's name is 1 to {MAX_NAME_BYTES} bytes without control characters");
        problems.report_as(claim.at, path, message);
    }
}

/// What a route asks of tokens.
pub(super) fn check_rules(
    context: &Context<'_>,
    raw: &RawAuthRules,
    any: &[Credential],
    path: &str,
    problems: &mut Problems,
) -> TokenRules {
    let is_asked = raw.issuers.is_some()
        || raw.audiences.is_some()
        || raw.claims.is_some()
        || raw.proof.is_some();
    if is_asked && !any.contains(&Credential::Jwt) && !problems.any_below("routes[") {
        let message =
            "`issuers`, `audiences`, `claims` and `proof` are about tokens: add `jwt` to `any`";
        problems.report_as(raw.at, path, message);
    }
    let issuers = check_issuers(context, raw, path, problems);
    let audiences_path = told!("{path}.audiences");
    let audiences = listed(raw.audiences.as_deref(), raw.at, &audiences_path, problems);
    let claims = raw
        .claims
        .as_ref()
        .map(|claims| check_claims(context, claims, raw.at, &told!("{path}.claims"), problems));
    check_proof(context, raw, path, problems);
    TokenRules {
        issuers,
        audiences: audiences.iter().map(|audience| audience.value.clone()).collect(),
        claims: claims.unwrap_or_default(),
        proof: raw.proof,
    }
}

/// What a list says. An empty one would mean nobody or everybody, depending on who reads it.
fn listed<'r>(
    raw: Option<&'r [Text]>,
    at: Position,
    path: &str,
    problems: &mut Problems,
) -> Vec<&'r Text> {
    let Some(raw) = raw else { return Vec::new() };
    if raw.is_empty() && !problems.any_below("routes[") {
        problems.report_as(
            at,
            path,
            "an empty list allows nothing; name at least one, or leave it out",
        );
    }
    let mut listed: Vec<&Text> = Vec::with_capacity(raw.len());
    for text in raw {
        if !(1..=MAX_VALUE_BYTES).contains(&text.len()) || text.chars().any(char::is_control) {
            let message =
                told!("expected a text of 1 to {MAX_VALUE_BYTES} bytes without control characters");
            problems.report_as(text.at, path, message);
        } else if listed.iter().any(|known| known.value == text.value) {
            problems.report_as(text.at, path, told!("`{}` is there twice", text.value));
        }
        listed.push(text);
    }
    listed
}

/// What the document says of tokens. None where it says nothing, or something that cannot be
/// read: that is reported once, not for every route.
fn readable<'a>(context: &Context<'a>) -> Option<&'a RawJwt> {
    let credentials = context.raw.credentials.as_ref().filter(|_| context.all_issuers_read);
    credentials.and_then(|credentials| credentials.jwt.as_ref())
}

fn check_issuers(
    context: &Context<'_>,
    raw: &RawAuthRules,
    path: &str,
    problems: &mut Problems,
) -> Vec<usize> {
    let path = told!("{path}.issuers");
    let known: Option<Vec<&str>> = readable(context)
        .map(|jwt| jwt.issuers.iter().map(|known| known.issuer.as_str()).collect());
    let mut places = Vec::new();
    for issuer in listed(raw.issuers.as_deref(), raw.at, &path, problems) {
        if let Some(known) = known.as_ref().filter(|known| !known.contains(&issuer.as_str())) {
            report_dangling("issuer", issuer, known, &path, problems);
        }
        let is_it = |known: &JwtIssuer| known.issuer.issuer == issuer.value;
        places.extend(context.issuers.iter().position(is_it));
    }
    places
}

fn check_claims(
    context: &Context<'_>,
    raw: &Entries<Vec<Text>>,
    at: Position,
    path: &str,
    problems: &mut Problems,
) -> Vec<ClaimRule> {
    if raw.0.is_empty() && !problems.any_below("routes[") {
        problems.report_as(at, path, "name at least one claim, or leave `claims` out");
    }
    let mut rules = Vec::with_capacity(raw.0.len());
    for (claim, values) in &raw.0 {
        check_claim(claim, path, problems);
        let values = listed(Some(values), claim.at, &told!("{path}.{}", claim.value), problems);
        rules.push(ClaimRule {
            claim: claim.value.clone(),
            values: values.iter().map(|value| value.value.clone()).collect(),
            kept: context
                .issuers
                .iter()
                .map(|known| known.issuer.rules.kept_index(claim))
                .collect(),
        });
    }
    rules
}

/// A proof that nobody looks at would refuse every token, or none.
fn check_proof(context: &Context<'_>, raw: &RawAuthRules, path: &str, problems: &mut Problems) {
    let (name, is_taken) = match raw.proof {
        None => return,
        Some(Proof::Dpop) => ("dpop", context.bound.dpop.is_some()),
        Some(Proof::Certificate) => ("certificate", context.bound.certificate.is_some()),
    };
    if !is_taken && readable(context).is_some() {
        let message =
            told!("tokens that are bound so are refused: say `credentials.jwt.bound.{name}` too");
        problems.report_as(raw.at, &told!("{path}.proof"), message);
    }
}
