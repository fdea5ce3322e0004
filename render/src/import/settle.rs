//! From cells to those that routes are made of: one for each kind of request, none of them in
//! vain.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::auth::Auth;
use super::cell::{Access, Cell, Key};
use super::path::Path;
use super::report::Report;
use super::target::Target;

/// What cells are settled by.
pub(super) struct Settling<'a> {
    pub(super) targets: &'a [Target],
    /// Whether a route can be for nobody: it asks for a token that nobody issues.
    pub(super) can_close: bool,
    /// Whether a route can ask for this.
    pub(super) is_writable: &'a dyn Fn(&Auth) -> bool,
}

const BY_HAND: &str = "write the route by hand";

impl Settling<'_> {
    pub(super) fn settle(&self, cells: Vec<Cell>, report: &mut Report) -> Vec<Cell> {
        let mut merged: BTreeMap<Key, Cell> = BTreeMap::new();
        for mut cell in cells.into_iter().flat_map(without_what_is_left_out) {
            if matches!(&cell.access, Access::Auth(auth) if !(self.is_writable)(auth)) {
                let why = "tokens of several issuers are for different audiences, which one route \
                           cannot ask for, or it is for too many callers";
                report.left_out(&cell.origin, why, BY_HAND);
                // What a wider cell lets in must not come in here.
                cell = cell.closed(cell.key.clone(), true);
            }
            match merged.entry(cell.key.clone()) {
                Entry::Vacant(vacant) => {
                    vacant.insert(cell);
                }
                Entry::Occupied(mut known) => self.merge(known.get_mut(), cell, report),
            }
        }
        close_where_they_cross(&mut merged);
        let mut cells: Vec<Cell> = merged.into_values().collect();
        drop_redundant(&mut cells);
        remark_hidden(&cells, report);
        self.close(&mut cells, report);
        cells
    }

    /// Two cells for the same requests. One that is closed says only that what it comes from does
    /// not let in: what lets in counts, and has to stay in the place of a closed one.
    fn merge(&self, known: &mut Cell, cell: Cell, report: &mut Report) {
        let either = match (&known.access, &cell.access) {
            (Access::Closed, Access::Auth(_)) => {
                *known = Cell { is_pinned: true, ..cell };
                return;
            }
            (_, Access::Closed) => {
                known.is_pinned = true;
                return;
            }
            (Access::Auth(a), Access::Auth(b)) if known.target == cell.target => a.or(b),
            (Access::Auth(_), Access::Auth(_)) => {
                let name = self.targets.get(known.target).map_or("", |target| target.name.as_str());
                let why = format!("the same requests go to `{name}` already");
                let advice = "give the VirtualServices, or write `match.hosts` by hand";
                return report.left_out(&cell.origin, why, advice);
            }
        };
        known.is_pinned |= cell.is_pinned;
        known.strips |= cell.strips;
        match either.filter(|either| (self.is_writable)(either)) {
            Some(either) => known.access = Access::Auth(either),
            None => {
                let why = format!(
                    "{}: {} is for the same requests, and one route cannot ask for either",
                    known.origin.subject, known.origin.field
                );
                report.left_out(&cell.origin, why, BY_HAND);
            }
        }
    }

    /// Closed cells are needed below cells that let in. Where there are none to be had, neither
    /// may the wider ones be.
    fn close(&self, cells: &mut Vec<Cell>, report: &mut Report) {
        let lets_in = |cell: &Cell| cell.access != Access::Closed;
        let open: Vec<Key> =
            cells.iter().filter(|cell| lets_in(cell)).map(|cell| cell.key.clone()).collect();
        cells.retain(|cell| lets_in(cell) || open.iter().any(|open| is_cut(open, &cell.key)));
        if self.can_close {
            return;
        }
        let closed: Vec<(Key, String)> = cells
            .iter()
            .filter(|cell| !lets_in(cell))
            .map(|cell| (cell.key.clone(), cell.origin.subject.clone()))
            .collect();
        cells.retain(|cell| {
            if !lets_in(cell) {
                return false;
            }
            let within = closed.iter().find(|(key, _)| is_cut(&cell.key, key));
            if let Some((key, subject)) = within {
                let why = format!(
                    "{subject} keeps out `{}` within it; a route for nobody takes an issuer of \
                     tokens, and none is known",
                    key.path.to_template()
                );
                report.left_out(
                    &cell.origin,
                    why,
                    "give a RequestAuthentication, or write it by hand",
                );
            }
            within.is_none()
        });
    }
}

