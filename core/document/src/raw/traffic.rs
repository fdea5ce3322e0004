//! How requests reach services, as it is written. Filters read none of it.

use postern_request::json::Value;

use super::RawOnFailure;
use crate::decode::{
    Decode, Duration, Entries, Percent, Positive, Share, Text, Whole, choice, record,
};
use crate::node::{Kind, Node};
use crate::problem::{Position, Problems};
use crate::schema;

record! {
    /// A machine or pod by its address.
    pub struct RawEndpoint {
        /// Its IP address.
        address = "address": Text,
        /// Its port.
        port = "port": Positive,
        /// Its share of the requests, beside those of the others: 1 to 1000000; 1 by default.
        weight = "weight": Option<Positive>,
        /// Where it is: a region, or region/zone.
        zone = "zone": Option<Text>,
        /// What versions and workloads are told apart by.
        labels = "labels": Option<Entries<Text>>,
        /// Whom its certificate names; without one it has no part in the mesh.
        service_account = "service_account": Option<Text>,
    }

    /// A part of a service that routes tell apart: labels, an upstream, or both.
    pub struct RawVersion {
        /// The labels of its pods or endpoints.
        labels = "labels": Option<Entries<Text>>,
        /// HOST:PORT, where labels cannot be used.
        upstream = "upstream": Option<Text>,
    }

    /// How one caller's requests are kept on one endpoint: exactly one of header, cookie, query and source_ip.
    pub struct RawHash {
        /// By what this header says.
        header = "header": Option<Text>,
        /// By a cookie, which Envoy sets where there is none.
        cookie = "cookie": Option<RawHashCookie>,
        /// By this query parameter.
        query = "query": Option<Text>,
        /// By the client's address.
        source_ip = "source_ip": Option<bool>,
        /// How the endpoint is found; ring_hash by default.
        algorithm = "algorithm": Option<RawHashAlgorithm>,
        /// ring_hash: the fewest places on the ring; maglev: the size of its table, a prime. By default, and at least, 150 for each endpoint.
        ring = "ring": Option<Positive>,
    }

    /// A cookie that Envoy sets.
    pub struct RawHashCookie {
        /// Its name.
        name = "name": Text,
        /// How long it lives; at most 7d.
        ttl = "ttl": Duration,
        /// The path that it is for; / by default.
        path = "path": Option<Text>,
    }

    /// When an endpoint is left out for a while; at least one of the three numbers.
    pub struct RawOutliers {
        /// After so many answers of 500 and above in a row.
        consecutive_5xx = "consecutive_5xx": Option<Positive>,
        /// After so many of 502, 503 and 504 in a row.
        consecutive_gateway = "consecutive_gateway": Option<Positive>,
        /// After so many connections in a row that could not be made, or broke.
        consecutive_local = "consecutive_local": Option<Positive>,
        /// How often this is looked at: 100ms to 5m; 10s by default.
        interval = "interval": Option<Duration>,
        /// For how long, times how often it was left out already; 30s by default.
        ejection = "ejection": Option<Duration>,
        /// The most of all endpoints that are left out; 10% by default.
        max_ejected = "max_ejected": Option<Percent>,
        /// Once fewer are healthy, all are asked; 0% by default, for never.
        min_healthy = "min_healthy": Option<Percent>,
    }

    /// Bounds on connections to each host.
    pub struct RawPool {
        /// How long a connection may take to come about: 10ms to 1m; 2s by default.
        connect_timeout = "connect_timeout": Option<Duration>,
        /// How long one without requests is kept: 1s to 1h; 30s by default.
        idle_timeout = "idle_timeout": Option<Duration>,
        /// Most requests under way; max_connections times 100 by default.
        max_requests = "max_requests": Option<Positive>,
        /// After so many requests a connection is closed; never by default.
        requests_per_connection = "requests_per_connection": Option<Positive>,
        /// Most repetitions under way; Envoy's own bound by default.
        max_retries = "max_retries": Option<Positive>,
        /// Instead of max_retries: a share of what is under way.
        retry_budget = "retry_budget": Option<RawRetryBudget>,
        /// Probes on connections that are silent; none by default.
        keepalive = "keepalive": Option<RawKeepalive>,
    }

