//! What else stands beside the policies: workloads, services, plugins, patches, MeshConfig.
//!
//! Policies are read strictly, because what they mean depends on every field. The rest is only
//! looked up: a field that is not there, or is of another kind, says nothing.

mod bypass;
mod duration;
mod istiod;
mod mesh_config;
mod without;
mod workloads;

use std::collections::BTreeMap;

use postern_document::yaml::{Kind, Node, Problems, parse_all};
use postern_document::{Document, Position, Problem, Source};
use postern_policies::{Mesh, Resources};
use serde_json::{Map, Number, Value};

pub(super) use bypass::Bypass;
pub(super) use mesh_config::{Configs, Found, MeshConfig, Provider};
pub(super) use workloads::{Service, Spoken, Target, Workload};

use super::model::Place;
use crate::manifests::{TEMPLATE, template};

/// Whether a document is MeshConfig that is no resource: itself, or the values of istiod's chart.
pub(crate) fn is_mesh_config(node: &Node) -> bool {
    mesh_config::bare(&value(node)).is_some()
}

/// The same text without the documents that begin on these lines, every other line where it was.
pub(crate) fn without_documents(text: &str, begin: &[usize]) -> String {
    without::documents(text, begin)
}

/// Everything that was found in a folder of manifests.
#[derive(Debug, Clone, Default)]
pub struct Policies {
    pub(super) resources: Resources,
    pub(super) inventory: Inventory,
}

/// Resources of other kinds.
#[derive(Debug, Clone, Default)]
pub(super) struct Inventory {
    pub(super) resources: Vec<Resource>,
    /// MeshConfig, wherever it was found.
    configs: Vec<Found>,
    /// Files with MeshConfig in them that are no resources: what else stands there is the values
    /// of istiod's chart.
    values: Vec<Value>,
}

/// A resource of any kind.
#[derive(Debug, Clone)]
pub(super) struct Resource {
    pub(super) kind: String,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) place: Place,
    /// All of it.
    pub(super) value: Value,
}

impl Policies {
    /// Reads manifests: policies, and whatever else is there. MeshConfig of its own, which is no
    /// resource, may stand beside them.
    ///
    /// # Errors
    /// Every problem of all texts, by file and line.
    pub fn load(sources: &[Source]) -> Result<Self, Vec<Problem>> {
        let names = sources.iter().map(|source| source.name.clone()).collect();
        let mut problems = Problems::new(names);
        let mut inventory = Inventory::default();
        let mut rest = Vec::with_capacity(sources.len());
        for (file, source) in sources.iter().enumerate() {
            if let Some(line) = template(source) {
                problems.report(Position { file, line }, TEMPLATE);
                continue;
            }
            let mut bare = Vec::new();
            for node in &parse_all(&source.text, file, &mut problems) {
                let value = value(node);
                let Some(config) = mesh_config::bare(&value) else {
                    inventory.add(&value, &source.name, node);
                    continue;
                };
                let place = Place { file: source.name.clone(), line: node.at.line };
                inventory.configs.push(Found::bare(config, place));
                inventory.values.push(value);
                bare.push(node.at.line);
            }
            rest.push(Source {
                name: source.name.clone(),
                text: without::documents(&source.text, &bare),
            });
        }
        let mut problems = problems.into_sorted();
        let resources = match Resources::load(&rest) {
            Ok(resources) => resources,
            Err(found) => {
                // What is not YAML at all was told already.
                problems.extend(found);
                problems.dedup();
                return Err(problems);
            }
        };
        if !problems.is_empty() {
            return Err(problems);
        }
        let found = inventory.resources.iter().filter_map(mesh_config::of_resource);
        inventory.configs.extend(found.collect::<Vec<Found>>());
        Ok(Self { resources, inventory })
    }

    /// The policies themselves.
    #[must_use]
    pub const fn resources(&self) -> &Resources {
        &self.resources
    }

    /// Whether MeshConfig was found.
    #[must_use]
    pub fn has_mesh_config(&self, document: &Document) -> bool {
        self.inventory.configs(&document.mesh.root_namespace).counts().is_some()
    }

    /// What holds for all workloads: by MeshConfig, and where that says nothing by the document.
    #[must_use]
    pub fn mesh(&self, document: &Document) -> Mesh {
        let configs = self.inventory.configs(&document.mesh.root_namespace);
        let config = configs.counts().map(|found| found.config.clone()).unwrap_or_default();
        let own = config.trust_domain.unwrap_or_else(|| document.mesh.trust_domain.clone());
        let trust_domains = core::iter::once(own).chain(config.aliases).collect();
        let root = config.root_namespace;
        let provider =
            |known: Provider| postern_policies::Provider { name: known.name, grpc: known.grpc };
        Mesh {
            root_namespace: root.unwrap_or_else(|| document.mesh.root_namespace.clone()),
            trust_domains,
            foreign_domains: config.foreign_domains,
            any_trust_domain: self.inventory.takes_any_trust_domain(),
            providers: config.providers.map(|all| all.into_iter().map(provider).collect()),
            several_providers: self.inventory.takes_several_providers(),
            ..Mesh::default()
        }
    }
}

