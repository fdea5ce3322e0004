//! Services of the document: those that the files name, and stand-ins for pods that only
//! policies do.

use std::collections::{BTreeMap, BTreeSet};

use postern_policies::{Action, AuthorizationPolicy, Meta, Selection};

use super::inventory::{Inventory, Pods, Service};
use super::layer::{Proxy, World, origin_of};
use super::report::{Origin, Report};
use super::virtual_service::Destination;

/// What requests may be sent to.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// Its name in the document.
    pub(super) name: String,
    pub(super) namespace: String,
    /// The Service's name; none where no Service is known.
    pub(super) service: Option<String>,
    /// The labels of its pods, by kind of pod.
    pub(super) labels: Vec<BTreeMap<String, String>>,
    /// Whether these are all labels that they have.
    pub(super) is_exact: bool,
    /// Labels by which they are found.
    pub(super) selector: BTreeMap<String, String>,
    /// Whether these labels can be a workload's: those of no other one take some of its pods.
    pub(super) can_guard: bool,
    /// The pods' port.
    pub(super) port: Option<u16>,
    /// The port that it is asked at.
    pub(super) service_port: Option<u16>,
    /// The service account of its pods.
    pub(super) account: Option<String>,
    pub(super) origin: Origin,
}

/// A name that resolves nowhere (RFC 6761 §6.4): nothing gets through before it is filled in.
const NOWHERE: &str = "invalid";
/// The port of pods of which nobody says one.
const DEFAULT_PORT: u16 = 8080;

impl Target {
    /// The proxy beside its pods.
    pub(super) fn proxy(&self) -> Proxy<'_> {
        Proxy {
            namespace: &self.namespace,
            labels: self.labels.iter().collect(),
            is_exact: self.is_exact,
            service: self.service.as_deref(),
            port: self.port,
            // Who fills in a stand-in's address looks at its port.
            takes_port: self.service.is_none(),
            is_guard: self.can_guard,
        }
    }

    /// The port that it is asked at: the pods' own where no other is known.
    pub(super) fn asked_at(&self, port: Option<u16>) -> u16 {
        self.service_port.or(port).unwrap_or(DEFAULT_PORT)
    }

    /// HOST:PORT
    pub(super) fn upstream(&self, port: u16) -> String {
        let Self { namespace, .. } = self;
        match &self.service {
            Some(service) => format!("{service}.{namespace}.svc.cluster.local:{port}"),
            None => format!("{}.{namespace}.{NOWHERE}:{port}", self.name),
        }
    }
}

/// All targets. Where there are VirtualServices, pods that they lead to; else whatever policies
/// are for.
pub(super) fn find(world: &World<'_>, inventory: &Inventory, report: &mut Report) -> Vec<Target> {
    let services = inventory.services.iter();
    let mut targets: Vec<Target> =
        services.filter_map(|service| of_service(service, inventory, report)).collect();
    if inventory.virtual_services.is_empty() {
        let mut found = of_policies(world, &targets);
        targets.append(&mut found);
    } else {
        targets.extend(of_destinations(inventory, &targets));
    }
    let mut names = BTreeSet::new();
    let guards: Vec<bool> = targets.iter().map(|target| can_guard(target, &targets)).collect();
    for (target, can_guard) in targets.iter_mut().zip(guards) {
        target.name = unused(&target.name, &mut names);
        target.can_guard = can_guard;
    }
    targets
}

/// Two workloads of one namespace share all of their pods, or none.
fn can_guard(target: &Target, targets: &[Target]) -> bool {
    let covers = |wide: &Target, narrow: &Target| {
        wide.selector.iter().all(|(name, value)| narrow.selector.get(name) == Some(value))
    };
    let is_beside = |other: &&Target| {
        !other.selector.is_empty()
            && other.namespace == target.namespace
            && other.selector != target.selector
    };
    let mut beside = targets.iter().filter(is_beside);
    !target.selector.is_empty()
        && !beside.any(|other| covers(other, target) || covers(target, other))
}

/// The target of a destination.
pub(super) fn of(targets: &[Target], destination: &Destination) -> Option<usize> {
    let (namespace, name) = destination.service.as_ref()?;
    let is_it = |target: &Target| {
        target.namespace == *namespace
            && target.service.as_ref() == Some(name)
            && (destination.port.is_none() || destination.port == target.service_port)
    };
    targets.iter().position(is_it)
}

fn of_service(service: &Service, inventory: &Inventory, report: &mut Report) -> Option<Target> {
    let is_selected = |pods: &&Pods| {
        let has = |(name, value): (&String, &String)| pods.labels.get(name) == Some(value);
        pods.namespace == service.namespace && service.selector.iter().all(has)
    };
    let pods: Vec<&Pods> = inventory.pods.iter().filter(is_selected).collect();
    let accounts: BTreeSet<&String> = pods.iter().map(|pods| &pods.account).collect();
    let account = accounts.first().filter(|_| accounts.len() == 1);
    // A port that goes by its name is the pods' only one, where they have one.
    let of_pods: BTreeSet<u16> = pods.iter().flat_map(|pods| pods.ports.iter().copied()).collect();
    let only = of_pods.first().copied().filter(|_| of_pods.len() == 1);
    let of_ports = service.origin.below("spec.ports");
    let Some(port) = service.ports.iter().find(|port| port.is_http) else {
        report.left_out(&of_ports, "it has no port that speaks HTTP", "nothing to do");
        return None;
    };
    if service.ports.len() > 1 {
        let why = format!("of its ports, a service of the document has one: {}", port.number);
        report.note(&of_ports, why, "write a service for each port that is meant");
    }
    let mut labels: Vec<BTreeMap<String, String>> =
        pods.iter().map(|pods| pods.labels.clone()).collect();
    labels.sort_unstable();
    labels.dedup();
    let is_exact = !labels.is_empty();
    if !is_exact {
        labels.push(service.selector.clone());
    }
    Some(Target {
        name: service.name.clone(),
        namespace: service.namespace.clone(),
        service: Some(service.name.clone()),
        labels,
        is_exact,
        selector: service.selector.clone(),
        can_guard: false,
        port: port.target.or(only),
        service_port: Some(port.number),
        account: account.map(|account| (*account).clone()),
        origin: service.origin.clone(),
    })
}

