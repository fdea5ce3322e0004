//! The server's end of the feed: what the Envoys of a deployment must know soon.
//!
//! A [`Loader`] keeps what is revoked in memory, read from the durable store; an [`Exchange`]
//! answers from memory alone, so that a thousand Envoys which ask cost the store nothing.
//! [`FeedState`] is what they share, and what `ext_authz` asks about a token: sidecars and server
//! judge by the same set. A [`Lender`] lends slices of limits, out of the volatile store, and
//! [`Circuits`] takes reports of services into it; a [`CircuitsView`] shows there what all of them
//! say together. [`FeedService`] is the adapter to gRPC of all.
//!
//! Deliberately absent: which store is behind [`RevocationSource`], who says that there is news
//! ([`WakeUps`]), where keys come from, which workloads there are ([`Peers`]), which limits are
//! leased ([`LeasedLimits`]), and who calls which services ([`GuardedServices`]). For the store's own ports there are [`StoredRevocations`],
//! [`BusWakeUps`], and [`Retention`], which deletes what has expired.

mod adapter;
mod admission;
mod answer;
mod ask;
mod borrowing;
mod buckets;
mod circuits;
mod exchange;
mod expiry;
mod freshness;
mod keys;
mod leases;
mod loader;
mod log;
mod metrics;
mod news;
mod pace;
mod peer;
mod quota;
mod reader;
mod recent;
mod retention;
mod settings;
mod source;
mod state;
mod stored;
#[cfg(test)]
mod testing;
mod trust;
mod waiting;

pub use adapter::{FeedService, Served, identify, peer_of};
pub use admission::share_of_one;
pub use answer::{Answer, Content, Refusal};
pub use ask::{Ask, AskError, Progress};
pub use borrowing::{BorrowError, BorrowRefusal, Borrowing, Lease, LeasedKey, Lent};
pub use circuits::metrics::CircuitMetrics;
pub use circuits::reports::{
    Heard, ReportError, ReportRefusal, Reports, ServiceReport, ToldCircuit,
};
pub use circuits::view::{CircuitsView, ToldCircuits, ViewParts};
pub use circuits::{Circuits, CircuitsParts, GuardedServices};
pub use exchange::{Exchange, ExchangeParts};
pub use keys::{KeySets, KeysWanted, PublishedKeys, TooLong};
pub use leases::{Leased, LeasedLimits, Lender, LenderParts};
pub use loader::Loader;
pub use log::{Applied, Delta, Piece, RevocationLog, Since};
pub use metrics::Metrics;
pub use pace::Jitter;
pub use peer::{ListedPeers, PeerIdentity, Peers, Workloads};
pub use postern_store::BoxFuture;
pub use retention::Retention;
pub use settings::{Answers, Bounds, Quota, Quotas, Reading, Settings, SettingsError};
pub use source::{Entry, NothingListed, RevocationSource};
pub use source::{NoWakeUps, SourceError, SourceIdentity, SourceRecord, WakeUp, WakeUps};
pub use state::FeedState;
pub use stored::{BusWakeUps, StoredRevocations};
pub use trust::{Arrival, CurrentTrust, FeedCredential, ForwardedClientCert, Trust, Unidentified};

/// Reads both clocks.
pub type Clock = std::sync::Arc<dyn Fn() -> postern_telemetry::Moment + Send + Sync>;
