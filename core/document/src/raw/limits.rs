//! Limits and their use by routes, as they are written.

use postern_request::json::Value;

use crate::decode::{
    Allowed, AtOnce, Decode, Duration, Entries, Percent, Positive, RateText, Text, Whole, choice,
    record,
};
use crate::node::{Kind, Node};
use crate::problem::{Position, Problems};
use crate::schema;

record! {
    /// A limit.
    pub struct RawLimit {
        /// What it counts by: ip, claim.sub, claim.client_id, claim.tier, claim.NAME, api_key, header.NAME, path.NAME, method, host, service, route.
        key = "key": Vec<Text>,
        /// How many in what time, for example 2000/1m, 1mo being a calendar month; or unlimited.
        rate = "rate": Option<RateText>,
        /// token_bucket, gcra: how many at once; as many as the rate's by default.
        burst = "burst": Option<Positive>,
        /// How it counts: token_bucket where mode is local, else sliding_window.
        algorithm = "algorithm": Option<RawAlgorithm>,
        /// Where it counts: in each Envoy (local), once for all (exact), or in each Envoy out of slices of one count for all (leased).
        mode = "mode": RawMode,
        /// exact, leased: what happens when the store fails, or no slices can be had; local_share by default.
        when_store_fails = "when_store_fails": Option<RawStoreFailure>,
        /// How many leading bits of an IPv6 address count as one client; 64 by default.
        ipv6_prefix = "ipv6_prefix": Option<Whole>,
        /// Instead of a rate: how many requests may be under way at once; or unlimited.
        in_flight = "in_flight": Option<AtOnce>,
        /// in_flight: after how long a request counts no more even if nobody says that it ended; 60s by default.
        slot_life = "slot_life": Option<Duration>,
        /// fixed_window: where its windows begin; by the clock by default.
        windows = "windows": Option<RawWindows>,
        /// What callers of a tier may do instead, by the tier's name.
        tiers = "tiers": Option<Entries<Allowed>>,
        /// What clients may do instead, by their client_id; goes before the tier.
        clients = "clients": Option<Entries<Allowed>>,
        /// How much one request counts; 1 by default.
        weight = "weight": Option<Positive>,
        /// Answers that do not count: their requests get back what they took.
        skip = "skip": Option<RawSkip>,
        /// Count and report, and never refuse.
        shadow = "shadow": Option<bool>,
        /// leased: how slices are lent.
        lease = "lease": Option<RawLease>,
    }

    /// How slices of a leased limit are lent.
    pub struct RawLease {
        /// How many Envoys use one key at the same time: 1 to 100000.
        sidecars = "sidecars": Positive,
        /// How much of the limit may be lent at once; 10% by default.
        outstanding = "outstanding": Option<Percent>,
        /// How long a slice can be spent: 1s to 1m; 5s by default.
        life = "life": Option<Duration>,
        /// Whether anything passes where there is no slice yet; optimistic by default.
        start = "start": Option<RawStart>,
        /// optimistic: how many pass in each Envoy before a slice pays for them; 10 by default.
        allowance = "allowance": Option<Positive>,
    }

    /// A limit by its name, and how much a request of this route counts there.
    pub struct RawWeighedLimit {
        /// Its name.
        limit = "limit": Text,
        /// How much one request counts; as the limit says by default.
        weight = "weight": Option<Positive>,
    }
}

choice! {
    /// How a limit counts.
    pub enum RawAlgorithm {
        /// Two fixed windows, the earlier one weighted.
        SlidingWindow = "sliding_window",
        /// Every request with its time.
        SlidingLog = "sliding_log",
        /// Even refill up to a burst.
        TokenBucket = "token_bucket",
        /// The same by the time at which the next request is due.
        Gcra = "gcra",
        /// One window after the other.
        FixedWindow = "fixed_window",
    }

    /// Where the windows of a fixed window begin.
    pub enum RawWindows {
        /// At multiples of the period since 1970, or with the month, in UTC.
        Clock = "clock",
        /// With the first request after the one before is over.
        FirstHit = "first_hit",
    }

    /// Where a limit counts.
    pub enum RawMode {
        /// In each Envoy for itself, shared by its workers.
        Local = "local",
        /// In the volatile store, once for all Envoys.
        Exact = "exact",
        /// In each Envoy, out of slices that the server lends of one count for all.
        Leased = "leased",
    }

    /// What an Envoy does with requests while it has no slice.
    pub enum RawStart {
        /// Some pass on credit.
        Optimistic = "optimistic",
        /// None passes.
        Strict = "strict",
    }

    /// Answers that do not count.
    pub enum RawSkip {
        /// Those below 400.
        Successful = "successful",
        /// All others.
        Failed = "failed",
    }

    /// What happens to a limit when its store fails.
    pub enum RawStoreFailure {
        /// Requests pass.
        Allow = "allow",
        /// Requests are turned away with 503.
        Deny = "deny",
        /// Everybody who counts does so alone, with a share of the rate.
        LocalShare = "local_share",
    }
}

/// A limit that applies to a route: its name, or a mapping with a weight of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct RawLimitUse {
    /// The limit's name.
    pub name: Text,
    /// How much a request of the route counts; none where the limit says it.
    pub weight: Option<Positive>,
}

impl Decode for RawLimitUse {
    const IS_WORD: bool = true;

    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        match &node.kind {
            Kind::Map(_) => {
                let RawWeighedLimit { limit: name, weight, .. } =
                    RawWeighedLimit::decode(node, problems)?;
                Some(Self { name, weight })
            }
            Kind::Text(_) | Kind::Whole(_) => {
                Text::decode(node, problems).map(|name| Self { name, weight: None })
            }
            kind => {
                let found = kind.describe();
                let message = format!(
                    "expected the name of a limit, or a mapping such as {{limit: per-user, \
                     weight: 5}}, found {found}"
                );
                problems.report(node.at, message);
                None
            }
        }
    }

    /// In its shortest form: the digest does not tell the two spellings apart.
    fn encode(&self) -> Option<Value> {
        let name = self.name.encode()?;
        let Some(weight) = &self.weight else { return Some(name) };
        let weight = weight.encode()?;
        Some(Value::Object(vec![("limit".to_owned(), name), ("weight".to_owned(), weight)]))
    }

    fn place(&self, _: &[&str]) -> Option<Position> {
        Some(self.name.at)
    }

    fn goes_by(&self, name: &str) -> bool {
        self.name.value == name
    }

    fn schema() -> Value {
        schema::any_of(vec![Text::schema(), RawWeighedLimit::schema()])
    }
}
