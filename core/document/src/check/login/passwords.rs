//! What passwords must be, and how they are hashed.

use super::super::numbers::whole;
use super::super::urls::Web;
use crate::model::{Breached, BreachedSource, OnFailure, PasswordRules};
use crate::problem::Problems;
use crate::raw::{RawBreached, RawPasswords};

const PATH: &str = "login.passwords";

/// What OWASP advises for argon2id where nothing is said.
pub(super) fn check(raw: Option<&RawPasswords>, problems: &mut Problems) -> PasswordRules {
    let field = |name: &str| format!("{PATH}.{name}");
    let min_length = raw.and_then(|raw| raw.min_length.as_ref());
    let min_length = whole(min_length, 8..=64, &field("min_length"), problems).unwrap_or(8);
    let memory = raw.and_then(|raw| raw.memory.as_ref());
    let memory = whole(memory, 8..=256, &field("memory"), problems).unwrap_or(19);
    let iterations = raw.and_then(|raw| raw.iterations.as_ref());
    let iterations = whole(iterations, 1..=10, &field("iterations"), problems).unwrap_or(2);
    let breached = raw.and_then(|raw| raw.breached.as_ref());
    PasswordRules {
        min_length: usize::try_from(min_length).unwrap_or(64),
        memory_kib: memory * 1024,
        iterations,
        breached: breached.and_then(|breached| check_breached(breached, problems)),
    }
}

fn check_breached(raw: &RawBreached, problems: &mut Problems) -> Option<Breached> {
    let path = format!("{PATH}.breached");
    let source = match (&raw.file, &raw.range_url) {
        (Some(file), None) => {
            if file.is_empty() {
                problems.report_as(file.at, &format!("{path}.file"), "name the file");
            }
            BreachedSource::File(file.value.clone())
        }
        (None, Some(url)) => {
            let web = Web::parse(url).filter(Web::is_safe);
            if web.is_none_or(|web| web.rest.contains(['?', '#'])) {
                let message = "expected the https URL before the digits, for example \
                               https://breached.example.test/range/";
                problems.report_as(url.at, &format!("{path}.range_url"), message);
            }
            BreachedSource::RangeUrl(url.value.clone())
        }
        _ => {
            if !problems.any_below(&path) {
                let message = "say exactly one of `file` and `range_url`";
                problems.report_as(raw.at, &path, message);
            }
            return None;
        }
    };
    Some(Breached { source, when_unavailable: raw.when_unavailable.unwrap_or(OnFailure::Allow) })
}
