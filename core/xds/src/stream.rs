//! One client's conversation.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::answer::Answer;
use crate::ask::{Ask, Heard, Names, TooMuch};
use crate::gate::{self, Gate, Parts};
use crate::kind::{ByKind, Kind};
use crate::leaving::Leaving;
use crate::part::{EVERY, Part, Wanted};
use crate::report::Report;
use crate::resource::Resource;
use crate::settings::Settings;
use crate::snapshot::Snapshot;

/// The form of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// What is different.
    Delta,
    /// What there is.
    StateOfTheWorld,
}

/// One client's conversation, from its first word to its last.
///
/// Whatever has happened (a word of the client, another snapshot, [`Stream::wake_at`] has come),
/// call [`Stream::next_answer`] until it has none.
#[derive(Debug)]
pub struct Stream {
    protocol: Protocol,
    settings: Settings,
    target: Arc<Snapshot>,
    leaving: Leaving,
    leaving_since: Option<Duration>,
    parts: Parts,
    last_nonce: u64,
    wake_at: Option<Duration>,
}

impl Stream {
    /// For a client that should have this.
    #[must_use]
    pub fn new(protocol: Protocol, settings: Settings, target: Arc<Snapshot>) -> Self {
        Self {
            protocol,
            settings,
            target,
            leaving: Leaving::default(),
            leaving_since: None,
            parts: Parts::new(|kind| Part::remembering(kind == Kind::Cluster)),
            last_nonce: 0,
            wake_at: None,
        }
    }

    /// Whether there would be something new in this that the client may have asked for when there
    /// was none, and that was not noted. It is told of it when it comes back and asks anew.
    #[must_use]
    pub fn misses(&self, next: &Snapshot) -> bool {
        Kind::ALL.into_iter().any(|kind| {
            let (part, there) = (self.parts.get(kind), self.target.of(kind));
            let is_new = |name: &Arc<str>| !there.contains_key(name) && !part.names.contains(name);
            part.passed_over && !part.wildcard && next.of(kind).keys().any(is_new)
        })
    }

    /// The client should have this from now on.
    pub fn update(&mut self, target: Arc<Snapshot>) {
        self.leaving.move_on(&self.target, &target, &self.parts);
        self.target = target;
        self.look_again();
    }

    /// What the client should have.
    #[must_use]
    pub const fn target(&self) -> &Arc<Snapshot> {
        &self.target
    }

    /// The client says something about a kind.
    ///
    /// # Errors
    /// When it wants more than one may: it is not listened to any longer.
    pub fn heard(&mut self, kind: Kind, ask: Ask, now: Duration) -> Result<Heard, TooMuch> {
        let in_order = self.protocol == Protocol::StateOfTheWorld;
        let bounds = self.settings.bounds;
        let part = self.parts.get_mut(kind);
        let last_nonce = part.last_nonce;
        let heard = match ask.nonce {
            None => Heard::Asked,
            Some(nonce) => part.judged(nonce, ask.error.as_deref(), in_order, &bounds, now),
        };
        let is_first = !std::mem::replace(&mut part.asked, true);
        let known = wanted(&self.target, &self.leaving, kind);
        match ask.names {
            Names::Change { subscribe, unsubscribe, has } => {
                for name in &unsubscribe {
                    if name == EVERY { part.want_all(false) } else { part.unsubscribe(name) }
                }
                let wants_all = is_first && kind.is_whole() && subscribe.is_empty();
                if wants_all || subscribe.iter().any(|name| name == EVERY) {
                    part.want_all(true);
                }
                for name in subscribe.iter().filter(|name| *name != EVERY) {
                    part.subscribe(name, known, &bounds)?;
                }
                if is_first {
                    part.told(has, known, &bounds)?;
                    repeat_endpoints(kind, part);
                }
            }
            // Whoever judges an older answer will judge the newer one too, and says then what it
            // wants.
            Names::All(_) if !is_first && ask.nonce != last_nonce => {}
            Names::All(names) => {
                let says_all = names.iter().any(|name| name == EVERY);
                let says_nothing = names.is_empty() && (is_first || part.wildcard);
                let wants_all = kind.is_whole() && (says_all || says_nothing);
                if wants_all != part.wildcard {
                    part.want_all(wants_all);
                }
                let named: BTreeSet<&str> =
                    names.iter().map(String::as_str).filter(|name| *name != EVERY).collect();
                let had = part.names.iter();
                let no_more: Vec<Arc<str>> =
                    had.filter(|had| !named.contains(&***had)).cloned().collect();
                for name in no_more {
                    part.unsubscribe(&name);
                }
                for name in named {
                    if !part.names.contains(name) {
                        part.subscribe(name, known, &bounds)?;
                    }
                }
            }
        }
        Ok(heard)
    }

