//! What holds for the whole document: failures, tokens, keys, limits.

use std::collections::BTreeSet;

use postern_document::{
    CertificateSource, Document, Limit, LimitMode, OnFailure, StoreFailure, TokenPlace,
};
use postern_limits::key::KeyPart;

use super::super::catalogue::{
    CALLER_CHOSEN_KEY, FAIL_OPEN, FORWARDED_CERTIFICATE, KEYS_IN_CLEAR, SAMPLE_KEY, TOKEN_IN_QUERY,
};
use super::super::model::{Finding, Severity};
use super::super::{place, traffic};
use super::rules::writes;

/// SHA-256 of the API key that stands in `envoy/sample.yaml`, which everybody can read.
const SAMPLE: [u8; 32] = [
    0xbc, 0xec, 0x59, 0x16, 0xd2, 0x91, 0x13, 0x5f, 0x29, 0x1a, 0xe1, 0x70, 0x0d, 0xe5, 0x01, 0xa8,
    0x94, 0xc4, 0xc4, 0xfa, 0xc8, 0x13, 0xd9, 0x21, 0xf8, 0x6f, 0xba, 0x53, 0x8c, 0x1d, 0x36, 0x2b,
];

pub(super) fn look(document: &Document, found: &mut Vec<Finding>) {
    let mut all = failures(document);
    all.extend(tokens(document));
    all.extend(limits(document));
    for finding in all {
        let at = place::of(document, &finding.subject);
        found.push(finding.at(at));
    }
}

fn failures(document: &Document) -> Vec<Finding> {
    let mut found = Vec::new();
    if document.failures.ext_authz == OnFailure::Allow && document.needs_ext_authz() {
        let text = "while the server is away, requests pass without exact limits and whatever \
                    else only the server decides";
        found.push(Finding::new(&FAIL_OPEN, "failures.ext_authz", text));
    }
    if document.failures.ext_proc == OnFailure::Allow && document.needs_ext_proc() {
        let text = "while the server is away, requests pass without the headers that it computes";
        found.push(Finding::new(&FAIL_OPEN, "failures.ext_proc", text).graded(Severity::Low));
    }
    if let Some(revocation) = document.revocation
        && revocation.when_stale == OnFailure::Allow
    {
        let text = "while an Envoy hears nothing of revoked tokens, it takes them";
        found.push(Finding::new(&FAIL_OPEN, "revocation.when_stale", text));
    }
    if traffic::rate_limit_filter_opens(document) {
        let text = "while the rate limit service is away, nothing is counted by it";
        let finding = Finding::new(&FAIL_OPEN, "rate_limit_filter.on_failure", text);
        found.push(finding.graded(Severity::Medium));
    }
    for limit in used(document) {
        let (LimitMode::Exact { when_store_fails } | LimitMode::Leased { when_store_fails, .. }) =
            limit.mode
        else {
            continue;
        };
        if when_store_fails == StoreFailure::Allow {
            let subject = format!("limits.{}.when_store_fails", limit.name);
            let text = "while its store is away, it holds nobody back";
            found.push(Finding::new(&FAIL_OPEN, subject, text).graded(Severity::Medium));
        }
    }
    found
}

fn tokens(document: &Document) -> Vec<Finding> {
    let mut found = Vec::new();
    for place in &document.token_places {
        if let TokenPlace::Query(name) = place {
            let text = format!("tokens may stand in the query parameter `{name}`");
            let subject = "credentials.jwt.from";
            found.push(Finding::new(&TOKEN_IN_QUERY, subject, text));
        }
    }
    for (issuer, from) in document.keys_in_clear_text() {
        let text = format!("the keys of `{issuer}` come in clear text from {from}");
        found.push(Finding::new(&KEYS_IN_CLEAR, "credentials.jwt.issuers", text));
    }
    if document.bound.certificate == Some(CertificateSource::Forwarded) {
        let text = "the caller's certificate is taken from a header: whoever reaches Envoy can \
                    say that it holds any";
        let subject = "credentials.jwt.bound.certificate";
        found.push(Finding::new(&FORWARDED_CERTIFICATE, subject, text));
    }
    for key in document.api_keys.iter().filter(|key| key.sha256 == SAMPLE) {
        let text = format!("the API key `{}` is the published sample", key.id);
        found.push(Finding::new(&SAMPLE_KEY, "credentials.api_key.keys", text));
    }
    found
}

fn limits(document: &Document) -> Vec<Finding> {
    let mut found = Vec::new();
    for limit in used(document) {
        for part in &limit.key {
            let KeyPart::Header(header) = part else { continue };
            if !writes(document, header) {
                let subject = format!("limits.{}", limit.name);
                let text = format!("it counts by `{header}`, and callers choose what that says");
                found.push(Finding::new(&CALLER_CHOSEN_KEY, subject, text));
            }
        }
    }
    found
}

/// Limits that some route names.
fn used(document: &Document) -> impl Iterator<Item = &Limit> {
    let applied = document.routes.iter().flat_map(|route| {
        route.local_limits.iter().chain(&route.exact_limits).chain(&route.leased_limits)
    });
    let names: BTreeSet<&str> = applied.map(|applied| applied.limit.name.as_str()).collect();
    let limits = document.limits.iter().map(|limit| &**limit);
    limits.filter(move |limit| names.contains(limit.name.as_str()))
}
