//! What has to come before what.

use std::time::Duration;

use crate::kind::{ByKind, Kind};
use crate::part::Part;
use crate::settings::Settings;

/// Whether something may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    /// Now.
    Open,
    /// Then, if nothing happens before.
    Until(Duration),
    /// Not before something else happens.
    Shut,
}

impl Gate {
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Shut, _) | (_, Self::Shut) => Self::Shut,
            (Self::Open, gate) | (gate, Self::Open) => gate,
            (Self::Until(one), Self::Until(other)) => Self::Until(one.max(other)),
        }
    }
}

/// All that one client has and wants.
pub(crate) type Parts = ByKind<Part>;

/// Whether what is new of a kind may go out, and its end.
pub(crate) fn of(kind: Kind, parts: &Parts, settings: &Settings, now: Duration) -> Gate {
    let after = |first: Kind| after(parts.get(first), parts.get(kind).keeps(), settings, now);
    match kind {
        // Endpoints are of clusters that the client has. Their end does it no harm.
        Kind::Cluster | Kind::Endpoints => Gate::Open,
        Kind::Listener => after(Kind::Cluster),
        Kind::Routes => after(Kind::Cluster).and(after(Kind::Listener)),
    }
}

/// Whether clusters that are not there any more may go: nothing that is left of listeners and
/// routes leads to them, and whatever was on its way there has arrived.
pub(crate) fn of_leaving(
    since: Duration,
    parts: &Parts,
    settings: &Settings,
    now: Duration,
) -> Gate {
    let refusing = [Kind::Cluster, Kind::Listener, Kind::Routes];
    if refusing.into_iter().any(|kind| parts.get(kind).is_refusing()) {
        return Gate::Shut;
    }
    let (listener, routes) = (parts.get(Kind::Listener), parts.get(Kind::Routes));
    let moved_at = since.max(listener.moved_at).max(routes.moved_at);
    let quiet = until(moved_at.saturating_add(settings.linger), now);
    taken(listener, settings, now).and(taken(routes, settings, now)).and(quiet)
}

/// What is new waits until the client has taken what comes `first`. Where it has refused that and
/// has something to keep, it keeps what it has.
fn after(first: &Part, keeps: bool, settings: &Settings, now: Duration) -> Gate {
    if first.is_refusing() && keeps {
        return Gate::Shut;
    }
    match taken(first, settings, now) {
        // It is not to be had, and nothing would be kept by waiting for it.
        Gate::Shut if !keeps => Gate::Open,
        gate => gate,
    }
}

/// Whether the client has taken what there is of a kind, as far as it has asked for it.
fn taken(part: &Part, settings: &Settings, now: Duration) -> Gate {
    match part.waiting.front() {
        _ if !part.asked => Gate::Open,
        Some(waiting) => until(waiting.since.saturating_add(settings.warm_up), now),
        None if part.has_to_send() => Gate::Shut,
        None => Gate::Open,
    }
}

fn until(then: Duration, now: Duration) -> Gate {
    if now >= then { Gate::Open } else { Gate::Until(then) }
}
