//! Custom resources hold against the schemas of their definitions, strictly: what a schema does
//! not name is refused.

use std::collections::BTreeMap;
use std::fs;

use postern_e2e::env;
use serde_json::{Value, json};

use crate::manifests::kustomize::{Resource, items, read_yaml, text};

/// Groups that come with Kubernetes: of these no definitions are at hand.
const BUILT_IN: [&str; 7] =
    ["", "apps", "autoscaling", "batch", "networking.k8s.io", "policy", "scheduling.k8s.io"];
/// Groups of examples, whose definitions are not at hand either.
const OF_EXAMPLES: [&str; 1] = ["cert-manager.io"];

/// Schemas by group, version and kind.
pub struct Definitions {
    validators: BTreeMap<String, jsonschema::Validator>,
}

impl Definitions {
    /// Those in the files whose names begin so.
    pub fn load(beginnings: &[&str]) -> Self {
        let mut validators = BTreeMap::new();
        for beginning in beginnings {
            let folder = env::schemas();
            let file = fs::read_dir(&folder)
                .expect("the folder of CRDs")
                .filter_map(|entry| Some(entry.ok()?.path()))
                .find(|path| {
                    let name = path.file_name().unwrap_or_default().to_string_lossy();
                    name.starts_with(beginning) && name.ends_with("-crds.yaml")
                });
            let file =
                file.unwrap_or_else(|| panic!("no {beginning}*-crds.yaml in {}", folder.display()));
            for definition in read_yaml(&file) {
                if definition["kind"] == "CustomResourceDefinition" {
                    validators.extend(validators_of(&definition["spec"]));
                }
            }
        }
        assert!(!validators.is_empty(), "no definitions in {beginnings:?}");
        Self { validators }
    }

    /// What the API server, or a person who mistyped a field, would find wrong.
    pub fn problems(&self, resource: &Resource) -> Vec<String> {
        let version = text(&resource.value, "/apiVersion");
        let key = format!("{version} {}", resource.kind());
        if let Some(validator) = self.validators.get(&key) {
            let errors = validator.iter_errors(&resource.value);
            return errors
                .map(|error| format!("{} at {}: {error}", resource.shown(), error.instance_path()))
                .collect();
        }
        let group = version.split_once('/').map_or("", |(group, _)| group);
        if version.is_empty() || !BUILT_IN.iter().chain(&OF_EXAMPLES).any(|known| *known == group) {
            return vec![format!("{}: `{key}` has no definition", resource.shown())];
        }
        Vec::new()
    }
}

fn validators_of(spec: &Value) -> Vec<(String, jsonschema::Validator)> {
    let (group, kind) = (text(spec, "/group"), text(spec, "/names/kind"));
    let served = items(&spec["versions"]).filter(|version| version["served"] == true);
    served
        .map(|version| {
            let mut schema = version["schema"]["openAPIV3Schema"].clone();
            // Every resource has these; definitions leave them out.
            for name in ["apiVersion", "kind"] {
                schema["properties"][name] = json!({"type": "string"});
            }
            schema["properties"]["metadata"] = json!({"type": "object"});
            make_strict(&mut schema);
            schema["required"] = json!(["apiVersion", "kind", "metadata", "spec"]);
            let key = format!("{group}/{} {kind}", text(version, "/name"));
            let validator = jsonschema::validator_for(&schema);
            let validator =
                validator.unwrap_or_else(|error| panic!("the schema of {key}: {error}"));
            (key, validator)
        })
        .collect()
}

/// As strict decoding does: wherever properties are listed and the schema does not say that others
/// are kept. Conditions (`oneOf`, `not` …) list properties too, but only to say which of them
/// exclude each other.
fn make_strict(schema: &mut Value) {
    let Value::Object(members) = schema else {
        return;
    };
    let keeps_others = members.get("x-kubernetes-preserve-unknown-fields") == Some(&json!(true));
    if members.contains_key("properties") && !keeps_others {
        members.entry("additionalProperties").or_insert(json!(false));
    }
    if let Some(Value::Object(properties)) = members.get_mut("properties") {
        properties.values_mut().for_each(make_strict);
    }
    for name in ["items", "additionalProperties"] {
        if let Some(inner) = members.get_mut(name) {
            make_strict(inner);
        }
    }
}
