//! Discovery without a network: what a client of xDS is told, in which order, and what becomes of
//! its answers.
//!
//! A [`Snapshot`] is everything that clients of one kind should have. A [`Stream`] is one client's
//! conversation, in either form of the protocol (`Protocol::Delta`,
//! `Protocol::StateOfTheWorld`): it takes what the client says ([`Ask`]) and new snapshots, and
//! says what to send next ([`Answer`]) and when to look again.
//!
//! # Order
//!
//! What is named comes before who names it, and goes after: clusters, endpoints, listeners, routes,
//! and last the end of clusters that no route leads to any more. Envoy acknowledges clusters only
//! when they are warm, so listeners and routes wait for that, for [`Settings::warm_up`] at most;
//! clusters end [`Settings::linger`] after the last route that led to them, because requests are
//! still on their way through the filters. A cluster that changes needs its endpoints once more,
//! or Envoy would wait for them.
//!
//! # What was before
//!
//! A client that gets another listener goes on with the one before until its connections have
//! ended, and asks for the routes of both. Where routes have another name whenever they say
//! something else, so that neither meets the other's, a snapshot also serves those of the
//! snapshots before it ([`Snapshot::after`]): to streams that ask for them, with the clusters that
//! they lead to, for as long as they ask.
//!
//! # Refusals
//!
//! What a client refuses (NACK) is not sent to it again before something in the refused answer has
//! changed. A client that has listeners and routes keeps them until then, instead of getting those
//! that count on what it has refused; one that has none gets what there is.
//!
//! Deliberately absent: clocks, sockets and protobuf. A resource's body is bytes, time is how long
//! it is since some fixed moment.

mod answer;
mod ask;
mod gate;
mod kind;
mod leaving;
mod part;
mod past;
mod report;
mod resource;
mod settings;
mod snapshot;
mod stream;

pub use answer::Answer;
pub use ask::{Ask, Heard, Names, TooMuch};
pub use kind::{ByKind, Kind};
pub use report::{Nack, PartReport, Report};
pub use resource::{Resource, Version};
pub use settings::{Bounds, Settings};
pub use snapshot::Snapshot;
pub use stream::{Protocol, Stream};

#[cfg(test)]
mod tests;
