//! Services.

use std::sync::Arc;

use postern_circuit::Settings;

use crate::decode::Named;
use crate::model::{OWN_SERVICE, Retries, Service};
use crate::problem::{Problems, told};
use crate::raw::{Positive, RawCircuit, RawRetries, RawRetryOn, RawService};

pub(super) fn check(raw: &Named<RawService>, problems: &mut Problems) -> Vec<Arc<Service>> {
    let mut services = Vec::with_capacity(raw.0.len());
    for (name, at, service) in &raw.0 {
        let path = told!("services.{name}");
        if name == OWN_SERVICE {
            problems.report_as(*at, &path, "this name stands for the suite itself");
            continue;
        }
        let address = read_upstream(&service.upstream);
        if address.is_none() {
            problems.report_as(
                service.upstream.at,
                &told!("{path}.upstream"),
                "expected HOST:PORT, for example payments.internal:8080",
            );
        }
        let bounded = |field: &Option<Positive>, name: &str, default, problems: &mut Problems| {
            bounded(field.as_ref(), &told!("{path}.{name}"), default, problems)
        };
        let max_connections = bounded(&service.max_connections, "max_connections", 50, problems);
        let max_pending = bounded(&service.max_pending, "max_pending", 100, problems);
        let retries = retries(service.retries.as_ref(), &path, problems);
        let circuit = service.circuit.as_ref().map(|raw| circuit(raw, &path, problems));
        let Some((host, port)) = address else {
            continue;
        };
        services.push(Arc::new(Service {
            name: name.clone(),
            host,
            port,
            tls: service.tls.unwrap_or(false),
            http2: service.http2.unwrap_or(false),
            timeout_ms: service.timeout.as_ref().map_or(30_000, |t| t.millis),
            max_connections,
            max_pending,
            retries,
            circuit,
        }));
    }
    services
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

fn retries(raw: Option<&RawRetries>, path: &str, problems: &mut Problems) -> Retries {
    let Some(raw) = raw else {
        // Both mean that the upstream has done nothing yet, so any method may be sent again.
        return Retries { attempts: 3, on: vec!["connect-failure", "refused-stream"] };
    };
    let attempts = u32::try_from(raw.attempts.value).unwrap_or(u32::MAX);
    if !(1..=10).contains(&attempts) {
        let path = told!("{path}.retries.attempts");
        problems.report_as(raw.attempts.at, &path, "expected 1 to 10 attempts, the first included");
    }
    if raw.on.is_empty() && attempts > 1 {
        let message = "say on what to try again, for example [connect-failure]";
        problems.report_as(raw.at, &told!("{path}.retries.on"), message);
    }
    Retries { attempts, on: raw.on.iter().map(|on| on.as_str()).collect() }
}

/// Whether the retries may send something again that the upstream has already worked on.
pub(super) fn may_repeat_work(raw: &RawService) -> bool {
    raw.retries.as_ref().is_some_and(|retries| {
        retries.attempts.value > 1
            && retries
                .on
                .iter()
                .any(|on| !matches!(on, RawRetryOn::ConnectFailure | RawRetryOn::RefusedStream))
    })
}

fn circuit(raw: &RawCircuit, path: &str, problems: &mut Problems) -> Settings {
    let failures = raw.failures.as_ref().map_or(5, |failures| {
        if !(1..=10_000).contains(&failures.value) {
            let path = told!("{path}.circuit.failures");
            problems.report_as(failures.at, &path, "expected 1 to 10000 failures");
        }
        u32::try_from(failures.value).unwrap_or(5)
    });
    let recovery_ms = raw.recovery.as_ref().map_or(60_000, |recovery| {
        if !(100..=3_600_000).contains(&recovery.millis) {
            let path = told!("{path}.circuit.recovery");
            problems.report_as(recovery.at, &path, "expected 100ms to 1h");
        }
        recovery.millis
    });
    Settings { consecutive_failures: failures, recovery_ms }
}

/// HOST:PORT; IPv6 in brackets.
pub(super) fn read_upstream(text: &str) -> Option<(String, u16)> {
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
