//! What must hold.

/// Microseconds of its own CPU and of its Redis' that another rate limit service took for a
/// request with one limit on the machine of the bounds; one that runs beside ours is the entry
/// `rls.peer`.
const PEER_MICROS: f64 = 99.0;

/// What must hold of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bound {
    /// The row.
    pub name: &'static str,
    /// How much it may be.
    pub at_most: AtMost,
}

/// How much a row may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum AtMost {
    /// It adds to its base so many times what the other one adds to its own.
    Adds {
        /// So many times.
        times: f64,
        /// The other one.
        than: &'static str,
    },
    /// It adds so many microseconds to the other one, which is its base.
    AddsMicros {
        /// So many.
        micros: f64,
        /// The other one.
        to: &'static str,
    },
    /// It takes so many times what the other one takes, which is its base.
    Takes {
        /// So many times.
        times: f64,
        /// The other one.
        than: &'static str,
    },
    /// It takes so many microseconds.
    TakesMicros {
        /// So many.
        micros: f64,
        /// What somebody else's takes.
        peer: f64,
    },
}

/// All of them.
pub const BOUNDS: [Bound; 14] = [
    adds("filter.jwt.warm", 1.3, "wasm.trivial"),
    adds("filter.jwt.warm", 0.25, "envoy.jwt_authn.default"),
    adds("filter.jwt.cold", 1.0, "envoy.jwt_authn.default"),
    adds("filter.jwt.es256.cold", 1.0, "envoy.jwt_authn.es256"),
    adds("filter.bundle", 2.2, "wasm.trivial"),
    adds("filter.circuit", 0.6, "wasm.trivial"),
    adds_micros("filter.jwt.revocation_1m", 1.0, "filter.jwt.revocation"),
    adds_micros("filter.jwt.revocation_moving", 1.0, "filter.jwt.revocation"),
    takes("rls.memory", 1.4, "rls.noop"),
    Bound {
        name: "rls.redis.sum",
        at_most: AtMost::TakesMicros { micros: 45.0, peer: PEER_MICROS },
    },
    takes("rls.redis.4limits.sum", 1.5, "rls.redis.sum"),
    // Each to its own base: the latter's routes lead to an upstream.
    adds("filter.rate_limit.leased", 0.3, "envoy.ratelimit_rls"),
    // A token a request is at least 0.6 × of what signing alone allows.
    takes("identity.token", 1.66, "identity.rs256_sign"),
    // Eight times as many requests as the token endpoint answers.
    takes("identity.introspection", 0.125, "identity.token"),
];

const fn adds(name: &'static str, times: f64, than: &'static str) -> Bound {
    Bound { name, at_most: AtMost::Adds { times, than } }
}

const fn adds_micros(name: &'static str, micros: f64, to: &'static str) -> Bound {
    Bound { name, at_most: AtMost::AddsMicros { micros, to } }
}

const fn takes(name: &'static str, times: f64, than: &'static str) -> Bound {
    Bound { name, at_most: AtMost::Takes { times, than } }
}

impl Bound {
    /// The row that sets the measure.
    pub const fn than(&self) -> Option<&'static str> {
        match self.at_most {
            AtMost::Adds { than, .. } | AtMost::Takes { than, .. } => Some(than),
            AtMost::AddsMicros { to, .. } => Some(to),
            AtMost::TakesMicros { .. } => None,
        }
    }

    /// In words.
    pub fn claim(&self) -> String {
        let name = self.name;
        match self.at_most {
            AtMost::Adds { times, than } => {
                format!("{name} adds at most {times:.2} × what {than} adds")
            }
            AtMost::AddsMicros { micros, to } => {
                format!("{name} adds at most {micros:.2} µs to {to}")
            }
            AtMost::Takes { times, than } => {
                format!("{name} takes at most {times:.2} × what {than} takes")
            }
            AtMost::TakesMicros { micros, .. } => format!("{name} takes at most {micros:.2} µs"),
        }
    }

    /// What was found, with its unit.
    pub fn shown(&self, found: f64) -> String {
        match self.at_most {
            AtMost::Adds { .. } | AtMost::Takes { .. } => format!("{found:.2}"),
            AtMost::AddsMicros { .. } => format!("{found:.2} µs"),
            AtMost::TakesMicros { peer, .. } => {
                format!("{found:.2} µs, {:.2} × the {peer:.0} µs of a peer", found / peer)
            }
        }
    }
}
