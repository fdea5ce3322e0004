//! What of an edge route's paths belongs to routes that a workload guards.
//!
//! The workload's sidecar asks the server itself. Were the gateway to ask as well, because the
//! route lies below a prefix that it asks about, exact limits would count the request twice.

use std::collections::BTreeSet;

use postern_document::Route;

use super::super::order::{Order, meet};
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

/// All of a route's requests in one part.
pub(super) fn nothing(route: &Route) -> Vec<Part<'_>> {
    vec![Part { methods: methods(route), other_methods: Vec::new(), not_paths: Vec::new() }]
}

/// A route's requests without those of routes that the document tries before it and that a
/// workload guards.
///
/// # Errors
/// When a policy has no words for what a workload asks about itself, so that it would be asked
/// about twice; or where a route stands in front at some hosts only.
pub(super) fn out_of<'d>(
    rendering: &Rendering<'d>,
    order: &Order<'d>,
    route: &'d Route,
) -> Result<Vec<Part<'d>>, RenderError> {
    let mut carved: Vec<(&Route, String)> = Vec::new();
    let guarded = rendering.workloads.iter().flat_map(|placed| placed.routes.iter().copied());
    for other in guarded.filter(|other| meet(route, other) && overlap(&route.path, &other.path)) {
        let path = narrowest(other);
        // Asked about here it costs time; its own sidecar does not ask.
        if path.is_none() && !other.needs_ext_authz() {
            continue;
        }
        if order.precedes(other, route)? {
            // Where a policy could only say more than the route, the rest would not be asked about.
            let path = path.ok_or_else(|| asked_twice(other, route))?;
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

fn asked_twice(guarded: &Route, route: &Route) -> RenderError {
    let workload = guarded.guarded_by().map(|workload| workload.name.clone());
    RenderError::Workload {
        workload: workload.unwrap_or_default(),
        problem: format!(
            "its route `{}` lies below `{}`, which the gateway asks `ext_authz` about, and no \
             policy can leave `{}` out: the server would be asked twice, and count twice; write \
             another path, or let one place guard both",
            guarded.name, route.name, guarded.path
        ),
    }
}

fn methods(route: &Route) -> Vec<&str> {
    route.methods.iter().map(String::as_str).collect()
}
