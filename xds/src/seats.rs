//! Who is connected, and how everybody stands.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use postern_feed::{PeerIdentity, share_of_one};
use postern_request::UnixMillis;
use postern_telemetry::Moment;
use postern_xds::{ByKind, Nack, Protocol, Report, Version};
use tokio::sync::watch;

use crate::metrics::Metrics;
use crate::view::Published;

/// Why an Envoy is told nothing, or no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Nobody knows who it is.
    Unidentified,
    /// It may not have what the workload may know.
    NotPermitted,
    /// There are too many, or too many of one peer.
    Busy,
    /// What it says makes no sense.
    Invalid,
    /// There is nothing to tell it.
    Unrendered,
}

impl Refusal {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Unidentified, Self::NotPermitted, Self::Busy, Self::Invalid, Self::Unrendered];

    /// As it stands in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unidentified => "unidentified",
            Self::NotPermitted => "not_permitted",
            Self::Busy => "busy",
            Self::Invalid => "invalid",
            Self::Unrendered => "unrendered",
        }
    }
}

/// An Envoy that is connected, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connected {
    /// Its name for itself.
    pub id: String,
    /// Who it has proved to be.
    pub peer: PeerIdentity,
    /// The workload that it guards.
    pub workload: String,
    /// Its version; empty where it does not say.
    pub version: String,
    /// The form in which it asks.
    pub protocol: Protocol,
    /// Since when.
    pub since: UnixMillis,
    /// The digest of the document that it should have.
    pub document: String,
    /// Whether it has taken everything, and there is nothing newer that it cannot be told.
    pub is_current: bool,
    /// Why it cannot be told what is newer.
    pub render_error: Option<Arc<str>>,
    /// How it stands with each kind.
    pub kinds: ByKind<ConnectedKind>,
}

/// How an Envoy stands with one kind of resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectedKind {
    /// What it should have.
    pub version: Version,
    /// Whether it has taken that.
    pub is_current: bool,
    /// Whether it has refused something of that.
    pub is_refusing: bool,
    /// How many resources it has.
    pub resources: usize,
    /// What it has refused last, and when.
    pub nack: Option<(UnixMillis, Nack)>,
}

/// Everybody who is connected.
pub(crate) struct Seats {
    most: usize,
    metrics: Metrics,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    last: u64,
    by_number: BTreeMap<u64, Sitting>,
}

/// Who it is.
#[derive(Debug, Clone)]
pub(crate) struct Guest {
    pub(crate) id: String,
    pub(crate) peer: PeerIdentity,
    pub(crate) workload: String,
    pub(crate) version: String,
    pub(crate) protocol: Protocol,
}

struct Sitting {
    guest: Guest,
    since: UnixMillis,
    /// What it is told; none before it was let in.
    published: Option<watch::Receiver<Published>>,
    report: Option<Report>,
}

impl Seats {
    pub(crate) fn new(most: usize, metrics: Metrics) -> Self {
        Self { most, metrics, taken: Mutex::default() }
    }

    /// A seat, if there is one left and the peer does not have its share already.
    pub(crate) fn take(self: &Arc<Self>, guest: Guest) -> Option<Seat> {
        let mut taken = self.taken();
        let of_peer = taken.by_number.values().filter(|other| other.guest.peer == guest.peer);
        if taken.by_number.len() >= self.most || of_peer.count() >= share_of_one(self.most) {
            return None;
        }
        taken.last = taken.last.saturating_add(1);
        let number = taken.last;
        let protocol = guest.protocol;
        let sitting = Sitting { guest, since: Moment::now().wall, published: None, report: None };
        taken.by_number.insert(number, sitting);
        drop(taken);
        self.metrics.stream_opened(protocol);
        Some(Seat { seats: Arc::clone(self), number, protocol, is_refusing: false })
    }

    /// Who is connected, and how everybody stands: in the order of arrival.
    pub(crate) fn connected(&self) -> Vec<Connected> {
        let taken = self.taken();
        taken.by_number.values().filter_map(Sitting::told).collect()
    }

