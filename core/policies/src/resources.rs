//! From texts to resources.

mod attribute;
mod authorization;
mod fields;
mod meta;
mod peer;
mod request;
mod rule;
mod selection;

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use postern_document::yaml::{Kind, Node, Problems, parse_all};
use postern_document::{Position, Problem, Source};

pub use attribute::Attribute;
pub use authorization::{Action, AuthorizationPolicy};
use fields::Fields;
use meta::Annotation;
pub use meta::Meta;
pub use peer::{MtlsMode, PeerAuthentication};
pub use request::{ClaimHeader, JwtRule, RequestAuthentication, TokenHeader};
pub use rule::{Rule, Test};
pub use selection::{Selection, Target, TargetKind};

use crate::MAX_RESOURCES;

/// The security policies of a mesh.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Resources {
    authorization: Vec<AuthorizationPolicy>,
    peer: Vec<PeerAuthentication>,
    request: Vec<RequestAuthentication>,
    skipped: Vec<Skipped>,
    warnings: Vec<Problem>,
}

/// A resource of a kind that says nothing here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Group and version, as written.
    pub api_version: String,
    /// What it is.
    pub kind: String,
    /// The name of the text that it stands in.
    pub file: String,
    /// Where in there it begins.
    pub line: usize,
}

impl Resources {
    /// Reads all resources of all texts: several in one text, lists of them, other kinds too,
    /// which are skipped.
    ///
    /// # Errors
    /// Every problem of all texts, by file and line: what istiod, the API server or Envoy would
    /// refuse, fields that nobody knows, and what has no namespace.
    pub fn load(sources: &[Source]) -> Result<Self, Vec<Problem>> {
        let names: Vec<String> = sources.iter().map(|source| source.name.clone()).collect();
        let mut problems = Problems::new(names.clone());
        let mut warnings = Problems::new(names);
        let mut loader = Loader { sources, read: Self::default(), seen: HashMap::new(), count: 0 };
        for (file, source) in sources.iter().enumerate() {
            for node in parse_all(&source.text, file, &mut problems) {
                let reader = &mut Reader { problems: &mut problems, warnings: &mut warnings };
                loader.resource(&node, reader);
            }
        }
        if !problems.is_empty() {
            return Err(problems.into_sorted());
        }
        let mut read = loader.read;
        read.warnings = warnings.into_sorted();
        // What stands in which file, and in what order, makes no difference.
        read.authorization.sort_by(|a, b| a.meta.by_age(&b.meta));
        read.peer.sort_by(|a, b| a.meta.by_age(&b.meta));
        read.request.sort_by(|a, b| a.meta.by_age(&b.meta));
        Ok(read)
    }

    /// The oldest first, as Istio sorts them; so are the others.
    #[must_use]
    pub fn authorization(&self) -> &[AuthorizationPolicy] {
        &self.authorization
    }

    /// How workloads want to be talked to.
    #[must_use]
    pub fn peer(&self) -> &[PeerAuthentication] {
        &self.peer
    }

    /// Whose tokens workloads know.
    #[must_use]
    pub fn request(&self) -> &[RequestAuthentication] {
        &self.request
    }

    /// What else stood in the texts.
    #[must_use]
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// What is allowed, and may mean something else than its author thinks.
    #[must_use]
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }
}

/// Where readers report to; both know the path that is being read.
struct Reader<'p> {
    problems: &'p mut Problems,
    warnings: &'p mut Problems,
}

impl Reader<'_> {
    fn open<'n>(&mut self, node: &'n Node, known: &[&str]) -> Option<Fields<'n>> {
        Fields::open(node, known, self.problems)
    }

    fn within<T>(&mut self, name: &str, inside: impl FnOnce(&mut Reader<'_>) -> T) -> T {
        let Reader { problems, warnings } = self;
        problems.within(name, |problems| {
            warnings.within(name, |warnings| inside(&mut Reader { problems, warnings }))
        })
    }

    /// Within an item of a list.
    fn enter(&mut self, name: &str, index: usize, inside: impl FnOnce(&mut Reader<'_>)) {
        self.within(name, |reader| {
            let Reader { problems, warnings } = reader;
            problems.at_index(index, |problems| {
                warnings.at_index(index, |warnings| inside(&mut Reader { problems, warnings }));
            });
        });
    }

    /// An empty list reads like "nobody", and means "everybody".
    fn warn_of_nothing(&mut self, fields: &Fields<'_>, name: &str) {
        if fields.get(name).is_some_and(|node| node.kind == Kind::List(Vec::new())) {
            let message = "an empty list is as good as none: this restricts nothing";
            let at = fields.place(name);
            self.within(name, |reader| reader.warnings.report(at, message));
        }
    }
}

struct Loader<'s> {
    sources: &'s [Source],
    read: Resources,
    /// Which resources were read, and where.
    seen: HashMap<(String, String, String), Position>,
    /// How many, lists apart.
    count: usize,
}

