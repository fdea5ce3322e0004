//! `/admin/v1/config`: documents that were applied, where servers take theirs from the store.

use std::sync::Arc;

use postern_identity::IdentityError;
use postern_request::{Denial, ErrorCode};
use serde_json::Value;

use super::Api;
use super::call::{Call, Reply};
use super::dto;
use super::refusal::Refusal;
use crate::revisions::{self, Order, RevisionError, Revisions};

const WHAT: &str = "revision";
/// By which a comparison says with what.
pub const SINCE: &[&str] = &["since"];

pub(super) async fn list(api: Arc<Api>, call: Call) -> Result<Reply, Refusal> {
    let listing = call.listing()?;
    let page = of(&api)?.page(listing.ask()).await?;
    let revisions: Vec<dto::Revision> = page.records.into_iter().map(Into::into).collect();
    Ok(Reply::page(listing, &revisions, page.total))
}

pub(super) async fn apply(api: Arc<Api>, call: Call) -> Result<Reply, Refusal> {
    let revisions = of(&api)?;
    let dto::NewRevision { document, why, restart } = call.body()?;
    // A long one takes a while.
    let reading = tokio::task::spawn_blocking(move || revisions::of_text(&document));
    let document = reading.await.map_err(|_| Refusal::unavailable())??;
    let order = Order { why: &why, restart, by: call.by.as_str(), now: call.now };
    let applied = revisions.apply(&document, order).await?;
    Ok(Reply::one(&dto::AppliedRevision::from(applied)))
}

pub(super) async fn show(api: Arc<Api>, call: Call) -> Result<Reply, Refusal> {
    let record = of(&api)?.find(call.number(0, WHAT)?).await?;
    // Nothing but JSON was ever kept.
    let document = serde_json::from_str(&record.document).unwrap_or(Value::Null);
    Ok(Reply::one(&dto::RevisionDocument { revision: record.summary.into(), document }))
}

pub(super) async fn changes(api: Arc<Api>, call: Call) -> Result<Reply, Refusal> {
    let revisions = of(&api)?;
    let number = call.number(0, WHAT)?;
    let since =
        call.query.number("since", number.saturating_sub(1), 1..=super::audit::MAX_AFTER)?;
    let changes = revisions.changes(since, number).await?.into_iter().map(Into::into);
    Ok(Reply::one(&dto::RevisionChanges { since, number, changes: changes.collect() }))
}

pub(super) async fn roll_back(api: Arc<Api>, call: Call) -> Result<Reply, Refusal> {
    let revisions = of(&api)?;
    let number = call.number(0, WHAT)?;
    let dto::NewRollback { why, restart } = call.body_or_empty()?;
    let why = why.unwrap_or_else(|| revisions::way_back(number));
    let order = Order { why: &why, restart, by: call.by.as_str(), now: call.now };
    let applied = revisions.roll_back(number, order).await?;
    Ok(Reply::one(&dto::AppliedRevision::from(applied)))
}

/// Where documents are applied.
///
/// # Errors
/// Where this server takes its document from files.
fn of(api: &Api) -> Result<&Revisions, Refusal> {
    api.revisions.as_ref().ok_or_else(|| {
        let mut denial = Denial::new(ErrorCode::NotFound, "not_found");
        let why = "This server takes its document from files: --config-from store";
        denial.description = Some(why.into());
        denial.into()
    })
}

impl From<RevisionError> for Refusal {
    fn from(error: RevisionError) -> Self {
        let text = error.to_string();
        match error {
            RevisionError::Document(problems) => Self::several("document", problems),
            RevisionError::Restart(problems) => Self::several("restart", problems),
            RevisionError::Why => Self::invalid("why", text),
            RevisionError::NoSuch(_) => IdentityError::NotFound(WHAT).into(),
            RevisionError::Meanwhile => Self::invalid("", text),
            RevisionError::Store(error) => IdentityError::Store(error).into(),
        }
    }
}
