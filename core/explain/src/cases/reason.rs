//! The reasons of refusals, as case files may expect them.

use postern_document::yaml::{Node, Problems};

use super::fields::text;

/// All that there are, also those that no explanation comes to; `docs/errors.md` has the list, and
/// a test compares the two.
const REASONS: [&str; 66] = [
    "api_key_limit_unknown",
    "api_key_not_text",
    "api_key_repeated",
    "api_key_revoked",
    "api_key_unknown",
    "api_keys_unavailable",
    "certificate_unusable",
    "circuit_open",
    "credential_missing",
    "decision_aborted",
    "dpop_access_token",
    "dpop_algorithm",
    "dpop_claims",
    "dpop_form",
    "dpop_key",
    "dpop_memory_unavailable",
    "dpop_method",
    "dpop_missing",
    "dpop_nonce",
    "dpop_other_key",
    "dpop_repeated",
    "dpop_replayed",
    "dpop_scheme",
    "dpop_signature",
    "dpop_time",
    "dpop_type",
    "dpop_unverified",
    "dpop_url",
    "evidence_missing",
    "keys_missing",
    "leases_unavailable",
    "limit_exceeded",
    "mfa_missing",
    "mfa_stale",
    "no_route",
    "path_ambiguous",
    "path_not_text",
    "peer_unknown",
    "randomness",
    "revocation_stale",
    "scope_missing",
    "session_changed",
    "session_cross_site",
    "session_unknown",
    "sessions_unavailable",
    "store_unavailable",
    "token_algorithm",
    "token_audience",
    "token_budget",
    "token_claim_missing",
    "token_claims",
    "token_confirmation",
    "token_critical",
    "token_expired",
    "token_form",
    "token_header",
    "token_issuer",
    "token_key",
    "token_not_yet",
    "token_revoked",
    "token_signature",
    "token_too_long",
    "token_type",
    "token_unbound",
    "token_unsupported",
    "token_unusable",
];

/// Reads a reason. One that nobody gives is a typing error, like an error of that kind.
pub(super) fn read(node: &Node, problems: &mut Problems) -> Option<String> {
    let text = text(node, problems)?;
    if !REASONS.contains(&text.as_str()) {
        let near: Vec<&str> =
            REASONS.into_iter().filter(|reason| reason.contains(text.as_str())).collect();
        let known = if near.is_empty() { REASONS.to_vec() } else { near };
        let message = format!("there is no reason `{text}`; known: {}", known.join(", "));
        problems.report(node.at, message);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_these_reasons_and_no_others() {
        let page = include_str!("../../../../docs/errors.md");
        let (_, table) = page.split_once("| `reason` | status | means |\n|---|---|---|\n").unwrap();
        let rows = table.lines().take_while(|line| line.starts_with('|'));
        let cells = rows.filter_map(|row| row.split(" | ").next());
        let mut named: Vec<&str> =
            cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
        named.sort_unstable();
        assert_eq!(named, REASONS);
    }
}
