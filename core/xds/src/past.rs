//! What was served before.

use crate::kind::{ByKind, Kind};
use crate::resource::Version;
use crate::snapshot::{Resources, Snapshot};

/// Routes of an earlier snapshot, and what they lead to: a client that has begun with them may go
/// on with them. Nobody is told of its listeners any more.
#[derive(Debug)]
pub(crate) struct Past {
    resources: ByKind<Resources>,
    leads: [Version; 2],
}

impl Past {
    pub(crate) fn new(snapshot: &Snapshot) -> Self {
        let resources = ByKind::new(|kind| match kind {
            Kind::Listener => Resources::new(),
            Kind::Cluster | Kind::Endpoints | Kind::Routes => snapshot.of(kind).clone(),
        });
        Self { resources, leads: snapshot.leads() }
    }

    /// What tells where it leads, as [`Snapshot::leads`] has it.
    pub(crate) const fn leads(&self) -> [Version; 2] {
        self.leads
    }

    /// The resources of a kind, by their names.
    pub(crate) const fn of(&self, kind: Kind) -> &Resources {
        self.resources.get(kind)
    }
}
