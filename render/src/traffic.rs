//! What the document says of traffic, in the numbers that both renderings write.

use std::sync::Arc;

use postern_document::{
    Bulkhead, CanaryPick, Document, Endpoint, Fallback, HeaderValue, Pool, Retries, Route, Service,
    Version,
};
use serde_json::{Value, json};

/// What follows a first attempt that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Repeats {
    /// How often at most; the document counts the first attempt too.
    pub(crate) times: u32,
    /// On what, in Envoy's words, joined as Envoy reads them.
    pub(crate) on: String,
    /// How long each attempt may take, in milliseconds.
    pub(crate) per_try_timeout_ms: Option<u64>,
    /// The least time between two attempts, in milliseconds.
    pub(crate) backoff_ms: Option<u64>,
}

impl Repeats {
    /// None where nothing is tried again.
    pub(crate) fn of(retries: &Retries) -> Option<Self> {
        let times = retries.attempts.checked_sub(1).filter(|times| *times > 0)?;
        Some(Self {
            times,
            on: retries.on.join(","),
            per_try_timeout_ms: retries.per_try_timeout_ms,
            backoff_ms: retries.backoff_ms,
        })
    }
}

/// What a service or a part of one is called wherever it has to have a name of its own: Envoy's
/// cluster, Istio's subset.
pub(crate) fn part_name(
    service: &Service,
    version: Option<&Version>,
    bulkhead: Option<&Bulkhead>,
) -> String {
    let version = version.map(|version| version.name.as_str());
    let bulkhead = bulkhead.map(|bulkhead| bulkhead.name.as_str());
    let parts = [Some(service.name.as_str()), version, bulkhead];
    parts.into_iter().flatten().collect::<Vec<&str>>().join("--")
}

/// A bulkhead, and the version that it is used of; none for a service without versions.
pub(crate) type Walled<'d> = (&'d Arc<Bulkhead>, Option<&'d Arc<Version>>);

/// What of a service has connections of its own beside the whole and its versions: each bulkhead,
/// of each version that some route uses it for.
pub(crate) fn walled<'d>(document: &'d Document, service: &'d Service) -> Vec<Walled<'d>> {
    let uses = |route: &Route, bulkhead: &Arc<Bulkhead>, version: &Arc<Version>| {
        let is_it = |other: &Arc<Version>| Arc::ptr_eq(other, version);
        route.bulkhead.as_ref().is_some_and(|used| Arc::ptr_eq(used, bulkhead))
            && (route.split.iter().any(|(to, _)| is_it(to))
                || route.canary.iter().any(|pick| is_it(&pick.version)))
    };
    let mut walled = Vec::new();
    for bulkhead in &service.bulkheads {
        if service.versions.is_empty() {
            walled.push((bulkhead, None));
        }
        for version in &service.versions {
            if document.routes.iter().any(|route| uses(route, bulkhead, version)) {
                walled.push((bulkhead, Some(version)));
            }
        }
    }
    walled
}

/// Bounds on connections: those of a service, or of a bulkhead of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) max_connections: u32,
    pub(crate) max_pending: u32,
    pub(crate) pool: Pool,
}

impl Bounds {
    pub(crate) fn of(service: &Service, bulkhead: Option<&Bulkhead>) -> Self {
        let pool = service.pool;
        match bulkhead {
            Some(bulkhead) => Self {
                max_connections: bulkhead.max_connections,
                max_pending: bulkhead.max_pending,
                pool: Pool { max_requests: bulkhead.max_requests, ..pool },
            },
            None => Self {
                max_connections: service.max_connections,
                max_pending: service.max_pending,
                pool,
            },
        }
    }
}

/// The host that a check asks for, where the document does not say: what an upstream is called;
/// endpoints have no name but their service's.
pub(crate) fn asked_host(service: &Service, upstream: Option<&str>) -> String {
    match upstream {
        Some(host) if host.contains(':') => format!("[{host}]"),
        Some(host) => host.to_ascii_lowercase(),
        None => service.name.clone(),
    }
}

/// A share in percent, as Istio writes it: a number with a fraction.
pub(crate) fn percent(parts_per_million: u32) -> Value {
    // Exact enough: shares have four decimals at most, and the shortest form is what is written.
    json!(f64::from(parts_per_million) / 10_000.0)
}