    /// Most repetitions under way, as a share of all requests that are.
    pub struct RawRetryBudget {
        /// The share; 20% by default.
        share = "share": Option<Percent>,
        /// So many always may be; 3 by default.
        at_least = "at_least": Option<Positive>,
    }

    /// TCP's own probes.
    pub struct RawKeepalive {
        /// After so much silence, in whole seconds.
        time = "time": Duration,
        /// So far apart, in whole seconds.
        interval = "interval": Duration,
        /// After so many without an answer the connection is given up.
        probes = "probes": Positive,
    }

    /// A version for requests with a header.
    pub struct RawCanary {
        /// The header, in lower case.
        header = "header": Text,
        /// What it must say: a text, or a mapping such as {prefix: beta-}.
        value = "value": RawHeaderValue,
        /// Where such requests go.
        version = "version": Text,
    }

    /// Anything that begins so.
    pub struct RawHeaderPrefix {
        /// The beginning.
        prefix = "prefix": Text,
    }

    /// What is made to go wrong; at least one of the two.
    pub struct RawFault {
        /// Some requests wait.
        delay = "delay": Option<RawFaultDelay>,
        /// Some requests are refused.
        abort = "abort": Option<RawFaultAbort>,
    }

    /// Requests that wait.
    pub struct RawFaultDelay {
        /// How many.
        share = "share": Share,
        /// For how long: 1ms to 5m, beside the route's timeout.
        time = "time": Duration,
    }

    /// Requests that are refused.
    pub struct RawFaultAbort {
        /// How many.
        share = "share": Share,
        /// The answer's status: 400 to 599.
        status = "status": Whole,
    }

    /// What the rate limit service is told: exactly one of remote_address, principal, route, method, or key with header or value.
    pub struct RawDescriptorEntry {
        /// The client's address.
        remote_address = "remote_address": Option<bool>,
        /// The caller's subject.
        principal = "principal": Option<bool>,
        /// The route's name.
        route = "route": Option<bool>,
        /// The method.
        method = "method": Option<bool>,
        /// The member's key.
        key = "key": Option<Text>,
        /// With `key`: what this header says.
        header = "header": Option<Text>,
        /// With `key`: this value.
        value = "value": Option<Text>,
    }

    /// Envoy's own rate limit filter, which asks the suite's rate limit service.
    pub struct RawRateLimitFilter {
        /// The domain of the service's configuration.
        domain = "domain": Text,
        /// How long the service may take: 1ms to 5s; 100ms by default.
        timeout = "timeout": Option<Duration>,
        /// What happens to requests where it does not answer.
        on_failure = "on_failure": RawOnFailure,
    }
}

choice! {
    /// How an endpoint is found.
    pub enum RawHashAlgorithm {
        /// On a ring: few move when endpoints come and go.
        RingHash = "ring_hash",
        /// In a table: more even, and more move.
        Maglev = "maglev",
    }
}

/// What a header must say: a text, or how it begins.
#[derive(Debug, Clone, PartialEq)]
pub enum RawHeaderValue {
    /// This.
    Exact(Text),
    /// Anything that begins so.
    Prefix(RawHeaderPrefix),
}

impl Decode for RawHeaderValue {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        match &node.kind {
            Kind::Map(_) => RawHeaderPrefix::decode(node, problems).map(Self::Prefix),
            _ => Text::decode(node, problems).map(Self::Exact),
        }
    }

    fn encode(&self) -> Option<Value> {
        match self {
            Self::Exact(text) => text.encode(),
            Self::Prefix(prefix) => prefix.encode(),
        }
    }

    fn place(&self, path: &[&str]) -> Option<Position> {
        match self {
            Self::Exact(text) => text.place(path),
            Self::Prefix(prefix) => prefix.place(path),
        }
    }

    fn schema() -> Value {
        schema::any_of(vec![Text::schema(), RawHeaderPrefix::schema()])
    }
}
