//! The pods of the manifests, and the command lines in them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::manifests::kustomize::{Resource, items, text, texts};

/// All roles of a mesh, which `postern serve` runs where none is named. Discovery is for Envoys
/// outside one: nobody asks for it there.
pub const ROLES: [&str; 5] = ["decide", "message", "identity", "hub", "admin"];
/// The options that open ports, what a container calls the port, and the roles that serve on it.
pub const PORTS: [(&str, &str, &[&str]); 4] = [
    ("--grpc-address", "grpc", &["decide", "message"]),
    ("--public-address", "http-public", &["identity"]),
    ("--admin-address", "http-admin", &["admin"]),
    ("--metrics-address", "http-metrics", &ROLES),
];
/// Who the server is in its container: nobody of the system.
const USER: u64 = 65532;
/// What a supervisor waits beyond `--drain-seconds` before it kills.
const BEYOND_DRAIN: u64 = 10;

/// A template of pods.
pub struct Pod<'a> {
    pub owner: &'a Resource,
    pub template: &'a Value,
}

/// A container of the server's image.
pub struct Postern<'a> {
    pub container: &'a Value,
    /// Its arguments, the first of which is the command.
    pub arguments: Vec<&'a str>,
}

impl<'a> Pod<'a> {
    /// All of them.
    pub fn all(resources: &'a [Resource]) -> Vec<Self> {
        let template = |owner: &'a Resource| match owner.kind() {
            "Deployment" | "Job" | "StatefulSet" => owner.value.pointer("/spec/template"),
            "CronJob" => owner.value.pointer("/spec/jobTemplate/spec/template"),
            "DaemonSet" | "Pod" | "ReplicaSet" => panic!("{}: teach this test", owner.shown()),
            _ => None,
        };
        resources
            .iter()
            .filter_map(|owner| Some(Self { owner, template: template(owner)? }))
            .collect()
    }

    pub fn label(&self, name: &str) -> Option<&'a str> {
        self.template["metadata"]["labels"].get(name).and_then(Value::as_str)
    }

    /// Whether it has all of these labels.
    pub fn has_labels(&self, labels: &Value) -> bool {
        let labels = labels.as_object().expect("labels");
        labels.iter().all(|(name, value)| self.label(name) == value.as_str())
    }

    pub fn service_account(&self) -> &'a str {
        text(self.template, "/spec/serviceAccountName")
    }

    pub fn containers(&self) -> impl Iterator<Item = &'a Value> + use<'a> {
        let spec = &self.template["spec"];
        items(&spec["initContainers"]).chain(items(&spec["containers"]))
    }

    /// Its containers that run the server's image.
    pub fn of_postern(&self) -> impl Iterator<Item = Postern<'a>> + use<'a> {
        let is_ours = |container: &&Value| text(container, "/image").starts_with("postern-server:");
        self.containers().filter(is_ours).map(|container| {
            let arguments = texts(&container["args"]).collect();
            Postern { container, arguments }
        })
    }

    /// The one that serves.
    pub fn server(&self) -> Option<Postern<'a>> {
        self.of_postern().find(|postern| postern.arguments.first() == Some(&"serve"))
    }

    /// Container ports by name.
    pub fn ports(&self) -> BTreeMap<&'a str, u64> {
        self.containers()
            .flat_map(|container| items(&container["ports"]))
            .map(|port| (text(port, "/name"), port["containerPort"].as_u64().expect("a port")))
            .collect()
    }

    /// What is not as it has to be of any pod.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut must = |holds: bool, what: &str| {
            if !holds {
                problems.push(format!("{}: {what}", self.owner.shown()));
            }
        };
        let spec = &self.template["spec"];
        must(spec["automountServiceAccountToken"] == false, "automountServiceAccountToken: false");
        must(!self.service_account().is_empty(), "a ServiceAccount of its own");
        // The Service `postern` would make variables that look like settings.
        must(spec["enableServiceLinks"] == false, "enableServiceLinks: false");
        for shared in ["hostNetwork", "hostPID", "hostIPC"] {
            must(spec[shared].is_null(), shared);
        }
        must(items(&spec["volumes"]).all(|one| one["hostPath"].is_null()), "no hostPath");
        let context = &spec["securityContext"];
        must(context["runAsNonRoot"] == true, "runAsNonRoot: true");
        must(context["runAsUser"].as_u64().is_some_and(|user| user > 0), "runAsUser");
        must(context["seccompProfile"] == json!({"type": "RuntimeDefault"}), "seccompProfile");
        let native = text(self.template, "/metadata/annotations/sidecar.istio.io~1nativeSidecar");
        must(native == "true", "sidecar.istio.io/nativeSidecar: \"true\"");
        for container in self.containers() {
            let context = &container["securityContext"];
            must(context["allowPrivilegeEscalation"] == false, "allowPrivilegeEscalation: false");
            must(context["privileged"] == false, "privileged: false");
            must(context["readOnlyRootFilesystem"] == true, "readOnlyRootFilesystem: true");
            must(context["runAsNonRoot"] == true, "runAsNonRoot: true of a container");
            must(context["capabilities"] == json!({"drop": ["ALL"]}), "capabilities: drop ALL");
            let resources = &container["resources"];
            must(resources["requests"]["cpu"].is_string(), "requests.cpu");
            must(resources["requests"]["memory"].is_string(), "requests.memory");
            must(resources["limits"]["memory"].is_string(), "limits.memory");
            let image = text(container, "/image");
            // Registries are the user's to name, and a tag that moves is nobody's.
            let tag = image.split_once(':').map_or("", |(_, tag)| tag);
            must(!image.contains('/') && !tag.is_empty() && tag != "latest", "NAME:TAG as image");
        }
        if matches!(self.owner.kind(), "Deployment" | "StatefulSet") {
            for container in items(&spec["containers"]) {
                for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
                    must(container[probe].is_object(), probe);
                }
            }
        }
        problems
    }

    /// What is not as it has to be where a server runs.
    pub fn problems_of_server(&self, server: &Postern<'_>) -> Vec<String> {
        let mut problems = Vec::new();
        let mut must = |holds: bool, what: &str| {
            if !holds {
                problems.push(format!("{}: {what}", self.owner.shown()));
            }
        };
        let spec = &self.template["spec"];
        must(spec["securityContext"]["runAsUser"] == USER, "runAsUser: 65532");
        must(spec["priorityClassName"] == "postern", "priorityClassName: postern");
        let container = server.container;
        for (probe, path) in [
            ("startupProbe", "/health/live"),
            ("readinessProbe", "/health/ready"),
            ("livenessProbe", "/health/live"),
        ] {
            let asked = json!({"path": path, "port": "http-metrics"});
            must(container[probe]["httpGet"] == asked, probe);
        }
        let drain = server.option("--drain-seconds").and_then(|text| text.parse::<u64>().ok());
        let drain = drain.unwrap_or_default();
        must(drain > 0, "--drain-seconds");
        let grace = spec["terminationGracePeriodSeconds"].as_u64().unwrap_or_default();
        must(grace >= drain + BEYOND_DRAIN, "terminationGracePeriodSeconds beyond --drain-seconds");
        if self.owner.value["spec"]["strategy"]["type"] != "Recreate" {
            let rolling = &self.owner.value["spec"]["strategy"]["rollingUpdate"];
            must(rolling["maxUnavailable"] == 0, "maxUnavailable: 0");
            let keys = items(&spec["topologySpreadConstraints"]).map(|one| &one["topologyKey"]);
            let keys: Vec<&Value> = keys.collect();
            let wanted = ["topology.kubernetes.io/zone", "kubernetes.io/hostname"];
            must(keys == wanted, "spread over zones and nodes");
        }
        problems
    }
}