/// A share as Envoy writes it: whole parts of a million.
pub(crate) fn fractional_percent(parts_per_million: u32) -> Value {
    json!({"numerator": parts_per_million, "denominator": "MILLION"})
}

/// What a header must say for a version, in the words that Envoy's string matchers and Istio's
/// share.
pub(crate) fn header_value(pick: &CanaryPick) -> Value {
    match &pick.value {
        HeaderValue::Exact(value) => json!({"exact": value}),
        HeaderValue::Prefix(value) => json!({"prefix": value}),
    }
}

/// The service that answers for a route's own while that one's circuit is open.
pub(crate) fn fallback_service(route: &Route) -> Option<&Service> {
    match &route.fallback {
        Some(Fallback::Service(other)) => Some(other),
        _ => None,
    }
}

/// The share of endpoints that are left out at most, up to which it is likely that none ever is: the
/// document's own default, and Envoy's.
const SMALL_SHARE: u8 = 10;

/// What to know of a service whose failing endpoints nobody would leave out: a share of few is none.
pub(crate) fn never_left_out(service: &Service) -> Option<String> {
    let share = service.outlier_detection.as_ref()?.max_ejected;
    let (name, needed) = (&service.name, 100_usize.div_ceil(usize::from(share.max(1))));
    match most_endpoints(service) {
        Some(count) if (2..needed).contains(&count) => Some(format!(
            "service `{name}` leaves out {share} % of its endpoints at most, and there are {count} \
             to choose from: none is ever left out; write `max_ejected: {}%` or more",
            100_usize.div_ceil(count)
        )),
        None if share <= SMALL_SHARE => Some(format!(
            "service `{name}` leaves out {share} % of its endpoints at most (`max_ejected`): of \
             fewer than {needed}, none is ever left out"
        )),
        _ => None,
    }
}

/// How many endpoints the largest part of a service has; none where only others know.
fn most_endpoints(service: &Service) -> Option<usize> {
    let all = service.endpoints.len();
    let by_labels = service.versions.iter().filter(|version| !version.labels.is_empty());
    let largest = by_labels.map(|version| endpoints_of(service, version)).max();
    (all > 0).then(|| largest.unwrap_or(all))
}

fn endpoints_of(service: &Service, version: &Version) -> usize {
    let is_of = |one: &&Endpoint| {
        version.labels.iter().all(|(name, value)| one.labels.get(name) == Some(value))
    };
    service.endpoints.iter().filter(is_of).count()
}

#[cfg(test)]
mod tests {
    use postern_document::from_json;

    use super::*;

    #[test]
    fn a_first_attempt_is_no_repetition() {
        let retries = |attempts| Retries {
            attempts,
            on: vec!["connect-failure", "reset"],
            per_try_timeout_ms: Some(500),
            backoff_ms: None,
        };
        assert_eq!(Repeats::of(&Retries::NEVER), None);
        assert_eq!(Repeats::of(&retries(1)), None);
        assert_eq!(Repeats::of(&retries(0)), None);
        let repeats = Repeats::of(&retries(3)).unwrap();
        assert_eq!((repeats.times, repeats.on.as_str()), (2, "connect-failure,reset"));
        assert_eq!((repeats.per_try_timeout_ms, repeats.backoff_ms), (Some(500), None));
    }

    #[test]
    fn shares_are_written_as_people_wrote_them() {
        for (parts, text) in [
            (1, "0.0001"),
            (1_000, "0.1"),
            (100, "0.01"),
            (333_333, "33.3333"),
            (70_000, "7.0"),
            (1_000_000, "100.0"),
        ] {
            assert_eq!(percent(parts).to_string(), text);
        }
        let whole = json!({"numerator": 1_000_000, "denominator": "MILLION"});
        assert_eq!(fractional_percent(1_000_000), whole);
    }

