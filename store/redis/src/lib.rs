//! The volatile store, the store of flows, the registry of services and the bus of revocations in
//! Redis: one server, the one that sentinels name, or a cluster; Redis 6.2 or newer.
//!
//! One script a decision and slot, one round trip; Redis' own clock, so that servers need not
//! agree on the time. Decisions that come at the same time go in one call. Connections are
//! made in the background: a request never waits for one.
//!
//! Keys hold hashes, never what a client sent; services and instances are called what operators
//! call them. `{owner}`, in braces, says what lies together in a cluster:
//!
//! | key | type | value | life |
//! |---|---|---|---|
//! | `postern:rate:window:{owner}:hash` | string | sliding window: `index current previous`, packed | two windows |
//! | the same | string | fixed window: `start count`, packed | the window |
//! | `postern:rate:bucket:{owner}:hash` | hash | `tokens` (in parts of the period), `lastRefill` (ticks) | until it is full |
//! | `postern:rate:gcra:{owner}:hash` | string | `tick part`, packed | until that time |
//! | `postern:rate:log:{owner}:hash` | sorted set | time → `sum:cost`, the sum up to it | a period |
//! | `postern:rate:inflight:{owner}:hash` | sorted set | when it ends → id | until the last one ends |
//! | `postern:rate:lease:{owner}:hash` | hash | leases of a limit that is leased, by id, and their sums | as long as one can matter: one minute to ten |
//! | `postern:rate:lent:{owner}:hash` | sorted set | the order of these | the same |
//! | `postern:circuit:{service}` | hash | `state failures lastFailure recoveryTime` and more | an hour idle, and as long as an operator's word holds |
//! | `postern:circuit:{service}:reporters` | hash | what each reporter has said, packed; at most 1,024 of them | a minute longer than the circuit's window |
//! | `postern:circuit:{service}:heard` | sorted set | when it was last heard of → reporter | the same |
//! | `postern:dpop:jti:{hash}` | string | `1` | as long as the proof could be shown again |
//! | `postern:oauth2:code:{hash}` | string | `f` and what the code stands for; once it is used, `u` and the mark of whoever used it | the code's, ten minutes at most |
//! | `postern:oauth2:family:{hash}` | hash | `lock current generation grant ends`, the first two hashes | until nothing was exchanged for too long, or `ends` |
//! | `postern:oauth2:family:{hash}:spent` | hash | a spent token's secret, hashed → when, and the sealed answer; at most 8 | the time of grace |
//! | `postern:oauth2:par:{hash}` `…login:flow:…` | string | what was pushed, or a log-in, sealed | their own |
//! | `postern:oauth2:device:{hash}` `…oauth2:user_code:…` | string | what is asked for | their own |
//! | `postern:login:outside:{hash}` `…ws:ticket:…` | string | a log-in elsewhere, or a ticket | their own |
//! | `postern:session:{hash}` | hash | `id userId createdAt lastUsed deviceId scopes` and more | until its idle end or its last |
//! | `postern:session:of:{hash}` | sorted set | when a session of this user ends → `createdAt:id`; at most 1,000 | until the last of them ends |
//! | `postern:apikey:{hash}` | hash | `userId clientId scopes lastUsed requestCount` | a day after its last use |
//! | `postern:service:{name}:instance` | hash | `address weight health lastCheck responseTime` and more | its own, five minutes by default, unless renewed |
//! | `postern:service:of:{name}` | sorted set | when an instance's time is over → its id; at most 1,000 | until the last of them ends |
//! | `postern:service:state:{name}` | hash | `epoch number` | an hour longer than the last instance |
//! | `postern:service:turn:{name}` | string | who checks the instances | 15 s unless renewed |
//! | `postern:services` | sorted set | number of the last change → service; at most 10,000 | a day after the last registration |
//!
//! Packed numbers have 7 bytes each, the highest first: texts would take Redis longer to take apart
//! than all else that it works out.
//!
//! There is one key a caller and limit, three where it is leased: as many as callers come within a
//! limit's period. A log has at most 10,000 entries, a key 1,024 leases, and 100,000 requests at
//! most are in flight. A circuit has three keys, which lie together. Scripts and their KEYS and
//! ARGV stand in `scripts/`, the keys of the bus in `revocations`.
//!
//! What a flush or an eviction takes of proofs can be shown once more, and whose session it takes
//! has to log in again: give Redis a policy that evicts nothing. What a fail-over loses, since
//! replicas come behind their master, is counted anew; leases that it loses are spent all the same,
//! and a refresh token that is later than Redis knows ends nothing. Until there is a master again
//! its decisions fail; from then on sentinels are asked at least every 2 s, and a cluster for its
//! masters whenever a call finds none.
//!
//! A user of Redis' access control needs `~postern:*` and `+ping +evalsha +script|load +time +get
//! +getdel +set +setrange +del +pexpire +hget +hmget +hgetall +hset +hdel +zadd +zrem +zcard +zcount
//! +zscore +zrange +zrangebyscore +zrevrangebyscore +zremrangebyscore +xadd +xtrim +xread
//! +xrevrange`; in a cluster also `+cluster|slots +asking`, behind sentinels `+role`, and for
//! another database than 0 `+select`.

