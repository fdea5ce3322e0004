//! What the API server takes of custom resources, strictly: what a schema does not name is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use postern_e2e::env;
use serde_json::{Value, json};

use crate::render::read_yaml;

/// Schemas by group, version and kind, as the API server serves them.
pub struct Schemas {
    validators: BTreeMap<String, jsonschema::Validator>,
    groups: BTreeSet<String>,
}

impl Schemas {
    /// The CRDs of an Istio version, and those of the Gateway API. Panics loudly when they are not
    /// there.
    pub fn load(version: &str) -> Self {
        let mut schemas = Self { validators: BTreeMap::new(), groups: BTreeSet::new() };
        for prefix in [format!("istio-{version}").as_str(), "gateway-api-"] {
            schemas.add_file(prefix);
        }
        schemas
    }

    fn add_file(&mut self, prefix: &str) {
        let folder = env::schemas();
        let file = fs::read_dir(&folder)
            .expect("the folder of CRDs")
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                name.starts_with(prefix) && name.ends_with("-crds.yaml")
            });
        let file = file.unwrap_or_else(|| panic!("no {prefix}*-crds.yaml in {}", folder.display()));
        let text = fs::read_to_string(&file).expect("the CRDs");
        let known = self.validators.len();
        for definition in read_yaml(&text, &file) {
            if definition["kind"] == "CustomResourceDefinition" {
                self.add(&definition);
            }
        }
        assert!(self.validators.len() > known, "no CRDs in {}", file.display());
    }

    fn add(&mut self, definition: &Value) {
        let spec = &definition["spec"];
        let group = spec["group"].as_str().expect("a group");
        let kind = spec["names"]["kind"].as_str().expect("a kind");
        self.groups.insert(group.to_owned());
        for version in spec["versions"].as_array().expect("versions") {
            if version["served"] != true {
                continue;
            }
            let mut schema = version["schema"]["openAPIV3Schema"].clone();
            // Every resource has these; CRDs leave them out.
            let properties = schema["properties"].as_object_mut().expect("properties");
            for name in ["apiVersion", "kind"] {
                properties.insert(name.to_owned(), json!({"type": "string"}));
            }
            properties.insert("metadata".to_owned(), json!({"type": "object"}));
            make_strict(&mut schema);
            schema["required"] = json!(["apiVersion", "kind", "metadata", "spec"]);
            let name = version["name"].as_str().expect("a version's name");
            let key = format!("{group}/{name} {kind}");
            let validator = jsonschema::validator_for(&schema)
                .unwrap_or_else(|error| panic!("the schema of {key}: {error}"));
            self.validators.insert(key, validator);
        }
    }

    /// What the API server, or a person who mistyped a field, would find wrong.
    pub fn problems(&self, resource: &Value) -> Vec<String> {
        let version = resource["apiVersion"].as_str().unwrap_or_default();
        let kind = resource["kind"].as_str().unwrap_or_default();
        let key = format!("{version} {kind}");
        if let Some(validator) = self.validators.get(&key) {
            return validator
                .iter_errors(resource)
                .map(|error| format!("{key} at {}: {error}", error.instance_path()))
                .collect();
        }
        // Kubernetes' own kinds (Service, ConfigMap …) have no CRD; Istio's all have one.
        let group = version.split_once('/').map_or("", |(group, _)| group);
        if version.is_empty() || kind.is_empty() || self.groups.contains(group) {
            return vec![format!("`{key}` is no kind of this version")];
        }
        Vec::new()
    }
}

/// Refuses what a schema does not name, as strict decoding does: wherever properties are listed
/// and the schema does not say that others are kept. Conditions (`oneOf`, `not` …) list
/// properties too, but only to say which of them exclude each other, so they stay as they are.
fn make_strict(schema: &mut Value) {
    let Value::Object(members) = schema else {
        return;
    };
    let keeps_others = members.get("x-kubernetes-preserve-unknown-fields") == Some(&json!(true));
    if members.contains_key("properties")
        && !members.contains_key("additionalProperties")
        && !keeps_others
    {
        members.insert("additionalProperties".to_owned(), json!(false));
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

#[test]
fn strict_schemas_refuse_what_they_do_not_name() {
    let mut schema = json!({
        "type": "object",
        "properties": {
            "listed": {"type": "object", "properties": {"a": {"type": "string"}}},
            "kept": {
                "type": "object",
                "properties": {"a": {"type": "string"}},
                "x-kubernetes-preserve-unknown-fields": true,
            },
            "map": {"type": "object", "additionalProperties": {"type": "string"}},
        },
        "oneOf": [{"required": ["listed"]}, {"required": ["map"]}],
    });
    make_strict(&mut schema);
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    for (good, value) in [
        (true, json!({"listed": {"a": "x"}})),
        (true, json!({"map": {"anything": "x"}, "kept": {"b": 1}})),
        (false, json!({"listed": {"b": "x"}})),
        (false, json!({"listed": {}, "other": 1})),
        (false, json!({"listed": {}, "map": {}})),
    ] {
        assert_eq!(validator.is_valid(&value), good, "{value}");
    }
}
