//! Discovery: who is told what, kept current.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use envoy_types::pb::envoy::config::core::v3::Node;
use postern_feed::{CurrentTrust, PeerIdentity, Peers};
use postern_render::envoy::{self, EnvoyOptions};
use postern_telemetry::Drain;
use postern_xds::Protocol;
use tokio::sync::watch;
use tokio::time::sleep;
use tonic::{Request, Status};

use crate::metrics::Metrics;
use crate::node::{self, NodeError, Told};
use crate::seats::{Connected, Guest, Refusal, Seat, Seats};
use crate::settings::Settings;
use crate::source::{DocumentSource, EndpointSource, changed};
use crate::view::{Published, ViewError, Views};

/// How many Envoys one line of the log names.
const NAMED: usize = 10;

/// What discovery is made of.
pub struct DiscoveryParts {
    /// The document.
    pub documents: Arc<dyn DocumentSource>,
    /// Where services are.
    pub endpoints: Arc<dyn EndpointSource>,
    /// Whom to believe.
    pub trust: CurrentTrust,
    /// What those who are believed may have.
    pub peers: Arc<dyn Peers>,
    /// How it runs.
    pub settings: Settings,
    /// Streams end when the server does.
    pub drain: Drain,
    /// What it counts.
    pub metrics: Metrics,
}

/// Tells Envoys what they should have.
pub struct Discovery {
    documents: Arc<dyn DocumentSource>,
    endpoints: Arc<dyn EndpointSource>,
    trust: CurrentTrust,
    peers: Arc<dyn Peers>,
    views: Views,
    seats: Arc<Seats>,
    pub(crate) settings: Settings,
    pub(crate) drain: Drain,
    pub(crate) metrics: Metrics,
}

/// Who asks.
pub(crate) struct Asker {
    pub(crate) peer: PeerIdentity,
    /// By what it has proved that: without what it says.
    shown: Request<()>,
}

impl Asker {
    /// Where its connection comes from, as far as that is known.
    pub(crate) fn remote(&self) -> Option<SocketAddr> {
        self.shown.remote_addr()
    }
}

/// An Envoy that has been let in.
pub(crate) struct Admitted {
    pub(crate) id: String,
    pub(crate) asker: Asker,
    pub(crate) told: Told,
    pub(crate) seat: Seat,
    pub(crate) published: watch::Receiver<Published>,
}

