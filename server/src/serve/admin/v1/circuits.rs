//! `/admin/v1/circuits`: circuits of services, as all servers share them.

use std::sync::Arc;

use postern_circuit::ForcedState;
use postern_identity::admin::ForcedFor;
use postern_store::durable::PageAsk;

use super::Api;
use super::call::{Call, Reply};
use super::dto;
use super::refusal::Refusal;

const WHAT: &str = "circuit";

/// By their services' names: they were not made one after the other.
pub(super) async fn list(api: Arc<Api>, call: Call) -> Result<Reply, Refusal> {
    let listing = call.listing()?;
    let circuits = api.operators.circuits(call.now).await?;
    let by_name = PageAsk { newest_first: false, ..listing.ask() };
    let page = by_name.of(circuits, |circuit| (call.now, circuit.service.clone()));
    let circuits: Vec<dto::Circuit> = page.records.into_iter().map(dto::Circuit::from).collect();
    Ok(Reply::page(listing, &circuits, page.total))
}

pub(super) async fn show(api: Arc<Api>, call: Call) -> Result<Reply, Refusal> {
    let circuit = api.operators.circuit(call.id(0, WHAT)?, call.now).await?;
    Ok(Reply::one(&dto::Circuit::from(circuit)))
}

pub(super) async fn open(api: Arc<Api>, call: Call) -> Result<Reply, Refusal> {
    force(&api, &call, ForcedState::Open).await
}

pub(super) async fn close(api: Arc<Api>, call: Call) -> Result<Reply, Refusal> {
    force(&api, &call, ForcedState::Closed).await
}

pub(super) async fn reset(api: Arc<Api>, call: Call) -> Result<Reply, Refusal> {
    let circuit = api.operators.reset_circuit(call.id(0, WHAT)?, &call.by, call.now).await?;
    Ok(Reply::one(&dto::Circuit::from(circuit)))
}

async fn force(api: &Api, call: &Call, state: ForcedState) -> Result<Reply, Refusal> {
    let service = call.id(0, WHAT)?;
    let dto::CircuitForced { expires_in, why } = call.body()?;
    let wanted = ForcedFor { state, holds_ms: expires_in.saturating_mul(1000), why };
    let circuit = api.operators.force_circuit(service, &wanted, &call.by, call.now).await?;
    Ok(Reply::one(&dto::Circuit::from(circuit)))
}
