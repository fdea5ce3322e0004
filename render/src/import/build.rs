//! From policies to cells, for each service in each place where requests reach it.

use std::collections::BTreeMap;

use super::auth::Auth;
use super::cell::{Access, Cell, Key, MAX_CELLS, carve};
use super::host;
use super::inventory::Inventory;
use super::layer::{Allowed, Layer, World};
use super::place::{self, Place};
use super::report::Report;
use super::target::Target;

/// All cells, and the port of each target's pods, by its place.
#[derive(Default)]
pub(super) struct Built {
    pub(super) cells: Vec<Cell>,
    pub(super) ports: BTreeMap<usize, Option<u16>>,
}

const BY_HAND: &str = "write its routes by hand";
/// Beyond so many comparisons, what rules let in is not looked at together.
const MAX_COMPARED: usize = 4_000_000;

/// Builds all cells.
pub(super) fn build(
    world: &World<'_>,
    inventory: &Inventory,
    targets: &[Target],
    report: &mut Report,
) -> Built {
    let places = place::find(world, inventory, targets, report);
    let mut built = Built::default();
    for (index, target) in targets.iter().enumerate() {
        let here: Vec<&Place> = places.all.iter().filter(|place| place.target == index).collect();
        if here.is_empty() {
            let why = "no VirtualService leads to it, so nobody comes to it by the gateway";
            report.note(&target.origin, why, "write routes if somebody should");
            continue;
        }
        let Some(layer) = world.layer(&target.proxy(), report) else {
            let why = "some policies may be for all of its pods, some of them, or none";
            report.left_out(&target.origin, why, "give its Deployments too");
            continue;
        };
        built.ports.insert(index, layer.port);
        for place in here {
            // That nothing is known of its gateway's policies was told.
            let Ok(edge) = places.edge(place) else { continue };
            let cells = in_place(place, edge, &layer, report);
            built.cells.extend(cells);
        }
    }
    built
}

/// The cells of one place: what every layer lets in, without what one of them keeps out.
fn in_place(place: &Place, edge: Option<&Layer>, layer: &Layer, report: &mut Report) -> Vec<Cell> {
    let behind = edge.map(|edge| layer.behind(&edge.stripped));
    let layers: Vec<&Layer> = edge.into_iter().chain([behind.as_ref().unwrap_or(layer)]).collect();
    if !layers.iter().any(|layer| layer.says_something) {
        let why = "no policy says who may call it, so everybody in the mesh may";
        report.left_out(&place.origin, why, "write routes with `auth: none` if that is meant");
        return Vec::new();
    }
    let whole = Cell {
        key: place.key.clone(),
        access: Access::Auth(Auth::default()),
        target: place.target,
        timeout: place.timeout.clone(),
        origin: place.origin.clone(),
        rules: Vec::new(),
        strips: layers.iter().any(|layer| !layer.stripped.is_empty()),
        without: Vec::new(),
        is_pinned: false,
    };
    remark_taken(place, &whole, report);
    let mut cells = vec![whole];
    for layer in &layers {
        let Some(ground) = &layer.ground else {
            let why = "of the tokens that it asks for, none are known to the document";
            report.left_out(&place.origin, why, BY_HAND);
            return Vec::new();
        };
        cells = cells.iter().flat_map(|cell| in_layer(cell, layer, ground, report)).collect();
    }
    let mut regions = place.others.clone();
    regions.extend(layers.iter().flat_map(|layer| layer.regions.iter().cloned()));
    let mut carved = Vec::with_capacity(cells.len());
    for cell in filled(cells) {
        if cell.access == Access::Closed {
            carved.push(cell);
            continue;
        }
        let origin = cell.origin.clone();
        match carve(cell, &regions) {
            Some(cells) if carved.len() + cells.len() <= MAX_CELLS => carved.extend(cells),
            _ => report.left_out(&origin, "too much is carved out of it", BY_HAND),
        }
    }
    carved
}

/// A place whose requests all go to routes before it, as far as the document can tell them apart,
/// comes to nothing.
fn remark_taken(place: &Place, whole: &Cell, report: &mut Report) {
    let Some(left) = carve(whole.clone(), &place.others) else { return };
    if let Some(first) = left.first()
        && left.iter().all(|cell| cell.access == Access::Closed)
    {
        let why = format!(
            "{}, which comes first, takes `{}`, or the document cannot tell the two apart",
            first.origin.field,
            place.key.path.to_template()
        );
        let advice = "where it takes less, write the route by hand";
        report.left_out(&place.origin.below("match"), why, advice);
    }
}