/// A cell, and a closed one for each path within it that its rules leave out; nothing where that
/// is all of it.
fn without_what_is_left_out(mut cell: Cell) -> Vec<Cell> {
    let without = std::mem::take(&mut cell.without);
    let left_out: Vec<Path> = without.iter().filter_map(|path| cell.key.path.meet(path)).collect();
    if cell.access == Access::Closed || left_out.is_empty() {
        return vec![cell];
    }
    if left_out.contains(&cell.key.path) {
        return Vec::new();
    }
    let closed = left_out.into_iter().map(|path| Key { path, ..cell.key.clone() });
    let mut cells: Vec<Cell> = closed.map(|key| cell.closed(key, false)).collect();
    cells.push(cell);
    cells
}

/// Of two cells neither of which is within the other, the document's order says which decides; and
/// it knows nothing of which is closed. What both are about is closed by a cell of its own, which is
/// within both. A rule that lets it in all the same is narrowed by that.
fn close_where_they_cross(cells: &mut BTreeMap<Key, Cell>) {
    let closed: Vec<Cell> =
        cells.values().filter(|cell| cell.access == Access::Closed).cloned().collect();
    let mut crossed: Vec<Cell> = Vec::new();
    for open in cells.values().filter(|cell| cell.access != Access::Closed) {
        for closed in &closed {
            let (a, b) = (&open.key, &closed.key);
            let both = a.meet(b).filter(|_| !a.covers(b) && !b.covers(a));
            crossed.extend(both.map(|key| closed.closed(key, false)));
        }
    }
    for cell in crossed {
        cells.entry(cell.key.clone()).or_insert(cell);
    }
}

/// Whether a closed cell keeps out requests that this one would let in: they have some in common,
/// and those are not all of this one's, which would be the closer one then.
fn is_cut(open: &Key, closed: &Key) -> bool {
    open.meet(closed).is_some() && !closed.covers(open)
}

/// What a wider cell says as well, and less strictly, needs no cell. Wider cells have what is
/// carved out of them in cells of their own, which stay.
fn drop_redundant(cells: &mut Vec<Cell>) {
    let mut at = 0;
    while let Some(cell) = cells.get(at) {
        let Access::Auth(auth) = &cell.access else {
            at += 1;
            continue;
        };
        let mut wider = cells
            .iter()
            .filter(|wider| wider.key != cell.key && wider.key.covers(&cell.key))
            .peekable();
        let is_redundant = !cell.is_pinned
            && wider.peek().is_some()
            && wider.all(|wider| {
                wider.target == cell.target
                    && matches!(&wider.access, Access::Auth(other) if auth.implies(other))
            });
        if is_redundant {
            cells.remove(at);
        } else {
            at += 1;
        }
    }
}

