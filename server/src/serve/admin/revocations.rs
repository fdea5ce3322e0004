//! `/admin/revocations`: revoking, and looking at what is revoked.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRef, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use axum::{Extension, Router};
use postern_document::{Current, Document};
use postern_identity::admin::Actor;
use postern_identity::audit_entry;
use postern_request::UnixMillis;
use postern_revocation::Revocation;
use postern_store::bus::RevocationBus;
use postern_store::durable::RevocationRecord;
use postern_store::{IdentityStore, StoreError};
use serde_json::{Value, json};

use super::metrics::Outcome;
use super::order::{Order, Page};
use super::refusal::{senseless, unread, within};
use super::{Admin, Caller, wrong_method};
use crate::serve::http;
use crate::{recording, revoking};

/// How long the bus may take: what was revoked is committed by then, and found without it.
const BUS_PATIENCE: Duration = Duration::from_secs(2);
/// How long the store may take.
const STORE_PATIENCE: Duration = Duration::from_secs(10);

/// Where revocations are kept, and who is told of them.
pub type Stores = (Arc<dyn IdentityStore>, Arc<dyn RevocationBus>);

#[derive(Clone)]
struct Revocations {
    admin: Arc<Admin>,
    store: Arc<dyn IdentityStore>,
    bus: Arc<dyn RevocationBus>,
    /// Whose tokens are meant where nobody says, and whose this gateway takes.
    document: Current<Document>,
}

impl FromRef<Revocations> for Arc<Admin> {
    fn from_ref(revocations: &Revocations) -> Self {
        Self::clone(&revocations.admin)
    }
}

/// The routes, without the check of the credential.
pub(super) fn routes(admin: Arc<Admin>, stores: Stores, document: Current<Document>) -> Router {
    let (store, bus) = stores;
    let revocations = Revocations { admin, store, bus, document };
    Router::new()
        .route("/admin/revocations", get(list).post(revoke).fallback(wrong_method))
        .with_state(revocations)
}

/// What was revoked.
struct Revoked {
    seq: u64,
    order: Order,
    at: UnixMillis,
    /// The other servers have been told.
    announced: bool,
}

/// `POST`: revokes. Committed to the durable store when it answers.
async fn revoke(
    State(revocations): State<Revocations>,
    Extension(caller): Extension<Caller>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let admin = &revocations.admin;
    let (document, now) = (revocations.document.load(), (admin.clock)());
    let own_issuer = document.issuer.as_deref();
    let order = body
        .map_err(|rejection| unread(&rejection))
        .and_then(|body| Order::read(&body, own_issuer, now).map_err(|error| senseless(&error)));
    let order = match order {
        Ok(order) => order,
        Err(denial) => return admin.invalid(&caller, &denial),
    };
    // In a task of its own: a caller that goes away does not stop it between store and bus.
    let (working, by) = (revocations.clone(), caller.by.clone());
    let done = tokio::spawn(async move { commit(&working, order, &by, now).await });
    let revoked = match done.await {
        Ok(Ok(revoked)) => revoked,
        Ok(Err(error)) => return admin.unavailable(&caller, "durable", &error.to_string()),
        Err(error) => return admin.unavailable(&caller, "durable", &error.to_string()),
    };
    let revocation = &revoked.order.revocation;
    let issuer_known =
        document.issuers.iter().any(|known| known.issuer.issuer == revocation.issuer());
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
async fn commit(
    revocations: &Revocations,
    order: Order,
    by: &Actor,
    now: UnixMillis,
) -> Result<Revoked, StoreError> {
    let reason = order.reason.clone();
    let committed = revoking::commit(revocations.store.as_ref(), &order.revocation, reason, now);
    let seq = within(STORE_PATIENCE, committed).await?;
    let revoked = [order.revocation.clone()];
    let told = within(BUS_PATIENCE, revocations.bus.publish(seq, &revoked, now)).await;
    if let Err(error) = &told {
        tracing::warn!(%error, "revoked, but the other servers cannot be told: they find out later");
    }
    // Last: that it cannot be written down keeps nothing alive.
    let (value, detail) = (order.revocation.value(), recording::revoked(&order.revocation));
    let entry = audit_entry(now, by.as_str(), "token.revoked", value, &detail);
    let written = within(STORE_PATIENCE, revocations.store.append_audit(&entry)).await;
    if let Err(error) = written {
        tracing::error!(%error, action = entry.action, "what happened was not written down");
    }
    Ok(Revoked { seq, order, at: now, announced: told.is_ok() })
}

/// Who revoked what, and why. Values are names, and no secrets.
fn log(caller: &Caller, revoked: &Revoked, issuer_known: bool) {
    let revocation = &revoked.order.revocation;
    tracing::info!(
        correlation_id = caller.correlation_id,
        remote = caller.remote.map(tracing::field::display),
        actor = caller.by.as_str(),
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
async fn list(
    State(revocations): State<Revocations>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Response {
    let (admin, store) = (&revocations.admin, &revocations.store);
    let page = match Page::read(query.as_deref()) {
        Ok(page) => page,
        Err(error) => return admin.invalid(&caller, &senseless(&error)),
    };
    let now = (admin.clock)();
    let read = async {
        let entries = store.revocations_since(page.after, page.limit, now).await?;
        Ok::<_, StoreError>((entries, store.count_revocations(now).await?))
    };
    let (records, total) = match within(STORE_PATIENCE, read).await {
        Ok(read) => read,
        Err(error) => return admin.unavailable(&caller, "durable", &error.to_string()),
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
