//! Circuits: whether a request may go to its service, what its caller gets instead, and what is
//! made of how it ends.

use postern_circuit::{Admission, Ended, MadeBy};
use postern_document::{Fallback, FixedAnswer, Route};
use postern_filter_circuit_breaker::{Looked, Ticket};
use postern_filter_host::{Answer, Effects, RequestHost};
use postern_request::{Denial, UnixMillis};

use super::stale::{Asked, Watch};
use super::{Gatekeeper, Turned};
use crate::counters::Count;
use crate::stages::STAGES;

/// Envoy's attribute for who made an answer, and why: its `%RESPONSE_CODE_DETAILS%`.
const CODE_DETAILS: [&str; 2] = ["response", "code_details"];
/// What it says of an answer that the service has given.
pub(super) const VIA_UPSTREAM: &str = "via_upstream";
/// What it says of one that took too long, whoever was waited for.
const TIMES_OVER: [&str; 2] = ["response_timeout", "upstream_max_stream_duration_reached"];
const GRPC_STATUS: &str = "grpc-status";
/// From the end of a request to the headers of its answer, in milliseconds: the router's word.
const SERVICE_TIME: &str = "x-envoy-upstream-service-time";

/// A request to a service with a circuit, until it is known how it has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Call {
    ticket: Ticket,
    is_grpc: bool,
    /// Its answer's status, and how long that took, where only its trailers say how it has ended.
    answered: Option<(u16, u64)>,
}

/// The way of a request that passes.
#[derive(Debug, PartialEq, Eq, Default)]
pub(super) struct Way {
    /// To a service with a circuit.
    pub(super) call: Option<Call>,
    /// To the service that answers for its own.
    pub(super) to_fallback: bool,
    /// To a service whose answer may be kept.
    pub(super) watch: Option<Box<Watch>>,
}

impl Gatekeeper {
    /// How the circuit of a route's service stands; none where it has none.
    pub(super) fn look(&mut self, host: &impl RequestHost, route: &Route) -> Option<Looked> {
        if !STAGES.circuits {
            return None;
        }
        let link = self.circuits.as_mut()?;
        let looked = link.circuits.look(host, route.service.as_ref()?)?;
        if let Some(link) = &mut self.feed {
            link.feed.works();
        }
        Some(looked)
    }

    /// Whether a request may go to its service. Where it may not, and the route does not say what
    /// its caller gets instead, it is refused.
    pub(super) fn pass_circuit(
        &mut self,
        host: &impl RequestHost,
        route: &Route,
        looked: Option<Looked>,
        asked: Option<Asked>,
        is_grpc: bool,
        now: UnixMillis,
    ) -> Result<Way, Turned> {
        let Some(looked) = looked else { return Ok(Way::default()) };
        let on = |call, asked: Option<Asked>| {
            let watch = asked.and_then(Asked::watch);
            Ok(Way { call: Some(call), to_fallback: false, watch })
        };
        let retry_after_ms = match self.ask_circuit(host, looked, is_grpc, now) {
            Ok(call) => return on(call, asked),
            Err(retry_after_ms) => retry_after_ms,
        };
        self.counters.add(Count::CircuitRefused, 1);
        let instead = match &route.fallback {
            None => return Err(Turned::Away(Denial::circuit_open(retry_after_ms))),
            Some(Fallback::Stale(_)) => {
                let Some((answer, watch)) = asked.and_then(|asked| self.recall(host, &asked, now))
                else {
                    self.counters.add(Count::StaleMisses, 1);
                    return Err(Turned::Away(Denial::circuit_open(retry_after_ms)));
                };
                self.counters.add(Count::CircuitStale, 1);
                Err(Turned::Answered(answer, Some(watch)))
            }
            Some(Fallback::Shadow) => {
                on(Call { ticket: looked.ticket, is_grpc, answered: None }, None)
            }
            Some(Fallback::Service(other)) => {
                let link = self.circuits.as_mut();
                let looked = link.and_then(|link| link.circuits.look(host, other));
                let call = looked.map(|looked| self.ask_circuit(host, looked, is_grpc, now));
                // Where both refuse, whichever may be tried first.
                let refused = |other_ms: u64| Denial::circuit_open(retry_after_ms.min(other_ms));
                let call = call.transpose().map_err(refused)?;
                Ok(Way { call, to_fallback: true, watch: None })
            }
            Some(Fallback::Answer(fixed)) => Err(Turned::Answered(answer(fixed), None)),
        };
        self.counters.add(Count::CircuitFallbacks, 1);
        instead
    }

    /// Asks a circuit: the call whose outcome is waited for, or in how many milliseconds one may be
    /// tried.
    fn ask_circuit(
        &mut self,
        host: &impl RequestHost,
        looked: Looked,
        is_grpc: bool,
        now: UnixMillis,
    ) -> Result<Call, u64> {
        let mut ticket = looked.ticket;
        let admission = match &mut self.circuits {
            Some(link) if !looked.is_closed => link.circuits.admit(host, &mut ticket, now),
            _ => Admission::Pass,
        };
        match admission {
            Admission::Pass => {}
            Admission::Probe => self.counters.add(Count::CircuitProbes, 1),
            Admission::Refused { retry_after_ms } => return Err(retry_after_ms),
        }
        Ok(Call { ticket, is_grpc, answered: None })
    }

