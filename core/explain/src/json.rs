//! An explanation for programs. docs/explain.md says what each member means; names stay.

use postern_document::Document;
use postern_request::Principal;
use postern_request::json::Value;

use crate::outcome::{Explanation, Forwarded, LimitNote, Outcome, Refusal};
use crate::request::{Request, Shown};
use crate::secret;
use crate::step::Step;

/// The explanation as one JSON object. Holds no secret of the request: of headers, only the names.
#[must_use]
pub fn to_json(document: &Document, request: &Request, explanation: &Explanation) -> String {
    let mut members = vec![
        ("version", Value::Integer(1)),
        ("document", text(&document.digest)),
        ("request", of_request(document, request)),
    ];
    members.extend(of_explanation(document, explanation));
    let share = explanation.otherwise.as_ref().map(|share| {
        let mut members = vec![("percent", Value::Integer(i64::from(share.percent)))];
        members.extend(of_explanation(document, &share.explanation));
        object(members)
    });
    members.push(("otherwise", share.unwrap_or(Value::Null)));
    object(members).to_string()
}

fn of_request(document: &Document, request: &Request) -> Value {
    let names = request.headers.iter().map(|(name, _)| text(name)).collect();
    let shown = match request.shown {
        Shown::Headers => "headers",
        Shown::Claims(_) => "claims",
        Shown::Key(_) => "api_key",
        Shown::Session(_) => "session",
    };
    object(vec![
        ("method", text(&request.method)),
        ("scheme", text(&request.scheme)),
        ("authority", text(&secret::authority(&request.authority))),
        ("target", text(&secret::target(document, &request.target))),
        ("headers", Value::Array(names)),
        ("address", optional(request.address.map(|address| address.to_string()).as_deref())),
        ("peer", optional(request.peer.as_deref())),
        ("shown", text(shown)),
    ])
}

fn of_explanation(document: &Document, explanation: &Explanation) -> Vec<(&'static str, Value)> {
    let (outcome, forwarded) = match &explanation.outcome {
        Outcome::Forwarded(forwarded) => (of_passed(forwarded), of_forwarded(document, forwarded)),
        Outcome::Refused(refusal) => (of_refusal(document, refusal), Value::Null),
    };
    vec![
        ("steps", Value::Array(explanation.steps.iter().map(of_step).collect())),
        ("outcome", outcome),
        ("forwarded", forwarded),
        ("uncertain", texts(&explanation.uncertain)),
    ]
}

fn of_step(step: &Step) -> Value {
    let place = step.place.as_ref().map(|place| {
        let line = i64::try_from(place.line).unwrap_or(i64::MAX);
        object(vec![("file", text(&place.file)), ("line", Value::Integer(line))])
    });
    let mut rules: Vec<String> = step.rules.iter().map(|rule| rule.path.clone()).collect();
    rules.dedup();
    object(vec![
        ("at", text(&step.at)),
        ("stage", text(step.stage.as_str())),
        ("by", text(step.by.as_str())),
        ("verdict", text(step.verdict.as_str())),
        ("rules", texts(&rules)),
        ("text", text(&step.text)),
        ("place", place.unwrap_or(Value::Null)),
    ])
}

fn of_passed(forwarded: &Forwarded) -> Value {
    object(vec![
        ("allowed", Value::Bool(true)),
        ("at", text(&forwarded.at)),
        ("route", text(&forwarded.route)),
    ])
}

fn of_refusal(document: &Document, refusal: &Refusal) -> Value {
    let reason = Some(refusal.denial.reason).filter(|reason| !reason.is_empty());
    let is_told = !refusal.is_plain && refusal.sent.is_none();
    let error = Some(refusal.denial.code.as_str()).filter(|_| is_told);
    let location = refusal.sent.as_ref().map(|sent| sent.told.as_str());
    object(vec![
        ("allowed", Value::Bool(false)),
        ("status", Value::Integer(i64::from(refusal.status))),
        ("error", optional(error)),
        ("reason", optional(reason)),
        ("by", text(refusal.by.as_str())),
        ("at", text(&refusal.at)),
        ("route", optional(refusal.route.as_deref())),
        ("www_authenticate", optional(refusal.challenge(document).as_deref())),
        ("location", optional(location)),
        ("grpc_status", optional_number(refusal.grpc_status.map(u64::from))),
    ])
}

fn of_forwarded(document: &Document, forwarded: &Forwarded) -> Value {
    let headers = forwarded.headers.iter().map(|(name, value)| (name.clone(), text(value)));
    let versions = forwarded.versions.iter().map(|(name, share)| {
        object(vec![("version", text(name)), ("percent", Value::Integer(i64::from(*share)))])
    });
    let mut left: Vec<String> = forwarded.left.iter().map(|(name, _)| name.clone()).collect();
    left.dedup();
    let descriptor = |entries: &Vec<(String, String)>| {
        let entries = entries
            .iter()
            .map(|(key, value)| object(vec![("key", text(key)), ("value", text(value))]));
        Value::Array(entries.collect())
    };
    let retry_on = forwarded.retry_on.iter().map(|on| text(on)).collect();
    object(vec![
        ("service", text(&forwarded.service)),
        ("versions", Value::Array(versions.collect())),
        ("principal", forwarded.principal.as_ref().map_or(Value::Null, of_principal)),
        ("target", text(&secret::target(document, &forwarded.target))),
        ("headers", Value::Object(headers.collect())),
        ("left", texts(&left)),
        ("removed", texts(&forwarded.removed)),
        ("limits", Value::Array(forwarded.limits.iter().map(of_limit).collect())),
        ("descriptors", Value::Array(forwarded.descriptors.iter().map(descriptor).collect())),
        ("delay_ms", optional_number(forwarded.delay_ms)),
        ("timeout_ms", optional_number(Some(forwarded.timeout_ms))),
        ("attempts", Value::Integer(i64::from(forwarded.attempts))),
        ("retry_on", Value::Array(retry_on)),
        ("per_try_timeout_ms", optional_number(forwarded.per_try_timeout_ms)),
        ("backoff_ms", optional_number(forwarded.backoff_ms)),
        ("may", texts(&forwarded.may)),
    ])
}

fn of_principal(principal: &Principal) -> Value {
    object(vec![
        ("subject", text(&principal.subject)),
        ("issuer", text(&principal.issuer)),
        ("client_id", optional(principal.client_id.as_deref())),
        ("scopes", texts(&principal.scopes)),
        ("tier", optional(principal.tier.as_deref())),
        ("role", optional(principal.role.as_deref())),
        ("credential", text(principal.credential.as_str())),
    ])
}

fn of_limit(note: &LimitNote) -> Value {
    let by = note.by.iter().map(|(part, value)| {
        object(vec![("part", text(part)), ("value", optional(value.as_deref()))])
    });
    object(vec![
        ("name", text(&note.name)),
        ("mode", text(note.mode)),
        ("allows", text(&note.allows)),
        ("by", Value::Array(by.collect())),
        ("weight", Value::Integer(i64::try_from(note.weight).unwrap_or(i64::MAX))),
        ("shadow", Value::Bool(note.shadow)),
    ])
}

fn object(members: Vec<(&'static str, Value)>) -> Value {
    Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

fn texts(texts: &[String]) -> Value {
    Value::Array(texts.iter().map(|one| text(one)).collect())
}

fn optional(value: Option<&str>) -> Value {
    value.map_or(Value::Null, text)
}

fn optional_number(value: Option<u64>) -> Value {
    value.map_or(Value::Null, |value| Value::Integer(i64::try_from(value).unwrap_or(i64::MAX)))
}
