//! Cells: one kind of request each, and what is asked of it.
//!
//! A cell is a host, a path and a method, as the document's matcher tells routes apart, so that
//! the most specific cell decides about a request. What policies keep out is carved out of the
//! cells that let in, as cells of their own: more specific, and stricter.

use std::collections::BTreeSet;

use super::auth::Auth;
use super::host;
use super::method::{self, Kept};
use super::path::Path;
use super::report::Origin;

/// Which requests.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    /// None is every host.
    pub(super) host: Option<String>,
    pub(super) path: Path,
    /// None is every method.
    pub(super) method: Option<String>,
}

/// One kind of request, and what becomes of it.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    pub(super) key: Key,
    pub(super) access: Access,
    /// The place of its service among the targets.
    pub(super) target: usize,
    pub(super) timeout: Option<String>,
    /// What it comes from.
    pub(super) origin: Origin,
    /// The ALLOW rules that let it in, of each proxy on the way; or the one that does not, last.
    pub(super) rules: Vec<Origin>,
    /// Whether a token goes no further.
    pub(super) strips: bool,
    /// Paths that its rules leave out, wherever its key comes to lie: exceptions of what another
    /// policy keeps out are none of these.
    pub(super) without: Vec<Path>,
    /// It keeps out what a wider cell would let in, and has to stay.
    pub(super) is_pinned: bool,
}

/// Who gets through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Access {
    /// Whoever meets this.
    Auth(Auth),
    /// Nobody.
    Closed,
}

/// Requests that are kept out, or asked for more.
#[derive(Debug, Clone)]
pub(super) struct Region {
    pub(super) origin: Origin,
    pub(super) hosts: Hosts,
    /// All its paths, or more.
    pub(super) paths: Vec<Path>,
    /// Paths that it is not about, or fewer.
    pub(super) except: Vec<Path>,
    /// Methods as policies write them.
    pub(super) methods: Vec<String>,
    pub(super) not_methods: Vec<String>,
    pub(super) effect: Effect,
}

/// The hosts of a region.
#[derive(Debug, Clone)]
pub(super) enum Hosts {
    /// As policies write them; none are all. A region is for all hosts of a cell, or for none.
    Written(Vec<String>),
    /// One of the document's.
    Host(Option<String>),
}

/// What a region does.
#[derive(Debug, Clone)]
pub(super) enum Effect {
    /// Keeps out.
    Close,
    /// Lets in who meets one of these too.
    Ask(Vec<Auth>),
}

/// Most cells that are made of one: rules that carve each other up have no end.
pub(super) const MAX_CELLS: usize = 4096;

impl Key {
    /// Whether every request of the other is one of this.
    pub(super) fn covers(&self, other: &Self) -> bool {
        host::covers(self.host.as_deref(), other.host.as_deref())
            && self.path.covers(&other.path)
            && (self.method.is_none() || self.method == other.method)
    }

    /// The requests of both.
    pub(super) fn meet(&self, other: &Self) -> Option<Self> {
        let host = host::meet(self.host.as_deref(), other.host.as_deref())?;
        let method = match (&self.method, &other.method) {
            (None, method) | (method, None) => method.clone(),
            (Some(a), Some(b)) if a == b => Some(a.clone()),
            (Some(_), Some(_)) => return None,
        };
        Some(Self { host, path: self.path.meet(&other.path)?, method })
    }

    fn with_path(&self, path: Path) -> Self {
        Self { path, ..self.clone() }
    }
}

impl Cell {
    pub(super) fn closed(&self, key: Key, is_pinned: bool) -> Self {
        Self { key, access: Access::Closed, is_pinned, ..self.clone() }
    }
}

/// What is left of a cell once regions are carved out of it; none where that has no end.
pub(super) fn carve(cell: Cell, regions: &[Region]) -> Option<Vec<Cell>> {
    let mut carving = Carving { regions, done: Vec::new() };
    carving.carve(cell, &BTreeSet::new())?;
    Some(carving.done)
}

struct Carving<'r> {
    regions: &'r [Region],
    done: Vec<Cell>,
}

