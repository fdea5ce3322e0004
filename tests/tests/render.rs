//! Istio manifests: what `postern render istio` writes of the shipped document holds against
//! the CRDs' own schemas, strictly: what a schema does not name is refused.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use postern_e2e::{env, server};
use serde::Deserialize as _;
use serde_json::{Value, json};

/// Istio versions that are rendered for, the CRDs that stand for them, and the kind that loads the
/// module there. What a newer version has besides is not rendered, so that the nearest CRDs will do
/// where a version's own are not at hand.
const VERSIONS: [(&str, &str, &str, &str); 4] = [
    ("1.28", "1.29", "WasmPlugin", "TrafficExtension"),
    ("1.29", "1.29", "WasmPlugin", "TrafficExtension"),
    ("1.30", "1.31", "TrafficExtension", "WasmPlugin"),
    ("1.31", "1.31", "TrafficExtension", "WasmPlugin"),
];
/// Documents, and the kinds that each of them needs, in any version.
const DOCUMENTS: [(&str, &[&str]); 2] = [
    (
        "envoy/sample.yaml",
        &["AuthorizationPolicy", "EnvoyFilter", "Gateway", "Telemetry", "VirtualService"],
    ),
    (
        "tests/fixtures/istio.yaml",
        &[
            "AuthorizationPolicy",
            "DestinationRule",
            "EnvoyFilter",
            "Gateway",
            "PeerAuthentication",
            "RequestAuthentication",
            "ServiceEntry",
            "Telemetry",
            "VirtualService",
            "WorkloadEntry",
        ],
    ),
];

#[tokio::test]
async fn manifests_hold_against_the_crds() {
    for (version, crds, plugin, other_plugin) in VERSIONS {
        let schemas = Schemas::load(crds);
        for (document, wanted) in DOCUMENTS {
            let folder = tempfile::tempdir().expect("a folder");
            let out = folder.path().display().to_string();
            let options = ["--istio-version", version, "--request-authentication", "workloads"];
            let arguments = ["render", "istio", document, "--out", &out];
            server::run(arguments.into_iter().chain(options)).await.expect_success();

            let resources = read_resources(folder.path());
            let mut problems = Vec::new();
            for (file, resource) in &resources {
                let found = schemas.problems(resource).into_iter();
                problems.extend(found.map(|problem| format!("{}: {problem}", file.display())));
            }
            assert!(problems.is_empty(), "{document}, Istio {version}:\n{}", problems.join("\n"));

            let kinds: BTreeSet<&str> =
                resources.iter().filter_map(|(_, resource)| resource["kind"].as_str()).collect();
            for kind in wanted.iter().chain([&plugin]) {
                assert!(kinds.contains(kind), "{document}, {version}: no {kind} among {kinds:?}");
            }
            // With both, the filters would run twice.
            assert!(!kinds.contains(other_plugin), "{document}, {version}: {other_plugin} as well");
            assert_names_are_unique(&resources);
        }
    }
}

/// `CUSTOM` must ask the server wherever a route needs its evidence, and a plugin must not run
/// on the calls that a workload makes itself.
#[tokio::test]
async fn manifests_bind_the_server_and_the_plugin() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().display().to_string();
    let arguments =
        ["render", "istio", "envoy/sample.yaml", "--out", &out, "--istio-version", "1.29"];
    server::run(arguments).await.expect_success();
    let resources = read_resources(folder.path());
    let custom: Vec<&Value> = of_kind(&resources, "AuthorizationPolicy")
        .into_iter()
        .filter(|policy| policy["spec"]["action"] == "CUSTOM")
        .collect();
    assert!(!custom.is_empty(), "no AuthorizationPolicy asks the server");
    for policy in custom {
        let provider = policy["spec"]["provider"]["name"].as_str().unwrap_or_default();
        assert!(!provider.is_empty(), "{policy}");
    }
    for plugin in of_kind(&resources, "WasmPlugin") {
        let matches = plugin["spec"]["match"].as_array().cloned().unwrap_or_default();
        assert!(!matches.is_empty(), "without a match it runs in both directions: {plugin}");
        for one in &matches {
            let mode = one["mode"].as_str().unwrap_or_default();
            assert!(["SERVER", "CLIENT"].contains(&mode), "{plugin}");
        }
        assert_ne!(plugin["spec"]["failStrategy"], "FAIL_OPEN", "{plugin}");
        assert!(plugin["spec"]["pluginConfig"].is_object(), "{plugin}");
    }
}