    /// The headers of an answer are there. The call again, where its trailers are waited for.
    ///
    /// Answers that look well are taken for the service's own as long as nothing hangs on them;
    /// of others Envoy is asked who made them.
    pub(super) fn hear_headers(
        &mut self,
        host: &impl RequestHost,
        call: Call,
        status: u16,
        headers: &dyn Effects,
        (took_ms, now): (u64, UnixMillis),
    ) -> Option<Call> {
        let link = self.circuits.as_mut()?;
        let settings = link.circuits.settings(&call.ticket)?;
        let (counts, slow) = (settings.counts, settings.slow);
        // By the clock a call is late also where its caller, or who is asked on the way, takes
        // time. How long the service took, Envoy's router says of requests that had come in whole.
        let served_ms = || match slow {
            Some(slow) if took_ms > slow.over_ms => {
                headers.header(SERVICE_TIME).and_then(|took| super::number(&took)).unwrap_or(0)
            }
            _ => took_ms,
        };
        let grpc = if call.is_grpc { grpc_status(headers) } else { None };
        if call.is_grpc && grpc.is_none() && counts.grpc != 0 && !counts.statuses.contains(status) {
            return Some(Call { answered: Some((status, served_ms())), ..call });
        }
        let looks_well = (200..400).contains(&status) && grpc.is_none_or(|grpc| grpc == 0);
        let is_plain = looks_well && !link.circuits.is_critical(&call.ticket);
        let details = if is_plain { None } else { Some(code_details(host)) };
        let made_by = details.as_deref().map_or(MadeBy::Upstream, MadeBy::Details);
        // Of an answer that never came there is only the clock.
        let is_services = details.as_deref().is_none_or(|details| details == VIA_UPSTREAM);
        let took_ms = if is_services { served_ms() } else { took_ms };
        let ended = Ended::Answered { status, grpc, made_by, took_ms };
        link.circuits.settle(host, call.ticket, &ended, now);
        None
    }

    /// The trailers of an answer are there: only services send some.
    pub(super) fn hear_trailers(
        &mut self,
        host: &impl RequestHost,
        call: Call,
        trailers: &dyn Effects,
        now: UnixMillis,
    ) {
        let (Some(link), Some((status, took_ms))) = (&mut self.circuits, call.answered) else {
            return;
        };
        let grpc = grpc_status(trailers);
        let ended = Ended::Answered { status, grpc, made_by: MadeBy::Upstream, took_ms };
        link.circuits.settle(host, call.ticket, &ended, now);
    }

    /// The request has ended before it was known how: it was broken off, by whomever Envoy says.
    pub(super) fn hear_end(
        &mut self,
        host: &impl RequestHost,
        call: Call,
        (took_ms, now): (u64, UnixMillis),
    ) {
        let Some(link) = &mut self.circuits else { return };
        let details = code_details(host);
        let says_nothing = match call.answered {
            // An answer that never came by here: somebody else has thrown it away.
            None => details == VIA_UPSTREAM,
            // It has begun, and its caller may be the one who does not read on.
            Some(_) => TIMES_OVER.contains(&details.as_str()),
        };
        if says_nothing {
            return;
        }
        let (status, took_ms) = call.answered.unwrap_or((0, took_ms));
        let made_by = MadeBy::Details(&details);
        let ended = Ended::Answered { status, grpc: None, made_by, took_ms };
        link.circuits.settle(host, call.ticket, &ended, now);
    }

    /// What the feed has said of circuits.
    pub(super) fn hear_of_circuits(&mut self, host: &impl RequestHost, now: UnixMillis) {
        let (Some(feed), Some(link)) = (&mut self.feed, &self.circuits) else { return };
        if let Some(said) = feed.feed.take_circuits()
            && !link.circuits.hear(host, &said, now)
        {
            feed.feed.miss_circuits();
        }
    }
}

/// A document's own answer. What stands in for another one is nobody's to keep, unless the
/// document says so.
fn answer(fixed: &FixedAnswer) -> Answer {
    let mut headers = fixed.headers.clone();
    if !headers.iter().any(|(name, _)| name == "cache-control") {
        headers.push(("cache-control".to_owned(), "no-store".to_owned()));
    }
    if let Some(content_type) = &fixed.content_type {
        headers.push(("content-type".to_owned(), content_type.clone()));
    }
    Answer { status: fixed.status, headers, body: fixed.body.clone().into_bytes() }
}

fn grpc_status(headers: &dyn Effects) -> Option<u32> {
    super::number(&headers.header(GRPC_STATUS)?)
}

pub(super) fn code_details(host: &impl RequestHost) -> String {
    let found = host.property(&CODE_DETAILS).unwrap_or_default();
    String::from_utf8(found).unwrap_or_default()
}
