//! What is not there any more, and a client still has or asks for.

use std::sync::Arc;

use crate::gate::Parts;
use crate::kind::{ByKind, Kind};
use crate::part::Part;
use crate::past::Past;
use crate::resource::Resource;
use crate::snapshot::{Resources, Snapshot};

/// What one client keeps although it is not there any more: for a while, or for as long as it asks
/// for routes that lead to it.
#[derive(Debug, Default)]
pub(crate) struct Leaving {
    /// None of it is there.
    resources: ByKind<Resources>,
    /// Earlier snapshots whose routes the client asks for.
    held: Vec<Arc<Past>>,
}

impl Leaving {
    /// The resources of a kind, by their names.
    pub(crate) const fn of(&self, kind: Kind) -> &Resources {
        self.resources.get(kind)
    }

    /// Another snapshot takes the place of one. Clusters stay as the client has taken them, with
    /// the endpoints of those and of clusters that are elsewhere now; routes that it asks for stay.
    pub(crate) fn move_on(&mut self, from: &Snapshot, to: &Snapshot, parts: &Parts) {
        let taken = parts.get(Kind::Cluster).taken();
        let clusters: Resources = taken
            .iter()
            .filter(|(name, _)| !to.of(Kind::Cluster).contains_key(*name))
            .filter_map(|(name, taken)| Some((Arc::clone(name), Arc::clone(taken.as_ref()?))))
            .collect();
        let endpoints = self.left(Kind::Endpoints, from, to, |name| taken.contains_key(name));
        let asked = &parts.get(Kind::Routes).names;
        let routes = self.left(Kind::Routes, from, to, |name| asked.contains(name));
        *self.resources.get_mut(Kind::Cluster) = clusters;
        *self.resources.get_mut(Kind::Endpoints) = endpoints;
        *self.resources.get_mut(Kind::Routes) = routes;
        self.held.clear();
    }

    /// What is needed of what was there, or was leaving, and is not there any more.
    fn left(
        &self,
        kind: Kind,
        from: &Snapshot,
        to: &Snapshot,
        is_needed: impl Fn(&Arc<str>) -> bool,
    ) -> Resources {
        let before = from.of(kind).iter().chain(self.of(kind));
        let left = before.filter(|(name, _)| !to.of(kind).contains_key(*name) && is_needed(name));
        left.map(|(name, resource)| (Arc::clone(name), Arc::clone(resource))).collect()
    }

    /// Looks up whose routes the client asks for: these stay or come back, with what they lead to.
    /// True where something is different from before.
    pub(crate) fn hold(&mut self, target: &Snapshot, parts: &Parts) -> bool {
        let asked = &parts.get(Kind::Routes).names;
        let there = target.of(Kind::Routes);
        let is_asked = |past: &&Arc<Past>| {
            let mut names = past.of(Kind::Routes).keys();
            names.any(|name| asked.contains(name) && !there.contains_key(name))
        };
        let held: Vec<Arc<Past>> = target.before().iter().filter(is_asked).cloned().collect();
        let drops = self.drop_refused(parts.get(Kind::Cluster));
        let mut pairs = held.iter().zip(&self.held);
        if held.len() == self.held.len() && pairs.all(|(one, other)| Arc::ptr_eq(one, other)) {
            return drops;
        }
        for past in &held {
            self.keep(past, target, parts.get(Kind::Cluster));
        }
        self.held = held;
        true
    }

    /// What nobody knows to have been taken in another form, the client does without.
    fn drop_refused(&mut self, clusters: &Part) -> bool {
        let leaving = self.resources.get_mut(Kind::Cluster);
        let before = leaving.len();
        let is_untaken = |name: &str| matches!(clusters.taken().get(name), Some(None));
        leaving.retain(|name, _| !(clusters.refuses(name) && is_untaken(name)));
        leaving.len() < before
    }

    /// What routes lead to that the client asks for. Of clusters those that it has: one that it
    /// has refused would hold up all that is new.
    fn keep(&mut self, past: &Past, target: &Snapshot, clusters: &Part) {
        for kind in Kind::ALL {
            for (name, resource) in past.of(kind) {
                if is_there(target, kind, name) || self.of(kind).contains_key(name) {
                    continue;
                }
                let kept = match kind {
                    Kind::Cluster => as_had(name, target, clusters),
                    Kind::Endpoints if !self.of(Kind::Cluster).contains_key(name) => None,
                    _ => Some(resource),
                };
                if let Some(kept) = kept {
                    let resources = self.resources.get_mut(kind);
                    resources.insert(Arc::clone(name), Arc::clone(kept));
                }
            }
        }
    }

    /// Whether there is something to which no routes lead that the client asks for.
    pub(crate) fn has_idle(&self, target: &Snapshot) -> bool {
        let is_idle = |(kind, resources): (Kind, &Resources)| {
            resources.keys().any(|name| !is_needed(&self.held, target, kind, name))
        };
        self.resources.iter().any(is_idle)
    }

    /// That is kept no longer.
    pub(crate) fn let_go(&mut self, target: &Snapshot) {
        let held = &self.held;
        for kind in Kind::ALL {
            let resources = self.resources.get_mut(kind);
            resources.retain(|name, _| is_needed(held, target, kind, name));
        }
    }
}

fn is_needed(held: &[Arc<Past>], target: &Snapshot, kind: Kind, name: &str) -> bool {
    !is_there(target, kind, name) && held.iter().any(|past| past.of(kind).contains_key(name))
}

/// Whether there is one of this name. Endpoints are their cluster's: where there is one, it says
/// whether it has any.
fn is_there(target: &Snapshot, kind: Kind, name: &str) -> bool {
    let has_cluster = || target.of(Kind::Cluster).contains_key(name);
    target.of(kind).contains_key(name) || (kind == Kind::Endpoints && has_cluster())
}

/// An earlier cluster as the client has it: as it has taken it, or in the form that it says to have.
fn as_had<'s>(name: &str, target: &'s Snapshot, clusters: &'s Part) -> Option<&'s Arc<Resource>> {
    if let Some(taken) = clusters.taken().get(name)? {
        return Some(taken);
    }
    let had = clusters.version(name).filter(|_| !clusters.refuses(name))?;
    let mut forms = target.before().iter().filter_map(|past| past.of(Kind::Cluster).get(name));
    forms.find(|form| form.version == had)
}
