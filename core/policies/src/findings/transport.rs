//! What PeerAuthentication leaves open.

use super::{Concern, Finding};
use crate::mtls::{Levels, mutual_tls};
use crate::resources::{MtlsMode, PeerAuthentication, Resources};
use crate::workload::{Mesh, Proxy, Workload};

const KIND: &str = "PeerAuthentication";

pub(super) fn look<'r>(
    resources: &'r Resources,
    mesh: &Mesh,
    workloads: &[Workload],
    found: &mut Vec<Finding<'r>>,
) {
    let mut in_use: Vec<&PeerAuthentication> = Vec::new();
    for workload in workloads {
        let levels = Levels::of(resources, mesh, workload);
        for level in [&levels.mesh, &levels.namespace, &levels.workload] {
            in_use.extend(level.iter().copied());
            found.extend(outvoted(workload, level));
        }
    }
    for resource in resources.peer() {
        let selects = in_use.iter().any(|used| std::ptr::eq(*used, resource));
        if !selects && !workloads.is_empty() {
            let (of, line) = (Some((KIND, &resource.meta)), resource.meta.line);
            found.push(Finding { of, line, concern: Concern::SelectsNothing });
        }
    }
    for workload in workloads.iter().filter(|workload| workload.proxy == Proxy::Sidecar) {
        found.extend(plain_text(resources, mesh, workload));
    }
}

/// All but the oldest of one level.
fn outvoted<'r>(workload: &Workload, level: &[&'r PeerAuthentication]) -> Vec<Finding<'r>> {
    let Some((oldest, others)) = level.split_first() else { return Vec::new() };
    let finding = |other: &&'r PeerAuthentication| Finding {
        of: Some((KIND, &other.meta)),
        line: other.meta.line,
        concern: Concern::NotTheOldest {
            workload: workload.name.clone(),
            instead: oldest.meta.to_string(),
            is_known: oldest.meta.created.is_some() && oldest.meta.created < other.meta.created,
        },
    };
    others.iter().map(finding).collect()
}

fn plain_text<'r>(resources: &'r Resources, mesh: &Mesh, workload: &Workload) -> Vec<Finding<'r>> {
    let ports: Vec<Option<u16>> = if workload.ports.is_empty() {
        vec![None]
    } else {
        workload.ports.iter().map(|port| Some(port.number)).collect()
    };
    let finding = |port: Option<u16>| {
        // No port is 0, so that nothing is said of it.
        let mtls = mutual_tls(resources, mesh, workload, port.unwrap_or_default());
        let concern = Concern::PlainText { workload: workload.name.clone(), port, mode: mtls.mode };
        (mtls.mode != MtlsMode::Strict).then(|| Finding {
            of: mtls.by.map(|by| (KIND, &by.meta)),
            line: mtls.by.map_or(0, |by| by.meta.line),
            concern,
        })
    };
    ports.into_iter().filter_map(finding).collect()
}
