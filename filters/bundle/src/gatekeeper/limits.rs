//! What a request takes of the limits that are counted here, and what it may get back.

use std::net::IpAddr;

use postern_document::{Counted, Route};
use postern_filter_host::RequestHost;
use postern_filter_leased_rate_limit as leased;
use postern_filter_local_rate_limit as local;
use postern_filter_shared_data::SharedData;
use postern_request::{Denial, RateLimitStatus, UnixMillis, address};

use super::Gatekeeper;
use crate::counters::Count;
use crate::stages::STAGES;

/// What limits took that may have to be given back.
#[derive(Debug, PartialEq, Eq, Default)]
pub(super) struct Tickets {
    local: local::Ticket,
    leased: leased::Ticket,
}

/// What a request has got.
#[derive(Default)]
pub(super) struct Spent {
    /// The tightest of the limits that bind it.
    pub(super) limit: Option<RateLimitStatus>,
    pub(super) tickets: Tickets,
}

impl Tickets {
    pub(super) const fn is_empty(&self) -> bool {
        self.local.is_empty() && self.leased.is_empty()
    }

    /// The request passes: what no answer and no end gives back is forgotten.
    pub(super) fn confirm(&mut self) {
        self.local.confirm();
        self.leased.confirm();
    }

    /// The request was refused after all, and counts nowhere.
    pub(super) fn put_back(&mut self, shared: &dyn SharedData, now: UnixMillis) {
        self.local.put_back(shared, now);
        self.leased.put_back(shared, now);
    }

    /// The answer is there.
    pub(super) fn settle(&mut self, shared: &dyn SharedData, successful: bool, now: UnixMillis) {
        self.local.settle(shared, successful, now);
        self.leased.settle(shared, successful, now);
    }

    /// The request has ended. What no answer has settled stays counted.
    pub(super) fn release(&mut self, shared: &dyn SharedData) {
        self.local.release(shared);
    }
}

impl Gatekeeper {
    /// Takes from the route's local and leased limits: from all of them, or from none. Where
    /// something behind them `may_refuse`, the tickets hold all that was taken until it is known.
    pub(super) fn spend(
        &mut self,
        host: &impl RequestHost,
        route: &Route,
        counted: Counted<'_>,
        may_refuse: bool,
        now: UnixMillis,
    ) -> Result<Spent, Denial> {
        let counts = !route.local_limits.is_empty() || !route.leased_limits.is_empty();
        if !STAGES.limits || !counts {
            return Ok(Spent::default());
        }
        let address = route.counts_addresses().then(|| client_address(host)).flatten();
        let counted = Counted { address, ..counted };
        let leases = !route.leased_limits.is_empty();
        let local = local::check(route, &counted, leases || may_refuse, host, self.seed, now);
        self.counters.add(Count::SlotsEvicted, u64::from(local.evicted));
        self.counters.add(Count::SlotConflicts, u64::from(local.conflicts));
        let mut shadowed = local.shadowed;
        let mut spent = Spent {
            limit: local.status,
            tickets: Tickets { local: local.ticket, leased: leased::Ticket::default() },
        };
        let mut denial = local.denial;
        if denial.is_none() && leases {
            let verdict = self.spend_leases(host, route, &counted, may_refuse, now);
            match verdict.denial {
                None if may_refuse => {}
                None => spent.tickets.local.confirm(),
                Some(_) => spent.tickets.local.put_back(host, now),
            }
            // What is refused passes no limit in shadow.
            shadowed = if verdict.denial.is_some() { 0 } else { shadowed + verdict.shadowed };
            spent.limit = tighter(spent.limit, verdict.status);
            spent.tickets.leased = verdict.ticket;
            denial = verdict.denial;
        }
        self.counters.add(Count::LimitsShadowed, u64::from(shadowed));
        match denial {
            None => Ok(spent),
            Some(denial) => Err(denial),
        }
    }

    fn spend_leases(
        &mut self,
        host: &impl RequestHost,
        route: &Route,
        counted: &Counted<'_>,
        may_refuse: bool,
        now: UnixMillis,
    ) -> leased::Verdict {
        if let Some(link) = &mut self.feed {
            link.feed.works();
        }
        let Some(link) = &mut self.leases else {
            // Whoever leases limits has a link: without one nothing was configured.
            let denial = Some(Denial::unavailable("leases_unavailable", 1));
            return leased::Verdict { denial, ..leased::Verdict::default() };
        };
        let verdict = link.leases.spend(host, route, counted, may_refuse, now);
        self.counters.add(Count::SlotsEvicted, u64::from(verdict.evicted));
        self.counters.add(Count::SlotConflicts, u64::from(verdict.conflicts));
        self.counters.add(Count::LeaseDry, u64::from(verdict.dry));
        self.counters.add(Count::LeaseFallbacks, u64::from(verdict.fallbacks));
        verdict
    }
}

/// The tighter of two, where there are two.
pub(super) fn tighter(
    one: Option<RateLimitStatus>,
    other: Option<RateLimitStatus>,
) -> Option<RateLimitStatus> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.tighter(other)),
        (one, other) => one.or(other),
    }
}

/// The client's address, as Envoy worked it out.
fn client_address(host: &impl RequestHost) -> Option<IpAddr> {
    let text = host.property(&["source", "address"])?;
    address::parse(core::str::from_utf8(&text).ok()?)
}