    #[test]
    fn a_bulkhead_is_apart_of_each_version_that_routes_use_it_for() {
        let text = json!({
            "version": 1,
            "services": {
                "parted": {"upstream": "b.test:80",
                           "versions": {"one": {"upstream": "c.test:80"},
                                        "three": {"upstream": "e.test:80"},
                                        "two": {"upstream": "d.test:80"}},
                           "bulkheads": {"slow": {"max_pending": 1}}},
                "plain": {"upstream": "a.test:80", "max_connections": 40,
                          "bulkheads": {"slow": {"max_connections": 5, "max_requests": 6}}},
            },
            "routes": [
                {"name": "a", "match": {"path": "/a"}, "service": "plain", "auth": "none",
                 "bulkhead": "slow"},
                {"name": "b", "match": {"path": "/b"}, "service": "parted", "auth": "none",
                 "bulkhead": "slow", "split": {"one": 100},
                 "canary": [{"header": "x-a", "value": "b", "version": "two"}]},
                {"name": "c", "match": {"path": "/c"}, "service": "parted", "auth": "none",
                 "split": {"three": 100}},
            ],
        });
        let document = from_json(text.to_string().as_bytes()).unwrap();
        let names = |service: &Service| -> Vec<String> {
            let walled = walled(&document, service).into_iter();
            let name = |(bulkhead, version): Walled<'_>| {
                part_name(service, version.map(AsRef::as_ref), Some(bulkhead))
            };
            walled.map(name).collect()
        };
        let [parted, plain] = document.services.as_slice() else { panic!("two services") };
        assert_eq!(names(plain), ["plain--slow"]);
        assert_eq!(names(parted), ["parted--one--slow", "parted--two--slow"]);
        assert_eq!(part_name(plain, None, None), "plain");

        let bounds = Bounds::of(plain, Some(&plain.bulkheads[0]));
        assert_eq!((bounds.max_connections, bounds.max_pending), (5, 100));
        assert_eq!(bounds.pool, Pool { max_requests: 6, ..plain.pool });
        assert_eq!(Bounds::of(plain, None).max_connections, 40);
    }

    #[test]
    fn a_share_of_too_few_endpoints_is_told_of() {
        let endpoint = |at: u8, label: &str| {
            let address = format!("10.0.0.{at}");
            json!({"address": address, "port": 80, "labels": {"v": label}})
        };
        let known = |count: u8, share: &str| {
            let endpoints: Vec<Value> = (1..=count).map(|at| endpoint(at, "a")).collect();
            json!({"endpoints": endpoints,
                   "outlier_detection": {"consecutive_5xx": 5, "max_ejected": share}})
        };
        let parted = json!({
            "endpoints": [endpoint(1, "a"), endpoint(2, "a"), endpoint(3, "b")],
            "versions": {"a": {"labels": {"v": "a"}}, "b": {"labels": {"v": "b"}}},
            "outlier_detection": {"consecutive_5xx": 5, "max_ejected": "40%"},
        });
        let named =
            |outliers: Value| json!({"upstream": "a.test:80", "outlier_detection": outliers});
        for (service, split, expected) in [
            (known(3, "30%"), Value::Null, Some("`max_ejected: 34%`")),
            (known(3, "34%"), Value::Null, None),
            (known(10, "10%"), Value::Null, None),
            // One alone is the service.
            (known(1, "10%"), Value::Null, None),
            (parted, json!({"a": 50, "b": 50}), Some("there are 2")),
            (named(json!({"consecutive_5xx": 5})), Value::Null, Some("of fewer than 10")),
            (named(json!({"consecutive_5xx": 5, "max_ejected": "20%"})), Value::Null, None),
            (json!({"upstream": "a.test:80"}), Value::Null, None),
        ] {
            let mut route = json!({"name": "r", "match": {"path": "/"}, "service": "s",
                                   "auth": "none"});
            if !split.is_null() {
                route["split"] = split;
            }
            let text = json!({"version": 1, "services": {"s": service}, "routes": [route]});
            let document = from_json(text.to_string().as_bytes()).unwrap();
            let told = never_left_out(&document.services[0]);
            assert_eq!(told.is_some(), expected.is_some(), "{text}: {told:?}");
            if let (Some(told), Some(expected)) = (told, expected) {
                assert!(told.contains("`s`") && told.contains(expected), "{told}");
            }
        }
    }
}
