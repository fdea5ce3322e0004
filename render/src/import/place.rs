//! Where requests for services come in: as VirtualServices say, behind the policies of their
//! gateways.

use std::collections::BTreeMap;

use super::cell::{Effect, Hosts, Key, Region};
use super::host;
use super::inventory::{Inventory, Pods};
use super::layer::{Layer, Proxy, World};
use super::path::Path;
use super::report::{Origin, Report};
use super::target::{self, Target};
use super::virtual_service::{Entry, Match, VirtualService};

const BY_HAND: &str = "write its routes by hand";

/// Where requests for a service come in.
pub(super) struct Place {
    pub(super) key: Key,
    pub(super) timeout: Option<String>,
    pub(super) origin: Origin,
    /// The place of its service among the targets.
    pub(super) target: usize,
    /// The gateway's policies; none where requests come from within the mesh.
    edge: Option<usize>,
    /// Requests of other routes.
    pub(super) others: Vec<Region>,
}

/// All places, and the policies of the gateways before them.
pub(super) struct Places {
    pub(super) all: Vec<Place>,
    /// None where nothing can be said of them.
    edges: Vec<Option<Layer>>,
}

/// Which policies a gateway has is not known.
pub(super) struct Unknown;

/// Finds all places.
pub(super) fn find(
    world: &World<'_>,
    inventory: &Inventory,
    targets: &[Target],
    report: &mut Report,
) -> Places {
    if inventory.virtual_services.is_empty() {
        return Places { all: everywhere(targets), edges: Vec::new() };
    }
    let mut edges = Edges { world, inventory, layers: Vec::new() };
    let order = Order { inventory, targets };
    let mut all = Vec::new();
    for routes in &inventory.virtual_services {
        let edge = edges.of(routes, report);
        all.extend(order.places(routes, edge, report));
    }
    Places { all, edges: edges.layers.into_iter().map(|(_, layer)| layer).collect() }
}

impl Places {
    /// The policies of a place's gateway, where it has one.
    ///
    /// # Errors
    /// When they are not known.
    pub(super) fn edge(&self, place: &Place) -> Result<Option<&Layer>, Unknown> {
        let Some(edge) = place.edge else { return Ok(None) };
        self.edges.get(edge).and_then(Option::as_ref).map(Some).ok_or(Unknown)
    }
}

/// Without VirtualServices, every service is asked for everything.
fn everywhere(targets: &[Target]) -> Vec<Place> {
    let place = |(target, known): (usize, &Target)| Place {
        key: Key { host: None, path: Path::everything(), method: None },
        timeout: None,
        origin: known.origin.clone(),
        target,
        edge: None,
        others: Vec::new(),
    };
    targets.iter().enumerate().map(place).collect()
}

/// What the policies of gateways come to, each gateway once.
struct Edges<'a> {
    world: &'a World<'a>,
    inventory: &'a Inventory,
    /// By the gateways' names; no layer where nothing can be said of it.
    layers: Vec<(Vec<String>, Option<Layer>)>,
}

impl Edges<'_> {
    /// The place of a VirtualService's gateway among the layers; none where it has none.
    fn of(&mut self, routes: &VirtualService, report: &mut Report) -> Option<usize> {
        let names: Vec<String> =
            routes.gateways.iter().filter(|name| *name != "mesh").cloned().collect();
        let first = names.first()?;
        let known = self.layers.iter().position(|(known, _)| *known == names);
        if known.is_some() {
            return known;
        }
        let unknown = BTreeMap::new();
        let gateway = self
            .inventory
            .gateways
            .iter()
            .find(|gateway| *first == format!("{}/{}", gateway.namespace, gateway.name));
        let selector = gateway.map_or(&unknown, |gateway| &gateway.selector);
        let pods = self.inventory.pods.iter().filter(|pods| has(&pods.labels, selector));
        let pods: Vec<&Pods> = pods.collect();
        let of = routes.origin.below("gateways");
        if gateway.is_none() {
            let why = format!("`{first}` is not in the files, nor which pods it is");
            report.note(&of, why, "give the Gateway and its Deployment too");
        }
        if names.len() > 1 {
            let why = "of several gateways, the policies of the first were looked at";
            report.narrowed(&of, why, "import each gateway's VirtualServices for themselves");
        }
        // What it selects its pods by need not be all labels that they have.
        let mut labels: Vec<&BTreeMap<String, String>> =
            pods.iter().map(|pods| &pods.labels).collect();
        if labels.is_empty() {
            labels.push(selector);
        }
        let own = gateway.map(|gateway| gateway.namespace.as_str());
        let proxy = Proxy {
            namespace: self.namespace(&pods, own, selector),
            labels,
            is_exact: !pods.is_empty(),
            service: None,
            port: None,
            takes_port: false,
            is_guard: false,
        };
        let layer = if pods.is_empty() && self.may_be_elsewhere(proxy.namespace) {
            None
        } else {
            self.world.layer(&proxy, report)
        };
        if layer.is_none() {
            let why = "which policies its gateway has is not known";
            report.left_out(&of, why, "give the Gateway and its Deployment too");
        }
        self.layers.push((names, layer));
        Some(self.layers.len() - 1)
    }

    /// Where the pods of a gateway are: as their Deployment says, else where policies select them,
    /// else where the Gateway is.
    fn namespace<'s>(
        &'s self,
        pods: &[&'s Pods],
        own: Option<&'s str>,
        selector: &BTreeMap<String, String>,
    ) -> &'s str {
        let resources = self.world.resources;
        let by_policy = resources
            .authorization()
            .iter()
            .map(|policy| (&policy.meta, &policy.selection))
            .chain(resources.request().iter().map(|one| (&one.meta, &one.selection)))
            .find(|(_, selection)| has(selector, &selection.labels));
        pods.first()
            .map(|pods| pods.namespace.as_str())
            .or_else(|| by_policy.map(|(meta, _)| meta.namespace.as_str()))
            .or(own)
            .unwrap_or(self.world.root_namespace)
    }

    /// Whether pods of which no Deployment tells may be in another namespace, whose policies would
    /// count for them.
    fn may_be_elsewhere(&self, namespace: &str) -> bool {
        let Inventory { services, pods, .. } = self.inventory;
        let is_known = |other: &str| {
            other == namespace
                || other == self.world.root_namespace
                || services.iter().any(|service| service.namespace == other)
                || pods.iter().any(|pods| pods.namespace == other)
        };
        let mut all = self.world.resources.authorization().iter();
        all.any(|policy| policy.selection.is_for_all() && !is_known(&policy.meta.namespace))
    }
}

