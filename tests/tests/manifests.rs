//! The manifests that install the suite (`istio/base`, its overlays and components): they build,
//! hold against the schemas, start servers that understand their command lines, and open to the
//! gateway what the rendering asks for, and nothing else. No cluster and no kustomize is needed.

mod crds;
mod kustomize;
mod network;
mod pods;
mod references;
mod rendered;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use postern_e2e::server;
use serde_json::{Value, json};

use crate::manifests::crds::Definitions;
use crate::manifests::kustomize::{Resource, build, build_with, items, text, texts};
use crate::manifests::network::of_kind;
use crate::manifests::pods::{PORTS, Pod, ROLES};
use crate::manifests::rendered::Rendered;

/// Overlays, and the components that each can be installed with.
const BUILDS: [(&str, &[&str]); 4] = [
    ("minimal", &["cert-manager-example"]),
    ("production", &[]),
    ("production", &COMPONENTS),
    ("gateway-api", &COMPONENTS),
];
const COMPONENTS: [&str; 4] =
    ["cert-manager-example", "grpc-tls-example", "postgres-example", "redis-example"];
/// Versions of Istio whose definitions everything holds against.
const VERSIONS: [&str; 2] = ["istio-1.29", "istio-1.31"];
/// Where the suite is.
const NAMESPACE: &str = "postern-system";
/// What Kubernetes knows without a namespace.
const CLUSTER_WIDE: [&str; 2] = ["Namespace", "PriorityClass"];
/// By this label users find what a rendering has left over, so nothing else may carry it.
const OF_RENDERINGS: &str = "postern";
/// The fewest replicas of what every request waits for.
const REPLICAS: u64 = 3;

/// All builds, with a name each for texts of failures.
fn builds() -> Vec<(String, Vec<Resource>)> {
    let named = BUILDS.iter().map(|(overlay, components)| {
        (format!("{overlay} {components:?}"), build_with(overlay, components))
    });
    named.collect()
}

/// In which API the routes of a build are rendered.
fn api(build: &str) -> &'static str {
    if build.starts_with("gateway-api ") { "gateway" } else { "istio" }
}

fn none(name: &str, problems: &[String]) {
    assert!(problems.is_empty(), "{name}:\n{}", problems.join("\n"));
}

/// The gateway document of a build, as text and as it reads.
fn document(resources: &[Resource]) -> (String, Value) {
    let map = of_kind(resources, "ConfigMap").find(|one| one.name() == "postern-document");
    let data = map.expect("the document's ConfigMap").value["data"].clone();
    let data = data.as_object().expect("its data");
    let files: Vec<&String> = data.keys().collect();
    assert_eq!(files, ["gateway.yaml"], "one document, in one file");
    let content = text(&Value::Object(data.clone()), "/gateway.yaml").to_owned();
    let read = serde_yaml_ng::from_str(&content).expect("YAML");
    (content, read)
}

#[test]
fn every_file_is_listed_and_every_listed_file_is_there() {
    let folders = kustomize::folders();
    assert!(folders.len() > BUILDS.len(), "{folders:?}");
    for folder in folders {
        let kustomization = kustomize::read_kustomization(&folder);
        let listed = kustomize::listed(&kustomization);
        for name in &listed {
            let path = folder.join(name);
            let is_folder = path.is_dir() && path.join(kustomize::KUSTOMIZATION).is_file();
            assert!(path.is_file() || is_folder, "{}: no {name}", folder.display());
            assert!(!name.contains(".example."), "{}: {name}", folder.display());
        }
        for entry in fs::read_dir(&folder).expect("a folder") {
            let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
            let known = listed.contains(&name) || name == kustomize::KUSTOMIZATION;
            assert!(known, "{} does not list {name}", folder.display());
        }
    }
}

#[test]
fn everything_holds_against_the_schemas() {
    for version in VERSIONS {
        let definitions = Definitions::load(&[version]);
        for (name, resources) in builds() {
            let problems: Vec<String> =
                resources.iter().flat_map(|one| definitions.problems(one)).collect();
            none(&format!("{version}, {name}"), &problems);
        }
    }
}

