//! What is measured.

use crate::bounds::BOUNDS;
use crate::chain::{Answerer, Chain};
use crate::database::Revoked;
use crate::documents::Guard;
use crate::load::Kind;

/// The Envoy that filters are compared with.
const BASE: &str = "envoy.base";
/// The same for filters that pass over routes which lead nowhere.
const ROUTED: &str = "envoy.base.routed";
/// A document with revocations, and none.
const REVOCATION: &str = "filter.jwt.revocation";
/// The bundle with nothing to do.
const OPEN: &str = "filter.open";
/// What a call of a rate limit service costs before anybody has counted anything.
const RLS: &str = "rls.noop";
/// Somebody else's rate limit service, where there is one.
pub const PEER: &str = "rls.peer";
/// What a token costs before anybody has asked for one.
const SIGN: &str = "identity.rs256_sign";
/// What one costs somebody who asks for it.
const TOKEN: &str = "identity.token";
/// What it costs to ask what one is that was asked about before.
const INTROSPECTION: &str = "identity.introspection";
/// Tokens that the server remembers.
const KNOWN_TOKENS: usize = 1_000;
/// More than it remembers: read in a circle, none is ever known when it comes again.
const UNKNOWN_TOKENS: usize = 16_000;

/// What runs, and its load.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    /// The entry that it is compared with; itself where there is nothing to compare.
    pub base: &'static str,
    /// What it consists of.
    pub setup: Setup,
}

/// What an entry consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setup {
    /// An Envoy with filters, and requests.
    Gateway(Gateway),
    /// A rate limit service of ours, and calls of it.
    RateLimiter(RateLimiter),
    /// The same calls of the one that somebody else runs.
    Peer,
    /// A program of ours that signs, and nothing else.
    Signer,
    /// An authorization server of ours, and what it is asked.
    Identity(Asked),
}

/// An Envoy with filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gateway {
    /// What its filters are.
    pub chain: Chain,
    /// What is sent.
    pub load: Kind,
    /// Envoy's worker threads. One is pinned to its core; several run wherever they like.
    pub workers: u32,
}

/// A rate limit service without an Envoy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimiter {
    /// Who it is.
    pub answerer: Answerer,
    /// How many descriptors a call has, each of a rule of its own.
    pub limits: u32,
}

/// What an authorization server is asked, without an Envoy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// For tokens that clients get for themselves.
    Token,
    /// What tokens are.
    Introspection {
        /// How many different ones.
        tokens: usize,
    },
    /// For the next tokens of people who have logged in.
    Refresh,
}

/// A row of the report, as an entry wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowPlan {
    /// Its name.
    pub name: String,
    /// The row that it is compared with; itself where there is nothing to compare.
    pub base: String,
    /// Whose CPU time it is.
    pub whose: Whose,
}

/// Whose CPU time it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// Envoy's.
    Envoy,
    /// That of the server that answers.
    Server,
    /// That of the server's Redis.
    Redis,
    /// Of both together.
    ServerAndRedis,
    /// That of somebody else's service, all of its known processes together.
    Peer,
    /// That of what signs, and does nothing else.
    Signer,
}

impl Whose {
    /// In words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Envoy => "Envoy",
            Self::Server => "the server",
            Self::Redis => "Redis",
            Self::ServerAndRedis => "the server and Redis",
            Self::Peer => "the peer",
            Self::Signer => "what signs",
        }
    }
}

impl Gateway {
    /// The usual one with this chain.
    const fn of(chain: Chain) -> Self {
        Self { chain, load: Kind::Warm, workers: 1 }
    }

    /// Whether Envoy has a core to itself.
    pub const fn pinned(&self) -> bool {
        self.workers == 1
    }
}

impl Entry {
    const fn new(name: &'static str, chain: Chain) -> Self {
        Self::gateway(name, Gateway::of(chain))
    }

    const fn gateway(name: &'static str, gateway: Gateway) -> Self {
        Self { name, base: BASE, setup: Setup::Gateway(gateway) }
    }

    const fn rate_limiter(name: &'static str, answerer: Answerer) -> Self {
        let limiter = RateLimiter { answerer, limits: 1 };
        Self { name, base: RLS, setup: Setup::RateLimiter(limiter) }
    }

    const fn identity(name: &'static str, base: &'static str, asked: Asked) -> Self {
        Self { name, base, setup: Setup::Identity(asked) }
    }

    /// Its Envoy; none where there is none.
    pub const fn as_gateway(&self) -> Option<&Gateway> {
        match &self.setup {
            Setup::Gateway(gateway) => Some(gateway),
            _ => None,
        }
    }