impl<'a> Postern<'a> {
    /// The value of an option, which is written `--name=value`.
    pub fn option(&self, name: &str) -> Option<&'a str> {
        let mut values = self.arguments.iter().filter_map(|word| {
            let (option, value) = word.split_once('=')?;
            (option == name).then_some(value)
        });
        values.next()
    }

    pub fn roles(&self) -> Vec<&'a str> {
        self.option("--roles").map_or_else(|| ROLES.to_vec(), |roles| roles.split(',').collect())
    }

    /// Variables by name: what stands there, or the Secret and its key.
    pub fn variables(&self) -> BTreeMap<&'a str, Variable<'a>> {
        items(&self.container["env"])
            .map(|variable| {
                let reference = &variable["valueFrom"]["secretKeyRef"];
                let value = match variable["value"].as_str() {
                    Some(value) => Variable::Plain(value),
                    None => Variable::Secret(text(reference, "/name"), text(reference, "/key")),
                };
                (text(variable, "/name"), value)
            })
            .collect()
    }

    /// Places in the container that options and variables name.
    pub fn paths(&self) -> Vec<&'a str> {
        let of_options =
            self.arguments.iter().map(|word| word.split_once('=').map_or(*word, |v| v.1));
        let of_variables = self.variables().into_values().filter_map(|variable| match variable {
            Variable::Plain(value) => Some(value.strip_prefix("sqlite:").unwrap_or(value)),
            Variable::Secret(..) => None,
        });
        of_options.chain(of_variables).filter(|text| text.starts_with('/')).collect()
    }
}

/// The value of a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variable<'a> {
    /// As it stands there.
    Plain(&'a str),
    /// A Secret and its key.
    Secret(&'a str, &'a str),
}
