//! What Envoys that were rendered with the same options are told: made when the first one asks,
//! and again when something changes, for as long as there is one.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use postern_document::Document;
use postern_feed::{PeerIdentity, share_of_one};
use postern_render::envoy::{self, Discovered, Endpoints, EnvoyOptions, NodeError, RenderError};
use postern_xds::{Kind, Resource, Snapshot, Version};
use serde_json::Value;
use tokio::sync::{Mutex as TurnMutex, watch};

use crate::message::{self, MessageError};
use crate::node::Told;
use crate::settings::Settings;
use crate::source::{DocumentSource, EndpointSource};

/// Why there is nothing to tell.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ViewError {
    /// The Envoy's fault, or that of whoever rendered its bootstrap.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The document's, or that of the Envoy's options.
    #[error("the document cannot be rendered for this Envoy: {0}")]
    Render(#[from] RenderError),
    /// Ours.
    #[error("a {kind} cannot be sent: {error}")]
    Message {
        /// Which kind of resource.
        kind: &'static str,
        /// What is wrong with it.
        error: MessageError,
    },
    /// Ours.
    #[error("what is rendered has no name, or the rendering broke off")]
    Broken,
    /// Too many kinds of Envoys at once, or too many of this peer; later there may be room.
    #[error("there are too many kinds of Envoys, or too many of this peer")]
    TooMany,
}

/// What Envoys of a kind should have, and since when.
#[derive(Debug, Clone)]
pub(crate) struct Published {
    pub(crate) snapshot: Arc<Snapshot>,
    /// When it was noticed that there is something new.
    pub(crate) since: Instant,
    /// Why there is nothing newer, where there should be.
    pub(crate) failed: Option<Arc<str>>,
}

/// What came of looking at everything anew.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Rebuilt {
    /// Kinds of Envoys that there are.
    pub(crate) views: usize,
    /// Those that go on with what they had, because there is nothing to tell them.
    pub(crate) failed: usize,
}

/// What Envoys of one kind are told.
struct View {
    published: watch::Sender<Published>,
    /// The peer whose Envoy was the first of them.
    opened_by: PeerIdentity,
}

/// All kinds of Envoys that there are.
pub(crate) struct Views {
    documents: Arc<dyn DocumentSource>,
    endpoints: Arc<dyn EndpointSource>,
    held: Mutex<BTreeMap<Told, View>>,
    /// Rendering takes memory for a moment: one at a time.
    turn: TurnMutex<()>,
    pool: Arc<Pool>,
    most: usize,
    /// How many earlier snapshots each keeps.
    earlier: usize,
}

impl Views {
    pub(crate) fn new(
        documents: Arc<dyn DocumentSource>,
        endpoints: Arc<dyn EndpointSource>,
        settings: &Settings,
    ) -> Self {
        let (held, turn, pool) = (Mutex::default(), TurnMutex::default(), Arc::default());
        let (most, earlier) = (settings.views, settings.documents.saturating_sub(1));
        Self { documents, endpoints, held, turn, pool, most, earlier }
    }

    /// What an Envoy should have that was rendered with these options, now and from now on. Which
    /// they are is its own word, so one peer may bring along half of all that there may be, as of streams.
    ///
    /// # Errors
    /// When there is nothing to tell it.
    pub(crate) async fn of(
        &self,
        peer: &PeerIdentity,
        told: &Told,
    ) -> Result<watch::Receiver<Published>, ViewError> {
        if let Some(known) = self.known(told) {
            return Ok(known);
        }
        let _turn = self.turn.lock().await;
        if let Some(known) = self.known(told) {
            return Ok(known);
        }
        self.let_go();
        if !self.has_room_for(peer) {
            return Err(ViewError::TooMany);
        }
        let snapshot = Arc::new(self.build(told.clone()).await?);
        let since = Instant::now();
        let (published, receiver) = watch::channel(Published { snapshot, since, failed: None });
        self.held().insert(told.clone(), View { published, opened_by: peer.clone() });
        Ok(receiver)
    }

