//! What the policies for one proxy come to: what they let in, what they keep out, whom they trust.

mod allow;
mod deny;

use std::collections::{BTreeMap, BTreeSet};

use postern_policies::{
    Action, Attribute, AuthorizationPolicy, Meta, RequestAuthentication, Resources, Rule,
    Selection, TargetKind,
};

use super::ask::Asking;
use super::auth::{Auth, Rules, Tokens};
use super::cell::{Effect, Region};
use super::path::Path;
use super::report::{Origin, Report};
use super::tokens::{Known, Trust};

/// What is looked at together.
#[derive(Debug, Clone, Copy)]
pub(super) struct World<'a> {
    pub(super) resources: &'a Resources,
    pub(super) known: &'a Known,
    pub(super) root_namespace: &'a str,
    pub(super) trust_domain: &'a str,
}

/// A proxy, as far as it is known.
#[derive(Debug, Clone)]
pub(super) struct Proxy<'a> {
    pub(super) namespace: &'a str,
    /// The labels of its pods, by kind of pod.
    pub(super) labels: Vec<&'a BTreeMap<String, String>>,
    /// Whether these are all labels that they have.
    pub(super) is_exact: bool,
    /// The Service in front of them.
    pub(super) service: Option<&'a str>,
    /// The pods' port; none as long as nobody says it.
    pub(super) port: Option<u16>,
    /// Whether it has the port that its policies name.
    pub(super) takes_port: bool,
    /// Whether routes can be enforced there.
    pub(super) is_guard: bool,
}

/// What the policies for a proxy come to.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    /// What is let in; none where nothing is kept out that no other policy keeps out.
    pub(super) allowed: Option<Vec<Allowed>>,
    pub(super) regions: Vec<Region>,
    /// What is asked of everybody; none where that cannot be said.
    pub(super) ground: Option<Auth>,
    /// Issuers whose tokens go no further.
    pub(super) stripped: BTreeSet<String>,
    /// Whether any policy says who may call.
    pub(super) says_something: bool,
    /// The port that it is about.
    pub(super) port: Option<u16>,
}

/// One operation that a rule lets in.
#[derive(Debug, Clone)]
pub(super) struct Allowed {
    pub(super) origin: Origin,
    /// As policies write them; none are all.
    pub(super) hosts: Vec<String>,
    pub(super) paths: Vec<Path>,
    /// Paths that this rule does not let in.
    pub(super) not_paths: Vec<Path>,
    pub(super) methods: BTreeSet<Option<String>>,
    /// One of these is needed.
    pub(super) auths: Vec<Auth>,
}

/// Whether a policy is for a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attached {
    No,
    /// For some of its pods, or for none: what is known of them does not say it.
    Perhaps,
    Yes,
}

