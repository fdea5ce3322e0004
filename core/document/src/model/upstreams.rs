//! What keeps failing endpoints, far ones and other routes' requests out of the way. Envoy sees to
//! all of it; filters never read it.

pub use crate::raw::RawPreferredZone as PreferredZone;

/// How endpoints are asked whether they are well (Envoy's active health checks).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// What they are asked.
    pub by: HealthBy,
    /// The host that is asked for; none for whatever the endpoints are known by.
    pub host: Option<String>,
    /// How often one that is well is asked, in milliseconds.
    pub interval_ms: u64,
    /// How long an answer may take, in milliseconds.
    pub timeout_ms: u64,
    /// After so many failures in a row an endpoint is left out.
    pub unhealthy: u32,
    /// After so many successes in a row it is back.
    pub healthy: u32,
    /// How often one that is left out is asked, in milliseconds; not less than `interval_ms`.
    pub unhealthy_interval_ms: u64,
    /// By how much an interval is longer at random, in percent.
    pub jitter: u8,
    /// Once fewer than this are healthy, in percent, all are asked; 0 for never, or for what
    /// [`Outliers`](super::Outliers) say, which is the same bound.
    pub min_healthy: u8,
}

/// What endpoints are asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HealthBy {
    /// A GET.
    Http {
        /// Of this path.
        path: String,
        /// Statuses that mean well: the first and the last of each range, 100 to 599.
        statuses: Vec<(u16, u16)>,
    },
    /// gRPC's own health service.
    Grpc {
        /// About this service; empty for the server as a whole.
        service: String,
    },
    /// For a connection, and nothing on it.
    Tcp,
}

/// Connections of their own for some routes of a service: what their requests use up, those of
/// others do not lack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bulkhead {
    /// Its name, unique in its service.
    pub name: String,
    /// Most connections.
    pub max_connections: u32,
    /// Most waiting requests.
    pub max_pending: u32,
    /// Most requests under way.
    pub max_requests: u32,
}