impl Inventory {
    fn add(&mut self, value: &Value, file: &str, node: &Node) {
        let kind = text(value, "/kind").unwrap_or_default();
        if kind.ends_with("List")
            && let Some(items) = member(node, "items")
        {
            if let Kind::List(items) = &items.kind {
                for item in items {
                    self.add(&self::value(item), file, item);
                }
            }
            return;
        }
        self.resources.push(Resource {
            kind: kind.to_owned(),
            namespace: text(value, "/metadata/namespace").unwrap_or("default").to_owned(),
            name: text(value, "/metadata/name").unwrap_or_default().to_owned(),
            place: Place { file: file.to_owned(), line: node.at.line },
            value: value.clone(),
        });
    }

    /// Resources of some kinds.
    pub(super) fn of<'i>(&'i self, kinds: &'i [&'i str]) -> impl Iterator<Item = &'i Resource> {
        self.resources.iter().filter(move |resource| kinds.contains(&resource.kind.as_str()))
    }
}

impl Resource {
    /// A text somewhere in it, by JSON pointer.
    pub(super) fn text(&self, pointer: &str) -> Option<&str> {
        text(&self.value, pointer)
    }

    /// Items of a list somewhere in it.
    pub(super) fn list(&self, pointer: &str) -> &[Value] {
        list(&self.value, pointer)
    }

    /// An annotation.
    pub(super) fn annotation(&self, name: &str) -> Option<&str> {
        self.value.pointer("/metadata/annotations")?.get(name)?.as_str()
    }

    /// `Kind namespace/name`
    pub(super) fn subject(&self) -> String {
        format!("{} {}/{}", self.kind, self.namespace, self.name)
    }

    /// Labels somewhere in it.
    pub(super) fn labels(&self, pointer: &str) -> BTreeMap<String, String> {
        labels(self.value.pointer(pointer))
    }
}

pub(super) fn text<'v>(value: &'v Value, pointer: &str) -> Option<&'v str> {
    value.pointer(pointer).and_then(Value::as_str)
}

pub(super) fn list<'v>(value: &'v Value, pointer: &str) -> &'v [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn labels(value: Option<&Value>) -> BTreeMap<String, String> {
    let Some(Value::Object(members)) = value else { return BTreeMap::new() };
    let label = |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
    members.iter().filter_map(label).collect()
}

fn member<'n>(node: &'n Node, wanted: &str) -> Option<&'n Node> {
    let Kind::Map(members) = &node.kind else { return None };
    members.iter().find(|(name, ..)| name == wanted).map(|(.., node)| node)
}

/// A node without its places. Numbers that are not whole stay texts: they are only compared.
pub(super) fn value(node: &Node) -> Value {
    match &node.kind {
        Kind::Null => Value::Null,
        Kind::Text(text) | Kind::Number(text) => Value::String(text.clone()),
        Kind::Bool(flag) => Value::Bool(*flag),
        Kind::Whole(number) => Value::Number(Number::from(*number)),
        Kind::List(items) => Value::Array(items.iter().map(value).collect()),
        Kind::Map(members) => {
            let pair = |(name, _, node): &(String, _, Node)| (name.clone(), value(node));
            Value::Object(members.iter().map(pair).collect::<Map<String, Value>>())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn load(text: &str) -> Policies {
        let source = Source { name: "f.yaml".to_owned(), text: text.to_owned() };
        Policies::load(&[source]).unwrap_or_else(|problems| {
            let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
            panic!("{}", told.join("\n"))
        })
    }

    #[test]
    fn lists_and_single_resources_are_found_with_their_lines() {
        let found = load(
            "apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: b}\n---\n\
             apiVersion: v1\nkind: List\nitems:\n\
             - {apiVersion: apps/v1, kind: Deployment, metadata: {name: c}}\n",
        );
        let all: Vec<(String, usize)> = found
            .inventory
            .resources
            .iter()
            .map(|resource| (resource.subject(), resource.place.line))
            .collect();
        let expected = [("Service b/a".to_owned(), 1), ("Deployment default/c".to_owned(), 8)];
        assert_eq!(all, expected);
    }

    #[test]
    fn policies_beside_mesh_config_are_read_with_their_lines() {
        let policy = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n\
                      metadata: {name: a, namespace: b}\nspec: {}\n";
        let config = "trustDomain: td\n";
        for (text, line) in [
            (format!("{config}---\n{policy}"), 3),
            (format!("{policy}---\n{config}"), 1),
            (format!("--- {{trustDomain: td}}\n---\n{policy}"), 3),
            (format!("# first\n---\n{config}...\n---\n{policy}---\n{config}"), 6),
        ] {
            let found = load(&text);
            let lines: Vec<usize> =
                found.resources.authorization().iter().map(|policy| policy.meta.line).collect();
            assert_eq!(lines, [line], "{text}");
            assert!(found.inventory.configs("istio-system").counts().is_some(), "{text}");
        }
    }

    #[test]
    fn a_template_is_told_once_and_as_what_it_is() {
        let text = "kind: Deployment\n{{- if .Values.on }}\na: {{ b }}\n".to_owned();
        let problems = Policies::load(&[Source { name: "f.yaml".to_owned(), text }]).unwrap_err();
        let [problem] = problems.as_slice() else { panic!("{problems:?}") };
        assert!(problem.line == 2 && problem.message.contains("template"), "{problem}");
    }

    #[test]
    fn what_is_neither_a_resource_nor_mesh_config_is_an_error() {
        let source = Source { name: "f.yaml".to_owned(), text: "a: b\n".to_owned() };
        assert!(Policies::load(&[source]).is_err());
    }
}
