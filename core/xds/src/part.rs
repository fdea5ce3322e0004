//! What one client has of one kind, wants of it, and has refused.

mod wishes;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::ask::Heard;
use crate::report::{Nack, PartReport, bounded};
use crate::resource::{Resource, Version};
use crate::settings::Bounds;
use crate::snapshot::Resources;

/// Stands for all names.
pub(crate) const EVERY: &str = "*";

/// What a client should have of a kind.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'s> {
    /// What there is.
    pub(crate) there: &'s Resources,
    /// What there is no more, and the client keeps for a while. None of it is there.
    pub(crate) leaving: &'s Resources,
    /// What there will be; none where all is known that there is.
    pub(crate) awaited: Option<&'s BTreeSet<Arc<str>>>,
}

impl<'s> Wanted<'s> {
    pub(crate) fn get(self, name: &str) -> Option<&'s Arc<Resource>> {
        self.there.get(name).or_else(|| self.leaving.get(name))
    }

    pub(crate) fn contains(self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// How many there are, and are to come.
    fn count(self) -> usize {
        self.there.len() + self.leaving.len() + self.awaited.map_or(0, BTreeSet::len)
    }

    /// Whether there is nothing of this name, and nothing to come.
    fn has_none(self, name: &str) -> bool {
        !self.contains(name) && !self.awaited.is_some_and(|awaited| awaited.contains(name))
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = &'s Arc<Resource>> {
        self.there.values().chain(self.leaving.values())
    }
}

/// What a client has under a name.
#[derive(Debug, Clone)]
enum Had {
    /// What it was sent.
    Sent(Arc<Resource>),
    /// What it had when it came, as it says; or nobody can tell.
    Told(Version),
    /// It knows that there is nothing.
    Nothing,
}

impl Had {
    fn version(&self) -> Option<Version> {
        match self {
            Self::Sent(resource) => Some(resource.version),
            Self::Told(version) => Some(*version),
            Self::Nothing => None,
        }
    }

    /// It has something that is none of ours.
    fn something() -> Self {
        Self::Told(Version::default())
    }
}

/// An answer that the client has not judged yet.
#[derive(Debug)]
pub(crate) struct Waiting {
    nonce: u64,
    pub(crate) since: Duration,
    sent: BTreeMap<Arc<str>, Version>,
}

/// What is to be done, until something changes.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// To be sent.
    pub(crate) send: BTreeSet<Arc<str>>,
    /// The client has it, and should not.
    pub(crate) gone: BTreeSet<Arc<str>>,
    /// The client asks for it, has nothing, and there is nothing.
    pub(crate) unknown: BTreeSet<Arc<str>>,
}

#[derive(Debug, Default)]
pub(crate) struct Part {
    pub(crate) asked: bool,
    pub(crate) wildcard: bool,
    pub(crate) names: BTreeSet<Arc<str>>,
    /// The client has named more than is noted.
    pub(crate) passed_over: bool,
    has: BTreeMap<Arc<str>, Had>,
    /// What the client has taken last, of what it has; none where it had that when it came. Kept
    /// where [`Part::remembering`] says so.
    taken: BTreeMap<Arc<str>, Option<Arc<Resource>>>,
    remembers: bool,
    /// To be sent although the client may have it.
    again: BTreeSet<Arc<str>>,
    /// An answer is due, though it may be empty.
    pub(crate) owes: bool,
    pub(crate) last_nonce: Option<u64>,
    pub(crate) waiting: VecDeque<Waiting>,
    /// What was refused, by the answers that held it: which of an answer's resources the client
    /// could not take it does not say.
    refused: Vec<BTreeMap<Arc<str>, Version>>,
    nack: Option<Nack>,
    /// When something was sent or judged last.
    pub(crate) moved_at: Duration,
    plan: Option<Plan>,
}

impl Part {
    /// One that knows what the client has taken.
    pub(crate) fn remembering(remembers: bool) -> Self {
        Self { remembers, ..Self::default() }
    }

    /// What is different now is looked up anew.
    pub(crate) fn look_again(&mut self) {
        self.plan = None;
    }

    /// Looks up what is to be done, if something may have changed.
    pub(crate) fn make_plan(&mut self, wanted: Wanted<'_>) {
        if self.plan.is_some() {
            return;
        }
        self.forget_refusals(wanted);
        self.again.retain(|name| !wanted.has_none(name));
        let mut plan = Plan::default();
        let lacked = |resource: &&Arc<Resource>| self.lacks(resource);
        if self.wildcard {
            let lacked = wanted.iter().filter(lacked);
            plan.send.extend(lacked.map(|resource| Arc::clone(&resource.name)));
        } else {
            let named = self.names.iter().filter_map(|name| wanted.get(name));
            let lacked = named.filter(lacked);
            plan.send.extend(lacked.map(|resource| Arc::clone(&resource.name)));
        }
        let held = self.has.iter().filter(|(_, had)| had.version().is_some());
        let gone = held.map(|(name, _)| name).filter(|name| wanted.has_none(name));
        plan.gone.extend(gone.cloned());
        let absent = self.names.iter().filter(|name| wanted.has_none(name));
        plan.unknown.extend(absent.filter(|name| !self.has.contains_key(*name)).cloned());
        self.plan = Some(plan);
    }

    pub(crate) const fn plan(&self) -> Option<&Plan> {
        self.plan.as_ref()
    }

    pub(crate) fn plan_mut(&mut self) -> &mut Plan {
        self.plan.get_or_insert_default()
    }

    /// Whether there is something to send, as far as the plan goes.
    pub(crate) fn has_to_send(&self) -> bool {
        self.plan().is_none_or(|plan| !plan.send.is_empty())
    }