/// Why one has not been, or is told nothing any more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotAdmitted {
    #[error(transparent)]
    Node(#[from] NodeError),
    #[error("what this peer has shown does not prove any more who it is")]
    Disproved,
    #[error("this peer may not have what `{0}` may know")]
    NotPermitted(String),
    #[error("there are too many streams, or too many of this peer")]
    Busy,
    #[error(transparent)]
    View(#[from] ViewError),
    #[error(transparent)]
    TooMuch(#[from] postern_xds::TooMuch),
    #[error("nothing was said in time")]
    Silent,
}

impl NotAdmitted {
    pub(crate) const fn refusal(&self) -> Refusal {
        match self {
            Self::Disproved => Refusal::Unidentified,
            Self::NotPermitted(_) => Refusal::NotPermitted,
            Self::Busy | Self::View(ViewError::TooMany) => Refusal::Busy,
            Self::Node(_) | Self::TooMuch(_) | Self::Silent | Self::View(ViewError::Node(_)) => {
                Refusal::Invalid
            }
            Self::View(_) => Refusal::Unrendered,
        }
    }
}

impl From<&NotAdmitted> for Status {
    fn from(error: &NotAdmitted) -> Self {
        let text = error.to_string();
        match error.refusal() {
            Refusal::Unidentified => Self::unauthenticated(text),
            Refusal::NotPermitted => Self::permission_denied(text),
            Refusal::Busy => Self::resource_exhausted(text),
            Refusal::Invalid => Self::invalid_argument(text),
            Refusal::Unrendered => Self::failed_precondition(text),
        }
    }
}

impl Discovery {
    /// Serves as it is now; [`Discovery::keep_current`] sees to the rest.
    #[must_use]
    pub fn new(parts: DiscoveryParts) -> Self {
        let DiscoveryParts { documents, endpoints, trust, peers, settings, drain, metrics } = parts;
        let views = Views::new(Arc::clone(&documents), Arc::clone(&endpoints), &settings);
        let seats = Arc::new(Seats::new(settings.streams, metrics.clone()));
        Self { documents, endpoints, trust, peers, views, seats, settings, drain, metrics }
    }

    /// Looks at everything anew whenever something has changed, until the server ends.
    pub async fn keep_current(self: Arc<Self>) {
        let mut documents = self.documents.changes();
        let mut endpoints = self.endpoints.changes();
        let mut shutdown = std::pin::pin!(self.drain.shutdown_signal());
        loop {
            tokio::select! {
                () = &mut shutdown => return,
                () = changed(&mut documents) => {}
                () = changed(&mut endpoints) => {}
            }
            let since = Instant::now();
            sleep(self.settings.debounce).await;
            // What changes from here on is looked at once more.
            documents.mark_unchanged();
            endpoints.mark_unchanged();
            let rebuilt = self.views.rebuild(since).await;
            self.metrics.held(rebuilt.views, self.views.resources());
            self.metrics.render_failures(rebuilt.failed);
            for (error, ids) in self.seats.left_behind() {
                let some: Vec<&str> = ids.iter().take(NAMED).map(String::as_str).collect();
                let (envoys, ids) = (ids.len(), some.join(", "));
                tracing::error!(%error, envoys, ids, "Envoys go on with what they had");
            }
        }
    }

    /// Who is connected to this server, and how everybody stands.
    #[must_use]
    pub fn connected(&self) -> Vec<Connected> {
        self.seats.connected()
    }

    /// Who asks.
    pub(crate) fn identify(&self, shown: Request<()>) -> Result<Asker, Status> {
        match postern_feed::identify(&(self.trust)(), &shown) {
            Ok(peer) => Ok(Asker { peer, shown }),
            Err(problem) => {
                self.metrics.refused(Refusal::Unidentified);
                Err(Status::unauthenticated(problem.to_string()))
            }
        }
    }

    /// The word that whom to believe may be somebody else.
    pub(crate) fn documents(&self) -> watch::Receiver<()> {
        self.documents.changes()
    }

    /// Lets an Envoy in that introduces itself.
    pub(crate) async fn admit(
        &self,
        asker: Asker,
        protocol: Protocol,
        node: Option<Node>,
    ) -> Result<Admitted, NotAdmitted> {
        let node::Introduced { id, version, told } = node::read(node)?;
        let peer = asker.peer.clone();
        let workload = self.permitted(&peer, &told)?;
        let guest = Guest { id: id.clone(), peer, workload, version, protocol };
        let mut seat = self.seats.take(guest).ok_or(NotAdmitted::Busy)?;
        let published = self.views.of(&asker.peer, &told).await?;
        seat.follow(published.clone());
        Ok(Admitted { id, asker, told, seat, published })
    }

    /// Whether one that was let in would be now: a stream is to end with what it was opened by.
    pub(crate) fn still_permitted(&self, admitted: &Admitted) -> Result<(), NotAdmitted> {
        let Asker { peer, shown } = &admitted.asker;
        if postern_feed::identify(&(self.trust)(), shown).as_ref() != Ok(peer) {
            return Err(NotAdmitted::Disproved);
        }
        self.permitted(peer, &admitted.told).map(drop)
    }

    /// The workload that an Envoy guards, if the peer may have what that may know.
    fn permitted(&self, peer: &PeerIdentity, told: &Told) -> Result<String, NotAdmitted> {
        let options = EnvoyOptions::of_node(told).map_err(ViewError::from)?;
        let document = self.documents.current();
        let workload = envoy::workload(&document, &options);
        if self.peers.may_ask_for(peer, workload) {
            Ok(workload.to_owned())
        } else {
            Err(NotAdmitted::NotPermitted(workload.to_owned()))
        }
    }
}

#[cfg(test)]
mod tests;
