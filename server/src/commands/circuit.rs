//! `postern circuit`.

use std::process::ExitCode;

use anyhow::Result;
use postern_circuit::ForcedState;
use postern_identity::admin::{ForcedFor, ShownCircuit, list_circuits};
use postern_request::UnixMillis;
use serde_json::{Value, json};

use super::{now, operators};
use crate::cli::{Circuit, CircuitAction, CircuitForced, OneCircuit, SharedCircuits};
use crate::{output, settings};

/// Looks at circuits, or says what they are.
///
/// # Errors
/// When the document or a store cannot be used, or there is no such circuit.
pub async fn run(arguments: &Circuit) -> Result<ExitCode> {
    match &arguments.action {
        CircuitAction::List(shared) => list(shared).await?,
        CircuitAction::Open(forced) => force(forced, ForcedState::Open).await?,
        CircuitAction::Close(forced) => force(forced, ForcedState::Closed).await?,
        CircuitAction::Reset(one) => reset(one).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(shared: &SharedCircuits) -> Result<()> {
    let (store, document) = operators::circuits(shared).await?;
    let circuits = list_circuits(&*store, &document, now()).await?;
    if shared.json {
        return output::line(Value::Array(circuits.iter().map(to_json).collect()).to_string());
    }
    let time = |at: Option<UnixMillis>| at.map(UnixMillis::to_rfc3339).unwrap_or_default();
    let row = |ShownCircuit { service, standing }: &ShownCircuit| {
        vec![
            service.clone(),
            standing.state.as_str().to_owned(),
            time(standing.forced.map(|forced| forced.until)),
            time(standing.retry_at),
            standing.failures.to_string(),
            time(standing.last_failure),
            standing.reporters.to_string(),
        ]
    };
    let rows: Vec<Vec<String>> = circuits.iter().map(row).collect();
    let names =
        ["SERVICE", "STATE", "FORCED UNTIL", "TRIED AT", "FAILURES", "LAST FAILURE", "REPORTERS"];
    output::table(&names, &rows)
}

async fn force(forced: &CircuitForced, state: ForcedState) -> Result<()> {
    let CircuitForced { of: OneCircuit { name, durable, shared }, holds, why } = forced;
    let holds_ms = settings::seconds(holds)?.saturating_mul(1000);
    let why = settings::trimmed_option("--why", why.as_deref())?;
    let operators = operators::of_circuits(durable, shared).await?;
    let wanted = ForcedFor { state, holds_ms, why };
    let shown = operators.force_circuit(name, &wanted, &operators::actor(), now()).await?;
    let until = shown.standing.forced.map(|forced| forced.until.to_rfc3339()).unwrap_or_default();
    let line = match state {
        ForcedState::Open => format!("{name} is open until {until}: all calls are refused"),
        ForcedState::Closed => format!("{name} is closed until {until}, whatever is reported"),
    };
    done(&shown, shared, line)
}

async fn reset(one: &OneCircuit) -> Result<()> {
    let operators = operators::of_circuits(&one.durable, &one.shared).await?;
    let shown = operators.reset_circuit(&one.name, &operators::actor(), now()).await?;
    done(&shown, &one.shared, format!("{} is closed, as if it were new", one.name))
}

fn done(shown: &ShownCircuit, shared: &SharedCircuits, line: String) -> Result<()> {
    output::line(if shared.json { to_json(shown).to_string() } else { line })
}

fn to_json(ShownCircuit { service, standing }: &ShownCircuit) -> Value {
    json!({
        "service": service,
        "state": standing.state.as_str(),
        "forced_until": standing.forced.map(|forced| forced.until.to_rfc3339()),
        "retry_at": standing.retry_at.map(UnixMillis::to_rfc3339),
        "failures": standing.failures,
        "last_failure": standing.last_failure.map(UnixMillis::to_rfc3339),
        "reporters": standing.reporters,
    })
}