/// Rules are alternatives, and the most specific route decides alone: it takes over what wider ones
/// let in, where one route can say both. So does what a rule leaves out.
fn filled(mut cells: Vec<Cell>) -> Vec<Cell> {
    if cells.len().saturating_mul(cells.len()) > MAX_COMPARED {
        return cells;
    }
    let (holes, open): (Vec<&Cell>, Vec<&Cell>) =
        cells.iter().partition(|cell| cell.access == Access::Closed);
    let mut more = Vec::new();
    for hole in &holes {
        for wide in open.iter().filter(|wide| wide.key.covers(&hole.key)) {
            let own = holes.iter().filter(|own| is_hole_of(own, wide));
            let own: Vec<Key> = own.filter_map(|own| own.key.meet(&hole.key)).collect();
            if own.contains(&hole.key) {
                continue;
            }
            more.push(Cell { key: hole.key.clone(), is_pinned: true, ..(*wide).clone() });
            more.extend(own.into_iter().map(|key| wide.closed(key, false)));
        }
    }
    for cell in &open {
        let Access::Auth(mut auth) = cell.access.clone() else { continue };
        for wide in open.iter().filter(|wide| wide.key != cell.key && wide.key.covers(&cell.key)) {
            let is_whole = !holes
                .iter()
                .any(|hole| is_hole_of(hole, wide) && hole.key.meet(&cell.key).is_some());
            if let (true, Access::Auth(other)) = (is_whole, &wide.access) {
                auth = auth.or(other).unwrap_or(auth);
            }
        }
        if cell.access != Access::Auth(auth.clone()) {
            more.push(Cell { access: Access::Auth(auth), ..(*cell).clone() });
        }
    }
    cells.append(&mut more);
    cells
}

/// Whether one of the rules that let a cell in leaves the hole out.
fn is_hole_of(hole: &Cell, cell: &Cell) -> bool {
    hole.rules.last().is_none_or(|rule| cell.rules.contains(rule))
}

fn in_layer(cell: &Cell, layer: &Layer, ground: &Auth, report: &mut Report) -> Vec<Cell> {
    let Access::Auth(auth) = &cell.access else { return vec![cell.clone()] };
    let Some(auth) = auth.and(ground) else {
        let why = "what the gateway asks for and what it asks for go not together";
        report.left_out(&cell.origin, why, BY_HAND);
        return Vec::new();
    };
    match &layer.allowed {
        None => vec![Cell { access: Access::Auth(auth), ..cell.clone() }],
        Some(all) => all.iter().flat_map(|allowed| of_rule(cell, &auth, allowed, report)).collect(),
    }
}

/// What of a cell one operation of a rule lets in, and what it leaves out within that.
fn of_rule(cell: &Cell, auth: &Auth, allowed: &Allowed, report: &mut Report) -> Vec<Cell> {
    let auths: Vec<Auth> = allowed.auths.iter().filter_map(|asked| auth.and(asked)).collect();
    let mut cells = Vec::new();
    for key in keys(&cell.key, allowed, report) {
        if auths.is_empty() {
            let why = "no caller has what it asks for besides what others ask for";
            report.left_out(&allowed.origin, why, BY_HAND);
            break;
        }
        if allowed.not_paths.iter().any(|path| path.covers(&key.path)) {
            let why = "what it leaves out is all of it, as far as the document can say";
            report.left_out(&allowed.origin, why, BY_HAND);
            continue;
        }
        let mut of = Cell { origin: allowed.origin.clone(), key: key.clone(), ..cell.clone() };
        of.rules.push(allowed.origin.clone());
        of.without.extend(allowed.not_paths.iter().cloned());
        let access = auths.iter().map(|auth| Access::Auth(auth.clone()));
        cells.extend(access.map(|access| Cell { access, ..of.clone() }));
    }
    cells
}

fn keys(key: &Key, allowed: &Allowed, report: &mut Report) -> Vec<Key> {
    let host = key.host.as_deref();
    let hosts = if allowed.hosts.is_empty() {
        [key.host.clone()].into()
    } else {
        host::within(&allowed.hosts, host).unwrap_or_default()
    };
    if hosts.is_empty() && host::may_meet(&allowed.hosts, host) {
        let why = "none of its hosts is one that a route could be for";
        report.left_out(&allowed.origin.below("to.operation.hosts"), why, BY_HAND);
    }
    let mut keys = Vec::new();
    for host in hosts {
        for path in &allowed.paths {
            for method in &allowed.methods {
                let (host, path, method) = (host.clone(), path.clone(), method.clone());
                keys.extend(key.meet(&Key { host, path, method }));
            }
        }
    }
    keys
}