#[test]
fn names_are_unique_and_namespaces_right() {
    for (name, resources) in builds() {
        let mut seen = BTreeSet::new();
        for one in &resources {
            assert!(!one.kind().is_empty() && !one.name().is_empty(), "{name}: {}", one.file);
            assert_ne!(one.kind(), "Secret", "{name}: secrets are the user's: {}", one.shown());
            assert!(
                !["Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"].contains(&one.kind()),
                "{name}: the suite asks nothing of the Kubernetes API: {}",
                one.shown()
            );
            let place = if CLUSTER_WIDE.contains(&one.kind()) { "" } else { NAMESPACE };
            // What belongs to the gateway is beside the gateway.
            let of_gateway = one.kind() == "Certificate";
            if !(of_gateway && one.namespace() == "istio-system") {
                assert_eq!(one.namespace(), place, "{name}: {}", one.shown());
            }
            let key = format!("{} {}/{}", one.kind(), one.namespace(), one.name());
            assert!(seen.insert(key.clone()), "{name}: {key} is there twice");
            let part_of = text(&one.value, "/metadata/labels/app.kubernetes.io~1part-of");
            assert_ne!(part_of, OF_RENDERINGS, "{name}: pruning renderings would take {key} too");
        }
    }
}

#[test]
fn pods_may_do_no_more_than_they_must() {
    for (name, resources) in builds() {
        let pods = Pod::all(&resources);
        let mut problems: Vec<String> = pods.iter().flat_map(Pod::problems).collect();
        for pod in &pods {
            if let Some(server) = pod.server() {
                problems.extend(pod.problems_of_server(&server));
            }
            problems.extend(references::misplaced(pod));
        }
        for account in of_kind(&resources, "ServiceAccount") {
            if account.value["automountServiceAccountToken"] != false {
                problems.push(format!("{}: hands out its token", account.shown()));
            }
        }
        none(&name, &problems);
    }
}

/// The binary itself says whether it understands a command line.
#[tokio::test]
async fn command_lines_are_understood() {
    let mut tried = BTreeSet::new();
    for (name, resources) in builds() {
        for pod in Pod::all(&resources) {
            for postern in pod.of_postern() {
                let words: Vec<&str> =
                    postern.arguments.iter().copied().chain(["--help"]).collect();
                let variables: BTreeSet<&str> = postern.variables().into_keys().collect();
                if !tried.insert(format!("{words:?} {variables:?}")) {
                    continue;
                }
                let help = server::run(&words).await.expect_success();
                for variable in variables {
                    let known = ["=", "]"]
                        .iter()
                        .any(|end| help.contains(&format!("[env: {variable}{end}")));
                    assert!(known, "{name}, {}: what is {variable}?", pod.owner.shown());
                }
            }
        }
    }
    assert!(tried.len() > ROLES.len(), "{tried:?}");
}

/// The label for each role, the ports that the roles serve on, and no other.
#[test]
fn roles_have_their_labels_and_ports() {
    for (name, resources) in builds() {
        let mut run = BTreeSet::new();
        for pod in Pod::all(&resources) {
            let Some(server) = pod.server() else { continue };
            let shown = format!("{name}, {}", pod.owner.shown());
            let roles = server.roles();
            run.extend(roles.iter().map(|role| (*role).to_owned()));
            // TLS of its own is for callers outside the mesh; the mesh's would be around it.
            let is_outside = pod.label("postern.dev/outside").is_some();
            assert_eq!(server.option("--grpc-tls-cert").is_some(), is_outside, "{shown}");
            for role in ROLES {
                let is_labelled = pod.label(&format!("postern.dev/{role}")) == Some("true");
                assert_eq!(is_labelled, roles.contains(&role) && !is_outside, "{shown}: {role}");
            }
            let mut ports = BTreeMap::new();
            for (option, port, served_by) in PORTS {
                let is_served = served_by.iter().any(|role| roles.contains(role));
                let address = server.option(option);
                assert_eq!(address.is_some(), is_served, "{shown}: {option}");
                if let Some(address) = address {
                    let number = address.strip_prefix("0.0.0.0:").expect("all addresses");
                    ports.insert(port, number.parse::<u64>().expect("a port"));
                }
            }
            assert_eq!(pod.ports(), ports, "{shown}");
        }
        let all: BTreeSet<String> = ROLES.map(str::to_owned).into();
        assert_eq!(run, all, "{name}: every role runs somewhere");
    }
}

