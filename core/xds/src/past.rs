//! What was served before.

use crate::kind::{ByKind, Kind};
use crate::snapshot::{Resources, Snapshot};

/// Routes of an earlier snapshot, and what they lead to: a client that has begun with them may go
/// on with them. Nobody is told of its listeners any more.
#[derive(Debug)]
pub(crate) struct Past(ByKind<Resources>);

impl Past {
    pub(crate) fn new(snapshot: &Snapshot) -> Self {
        Self(ByKind::new(|kind| match kind {
            Kind::Listener => Resources::new(),
            Kind::Cluster | Kind::Endpoints | Kind::Routes => snapshot.of(kind).clone(),
        }))
    }

    /// The resources of a kind, by their names.
    pub(crate) const fn of(&self, kind: Kind) -> &Resources {
        self.0.get(kind)
    }
}