/// Whether labels hold all that are wanted, where any are.
fn has(labels: &BTreeMap<String, String>, wanted: &BTreeMap<String, String>) -> bool {
    !wanted.is_empty() && wanted.iter().all(|(name, value)| labels.get(name) == Some(value))
}

/// Those of earlier routes' requests that a path may be one of: the region around a prefix within a
/// segment is wider than the prefix.
fn taking<'r>(
    earlier: &'r [(Option<&str>, Region)],
    path: &Path,
) -> impl Iterator<Item = &'r Region> {
    let may_take = move |begins: &Option<&str>| begins.is_none_or(|text| path.may_begin_with(text));
    earlier.iter().filter(move |(begins, _)| may_take(begins)).map(|(_, region)| region)
}

/// The order of VirtualServices' routes: the first one that matches counts.
struct Order<'a> {
    inventory: &'a Inventory,
    targets: &'a [Target],
}

impl Order<'_> {
    fn places(
        &self,
        routes: &VirtualService,
        edge: Option<usize>,
        report: &mut Report,
    ) -> Vec<Place> {
        let mut places = Vec::new();
        for (index, entry) in routes.entries.iter().enumerate() {
            let Some(target) = self.target(entry, report) else { continue };
            let before = routes.entries.get(..index).unwrap_or_default();
            for host in &routes.hosts {
                let narrower = self.more_specific(host.as_deref());
                let earlier = before.iter().flat_map(|other| self.regions(other, host, target));
                let earlier: Vec<(Option<&str>, Region)> = earlier.collect();
                for one in &entry.matches {
                    places.extend(one.paths.iter().map(|path| Place {
                        key: Key {
                            host: host.clone(),
                            path: path.clone(),
                            method: one.method.clone(),
                        },
                        timeout: entry.timeout.clone(),
                        origin: entry.origin.clone(),
                        target,
                        edge,
                        others: narrower.iter().chain(taking(&earlier, path)).cloned().collect(),
                    }));
                }
            }
        }
        places
    }

    fn target(&self, entry: &Entry, report: &mut Report) -> Option<usize> {
        let to = entry.to.as_ref()?;
        let found = target::of(self.targets, to);
        if found.is_none() {
            let why =
                format!("`{}` is no service of the mesh, nor are its policies known", to.host);
            report.left_out(&entry.origin.below("route"), why, BY_HAND);
        }
        found
    }

    /// What an earlier route takes, if that goes elsewhere, and with what those paths begin.
    fn regions<'e>(
        &self,
        entry: &'e Entry,
        host: &Option<String>,
        target: usize,
    ) -> Vec<(Option<&'e str>, Region)> {
        let to = entry.to.as_ref().and_then(|to| target::of(self.targets, to));
        if to == Some(target) {
            return Vec::new();
        }
        let region = |paths, methods| Region {
            origin: entry.origin.clone(),
            hosts: Hosts::Host(host.clone()),
            paths,
            except: Vec::new(),
            methods,
            not_methods: Vec::new(),
            effect: Effect::Close,
        };
        let one = |one: &'e Match| {
            let methods = one.method.iter().cloned().collect();
            (one.begins.as_deref(), region(vec![one.around.clone()], methods))
        };
        entry.matches.iter().map(one).collect()
    }

    /// Hosts that have a VirtualService of their own: Envoy looks for their routes there alone.
    fn more_specific(&self, host: Option<&str>) -> Vec<Region> {
        let all = self.inventory.virtual_services.iter();
        let narrower = all.filter_map(|routes| {
            let is_narrower = |other: &&Option<String>| {
                other.as_deref() != host && host::covers(host, other.as_deref())
            };
            let hosts: Vec<&Option<String>> = routes.hosts.iter().filter(is_narrower).collect();
            (!hosts.is_empty()).then_some((routes, hosts))
        });
        let regions = narrower.flat_map(|(routes, hosts)| {
            hosts.into_iter().map(|host| Region {
                origin: routes.origin.clone(),
                hosts: Hosts::Host(host.clone()),
                paths: vec![Path::everything()],
                except: Vec::new(),
                methods: Vec::new(),
                not_methods: Vec::new(),
                effect: Effect::Close,
            })
        });
        regions.collect()
    }
}