mod address;
mod answer;
mod batch;
mod circuits;
mod cluster;
mod connection;
mod error;
mod flows;
mod link;
mod pack;
mod registry;
mod revocations;
mod script;
mod slots;
mod volatile;

use std::sync::Arc;

use postern_store::registry::Bells;
use postern_store::{LocalBus, StoreError};
use redis::sentinel::{SentinelClient, SentinelServerType};
use redis::{Client, Cmd, Value};
use tokio::sync::{Mutex, Semaphore};

use address::Address;
use batch::Batched;
use cluster::Cluster;
use connection::Server;
use error::convert;
use link::Link;
use script::Scripts;

pub use address::is_redis;

/// Redis.
pub struct RedisStore {
    servers: Servers,
    scripts: Arc<Scripts>,
    /// The last stretch of the bus: from this replica's one listener to all who wait here.
    bus: LocalBus,
    /// The same for changes of services.
    service_bells: Bells,
    /// How many scripts that lend may be on their way at the same time.
    lending: Semaphore,
    /// The same of those that are about circuits alone.
    reporting: Semaphore,
    /// The same of those that only look at circuits, for all who wait: however much is reported,
    /// nobody takes an open one for closed.
    looking: Semaphore,
}

/// Who answers.
enum Servers {
    /// One at a time.
    One(Batched),
    /// Each for its slots.
    Cluster(Box<Cluster>),
}

impl RedisStore {
    /// A store for `redis://[user:password@]host[:port][/db]`,
    /// `redis+sentinel://[user:password@]host[:port],…/master[/db]` or
    /// `redis+cluster://[user:password@]host[:port],…`, each with `rediss` for TLS. User and
    /// password are those of the servers; what sentinels want stands in `?sentinel=user:password`.
    /// Nothing is connected yet: a server must be able to start while Redis is away.
    ///
    /// # Errors
    /// When the URL cannot be read; the text does not repeat it.
    pub fn new(url: &str) -> Result<Self, StoreError> {
        let address = Address::parse(url)?;
        if address.is_tls() {
            // Where one was chosen before, that one stays.
            drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
        }
        let scripts = Arc::new(Scripts::default());
        let one = |server| Servers::One(Batched::new(Link::new(server), Arc::clone(&scripts)));
        let servers = match address {
            Address::One(server) => Client::open(server).map(|client| one(Server::Fixed(client))),
            Address::Sentinel { sentinels, master, server } => {
                SentinelClient::build(sentinels, master, Some(server), SentinelServerType::Master)
                    .map(|client| one(Server::Named(Mutex::new(client))))
            }
            Address::Cluster(nodes) => Cluster::new(nodes, Arc::clone(&scripts))
                .map(|cluster| Servers::Cluster(Box::new(cluster))),
        };
        let servers = servers.map_err(|error| convert(&error))?;
        let [lending, reporting] = [(); 2].map(|()| Semaphore::new(volatile::LENDING_AT_ONCE));
        let (bus, service_bells) = (LocalBus::unconnected(), Bells::default());
        let looking = Semaphore::new(circuits::LOOKS_AT_ONCE);
        Ok(Self { servers, scripts, bus, service_bells, lending, reporting, looking })
    }

    /// Connects, again and again until it stands; from then on the connection mends itself. Run it
    /// beside the server.
    pub async fn keep_connected(&self) {
        match &self.servers {
            Servers::One(one) => one.connect().await,
            Servers::Cluster(cluster) => drop(cluster.connect().await),
        }
    }

    pub(crate) const fn servers(&self) -> &Servers {
        &self.servers
    }

    pub(crate) fn scripts(&self) -> &Scripts {
        &self.scripts
    }

    pub(crate) const fn bus(&self) -> &LocalBus {
        &self.bus
    }

    pub(crate) const fn service_bells(&self) -> &Bells {
        &self.service_bells
    }

    /// The answer to a command.
    pub(crate) async fn call(&self, command: Cmd) -> Result<Value, StoreError> {
        match &self.servers {
            Servers::One(one) => one.call(command).await,
            Servers::Cluster(cluster) => cluster.call(&command).await,
        }
    }
}
