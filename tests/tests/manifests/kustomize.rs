//! What a folder of manifests builds to: as much of kustomize as `istio/` uses, so that no program
//! has to be there for it. A field that is not known here is an error, never passed over.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use postern_e2e::env;
use serde::Deserialize as _;
use serde_json::{Map, Value, json};

/// The file that says what belongs to a folder.
pub const KUSTOMIZATION: &str = "kustomization.yaml";
/// What this reads of it.
const FIELDS: [&str; 8] = [
    "apiVersion",
    "kind",
    "resources",
    "components",
    "configMapGenerator",
    "images",
    "patches",
    "replicas",
];

/// A resource, and the file that it came from.
#[derive(Debug, Clone)]
pub struct Resource {
    /// Within the repository.
    pub file: String,
    /// The resource.
    pub value: Value,
}

impl Resource {
    /// Kind and name, for texts of failures.
    pub fn shown(&self) -> String {
        format!("{} {} ({})", self.kind(), self.name(), self.file)
    }

    /// `kind`
    pub fn kind(&self) -> &str {
        text(&self.value, "/kind")
    }

    /// `metadata.name`
    pub fn name(&self) -> &str {
        text(&self.value, "/metadata/name")
    }

    /// `metadata.namespace`
    pub fn namespace(&self) -> &str {
        text(&self.value, "/metadata/namespace")
    }
}

/// A text at a JSON pointer; empty where there is none.
pub fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The items of a list; none where there is no list.
pub fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

/// The texts of a list.
pub fn texts(list: &Value) -> impl Iterator<Item = &str> {
    items(list).filter_map(Value::as_str)
}

/// The folder of all manifests.
pub fn root() -> PathBuf {
    env::repository().join("istio")
}

/// All resources of a file.
pub fn read_yaml(file: &Path) -> Vec<Value> {
    let content = fs::read_to_string(file);
    let content = content.unwrap_or_else(|error| panic!("reading {}: {error}", file.display()));
    serde_yaml_ng::Deserializer::from_str(&content)
        .map(|document| {
            Value::deserialize(document)
                .unwrap_or_else(|error| panic!("{}: {error}", file.display()))
        })
        .filter(|value| !value.is_null())
        .collect()
}

/// The one document of a `kustomization.yaml`.
pub fn read_kustomization(folder: &Path) -> Value {
    let file = folder.join(KUSTOMIZATION);
    let mut documents = read_yaml(&file);
    assert_eq!(documents.len(), 1, "{}", file.display());
    let kustomization = documents.remove(0);
    for field in kustomization.as_object().expect("a mapping").keys() {
        assert!(
            FIELDS.contains(&field.as_str()),
            "{}: this test does not know `{field}`: teach it in tests/tests/manifests/kustomize.rs",
            file.display()
        );
    }
    kustomization
}

/// What a folder builds to, in kustomize's order: what is listed, what is made, what is changed.
pub fn build(folder: &Path) -> Vec<Resource> {
    let kustomization = read_kustomization(folder);
    let mut built = Vec::new();
    for listed in texts(&kustomization["resources"]) {
        let path = folder.join(listed);
        if path.is_dir() {
            built.extend(build(&path));
        } else {
            let file = shown(&path);
            built.extend(read_yaml(&path).into_iter().map(|value| {
                let file = file.clone();
                Resource { file, value }
            }));
        }
    }
    for listed in texts(&kustomization["components"]) {
        built.extend(build(&folder.join(listed)));
    }
    for generator in items(&kustomization["configMapGenerator"]) {
        generate(&mut built, folder, generator);
    }
    for patch in items(&kustomization["patches"]) {
        change(&mut built, folder, patch);
    }
    for replicas in items(&kustomization["replicas"]) {
        let name = text(replicas, "/name");
        let found = built.iter_mut().find(|one| one.kind() == "Deployment" && one.name() == name);
        let found = found.unwrap_or_else(|| panic!("{}: no Deployment {name}", folder.display()));
        found.value["spec"]["replicas"] = replicas["count"].clone();
    }
    for image in items(&kustomization["images"]) {
        built.iter_mut().for_each(|resource| name_image(&mut resource.value, image));
    }
    built
}

