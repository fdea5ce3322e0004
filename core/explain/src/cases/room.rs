//! How much case files may become. `each` multiplies what a file says by up to ten thousand, and a
//! text that names tokens holds each of them as often as it names it: a small file could ask for
//! more than any machine has.

use postern_document::Position;
use postern_document::yaml::Problems;
use postern_request::Principal;
use postern_request::json::Value;

use super::key::ApiKey;
use super::token::Token;
use super::{Case, Expected, Given};
use crate::assume::Part;

/// Most cases of one file, those that `each` makes included.
const MAX_CASES: usize = 10_000;
/// The longest name that a case is given.
pub(super) const MAX_NAME: usize = 256;
/// Most text of one case, with its tokens filled in. Envoy takes no more than 60 KiB of headers.
const MAX_OF_CASE: usize = 256 * 1024;
/// Most text of all cases and tokens of one run.
const MAX_OF_ALL: usize = 32 * 1024 * 1024;
/// What a case needs beside its texts.
const OF_EVERY_CASE: usize = 1024;
/// What a token needs beside what it says: algorithm, times, signature.
const OF_EVERY_TOKEN: usize = 512;
/// So many problems are enough for one run.
const MAX_PROBLEMS: usize = 1000;

/// What is left for a run.
pub(super) struct Room {
    bytes: usize,
    /// For the cases of the file that is being read.
    cases: usize,
}

impl Room {
    pub(super) const fn new() -> Self {
        Self { bytes: MAX_OF_ALL, cases: MAX_CASES }
    }

    /// Begins another file.
    pub(super) const fn next_file(&mut self) {
        self.cases = MAX_CASES;
    }

    /// Makes room for so many cases of one entry; none where there is none.
    pub(super) fn take_cases(
        &mut self,
        count: usize,
        at: Position,
        problems: &mut Problems,
    ) -> Option<()> {
        let Some(left) = self.cases.checked_sub(count) else {
            let message = format!(
                "at most {MAX_CASES} cases in a file, those of `each` included: give `each` fewer \
                 values, or write another file"
            );
            problems.report(at, message);
            return None;
        };
        self.cases = left;
        Some(())
    }

    /// Makes room for a case.
    pub(super) fn take_case(
        &mut self,
        case: &Case,
        at: Position,
        problems: &mut Problems,
    ) -> Option<()> {
        let needed = of_case(case);
        if needed > MAX_OF_CASE {
            let message = format!(
                "a case has at most {} KiB of text, with its tokens filled in: shorten it",
                MAX_OF_CASE / 1024
            );
            problems.report(at, message);
            return None;
        }
        self.take(needed + OF_EVERY_CASE, at, problems)
    }

    /// Makes room for a token.
    pub(super) fn take_token(
        &mut self,
        token: &Token,
        at: Position,
        problems: &mut Problems,
    ) -> Option<()> {
        let without = token.without().iter().map(|name| kept(name)).sum::<usize>();
        let text = token.text().map_or(0, str::len);
        self.take(of_members(token.said()) + without + text, at, problems)
    }

    fn take(&mut self, needed: usize, at: Position, problems: &mut Problems) -> Option<()> {
        let Some(left) = self.bytes.checked_sub(needed) else {
            let message = format!(
                "from here on, cases and tokens have more than {} MiB of text, with `each` gone \
                 through and tokens filled in: give `each` fewer values, shorten what all of its \
                 cases have, or test fewer files at once",
                MAX_OF_ALL / (1024 * 1024)
            );
            problems.report(at, message);
            return None;
        };
        self.bytes = left;
        Some(())
    }
}

/// Whether so much is wrong that nobody would read more.
pub(super) fn is_enough(problems: &Problems) -> bool {
    problems.len() >= MAX_PROBLEMS
}

/// The text of a case, with its tokens filled in.
fn of_case(case: &Case) -> usize {
    let Case { name, line: _, request, given, expect, not_replayed } = case;
    let headers = request.headers.iter();
    let filled: usize =
        headers.map(|(name, value)| name.len() + request.filled_len(value, &of_token)).sum();
    let token = request.token.as_ref().map_or(0, |token| of_token(token));
    // A proof says the name, the method and the path once more.
    let proof = request.proof.as_ref().map_or(0, |proof| {
        proof.text().map_or(0, str::len) + of_members(proof.said()) + request.path.len()
    });
    let texts = [
        Some(&request.method),
        Some(&request.scheme),
        Some(&request.host),
        request.peer.as_ref(),
        request.workload.as_ref(),
        not_replayed.as_ref(),
    ];
    name.len() * 2
        + texts.into_iter().flatten().map(String::len).sum::<usize>()
        + request.filled_len(&request.path, &of_token)
        + filled
        + token
        + proof
        + request.api_key.as_ref().map_or(0, |key| of_key(key))
        + request.session.as_ref().map_or(0, |session| of_principal(&session.principal))
        + of_given(given)
        + of_expected(expect)
}

/// A name, and what it takes to keep it.
const fn kept(text: &str) -> usize {
    text.len() + 32
}

fn of_key(key: &ApiKey) -> usize {
    match key {
        ApiKey::Text(text) => text.len(),
        ApiKey::OfDocument { principal, .. } | ApiKey::Stored(principal) => of_principal(principal),
    }
}

fn of_principal(principal: &Principal) -> usize {
    let Principal { subject, tier, role, scopes, .. } = principal;
    let texts = [Some(subject), tier.as_ref(), role.as_ref()].into_iter().flatten();
    texts.chain(scopes).map(|one| kept(one)).sum()
}

fn of_given(given: &Given) -> usize {
    let part = |part: &Part| match part {
        Part::IssuerKeys { issuer, .. } => kept(issuer),
        _ => 32,
    };
    let names = given.open.iter().chain(&given.used_up);
    given.failed.iter().map(part).sum::<usize>() + names.map(|name| kept(name)).sum::<usize>()
}

fn of_expected(expected: &Expected) -> usize {
    let route = expected.route.iter().flatten();
    let texts = [&expected.error, &expected.reason, &expected.at, &expected.service];
    let texts = texts.into_iter().chain([&expected.version, &expected.target]).flatten();
    let headers = expected.headers.iter();
    let headers = headers.map(|(name, value)| kept(name) + value.as_deref().map_or(0, kept));
    let texts = texts.chain(route).chain(expected.limits.iter().flatten());
    texts.map(|text| kept(text)).sum::<usize>() + headers.sum::<usize>()
}

/// A token as it is sent, at least about: in base64, and with what has to be escaped in JSON.
fn of_token(token: &Token) -> usize {
    OF_EVERY_TOKEN + token.text().map_or_else(|| 2 * of_members(token.said()), str::len)
}

fn of_members<'v>(members: impl IntoIterator<Item = &'v (String, Value)>) -> usize {
    members.into_iter().map(|(name, value)| kept(name) + of_value(value)).sum()
}

fn of_value(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Integer(_) => 32,
        Value::Number(text) | Value::String(text) => kept(text),
        Value::Array(items) => 32 + items.iter().map(of_value).sum::<usize>(),
        Value::Object(members) => 32 + of_members(members),
    }
}
