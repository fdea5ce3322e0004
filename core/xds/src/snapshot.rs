//! Everything that clients of one kind should have.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::kind::{ByKind, Kind};
use crate::past::Past;
use crate::resource::{Resource, Version};

/// Resources of a kind, by their names.
pub(crate) type Resources = BTreeMap<Arc<str>, Arc<Resource>>;

/// Resources that belong together.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    label: Arc<str>,
    resources: ByKind<Resources>,
    versions: ByKind<Version>,
    awaited: BTreeSet<Arc<str>>,
    /// Those before it, the newest first.
    before: Vec<Arc<Past>>,
}

impl Snapshot {
    /// Of these resources; of two of one kind and name the later one counts. `label` is for
    /// people: what they were made from.
    #[must_use]
    pub fn new(label: &str, resources: impl IntoIterator<Item = Arc<Resource>>) -> Self {
        let mut by_kind: ByKind<Resources> = ByKind::default();
        for resource in resources {
            let of_kind = by_kind.get_mut(resource.kind);
            of_kind.insert(Arc::clone(&resource.name), resource);
        }
        let versions = ByKind::new(|kind| version(by_kind.get(kind)));
        let label = Arc::from(label);
        Self { label, resources: by_kind, versions, ..Self::default() }
    }

    /// The same, with endpoints of these names to come: nobody knows them yet. Clients that ask for
    /// them wait, and those that have some keep them.
    #[must_use]
    pub fn awaiting(mut self, endpoints: impl IntoIterator<Item = Arc<str>>) -> Self {
        self.awaited = endpoints.into_iter().collect();
        self
    }

    /// The same, in an earlier one's place: clients that have begun with the routes of that one,
    /// or of those before it, may go on with them. Of `most` at most, which all lead elsewhere: not
    /// of each that has other endpoints, and of what goes to and fro once.
    #[must_use]
    pub fn after(mut self, earlier: &Self, most: usize) -> Self {
        let mut known = vec![self.leads()];
        let newest = (earlier.leads() != self.leads()).then(|| Arc::new(Past::new(earlier)));
        let all = newest.into_iter().chain(earlier.before.iter().cloned());
        let others = all.filter(|past| {
            let is_other = !known.contains(&past.leads());
            known.push(past.leads());
            is_other
        });
        self.before = others.take(most).collect();
        self
    }

    /// What tells where it leads.
    pub(crate) const fn leads(&self) -> [Version; 2] {
        [self.version(Kind::Cluster), self.version(Kind::Routes)]
    }

    /// What it was made from.
    #[must_use]
    pub fn label(&self) -> &Arc<str> {
        &self.label
    }

    /// The resources of a kind, by their names.
    #[must_use]
    pub const fn of(&self, kind: Kind) -> &BTreeMap<Arc<str>, Arc<Resource>> {
        self.resources.get(kind)
    }

    /// What all resources of a kind say together.
    #[must_use]
    pub const fn version(&self, kind: Kind) -> Version {
        *self.versions.get(kind)
    }

    /// Whether it says what another one says.
    #[must_use]
    pub fn says_the_same_as(&self, other: &Self) -> bool {
        self.versions == other.versions && self.awaited == other.awaited
    }

    pub(crate) const fn awaited(&self) -> &BTreeSet<Arc<str>> {
        &self.awaited
    }

    pub(crate) fn before(&self) -> &[Arc<Past>] {
        &self.before
    }

    /// All resources.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.resources.iter().flat_map(|(_, of_kind)| of_kind.values())
    }
}

fn version(resources: &Resources) -> Version {
    let parts: Vec<[u8; 16]> =
        resources.values().map(|resource| resource.version.to_bytes()).collect();
    let names = resources.keys().map(|name| name.as_bytes());
    Version::of(names.chain(parts.iter().map(<[u8; 16]>::as_slice)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::resource;

    #[test]
    fn a_kinds_version_is_that_of_all_its_resources() {
        let of = |resources: &[(&str, &str)]| {
            let resources = resources.iter();
            let resources =
                resources.map(|(name, says)| Arc::new(resource(Kind::Cluster, name, says)));
            Snapshot::new("d", resources.collect::<Vec<_>>())
        };
        let one = of(&[("a", "1"), ("b", "2")]);
        assert!(one.says_the_same_as(&of(&[("b", "2"), ("a", "1")])));
        assert!(one.says_the_same_as(&of(&[("a", "0"), ("a", "1"), ("b", "2")])), "later counts");
        for other in [&[("a", "1")][..], &[("a", "1"), ("b", "3")], &[("a", "1"), ("c", "2")]] {
            assert!(!one.says_the_same_as(&of(other)), "{other:?}");
            assert_eq!(of(other).version(Kind::Routes), one.version(Kind::Routes));
        }
    }
}
