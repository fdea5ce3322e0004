//! Which workloads a resource is for.

use std::collections::BTreeMap;

use postern_document::yaml::{Node, Problems};

use super::fields::Fields;

/// Most labels that a selector has, and most references (CRD).
const MAX_LABELS: usize = 4096;
const MAX_TARGETS: usize = 16;
const GATEWAY_API: &str = "gateway.networking.k8s.io";

/// How a resource selects workloads.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// Labels that a workload must have; none are all workloads.
    pub labels: BTreeMap<String, String>,
    /// What the resource is attached to instead; none where it selects by labels.
    pub targets: Vec<Target>,
}

/// What a resource is attached to: an item of `targetRefs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// What kind of thing.
    pub kind: TargetKind,
    /// Its name, in the resource's namespace.
    pub name: String,
}

/// What resources can be attached to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetKind {
    /// A Service behind a waypoint.
    Service,
    /// A ServiceEntry behind a waypoint.
    ServiceEntry,
    /// A gateway or waypoint of the Gateway API.
    Gateway,
    /// All waypoints; only in the root namespace.
    GatewayClass,
}

impl Selection {
    /// Whether it is for all workloads within its reach.
    #[must_use]
    pub fn is_for_all(&self) -> bool {
        self.labels.is_empty() && self.targets.is_empty()
    }

    /// Reads `selector`, `targetRef` and `targetRefs`, of which one at most may stand there.
    pub(super) fn read(fields: &Fields<'_>, problems: &mut Problems) -> Self {
        let labels = labels(fields, problems);
        let mut targets = Vec::new();
        if let Some(node) = fields.get("targetRef") {
            problems.within("targetRef", |problems| targets.extend(target(node, problems)));
        }
        let items = fields.list("targetRefs", MAX_TARGETS, problems).unwrap_or_default();
        problems.within("targetRefs", |problems| {
            for (index, node) in items.iter().enumerate() {
                problems.at_index(index, |problems| targets.extend(target(node, problems)));
            }
        });
        let several = [
            fields.get("selector").is_some(),
            fields.get("targetRef").is_some(),
            !items.is_empty(),
        ];
        if several.into_iter().filter(|there| *there).count() > 1 {
            problems.report(fields.at, "either `selector` or `targetRefs`, not both");
        }
        Self { labels, targets }
    }
}

/// Reads `selector`.
pub(super) fn labels(fields: &Fields<'_>, problems: &mut Problems) -> BTreeMap<String, String> {
    let Some(node) = fields.get("selector") else { return BTreeMap::new() };
    problems.within("selector", |problems| {
        let Some(fields) = Fields::open(node, &["matchLabels"], problems) else {
            return BTreeMap::new();
        };
        let pairs = fields.pairs("matchLabels", problems);
        if pairs.len() > MAX_LABELS {
            problems.report(fields.place("matchLabels"), format!("at most {MAX_LABELS} labels"));
        }
        for (name, value, at) in &pairs {
            let message = if name.is_empty() {
                "a label has a name"
            } else if name.contains('*') || value.contains('*') {
                "labels are compared as they are written: `*` is not allowed"
            } else if value.chars().count() > 63 {
                "a label's value has at most 63 characters"
            } else {
                continue;
            };
            problems.within("matchLabels", |problems| problems.report(*at, message));
        }
        pairs.into_iter().map(|(name, value, _)| (name, value)).collect()
    })
}

fn target(node: &Node, problems: &mut Problems) -> Option<Target> {
    let fields = Fields::open(node, &["group", "kind", "name", "namespace"], problems)?;
    let (kind, name) = (fields.required("kind", problems), fields.required("name", problems));
    // `""` is the group of Service, and is written out by some tools.
    let group = fields.optional_text("group", problems).unwrap_or_default();
    if fields.optional_text("namespace", problems).is_some_and(|text| !text.is_empty()) {
        let message = "`namespace` must not be set: what is in another namespace is out of reach";
        problems.report(fields.place("namespace"), message);
    }
    let kind = match (group.as_str(), kind?.as_str()) {
        ("" | "core", "Service") => TargetKind::Service,
        ("networking.istio.io", "ServiceEntry") => TargetKind::ServiceEntry,
        (GATEWAY_API, "Gateway") => TargetKind::Gateway,
        (GATEWAY_API, "GatewayClass") => TargetKind::GatewayClass,
        _ => {
            let message = "only Service, ServiceEntry (networking.istio.io), Gateway and \
                           GatewayClass (gateway.networking.k8s.io) can be referred to";
            problems.report(node.at, message);
            return None;
        }
    };
    Some(Target { kind, name: name? })
}
