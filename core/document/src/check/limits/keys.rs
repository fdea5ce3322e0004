//! What a limit counts by.

use postern_limits::key::KeyPart;
use postern_request::headers::is_lowercase_name;

use crate::decode::closest;
use crate::model::{ClaimSource, JwtIssuer};
use crate::problem::{Problems, told};
use crate::raw::RawLimit;

const MAX_KEY_PARTS: usize = 8;
/// What has no name of somebody else's in it.
const KNOWN: [&str; 9] = [
    "ip",
    "claim.sub",
    "claim.client_id",
    "claim.tier",
    "api_key",
    "method",
    "host",
    "service",
    "route",
];

pub(super) fn check(
    raw: &RawLimit,
    issuers: &[JwtIssuer],
    path: &str,
    problems: &mut Problems,
) -> (Vec<KeyPart>, Vec<ClaimSource>) {
    let path = told!("{path}.key");
    if raw.key.is_empty() || raw.key.len() > MAX_KEY_PARTS {
        let message = told!("name 1 to {MAX_KEY_PARTS} things to count by, for example [ip]");
        problems.report_as(raw.at, &path, message);
    }
    let mut parts: Vec<KeyPart> = Vec::with_capacity(raw.key.len());
    let mut claims = Vec::new();
    for (at, text) in raw.key.iter().enumerate() {
        let message = match KeyPart::parse(text) {
            None => told!("`{}`: {}", text.escape_debug(), meant(text)),
            Some(KeyPart::Header(name)) if !is_lowercase_name(&name) => {
                told!("`{}`: write the header's name in lower case", text.escape_debug())
            }
            Some(part) if parts.contains(&part) => "this part is there twice".to_owned(),
            Some(part) => {
                let found = sources(&part, issuers);
                let is_known = !found.is_empty() || !matches!(part, KeyPart::Claim(_));
                parts.push(part);
                claims.extend(found);
                // An issuer with a problem is not among those that were handed in.
                if is_known || problems.any_below("credentials") {
                    continue;
                }
                "limits know a claim by the header that it becomes: name both in `claim_headers` \
                 of its issuer"
                    .to_owned()
            }
        };
        problems.report_as(text.at, &told!("{path}[{at}]"), message);
    }
    (parts, claims)
}

/// What is meant by what is no part of a key.
fn meant(text: &str) -> String {
    let claim = format!("claim.{text}");
    let claim = KNOWN.into_iter().find(|known| *known == claim);
    match claim.or_else(|| closest(text, &KNOWN)) {
        Some(known) => format!("did you mean `{known}`?"),
        None => "expected ip, claim.NAME, api_key, header.NAME, path.NAME, method, host, service \
                 or route"
            .to_owned(),
    }
}

/// Where a claim is found in the tokens of each issuer whose tokens have it.
fn sources(part: &KeyPart, issuers: &[JwtIssuer]) -> Vec<ClaimSource> {
    let KeyPart::Claim(name) = part else { return Vec::new() };
    let source = |issuer: &JwtIssuer| {
        let issuer = &issuer.issuer;
        let (header, _) = issuer.rules.claim_headers.iter().find(|(_, claim)| claim == name)?;
        Some(ClaimSource {
            claim: name.clone(),
            issuer: issuer.issuer.clone(),
            header: header.clone(),
        })
    };
    issuers.iter().filter_map(source).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_and_typing_errors_are_recognised() {
        for (text, expected) in [
            ("sub", "did you mean `claim.sub`?"),
            ("client_id", "did you mean `claim.client_id`?"),
            ("apikey", "did you mean `api_key`?"),
            ("Method", "did you mean `method`?"),
        ] {
            assert_eq!(meant(text), expected, "{text}");
        }
        assert!(meant("moon").starts_with("expected ip, claim.NAME"), "{}", meant("moon"));
    }
}