    /// Whether its requests spend slices that a server lends.
    pub fn spends_leases(&self) -> bool {
        self.as_gateway().is_some_and(|gateway| gateway.chain == Chain::Leased)
    }

    /// Whether its Envoy reports what becomes of calls.
    pub fn reports_circuits(&self) -> bool {
        let is_it = |gateway: &Gateway| matches!(gateway.chain, Chain::Fed(Guard::Circuit, _));
        self.as_gateway().is_some_and(is_it)
    }

    /// Whether its requests ask what tokens are.
    pub const fn introspects(&self) -> bool {
        matches!(self.setup, Setup::Identity(Asked::Introspection { .. }))
    }

    /// What it measures, its own row first.
    pub fn rows(&self) -> Vec<RowPlan> {
        let name = self.name;
        let row = |part: &str, base: &str, whose| RowPlan {
            name: format!("{name}{part}"),
            base: format!("{base}{part}"),
            whose,
        };
        let has_redis = self.answerer() == Some(Answerer::Redis);
        // Where the base has no Redis, there is nothing to compare with.
        let base = ENTRIES.iter().find(|entry| entry.name == self.base);
        let also = base.is_some_and(|base| base.answerer() == Some(Answerer::Redis));
        let redis_base = if also { self.base } else { name };
        let redis = has_redis.then(|| row(".redis", redis_base, Whose::Redis));
        match self.setup {
            Setup::Gateway(Gateway { chain, .. }) => {
                let own = row("", self.base, Whose::Envoy);
                let server = chain.answerer().map(|_| {
                    let base = chain.server_base().unwrap_or(name);
                    row(".server", base, Whose::Server)
                });
                [Some(own), server, redis].into_iter().flatten().collect()
            }
            Setup::RateLimiter(_) => {
                let own = row("", self.base, Whose::Server);
                let sum = has_redis.then(|| row(".sum", redis_base, Whose::ServerAndRedis));
                [Some(own), redis, sum].into_iter().flatten().collect()
            }
            Setup::Peer => vec![row("", self.base, Whose::Peer)],
            Setup::Signer => vec![row("", self.base, Whose::Signer)],
            Setup::Identity(_) => vec![row("", self.base, Whose::Server)],
        }
    }

    fn answerer(&self) -> Option<Answerer> {
        match self.setup {
            Setup::Gateway(Gateway { chain, .. }) => chain.answerer(),
            Setup::RateLimiter(RateLimiter { answerer, .. }) => Some(answerer),
            Setup::Peer | Setup::Signer | Setup::Identity(_) => None,
        }
    }

    fn has_row(&self, name: &str) -> bool {
        self.rows().iter().any(|row| row.name == name)
    }

    fn needs(&self, other: &Entry) -> bool {
        self.rows().iter().any(|row| other.has_row(&row.base))
    }
}

