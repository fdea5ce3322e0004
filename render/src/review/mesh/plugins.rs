//! The filter module in the mesh: there, once, in one direction, pinned, closed when it fails.

use postern_policies::Action;
use serde_json::Value;

use super::super::catalogue::{PLUGIN_BOTH_DIRECTIONS, PLUGIN_MISSING, PLUGIN_OPEN, PLUGIN_TWICE};
use super::super::inventory::Resource;
use super::super::model::{Finding, Severity};
use super::view::{Known, View};

const KINDS: [&str; 2] = ["WasmPlugin", "TrafficExtension"];
/// What everything that is rendered carries.
pub(super) const DOCUMENT: &str = "postern.dev/document";
/// The name of the plugin, and of the provider.
const NAME: &str = "postern";
const GATEWAY_NAME: &str = "gateway.networking.k8s.io/gateway-name";

pub(super) fn look(view: &View<'_>, found: &mut Vec<Finding>) {
    for plugin in ours(view) {
        alone(plugin, found);
    }
    for known in &view.workloads {
        let all: Vec<String> =
            ours(view).filter(|one| selects(view, one, known)).map(Resource::subject).collect();
        if all.len() > 1 {
            let text = format!("{} run there", all.join(" and "));
            let finding = Finding::new(&PLUGIN_TWICE, known.subject(), text);
            found.push(finding.at(known.place.clone()));
        }
        if all.is_empty() && is_asked_about(view, known) {
            let text = "the server is asked about its requests, and no bundle is there to hold \
                        them to the answer, or to take forged identity headers away";
            let finding = Finding::new(&PLUGIN_MISSING, known.subject(), text);
            found.push(finding.at(known.place.clone()));
        }
    }
}

/// What can be told of a plugin without looking at workloads.
fn alone(plugin: &Resource, found: &mut Vec<Finding>) {
    let mut push = |check, severity: Option<Severity>, text: &str| {
        let finding = Finding::new(check, plugin.subject(), text).at(Some(plugin.place.clone()));
        found.push(match severity {
            Some(severity) => finding.graded(severity),
            None => finding,
        });
    };
    let modes = plugin.list("/spec/match").iter().filter_map(|one| one.get("mode"));
    let of_one_way = |mode: &Value| matches!(mode.as_str(), Some("CLIENT" | "SERVER"));
    let all: Vec<&Value> = modes.collect();
    if all.len() != plugin.list("/spec/match").len()
        || all.is_empty()
        || !all.iter().all(|m| of_one_way(m))
    {
        push(&PLUGIN_BOTH_DIRECTIONS, None, "it runs on what a workload sends, too");
    }
    let module = if plugin.kind == "WasmPlugin" { "/spec" } else { "/spec/wasm" };
    let own = |name: &str| plugin.text(&format!("{module}/{name}"));
    if own("failStrategy") == Some("FAIL_OPEN") {
        push(&PLUGIN_OPEN, None, "requests pass unseen while the module cannot run");
    }
    let by_digest = own("url").is_some_and(|url| url.contains("@sha256:"));
    if own("sha256").is_none_or(str::is_empty) && !by_digest {
        let text = "the module is not pinned: whoever can move its tag decides what runs";
        push(&PLUGIN_OPEN, Some(Severity::Medium), text);
    }
}

/// Our plugins.
fn ours<'v>(view: &'v View<'_>) -> impl Iterator<Item = &'v Resource> {
    let is_ours = |plugin: &&Resource| {
        plugin.annotation(DOCUMENT).is_some()
            || plugin.text("/spec/pluginName") == Some(NAME)
            || plugin.text("/spec/wasm/pluginName") == Some(NAME)
    };
    view.inventory.of(&KINDS).filter(is_ours)
}

/// Whether a plugin of ours runs on a workload.
pub(super) fn guards(view: &View<'_>, known: &Known) -> bool {
    ours(view).any(|plugin| selects(view, plugin, known))
}

fn selects(view: &View<'_>, plugin: &Resource, known: &Known) -> bool {
    let workload = &known.workload;
    if plugin.namespace != workload.namespace && plugin.namespace != view.mesh.root_namespace {
        return false;
    }
    let mut targets = plugin.list("/spec/targetRefs").iter().peekable();
    if targets.peek().is_some() {
        let name = workload.labels.get(GATEWAY_NAME).map(String::as_str);
        let mut names = targets.map(|target| target.get("name").and_then(Value::as_str));
        return name.is_some() && names.any(|target| target == name);
    }
    let labels = plugin.labels("/spec/selector/matchLabels");
    labels.iter().all(|(name, value)| workload.labels.get(name) == Some(value))
}

/// Whether policies ask our server about a workload's requests.
fn is_asked_about(view: &View<'_>, known: &Known) -> bool {
    let policies = view.resources.authorization_for(&view.mesh, &known.workload);
    policies
        .iter()
        .any(|policy| matches!(&policy.action, Action::Custom { provider } if provider == NAME))
}
