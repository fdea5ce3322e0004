//! Workers of one process, and a server of a few lines.

mod costs;
mod reports;
mod stories;
mod whatever;

use postern_circuit::MadeBy;
use postern_document::from_json;
use postern_filter_shared_data::Memory;
use postern_proto::feed::v1::{CircuitPhase, CircuitState, ReportRequest, ServiceReport};
use prost::Message as _;

use super::*;

const START: u64 = 1_700_000_000_000;
const TICK_MS: u64 = 100;
/// Writes that fail in a row, after which nobody tries again.
const TOO_MANY: u32 = 33;

/// Five failures in a row, ten seconds, one probe a second.
const PLAIN: &str = r#""failures": 5, "recovery": "10s", "jitter": "0%""#;

struct Process {
    shared: Memory,
    service: Arc<Service>,
    vms: Vec<Circuits>,
    now: u64,
}

impl Process {
    /// Whose first worker is the one that speaks to the server, where there is one.
    fn new(circuit: &str, vms: usize, has_server: bool) -> Self {
        let text = format!(
            r#"{{"version": 1,
                "services": {{"bank": {{"upstream": "h:1", "circuit": {{{circuit}}}}},
                              "shop": {{"upstream": "h:1"}},
                              "post": {{"upstream": "h:1", "circuit": {{}}}}}},
                "routes": [
                  {{"name": "b", "match": {{"path": "/b"}}, "service": "bank", "auth": "none"}},
                  {{"name": "s", "match": {{"path": "/s"}}, "service": "shop", "auth": "none"}},
                  {{"name": "p", "match": {{"path": "/p"}}, "service": "post", "auth": "none"}}
                ]}}"#
        );
        let document = from_json(text.as_bytes()).unwrap();
        let asker = has_server.then(|| Asker {
            workload: "w".to_owned(),
            envoy_id: "e".to_owned(),
            document_digest: document.digest.clone(),
            tick_ms: TICK_MS,
        });
        let vms = (0..vms).map(|_| Circuits::new(&document, asker.clone(), 7 << 64)).collect();
        let service = document.services.iter().find(|service| service.name == "bank").unwrap();
        let service = Arc::clone(service);
        Self { shared: Memory::default(), service, vms, now: START }
    }

    const fn time(&self) -> UnixMillis {
        UnixMillis(self.now)
    }

    /// A request comes in.
    fn ask(&mut self, vm: usize) -> Result<Ticket, u64> {
        let now = self.time();
        let Looked { mut ticket, is_closed } =
            self.vms[vm].look(&self.shared, &self.service).unwrap();
        if is_closed {
            return Ok(ticket);
        }
        match self.vms[vm].admit(&self.shared, &mut ticket, now) {
            Admission::Refused { retry_after_ms } => Err(retry_after_ms),
            Admission::Pass | Admission::Probe => Ok(ticket),
        }
    }

    /// The service answers it.
    fn end(&mut self, vm: usize, ticket: Ticket, status: u16) {
        let made_by = MadeBy::Details("via_upstream");
        let ended = Ended::Answered { status, grpc: None, made_by, took_ms: 1 };
        let now = self.time();
        self.vms[vm].settle(&self.shared, ticket, &ended, now);
    }

    /// Both at once: what the caller gets.
    fn call(&mut self, vm: usize, status: u16) -> u16 {
        match self.ask(vm) {
            Ok(ticket) => {
                self.end(vm, ticket, status);
                status
            }
            Err(_) => 503,
        }
    }

    /// Every worker ticks; the report that is due.
    fn tick(&mut self) -> Option<ReportRequest> {
        self.now += TICK_MS;
        let now = self.time();
        let mut due = None;
        for (at, vm) in self.vms.iter_mut().enumerate() {
            let call = vm.tick(&self.shared, at == 0, now);
            assert!(at == 0 || call.is_none());
            due = due.or(call);
        }
        due.map(|body| ReportRequest::decode(framing::unframe(&body).unwrap()).unwrap())
    }

    /// Ticks so often; the reports, each answered with this.
    fn ticks(&mut self, count: u32, answer: &ReportResponse) -> Vec<ReportRequest> {
        let mut reports = Vec::new();
        for _ in 0..count {
            if let Some(report) = self.tick() {
                self.answer(answer);
                reports.push(report);
            }
        }
        reports
    }

    fn answer(&mut self, answer: &ReportResponse) {
        let body = framing::frame(answer).unwrap();
        let now = self.time();
        self.vms[0].answered(&self.shared, Answered::Body(&body), now).unwrap();
    }

    fn entry(&self) -> Entry {
        let found = self.shared.get(&key_of(&self.service));
        Entry::read(&found.map(|(bytes, _)| bytes).unwrap_or_default())
    }
}

/// What the fleet says of the service.
fn word(phase: CircuitPhase) -> CircuitState {
    CircuitState { service: "bank".to_owned(), phase: phase.into(), ..CircuitState::default() }
}

fn answer(words: &[CircuitState]) -> ReportResponse {
    ReportResponse { services: words.to_vec(), next_ms: 1_000, ..ReportResponse::default() }
}
