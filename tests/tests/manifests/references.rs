//! What manifests refer to by name is there, or is documented; what a container reads is mounted.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::manifests::kustomize::{Resource, items, read_yaml, root, text};
use crate::manifests::network::of_kind;
use crate::manifests::pods::{Pod, Variable};

/// Keys by Secret.
pub type Secrets = BTreeMap<String, BTreeSet<String>>;

/// The Secrets that users make, as the example shows them.
pub fn documented_secrets() -> Secrets {
    let secrets = read_yaml(&root().join("secrets.example.yaml"));
    let named = secrets.iter().map(|secret| {
        assert_eq!(secret["kind"], "Secret", "{secret}");
        let keys = secret["stringData"].as_object().expect("stringData").keys().cloned();
        (text(secret, "/metadata/name").to_owned(), keys.collect())
    });
    named.collect()
}

/// The Secrets that pods read; without keys where they are taken as a whole.
pub fn used_secrets(pods: &[Pod<'_>]) -> Secrets {
    let mut used = Secrets::new();
    let mut uses = |name: &str, key: Option<&str>| {
        let keys = used.entry(name.to_owned()).or_default();
        keys.extend(key.map(str::to_owned));
    };
    for pod in pods {
        for container in pod.containers() {
            for variable in items(&container["env"]) {
                let reference = &variable["valueFrom"]["secretKeyRef"];
                if reference.is_object() {
                    uses(text(reference, "/name"), Some(text(reference, "/key")));
                }
            }
            for source in items(&container["envFrom"]) {
                uses(text(source, "/secretRef/name"), None);
            }
        }
        let volumes = items(&pod.template["spec"]["volumes"]);
        for secret in volumes.map(|volume| &volume["secret"]).filter(|one| one.is_object()) {
            uses(text(secret, "/secretName"), None);
            for item in items(&secret["items"]) {
                uses(text(secret, "/secretName"), Some(text(item, "/key")));
            }
        }
    }
    used
}

/// Names that lead nowhere.
pub fn dangling(resources: &[Resource], pods: &[Pod<'_>]) -> Vec<String> {
    let names = |kind: &str| -> BTreeSet<&str> {
        let of_this_kind = resources.iter().filter(|one| one.kind() == kind);
        of_this_kind.map(Resource::name).collect()
    };
    let accounts = names("ServiceAccount");
    let priorities = names("PriorityClass");
    let maps = names("ConfigMap");
    let claims = names("PersistentVolumeClaim");
    let mut problems = Vec::new();
    let mut known = documented_secrets();
    for certificate in of_kind(resources, "Certificate") {
        known.entry(text(&certificate.value, "/spec/secretName").to_owned()).or_default();
    }
    for (name, keys) in used_secrets(pods) {
        match known.get(&name) {
            Some(documented) if keys.is_subset(documented) => {}
            _ => problems.push(format!("istio/secrets.example.yaml has no {name} with {keys:?}")),
        }
    }
    for pod in pods {
        let owner = pod.owner.shown();
        let spec = &pod.template["spec"];
        let mut must_be_there = |known: &BTreeSet<&str>, name: &str, what: &str| {
            if !name.is_empty() && !known.contains(name) {
                problems.push(format!("{owner}: there is no {what} {name}"));
            }
        };
        must_be_there(&accounts, pod.service_account(), "ServiceAccount");
        must_be_there(&priorities, text(spec, "/priorityClassName"), "PriorityClass");
        for volume in items(&spec["volumes"]) {
            must_be_there(&maps, text(volume, "/configMap/name"), "ConfigMap");
            let claim = text(volume, "/persistentVolumeClaim/claimName");
            must_be_there(&claims, claim, "PersistentVolumeClaim");
        }
        problems.extend(not_mounted(pod));
    }
    problems
}

/// Places that a server's options or variables name and that no volume brings.
fn not_mounted(pod: &Pod<'_>) -> Vec<String> {
    let volumes: BTreeMap<&str, &Value> = items(&pod.template["spec"]["volumes"])
        .map(|volume| (text(volume, "/name"), volume))
        .collect();
    let mut problems = Vec::new();
    for postern in pod.of_postern() {
        let mounts: Vec<(&str, &Value)> = items(&postern.container["volumeMounts"])
            .map(|mount| (text(mount, "/mountPath"), &mount["name"]))
            .collect();
        for path in postern.paths() {
            let found = mounts.iter().find_map(|(place, volume)| {
                let rest = path.strip_prefix(place)?;
                Some((rest.trim_start_matches('/'), volumes.get(volume.as_str()?)?))
            });
            let is_there = found.is_some_and(|(rest, volume)| {
                let listed = &volume["secret"]["items"];
                listed.is_null() || items(listed).any(|item| text(item, "/path") == rest)
            });
            if !is_there {
                problems.push(format!("{}: nothing is mounted at {path}", pod.owner.shown()));
            }
        }
    }
    problems
}

/// What is wrong with whom secrets are given to: each to the role that needs it, and the labels by
/// which ways to stores are opened to whoever has an address.
pub fn misplaced(pod: &Pod<'_>) -> Vec<String> {
    let mut problems = Vec::new();
    for postern in pod.of_postern() {
        let serves = postern.arguments.first() == Some(&"serve");
        let roles = postern.roles();
        let has = |role: &str| serves && roles.contains(&role);
        let paths = postern.paths();
        for (file, allowed) in [
            ("/etc/postern/secrets/key-file", has("identity")),
            ("/etc/postern/secrets/admin-token", has("admin")),
            ("/etc/postern/secrets/ticket-key", has("decide") || has("message")),
        ] {
            if paths.contains(&file) && !allowed {
                problems.push(format!("{}: {file} is not for {roles:?}", pod.owner.shown()));
            }
        }
        for (variable, label) in [
            ("POSTERN_VOLATILE", "postern.dev/volatile"),
            ("POSTERN_DURABLE", "postern.dev/durable"),
        ] {
            let address = postern.variables().get(variable).copied();
            if matches!(address, Some(Variable::Plain(text)) if text.contains("://")) {
                problems.push(format!("{}: {variable} in clear text", pod.owner.shown()));
            }
            let is_elsewhere = matches!(address, Some(Variable::Secret(..)));
            if is_elsewhere != (pod.label(label) == Some("true")) {
                problems.push(format!("{}: {variable} and {label}", pod.owner.shown()));
            }
        }
    }
    problems
}
