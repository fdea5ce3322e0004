//! Services.

use std::sync::Arc;

use super::circuits;
#[cfg(feature = "messages")]
use super::traffic;
use crate::model::{OWN_SERVICE, Retries, Service};
#[cfg(feature = "messages")]
use crate::model::{TokenPlace, Workload};
use crate::problem::{Problems, told};
use crate::raw::{Positive, RawDocument, RawEndpoint, RawRetries, RawRetryOn, RawService};

const DEFAULT_TIMEOUT_MS: u64 = 30_000;

/// What services refer to.
pub(super) struct Context<'a> {
    pub(super) raw: &'a RawDocument,
    #[cfg(feature = "messages")]
    pub(super) token_places: &'a [TokenPlace],
    #[cfg(feature = "messages")]
    pub(super) workloads: &'a [Arc<Workload>],
}

pub(super) fn check(context: &Context<'_>, problems: &mut Problems) -> Vec<Arc<Service>> {
    let raw = &context.raw.services;
    let mut services = Vec::with_capacity(raw.0.len());
    for (name, at, service) in &raw.0 {
        let path = told!("services.{name}");
        if name == OWN_SERVICE {
            problems.report_as(*at, &path, "this name stands for the suite itself");
            continue;
        }
        services.extend(check_service(context, name, service, &path, problems).map(Arc::new));
    }
    #[cfg(feature = "messages")]
    traffic::check_together(context.raw, services.iter().map(AsRef::as_ref), problems);
    services
}

#[cfg_attr(
    not(feature = "messages"),
    expect(unused_variables, reason = "what filters read of a service refers to nothing")
)]
fn check_service(
    context: &Context<'_>,
    name: &str,
    raw: &RawService,
    path: &str,
    problems: &mut Problems,
) -> Option<Service> {
    let address = check_address(name, raw, path, problems);
    let bounded = |field: &Option<Positive>, name: &str, default, problems: &mut Problems| {
        bounded(field.as_ref(), &told!("{path}.{name}"), default, problems)
    };
    let max_connections = bounded(&raw.max_connections, "max_connections", 50, problems);
    let max_pending = bounded(&raw.max_pending, "max_pending", 100, problems);
    let timeout_ms = raw.timeout.as_ref().map_or(DEFAULT_TIMEOUT_MS, |timeout| timeout.millis);
    // Both mean that the upstream has done nothing yet, so any method may be sent again.
    let default =
        || Retries { attempts: 3, on: vec!["connect-failure", "refused-stream"], ..Retries::NEVER };
    let retries = raw.retries.as_ref();
    let retries =
        retries.map_or_else(default, |raw| check_retries(raw, timeout_ms, path, problems));
    let http2 = raw.http2.unwrap_or(false);
    let circuit = raw.circuit.as_ref();
    let circuit = circuit.map(|raw| circuits::check(raw, http2, path, problems));
    #[cfg(feature = "messages")]
    let traffic = {
        let bounds = traffic::Bounds { timeout_ms, max_connections, max_pending };
        traffic::of_service(context, raw, bounds, path, problems)
    };
    let (host, port) = address?;
    let service = Service {
        name: name.to_owned(),
        host,
        port,
        tls: raw.tls.unwrap_or(false),
        http2,
        timeout_ms,
        max_connections,
        max_pending,
        retries,
        circuit,
        #[cfg(feature = "messages")]
        endpoints: traffic.endpoints,
        #[cfg(feature = "messages")]
        discover: traffic.discover,
        #[cfg(feature = "messages")]
        versions: traffic.versions,
        #[cfg(feature = "messages")]
        hash: traffic.hash,
        #[cfg(feature = "messages")]
        outlier_detection: traffic.outlier_detection,
        #[cfg(feature = "messages")]
        health: traffic.health,
        #[cfg(feature = "messages")]
        prefer_zone: traffic.prefer_zone,
        #[cfg(feature = "messages")]
        pool: traffic.pool,
        #[cfg(feature = "messages")]
        bulkheads: traffic.bulkheads,
        #[cfg(feature = "messages")]
        workload: traffic.workload,
        #[cfg(feature = "messages")]
        guard: traffic.guard,
    };
    #[cfg(feature = "messages")]
    traffic::check_ports(&service, raw, problems);
    Some(service)
}