#[test]
fn services_and_policies_open_what_is_served() {
    for (name, resources) in builds() {
        let pods = Pod::all(&resources);
        let services = of_kind(&resources, "Service");
        let mut problems: Vec<String> =
            services.flat_map(|one| network::problems_of_service(one, &pods)).collect();
        problems.extend(network::problems_of_policies(&resources, &pods));
        none(&name, &problems);
        let ours: BTreeSet<&str> = [NAMESPACE].into();
        let strict = network::strict_namespaces(&resources);
        assert_eq!(strict, ours, "{name}: mutual TLS for every workload");
        for peer in of_kind(&resources, "PeerAuthentication") {
            let spec = &peer.value["spec"];
            assert_eq!(spec["mtls"], json!({"mode": "STRICT"}), "{name}: {}", peer.shown());
            assert!(spec["portLevelMtls"].is_null(), "{name}: {}", peer.shown());
        }
        for rule in of_kind(&resources, "DestinationRule") {
            let spec = &rule.value["spec"];
            let tls = &spec["trafficPolicy"]["tls"]["mode"];
            assert_eq!(tls, "ISTIO_MUTUAL", "{name}: {}", rule.shown());
            let host = format!("{}.{NAMESPACE}.svc.cluster.local", rule.name());
            assert_eq!(spec["host"], host, "{name}: {}", rule.shown());
            let is_there = of_kind(&resources, "Service").any(|one| one.name() == rule.name());
            assert!(is_there, "{name}: {}", rule.shown());
        }
    }
}

#[test]
fn what_is_referred_to_is_there_or_documented() {
    let mut used = references::Secrets::new();
    for (name, resources) in builds() {
        let pods = Pod::all(&resources);
        none(&name, &references::dangling(&resources, &pods));
        for (secret, keys) in references::used_secrets(&pods) {
            used.entry(secret).or_default().extend(keys);
        }
    }
    for (secret, keys) in references::documented_secrets() {
        let uses = used.get(&secret);
        let uses =
            uses.unwrap_or_else(|| panic!("istio/secrets.example.yaml: who reads {secret}?"));
        // Without keys, all of them are read.
        let unused: Vec<_> = keys.difference(uses).collect();
        assert!(uses.is_empty() || unused.is_empty(), "{secret}: nobody reads {unused:?}");
    }
}

/// Where and who the gateway is, what it asks, and what is behind that.
#[tokio::test]
async fn renderings_find_the_suite() {
    let of_ingress = rendered::gateway_principal().await;
    for (name, resources) in builds() {
        let pods = Pod::all(&resources);
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("gateway.yaml");
        let (content, read) = document(&resources);
        fs::write(&file, content).expect("the document");
        let rendered = Rendered::of(&file, api(&name)).await;
        none(&name, &rendered.problems(&resources, &pods, &rendered::upstreams(&read)));
        // The suite's own namespace is the base's business, and its example has no other.
        assert!(rendered.strict_namespaces().is_empty(), "{name}");
        let label = format!("\"app.kubernetes.io/part-of\":\"{OF_RENDERINGS}\"");
        let labels = rendered.labels();
        assert!(labels.iter().all(|labels| labels.contains(&label)), "{name}: {labels:?}");

        let (place, selector) = rendered.gateway();
        let from = json!({
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": place}},
            "podSelector": {"matchLabels": selector},
        });
        // Where workloads guard themselves.
        let calls = json!({"namespaceSelector": {"matchLabels": {"postern.dev/calls": "true"}}});
        for role in ["decide", "message", "identity"] {
            let policy = format!("postern-{role}");
            let policy = of_kind(&resources, "NetworkPolicy").find(|one| one.name() == policy);
            let rules = &policy.expect("a NetworkPolicy for each role").value["spec"]["ingress"];
            for from in [&from, &calls] {
                let mut sources = items(rules).flat_map(|rule| items(&rule["from"]));
                let is_open = sources.any(|source| source == from);
                assert!(is_open, "{name}: {role} is not open to {from}");
            }
        }
        let gateway = rendered.principal().unwrap_or_else(|| of_ingress.clone());
        none(&name, &network::problems_of_principals(&resources, NAMESPACE, &gateway));
        assert_eq!(rendered::peers(&read), [format!("spiffe://{gateway}")], "{name}");
        for certificate in of_kind(&resources, "Certificate").filter(|c| c.namespace() == place) {
            let secret = text(&certificate.value, "/spec/secretName");
            assert_eq!(secret, rendered.certificate(), "{name}");
        }
    }
}

/// Gateways and routes are the document's: by hand, their order would be another than that by which
/// requests are judged, and of one name there would be two.
#[test]
fn gateways_and_routes_are_left_to_the_rendering() {
    for (name, resources) in builds() {
        for kind in ["Gateway", "HTTPRoute", "GRPCRoute", "TLSRoute", "VirtualService"] {
            let found: Vec<String> = of_kind(&resources, kind).map(Resource::shown).collect();
            none(&name, &found);
        }
    }
}