/// What one region makes of a cell.
#[derive(Default)]
struct Cut {
    /// The cell is for nobody any more.
    is_gone: bool,
    /// Parts that the region is about.
    inside: Vec<Key>,
    /// Parts of those that it is not about.
    outside: Vec<Key>,
}

impl Carving<'_> {
    /// `met` are the regions that the cell does what they ask for, or that are not about it.
    fn carve(&mut self, cell: Cell, met: &BTreeSet<usize>) -> Option<()> {
        let regions = self.regions;
        let mut is_gone = false;
        for (index, region) in regions.iter().enumerate() {
            if met.contains(&index) {
                continue;
            }
            let cut = region.cut(&cell.key);
            let mut met = met.clone();
            met.insert(index);
            for key in cut.outside {
                self.carve(Cell { key, ..cell.clone() }, &met)?;
            }
            for key in cut.inside {
                self.inside(&cell, key, region, &met)?;
            }
            if cut.is_gone {
                is_gone = true;
                break;
            }
        }
        if !is_gone {
            self.done.push(cell);
        }
        (self.done.len() <= MAX_CELLS).then_some(())
    }

    fn inside(
        &mut self,
        cell: &Cell,
        key: Key,
        region: &Region,
        met: &BTreeSet<usize>,
    ) -> Option<()> {
        let auths = match (&region.effect, &cell.access) {
            (Effect::Ask(asked), Access::Auth(auth)) => {
                asked.iter().filter_map(|asked| auth.and(asked)).collect()
            }
            _ => Vec::new(),
        };
        if auths.is_empty() {
            let closed = Cell { origin: region.origin.clone(), ..cell.closed(key, true) };
            self.done.push(closed);
            return Some(());
        }
        for auth in auths {
            // In place of the whole cell, it keeps out nothing that another one would let in.
            let is_pinned = cell.is_pinned || key != cell.key;
            let (key, access) = (key.clone(), Access::Auth(auth));
            self.carve(Cell { key, access, is_pinned, ..cell.clone() }, met)?;
        }
        Some(())
    }
}

