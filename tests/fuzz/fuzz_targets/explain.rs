//! A request of anybody's making, as it would come to the sample document: what becomes of it can
//! be told, to people and to programs, the same each time; and no header of the caller's names
//! whom the service takes it for.
//!
//! Input: a line with method and target, a line with the claims of a token that counts as signed
//! (or an empty one), and lines of `name: value`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_document::{Document, Source, load};
use postern_explain::{
    Assumptions, Forwarded, GivenClaims, Outcome, Request, Shown, explain, to_json, to_text,
};
use postern_jose::soft::SoftVerifier;
use postern_request::{UnixMillis, headers, json};

/// 2026-01-01T00:00:00Z
const NOW: UnixMillis = UnixMillis(1_767_225_600_000);

thread_local! {
    static DOCUMENT: Document = document();
}

fn document() -> Document {
    let text = include_str!("../../../envoy/sample.yaml").to_owned();
    let source = Source { name: "sample.yaml".to_owned(), text };
    match load(&[source], &|_| Err("no files here".to_owned())) {
        Ok(document) => document,
        Err(problems) => panic!("{problems:?}"),
    }
}

fn request(input: &[u8]) -> Option<Request> {
    let mut lines = input.split(|byte| *byte == b'\n');
    let mut text = || core::str::from_utf8(lines.next()?).ok();
    let (method, target) = text()?.split_once(' ')?;
    let shown = match text()? {
        "" => Shown::Headers,
        claims => {
            let claims = claims.to_owned();
            Shown::Claims(Box::new(GivenClaims { claims, with_proof: false }))
        }
    };
    let headers = lines.filter_map(|line| {
        let at = line.iter().position(|byte| *byte == b':')?;
        let (name, value) = line.split_at_checked(at)?;
        let name = String::from_utf8(name.to_ascii_lowercase()).ok()?;
        // Envoy lets only tokens through as names.
        let value = value.strip_prefix(b": ").or(value.strip_prefix(b":"))?;
        headers::is_lowercase_name(&name).then(|| (name, value.to_vec()))
    });
    Some(Request {
        method: method.to_owned(),
        headers: headers.collect(),
        shown,
        ..Request::get("api.example.test", target)
    })
}

fuzz_target!(|input: &[u8]| {
    let Some(request) = request(input) else { return };
    DOCUMENT.with(|document| {
        let assume = Assumptions::at(NOW);
        let told = explain(document, &request, &assume, &mut SoftVerifier);
        assert_eq!(told, explain(document, &request, &assume, &mut SoftVerifier));
        assert!(json::parse(to_json(document, &request, &told).as_bytes()).is_ok());
        assert!(!to_text(document, &request, &told).is_empty());
        match &told.outcome {
            Outcome::Forwarded(forwarded) => check_identity(forwarded),
            Outcome::Refused(refusal) => {
                let is_sent = refusal.sent.is_some();
                assert!((400..600).contains(&refusal.status) != is_sent, "{refusal:?}");
            }
        }
    });
});

fn check_identity(forwarded: &Forwarded) {
    let is_ours = |name: &str| name.starts_with(headers::IDENTITY_PREFIX);
    assert!(!forwarded.left.iter().any(|(name, _)| is_ours(name)), "{:?}", forwarded.left);
    let subject = forwarded.principal.as_ref().map(|principal| principal.subject.clone());
    let told = forwarded.header(headers::SUBJECT);
    assert!(told.is_none() || told == subject, "{told:?} is {subject:?}");
}
