//! What a request that passes becomes on its way to the service: tokens taken out of it, headers
//! taken away and written, and what may still come in between.

use postern_document::{Fallback, Retries, Route, TokenPlace};
use postern_request::principal::Credential;
use postern_request::{ErrorCode, headers, tokens};

use crate::envoy::Incoming;
use crate::gatekeeper::Admitted;
use crate::message::Message;
use crate::outcome::{Forwarded, LimitNote};
use crate::request::Request;
use crate::step::{By, Stage, Verdict};
use crate::walk::{Passed, Stop, Walk, whose};

impl Walk<'_, '_> {
    /// The request as the bundle leaves it.
    pub(crate) fn write_identity(&self, incoming: &Incoming, admitted: &Admitted) -> Message {
        let route = &*admitted.route;
        let mut message = Message::of(incoming, self.here.is_edge());
        message.strip_tokens(&self.stripped(route), incoming);
        message.remove_identity(self.document);
        // What only `ext_proc` can write must not come from outside while it is away.
        for (name, _) in route.transform.request.set.iter().filter(|(_, value)| !value.is_fixed()) {
            message.remove(name);
        }
        message.keep_ids();
        for (name, value) in admitted.identity_headers(self.document) {
            message.write(&name, value);
        }
        message
    }

    /// Where nothing may be left that opens anything: `stripped` of
    /// `filters/bundle/src/gatekeeper.rs`. A route that a workload guards is open at the edge: its
    /// tokens are for the workload.
    fn stripped(&self, route: &Route) -> Vec<TokenPlace> {
        let mut places = Vec::new();
        let takes_tokens = self.here.enforces(route) && route.auth.accepts(Credential::Jwt);
        if takes_tokens && tokens::are_stripped(&self.document.token_places) {
            places.clone_from(&self.document.token_places);
        }
        if route.service.is_some() {
            places.extend(self.document.own_cookies().into_iter().map(TokenPlace::Cookie));
        }
        places
    }

    /// Values that depend on the request, which `ext_proc` knows by the headers that the bundle
    /// has written.
    pub(crate) fn compute(&mut self, route: &Route, message: &mut Message) -> Result<(), Stop> {
        if !self.here.enforces(route) || !route.needs_ext_proc() {
            return Ok(());
        }
        if self.lacks_ext_proc() {
            return self.ext_proc_is_away();
        }
        let computed = route.transform.request.computed(route, self.assume.now, &|name| {
            // Envoy makes an id, where the client has sent none.
            let made = (name == headers::CORRELATION_ID).then(|| "{request.id}".to_owned());
            message.value(name).or(made)
        });
        let names: Vec<&str> = computed.iter().map(|(name, _)| name.as_str()).collect();
        let text = match names.as_slice() {
            [] => "computes headers of the answer".to_owned(),
            names => format!("computes {}", names.join(", ")),
        };
        self.push(Stage::ExtProc, By::ExtProc, Verdict::Passed, Vec::new(), text);
        for (name, value) in computed {
            message.write(&name, value);
        }
        Ok(())
    }

    /// The request as the service gets it, if the service answers.
    pub(crate) fn finish(&mut self, request: &Request, passed: Passed) -> Result<Forwarded, Stop> {
        let Passed { admitted, mut message, .. } = passed;
        let route = &*admitted.route;
        message.drop_given(self.document, &request.shown);
        let removed = message.removed_of(&request.headers);
        let Message { target, left, written } = message;
        self.note_way(route);
        self.reach_upstream(route)?;
        let instead = self.way.instead.take();
        let mut may = may(route, &self.limits, instead.is_none());
        let service = instead.unwrap_or_else(|| route.service_name().to_owned());
        let principal = admitted.principal;
        let text = format!("forwarded to {service}{}", whose(principal.as_ref()));
        self.push(Stage::Answer, By::Router, Verdict::Passed, Vec::new(), text);
        let Retries { attempts, on, per_try_timeout_ms, backoff_ms } = self.retries();
        may.append(&mut self.way.may);
        Ok(Forwarded {
            at: self.here.name.clone(),
            route: route.name.clone(),
            service,
            versions: self.way.versions.clone(),
            principal,
            target,
            headers: written,
            left,
            removed,
            limits: self.limits.clone(),
            descriptors: self.way.descriptors.clone(),
            delay_ms: self.way.delay_ms,
            timeout_ms: route.timeout_ms,
            attempts,
            retry_on: on,
            per_try_timeout_ms,
            backoff_ms,
            may,
        })
    }
}

/// What may still come in between. `by_circuit`: that of the route's own service, too.
fn may(route: &Route, limits: &[LimitNote], by_circuit: bool) -> Vec<String> {
    let counts = |note: &&LimitNote| !note.shadow && note.allows != "unlimited";
    let mut may: Vec<String> =
        limits.iter().filter(counts).map(|note| format!("429 {}", note.name)).collect();
    let (own, open) = (route.service_name(), ErrorCode::CircuitOpen.status());
    may.extend(match &route.fallback {
        _ if route.circuit().is_none() => None,
        None | Some(Fallback::Stale(_)) => Some(format!("{open} circuit of {own}")),
        Some(Fallback::Answer(fixed)) => Some(format!("{} circuit of {own}", fixed.status)),
        Some(Fallback::Service(other)) if other.circuit.is_some() => Some(match by_circuit {
            true => format!("{open} circuits of {own} and {}", other.name),
            false => format!("{open} circuit of {}", other.name),
        }),
        Some(Fallback::Service(_) | Fallback::Shadow) => None,
    });
    may
}
