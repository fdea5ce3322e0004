//! What is to be measured.

use anyhow::{Result, bail};

use crate::entries::{self, ENTRIES, Entry, PEER};
use crate::figures::{self, FIGURES, Figure};
use crate::peer::ADDRESS;

/// Entries and figures.
#[derive(Debug)]
pub struct Selection {
    /// In the order in which a round measures them.
    pub entries: Vec<&'static Entry>,
    /// In the order in which they are measured.
    pub figures: Vec<&'static Figure>,
}

impl Selection {
    /// Those whose names begin with one of these (all of them without any), and what those are
    /// compared with. `check`: also what the bounds are about. `peer`: there is somebody else's
    /// rate limit service to measure beside ours.
    pub fn of(names: &[String], check: bool, peer: bool) -> Result<Self> {
        let all = || {
            let entries = ENTRIES.iter().map(|entry| entry.name);
            entries.chain(FIGURES.iter().map(|figure| figure.name))
        };
        for name in names {
            let mut meant = all().filter(|known| known.starts_with(name.as_str())).peekable();
            if meant.peek().is_none() {
                let known: Vec<&str> = all().collect();
                bail!("nothing begins with `{name}`; there are\n  {}", known.join("\n  "));
            }
            if !peer && meant.all(|known| known == PEER) {
                bail!("{PEER} is what runs at {ADDRESS}=HOST:PORT, which is not set");
            }
        }
        let is_named = |figure: &Figure| {
            names.is_empty() || names.iter().any(|name| figure.name.starts_with(name.as_str()))
        };
        // Without names everything is meant; with names of figures alone, no entry is.
        let entries = entries::select(names, check, peer);
        let figures = figures::select(is_named, check);
        Ok(Self { entries, figures })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(names: &[&str], check: bool) -> (Vec<&'static str>, Vec<&'static str>) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let Selection { entries, figures } = Selection::of(&names, check, true).unwrap();
        let entries = entries.iter().map(|entry| entry.name).collect();
        (entries, figures.iter().map(|figure| figure.name).collect())
    }

    #[test]
    fn every_name_is_there_once() {
        let (mut entries, figures) = selected(&[], false);
        assert_eq!((entries.len(), figures.len()), (ENTRIES.len(), FIGURES.len()));
        entries.extend(figures);
        let distinct: std::collections::BTreeSet<_> = entries.iter().collect();
        assert_eq!(distinct.len(), entries.len());
    }

    #[test]
    fn names_are_beginnings_of_either() {
        let (entries, figures) = selected(&["feed"], false);
        assert!(entries.is_empty());
        assert!(figures.len() > 2 && figures.iter().all(|name| name.starts_with("feed.")));
        let (entries, figures) = selected(&["envoy.proxy"], false);
        assert_eq!((entries, figures), (vec!["envoy.proxy"], Vec::new()));
        let (entries, figures) = selected(&["filter"], false);
        assert!(entries.contains(&"filter.bundle") && figures.contains(&"filter.vm_start_ms"));
        let names = ["filter.none".to_owned()];
        assert!(Selection::of(&names, false, true).is_err());
    }

    #[test]
    fn a_peer_must_be_there_only_where_it_is_named() {
        let entries = |name: &str| Selection::of(&[name.to_owned()], false, false);
        assert!(entries("rls.peer").is_err());
        let chosen = entries("rls").unwrap().entries;
        assert!(!chosen.is_empty() && chosen.iter().all(|entry| entry.name != PEER));
    }

    #[test]
    fn a_check_looks_at_every_bound() {
        let (entries, figures) = selected(&["envoy.proxy"], true);
        assert!(entries.contains(&"filter.bundle"));
        assert!(figures.contains(&"feed.revocation_latency_ms"));
        assert!(!figures.contains(&"feed.idle_bytes"), "it has no bound");
    }
}
