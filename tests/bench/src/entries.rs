//! What is measured.

use crate::database::Revoked;
use crate::documents::Guard;
use crate::load::Kind;

/// The Envoy that filters are compared with.
const BASE: &str = "envoy.base";
/// A document with revocations, and none.
const REVOCATION: &str = "filter.jwt.revocation";

/// One Envoy and its load.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    /// The entry that its Envoy is compared with; itself where there is nothing to compare.
    pub base: &'static str,
    /// What its filters are.
    pub chain: Chain,
    /// What is sent.
    pub load: Kind,
    /// Envoy's worker threads. One is pinned to its core; several run wherever they like.
    pub workers: u32,
}

/// A filter chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chain {
    /// No filter.
    Empty,
    /// No filter, and an upstream instead of an answer by Envoy.
    Proxy,
    /// Envoy's `jwt_authn`.
    JwtAuthn {
        /// With its cache.
        cached: bool,
    },
    /// What Istio makes of a RequestAuthentication, and a policy that reads what it found.
    RequestAuthentication,
    /// Envoy's `local_ratelimit`.
    LocalRateLimit,
    /// The module without any logic.
    Trivial,
    /// Our bundle, with a document.
    Bundle(Guard),
    /// Our bundle, with a document that asks for the feed, and who is revoked.
    Fed(Guard, Revoked),
    /// Envoy's `ext_authz` alone, as we configure it, and who answers it.
    ExtAuthz(Answerer),
    /// Envoy's `ext_proc` alone, as we configure it, and who answers it.
    ExtProc(Answerer),
}

/// Who answers a call-out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answerer {
    /// A server that does nothing.
    Noop,
    /// `postern serve`, with its state in memory.
    Memory,
    /// `postern serve`, with its state in Redis.
    Redis,
}

impl Chain {
    /// The document whose routes, and perhaps filters, the entry runs.
    pub const fn guard(self) -> Guard {
        match self {
            Self::Bundle(guard) | Self::Fed(guard, _) => guard,
            Self::ExtAuthz(_) => Guard::TokenAndExactLimit,
            Self::ExtProc(_) => Guard::HeaderRules,
            // Only its routes are used, and those are the same in all of them.
            _ => Guard::Token,
        }
    }

    /// Whether our bundle runs in it.
    pub const fn is_ours(self) -> bool {
        matches!(self, Self::Bundle(_) | Self::Fed(..))
    }

    /// Who is revoked, as the feed tells it; none where nobody asks the feed.
    pub const fn revoked(self) -> Option<Revoked> {
        match self {
            Self::Fed(_, revoked) => Some(revoked),
            _ => None,
        }
    }

    /// Who answers the call-out of this chain.
    pub const fn answerer(self) -> Option<Answerer> {
        match self {
            Self::ExtAuthz(answerer) | Self::ExtProc(answerer) => Some(answerer),
            _ => None,
        }
    }

    /// The entry whose server this chain's server is compared with.
    const fn server_base(self) -> Option<&'static str> {
        match self {
            Self::ExtAuthz(_) => Some("ext_authz.noop"),
            Self::ExtProc(_) => Some("ext_proc.noop"),
            _ => None,
        }
    }
}

impl Entry {
    const fn new(name: &'static str, chain: Chain) -> Self {
        Self { name, base: BASE, chain, load: Kind::Warm, workers: 1 }
    }

    /// The row of the server's own CPU time, and the row that it is compared with.
    pub fn server_row(&self) -> Option<(String, String)> {
        let base = self.chain.server_base()?;
        Some((format!("{}.server", self.name), format!("{base}.server")))
    }

    /// The row of Redis' CPU time.
    pub fn redis_row(&self) -> String {
        format!("{}.redis", self.name)
    }

    /// Whether Envoy has a core to itself.
    pub const fn pinned(&self) -> bool {
        self.workers == 1
    }

    fn needs(&self, other: &str) -> bool {
        self.base == other || self.chain.server_base() == Some(other)
    }
}

/// All of them, in the order in which a round measures them.
pub const ENTRIES: &[Entry] = &[
    Entry::new(BASE, Chain::Empty),
    Entry { base: "envoy.proxy", ..Entry::new("envoy.proxy", Chain::Proxy) },
    Entry::new("envoy.jwt_authn.default", Chain::JwtAuthn { cached: false }),
    Entry::new("envoy.jwt_authn.cached", Chain::JwtAuthn { cached: true }),
    Entry {
        load: Kind::ColdEs256,
        ..Entry::new("envoy.jwt_authn.es256", Chain::JwtAuthn { cached: false })
    },
    Entry::new("envoy.request_authentication", Chain::RequestAuthentication),
    Entry::new("envoy.local_ratelimit", Chain::LocalRateLimit),
    Entry::new("wasm.trivial", Chain::Trivial),
    Entry::new("filter.jwt.warm", Chain::Bundle(Guard::Token)),
    Entry { load: Kind::Cold, ..Entry::new("filter.jwt.cold", Chain::Bundle(Guard::Token)) },
    Entry {
        load: Kind::ColdEs256,
        ..Entry::new("filter.jwt.es256.cold", Chain::Bundle(Guard::Token))
    },
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
    Entry::new("filter.bundle", Chain::Fed(Guard::TokenRevocationAndLocalLimit, Revoked::Nobody)),
    Entry {
        base: "envoy.base.2workers",
        workers: 2,
        load: Kind::OneSubject,
        ..Entry::new("envoy.base.2workers", Chain::Empty)
    },
    Entry {
        base: "envoy.base.2workers",
        workers: 2,
        load: Kind::OneSubject,
        ..Entry::new("filter.bundle.2workers_hot_key", Chain::Bundle(Guard::TokenAndLocalLimit))
    },
    Entry::new("ext_authz.noop", Chain::ExtAuthz(Answerer::Noop)),
    Entry::new("ext_authz.decision.memory", Chain::ExtAuthz(Answerer::Memory)),
    Entry::new("ext_authz.decision.redis", Chain::ExtAuthz(Answerer::Redis)),
    Entry::new("ext_proc.noop", Chain::ExtProc(Answerer::Noop)),
    Entry::new("ext_proc.headers", Chain::ExtProc(Answerer::Memory)),
];