    /// Looks at everything anew. What there is nothing to tell of stays as it was.
    pub(crate) async fn rebuild(&self, since: Instant) -> Rebuilt {
        let _turn = self.turn.lock().await;
        self.let_go();
        let views: Vec<(Told, watch::Sender<Published>)> =
            self.held().iter().map(|(told, view)| (told.clone(), view.published.clone())).collect();
        let mut rebuilt = Rebuilt { views: views.len(), failed: 0 };
        for (told, published) in views {
            match self.build(told).await {
                Ok(snapshot) => {
                    published.send_if_modified(|published| {
                        published.failed = None;
                        let is_new = !published.snapshot.says_the_same_as(&snapshot);
                        if is_new {
                            let snapshot = snapshot.after(&published.snapshot, self.earlier);
                            published.snapshot = Arc::new(snapshot);
                            published.since = since;
                        }
                        is_new
                    });
                }
                Err(error) => {
                    rebuilt.failed += 1;
                    let error: Arc<str> = Arc::from(error.to_string());
                    published.send_if_modified(|published| {
                        published.failed = Some(error);
                        // There is nothing to tell: only those who look are to see it.
                        false
                    });
                }
            }
        }
        self.pool.sweep();
        rebuilt
    }

    /// How many resources are in memory.
    pub(crate) fn resources(&self) -> usize {
        self.pool.held().len()
    }

    fn known(&self, told: &Told) -> Option<watch::Receiver<Published>> {
        self.held().get(told).map(|view| view.published.subscribe())
    }

    fn has_room_for(&self, peer: &PeerIdentity) -> bool {
        let held = self.held();
        let of_peer = held.values().filter(|view| view.opened_by == *peer).count();
        held.len() < self.most && of_peer < share_of_one(self.most)
    }

    /// Forgets kinds of Envoys that there are none of any more, and what they alone had.
    fn let_go(&self) {
        self.held().retain(|_, view| view.published.receiver_count() > 0);
        self.pool.sweep();
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<Told, View>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn build(&self, told: Told) -> Result<Snapshot, ViewError> {
        let document = self.documents.current();
        let endpoints = self.endpoints.of(&document);
        let pool = Arc::clone(&self.pool);
        let built = move || build(&document, &told, &endpoints, &pool);
        tokio::task::spawn_blocking(built).await.unwrap_or(Err(ViewError::Broken))
    }
}

fn build(
    document: &Document,
    told: &Told,
    endpoints: &Endpoints,
    pool: &Pool,
) -> Result<Snapshot, ViewError> {
    let options = EnvoyOptions::of_node(told)?;
    let Discovered { clusters, assignments, awaited, listeners, routes } =
        envoy::discovered(document, &options, endpoints)?;
    let mut resources = Vec::new();
    for (kind, name, rendered) in [
        (Kind::Cluster, "name", clusters),
        (Kind::Endpoints, "cluster_name", assignments),
        (Kind::Listener, "name", listeners),
        (Kind::Routes, "name", routes),
    ] {
        for message in rendered {
            let name = message.get(name).and_then(Value::as_str).ok_or(ViewError::Broken)?;
            resources.push(pool.resource(kind, name, &message)?);
        }
    }
    let awaited = awaited.iter().map(|name| Arc::from(name.as_str()));
    Ok(Snapshot::new(&document.digest, resources).awaiting(awaited))
}

/// Resources that somebody has, by what they say.
#[derive(Default)]
struct Pool(Mutex<HashMap<Version, Weak<Resource>>>);

impl Pool {
    /// The one that says this: a new one, or the one that is there.
    fn resource(
        &self,
        kind: Kind,
        name: &str,
        message: &Value,
    ) -> Result<Arc<Resource>, ViewError> {
        let url = kind.type_url();
        let text = message.to_string();
        let version = Version::of([url, name, text.as_str()].map(str::as_bytes));
        if let Some(known) = self.held().get(&version).and_then(Weak::upgrade) {
            return Ok(known);
        }
        let type_name = url.rsplit_once('/').map_or(url, |(_, name)| name);
        let body = message::encode(type_name, message)
            .map_err(|error| ViewError::Message { kind: kind.as_str(), error })?;
        let (name, body) = (Arc::from(name), Arc::from(body));
        let resource = Arc::new(Resource { kind, name, version, body });
        self.held().insert(version, Arc::downgrade(&resource));
        Ok(resource)
    }

    /// Forgets what nobody has any more.
    fn sweep(&self) {
        self.held().retain(|_, resource| resource.strong_count() > 0);
    }

    fn held(&self) -> MutexGuard<'_, HashMap<Version, Weak<Resource>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