/// All of them, in the order in which a round measures them.
pub const ENTRIES: &[Entry] = &[
    Entry::new(BASE, Chain::Empty),
    Entry { base: "envoy.proxy", ..Entry::new("envoy.proxy", Chain::Proxy) },
    Entry { base: ROUTED, ..Entry::new(ROUTED, Chain::Routed) },
    Entry::new("envoy.jwt_authn.default", Chain::JwtAuthn { cached: false }),
    Entry::new("envoy.jwt_authn.cached", Chain::JwtAuthn { cached: true }),
    Entry::gateway(
        "envoy.jwt_authn.es256",
        Gateway { load: Kind::ColdEs256, ..Gateway::of(Chain::JwtAuthn { cached: false }) },
    ),
    Entry::new("envoy.request_authentication", Chain::RequestAuthentication),
    Entry::new("envoy.local_ratelimit", Chain::LocalRateLimit),
    Entry { base: ROUTED, ..Entry::new("envoy.ratelimit_rls", Chain::RateLimit(Answerer::Memory)) },
    Entry::new("wasm.trivial", Chain::Trivial),
    Entry::new("filter.jwt.warm", Chain::Bundle(Guard::Token)),
    Entry::gateway(
        "filter.jwt.cold",
        Gateway { load: Kind::Cold, ..Gateway::of(Chain::Bundle(Guard::Token)) },
    ),
    Entry::gateway(
        "filter.jwt.es256.cold",
        Gateway { load: Kind::ColdEs256, ..Gateway::of(Chain::Bundle(Guard::Token)) },
    ),
    Entry::new(REVOCATION, Chain::Fed(Guard::TokenAndRevocation, Revoked::Nobody)),
    Entry {
        // So that what is added is what so many revocations add.
        base: REVOCATION,
        ..Entry::new(
            "filter.jwt.revocation_1m",
            Chain::Fed(Guard::TokenAndRevocation, Revoked::Million),
        )
    },
    Entry {
        // A token found good is looked up again when the set has changed: here before nearly
        // every request.
        base: REVOCATION,
        ..Entry::new(
            "filter.jwt.revocation_moving",
            Chain::Fed(Guard::TokenAndRevocation, Revoked::Moving),
        )
    },
    Entry::new("filter.rate_limit.local", Chain::Bundle(Guard::LocalLimit)),
    Entry::new("filter.rate_limit.leased", Chain::Leased),
    Entry::new(OPEN, Chain::Bundle(Guard::Open)),
    Entry {
        // So that what is added is what the stage adds, and what is said to the server of it.
        base: OPEN,
        ..Entry::new("filter.circuit", Chain::Fed(Guard::Circuit, Revoked::Nobody))
    },
    Entry::new("filter.bundle", Chain::Fed(Guard::TokenRevocationAndLocalLimit, Revoked::Nobody)),
    two_workers("envoy.base.2workers", Chain::Empty),
    two_workers("filter.bundle.2workers_hot_key", Chain::Bundle(Guard::TokenAndLocalLimit)),
    Entry::new("ext_authz.noop", Chain::ExtAuthz(Answerer::Noop)),
    Entry::new("ext_authz.decision.memory", Chain::ExtAuthz(Answerer::Memory)),
    Entry::new("ext_authz.decision.redis", Chain::ExtAuthz(Answerer::Redis)),
    Entry::new("ext_proc.noop", Chain::ExtProc(Answerer::Noop)),
    Entry::new("ext_proc.headers", Chain::ExtProc(Answerer::Memory)),
    Entry::rate_limiter(RLS, Answerer::Noop),
    Entry::rate_limiter("rls.memory", Answerer::Memory),
    Entry::rate_limiter("rls.redis", Answerer::Redis),
    Entry {
        name: "rls.redis.4limits",
        // So that what is added is what three more limits add.
        base: "rls.redis",
        setup: Setup::RateLimiter(RateLimiter { answerer: Answerer::Redis, limits: 4 }),
    },
    Entry { name: PEER, base: PEER, setup: Setup::Peer },
    Entry { name: SIGN, base: SIGN, setup: Setup::Signer },
    Entry::identity(TOKEN, SIGN, Asked::Token),
    Entry::identity(INTROSPECTION, TOKEN, Asked::Introspection { tokens: KNOWN_TOKENS }),
    Entry::identity(
        "identity.introspection.cold",
        // So that what is added is what a token costs that was not asked about before.
        INTROSPECTION,
        Asked::Introspection { tokens: UNKNOWN_TOKENS },
    ),
    Entry::identity("identity.refresh", TOKEN, Asked::Refresh),
];

/// Two workers that share one subject's tokens, and where they are compared.
const fn two_workers(name: &'static str, chain: Chain) -> Entry {
    let gateway = Gateway { chain, load: Kind::OneSubject, workers: 2 };
    Entry { name, base: "envoy.base.2workers", setup: Setup::Gateway(gateway) }
}

/// The entries whose names begin with one of these (all of them without any), and what those
/// are compared with. `check`: also what the bounds are about, so that none goes unlooked-at.
/// `peer`: there is somebody else's rate limit service.
pub fn select(names: &[String], check: bool, peer: bool) -> Vec<&'static Entry> {
    let there = || ENTRIES.iter().filter(move |entry| peer || entry.setup != Setup::Peer);
    let mut chosen: Vec<&Entry> =
        there().filter(|entry| is_named(entry, names) || (check && is_bound(entry))).collect();
    // A base may have a base of its own.
    let is_missing = |chosen: &[&Entry], entry: &Entry| {
        !chosen.contains(&entry) && chosen.iter().any(|other| other.needs(entry))
    };
    while let Some(missing) = there().find(|entry| is_missing(&chosen, entry)) {
        chosen.push(missing);
    }
    there().filter(|entry| chosen.contains(entry)).collect()
}

fn is_named(entry: &Entry, names: &[String]) -> bool {
    names.is_empty() || names.iter().any(|name| entry.name.starts_with(name.as_str()))
}

fn is_bound(entry: &Entry) -> bool {
    BOUNDS.iter().any(|bound| {
        entry.has_row(bound.name) || bound.than().is_some_and(|than| entry.has_row(than))
    })
}

#[cfg(test)]
mod tests;
