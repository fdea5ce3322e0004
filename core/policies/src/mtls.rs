//! Which mutual TLS a port asks for.

use crate::resources::{MtlsMode, PeerAuthentication, Resources};
use crate::workload::{Mesh, Workload};

/// What a port asks for, and who says so.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mtls<'r> {
    /// What it asks for.
    pub mode: MtlsMode,
    /// Who says so; none is Istio's default.
    pub by: Option<&'r PeerAuthentication>,
}

/// What a workload's port asks for (`ComposePeerAuthentication`): what is said of the workload
/// goes before its namespace, and that before the mesh; of several that say something on one
/// level the oldest counts, even where it leaves the mode open.
#[must_use]
pub fn mutual_tls<'r>(
    resources: &'r Resources,
    mesh: &Mesh,
    workload: &Workload,
    port: u16,
) -> Mtls<'r> {
    Levels::of(resources, mesh, workload).on(port)
}

/// What is said of a workload on each level, the oldest first.
#[derive(Debug)]
pub(crate) struct Levels<'r> {
    pub(crate) mesh: Vec<&'r PeerAuthentication>,
    pub(crate) namespace: Vec<&'r PeerAuthentication>,
    pub(crate) workload: Vec<&'r PeerAuthentication>,
}

impl<'r> Levels<'r> {
    pub(crate) fn of(resources: &'r Resources, mesh: &Mesh, workload: &Workload) -> Self {
        let mut levels = Self { mesh: Vec::new(), namespace: Vec::new(), workload: Vec::new() };
        for resource in resources.peer_for(mesh, workload) {
            let in_root = resource.meta.namespace == mesh.root_namespace;
            let level = match (in_root, resource.labels.is_empty()) {
                (true, true) => &mut levels.mesh,
                (false, true) => &mut levels.namespace,
                (false, false) => &mut levels.workload,
                // With labels it says nothing there, not even of workloads of that namespace.
                (true, false) => continue,
            };
            level.push(resource);
        }
        levels
    }

    /// What a port asks for.
    pub(crate) fn on(&self, port: u16) -> Mtls<'r> {
        let mut found = Mtls { mode: MtlsMode::Permissive, by: None };
        for level in [&self.mesh, &self.namespace, &self.workload] {
            let Some(oldest) = level.first().copied() else { continue };
            if let Some(mode) = oldest.mode {
                found = Mtls { mode, by: Some(oldest) };
            }
        }
        // Only what is said of the workload itself can name ports.
        let oldest = self.workload.first().copied();
        let for_port = oldest.and_then(|oldest| oldest.ports.get(&port).copied().flatten());
        if let Some(mode) = for_port {
            found = Mtls { mode, by: oldest };
        }
        found
    }
}