/// The same with components, as an overlay of somebody's own would have it.
pub fn build_with(overlay: &str, components: &[&str]) -> Vec<Resource> {
    let mut built = build(&root().join("overlays").join(overlay));
    for component in components {
        built.extend(build(&root().join("components").join(component)));
    }
    built
}

/// A path as the repository names it.
fn shown(path: &Path) -> String {
    let canonical = |path: &Path| fs::canonicalize(path).expect("a path that is there");
    let (path, repository) = (canonical(path), canonical(&env::repository()));
    path.strip_prefix(repository).expect("a file of the repository").display().to_string()
}

/// A ConfigMap of files. Without the hash in its name: references are looked up without it too.
fn generate(built: &mut Vec<Resource>, folder: &Path, generator: &Value) {
    let mut data = Map::new();
    for file in texts(&generator["files"]) {
        let content = fs::read_to_string(folder.join(file)).expect("a file of a ConfigMap");
        data.insert(file.to_owned(), Value::String(content));
    }
    let (name, namespace) = (text(generator, "/name"), text(generator, "/namespace"));
    let there = built.iter_mut().find(|one| one.kind() == "ConfigMap" && one.name() == name);
    match (text(generator, "/behavior"), there) {
        ("", None) => built.push(Resource {
            file: shown(&folder.join(KUSTOMIZATION)),
            value: json!({
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": name, "namespace": namespace},
                "data": data,
            }),
        }),
        ("replace", Some(there)) if there.namespace() == namespace => {
            there.value["data"] = Value::Object(data);
        }
        (behavior, _) => panic!("{}: `{behavior}` of {namespace}/{name}", folder.display()),
    }
}

/// JSON patches that replace a value which is there.
fn change(built: &mut [Resource], folder: &Path, patch: &Value) {
    let (kind, name) = (text(patch, "/target/kind"), text(patch, "/target/name"));
    let target = built.iter_mut().find(|one| one.kind() == kind && one.name() == name);
    let target = target.unwrap_or_else(|| panic!("{}: no {kind} {name}", folder.display()));
    let operations: Value = serde_yaml_ng::from_str(text(patch, "/patch")).expect("a JSON patch");
    for operation in items(&operations) {
        assert_eq!(operation["op"], "replace", "{}: teach this test", folder.display());
        let path = text(operation, "/path");
        let place = target.value.pointer_mut(path);
        let place = place.unwrap_or_else(|| panic!("{kind} {name} has nothing at {path}"));
        *place = operation["value"].clone();
    }
}

/// Gives every container with an image of that name its tag.
fn name_image(value: &mut Value, image: &Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                if let ("image", Value::String(named)) = (name.as_str(), &mut *member) {
                    let (bare, _) = named.split_once(':').unwrap_or((named.as_str(), ""));
                    if bare == text(image, "/name") {
                        *named = format!("{bare}:{}", text(image, "/newTag"));
                    }
                } else {
                    name_image(member, image);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| name_image(item, image)),
        _ => {}
    }
}

/// All folders below `istio/` with a `kustomization.yaml` of ours; the rendered examples have tests
/// of their own.
pub fn folders() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![root()];
    while let Some(folder) = left.pop() {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("sample") {
            continue;
        }
        if folder.join(KUSTOMIZATION).is_file() {
            found.push(folder.clone());
        }
        let entries = fs::read_dir(&folder).expect("a folder of manifests");
        left.extend(entries.map(|entry| entry.expect("an entry").path()).filter(|p| p.is_dir()));
    }
    found.sort();
    found
}

/// What a `kustomization.yaml` names of its own folder: files, and folders below it.
pub fn listed(kustomization: &Value) -> BTreeSet<String> {
    let of_generators =
        items(&kustomization["configMapGenerator"]).flat_map(|one| texts(&one["files"]));
    let named = texts(&kustomization["resources"]).chain(texts(&kustomization["components"]));
    named.chain(of_generators).map(str::to_owned).collect()
}