    /// Who cannot be told what is newer, by the reason.
    pub(crate) fn left_behind(&self) -> BTreeMap<Arc<str>, Vec<String>> {
        let mut left: BTreeMap<Arc<str>, Vec<String>> = BTreeMap::new();
        for sitting in self.taken().by_number.values() {
            if let Some(error) = sitting.render_error() {
                left.entry(error).or_default().push(sitting.guest.id.clone());
            }
        }
        left
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sitting {
    fn render_error(&self) -> Option<Arc<str>> {
        self.published.as_ref().and_then(|published| published.borrow().failed.clone())
    }

    /// None before the first word.
    fn told(&self) -> Option<Connected> {
        let Self { guest, since, report, .. } = self;
        let report = report.as_ref()?;
        let render_error = self.render_error();
        let after = |elapsed: Duration| {
            let elapsed = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
            UnixMillis(since.0.saturating_add(elapsed))
        };
        let kinds = ByKind::new(|kind| {
            let part = report.parts.get(kind);
            ConnectedKind {
                version: part.version,
                is_current: part.is_current,
                is_refusing: part.is_refusing,
                resources: part.resources,
                nack: part.nack.as_ref().map(|nack| (after(nack.at), nack.clone())),
            }
        });
        Some(Connected {
            id: guest.id.clone(),
            peer: guest.peer.clone(),
            workload: guest.workload.clone(),
            version: guest.version.clone(),
            protocol: guest.protocol,
            since: *since,
            document: report.label.to_string(),
            is_current: report.is_current() && render_error.is_none(),
            render_error,
            kinds,
        })
    }
}

/// Somebody is connected, for as long as this lives.
pub(crate) struct Seat {
    seats: Arc<Seats>,
    number: u64,
    protocol: Protocol,
    is_refusing: bool,
}

impl Seat {
    /// What it is told from now on.
    pub(crate) fn follow(&mut self, published: watch::Receiver<Published>) {
        if let Some(sitting) = self.seats.taken().by_number.get_mut(&self.number) {
            sitting.published = Some(published);
        }
    }

    /// How it stands now.
    pub(crate) fn report(&mut self, report: Report) {
        let is_refusing = report.is_refusing();
        if is_refusing != self.is_refusing {
            self.is_refusing = is_refusing;
            self.seats.metrics.refusing(is_refusing);
        }
        if let Some(sitting) = self.seats.taken().by_number.get_mut(&self.number) {
            sitting.report = Some(report);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.taken().by_number.remove(&self.number);
        self.seats.metrics.stream_closed(self.protocol);
        if self.is_refusing {
            self.seats.metrics.refusing(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn guest(peer: &str) -> Guest {
        Guest {
            id: "edge-1".to_owned(),
            peer: PeerIdentity::Credential(peer.to_owned()),
            workload: "edge".to_owned(),
            version: String::new(),
            protocol: Protocol::Delta,
        }
    }

    #[test]
    fn one_peer_has_half_of_the_seats() {
        let seats = Arc::new(Seats::new(4, testing::metrics()));
        let first = [seats.take(guest("a")), seats.take(guest("a"))];
        assert!(first.iter().all(Option::is_some));
        assert!(seats.take(guest("a")).is_none());
        let second = [seats.take(guest("b")), seats.take(guest("b"))];
        assert!(second.iter().all(Option::is_some));
        assert!(seats.take(guest("c")).is_none(), "all are taken");
        drop(first);
        assert!(seats.take(guest("c")).is_some());
    }

    #[test]
    fn who_has_said_nothing_is_not_told_of() {
        let seats = Arc::new(Seats::new(4, testing::metrics()));
        let mut seat = seats.take(guest("a")).unwrap();
        assert!(seats.connected().is_empty());
        let target = Arc::default();
        let stream =
            postern_xds::Stream::new(Protocol::Delta, postern_xds::Settings::default(), target);
        seat.report(stream.report());
        let connected = seats.connected();
        assert_eq!(connected.len(), 1);
        assert_eq!((connected[0].id.as_str(), connected[0].is_current), ("edge-1", true));
        drop(seat);
        assert!(seats.connected().is_empty());
    }
}