impl World<'_> {
    /// Reads the policies for a proxy; none where they leave open whether it lets in anything.
    pub(super) fn layer(&self, proxy: &Proxy<'_>, report: &mut Report) -> Option<Layer> {
        let trust = self.trust(proxy, report);
        let mut applied: Vec<(&AuthorizationPolicy, Attached)> = Vec::new();
        for policy in self.resources.authorization() {
            let attached = self.attached(&policy.meta, &policy.selection, proxy);
            if attached != Attached::No && counts(policy, report) {
                applied.push((policy, attached));
            }
        }
        let is_allow = |policy: &AuthorizationPolicy| policy.action == Action::Allow;
        let has = |wanted| applied.iter().any(|(p, attached)| is_allow(p) && *attached == wanted);
        let (allows, perhaps) = (has(Attached::Yes), has(Attached::Perhaps));
        let named = || applied.iter().find_map(|(policy, _)| named_port(policy));
        let port = proxy.port.or_else(|| named().filter(|_| proxy.takes_port));
        let mut reading = Reading { world: self, trust: &trust, port, proxy, report };
        let mut allowed = Vec::new();
        let mut regions = Vec::new();
        for (policy, attached) in &applied {
            match (&policy.action, attached) {
                (Action::Allow, Attached::Yes) => allowed.extend(reading.allow(policy)),
                (Action::Allow, _) => reading.report.left_out(
                    &origin(policy),
                    "whether it is for these pods, their labels do not say",
                    "give the Deployments too, or name the same labels",
                ),
                _ => regions.extend(reading.deny(policy, *attached == Attached::Perhaps)),
            }
        }
        // Pods that it is for let nothing else in, and which those are is not known.
        if perhaps && !allows {
            return None;
        }
        let ground = match (trust.is_asked, trust.issuers.is_empty()) {
            (false, _) => Some(Auth::default()),
            (true, true) => None,
            (true, false) => {
                let rules = Rules { issuers: trust.issuers.clone(), ..Rules::default() };
                Some(Auth { tokens: Tokens::Optional(rules), peers: None })
            }
        };
        Some(Layer {
            says_something: allows || !regions.is_empty(),
            allowed: allows.then_some(allowed),
            regions,
            ground,
            stripped: trust.stripped,
            port,
        })
    }

    fn trust(&self, proxy: &Proxy<'_>, report: &mut Report) -> Trust {
        let mut resources: Vec<&RequestAuthentication> = Vec::new();
        for resource in self.resources.request() {
            match self.attached(&resource.meta, &resource.selection, proxy) {
                Attached::Yes => resources.push(resource),
                Attached::No => {}
                Attached::Perhaps => report.left_out(
                    &origin_of("RequestAuthentication", &resource.meta),
                    "whether it is for these pods, their labels do not say",
                    "give the Deployments too, or name the same labels",
                ),
            }
        }
        self.known.trusted_by(&resources)
    }

    /// By Istio's rules for sidecars and gateways, where all labels are known.
    fn attached(&self, meta: &Meta, selection: &Selection, proxy: &Proxy<'_>) -> Attached {
        let is_own = meta.namespace == proxy.namespace;
        if !is_own && meta.namespace != self.root_namespace {
            return Attached::No;
        }
        if !selection.targets.is_empty() {
            // Sidecars do not look at these; a waypoint in front of them would.
            let is_meant = selection.targets.iter().any(|target| match target.kind {
                TargetKind::GatewayClass => true,
                TargetKind::Gateway => is_own,
                TargetKind::Service | TargetKind::ServiceEntry => {
                    is_own && proxy.service.is_none_or(|service| service == target.name)
                }
            });
            return if is_meant { Attached::Perhaps } else { Attached::No };
        }
        let by_pods = proxy.labels.iter().map(|labels| {
            let mut attached = Attached::Yes;
            for (name, value) in &selection.labels {
                match labels.get(name) {
                    Some(known) if known == value => {}
                    None if !proxy.is_exact => attached = Attached::Perhaps,
                    _ => return Attached::No,
                }
            }
            attached
        });
        let by_pods: Vec<Attached> = by_pods.collect();
        match by_pods.split_first() {
            Some((first, others)) if others.iter().all(|other| other == first) => *first,
            _ => Attached::Perhaps,
        }
    }

    /// Whether a policy is for a proxy, whatever else it says.
    pub(super) fn is_for(&self, meta: &Meta, selection: &Selection, proxy: &Proxy<'_>) -> bool {
        self.attached(meta, selection, proxy) == Attached::Yes
    }
}

impl Layer {
    /// The same behind a proxy that takes the tokens of some issuers away.
    pub(super) fn behind(&self, stripped: &BTreeSet<String>) -> Self {
        let left = |auths: &[Auth]| -> Vec<Auth> {
            auths.iter().filter_map(|auth| auth.without(stripped)).collect()
        };
        let mut layer = self.clone();
        layer.ground = layer.ground.and_then(|ground| ground.without(stripped));
        for allowed in layer.allowed.iter_mut().flatten() {
            allowed.auths = left(&allowed.auths);
        }
        for region in &mut layer.regions {
            if let Effect::Ask(auths) = &region.effect {
                let auths = left(auths);
                region.effect = if auths.is_empty() { Effect::Close } else { Effect::Ask(auths) };
            }
        }
        layer
    }
}

/// Whether a policy decides anything.
fn counts(policy: &AuthorizationPolicy, report: &mut Report) -> bool {
    let why = if policy.dry_run {
        "it only tells what it would do (`istio.io/dry-run`)"
    } else if policy.action == Action::Audit {
        "AUDIT writes down, and decides nothing"
    } else {
        return true;
    };
    report.left_out(&origin(policy), why, "the server's log and access logs tell what happens");
    false
}

/// A port that a policy lets in.
fn named_port(policy: &AuthorizationPolicy) -> Option<u16> {
    let rules = policy.rules.iter().filter(|_| policy.action == Action::Allow);
    let mut tests = rules.flat_map(Rule::tests);
    let ports = tests.find(|test| test.attribute == Attribute::Port && !test.values.is_empty())?;
    ports.values.first()?.as_str().parse().ok().filter(|port| *port > 0)
}

fn origin(policy: &AuthorizationPolicy) -> Origin {
    origin_of("AuthorizationPolicy", &policy.meta)
}

pub(super) fn origin_of(kind: &str, meta: &Meta) -> Origin {
    Origin {
        file: meta.file.clone(),
        line: meta.line,
        subject: format!("{kind} {meta}"),
        field: String::new(),
    }
}

/// Reading one policy for one proxy.
struct Reading<'a, 'r> {
    world: &'a World<'a>,
    trust: &'a Trust,
    port: Option<u16>,
    proxy: &'a Proxy<'a>,
    report: &'r mut Report,
}

impl<'a> Reading<'a, '_> {
    fn asking<'p>(&self, policy: &'p AuthorizationPolicy) -> Asking<'p>
    where
        'a: 'p,
    {
        Asking {
            trust: self.trust,
            port: self.port,
            trust_domain: self.world.trust_domain,
            namespace: &policy.meta.namespace,
            knows_pods: self.proxy.is_guard,
        }
    }
}
