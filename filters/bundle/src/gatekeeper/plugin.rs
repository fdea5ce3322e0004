//! The gatekeeper as the host runs it: ticks, calls, requests, responses.

use postern_document::Skip;
use postern_filter_host::{Effects, HeaderList, HttpCall, Outcome, Plugin, RequestHost};
use postern_request::{UnixMillis, correlation, headers};

use super::limits::Tickets;
use super::stale::Watch;
use super::{Gatekeeper, Responding, Turned, number};
use crate::circuits::REPORTS;
use crate::counters::{Count, GAUGES, NAMES};
use crate::feed::{FEED, TICK_MS};
use crate::leases::LEASES;
use crate::request::RequestHeaders;
use crate::stages::STAGES;

/// Milliseconds between ticks where there is nobody to ask, only counters to hand over.
const COUNTERS_TICK_MS: u64 = 1000;

/// The filter state that says why a request was refused, for access logs: `wasm.postern.denied`.
const DENIED_STATE: &str = "postern.denied";

impl Plugin for Gatekeeper {
    type Stream = Responding;

    const METRICS: &'static [&'static str] = NAMES;
    const GAUGES: &'static [&'static str] = GAUGES;

    fn configure(host: impl RequestHost, configuration: &[u8]) -> Result<Self, Vec<String>> {
        Self::assemble(&host, configuration)
    }

    fn tick_ms(&self) -> u64 {
        if self.is_idle() { COUNTERS_TICK_MS } else { TICK_MS }
    }

    fn on_tick(&mut self, host: impl RequestHost) -> Vec<HttpCall> {
        if self.is_idle() {
            return Vec::new();
        }
        let round = self.fetcher.tick(&host, host.now());
        let mut calls = round.calls;
        for (issuer, keys) in round.keys {
            self.jwt.set_keys(issuer, keys);
        }
        let mut is_elected = false;
        if let Some(link) = &mut self.feed {
            calls.extend(link.due(&host, host.now()));
            is_elected = link.feed.is_elected();
            let leases = self.leases.as_mut();
            calls.extend(leases.and_then(|link| link.due(&host, is_elected, host.now())));
            self.take_keys(&host);
        }
        let circuits = self.circuits.as_mut();
        calls.extend(circuits.and_then(|link| link.due(&host, is_elected, host.now())));
        calls
    }

    fn on_http_call_sent(&mut self, host: impl RequestHost, call: &HttpCall, token: Option<u32>) {
        if call.purpose == FEED {
            self.counters.add(Count::FeedCalls, 1);
            if let Some(link) = &mut self.feed {
                link.sent(&host, token, host.now());
            }
            return;
        }
        if call.purpose == LEASES {
            self.counters.add(Count::LeaseCalls, 1);
            if let Some(link) = &mut self.leases {
                let sent = link.sent(&host, token, host.now());
                self.counters.add(Count::LeaseFailures, u64::from(!sent));
            }
            return;
        }
        if call.purpose == REPORTS {
            self.counters.add(Count::ReportCalls, 1);
            if let Some(link) = &mut self.circuits {
                let sent = link.sent(&host, token, host.now());
                self.counters.add(Count::ReportFailures, u64::from(!sent));
            }
            return;
        }
        self.counters.add(Count::KeyFetches, 1);
        if token.is_none() {
            self.counters.add(Count::KeyFetchFailures, 1);
        }
        self.fetcher.sent(&host, call, token, host.now());
    }

    fn on_http_call_answer(
        &mut self,
        host: impl RequestHost,
        token: u32,
        status: Option<u16>,
        headers: &HeaderList,
        body: &[u8],
    ) -> Result<Vec<HttpCall>, String> {
        let (now, answer) = (host.now(), (status, headers, body));
        let feed = self.feed.as_mut();
        if let Some(taken) = feed.and_then(|link| link.answered(&host, token, answer, now)) {
            self.counters.add(Count::FeedFailures, u64::from(taken.is_err()));
            self.hear_of_circuits(&host, now);
            return taken.map(Vec::from_iter);
        }
        let leases = self.leases.as_mut();
        if let Some(taken) = leases.and_then(|link| link.answered(&host, token, answer, now)) {
            self.counters.add(Count::LeaseFailures, u64::from(taken.is_err()));
            return taken.map(|()| Vec::new());
        }
        let circuits = self.circuits.as_mut();
        if let Some(taken) = circuits.and_then(|link| link.answered(&host, token, answer, now)) {
            self.counters.add(Count::ReportFailures, u64::from(taken.is_err()));
            return taken.map(|()| Vec::new());
        }
        match self.fetcher.answered(&host, token, status, body, now) {
            Some(Ok((issuer, keys))) => {
                self.jwt.set_keys(issuer, keys);
                Ok(Vec::new())
            }
            Some(Err(message)) => {
                self.counters.add(Count::KeyFetchFailures, 1);
                Err(message)
            }
            None => Ok(Vec::new()),
        }
    }

    fn take_counts(&mut self) -> Vec<u64> {
        if let Some(link) = &mut self.circuits {
            let happened = link.circuits.take_happened();
            self.counters.add(Count::CircuitOpened, happened.opened.into());
            self.counters.add(Count::SlotConflicts, happened.conflicts.into());
        }
        self.counters.take()
    }

    fn take_gauges(&self) -> Vec<Option<u64>> {
        let lender_differs = self.leases.as_ref().and_then(|link| link.leases.document_differs());
        self.feed.as_ref().map(|link| link.gauges(lender_differs)).unwrap_or_default()
    }

    fn on_request_headers(
        &mut self,
        host: impl RequestHost,
        list: &HeaderList,
        effects: &mut dyn Effects,
    ) -> Outcome<Responding> {
        let now = host.now();
        self.counters.add(Count::Requests, 1);
        let request = RequestHeaders::read(list, &self.own_headers);
        let correlation_id =
            correlation::choose(request.correlation_id, request.request_id, || self.next_id(now));
        let decided = self.decide(&host, list, &request, effects, now);
        for name in &request.forged {
            if STAGES.tokens {
                self.counters.add(Count::IdentityStripped, 1);
            } else if !STAGES.circuits || *name != headers::FALLBACK {
                continue;
            }
            effects.remove_header(name);
        }
        match decided {
            Ok(admitted) => {
                self.counters.add(Count::Allowed, 1);
                // Values that only `ext_proc` can write must not come from outside while it is
                // away.
                for (name, value) in &admitted.route.transform.request.set {
                    if !value.is_fixed() && list.iter().any(|(sent, _)| sent == name) {
                        effects.remove_header(name);
                    }
                }
                self.write_identity(&admitted.known, effects);
                if admitted.way.to_fallback {
                    effects.add_header(headers::FALLBACK, headers::TO_FALLBACK);
                }
                match request.correlation_id {
                    None => effects.add_header(headers::CORRELATION_ID, &correlation_id),
                    Some(kept) if kept == correlation_id.as_bytes() => {}
                    Some(_) => effects.set_header(headers::CORRELATION_ID, &correlation_id),
                }
                if !request.traceparent.is_some_and(correlation::is_traceparent) {
                    let trace = self.traceparent(&correlation_id, request.request_id, now);
                    match request.traceparent {
                        None => effects.add_header(headers::TRACEPARENT, &trace),
                        Some(_) => effects.set_header(headers::TRACEPARENT, &trace),
                    }
                }
                Outcome::Continue(Some(Responding {
                    correlation_id,
                    started: now,
                    limit: admitted.limit,
                    tickets: admitted.tickets,
                    call: admitted.way.call,
                    watch: admitted.way.watch,
                    // A module with some of the stages has another beside it, which writes too.
                    is_clean: self.clean_responses && STAGES.are_all(),
                }))
            }
            Err(turned) => self.turn_away(turned, &request, correlation_id, effects, now),
        }
    }

    fn on_request_trailers(&mut self, trailers: &HeaderList, effects: &mut dyn Effects) {
        if !STAGES.tokens {
            return;
        }
        for (name, _) in trailers {
            if headers::is_identity_header(name, &self.own_headers.claims) {
                self.counters.add(Count::IdentityStripped, 1);
                effects.remove_header(name);
            }
        }
    }

    fn on_response_headers(
        &mut self,
        host: impl RequestHost,
        stream: &mut Responding,
        effects: &mut dyn Effects,
    ) {
        let now = host.now();
        let took = now.millis_since(stream.started);
        if !stream.tickets.is_empty() || stream.call.is_some() || stream.watch.is_some() {
            let status = effects.header(":status").and_then(|status| number(&status));
            if !stream.tickets.is_empty() {
                // An answer without a status is none that went well.
                let successful = status.is_some_and(|status| {
                    Skip::is_successful(status, effects.header("grpc-status").as_deref())
                });
                stream.tickets.settle(&host, successful, now);
            }
            if let Some(call) = stream.call.take() {
                let status = status.unwrap_or_default();
                stream.call = self.hear_headers(&host, call, status, &*effects, (took, now));
            }
            if let Some(watch) = stream.watch.take() {
                stream.watch = self.see_headers(&host, *watch, status, effects, now);
            }
        }
        let mut write = |name: &str, value: &str| {
            if stream.is_clean {
                effects.add_header(name, value);
            } else {
                effects.set_header(name, value);
            }
        };
        write(headers::CORRELATION_ID, &stream.correlation_id);
        write(headers::RESPONSE_TIME, &took.to_string());
        if let Some(limit) = stream.limit {
            limit.for_each_header(self.document.limit_headers, write);
        }
    }

    fn reads_body(stream: &Responding) -> bool {
        matches!(stream.watch.as_deref(), Some(Watch::Copying(_)))
    }

    fn on_response_body(
        &mut self,
        host: impl RequestHost,
        stream: &mut Responding,
        size: usize,
        read: &dyn Fn() -> Vec<u8>,
        ends: bool,
    ) {
        self.copy(&host, stream, (size, read), ends);
    }

    fn on_response_trailers(
        &mut self,
        host: impl RequestHost,
        stream: &mut Responding,
        trailers: &dyn Effects,
    ) {
        // An answer with trailers is none without them.
        self.forget(stream);
        if let Some(call) = stream.call.take() {
            self.hear_trailers(&host, call, trailers, host.now());
        }
    }

    fn on_end(&mut self, host: impl RequestHost, mut stream: Responding) {
        self.forget(&mut stream);
        if !stream.tickets.is_empty() {
            stream.tickets.release(&host);
        }
        if let Some(call) = stream.call {
            let now = host.now();
            self.hear_end(&host, call, (now.millis_since(stream.started), now));
        }
    }
}

