//! What is to be measured.

use anyhow::{Result, bail};

use crate::entries::{self, ENTRIES, Entry};
use crate::figures::{self, FIGURES, Figure};

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
    /// compared with. `check`: also what the bounds are about.
    pub fn of(names: &[String], check: bool) -> Result<Self> {
        let all = || {
            let entries = ENTRIES.iter().map(|entry| entry.name);
            entries.chain(FIGURES.iter().map(|figure| figure.name))
        };
        for name in names {
            if !all().any(|known| known.starts_with(name.as_str())) {
                let known: Vec<&str> = all().collect();
                bail!("nothing begins with `{name}`; there are\n  {}", known.join("\n  "));
            }
        }
        let is_named = |figure: &Figure| {
            names.is_empty() || names.iter().any(|name| figure.name.starts_with(name.as_str()))
        };
        // Without names everything is meant; with names of figures alone, no entry is.
        let entries = entries::select(names, check);
        let figures = figures::select(is_named, check);
        Ok(Self { entries, figures })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(names: &[&str], check: bool) -> (Vec<&'static str>, Vec<&'static str>) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let Selection { entries, figures } = Selection::of(&names, check).unwrap();
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
        assert!(Selection::of(&names, false).is_err());
    }

    #[test]
    fn a_check_looks_at_every_bound() {
        let (entries, figures) = selected(&["envoy.proxy"], true);
        assert!(entries.contains(&"filter.bundle"));
        assert!(figures.contains(&"feed.revocation_latency_ms"));
        assert!(!figures.contains(&"feed.idle_bytes"), "it has no bound");
    }
}