/// What must hold of what an entry adds to its base.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bound {
    /// The entry.
    pub name: &'static str,
    /// The one that sets the measure.
    pub than: &'static str,
    /// How much more it may be.
    pub at_most: AtMost,
}

/// How much an entry may add.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum AtMost {
    /// So many times what the other one adds.
    Times(f64),
    /// So many microseconds to the other one, which is its base.
    Micros(f64),
}

/// All of them.
pub const BOUNDS: [Bound; 7] = [
    times("filter.jwt.warm", "wasm.trivial", 1.3),
    times("filter.jwt.warm", "envoy.jwt_authn.default", 0.25),
    times("filter.jwt.cold", "envoy.jwt_authn.default", 1.0),
    times("filter.jwt.es256.cold", "envoy.jwt_authn.es256", 1.0),
    times("filter.bundle", "wasm.trivial", 2.2),
    Bound { name: "filter.jwt.revocation_1m", than: REVOCATION, at_most: AtMost::Micros(1.0) },
    Bound { name: "filter.jwt.revocation_moving", than: REVOCATION, at_most: AtMost::Micros(1.0) },
];

const fn times(name: &'static str, than: &'static str, at_most: f64) -> Bound {
    Bound { name, than, at_most: AtMost::Times(at_most) }
}

/// The entries whose names begin with one of these (all of them without any), and what those
/// are compared with. `check`: also what the bounds are about, so that none goes unlooked-at.
pub fn select(names: &[String], check: bool) -> Vec<&'static Entry> {
    let mut chosen: Vec<&Entry> = ENTRIES
        .iter()
        .filter(|entry| is_named(entry, names) || (check && is_bound(entry)))
        .collect();
    // A base may have a base of its own.
    let is_missing = |chosen: &[&Entry], entry: &Entry| {
        !chosen.contains(&entry) && chosen.iter().any(|other| other.needs(entry.name))
    };
    while let Some(missing) = ENTRIES.iter().find(|entry| is_missing(&chosen, entry)) {
        chosen.push(missing);
    }
    ENTRIES.iter().filter(|entry| chosen.contains(entry)).collect()
}

fn is_named(entry: &Entry, names: &[String]) -> bool {
    names.is_empty() || names.iter().any(|name| entry.name.starts_with(name.as_str()))
}

fn is_bound(entry: &Entry) -> bool {
    BOUNDS.iter().any(|bound| bound.name == entry.name || bound.than == entry.name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn selected(names: &[&str], check: bool) -> Vec<&'static str> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        select(&names, check).iter().map(|entry| entry.name).collect()
    }

    #[test]
    fn every_name_is_there_once() {
        let names: BTreeSet<&str> = ENTRIES.iter().map(|entry| entry.name).collect();
        assert_eq!(names.len(), ENTRIES.len());
        for bound in BOUNDS {
            assert!(names.contains(bound.name) && names.contains(bound.than), "{bound:?}");
            let entry = ENTRIES.iter().find(|entry| entry.name == bound.name).unwrap();
            if matches!(bound.at_most, AtMost::Micros(_)) {
                assert_eq!(entry.base, bound.than, "{bound:?}");
            }
        }
    }

    #[test]
    fn what_is_selected_can_be_compared() {
        for entry in ENTRIES {
            let chosen = selected(&[entry.name], false);
            for other in ENTRIES.iter().filter(|other| chosen.contains(&other.name)) {
                assert!(chosen.contains(&other.base), "{} without {}", other.name, other.base);
                if let Some(base) = other.chain.server_base() {
                    assert!(chosen.contains(&base), "{} without {base}", other.name);
                }
            }
        }
    }

    #[test]
    fn names_are_beginnings() {
        assert_eq!(selected(&[], false).len(), ENTRIES.len());
        assert_eq!(
            selected(&["filter.jwt"], false),
            [
                "envoy.base",
                "filter.jwt.warm",
                "filter.jwt.cold",
                "filter.jwt.es256.cold",
                "filter.jwt.revocation",
                "filter.jwt.revocation_1m",
                "filter.jwt.revocation_moving",
            ]
        );
        assert_eq!(
            selected(&["filter.jwt.revocation_1m"], false),
            ["envoy.base", "filter.jwt.revocation", "filter.jwt.revocation_1m"]
        );
        assert_eq!(
            selected(&["ext_authz.decision.redis"], false),
            ["envoy.base", "ext_authz.noop", "ext_authz.decision.redis"]
        );
        assert!(selected(&["envoy.proxy"], true).contains(&"filter.bundle"));
        assert!(selected(&["feed"], false).is_empty());
    }
}