/// Host and port: its own, or its first endpoint's. One that a registry finds gets a name that
/// nobody can have (RFC 6761): filters want to know that it is somewhere, and never ask where.
fn check_address(
    name: &str,
    raw: &RawService,
    path: &str,
    problems: &mut Problems,
) -> Option<(String, u16)> {
    match (&raw.upstream, raw.endpoints.get(), raw.discover.get()) {
        (Some(upstream), None, None) => {
            let address = read_upstream(upstream);
            if address.is_none() {
                let message = "expected HOST:PORT, for example payments.internal:8080";
                problems.report_as(upstream.at, &told!("{path}.upstream"), message);
            }
            address
        }
        // What is wrong with them is their own check's to say.
        (None, Some(endpoints), None) => endpoints.first().and_then(address_of),
        (None, None, Some(_)) => Some((format!("{name}.registry.invalid"), 80)),
        (upstream, endpoints, discover) => {
            let is_told = |field: &str| problems.any_below(&told!("{path}.{field}"));
            let is_said = upstream.is_some() || endpoints.is_some() || discover.is_some();
            if is_said || !["upstream", "endpoints", "discover"].into_iter().any(is_told) {
                let message = "say where it is, by either `upstream` or `endpoints`, or let a \
                               registry say it, by `discover`";
                problems.report_as(raw.at, path, message);
            }
            None
        }
    }
}

fn address_of(endpoint: &RawEndpoint) -> Option<(String, u16)> {
    Some((endpoint.address.value.clone(), u16::try_from(endpoint.port.value).ok()?))
}

fn bounded(field: Option<&Positive>, path: &str, default: u32, problems: &mut Problems) -> u32 {
    let Some(number) = field else { return default };
    match u32::try_from(number.value) {
        Ok(value @ 1..=1_000_000) => value,
        _ => {
            problems.report_as(number.at, path, "expected 1 to 1000000");
            default
        }
    }
}

/// The retries of a service or route, whose place is `path`.
pub(super) fn check_retries(
    raw: &RawRetries,
    timeout_ms: u64,
    path: &str,
    problems: &mut Problems,
) -> Retries {
    let attempts = u32::try_from(raw.attempts.value).unwrap_or(u32::MAX);
    if !(1..=10).contains(&attempts) {
        let path = told!("{path}.retries.attempts");
        problems.report_as(raw.attempts.at, &path, "expected 1 to 10 attempts, the first included");
    }
    if raw.on.is_empty() && attempts > 1 {
        let message = "say on what to try again, for example [connect-failure]";
        problems.report_as(raw.at, &told!("{path}.retries.on"), message);
    }
    let fields = [(&raw.per_try_timeout, "per_try_timeout"), (&raw.backoff, "backoff")];
    for (field, name) in fields {
        let Some(field) = field.get() else { continue };
        let message = if attempts <= 1 {
            "this means nothing where nothing is tried again"
        } else if name == "backoff" && field.millis > 10_000 {
            "expected 1ms to 10s"
        } else if name == "per_try_timeout" && field.millis > timeout_ms {
            "one attempt cannot take longer than `timeout` lets all of them take"
        } else {
            continue;
        };
        problems.report_as(field.at, &told!("{path}.retries.{name}"), message);
    }
    Retries {
        attempts,
        on: raw.on.iter().map(|on| on.as_str()).collect(),
        per_try_timeout_ms: raw.per_try_timeout.get().map(|timeout| timeout.millis),
        backoff_ms: raw.backoff.get().map(|backoff| backoff.millis),
    }
}

/// Whether retries may send something again that the upstream has already worked on.
pub(super) fn may_repeat_work(retries: &RawRetries) -> bool {
    retries.attempts.value > 1
        && retries
            .on
            .iter()
            .any(|on| !matches!(on, RawRetryOn::ConnectFailure | RawRetryOn::RefusedStream))
}

/// HOST:PORT; IPv6 in brackets.
pub(crate) fn read_upstream(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let port: u16 = port.parse().ok().filter(|port| *port > 0)?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_name_byte = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    let valid = match bare {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.len() <= 253 && host.bytes().all(is_name_byte),
    };
    valid.then(|| (bare.unwrap_or(host).to_owned(), port))
}
