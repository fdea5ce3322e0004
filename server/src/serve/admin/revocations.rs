//! `/admin/revocations`: revoking, and looking at what is revoked.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use postern_request::{Denial, ErrorCode, UnixMillis};
use postern_revocation::Revocation;
use postern_store::StoreError;
use postern_store::durable::RevocationRecord;
use serde_json::{Value, json};

use super::metrics::Outcome;
use super::order::{Order, Page, Senseless};
use super::{Admin, Caller};
use crate::revoking;
use crate::serve::http;

/// How long the bus may take: what was revoked is committed by then, and found without it.
const BUS_PATIENCE: Duration = Duration::from_secs(2);
/// How long the store may take.
const STORE_PATIENCE: Duration = Duration::from_secs(10);

/// What was revoked.
struct Revoked {
    seq: u64,
    order: Order,
    at: UnixMillis,
    /// The other servers have been told.
    announced: bool,
}

/// `POST`: revokes. Committed to the durable store when it answers.
pub(super) async fn revoke(
    State(admin): State<Arc<Admin>>,
    Extension(caller): Extension<Caller>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let now = (admin.clock)();
    let order = body
        .map_err(|rejection| unread(&rejection))
        .and_then(|body| Order::read(&body, admin.own_issuer.as_deref(), now).map_err(senseless));
    let order = match order {
        Ok(order) => order,
        Err(denial) => return refuse(&admin, &caller, Outcome::Invalid, &denial),
    };
    // In a task of its own: a caller that goes away does not stop it between store and bus.
    let working = Arc::clone(&admin);
    let done = tokio::spawn(async move { commit(&working, order, now).await });
    let revoked = match done.await {
        Ok(Ok(revoked)) => revoked,
        Ok(Err(error)) => return unavailable(&admin, &caller, &error.to_string()),
        Err(error) => return unavailable(&admin, &caller, &error.to_string()),
    };
    let revocation = &revoked.order.revocation;
    let issuer_known = admin.issuers.iter().any(|issuer| issuer == revocation.issuer());
    log(&caller, &revoked, issuer_known);
    admin.metrics.answered(Outcome::Revoked);
    let reason = revoked.order.reason.as_deref();
    let mut data = entry(revoked.seq, Some(revocation), revoked.at, reason);
    if let Some(members) = data.as_object_mut() {
        members.insert("issuer_known".to_owned(), issuer_known.into());
        members.insert("announced".to_owned(), revoked.announced.into());
    }
    let body = json!({"success": true, "data": data});
    http::answer(StatusCode::CREATED, &caller.correlation_id, &body)
}

/// The store first, which is the truth; then the bell, which wakes this server, too.
async fn commit(admin: &Admin, order: Order, now: UnixMillis) -> Result<Revoked, StoreError> {
    let reason = order.reason.clone();
    let committed = revoking::commit(admin.store.as_ref(), &order.revocation, reason, now);
    let seq = within(STORE_PATIENCE, committed).await?;
    let revocations = [order.revocation.clone()];
    let told = within(BUS_PATIENCE, admin.bus.publish(seq, &revocations, now)).await;
    if let Err(error) = &told {
        tracing::warn!(%error, "revoked, but the other servers cannot be told: they find out later");
    }
    Ok(Revoked { seq, order, at: now, announced: told.is_ok() })
}

/// Who revoked what, and why. Values are names, and no secrets.
fn log(caller: &Caller, revoked: &Revoked, issuer_known: bool) {
    let revocation = &revoked.order.revocation;
    tracing::info!(
        correlation_id = caller.correlation_id,
        remote = ?caller.remote,
        sequence = revoked.seq,
        kind = revocation.kind().as_str(),
        issuer = revocation.issuer(),
        value = revocation.value(),
        remembered_until = revocation.expires_at(),
        reason = revoked.order.reason,
        announced = revoked.announced,
        "revoked by the admin API"
    );
    if !issuer_known {
        tracing::warn!(
            correlation_id = caller.correlation_id,
            issuer = revocation.issuer(),
            "what was revoked concerns no token that this gateway takes"
        );
    }
}

/// `GET`: what is revoked and has not expired, by sequence number.
pub(super) async fn list(
    State(admin): State<Arc<Admin>>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Response {
    let page = match Page::read(query.as_deref()) {
        Ok(page) => page,
        Err(error) => return refuse(&admin, &caller, Outcome::Invalid, &senseless(error)),
    };
    let now = (admin.clock)();
    let read = async {
        let entries = admin.store.revocations_since(page.after, page.limit, now).await?;
        Ok::<_, StoreError>((entries, admin.store.count_revocations(now).await?))
    };
    let (records, total) = match within(STORE_PATIENCE, read).await {
        Ok(read) => read,
        Err(error) => return unavailable(&admin, &caller, &error.to_string()),
    };
    let is_full = u32::try_from(records.len()).is_ok_and(|length| length >= page.limit);
    let next = records.last().map(|record| record.seq).filter(|_| is_full);
    let data: Vec<Value> = records.iter().map(entry_of).collect();
    admin.metrics.answered(Outcome::Listed);
    let pagination =
        json!({"after": page.after, "limit": page.limit, "total": total, "next": next});
    let body = json!({"success": true, "data": data, "meta": {"pagination": pagination}});
    http::answer(StatusCode::OK, &caller.correlation_id, &body)
}

fn entry_of(record: &RevocationRecord) -> Value {
    let reason = record.reason.as_deref();
    entry(record.seq, record.revocation.as_ref(), record.created_at, reason)
}

/// An entry; one that this version cannot read has a number and a time.
fn entry(
    seq: u64,
    revocation: Option<&Revocation>,
    revoked_at: UnixMillis,
    reason: Option<&str>,
) -> Value {
    json!({
        "sequence": seq,
        "kind": revocation.map(|revocation| revocation.kind().as_str()),
        "issuer": revocation.map(Revocation::issuer),
        "value": revocation.map(Revocation::value),
        "issued_before": revocation.and_then(Revocation::issued_before),
        "remembered_until": revocation.map(Revocation::expires_at),
        "revoked_at": revoked_at.to_rfc3339(),
        "reason": reason,
    })
}

async fn within<T>(
    patience: Duration,
    call: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(patience, call).await {
        Ok(outcome) => outcome,
        Err(_) => Err(StoreError::Unavailable("no answer in time".to_owned())),
    }
}

fn unread(rejection: &BytesRejection) -> Denial {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return Denial::new(ErrorCode::PayloadTooLarge, "body_too_large");
    }
    Denial::new(ErrorCode::BadRequest, "body_unread")
}

fn senseless(error: Senseless) -> Denial {
    let mut denial = Denial::new(ErrorCode::BadRequest, "request_senseless");
    denial.description = Some(error.to_string().into());
    denial
}

fn unavailable(admin: &Admin, caller: &Caller, error: &str) -> Response {
    let correlation_id = &caller.correlation_id;
    tracing::error!(correlation_id, error, "the durable store failed the admin API");
    refuse(admin, caller, Outcome::Unavailable, &Denial::unavailable("store_unavailable", 1))
}

fn refuse(admin: &Admin, caller: &Caller, outcome: Outcome, denial: &Denial) -> Response {
    admin.metrics.answered(outcome);
    http::deny(denial, &caller.correlation_id)
}
