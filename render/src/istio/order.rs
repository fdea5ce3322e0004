//! In which order the document tries its routes, host by host.

use std::collections::BTreeMap;

use postern_document::{Document, Route};

use super::RenderError;

/// Where each route stands, host by host.
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
    pub(super) fn precedes(&self, first: &Route, second: &Route) -> Result<bool, RenderError> {
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

    /// Whether one route is tried before another at any host.
    pub(super) fn may_precede(&self, first: &Route, second: &Route) -> bool {
        self.hosts.iter().any(|host| {
            match (host.get(first.name.as_str()), host.get(second.name.as_str())) {
                (Some(first), Some(second)) => first < second,
                _ => false,
            }
        })
    }
}

/// Whether both take a method.
pub(super) fn meet(a: &Route, b: &Route) -> bool {
    a.methods.is_empty()
        || b.methods.is_empty()
        || a.methods.iter().any(|method| b.methods.contains(method))
}