const GROUP: &str = "security.istio.io";

impl Loader<'_> {
    fn resource(&mut self, node: &Node, reader: &mut Reader<'_>) {
        let Some((api_version, kind)) = self.identify(node, reader.problems) else { return };
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        match (group, kind) {
            ("", "List")
            | (
                GROUP,
                "AuthorizationPolicyList" | "PeerAuthenticationList" | "RequestAuthenticationList",
            ) => return self.list(node, reader),
            _ => {}
        }
        self.count += 1;
        if self.count > MAX_RESOURCES {
            if self.count == MAX_RESOURCES + 1 {
                let message = format!("at most {MAX_RESOURCES} resources in all files");
                reader.problems.report(node.at, message);
            }
            return;
        }
        let ours = ["AuthorizationPolicy", "PeerAuthentication", "RequestAuthentication"];
        if group != GROUP || !ours.contains(&kind) {
            let (api_version, kind) = (api_version.to_owned(), kind.to_owned());
            let (file, line) = (self.file(node.at), node.at.line);
            self.read.skipped.push(Skipped { api_version, kind, file, line });
            return;
        }
        if !matches!(version, "v1" | "v1beta1") {
            let message = format!("{kind} is served as v1 and v1beta1");
            reader.problems.report(node.at, message);
        }
        self.policy(node, kind, reader);
    }

    /// What a resource says it is.
    fn identify<'n>(&self, node: &'n Node, problems: &mut Problems) -> Option<(&'n str, &'n str)> {
        let Kind::Map(members) = &node.kind else {
            let message = format!("expected a resource, found {}", node.kind.describe());
            problems.report(node.at, message);
            return None;
        };
        let text = |wanted: &str| {
            members.iter().find_map(|(name, _, value)| match &value.kind {
                Kind::Text(text) if name == wanted && !text.is_empty() => Some(text.as_str()),
                _ => None,
            })
        };
        let identity = text("apiVersion").zip(text("kind"));
        if identity.is_none() {
            problems.report(node.at, "a resource has `apiVersion` and `kind`");
        }
        identity
    }

    fn policy(&mut self, node: &Node, kind: &str, reader: &mut Reader<'_>) {
        let Some(opened) = meta::open(node, self.sources, reader.problems) else { return };
        if kind != "AuthorizationPolicy" {
            let dry_run = opened.annotations.iter().find(|one| one.name == authorization::DRY_RUN);
            if let Some(Annotation { name, at, .. }) = dry_run {
                let message = format!("`{name}` is for AuthorizationPolicies: {kind} counts");
                reader.problems.report(*at, message);
            }
        }
        let Meta { namespace, name, .. } = &opened.meta;
        let key = (kind.to_owned(), namespace.clone(), name.clone());
        match self.seen.entry(key) {
            Entry::Vacant(vacant) => {
                vacant.insert(node.at);
            }
            Entry::Occupied(first) => {
                let Position { file, line } = *first.get();
                let file = self.sources.get(file).map_or("", |source| source.name.as_str());
                let message = format!(
                    "{kind} {} stands on line {line} of {file} already: which of the two counts \
                     nobody can tell",
                    opened.meta
                );
                reader.problems.report(node.at, message);
            }
        }
        match kind {
            "AuthorizationPolicy" => {
                self.read.authorization.extend(authorization::read(opened, reader));
            }
            "PeerAuthentication" => self.read.peer.extend(peer::read(opened, reader)),
            _ => self.read.request.extend(request::read(opened, reader)),
        }
    }

    /// What `kubectl get -o yaml` writes. Lists in lists are as deep as the text may be.
    fn list(&mut self, node: &Node, reader: &mut Reader<'_>) {
        let known = ["apiVersion", "kind", "metadata", "items"];
        let Some(fields) = reader.open(node, &known) else { return };
        let items = fields.list("items", MAX_RESOURCES, reader.problems).unwrap_or_default();
        for (index, item) in items.iter().enumerate() {
            reader.enter("items", index, |reader| self.resource(item, reader));
        }
    }

    fn file(&self, at: Position) -> String {
        self.sources.get(at.file).map(|source| source.name.clone()).unwrap_or_default()
    }
}
