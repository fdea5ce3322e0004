//! What a reviewer should look at. How grave it is, the reviewer says.

mod never;
mod policies;
mod senseless;
mod transport;

use crate::resources::{Meta, MtlsMode, Resources};
use crate::workload::{Mesh, Workload};

/// Something to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding<'r> {
    /// Which resource; none where it is not about one.
    pub of: Option<(&'static str, &'r Meta)>,
    /// Where it stands: the line of the rule, or of the resource.
    pub line: usize,
    /// What it is.
    pub concern: Concern,
}

/// What there is to look at. Rules count from 0, workloads are called by their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Concern {
    /// The resource is for none of the workloads that are known.
    SelectsNothing,
    /// The resource is for every workload of the mesh: it is in the root namespace, and selects
    /// none.
    MeshWide,
    /// The policy only tells what it would do.
    DryRun,
    /// An ALLOW rule that matches everything.
    AllowsEverything {
        /// Which rule.
        rule: usize,
    },
    /// A part of a rule can never match.
    NeverMatches {
        /// Which rule.
        rule: usize,
        /// Which part, such as `from[0]` or `when[1]`.
        place: String,
        /// Why not.
        why: String,
        /// The whole rule cannot, because there is no other part that could.
        whole: bool,
    },
    /// A rule has so many values that they were not all compared with each other: whether parts of
    /// it never match is not known.
    NotCompared {
        /// Which rule.
        rule: usize,
    },
    /// A rule asks for HTTP and is for a port with something else. An ALLOW rule is left out
    /// there; any other matches as if it did not ask, which is more than is written.
    HttpOnTcp {
        /// Which rule.
        rule: usize,
        /// What it asks for.
        place: String,
        /// On which workload.
        workload: String,
        /// On which of its ports.
        port: u16,
    },
    /// A rule asks what a token says, and nobody verifies such tokens there: what it asks for is
    /// never there, and what it excludes neither.
    TokenNotVerified {
        /// Which rule.
        rule: usize,
        /// What it asks for.
        place: String,
        /// On which workload.
        workload: String,
        /// The issuer that it asks for; none where no issuer is known there at all.
        issuer: Option<String>,
    },
    /// Who may pass depends on a header that RequestAuthentication does not write. If nobody else
    /// writes it in front of the policies, clients do.
    TrustsHeader {
        /// Which rule.
        rule: usize,
        /// The header, in lower case.
        header: String,
        /// On which workload.
        workload: String,
    },
    /// A DENY rule names a host without a port: with the port written out, it is another host.
    HostWithoutPort {
        /// Which rule.
        rule: usize,
        /// The host.
        host: String,
    },
    /// The mesh's configuration has no such provider: what would be asked about is refused.
    UnknownProvider {
        /// Its name.
        provider: String,
    },
    /// The mesh's configuration has such a provider, and istiod does not take it: what would be
    /// asked about is refused.
    InvalidProvider {
        /// Its name.
        provider: String,
        /// Why not.
        why: &'static str,
    },
    /// CUSTOM policies for one workload name different providers: what any of them would be
    /// asked about is refused.
    SeveralProviders {
        /// On which workload.
        workload: String,
        /// Their names.
        providers: Vec<String>,
    },
    /// A workload takes plain text.
    PlainText {
        /// Which workload.
        workload: String,
        /// Which of its ports; none where none is known.
        port: Option<u16>,
        /// What it asks for.
        mode: MtlsMode,
    },
    /// A PeerAuthentication that says nothing, because another one of the same level is older.
    NotTheOldest {
        /// On which workload.
        workload: String,
        /// `namespace/name` of the one that counts.
        instead: String,
        /// Both say when they were made. If not, it may be the other way round in the cluster.
        is_known: bool,
    },
}

/// All that there is to look at, by resource.
#[must_use]
pub fn findings<'r>(
    resources: &'r Resources,
    mesh: &Mesh,
    workloads: &[Workload],
) -> Vec<Finding<'r>> {
    let mut found = Vec::new();
    policies::look(resources, mesh, workloads, &mut found);
    transport::look(resources, mesh, workloads, &mut found);
    found
}