/// Services that nobody described: all that is known of their pods is where they are.
fn of_destinations(inventory: &Inventory, known: &[Target]) -> Vec<Target> {
    let mut targets: Vec<Target> = Vec::new();
    let entries = inventory.virtual_services.iter().flat_map(|routes| &routes.entries);
    for entry in entries {
        let Some(to) = &entry.to else { continue };
        let Some((namespace, name)) = &to.service else { continue };
        if of(known, to).is_some() || of(&targets, to).is_some() {
            continue;
        }
        // Another port of a service that is known has the pods of that one.
        let same = known
            .iter()
            .find(|target| target.namespace == *namespace && target.service.as_ref() == Some(name));
        let unknown = Target {
            name: name.clone(),
            namespace: namespace.clone(),
            service: Some(name.clone()),
            labels: vec![BTreeMap::new()],
            is_exact: false,
            selector: BTreeMap::new(),
            can_guard: false,
            port: None,
            service_port: None,
            account: None,
            origin: entry.origin.clone(),
        };
        let base = same.cloned().unwrap_or(unknown);
        let port = if same.is_some() { None } else { base.port };
        targets.push(Target { service_port: Some(to.port.unwrap_or(80)), port, ..base });
    }
    targets
}

/// Pods that policies select and no Service does, and namespaces of which nothing else is known.
fn of_policies(world: &World<'_>, known: &[Target]) -> Vec<Target> {
    let mut targets: Vec<Target> = Vec::new();
    for narrow in [true, false] {
        for (meta, selection, kind) in policies(world) {
            let is_root = meta.namespace == world.root_namespace;
            if selection.labels.is_empty() == narrow
                || !selection.targets.is_empty()
                || !narrow && is_root && !(known.is_empty() && targets.is_empty())
            {
                continue;
            }
            let is_there = known.iter().chain(&targets).any(|target| {
                let is_own = is_root || target.namespace == meta.namespace;
                is_own && world.is_for(meta, selection, &target.proxy())
            });
            if !is_there {
                targets.push(stand_in(meta, selection, kind));
            }
        }
    }
    targets
}

/// Whatever says who may call.
fn policies<'a>(
    world: &World<'a>,
) -> impl Iterator<Item = (&'a Meta, &'a Selection, &'static str)> {
    let decides =
        |policy: &&AuthorizationPolicy| !policy.dry_run && !matches!(policy.action, Action::Audit);
    let authorization = world.resources.authorization().iter().filter(decides);
    let authorization =
        authorization.map(|policy| (&policy.meta, &policy.selection, "AuthorizationPolicy"));
    let request = world.resources.request().iter();
    authorization.chain(request.map(|one| (&one.meta, &one.selection, "RequestAuthentication")))
}

fn stand_in(meta: &Meta, selection: &Selection, kind: &str) -> Target {
    let label = |name| selection.labels.get(name);
    let name = label("app").or_else(|| label("app.kubernetes.io/name"));
    let name = name.or_else(|| selection.labels.values().next()).unwrap_or(&meta.namespace);
    Target {
        name: to_name(name),
        namespace: meta.namespace.clone(),
        service: None,
        labels: vec![selection.labels.clone()],
        is_exact: false,
        selector: selection.labels.clone(),
        can_guard: false,
        port: None,
        service_port: None,
        account: None,
        origin: origin_of(kind, meta),
    }
}

/// A text as a name of the document: lower-case letters, digits and inner hyphens.
pub(super) fn to_name(text: &str) -> String {
    let mut name = String::new();
    for c in text.chars().flat_map(char::to_lowercase) {
        if c.is_ascii_lowercase() || c.is_ascii_digit() {
            name.push(c);
        } else if !name.is_empty() && !name.ends_with('-') {
            name.push('-');
        }
    }
    name.truncate(50);
    let name = name.trim_end_matches('-');
    // The document's own word for the suite is nobody's service.
    match name {
        "" | "postern" => format!("{name}-service").trim_start_matches('-').to_owned(),
        name => name.to_owned(),
    }
}

/// The same name, or the next one that nobody has.
pub(super) fn unused(name: &str, taken: &mut BTreeSet<String>) -> String {
    let mut unused = to_name(name);
    let mut number = 1;
    while !taken.insert(unused.clone()) {
        number += 1;
        unused = format!("{}-{number}", to_name(name));
    }
    unused
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_document() {
        for (text, expected) in [
            ("payments", "payments"),
            ("Pay_Ments.v1", "pay-ments-v1"),
            ("-a-", "a"),
            ("ü", "service"),
            ("postern", "postern-service"),
        ] {
            assert_eq!(to_name(text), expected, "{text}");
        }
        let mut taken = BTreeSet::new();
        let names: Vec<String> = (0..3).map(|_| unused("a", &mut taken)).collect();
        assert_eq!(names, ["a", "a-2", "a-3"]);
    }
}