    /// What to send next, if there is something to send now.
    pub fn next_answer(&mut self, now: Duration) -> Option<Answer> {
        self.wake_at = None;
        self.make_plans();
        let leaves = self.may_leave(now);
        if leaves {
            self.leaving.let_go(&self.target);
            self.look_again();
            self.make_plans();
        }
        Kind::ALL.into_iter().find_map(|kind| self.answer(kind, leaves, now))
    }

    /// When to ask [`Stream::next_answer`] again though nothing has happened; good as of its last
    /// answer.
    #[must_use]
    pub const fn wake_at(&self) -> Option<Duration> {
        self.wake_at
    }

    /// How it stands; good as of the last [`Stream::next_answer`].
    #[must_use]
    pub fn report(&self) -> Report {
        let label = Arc::clone(self.target.label());
        let report = |kind| self.parts.get(kind).report(self.target.version(kind));
        Report { label, parts: ByKind::new(report) }
    }

    fn look_again(&mut self) {
        for kind in Kind::ALL {
            self.parts.get_mut(kind).look_again();
        }
    }

    fn make_plans(&mut self) {
        if self.leaving.hold(&self.target, &self.parts) {
            self.look_again();
        }
        for kind in Kind::ALL {
            let wanted = wanted(&self.target, &self.leaving, kind);
            self.parts.get_mut(kind).make_plan(wanted);
        }
    }

    /// Whether clusters that are not there any more may go now.
    fn may_leave(&mut self, now: Duration) -> bool {
        let plan = self.parts.get(Kind::Cluster).plan();
        let is_gone = plan.is_some_and(|plan| !plan.gone.is_empty());
        if !is_gone && !self.leaving.has_idle(&self.target) {
            self.leaving_since = None;
            return false;
        }
        let since = *self.leaving_since.get_or_insert(now);
        self.passes(gate::of_leaving(since, &self.parts, &self.settings, now))
    }

    fn answer(&mut self, kind: Kind, leaves: bool, now: Duration) -> Option<Answer> {
        let part = self.parts.get(kind);
        if !part.asked || part.waiting.len() >= self.settings.bounds.waiting {
            return None;
        }
        let plan = part.plan()?;
        let wants_to_send = part.owes || !plan.send.is_empty();
        // Of clusters, who has never been taken is nobody's way yet.
        let may_go =
            |name: &&Arc<str>| kind != Kind::Cluster || leaves || !part.taken().contains_key(*name);
        let gone: BTreeSet<Arc<str>> = plan.gone.iter().filter(may_go).cloned().collect();
        let wants = wants_to_send || !gone.is_empty();
        let may = wants && self.passes(gate::of(kind, &self.parts, &self.settings, now));
        let gone = if may { gone } else { BTreeSet::new() };
        let draft = match self.protocol {
            Protocol::Delta => self.different(kind, may && wants_to_send, gone),
            Protocol::StateOfTheWorld if kind.is_whole() => {
                self.whole(kind, may && wants_to_send, &gone)
            }
            Protocol::StateOfTheWorld => self.named(kind, may && wants_to_send, &gone),
        };
        draft.map(|draft| self.send(kind, draft, now))
    }

    /// Whether a gate is open. Where it opens by itself, it is looked at again then.
    fn passes(&mut self, gate: Gate) -> bool {
        if let Gate::Until(until) = gate {
            self.wake_at = Some(self.wake_at.map_or(until, |soonest| soonest.min(until)));
        }
        gate == Gate::Open
    }