impl Region {
    fn cut(&self, key: &Key) -> Cut {
        let mut cut = Cut::default();
        let (host, covers_host) = match &self.hosts {
            Hosts::Written(values) if values.is_empty() => (key.host.clone(), true),
            Hosts::Written(values) if host::may_meet(values, key.host.as_deref()) => {
                (key.host.clone(), true)
            }
            Hosts::Written(_) => return cut,
            Hosts::Host(host) => match host::meet(key.host.as_deref(), host.as_deref()) {
                Some(both) => (both.clone(), both == key.host),
                None => return cut,
            },
        };
        let (methods, but) =
            match method::around(&self.methods, &self.not_methods, key.method.as_deref()) {
                Kept::Nothing => return cut,
                // None stands for the cell's own.
                Kept::Some(methods) => (methods, BTreeSet::new()),
                Kept::AllBut(but) => ([None].into(), but),
            };
        for path in &self.paths {
            let Some(path) = key.path.meet(path) else { continue };
            if self.except.iter().any(|except| except.covers(&path)) {
                continue;
            }
            let whole = Key { host: host.clone(), ..key.with_path(path.clone()) };
            for method in &methods {
                let method = method.clone().or_else(|| key.method.clone());
                cut.is_gone |= covers_host && path == key.path && method == key.method;
                cut.inside.push(Key { method, ..whole.clone() });
            }
            let outside = but.iter().map(|method| Some(method.clone()));
            cut.outside.extend(outside.map(|method| Key { method, ..whole.clone() }));
            let except = self.except.iter().filter_map(|except| path.meet(except));
            cut.outside.extend(except.map(|path| whole.with_path(path)));
        }
        cut
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::auth::Rules;

    fn origin() -> Origin {
        Origin { file: String::new(), line: 1, subject: String::new(), field: String::new() }
    }

    fn cell(path: &str) -> Cell {
        Cell {
            key: Key { host: None, path: Path::around(path), method: None },
            access: Access::Auth(Auth::default()),
            target: 0,
            timeout: None,
            origin: origin(),
            rules: Vec::new(),
            strips: false,
            without: Vec::new(),
            is_pinned: false,
        }
    }

    fn region(path: &str, methods: &[&str], effect: Effect) -> Region {
        Region {
            origin: origin(),
            hosts: Hosts::Written(Vec::new()),
            paths: vec![Path::around(path)],
            except: Vec::new(),
            methods: methods.iter().map(|method| (*method).to_owned()).collect(),
            not_methods: Vec::new(),
            effect,
        }
    }

    /// `METHOD PATH` with what becomes of it.
    fn told(cell: Cell, regions: &[Region]) -> Vec<String> {
        let mut told: Vec<String> = carve(cell, regions)
            .unwrap()
            .iter()
            .map(|cell| {
                let Key { host, path, method } = &cell.key;
                let word = match &cell.access {
                    Access::Closed => "closed",
                    Access::Auth(auth) if *auth == Auth::default() => "open",
                    Access::Auth(_) => "asked",
                };
                let (host, method) = (host.as_deref(), method.as_deref().unwrap_or("*"));
                format!("{method} {}{} {word}", host.unwrap_or_default(), path.to_template())
            })
            .collect();
        told.sort();
        told
    }

    fn ask() -> Effect {
        let issuers = [("a".to_owned(), BTreeSet::new())].into();
        Effect::Ask(vec![Auth::of_token(Rules { issuers, ..Rules::default() })])
    }

    #[test]
    fn what_is_inside_gets_a_cell_of_its_own() {
        for (path, regions, expected) in [
            ("/a", vec![region("/b", &[], Effect::Close)], vec!["* /a open"]),
            ("/a", vec![region("/*", &[], Effect::Close)], vec!["* /a closed"]),
            (
                "/*",
                vec![region("/a/*", &[], Effect::Close)],
                vec!["* /a/{rest=**} closed", "* /{rest=**} open"],
            ),
            (
                "/*",
                vec![region("/*", &["POST"], Effect::Close)],
                vec!["* /{rest=**} open", "POST /{rest=**} closed"],
            ),
            ("/*", vec![region("/*", &[], ask())], vec!["* /{rest=**} asked"]),
        ] {
            assert_eq!(told(cell(path), &regions), expected, "{path}");
        }
    }

    #[test]
    fn no_region_opens_what_another_closes() {
        let closes = region("/a/*", &[], Effect::Close);
        let asks = region("/a/b/*", &[], ask());
        let expected = ["* /a/b/{rest=**} closed", "* /a/{rest=**} closed", "* /{rest=**} open"];
        for regions in [[closes.clone(), asks.clone()], [asks, closes]] {
            assert_eq!(told(cell("/*"), &regions), expected);
        }
    }

    #[test]
    fn exceptions_stay_as_they_were() {
        let mut all = region("/*", &[], ask());
        all.except = vec![Path::around("/health")];
        let expected = ["* /health open", "* /{rest=**} asked"];
        assert_eq!(told(cell("/*"), &[all.clone()]), expected);
        assert_eq!(told(cell("/health"), &[all.clone()]), ["* /health open"]);
        let closes = region("/health", &[], Effect::Close);
        let expected = ["* /health closed", "* /health closed", "* /{rest=**} asked"];
        assert_eq!(told(cell("/*"), &[all, closes]), expected);
        let mut post = region("/*", &[], Effect::Close);
        post.not_methods = vec!["GET".to_owned()];
        assert_eq!(told(cell("/*"), &[post]), ["* /{rest=**} closed", "GET /{rest=**} open"]);
    }

    #[test]
    fn a_host_of_its_own_is_carved_out_by_its_name() {
        let mut other = region("/*", &[], Effect::Close);
        other.hosts = Hosts::Host(Some("a.test".to_owned()));
        let expected = ["* /{rest=**} open", "* a.test/{rest=**} closed"];
        assert_eq!(told(cell("/*"), &[other]), expected);
    }
}
