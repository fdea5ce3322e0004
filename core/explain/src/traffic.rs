//! How a request reaches its service, once it may: which version gets it, what is planted on the
//! way, whom the rate limit service counts. What Envoy does by itself is told, not decided: a share
//! is drawn for each request, and nothing is counted here.

mod told;

use postern_document::{
    CanaryPick, DescriptorEntry, HeaderValue, OnFailure, RateLimitFilter, Retries, Route,
};
use postern_request::{Denial, ErrorCode, headers, local_reply};

pub(crate) use self::told::picked;
use self::told::{share, shares};
use crate::assume::Part;
use crate::envoy::Incoming;
use crate::failure;
use crate::limits::duration;
use crate::message::Message;
use crate::rule::{Effect, Rule};
use crate::step::{By, Stage, Verdict};
use crate::walk::{Stop, Walk};

/// All requests.
const ALL: u32 = 1_000_000;

/// What the edge has chosen for a request; nothing for one that comes past it.
#[derive(Debug, Default)]
pub(crate) struct Way {
    pub(crate) versions: Vec<(String, u8)>,
    pub(crate) descriptors: Vec<Vec<(String, String)>>,
    pub(crate) delay_ms: Option<u64>,
    /// What it may still be answered with.
    pub(crate) may: Vec<String>,
    /// The service that answers while the circuit of the route's own is open.
    pub(crate) instead: Option<String>,
    retries: Option<Retries>,
}

impl Walk<'_, '_> {
    /// When it is tried again. What an Envoy beside a workload tried again, its caller would try
    /// again as well.
    pub(crate) fn retries(&self) -> Retries {
        self.way.retries.clone().unwrap_or(Retries::NEVER)
    }

    /// Which version gets it: by a header as the bundle has left it, else by its share.
    pub(crate) fn choose_version(&mut self, incoming: &Incoming, route: &Route, message: &Message) {
        // Behind the edge that has been decided.
        if !self.here.is_edge() {
            return;
        }
        self.way.retries = Some(route.retries.clone());
        if self.way.instead.is_some() {
            return;
        }
        if route.canary.iter().any(|pick| depends_on_envoy(pick, incoming, message)) {
            self.assumed("an Envoy that compares each line of a header; older ones join them");
        }
        if let Some(pick) = route.canary.iter().find(|pick| chooses(pick, incoming, message)) {
            let version = &pick.version.name;
            let rules = vec![Rule::route_item(route, "canary", &picked(pick), Effect::Passed)];
            let text = format!("{version}, by `{}`", picked(pick));
            self.push(Stage::Version, By::Router, Verdict::Passed, rules, text);
            self.way.versions = vec![(version.clone(), 100)];
            return;
        }
        let drawn = route.split.iter().filter(|(_, percent)| *percent > 0);
        let drawn: Vec<(String, u8)> =
            drawn.map(|(version, percent)| (version.name.clone(), *percent)).collect();
        if drawn.is_empty() {
            return;
        }
        let rule =
            |(name, _): &(String, u8)| Rule::route_item(route, "split", name, Effect::Passed);
        let rules = drawn.iter().map(rule).collect();
        self.push(Stage::Version, By::Router, Verdict::Passed, rules, shares(&drawn));
        self.way.versions = drawn;
    }

    /// What the route has planted. Delays come first, and nothing of it is tried again.
    pub(crate) fn plant_fault(&mut self, route: &Route) -> Result<(), Stop> {
        let Some(fault) = route.fault.filter(|_| self.here.is_edge()) else { return Ok(()) };
        if let Some(delay) = fault.delay {
            let time = duration(delay.time_ms);
            if self.meets(delay.parts_per_million) {
                let rules = vec![Rule::route(route, "fault.delay", Effect::Passed)];
                let text = format!("waits {time} first, beside the timeout");
                self.push(Stage::Fault, By::Envoy, Verdict::Passed, rules, text);
                self.way.delay_ms = Some(delay.time_ms);
            } else {
                let text = format!("{} of requests wait {time}", share(delay.parts_per_million));
                self.push(Stage::Fault, By::Envoy, Verdict::Noted, Vec::new(), text);
            }
        }
        let Some(abort) = fault.abort else { return Ok(()) };
        let (status, code) = local_reply::told(abort.status);
        if !self.meets(abort.parts_per_million) {
            let share = share(abort.parts_per_million);
            let text = format!("{share} of requests are answered {status}");
            self.push(Stage::Fault, By::Envoy, Verdict::Noted, Vec::new(), text);
            self.way.may.push(format!("{status} fault, {share} of requests"));
            return Ok(());
        }
        let rules = vec![Rule::route(route, "fault.abort", Effect::Refused)];
        let text = match abort.status {
            same if same == status => "planted".to_owned(),
            other => format!("planted as {other}, which callers see as {status}"),
        };
        let is_plain = code.is_none();
        // Of a status that the gateway has no words for, the code is not told.
        let denial = code.map_or(Denial::new(ErrorCode::Unavailable, ""), failure::of_envoy);
        let mut stop = self.answer(Stage::Fault, status, denial, rules, text);
        stop.is_plain = is_plain;
        Err(stop)
    }

    /// Whether the request is one of so many of a million.
    fn meets(&self, parts_per_million: u32) -> bool {
        parts_per_million >= ALL || self.assume.faulted
    }

