//! Rules that take the place of others.

use std::collections::HashMap;

use postern_document::Position;

use crate::rule::Match;

/// Drops, of the matches of one request, those whose rules others of them replace; what is
/// dropped still replaces.
pub fn drop_replaced(matches: &mut [Option<Match<'_>>]) {
    let replaced = |name: &str| {
        let mut names = matches.iter().flatten().flat_map(|found| &found.rule.replaces);
        !name.is_empty() && names.any(|replaced| replaced == name)
    };
    // Nearly no request has any: nothing is allocated then.
    let gone: Vec<usize> = matches
        .iter()
        .enumerate()
        .filter(|(_, found)| found.as_ref().is_some_and(|found| replaced(&found.rule.name)))
        .map(|(index, _)| index)
        .collect();
    for index in gone {
        if let Some(found) = matches.get_mut(index) {
            *found = None;
        }
    }
}

/// A rule with a name that replaces others.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) name: String,
    pub(crate) replaces: Vec<String>,
    pub(crate) at: Position,
}

/// Where rules replace each other in a circle, or one that leads into it: of these, none would
/// count where all match.
pub(crate) fn circular(links: &[Link]) -> Vec<Position> {
    // Takes away, again and again, names that replace no name that is still there.
    let mut open: HashMap<&str, usize> = HashMap::new();
    for link in links {
        open.entry(link.name.as_str()).or_default();
    }
    let mut replaced_by: HashMap<&str, Vec<&str>> = HashMap::new();
    for link in links {
        for name in &link.replaces {
            if open.contains_key(name.as_str()) {
                replaced_by.entry(name.as_str()).or_default().push(link.name.as_str());
                *open.entry(link.name.as_str()).or_default() += 1;
            }
        }
    }
    let done = open.iter().filter(|(_, count)| **count == 0).map(|(name, _)| *name);
    let mut done: Vec<&str> = done.collect();
    while let Some(name) = done.pop() {
        for by in replaced_by.get(name).into_iter().flatten() {
            let Some(count) = open.get_mut(by) else { continue };
            *count -= 1;
            if *count == 0 {
                done.push(*by);
            }
        }
    }
    let remains = |link: &&Link| open.get(link.name.as_str()).is_some_and(|count| *count > 0);
    links.iter().filter(remains).map(|link| link.at).collect()
}
