//! What single routes leave open.

use postern_document::{
    Allowance, AppliedLimit, Auth, ClaimRule, Document, Fallback, Mfa, Route, Segment,
};
use postern_limits::key::KeyPart;
use postern_request::principal::Credential;

use super::super::ask::{Caller, Oracle};
use super::super::catalogue::{
    CALLER_CHOSEN_CANARY, FAULT_IN_PRODUCTION, KEPT_PAST_FILTERS, NO_LIMIT, NOT_ENFORCED,
    OPTIONAL_CREDENTIAL, UNBOUNDED_TIMEOUT, UNPROTECTED_ROUTE,
};
use super::super::model::{Finding, Severity};
use super::super::{place, traffic, witness};

/// Past this, a connection is held for longer than anybody waits.
const LONG_TIMEOUT_MS: u64 = 300_000;

pub(super) fn look(
    document: &Document,
    route: &Route,
    oracle: &Oracle<'_>,
    found: &mut Vec<Finding>,
) {
    let subject = format!("routes.{}", route.name);
    let at = || place::of(document, &subject);
    let mut push = |finding: Finding| found.push(finding.at(at()));

    if route.auth == Auth::None {
        let mut finding = unprotected(route, &subject);
        if let Some(target) = witness::example(document, route) {
            let answer = oracle.ask(route, Caller::Nobody, &target);
            finding = finding.shown_by(format!("{}, by nobody: {}", target.line(), answer.text));
        }
        push(finding);
    }
    if is_optional(&route.auth) {
        let text = "who shows no credential passes as nobody; a bad one is refused";
        push(Finding::new(&OPTIONAL_CREDENTIAL, &subject, text));
    }
    let percent = route.enforce.percent();
    if percent < 100 && (route.auth != Auth::None || limits(route).next().is_some()) {
        let (severity, mut text) = if percent == 0 {
            (Severity::High, "nobody is held to its rules: they are only written down".to_owned())
        } else {
            (Severity::Medium, format!("only {percent} % of its requests are held to its rules"))
        };
        if route.auth.accepts(Credential::Session) {
            text.push_str(
                "; who has no session, or comes from a page of another site, passes as nobody",
            );
        }
        push(Finding::new(&NOT_ENFORCED, &subject, text).graded(severity));
    }
    if !limits(route).any(counts_callers) {
        let open = route.auth == Auth::None || is_optional(&route.auth);
        let severity = if open { Severity::Medium } else { Severity::Info };
        let text = "no limit counts by address or by who calls";
        push(Finding::new(&NO_LIMIT, &subject, text).graded(severity));
    }
    if route.timeout_ms > LONG_TIMEOUT_MS {
        let text = format!("a request may take {} s", route.timeout_ms / 1000);
        push(Finding::new(&UNBOUNDED_TIMEOUT, &subject, text));
    }
    if !route.descriptors.is_empty() && matches!(route.fallback, Some(Fallback::Stale(_))) {
        let text = "while its circuit is open, kept answers go out before the rate limit service \
                    is asked, and its `descriptors` count none of them";
        push(Finding::new(&KEPT_PAST_FILTERS, &subject, text).graded(Severity::Low));
    }
    for header in traffic::canary_headers(route) {
        if !writes(document, header) {
            let text = format!("`{header}` picks a version, and callers choose what it says");
            push(Finding::new(&CALLER_CHOSEN_CANARY, &subject, text));
        }
    }
    if let Some(fault) = traffic::fault(route) {
        push(Finding::new(
            &FAULT_IN_PRODUCTION,
            &subject,
            format!("requests are disturbed: {fault}"),
        ));
    }
}

/// Where the suite serves what callers without a credential come for: tokens, keys, log-in.
const WAYS_IN: [&str; 4] = ["oauth2", ".well-known", "login", "auth"];

