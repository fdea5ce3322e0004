//! What keeps failing endpoints, far ones and other routes' requests out of the way, as it is
//! written. Filters read none of it.

use crate::decode::{Duration, Percent, Positive, Text, choice, record};

record! {
    /// How endpoints are asked whether they are well: exactly one of path, grpc and tcp.
    pub struct RawHealth {
        /// By a GET of this path.
        path = "path": Option<Text>,
        /// By gRPC's own health service, about this service; an empty text is the server as a whole.
        grpc = "grpc": Option<Text>,
        /// By a connection that comes about.
        tcp = "tcp": Option<bool>,
        /// With path or grpc: the host that is asked for; the upstream's by default, for endpoints the service's name.
        host = "host": Option<Text>,
        /// With path: statuses that mean well, such as 204 or 200-299, which is the default.
        statuses = "statuses": Option<Vec<Text>>,
        /// How often one that is well is asked: 100ms to 5m; 10s by default.
        interval = "interval": Option<Duration>,
        /// How long it may take to answer: 10ms to 1m; 2s by default.
        timeout = "timeout": Option<Duration>,
        /// After so many failures in a row it is left out; 3 by default.
        unhealthy = "unhealthy": Option<Positive>,
        /// After so many successes in a row it is back; 2 by default.
        healthy = "healthy": Option<Positive>,
        /// How often one that is left out is asked: from interval to 1h; three times interval by default.
        unhealthy_interval = "unhealthy_interval": Option<Duration>,
        /// By how much an interval is longer at random; 10% by default.
        jitter = "jitter": Option<Percent>,
        /// Once fewer are healthy, all are asked; 0% by default, for never.
        min_healthy = "min_healthy": Option<Percent>,
    }

    /// Connections of their own for the routes that name it; what is not said is as the service has it.
    pub struct RawBulkhead {
        /// Most connections.
        max_connections = "max_connections": Option<Positive>,
        /// Most requests that wait for a connection.
        max_pending = "max_pending": Option<Positive>,
        /// Most requests under way.
        max_requests = "max_requests": Option<Positive>,
    }

    /// Which endpoints come first, by where they are.
    pub struct RawZones {
        /// Those of the asking Envoy's own zone, or any.
        prefer = "prefer": RawPreferredZone,
    }
}

choice! {
    /// Which endpoints come first.
    pub enum RawPreferredZone {
        /// Those of Envoy's own zone, then those of its region, then the others.
        Own = "own",
        /// Wherever they are.
        Any = "any",
    }
}
