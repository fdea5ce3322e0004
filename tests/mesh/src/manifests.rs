//! Files of YAML, and what judges them without a control plane.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use postern_e2e::env;
use serde::Deserialize as _;
use serde_json::{Map, Value, json};

use crate::program;

/// All documents of a file; those that hold comments alone are left out.
///
/// # Panics
/// When it is no YAML.
#[must_use]
pub fn read(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file);
    parse(&text.unwrap_or_else(|error| panic!("reading {}: {error}", file.display())))
}

/// All documents of a text.
///
/// # Panics
/// When it is no YAML.
#[must_use]
pub fn parse(text: &str) -> Vec<Value> {
    serde_yaml_ng::Deserializer::from_str(text)
        .map(|one| Value::deserialize(one).unwrap_or_else(|error| panic!("{error}:\n{text}")))
        .filter(|one| !one.is_null())
        .collect()
}

/// What `kubectl kustomize` makes of a folder.
///
/// # Panics
/// When it cannot be built.
pub async fn kustomize(folder: &Path) -> Vec<Value> {
    let text = program::run("kustomize", [folder]).await.expect_success();
    // What stands before the first separator is Istio's packages' own log.
    let (_, documents) = text.split_once("---\n").expect("a separator");
    parse(documents)
}

/// The overlays of the suite, by name.
///
/// # Panics
/// When there are none.
#[must_use]
pub fn overlays() -> Vec<PathBuf> {
    let folder = env::repository().join("istio").join("overlays");
    let entries = fs::read_dir(&folder).expect("the overlays");
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an overlay").path())
        .filter(|path| path.is_dir())
        .collect();
    found.sort();
    assert!(!found.is_empty(), "no overlay in {}", folder.display());
    found
}

/// The files with CRDs for one version of Istio, such as `1.29`, and for the Gateway API.
///
/// # Panics
/// When they are not there.
#[must_use]
pub fn crds(istio_version: &str) -> [PathBuf; 2] {
    let folder = env::schemas();
    let find = |prefix: &str| {
        let entries = fs::read_dir(&folder).expect("the folder of CRDs");
        let mut paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let is_it = |path: &PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name.starts_with(prefix) && name.ends_with("-crds.yaml")
        };
        paths.find(is_it).unwrap_or_else(|| panic!("no {prefix}… in {}", folder.display()))
    };
    [find(&format!("istio-{istio_version}.")), find("gateway-api-")]
}

/// What an API server with these CRDs would say, its rules in CEL included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// How many objects there were of kinds that CRDs describe.
    pub checked: u64,
    /// How many of others, by kind.
    pub others: BTreeMap<String, u64>,
    /// What would be refused.
    pub problems: Vec<String>,
}

/// Holds a file against CRDs.
///
/// # Panics
/// When the answer cannot be read.
pub async fn judge(crds: &[PathBuf], file: &Path) -> Judgement {
    let mut arguments: Vec<String> = Vec::new();
    for one in crds {
        arguments.extend(["-crds".to_owned(), one.display().to_string()]);
    }
    arguments.push(file.display().to_string());
    let report = program::report(&program::run("crdcheck", arguments).await);
    let others = report["others"].as_object().cloned().expect("others");
    Judgement {
        checked: report["checked"].as_u64().expect("a number"),
        others: others.into_iter().map(|(kind, n)| (kind, n.as_u64().unwrap_or(0))).collect(),
        problems: texts(&report["problems"]),
    }
}

/// One message of Istio's analysis.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// For example `IST0101`.
    pub code: String,
    /// `Error`, `Warning` or `Info`.
    pub level: String,
    /// Kind and name.
    pub of: String,
    /// What is wrong.
    pub text: String,
}

/// What Istio's analysis says of some files together, and which analysers had nothing to look at.
///
/// # Panics
/// When it cannot be read.
pub async fn analyze(mesh_config: &Path, files: &[PathBuf]) -> (Vec<Finding>, Vec<String>) {
    let mut arguments = vec!["-mesh".to_owned(), mesh_config.display().to_string()];
    arguments.extend(files.iter().map(|file| file.display().to_string()));
    let finished = program::run("analyze", arguments).await;
    assert_eq!(finished.code, Some(0), "{finished}");
    let report = program::report(&finished);
    let findings = report["findings"].as_array().expect("findings").iter().map(|one| {
        let member = |name: &str| one[name].as_str().unwrap_or_default().to_owned();
        Finding {
            code: member("code"),
            level: member("level"),
            of: member("of"),
            text: member("text"),
        }
    });
    (findings.collect(), texts(&report["skipped"]))
}

/// Pods as Deployments would make them, one each, with the sidecar that Istio would put into them:
/// analysers look at pods.
#[must_use]
pub fn pods(resources: &[Value]) -> Vec<Value> {
    let workloads = ["Deployment", "StatefulSet"];
    let is_workload = |one: &&Value| workloads.iter().any(|kind| one["kind"] == *kind);
    let pod = |workload: &Value| {
        let mut metadata = workload["spec"]["template"]["metadata"].clone();
        if !metadata.is_object() {
            metadata = Value::Object(Map::new());
        }
        metadata["name"] = Value::from(format!("{}-0", text(workload, "name")));
        metadata["namespace"] = workload["metadata"]["namespace"].clone();
        let mut pod = Value::Object(Map::new());
        pod["apiVersion"] = Value::from("v1");
        pod["kind"] = Value::from("Pod");
        pod["metadata"] = metadata;
        pod["spec"] = workload["spec"]["template"]["spec"].clone();
        if let Some(containers) = pod["spec"]["containers"].as_array_mut() {
            containers.push(sidecar());
        }
        pod
    };
    resources.iter().filter(is_workload).map(pod).collect()
}

/// The container that Istio puts into every pod, and gateways consist of.
#[must_use]
pub fn sidecar() -> Value {
    json!({"name": "istio-proxy", "image": "docker.io/istio/proxyv2:1.31.0"})
}

fn text<'a>(resource: &'a Value, member: &str) -> &'a str {
    resource["metadata"][member].as_str().unwrap_or_default()
}

fn texts(list: &Value) -> Vec<String> {
    let items = list.as_array().into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_of_comments_alone_are_none() {
        assert_eq!(
            parse("# nothing\n---\nkind: A\n---\n# nothing either\n"),
            [json!({"kind": "A"})]
        );
    }

    #[test]
    fn a_pod_has_its_templates_labels_and_its_deployments_namespace() {
        let resources = parse(
            "kind: Deployment\nmetadata: {name: a, namespace: n}\n\
             spec: {template: {metadata: {labels: {app: a}}, spec: {containers: []}}}\n\
             ---\nkind: Service\nmetadata: {name: a, namespace: n}\n",
        );
        let pods = pods(&resources);
        assert_eq!(pods.len(), 1);
        assert_eq!(
            pods[0]["metadata"],
            json!({"name": "a-0", "namespace": "n", "labels": {"app": "a"}})
        );
        assert_eq!(pods[0]["spec"], json!({"containers": [sidecar()]}));
    }
}