/// A workload's own calls are nobody's business here, a sidecar judges what comes in; and nobody
/// may speak plain text to it.
#[tokio::test]
async fn manifests_of_a_workload_bind_its_way_in() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().display().to_string();
    let arguments = ["render", "istio", "tests/fixtures/istio.yaml", "--out", &out];
    server::run(arguments).await.expect_success();
    let resources = read_resources(folder.path());
    let of_shop = |kind: &str| -> Vec<&Value> {
        let resources = of_kind(&resources, kind).into_iter();
        resources.filter(|resource| resource["metadata"]["namespace"] == "shop").collect()
    };
    let plugins = of_shop("TrafficExtension");
    let [plugin] = plugins.as_slice() else { panic!("{plugins:?}") };
    assert_eq!(plugin["spec"]["match"][0]["mode"], "SERVER");
    let strict = of_shop("PeerAuthentication");
    let [strict] = strict.as_slice() else { panic!("{strict:?}") };
    assert_eq!(strict["spec"], json!({"mtls": {"mode": "STRICT"}}));
    for filter in of_shop("EnvoyFilter") {
        for patch in filter["spec"]["configPatches"].as_array().expect("patches") {
            assert_eq!(patch["match"]["context"], "SIDECAR_INBOUND", "{patch}");
        }
    }
    let denies = of_shop("AuthorizationPolicy");
    assert!(denies.iter().any(|policy| policy["spec"] == json!({})), "{denies:?}");
}

fn of_kind<'a>(resources: &'a [(PathBuf, Value)], kind: &str) -> Vec<&'a Value> {
    resources.iter().map(|(_, value)| value).filter(|value| value["kind"] == kind).collect()
}

/// All resources of a folder's `.yaml` files, several to a file where there are several.
fn read_resources(folder: &Path) -> Vec<(PathBuf, Value)> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .expect("the rendered folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        // Pieces of the mesh's own configuration, for people to put in place.
        .filter(|path| !path.to_string_lossy().ends_with(".fragment.yaml"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "nothing was rendered into {}", folder.display());
    let mut resources = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("a rendered file");
        for value in read_yaml(&text, &file) {
            resources.push((file.clone(), value));
        }
    }
    resources
}

fn read_yaml(text: &str, file: &Path) -> Vec<Value> {
    serde_yaml_ng::Deserializer::from_str(text)
        .map(|document| {
            Value::deserialize(document)
                .unwrap_or_else(|error| panic!("{}: {error}", file.display()))
        })
        .filter(|value| !value.is_null())
        .collect()
}

/// Two resources of one kind, namespace and name would overwrite each other.
fn assert_names_are_unique(resources: &[(PathBuf, Value)]) {
    let mut seen = BTreeSet::new();
    for (file, resource) in resources {
        if resource["kind"] == "Kustomization" {
            // Has no name; what it lists must be there.
            for listed in resource["resources"].as_array().into_iter().flatten() {
                let listed = file.with_file_name(listed.as_str().unwrap_or_default());
                assert!(listed.is_file(), "{}: no {}", file.display(), listed.display());
            }
            continue;
        }
        let name = resource["metadata"]["name"].as_str().unwrap_or_default();
        assert!(!name.is_empty(), "{}: a resource without a name", file.display());
        let namespace = resource["metadata"]["namespace"].as_str().unwrap_or_default();
        let key = format!("{} {namespace}/{name}", resource["kind"]);
        assert!(seen.insert(key.clone()), "{key} is there twice");
    }
}