    /// A piece of what is different.
    fn different(&mut self, kind: Kind, may_send: bool, gone: BTreeSet<Arc<str>>) -> Option<Draft> {
        let wanted = wanted(&self.target, &self.leaving, kind);
        let bounds = self.settings.bounds;
        let part = self.parts.get_mut(kind);
        let owes = part.owes && may_send;
        let plan = part.plan_mut();
        let mut resources = Vec::new();
        let mut bytes = 0usize;
        while may_send && resources.len() < bounds.answer_resources && bytes < bounds.answer_bytes {
            let Some(name) = plan.send.pop_first() else { break };
            if let Some(resource) = wanted.get(&name) {
                bytes = bytes.saturating_add(resource.body.len());
                resources.push(Arc::clone(resource));
            }
        }
        let mut removed: Vec<Arc<str>> = std::mem::take(&mut plan.unknown).into_iter().collect();
        if plan.send.is_empty() {
            plan.gone.retain(|name| !gone.contains(name));
            removed.extend(gone);
        }
        let is_something = owes || !resources.is_empty() || !removed.is_empty();
        let new = resources.iter().map(|resource| Arc::clone(&resource.name)).collect();
        is_something.then_some(Draft { resources, removed, new })
    }

    /// Everything of a kind whose answers are complete.
    fn whole(&mut self, kind: Kind, may_send: bool, gone: &BTreeSet<Arc<str>>) -> Option<Draft> {
        if !may_send && gone.is_empty() {
            return None;
        }
        let wanted = wanted(&self.target, &self.leaving, kind);
        let part = self.parts.get_mut(kind);
        let plan = std::mem::take(part.plan_mut());
        for name in &plan.gone {
            part.forget(name);
        }
        let resources = if part.wildcard {
            wanted.iter().cloned().collect()
        } else {
            part.names.iter().filter_map(|name| wanted.get(name)).cloned().collect()
        };
        Some(Draft { resources, removed: Vec::new(), new: plan.send.into_iter().collect() })
    }

    /// What is new of a kind of which clients name what they want. That something is gone cannot
    /// be told.
    fn named(&mut self, kind: Kind, may_send: bool, gone: &BTreeSet<Arc<str>>) -> Option<Draft> {
        let wanted = wanted(&self.target, &self.leaving, kind);
        let part = self.parts.get_mut(kind);
        for name in gone {
            part.forget(name);
        }
        let plan = part.plan_mut();
        plan.gone.retain(|name| !gone.contains(name));
        let names = if may_send { std::mem::take(&mut plan.send) } else { BTreeSet::new() };
        let resources: Vec<Arc<Resource>> =
            names.iter().filter_map(|name| wanted.get(name)).cloned().collect();
        let draft = Draft { resources, removed: Vec::new(), new: Vec::new() };
        (!draft.resources.is_empty()).then_some(draft)
    }

    fn send(&mut self, kind: Kind, draft: Draft, now: Duration) -> Answer {
        let Draft { resources, removed, new } = draft;
        self.last_nonce = self.last_nonce.saturating_add(1);
        let nonce = self.last_nonce;
        self.parts.get_mut(kind).sent(nonce, &resources, &removed, now);
        if kind == Kind::Cluster {
            // A cluster that changes is another one to Envoy, which waits for its endpoints
            // although it has those of the one before, and does not ask for them again.
            let endpoints = self.parts.get_mut(Kind::Endpoints);
            for name in &new {
                endpoints.repeat(name);
            }
        }
        let (version, label) = (self.target.version(kind), Arc::clone(self.target.label()));
        Answer { kind, nonce, version, label, resources, removed }
    }
}

/// What a client should have of a kind, with what it keeps for a while.
fn wanted<'s>(target: &'s Snapshot, leaving: &'s Leaving, kind: Kind) -> Wanted<'s> {
    let awaited = (kind == Kind::Endpoints).then(|| target.awaited());
    Wanted { there: target.of(kind), leaving: leaving.of(kind), awaited }
}

/// An answer in the making.
struct Draft {
    resources: Vec<Arc<Resource>>,
    removed: Vec<Arc<str>>,
    /// Names of what the client does not have yet.
    new: Vec<Arc<str>>,
}

/// Endpoints are sent whatever a client says that it has: a cluster of it may be waiting for them.
fn repeat_endpoints(kind: Kind, part: &mut Part) {
    if kind == Kind::Endpoints {
        for name in part.names.clone() {
            part.repeat(&name);
        }
    }
}