    /// Envoy's own rate limit filter.
    pub(crate) fn ask_rate_limit_service(
        &mut self,
        incoming: &Incoming,
        route: &Route,
        message: &Message,
    ) -> Result<(), Stop> {
        let document = self.document;
        let Some(settings) = &document.rate_limit_filter else { return Ok(()) };
        if route.descriptors.is_empty() || !self.here.enforces(route) {
            return Ok(());
        }
        let told = route.descriptors.iter();
        let told = told.filter_map(|entries| descriptor(entries, incoming, route, message));
        let told: Vec<Vec<(String, String)>> = told.collect();
        if told.is_empty() {
            let verdict = Verdict::Skipped("there is nothing to tell");
            let text = "no descriptor: the request lacks a header of each";
            self.push(Stage::RateLimitFilter, By::Envoy, verdict, Vec::new(), text);
            return Ok(());
        }
        let asked = [Part::Server, Part::RateLimitService];
        if asked.iter().any(|part| self.assume.has_failed(part)) {
            return self.rate_limit_service_is_away(settings);
        }
        if self.assume.has_failed(&Part::VolatileStore) {
            self.assumed("without its store, the rate limit service lets the request pass");
        }
        let rules = vec![Rule::route(route, "descriptors", Effect::Passed)];
        let text = format!("domain {}: {}; not counted", settings.domain, told::descriptors(&told));
        let verdict = Verdict::Assumed("not counted");
        self.push(Stage::RateLimitFilter, By::RateLimit, verdict, rules, text);
        self.way.descriptors = told;
        self.way.may.push("429 of the rate limit service".to_owned());
        Ok(())
    }

    fn rate_limit_service_is_away(&mut self, settings: &RateLimitFilter) -> Result<(), Stop> {
        let rules = vec![Rule::new("rate_limit_filter.on_failure".to_owned(), Effect::Failed)];
        match settings.on_failure {
            OnFailure::Deny => {
                let denial = failure::of_envoy(ErrorCode::Unavailable);
                let text = "the rate limit service does not answer: \
                            `rate_limit_filter.on_failure` is `deny`";
                Err(self.answer(Stage::RateLimitFilter, 503, denial, rules, text))
            }
            OnFailure::Allow => {
                let verdict = Verdict::Skipped("the rate limit service does not answer");
                let text = "`rate_limit_filter.on_failure` is `allow`: not counted";
                self.push(Stage::RateLimitFilter, By::Envoy, verdict, rules, text);
                Ok(())
            }
        }
    }

    /// How the service is asked.
    pub(crate) fn note_way(&mut self, route: &Route) {
        let retries = self.retries();
        let service = route.service.as_deref().filter(|_| self.way.retries.is_some());
        let text = match &self.way.instead {
            Some(other) => told::way(other, route, &retries, None),
            None => told::way(route.service_name(), route, &retries, service),
        };
        self.push(Stage::Upstream, By::Router, Verdict::Noted, Vec::new(), text);
    }
}

/// Whether a request has the header that a pick asks for, in one of its lines.
fn chooses(pick: &CanaryPick, incoming: &Incoming, message: &Message) -> bool {
    lines(pick, incoming, message).iter().any(|line| fits(pick, line))
}

/// Whether that is otherwise for an Envoy that takes the lines of one name for one list.
fn depends_on_envoy(pick: &CanaryPick, incoming: &Incoming, message: &Message) -> bool {
    let lines = lines(pick, incoming, message);
    let any = lines.iter().any(|line| fits(pick, line));
    lines.len() > 1 && any != fits(pick, &lines.join(&b","[..]))
}

fn fits(pick: &CanaryPick, value: &[u8]) -> bool {
    match &pick.value {
        HeaderValue::Exact(wanted) => value == wanted.as_bytes(),
        HeaderValue::Prefix(wanted) => value.starts_with(wanted.as_bytes()),
    }
}

fn lines(pick: &CanaryPick, incoming: &Incoming, message: &Message) -> Vec<Vec<u8>> {
    let mut lines = message.lines(&pick.header);
    if lines.is_empty() {
        // What Envoy writes itself is no part of the message.
        let written = incoming.headers.iter().filter(|(name, _)| *name == pick.header);
        let is_envoys = ["x-forwarded-for", "x-forwarded-proto"].contains(&pick.header.as_str());
        lines = written.filter(|_| is_envoys).map(|(_, value)| value.clone()).collect();
    }
    lines
}

/// What the rate limit service is told by one descriptor; none where the request lacks a part.
fn descriptor(
    entries: &[DescriptorEntry],
    incoming: &Incoming,
    route: &Route,
    message: &Message,
) -> Option<Vec<(String, String)>> {
    let first = |name: &str| {
        let line = message.lines(name).into_iter().next()?;
        Some(String::from_utf8_lossy(&line).into_owned())
    };
    let entries = entries.iter().map(|entry| {
        let (key, value) = match entry {
            DescriptorEntry::RemoteAddress => {
                let client = incoming.client.map(|client| client.to_string());
                ("remote_address", client.unwrap_or_else(|| "the gateway's".to_owned()))
            }
            DescriptorEntry::Principal => ("principal", first(headers::SUBJECT)?),
            DescriptorEntry::Route => ("route", route.name.clone()),
            DescriptorEntry::Method => ("method", incoming.method.clone()),
            DescriptorEntry::Header { key, header } => (key.as_str(), first(header)?),
            DescriptorEntry::Fixed { key, value } => (key.as_str(), value.clone()),
        };
        Some((key.to_owned(), value))
    });
    entries.collect()
}
