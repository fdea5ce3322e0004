//! An explanation for people.

use std::fmt::Write as _;

use postern_document::{Document, Place};

use crate::here::Here;
use crate::outcome::{Explanation, Forwarded, Outcome, Refusal};
use crate::request::{Request, Shown};
use crate::secret;
use crate::step::{Stage, Step, Verdict};

/// How wide the columns are: who, what.
const BY: usize = 9;
const STAGE: usize = 10;

/// The explanation, a line a look. What `ext_authz` and the bundle both find is told once. Holds
/// no secret of the request.
#[must_use]
pub fn to_text(document: &Document, request: &Request, explanation: &Explanation) -> String {
    let mut out = format!(
        "{} {}://{}{}",
        request.method,
        request.scheme,
        secret::authority(&request.authority),
        secret::target(document, &request.target)
    );
    if let Some(address) = request.address {
        push(&mut out, format_args!("  from {address}"));
    }
    if let Some(peer) = &request.peer {
        push(&mut out, format_args!(", workload {peer}"));
    }
    match &request.shown {
        Shown::Headers => {}
        Shown::Claims(_) => out.push_str(", with claims that count as signed"),
        Shown::Key(_) => out.push_str(", with an API key that counts as known"),
        Shown::Session(_) => out.push_str(", with a session that counts as known"),
    }
    out.push_str("\n\n");
    let edge = Here::edge(document).name;
    push_steps(&mut out, &edge, &explanation.steps, &[]);
    push_outcome(&mut out, document, &edge, &explanation.outcome);
    if let Some(share) = &explanation.otherwise {
        push(&mut out, format_args!("\n  with {} % of requests:\n", share.percent));
        push_steps(&mut out, &edge, &share.explanation.steps, &explanation.steps);
        push_outcome(&mut out, document, &edge, &share.explanation.outcome);
    }
    if !explanation.uncertain.is_empty() {
        out.push_str("\n  taken for granted:\n");
        for text in &explanation.uncertain {
            push(&mut out, format_args!("     {text}\n"));
        }
    }
    out
}

/// Steps that were not told before; `known` were. Where a workload's own Envoy has its part, they
/// say whose they are.
fn push_steps(out: &mut String, edge: &str, steps: &[Step], known: &[Step]) {
    let has_places = steps.iter().any(|step| step.at != edge);
    let mut told_at = None;
    for (index, step) in steps.iter().enumerate() {
        let before = steps.get(..index).unwrap_or_default();
        let is_told = before.iter().any(|other| is_same(other, step)) || known.contains(step);
        // What comes of it all stands at the end.
        if is_told || step.stage == Stage::Answer {
            continue;
        }
        if has_places && told_at != Some(&step.at) {
            push(out, format_args!("  at {}\n", step.at));
            told_at = Some(&step.at);
        }
        let mark = match &step.verdict {
            Verdict::Refused(_) => "✗ ",
            Verdict::Shadowed(_) => "(✗) ",
            Verdict::Passed | Verdict::Skipped(_) | Verdict::Assumed(_) | Verdict::Noted => "",
        };
        let (by, stage) = (step.by.as_str(), word(step.stage));
        push(out, format_args!("  {by:<BY$}  {stage:<STAGE$}  {mark}{}", step.text));
        if let Some(Place { file, line }) = &step.place {
            push(out, format_args!("  {file}:{line}"));
        }
        out.push('\n');
    }
}

fn is_same(one: &Step, other: &Step) -> bool {
    one.at == other.at
        && one.stage == other.stage
        && one.verdict == other.verdict
        && one.text == other.text
}

/// A stage in a word, for people.
pub(crate) const fn word(stage: Stage) -> &'static str {
    match stage {
        Stage::Address => "address",
        Stage::Normalize | Stage::Path => "path",
        Stage::Headers | Stage::ExtProc => "headers",
        Stage::MeshCustom | Stage::MeshRbac => "policies",
        Stage::ExtAuthzAsked => "asked",
        Stage::Route => "route",
        Stage::Peer => "peer",
        Stage::Evidence => "evidence",
        Stage::Credential => "credential",
        Stage::Session => "session",
        Stage::Possession => "possession",
        Stage::Revocation => "revocation",
        Stage::TokenRules => "token",
        Stage::Auth => "auth",
        Stage::StepUp => "step-up",
        Stage::LimitsExact | Stage::LimitsLocal | Stage::LimitsLeased | Stage::RateLimitFilter => {
            "limit"
        }
        Stage::Circuit => "circuit",
        Stage::Fault => "fault",
        Stage::Version => "version",
        Stage::Upstream => "service",
        Stage::Answer => "answer",
    }
}

fn push_outcome(out: &mut String, document: &Document, edge: &str, outcome: &Outcome) {
    match outcome {
        Outcome::Forwarded(forwarded) => push_forwarded(out, forwarded),
        Outcome::Refused(refusal) => push_refusal(out, document, edge, refusal),
    }
}

fn push_refusal(out: &mut String, document: &Document, edge: &str, refusal: &Refusal) {
    let Refusal { by, at, status, denial, is_plain, grpc_status, sent, .. } = refusal;
    push(out, format_args!("  → {status}"));
    if !is_plain && sent.is_none() {
        push(out, format_args!(" {}", denial.code.as_str()));
    }
    push(out, format_args!(" by {}", by.as_str()));
    if at != edge {
        push(out, format_args!(" at {at}"));
    }
    if !denial.reason.is_empty() {
        push(out, format_args!(" (reason {})", denial.reason));
    }
    out.push('\n');
    if let Some(grpc_status) = grpc_status {
        push(out, format_args!("     to gRPC callers 200, with grpc-status: {grpc_status}\n"));
    }
    if let Some(sent) = sent {
        push(out, format_args!("     location: {}\n", sent.told));
    }
    if *is_plain || sent.is_some() {
        return;
    }
    if let Some(challenge) = refusal.challenge(document) {
        push(out, format_args!("     www-authenticate: {challenge}\n"));
    }
    if let Some(seconds) = denial.retry_after_secs {
        push(out, format_args!("     retry-after: {}\n", seconds.max(1)));
    }
}

fn push_forwarded(out: &mut String, forwarded: &Forwarded) {
    push(out, format_args!("  → forwarded to {}", forwarded.service));
    match &forwarded.principal {
        None => out.push_str(" as nobody"),
        Some(principal) => {
            push(out, format_args!(" as {}", principal.subject));
            if let Some(client) = &principal.client_id {
                push(out, format_args!(" (client {client})"));
            }
        }
    }
    push(out, format_args!(", timeout {} ms", forwarded.timeout_ms));
    if forwarded.attempts > 1 {
        push(out, format_args!(", {} attempts", forwarded.attempts));
    }
    if let Some(delay_ms) = forwarded.delay_ms {
        push(out, format_args!(", after {delay_ms} ms"));
    }
    out.push('\n');
    for (name, value) in &forwarded.headers {
        push(out, format_args!("     {name}: {value}\n"));
    }
    if !forwarded.removed.is_empty() {
        push(out, format_args!("     without {}\n", forwarded.removed.join(", ")));
    }
    if !forwarded.may.is_empty() {
        push(out, format_args!("     may still be: {}\n", forwarded.may.join(", ")));
    }
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = out.write_fmt(text);
}
