//! Entries for the audit log. What they say of a request is cut to a bound, and nothing that
//! somebody typed in goes into one: people type passwords into the field above.

use postern_request::{UnixMillis, json};
use postern_store::durable::AuditEntry;

/// Longest value of a detail, in bytes.
const MAX_DETAIL: usize = 200;

/// Who acts where nobody does: the server itself.
pub(crate) const SYSTEM: &str = "system";

/// An entry for the audit log. `detail` becomes a JSON object; its values are cut to a bound, and
/// none of them may be a secret, or something that somebody typed in.
#[must_use]
pub fn entry(
    at: UnixMillis,
    actor: &str,
    action: &str,
    target: &str,
    detail: &[(&str, &str)],
) -> AuditEntry {
    let mut text = String::from("{");
    for (place, (name, value)) in detail.iter().enumerate() {
        if place > 0 {
            text.push(',');
        }
        json::write_string(&mut text, name);
        text.push(':');
        json::write_string(&mut text, bounded(value));
    }
    text.push('}');
    AuditEntry {
        at,
        actor: actor.to_owned(),
        action: action.to_owned(),
        target: target.to_owned(),
        detail: text,
    }
}

fn bounded(text: &str) -> &str {
    let end = (0..=MAX_DETAIL).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text.get(..end).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_an_object_whatever_they_say() {
        let long = "ä".repeat(300);
        let details = [("agent", "a\"b\n"), ("long", long.as_str())];
        let entry = entry(UnixMillis(5), "system", "login.failed", "u", &details);
        let value = json::parse(entry.detail.as_bytes()).unwrap();
        assert_eq!(value.get("agent").unwrap().as_str(), Some("a\"b\n"));
        assert_eq!(value.get("long").unwrap().as_str().map(str::len), Some(MAX_DETAIL));
        assert_eq!(self::entry(UnixMillis(5), "a", "b", "c", &[]).detail, "{}");
    }
}
