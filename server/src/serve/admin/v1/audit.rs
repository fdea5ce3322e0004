//! `/admin/v1/audit`

use std::sync::Arc;

use serde_json::json;

use super::Api;
use super::call::{Call, Reply};
use super::dto;
use super::query::MAX_LIMIT;
use super::refusal::Refusal;

/// Names by which the log is read: by sequence numbers, which stay what they are.
pub const AFTER: &[&str] = &["after", "limit"];
/// The greatest number that a database holds.
pub const MAX_AFTER: u64 = 9_223_372_036_854_775_807;
const DEFAULT_LIMIT: u64 = 20;

pub(super) async fn list(api: Arc<Api>, call: Call) -> Result<Reply, Refusal> {
    let after = call.query.number("after", 0, 0..=MAX_AFTER)?;
    let limit = call.query.number("limit", DEFAULT_LIMIT, 1..=MAX_LIMIT)?;
    let records = api.operators.audit_since(after, u32::try_from(limit).unwrap_or(1)).await?;
    let is_full = u64::try_from(records.len()).is_ok_and(|length| length >= limit);
    let next = records.last().map(|record| record.seq).filter(|_| is_full);
    let entries = records.into_iter().map(|record| json!(dto::AuditEntry::from(record)));
    let pagination = json!({"after": after, "limit": limit, "next": next});
    Ok(Reply::Part(entries.collect(), pagination))
}
