//! What of an edge route's paths belongs to routes that a workload guards.
//!
//! The workload's sidecar asks the server itself. Were the gateway to ask as well, because the
//! route lies below a prefix that it asks about, exact limits would count the request twice.

use std::collections::{BTreeMap, BTreeSet};

use postern_document::{Document, Route};

use super::super::policy_path::{narrowest, overlap};
use super::super::{RenderError, Rendering};

/// A part of a route's requests, told by method.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part<'d> {
    /// These methods; all but the others where it is empty.
    pub(super) methods: Vec<&'d str>,
    /// Not these.
    pub(super) other_methods: Vec<&'d str>,
    /// What is left out.
    pub(super) not_paths: Vec<String>,
}

/// In which order the document tries its routes, host by host.
#[derive(Debug)]
pub(super) struct Order<'d> {
    hosts: Vec<BTreeMap<&'d str, usize>>,
}

impl<'d> Order<'d> {
    /// That of a document.
    pub(super) fn of(document: &'d Document) -> Self {
        let hosts = document.virtual_hosts();
        let hosts = hosts.iter().map(|host| {
            let routes = host.routes.iter().filter_map(|index| document.routes.get(*index));
            routes.enumerate().map(|(at, route)| (route.name.as_str(), at)).collect()
        });
        Self { hosts: hosts.collect() }
    }

    /// Whether one route is tried before another, wherever the other is.
    ///
    /// # Errors
    /// When it is at some hosts only: an operation has no way to leave out a path at a host.
    fn precedes(&self, first: &Route, second: &Route) -> Result<bool, RenderError> {
        let (mut before, mut not_before) = (false, false);
        for host in &self.hosts {
            match (host.get(first.name.as_str()), host.get(second.name.as_str())) {
                (_, None) => {}
                (Some(first), Some(second)) if first < second => before = true,
                _ => not_before = true,
            }
        }
        if before && not_before {
            let workload = first.guarded_by().map(|workload| workload.name.clone());
            return Err(RenderError::Workload {
                workload: workload.unwrap_or_default(),
                problem: format!(
                    "its route `{}` stands in front of `{}` at some of that route's hosts only: \
                     give both the same hosts",
                    first.name, second.name
                ),
            });
        }
        Ok(before)
    }
}

/// All of a route's requests in one part.
pub(super) fn nothing(route: &Route) -> Vec<Part<'_>> {
    vec![Part { methods: methods(route), other_methods: Vec::new(), not_paths: Vec::new() }]
}

/// A route's requests without those of routes that the document tries before it and that a
/// workload guards.
pub(super) fn out_of<'d>(
    rendering: &Rendering<'d>,
    order: &Order<'d>,
    route: &'d Route,
) -> Result<Vec<Part<'d>>, RenderError> {
    let mut carved: Vec<(&Route, String)> = Vec::new();
    let guarded = rendering.workloads.iter().flat_map(|placed| placed.routes.iter().copied());
    for other in guarded.filter(|other| meet(route, other) && overlap(&route.path, &other.path)) {
        // Where a policy could only say more than the route, the rest would not be asked about.
        let Some(path) = narrowest(other) else { continue };
        if order.precedes(other, route)? {
            carved.push((other, path));
        }
    }
    if carved.is_empty() {
        return Ok(nothing(route));
    }
    let without = |method: Option<&str>| -> Vec<String> {
        let takes = |other: &&(&Route, String)| {
            other.0.methods.is_empty()
                || method.is_some_and(|method| other.0.methods.iter().any(|m| m == method))
        };
        let paths: BTreeSet<&String> = carved.iter().filter(takes).map(|(_, path)| path).collect();
        paths.into_iter().cloned().collect()
    };
    let named: Vec<&str> = if route.methods.is_empty() {
        let named = carved.iter().flat_map(|(other, _)| other.methods.iter().map(String::as_str));
        named.collect::<BTreeSet<_>>().into_iter().collect()
    } else {
        methods(route)
    };
    let mut parts: Vec<Part<'_>> = Vec::new();
    if route.methods.is_empty() {
        let not_paths = without(None);
        parts.push(Part { methods: Vec::new(), other_methods: named.clone(), not_paths });
    }
    for method in named {
        let not_paths = without(Some(method));
        let is_same =
            |part: &&mut Part<'_>| !part.methods.is_empty() && part.not_paths == not_paths;
        match parts.iter_mut().find(is_same) {
            Some(part) => part.methods.push(method),
            None => {
                parts.push(Part { methods: vec![method], other_methods: Vec::new(), not_paths });
            }
        }
    }
    Ok(parts)
}

fn methods(route: &Route) -> Vec<&str> {
    route.methods.iter().map(String::as_str).collect()
}

/// Whether both take a method.
fn meet(a: &Route, b: &Route) -> bool {
    a.methods.is_empty()
        || b.methods.is_empty()
        || a.methods.iter().any(|method| b.methods.contains(method))
}