/// The example documents are good, and differ only in what they have to.
#[tokio::test]
async fn example_documents_are_checked_and_alike() {
    let mut common: Option<Value> = None;
    for (name, resources) in builds() {
        let (content, mut read) = document(&resources);
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("gateway.yaml");
        fs::write(&file, content).expect("the document");
        server::run(["check", &file.display().to_string()]).await.expect_success();

        let replicas = read["stores"]["replicas"].as_u64().expect("stores.replicas");
        let scaled = of_kind(&resources, "HorizontalPodAutoscaler").next();
        let fewest = scaled.map_or(1, |one| one.value["spec"]["minReplicas"].as_u64().expect("it"));
        assert_eq!(replicas, fewest, "{name}: `stores.replicas` is the fewest that there are");

        let members = read.as_object_mut().expect("a document");
        members.remove("stores").expect("stores");
        members["feed"].as_object_mut().expect("feed").remove("peers").expect("peers");
        let before = common.get_or_insert_with(|| read.clone());
        assert_eq!(*before, read, "{name}: the example documents say different things");
    }
}

#[test]
fn replicas_are_enough_and_nobody_takes_them_away() {
    for overlay in ["production", "gateway-api"] {
        let resources = build_with(overlay, &[]);
        let deployment = |name: &str| {
            let found = of_kind(&resources, "Deployment").find(|one| one.name() == name);
            found.unwrap_or_else(|| panic!("{overlay}: no Deployment {name}"))
        };
        let mut scaled = BTreeSet::new();
        for scaler in of_kind(&resources, "HorizontalPodAutoscaler") {
            let spec = &scaler.value["spec"];
            let target = deployment(text(spec, "/scaleTargetRef/name"));
            scaled.insert(target.name());
            // A number in the manifest would win over the autoscaler's with every apply.
            assert!(target.value["spec"]["replicas"].is_null(), "{overlay}: {}", target.shown());
            assert!(
                spec["minReplicas"].as_u64() >= Some(REPLICAS),
                "{overlay}: {}",
                scaler.shown()
            );
            let container = text(spec, "/metrics/0/containerResource/container");
            let mut containers = items(&target.value["spec"]["template"]["spec"]["containers"]);
            assert!(containers.any(|one| one["name"] == container), "{overlay}: {container}");
        }
        let wanted: BTreeSet<&str> = ["postern-decide", "postern-message"].into();
        assert_eq!(scaled, wanted, "{overlay}");
        let guarded: BTreeSet<&str> = of_kind(&resources, "PodDisruptionBudget")
            .map(|budget| {
                let guarded = deployment(budget.name());
                let selectors = [&budget.value, &guarded.value].map(|one| &one["spec"]["selector"]);
                assert_eq!(selectors[0], selectors[1], "{overlay}: {}", budget.shown());
                budget.name()
            })
            .collect();
        assert!(guarded.is_superset(&scaled), "{overlay}: {guarded:?}");
    }
}

/// Every overlay can be told where images are, and says this release's until then.
#[test]
fn images_are_of_this_release() {
    for (overlay, _) in BUILDS {
        let folder = kustomize::root().join("overlays").join(overlay);
        let images = kustomize::read_kustomization(&folder)["images"].clone();
        let ours = items(&images).find(|image| image["name"] == "postern-server");
        let ours = ours.unwrap_or_else(|| panic!("{overlay}: no images"));
        assert_eq!(ours["newTag"], env!("CARGO_PKG_VERSION"), "{overlay}");
        for pod in Pod::all(&build(&folder)) {
            for postern in pod.of_postern() {
                let image = text(postern.container, "/image");
                let wanted = concat!("postern-server:", env!("CARGO_PKG_VERSION"));
                assert_eq!(image, wanted, "{overlay}: {}", pod.owner.shown());
            }
        }
    }
}

/// The backup reads variables of libpq, which the example Secret names.
#[test]
fn backups_find_the_database() {
    let resources = build_with("production", &[]);
    let backups: Vec<&Resource> = of_kind(&resources, "CronJob").collect();
    assert_eq!(backups.len(), 1, "one backup");
    let documented = references::documented_secrets();
    let keys = documented.get("postern-backup").expect("its Secret");
    assert!(keys.contains("PGHOST") && keys.contains("PGPASSWORD"), "{keys:?}");
    let pods = Pod::all(&resources);
    let pod = pods.iter().find(|pod| pod.owner.kind() == "CronJob").expect("its pods");
    assert_eq!(pod.label("postern.dev/durable"), Some("true"), "the way to the database");
    let mut scripts = pod.containers().flat_map(|container| texts(&container["args"]));
    assert!(scripts.any(|script| script.contains("pg_dump ")), "a dump");
}
