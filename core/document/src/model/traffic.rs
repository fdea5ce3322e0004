//! How requests reach services: to which part of them, by which connections, and what is done
//! to them on the way. Envoy sees to all of it; filters never read it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::OnFailure;

pub use crate::raw::RawHashAlgorithm as HashAlgorithm;

/// A machine or pod by its address, that runs a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Its address.
    pub address: IpAddr,
    /// Its port.
    pub port: u16,
    /// Its share of the service's requests, beside those of the other endpoints: 1 to 1,000,000.
    pub weight: u32,
    /// Where it is, for whoever prefers what is near: a region, or region/zone.
    pub zone: Option<String>,
    /// What its versions and workloads are told apart by.
    pub labels: BTreeMap<String, String>,
    /// Whom its certificate names; none where it has no part in the mesh. Either all endpoints
    /// of a service have one, or none has.
    pub service_account: Option<String>,
}

impl Endpoint {
    /// Whether a text says where something is: a region, or region/zone.
    #[must_use]
    pub fn is_zone(text: &str) -> bool {
        let known = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        let is_part = |part: &str| (1..=63).contains(&part.len()) && part.bytes().all(known);
        text.split('/').count() <= 2 && text.split('/').all(is_part)
    }
}

/// A name or address, and a port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Upstream {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// A part of a service that routes tell apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Its name, unique in its service.
    pub name: String,
    /// The labels of its pods or endpoints; empty where it is an upstream of its own.
    pub labels: BTreeMap<String, String>,
    /// Where it is, for whoever cannot tell by labels; none where only labels say.
    pub upstream: Option<Upstream>,
}

/// How one caller's requests are kept on one endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hash {
    /// What of a request is hashed.
    pub by: HashBy,
    /// Which way the endpoint is found.
    pub algorithm: HashAlgorithm,
    /// `ring_hash`: the fewest places on the ring. `maglev`: the size of its table, a prime.
    /// Enough for 150 places of each endpoint that the document knows.
    pub ring: u32,
}

/// What of a request is hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HashBy {
    /// The header of this name.
    Header(String),
    /// A cookie, which Envoy sets where a request has none.
    Cookie {
        /// Its name.
        name: String,
        /// How long it lives, in milliseconds.
        ttl_ms: u64,
        /// The path that it is for.
        path: String,
    },
    /// The query parameter of this name.
    Query(String),
    /// The client's address.
    SourceIp,
}

/// When an endpoint is left out for a while (Envoy's outlier detection).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outliers {
    /// After so many answers of 500 and above in a row; at least one of the three is there.
    pub consecutive_5xx: Option<u32>,
    /// After so many of 502, 503 and 504 in a row.
    pub consecutive_gateway: Option<u32>,
    /// After so many failures in a row of which no upstream told: connections that could not be
    /// made, or broke.
    pub consecutive_local: Option<u32>,
    /// How often this is looked at, in milliseconds.
    pub interval_ms: u64,
    /// For how long, in milliseconds, times how often it was left out already.
    pub ejection_ms: u64,
    /// The most of all endpoints that are left out, in percent.
    pub max_ejected: u8,
    /// Once fewer than this are healthy, in percent, all are asked; 0 for never.
    pub min_healthy: u8,
}

/// Bounds on connections to each host of a service, beside `max_connections` and `max_pending`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    /// How long a connection may take to come about, in milliseconds.
    pub connect_timeout_ms: u64,
    /// How long one without requests is kept, in milliseconds.
    pub idle_timeout_ms: u64,
    /// Most requests under way.
    pub max_requests: u32,
    /// After so many requests a connection is closed; none for never.
    pub requests_per_connection: Option<u32>,
    /// Most repetitions under way; none for Envoy's own bound, or a budget.
    pub max_retries: Option<u32>,
    /// Most repetitions under way, as a share of all requests; none where they are counted.
    pub retry_budget: Option<RetryBudget>,
    /// Probes on connections that are silent; none for none.
    pub keepalive: Option<Keepalive>,
}

impl Pool {
    /// The bounds of a service that says nothing of them.
    #[must_use]
    pub const fn of(max_connections: u32) -> Self {
        Self {
            connect_timeout_ms: 2_000,
            idle_timeout_ms: 30_000,
            max_requests: max_connections.saturating_mul(100),
            requests_per_connection: None,
            max_retries: None,
            retry_budget: None,
            keepalive: None,
        }
    }
}

/// Most repetitions under way, as a share of all requests that are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryBudget {
    /// The share, in percent.
    pub share: u8,
    /// So many always may be; at least 1.
    pub at_least: u32,
}

/// TCP's own probes, in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keepalive {
    /// After so much silence, in seconds.
    pub time_secs: u32,
    /// So far apart, in seconds.
    pub interval_secs: u32,
    /// After so many without an answer the connection is given up.
    pub probes: u32,
}

/// A version for requests with a header. Whoever may write the header chooses the version, and
/// nothing else by that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CanaryPick {
    /// The header's name, in lower case.
    pub header: String,
    /// What it must say.
    pub value: HeaderValue,
    /// Where such requests go.
    pub version: Arc<Version>,
}

/// What a header must say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderValue {
    /// This.
    Exact(String),
    /// Anything that begins with this.
    Prefix(String),
}

/// What is made to go wrong; at least one of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Some requests wait. This adds to the route's timeout.
    pub delay: Option<FaultDelay>,
    /// Some requests are refused.
    pub abort: Option<FaultAbort>,
}

/// Requests that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultDelay {
    /// How many of a million requests: 1 to 1,000,000.
    pub parts_per_million: u32,
    /// For how long, in milliseconds.
    pub time_ms: u64,
}

/// Requests that are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultAbort {
    /// How many of a million requests: 1 to 1,000,000.
    pub parts_per_million: u32,
    /// The answer's status: 400 to 599.
    pub status: u16,
}

/// Envoy's own rate limit filter, which asks the suite's rate limit service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimitFilter {
    /// The domain of the service's configuration.
    pub domain: String,
    /// How long the service may take, in milliseconds.
    pub timeout_ms: u64,
    /// What happens where it does not answer.
    pub on_failure: OnFailure,
}

/// A member of a descriptor: what the rate limit service is told of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DescriptorEntry {
    /// `remote_address`: the client's address.
    RemoteAddress,
    /// `principal`: the caller's subject, by the identity header; no descriptor without one.
    Principal,
    /// `route`: the route's name.
    Route,
    /// `method`: the method.
    Method,
    /// What a header says; no descriptor without it.
    Header {
        /// The member's key.
        key: String,
        /// The header's name, in lower case.
        header: String,
    },
    /// The same for every request.
    Fixed {
        /// The member's key.
        key: String,
        /// Its value.
        value: String,
    },
}
