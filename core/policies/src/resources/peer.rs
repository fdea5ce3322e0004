//! PeerAuthentication.

use std::collections::BTreeMap;

use postern_document::yaml::{Kind, Node, Problems};

use super::Reader;
use super::fields::Fields;
use super::meta::{Meta, Opened};
use super::selection::labels;

/// How the workloads that it selects want to be talked to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerAuthentication {
    /// Whose it is.
    pub meta: Meta,
    /// Labels that a workload must have. Without any it is for the whole namespace, or in the
    /// root namespace for the whole mesh.
    pub labels: BTreeMap<String, String>,
    /// For all ports; none inherits.
    pub mode: Option<MtlsMode>,
    /// For some ports of the workload; none inherits from `mode`.
    pub ports: BTreeMap<u16, Option<MtlsMode>>,
}

/// Whether callers must show a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MtlsMode {
    /// The sidecar does not end TLS.
    Disable,
    /// Both, as the caller likes.
    Permissive,
    /// They must.
    Strict,
}

impl MtlsMode {
    /// As policies spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disable => "DISABLE",
            Self::Permissive => "PERMISSIVE",
            Self::Strict => "STRICT",
        }
    }
}

pub(super) fn read(opened: Opened<'_>, reader: &mut Reader<'_>) -> Option<PeerAuthentication> {
    let Opened { meta, spec, .. } = opened;
    let Some(spec) = spec else {
        let (labels, ports) = (BTreeMap::new(), BTreeMap::new());
        return Some(PeerAuthentication { meta, labels, mode: None, ports });
    };
    reader.problems.within("spec", |problems| {
        let fields = Fields::open(spec, &["selector", "mtls", "portLevelMtls"], problems)?;
        let labels = labels(&fields, problems);
        let mode = fields
            .get("mtls")
            .and_then(|node| problems.within("mtls", |problems| mode(node, problems)));
        let ports = ports(&fields, problems);
        if fields.get("portLevelMtls").is_some() && labels.is_empty() {
            let message = "ports are for some workloads: `selector` must have labels";
            problems.report(fields.place("portLevelMtls"), message);
        }
        Some(PeerAuthentication { meta, labels, mode, ports })
    })
}

fn mode(node: &Node, problems: &mut Problems) -> Option<MtlsMode> {
    let fields = Fields::open(node, &["mode"], problems)?;
    match fields.text("mode", problems)?.as_str() {
        "UNSET" => None,
        "DISABLE" => Some(MtlsMode::Disable),
        "PERMISSIVE" => Some(MtlsMode::Permissive),
        "STRICT" => Some(MtlsMode::Strict),
        _ => {
            let message = "expected one of STRICT, PERMISSIVE, DISABLE, UNSET";
            problems.within("mode", |problems| problems.report(fields.place("mode"), message));
            None
        }
    }
}

fn ports(fields: &Fields<'_>, problems: &mut Problems) -> BTreeMap<u16, Option<MtlsMode>> {
    let mut ports = BTreeMap::new();
    let Some(node) = fields.get("portLevelMtls") else { return ports };
    problems.within("portLevelMtls", |problems| {
        let Kind::Map(members) = &node.kind else {
            let message = format!("expected a mapping, found {}", node.kind.describe());
            problems.report(node.at, message);
            return;
        };
        if members.is_empty() {
            problems.report(node.at, "there must be a port");
        }
        for (name, at, node) in members {
            let digits = name.bytes().all(|byte| byte.is_ascii_digit()) && !name.starts_with('0');
            match name.parse::<u16>() {
                Ok(port) if digits => {
                    let mode = problems.within(name, |problems| mode(node, problems));
                    ports.insert(port, mode);
                }
                _ => problems.report(*at, "a port is a number from 1 to 65535"),
            }
        }
    });
    ports
}
