//! Circuits: converted in, converted out.

use postern_circuit::{Report, State};
use postern_proto::feed::v1::{
    CircuitPhase, CircuitState, Circuits, ReportRequest, ReportResponse, ServiceReport as Said,
};
use postern_store::volatile::ProbeOutcomes;
use tonic::Status;

use super::later;
use crate::circuits::reports::{Heard, ReportRefusal, Reports, ServiceReport, ToldCircuit};
use crate::circuits::view::ToldCircuits;

pub(super) fn read(request: ReportRequest) -> Reports {
    Reports {
        workload: request.workload,
        envoy_id: request.envoy_id,
        document_digest: request.document_digest,
        number: request.number,
        services: request.services.into_iter().map(read_service).collect(),
    }
}

fn read_service(said: Said) -> ServiceReport {
    let Said { calls, failures, slow, run, refused, .. } = said;
    ServiceReport {
        service: said.service,
        report: Report { calls, failures, slow, run },
        probes: ProbeOutcomes { through: said.probes_through, failed: said.probes_failed },
        refused,
    }
}

pub(super) fn write(heard: Heard) -> ReportResponse {
    ReportResponse {
        services: heard.services.into_iter().map(write_state).collect(),
        next_ms: u32::try_from(heard.next.as_millis()).unwrap_or(u32::MAX),
        document_digest: heard.document_digest,
    }
}

pub(super) fn write_all(told: ToldCircuits) -> Circuits {
    let services = told.services.into_iter().map(write_state).collect();
    Circuits { version: told.version, services }
}

fn write_state(told: ToldCircuit) -> CircuitState {
    let phase = match told.state {
        State::Closed => CircuitPhase::Closed,
        State::Open => CircuitPhase::Open,
        State::HalfOpen => CircuitPhase::HalfOpen,
    };
    CircuitState {
        service: told.service,
        phase: phase.into(),
        retry_after_ms: u32::try_from(told.retry_after_ms).unwrap_or(u32::MAX),
        probes: told.granted.probes,
        probe_life_ms: u32::try_from(told.granted.life_ms).unwrap_or(u32::MAX),
        forced: told.forced,
    }
}

pub(super) fn refuse(refusal: &ReportRefusal) -> Status {
    let text = refusal.to_string();
    match refusal {
        ReportRefusal::Invalid(_) => Status::invalid_argument(text),
        ReportRefusal::NotPermitted => Status::permission_denied(text),
        ReportRefusal::OverQuota { next_poll } => {
            later(Status::resource_exhausted(text), *next_poll)
        }
        ReportRefusal::Unavailable { next_poll } => later(Status::unavailable(text), *next_poll),
    }
}