/// The most specific route decides alone: whom a wider one would let in too is refused.
fn remark_hidden(cells: &[Cell], report: &mut Report) {
    for cell in cells.iter().filter(|cell| !cell.is_pinned) {
        let Access::Auth(auth) = &cell.access else { continue };
        let wider = cells.iter().find(|wider| {
            wider.key != cell.key
                && wider.key.covers(&cell.key)
                && wider.origin != cell.origin
                && matches!(&wider.access, Access::Auth(other) if !other.implies(auth))
        });
        if let Some(wider) = wider {
            let why = format!(
                "`{}` is asked for this alone, not for what {}: {} would let in there too",
                cell.key.path.to_template(),
                wider.origin.subject,
                wider.origin.field
            );
            report.narrowed(&cell.origin, why, "write both into one rule, or the route by hand");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::path::Path;
    use crate::import::report::Origin;

    fn cell(path: &str, access: Access, target: usize) -> Cell {
        let (file, subject) = (String::new(), format!("Policy {target}"));
        Cell {
            key: Key { host: None, path: Path::around(path), method: None },
            access,
            target,
            timeout: None,
            origin: Origin { file, line: 1, subject, field: path.to_owned() },
            rules: Vec::new(),
            strips: false,
            without: Vec::new(),
            is_pinned: false,
        }
    }

    fn peers(ids: &[&str]) -> Access {
        Access::Auth(Auth::of_peers(ids.iter().map(|id| (*id).to_owned()).collect()))
    }

    fn open() -> Access {
        Access::Auth(Auth::default())
    }

    /// Paths with what becomes of them, and how many remarks there are.
    fn settled(cells: Vec<Cell>, can_close: bool) -> (Vec<String>, usize) {
        let mut report = Report::default();
        let settling = Settling { targets: &[], can_close, is_writable: &|_| true };
        let told = |cell: &Cell| {
            let word = match &cell.access {
                Access::Closed => "closed".to_owned(),
                Access::Auth(auth) => {
                    let peers = auth.peers.iter().flatten().cloned();
                    peers.collect::<Vec<String>>().join("+")
                }
            };
            format!("{} {word}", cell.key.path.to_template()).trim_end().to_owned()
        };
        let cells = settling.settle(cells, &mut report);
        (cells.iter().map(told).collect(), report.into_remarks().len())
    }

    #[test]
    fn of_two_rules_for_one_path_either_is_enough() {
        let cells = vec![cell("/a", peers(&["x"]), 0), cell("/a", peers(&["y"]), 0)];
        assert_eq!(settled(cells, true), (vec!["/a x+y".to_owned()], 0));
        let cells = vec![cell("/a", peers(&["x"]), 0), cell("/a", peers(&["y"]), 1)];
        assert_eq!(settled(cells, true), (vec!["/a x".to_owned()], 1));
    }

    #[test]
    fn what_a_wider_rule_lets_in_anyway_needs_no_route() {
        let cells = vec![cell("/*", open(), 0), cell("/a", peers(&["x"]), 0)];
        assert_eq!(settled(cells, true), (vec!["/{rest=**}".to_owned()], 0));
        let cells = vec![cell("/*", peers(&["y"]), 0), cell("/a", peers(&["x"]), 0)];
        let both = vec!["/a x".to_owned(), "/{rest=**} y".to_owned()];
        assert_eq!(settled(cells, true), (both, 1), "and what is hidden is told");
    }

    #[test]
    fn what_keeps_out_is_never_dropped() {
        let mut asked = cell("/a", peers(&["x"]), 0);
        asked.is_pinned = true;
        let both = vec!["/a x".to_owned(), "/{rest=**}".to_owned()];
        assert_eq!(settled(vec![cell("/*", open(), 0), asked], true), (both.clone(), 0));
        // A rule leaves `/a` out, another one asks for more there, and the first one is wider.
        let cells = vec![
            cell("/*", open(), 0),
            cell("/a", Access::Closed, 0),
            cell("/a", peers(&["x"]), 0),
        ];
        assert_eq!(settled(cells, true), (both, 0));
    }

    #[test]
    fn without_closed_routes_what_is_around_them_is_left_out() {
        let cells = || {
            vec![
                cell("/*", open(), 0),
                cell("/a", Access::Closed, 0),
                cell("/b/*", open(), 1),
                cell("/c", Access::Closed, 1),
            ]
        };
        let (told, remarks) = settled(cells(), true);
        assert_eq!(told, ["/a closed", "/b/{rest=**}", "/c closed", "/{rest=**}"]);
        assert_eq!(remarks, 0);
        let (told, remarks) = settled(cells(), false);
        assert_eq!(told, ["/b/{rest=**}"]);
        assert_eq!(remarks, 1);
        let alone = vec![cell("/a", Access::Closed, 0), cell("/b", open(), 0)];
        assert_eq!(settled(alone, false), (vec!["/b".to_owned()], 0));
    }
}