impl Gatekeeper {
    /// Whether there is nobody to ask, and nothing to hand over.
    fn is_idle(&self) -> bool {
        self.fetcher.is_empty() && self.feed.is_none() && self.circuits.is_none()
    }

    /// Answers a request that goes no further.
    fn turn_away(
        &mut self,
        turned: Turned,
        request: &RequestHeaders<'_>,
        correlation_id: String,
        effects: &mut dyn Effects,
        now: UnixMillis,
    ) -> Outcome<Responding> {
        let reason = match &turned {
            Turned::Away(denial) => denial.reason,
            Turned::Answered(..) => "circuit_open",
        };
        // For the access log: which request this was, and what a client is never told.
        effects.set_header(headers::CORRELATION_ID, &correlation_id);
        effects.set_filter_state(DENIED_STATE, reason.as_bytes());
        let responding = Responding {
            correlation_id,
            started: now,
            limit: None,
            tickets: Tickets::default(),
            call: None,
            watch: None,
            is_clean: false,
        };
        let mut denial = match turned {
            Turned::Answered(answer, watch) => {
                return Outcome::Answer(answer, Responding { watch, ..responding });
            }
            Turned::Away(denial) => denial,
        };
        denial.limit_headers = self.document.limit_headers;
        self.counters.add_denial(denial.code.status());
        let mut rendered = denial.render(&responding.correlation_id, now, request.is_grpc);
        if let Some(issuer) = self.document.advertised() {
            rendered.advertise(issuer);
        }
        Outcome::Deny(rendered, responding)
    }
}