    fn lacks(&self, resource: &Resource) -> bool {
        self.again.contains(&resource.name)
            || self.has.get(&resource.name).and_then(Had::version) != Some(resource.version)
    }

    /// Of what was refused together, one being different now is reason to try all of it again.
    fn forget_refusals(&mut self, wanted: Wanted<'_>) {
        let has = &mut self.has;
        self.refused.retain(|refused| {
            let stands = |(name, version): (&Arc<str>, &Version)| {
                wanted.get(name).is_some_and(|resource| resource.version == *version)
            };
            let all_stand = refused.iter().all(stands);
            if !all_stand {
                nobody_can_tell(has, refused.keys());
            }
            all_stand
        });
    }

    /// Whether the client has refused something that it should have now.
    pub(crate) const fn is_refusing(&self) -> bool {
        !self.refused.is_empty()
    }

    /// What the client has under a name.
    pub(crate) fn version(&self, name: &str) -> Option<Version> {
        self.has.get(name).and_then(Had::version)
    }

    /// Whether the client has refused something under a name that it should have now.
    pub(crate) fn refuses(&self, name: &str) -> bool {
        self.refused.iter().any(|refused| refused.contains_key(name))
    }

    /// Whether the client has anything to go on with.
    pub(crate) fn keeps(&self) -> bool {
        self.has.values().any(|had| had.version().is_some())
    }

    /// What the client has taken, and goes on with.
    pub(crate) const fn taken(&self) -> &BTreeMap<Arc<str>, Option<Arc<Resource>>> {
        &self.taken
    }

    /// An answer goes out.
    pub(crate) fn sent(
        &mut self,
        nonce: u64,
        resources: &[Arc<Resource>],
        removed: &[Arc<str>],
        now: Duration,
    ) {
        let mut sent = BTreeMap::new();
        for resource in resources {
            let name = &resource.name;
            self.again.remove(name);
            self.no_longer_refused(name);
            self.has.insert(Arc::clone(name), Had::Sent(Arc::clone(resource)));
            sent.insert(Arc::clone(name), resource.version);
        }
        for name in removed {
            self.forget(name);
            if self.names.contains(name) {
                self.has.insert(Arc::clone(name), Had::Nothing);
            }
        }
        self.owes = false;
        self.last_nonce = Some(nonce);
        self.moved_at = now;
        self.waiting.push_back(Waiting { nonce, since: now, sent });
    }

    /// The client has it no more.
    pub(crate) fn forget(&mut self, name: &str) {
        self.has.remove(name);
        self.taken.remove(name);
        self.no_longer_refused(name);
    }

    fn no_longer_refused(&mut self, name: &str) {
        for refused in &mut self.refused {
            refused.remove(name);
        }
        self.refused.retain(|refused| !refused.is_empty());
    }

    /// The client judges an answer; with it all before it have been taken, where `in_order` says
    /// so.
    pub(crate) fn judged(
        &mut self,
        nonce: u64,
        error: Option<&str>,
        in_order: bool,
        bounds: &Bounds,
        now: Duration,
    ) -> Heard {
        let Some(place) = self.waiting.iter().position(|waiting| waiting.nonce == nonce) else {
            return Heard::Stale;
        };
        let before = if in_order { place } else { 0 };
        for waiting in self.waiting.drain(..before).collect::<Vec<_>>() {
            self.has_taken(waiting.sent);
        }
        let Some(judged) = self.waiting.remove(place.saturating_sub(before)) else {
            return Heard::Stale;
        };
        self.moved_at = now;
        match error {
            None => {
                self.has_taken(judged.sent);
                Heard::Taken
            }
            Some(error) => {
                self.has_refused(judged.sent, bounded(error, bounds.error_bytes), now);
                Heard::Refused
            }
        }
    }

    fn has_taken(&mut self, sent: BTreeMap<Arc<str>, Version>) {
        if !self.remembers {
            return;
        }
        for (name, version) in sent {
            // What it was sent meanwhile it has not taken yet.
            if let Some(Had::Sent(resource)) = self.has.get(&name)
                && resource.version == version
            {
                self.taken.insert(name, Some(Arc::clone(resource)));
            }
        }
    }

    fn has_refused(&mut self, sent: BTreeMap<Arc<str>, Version>, error: String, now: Duration) {
        let (resources, example) = (sent.len(), sent.keys().next().cloned());
        self.nack = Some(Nack { at: now, error, resources, example });
        let mut refused = sent;
        refused.retain(|name, version| {
            self.has.get(name).and_then(Had::version).is_some_and(|had| had == *version)
        });
        if refused.len() < resources {
            // What has been replaced since may be what the client could not take.
            nobody_can_tell(&mut self.has, refused.keys());
        } else if !refused.is_empty() {
            self.refused.push(refused);
        }
        self.look_again();
    }

    pub(crate) fn report(&self, version: Version) -> PartReport {
        let is_refusing = self.is_refusing();
        let is_idle = !self.has_to_send() && self.waiting.is_empty() && !self.owes;
        PartReport {
            is_asked: self.asked,
            version,
            is_current: !self.asked || (is_idle && !is_refusing),
            is_refusing,
            resources: self.has.values().filter(|had| had.version().is_some()).count(),
            waiting: self.waiting.len(),
            nack: self.nack.clone(),
        }
    }
}

/// Which of these the client has, and which an older form of them, it has not said.
fn nobody_can_tell<'n>(
    has: &mut BTreeMap<Arc<str>, Had>,
    names: impl Iterator<Item = &'n Arc<str>>,
) {
    for name in names {
        if let Some(had) = has.get_mut(name) {
            *had = Had::something();
        }
    }
}
