//! What an explanation takes for given: all that no document and no request can say.

use std::collections::BTreeSet;
use std::fmt;

use postern_jose::{KeySet, VerifiedToken};
use postern_request::{Principal, UnixMillis};

use crate::mesh::MeshPolicies;

/// What is taken for given.
#[derive(Clone)]
pub struct Assumptions<'a> {
    /// The time.
    pub now: UnixMillis,
    /// The workload that a caller inside the mesh goes to directly. The edge, where it is none,
    /// the gateway, or no workload of the document.
    pub workload: Option<&'a str>,
    /// Parts that do not answer.
    pub failed: BTreeSet<Part>,
    /// Services whose circuits are open to the Envoys of this request.
    pub open_circuits: BTreeSet<String>,
    /// Limits that have nothing left for this caller.
    pub used_up: BTreeSet<String>,
    /// Whether the credential was revoked: token, API key or session.
    pub revoked: Revoked,
    /// Whether the request is of the share that routes with `enforce` below 100 % are held to;
    /// both ways are explained where it is none.
    pub enforced: Option<bool>,
    /// The request is of the share that its route's `fault` is for.
    pub faulted: bool,
    /// Keys that are at hand, by the issuer's place in the document. Those that stand in the
    /// document need not be here.
    pub keys: &'a [Option<KeySet>],
    /// Looks an API key up that the document does not name, by its id. None where no store is at
    /// hand: then such keys are unknown, and the explanation says that it does not know them.
    pub stored_key: Option<LookUp<'a, StoredKey>>,
    /// Looks revocations up. None where no list of them is at hand: what was revoked is then taken
    /// for given, and the explanation says so.
    pub revocations: Option<&'a dyn Revocations>,
    /// The mesh's own policies; none are asked where it is none.
    pub policies: Option<&'a dyn MeshPolicies>,
}

/// Finds something by its name or path.
pub type LookUp<'a, T> = &'a dyn Fn(&str) -> Option<T>;

/// What is known to be revoked.
pub trait Revocations {
    /// Whether a token is, by any of its names.
    fn has_token(&self, token: &VerifiedToken) -> bool;

    /// Whether an API key is, by its id.
    fn has_api_key(&self, id: &str) -> bool;

    /// Whether every session of a subject is that began at this time (in seconds).
    fn has_sessions_of(&self, issuer: &str, subject: &str, began_at: u64) -> bool;
}

impl Assumptions<'_> {
    /// Everything works, nothing is used up, open, revoked or planted, no keys are at hand.
    #[must_use]
    pub fn at(now: UnixMillis) -> Self {
        Self {
            now,
            workload: None,
            failed: BTreeSet::new(),
            open_circuits: BTreeSet::new(),
            used_up: BTreeSet::new(),
            revoked: Revoked::No,
            enforced: None,
            faulted: false,
            keys: &[],
            stored_key: None,
            revocations: None,
            policies: None,
        }
    }

    pub(crate) fn has_failed(&self, part: &Part) -> bool {
        self.failed.contains(part)
    }
}

/// Whether the credential was revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Revoked {
    /// It was not.
    #[default]
    No,
    /// It was.
    Yes,
    /// Nobody knows: what is known is too old.
    Unknown,
}

/// A part that does not answer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// All of the server.
    Server,
    /// Its `ext_proc` alone.
    ExtProc,
    /// The volatile store.
    VolatileStore,
    /// The durable store.
    DurableStore,
    /// The feed, for longer than `revocation.max_staleness` and than slices of limits last.
    Feed,
    /// The keys of an issuer cannot be fetched.
    IssuerKeys {
        /// `iss`
        issuer: String,
        /// Nor could they ever be; else the last good ones stay in use.
        never: bool,
    },
    /// The module inside Envoy: missing, or crashed.
    Bundle,
    /// The rate limit service that Envoy's own filter asks.
    RateLimitService,
    /// The service behind the gateway.
    Upstream(UpstreamFailure),
}

/// How a service fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum UpstreamFailure {
    /// It takes no connection.
    Refused,
    /// It never answers.
    Hang,
    /// It closes before its answer begins.
    Reset,
    /// It answers with a status of 500 or above.
    Status,
}

impl Part {
    /// Reads what a command line or a case file names, as [`Part`] is written: `server`,
    /// `keys:ISSUER`, `upstream:hang`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let keys = |issuer: &str, never| {
            let issuer = Some(issuer).filter(|issuer| !issuer.is_empty())?;
            Some(Self::IssuerKeys { issuer: issuer.to_owned(), never })
        };
        Some(match text {
            "server" => Self::Server,
            "ext-proc" => Self::ExtProc,
            "volatile-store" => Self::VolatileStore,
            "durable-store" => Self::DurableStore,
            "feed" => Self::Feed,
            "bundle" => Self::Bundle,
            "rate-limit-service" => Self::RateLimitService,
            "upstream:refused" => Self::Upstream(UpstreamFailure::Refused),
            "upstream:hang" => Self::Upstream(UpstreamFailure::Hang),
            "upstream:reset" => Self::Upstream(UpstreamFailure::Reset),
            "upstream:5xx" => Self::Upstream(UpstreamFailure::Status),
            _ => match text.split_once(':')? {
                ("keys", issuer) => keys(issuer, false)?,
                ("keys-never", issuer) => keys(issuer, true)?,
                _ => return None,
            },
        })
    }

    /// What may be named, for messages.
    pub const KNOWN: &'static str = "server, ext-proc, volatile-store, durable-store, feed, \
         keys:ISSUER, keys-never:ISSUER, bundle, rate-limit-service, upstream:refused, \
         upstream:hang, upstream:reset or upstream:5xx";
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Server => "server",
            Self::ExtProc => "ext-proc",
            Self::VolatileStore => "volatile-store",
            Self::DurableStore => "durable-store",
            Self::Feed => "feed",
            Self::IssuerKeys { issuer, never: false } => return write!(f, "keys:{issuer}"),
            Self::IssuerKeys { issuer, never: true } => return write!(f, "keys-never:{issuer}"),
            Self::Bundle => "bundle",
            Self::RateLimitService => "rate-limit-service",
            Self::Upstream(UpstreamFailure::Refused) => "upstream:refused",
            Self::Upstream(UpstreamFailure::Hang) => "upstream:hang",
            Self::Upstream(UpstreamFailure::Reset) => "upstream:reset",
            Self::Upstream(UpstreamFailure::Status) => "upstream:5xx",
        })
    }
}

/// An API key of the durable store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredKey {
    /// SHA-256 of the whole key.
    pub sha256: [u8; 32],
    /// Who it stands for.
    pub principal: Principal,
    /// Limits that hold for it besides its route's.
    pub limits: Vec<String>,
    /// When it ends.
    pub expires: Option<UnixMillis>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_read_as_they_are_written() {
        for text in Part::KNOWN.split([',', ' ']).filter(|word| !matches!(*word, "" | "or")) {
            let part = Part::parse(text);
            assert_eq!(part.map(|part| part.to_string()).as_deref(), Some(text));
        }
        let url = "keys:https://idp.example.test/a";
        assert_eq!(Part::parse(url).unwrap().to_string(), url);
        for bad in ["", "keys", "keys:", "keys-never:", "upstream", "upstream:slow", "Server"] {
            assert_eq!(Part::parse(bad), None, "{bad}");
        }
    }
}
