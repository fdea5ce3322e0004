//! Limits, and what they allow whom.

use std::sync::Arc;

use postern_leases::Terms;
use postern_limits::key::KeyPart;
use postern_limits::{Anchor, InFlight, Period, Spec};
use postern_request::principal::{Credential, Principal};

use super::StoreFailure;

pub use crate::raw::RawSkip as Skip;

/// What a limit allows one caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowance {
    /// Everything: the document says `unlimited`.
    Unlimited,
    /// So many in what time.
    Rate(Spec),
    /// So many at once.
    InFlight(InFlight),
}

impl Allowance {
    /// The most that can ever pass at once; none where there is no bound. What weighs more never
    /// passes.
    #[must_use]
    pub const fn capacity(self) -> Option<u64> {
        match self {
            Self::Unlimited => None,
            Self::Rate(spec) => Some(spec.capacity()),
            Self::InFlight(spec) => Some(spec.max() as u64),
        }
    }

    /// The name of what is counted: what was counted under other numbers, or in another way,
    /// does not count.
    pub(crate) fn counted_as(self, limit: &str) -> String {
        match self {
            Self::Unlimited => limit.to_owned(),
            Self::InFlight(spec) => format!("{limit} in_flight {} {}", spec.max(), spec.life_ms()),
            Self::Rate(spec) => {
                let rate = spec.rate();
                let (algorithm, requests) = (spec.algorithm().as_str(), rate.requests());
                let period = match rate.period() {
                    Period::Millis(period) => period.to_string(),
                    Period::Month => "month".to_owned(),
                };
                let anchor = match spec.anchor() {
                    Anchor::Clock => "",
                    Anchor::FirstHit => " first_hit",
                };
                format!("{limit} {algorithm} {requests}/{period} {}{anchor}", spec.burst())
            }
        }
    }
}

/// A limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// Its name.
    pub name: String,
    /// What it counts by.
    pub key: Vec<KeyPart>,
    /// What it allows callers who are not named below.
    pub allowance: Allowance,
    /// What it allows callers of a tier instead, sorted by the tier's name.
    pub tiers: Vec<(String, Allowance)>,
    /// What it allows clients instead, whatever their tier, sorted by `client_id`.
    pub clients: Vec<(String, Allowance)>,
    /// Where it counts.
    pub mode: LimitMode,
    /// How much one request counts, where its route does not say.
    pub weight: u64,
    /// Answers that do not count.
    pub skip: Option<Skip>,
    /// Whether it only counts and reports, and refuses nobody.
    pub shadow: bool,
    /// Leading bits of an IPv6 address that count as one client.
    pub ipv6_prefix: u8,
    /// Every allowance with the name under which it counts, so that no request has to make one.
    pub(crate) counted_as: Vec<(Allowance, String)>,
    /// Where the claims of its key are found.
    pub(crate) claims: Vec<ClaimSource>,
}

impl Limit {
    /// What it allows a caller: by client, else by tier, else what it allows everybody.
    #[must_use]
    pub fn allowance_for(&self, principal: Option<&Principal>) -> Allowance {
        let Some(principal) = principal else { return self.allowance };
        let named = |named: &[(String, Allowance)], name: Option<&str>| {
            let name = name?;
            let at = named.binary_search_by(|(known, _)| known.as_str().cmp(name)).ok()?;
            named.get(at).map(|(_, allowance)| *allowance)
        };
        named(&self.clients, principal.client_id.as_deref())
            .or_else(|| named(&self.tiers, principal.tier.as_deref()))
            .unwrap_or(self.allowance)
    }

    /// Everything that it allows anybody. What it allows several may be there several times.
    pub fn allowances(&self) -> impl Iterator<Item = Allowance> {
        let named = self.tiers.iter().chain(&self.clients).map(|(_, allowance)| *allowance);
        core::iter::once(self.allowance).chain(named)
    }

    /// Whether what it counts by, or what it allows, depends on who calls.
    #[must_use]
    pub fn needs_principal(&self) -> bool {
        !self.tiers.is_empty()
            || !self.clients.is_empty()
            || self.key.iter().any(KeyPart::needs_principal)
    }

    /// Whether it has to hear how its requests end: it counts what is under way, or skips some
    /// answers.
    #[must_use]
    pub fn needs_settlement(&self) -> bool {
        let in_flight = |allowance| matches!(allowance, Allowance::InFlight(_));
        self.skip.is_some() || self.allowances().any(in_flight)
    }

    /// The value of a claim that the key names, and the issuer whose claim it is.
    pub(crate) fn claim<'p>(
        &self,
        name: &str,
        principal: &'p Principal,
    ) -> Option<(&'p str, &'p str)> {
        if principal.credential != Credential::Jwt {
            return None;
        }
        let is_source =
            |source: &&ClaimSource| source.claim == name && source.issuer == principal.issuer;
        let source = self.claims.iter().find(is_source)?;
        let headers = &principal.claim_headers;
        let (_, value) = headers.iter().find(|(header, _)| *header == source.header)?;
        Some((principal.issuer.as_str(), value.as_str()))
    }
}

/// A claim that becomes a header, by which limits know it too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClaimSource {
    pub(crate) claim: String,
    /// Whose tokens.
    pub(crate) issuer: String,
    /// The header that it becomes.
    pub(crate) header: String,
}

/// Where a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitMode {
    /// In each Envoy for itself.
    Local,
    /// Once for all, in the volatile store.
    Exact {
        /// What happens when the store fails.
        when_store_fails: StoreFailure,
    },
    /// In each Envoy, out of slices of one count for all in the volatile store.
    Leased {
        /// What happens while no slices can be had. A local share is that of one Envoy of those
        /// that the terms expect.
        when_store_fails: StoreFailure,
        /// How slices are lent.
        terms: Terms,
    },
}

impl LimitMode {
    /// As the document spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Exact { .. } => "exact",
            Self::Leased { .. } => "leased",
        }
    }
}

/// A limit that a route names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedLimit {
    /// The limit.
    pub limit: Arc<Limit>,
    /// How much a request of the route counts.
    pub weight: u64,
}

impl Skip {
    /// Whether an answer of this kind does not count.
    #[must_use]
    pub const fn gives_back(self, successful: bool) -> bool {
        matches!((self, successful), (Self::Successful, true) | (Self::Failed, false))
    }

    /// Whether an answer is a successful one: below 400, and for gRPC, whose refusals are a 200
    /// with a status of their own, without a `grpc-status` other than 0.
    #[must_use]
    pub fn is_successful(status: u16, grpc_status: Option<&[u8]>) -> bool {
        status < 400 && grpc_status.is_none_or(|status| status == b"0")
    }
}