/// Schemas by group, version and kind, as the API server serves them.
struct Schemas {
    validators: BTreeMap<String, jsonschema::Validator>,
    groups: BTreeSet<String>,
}

impl Schemas {
    /// The CRDs of an Istio version. Panics loudly when they are not there.
    fn load(version: &str) -> Self {
        let folder = env::schemas();
        let prefix = format!("istio-{version}");
        let file = fs::read_dir(&folder)
            .expect("the folder of CRDs")
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                name.starts_with(&prefix) && name.ends_with("-crds.yaml")
            });
        let file = file.unwrap_or_else(|| panic!("no {prefix}*-crds.yaml in {}", folder.display()));
        let text = fs::read_to_string(&file).expect("the CRDs");
        let mut schemas = Self { validators: BTreeMap::new(), groups: BTreeSet::new() };
        for definition in read_yaml(&text, &file) {
            if definition["kind"] == "CustomResourceDefinition" {
                schemas.add(&definition);
            }
        }
        assert!(!schemas.validators.is_empty(), "no CRDs in {}", file.display());
        schemas
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
    fn problems(&self, resource: &Value) -> Vec<String> {
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

/// What stands in `istio/sample` is what the sample document renders to now.
#[tokio::test]
async fn the_shipped_example_is_current() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().display().to_string();
    server::run(["render", "istio", "envoy/sample.yaml", "--out", &out]).await.expect_success();
    let read = |folder: &Path| -> BTreeMap<String, String> {
        fs::read_dir(folder)
            .expect("a folder of manifests")
            .map(|entry| entry.expect("an entry").path())
            .map(|path| {
                let name = path.file_name().expect("a name").to_string_lossy().into_owned();
                (name, fs::read_to_string(&path).expect("a manifest"))
            })
            .collect()
    };
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../istio/sample");
    assert!(
        read(folder.path()) == read(&shipped),
        "run `postern render istio envoy/sample.yaml --out istio/sample` and look at the change"
    );
}

/// For pull requests: a folder is what the document renders to, or it is said what is not.
#[tokio::test]
async fn a_folder_that_is_not_current_is_told_of_and_brought_up_to_date() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().display().to_string();
    let with = |document: &str, more: &[&str]| -> Vec<String> {
        let words = ["render", "istio", document, "--out", &out];
        words.iter().chain(more).map(|word| (*word).to_owned()).collect()
    };
    let full = "tests/fixtures/istio.yaml";
    let told = server::run(with(full, &["--check"])).await.expect_code(1);
    assert!(told.contains("plugin.yaml: missing"), "{told}");
    server::run(with(full, &[])).await.expect_success();
    server::run(with(full, &["--check"])).await.expect_success();

    let plugin = folder.path().join("plugin.yaml");
    let mut text = fs::read_to_string(&plugin).expect("a manifest");
    text.push_str("# by hand\n");
    fs::write(&plugin, text).expect("a manifest");
    let told = server::run(with(full, &["--check"])).await.expect_code(1);
    assert!(told.contains("plugin.yaml: differs") && !told.contains("telemetry.yaml"), "{told}");

    // Another document has other files; what nobody rendered is nobody's to remove.
    let own = folder.path().join("own.yaml");
    fs::write(&own, "kind: Secret\n").expect("a file");
    let sample = "envoy/sample.yaml";
    let told = server::run(with(sample, &["--check"])).await.expect_code(1);
    assert!(told.contains("workload-entry.yaml: no longer rendered"), "{told}");
    assert!(folder.path().join("workload-entry.yaml").exists(), "a check writes nothing");
    server::run(with(sample, &[])).await.expect_success();
    assert!(!folder.path().join("workload-entry.yaml").exists());
    assert!(own.exists());
    server::run(with(sample, &["--check"])).await.expect_success();
}
