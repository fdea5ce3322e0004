//! Whose a resource is, and where it was read.

use core::cmp::Ordering;
use core::fmt;

use postern_document::yaml::{Kind, Node, Problems};
use postern_document::{Position, Source};

use super::fields::Fields;

/// What identifies a resource among those of its kind, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// The namespace that it is in.
    pub namespace: String,
    /// Its name there.
    pub name: String,
    /// When the API server took it, as RFC 3339 in UTC; none in files that people write.
    pub created: Option<String>,
    /// The name of the text that it stands in.
    pub file: String,
    /// The line of that text where it begins, from 1.
    pub line: usize,
}

/// `namespace/name`
impl fmt::Display for Meta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl Meta {
    /// Istio's order: the oldest first, then by name and namespace. What has no time is older
    /// than anything that has (`pilot/pkg/model/config.go`, `configCompareByCreationTime`).
    pub(crate) fn by_age(&self, other: &Self) -> Ordering {
        (&self.created, &self.name, &self.namespace).cmp(&(
            &other.created,
            &other.name,
            &other.namespace,
        ))
    }
}

/// What an API server writes into `metadata`, and what people do.
const METADATA: [&str; 15] = [
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "labels",
    "managedFields",
    "name",
    "namespace",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// An annotation, and where it stands.
pub(super) struct Annotation {
    pub(super) name: String,
    pub(super) text: String,
    pub(super) at: Position,
}

/// A resource that is being read: whose it is, and what it asks for.
pub(super) struct Opened<'n> {
    pub(super) meta: Meta,
    pub(super) annotations: Vec<Annotation>,
    /// None is a resource that leaves everything at its default.
    pub(super) spec: Option<&'n Node>,
}

/// Opens a resource: everything but its `spec`.
pub(super) fn open<'n>(
    node: &'n Node,
    sources: &[Source],
    problems: &mut Problems,
) -> Option<Opened<'n>> {
    let known = ["apiVersion", "kind", "metadata", "spec", "status"];
    let root = Fields::open(node, &known, problems)?;
    let Some(metadata) = root.get("metadata") else {
        problems.report(root.at, "`metadata` is missing");
        return None;
    };
    problems.within("metadata", |problems| {
        let fields = Fields::open(metadata, &METADATA, problems)?;
        let name = fields.required("name", problems);
        if fields.get("namespace").is_none() {
            let message = "`namespace` is missing: what the resource is for depends on it, and \
                           `kubectl` would take whichever is current";
            problems.report(fields.at, message);
        }
        let namespace = fields.text("namespace", problems);
        for (field, text, most) in [("name", &name, 253), ("namespace", &namespace, 63)] {
            if text.as_deref().is_some_and(|text| !is_name(text, most)) {
                let message = format!("`{field}` is lower-case letters, digits, `-` and `.`");
                problems.within(field, |problems| problems.report(fields.place(field), message));
            }
        }
        let annotations = fields.pairs("annotations", problems);
        let meta = Meta {
            namespace: namespace?,
            name: name?,
            created: created(&fields, problems),
            file: sources.get(node.at.file).map_or_else(String::new, |source| source.name.clone()),
            line: node.at.line,
        };
        let one = |(name, text, at)| Annotation { name, text, at };
        let annotations = annotations.into_iter().map(one).collect();
        Some(Opened { meta, annotations, spec: root.get("spec") })
    })
}

fn is_name(text: &str, most: usize) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.');
    !text.is_empty() && text.len() <= most && text.bytes().all(plain)
}

/// Times are compared as texts, so they must all be written in the one way that API servers do.
fn created(fields: &Fields<'_>, problems: &mut Problems) -> Option<String> {
    let node = fields.get("creationTimestamp")?;
    // Tools that write resources without an API server leave it open.
    if node.kind == Kind::Null {
        return None;
    }
    let text = fields.text("creationTimestamp", problems)?;
    let shape = b"dddd-dd-ddTdd:dd:ddZ";
    let fits = text.len() == shape.len()
        && text.bytes().zip(shape).all(|(byte, wanted)| match wanted {
            b'd' => byte.is_ascii_digit(),
            _ => byte == *wanted,
        });
    if !fits && !text.is_empty() {
        problems.within("creationTimestamp", |problems| {
            problems.report(node.at, "a time is written as `2026-01-31T12:00:00Z`");
        });
    }
    Some(text)
}