fn unprotected(route: &Route, subject: &str) -> Finding {
    let first = route.path.segments().first();
    let is_way_in =
        matches!(first, Some(Segment::Literal(name)) if WAYS_IN.contains(&name.as_str()));
    if route.service.is_none() && is_way_in {
        let text = format!(
            "everybody may call {} of the suite itself, as it must be: who has no credential yet \
             gets one there",
            route.path
        );
        let finding = Finding::new(&UNPROTECTED_ROUTE, subject, text).graded(Severity::Info);
        return finding
            .advising("Leave it without `auth`: the suite judges itself what it is sent.");
    }
    let text = format!("everybody may call {} of {}", route.path, route.service_name());
    Finding::new(&UNPROTECTED_ROUTE, subject, text).graded(openness(route))
}

/// How grave it is that a route is open.
fn openness(route: &Route) -> Severity {
    let reads = |method: &String| matches!(method.as_str(), "GET" | "HEAD");
    if route.service.is_none() {
        Severity::Low
    } else if !route.methods.is_empty() && route.methods.iter().all(reads) {
        Severity::Medium
    } else {
        Severity::High
    }
}

const fn is_optional(auth: &Auth) -> bool {
    matches!(auth, Auth::Rules { optional: true, .. })
}

/// All limits of a route that refuse somebody.
pub(super) fn limits(route: &Route) -> impl Iterator<Item = &AppliedLimit> {
    let all = route.local_limits.iter().chain(&route.exact_limits).chain(&route.leased_limits);
    all.filter(|applied| !applied.limit.shadow && applied.limit.allowance != Allowance::Unlimited)
}

fn counts_callers(applied: &AppliedLimit) -> bool {
    let of_caller = |part: &KeyPart| *part == KeyPart::Ip || part.needs_principal();
    applied.limit.key.iter().any(of_caller)
}

/// Whether the bundle writes a header, and takes it away where it comes from outside.
pub(in crate::review) fn writes(document: &Document, header: &str) -> bool {
    header.starts_with(postern_request::headers::IDENTITY_PREFIX)
        || document.claim_headers().any(|written| written == header)
}

/// Whether somebody whom `wide` refuses passes by the rules of `narrow`.
pub(in crate::review) fn asks_less(narrow: &Route, wide: &Route) -> bool {
    let Auth::Rules { any, scopes, optional, token, mfa } = &wide.auth else {
        return false;
    };
    if narrow.enforce.percent() < wide.enforce.percent() {
        return true;
    }
    let Auth::Rules { any: any2, scopes: scopes2, optional: optional2, token: token2, mfa: mfa2 } =
        &narrow.auth
    else {
        return true;
    };
    let age =
        |mfa: &Option<Mfa>| mfa.map_or(u64::MAX, |mfa| mfa.within_secs.unwrap_or(u64::MAX - 1));
    let subset = |few: &[String], many: &[String]| few.iter().all(|one| many.contains(one));
    // An empty list of these takes all of them.
    let wider = |few: &[String], many: &[String]| {
        !many.is_empty() && (few.is_empty() || !subset(few, many))
    };
    let wider_issuers = !token.issuers.is_empty()
        && (token2.issuers.is_empty()
            || !token2.issuers.iter().all(|issuer| token.issuers.contains(issuer)));
    // Who asks for fewer values of a claim asks more.
    let implied = |rule: &ClaimRule| {
        let mut same = token2.claims.iter().filter(|other| other.claim == rule.claim);
        same.any(|other| subset(&other.values, &rule.values))
    };
    (*optional2 && !*optional)
        || !any2.iter().all(|credential| any.contains(credential))
        || !subset(scopes, scopes2)
        || wider_issuers
        || age(mfa2) > age(mfa)
        || wider(&token2.audiences, &token.audiences)
        || !token.claims.iter().all(implied)
        || (token.proof.is_some() && token2.proof != token.proof)
        || traffic::takes_more_peers(narrow, wide)
}
