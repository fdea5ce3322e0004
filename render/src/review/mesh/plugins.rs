//! The filter module in the mesh: there, once, in one direction, pinned, closed when it fails.

use serde_json::Value;

use super::super::catalogue::{PLUGIN_BOTH_DIRECTIONS, PLUGIN_OPEN, PLUGIN_TWICE};
use super::super::inventory::Resource;
use super::super::model::{Finding, Severity};
use super::known::{GATEWAY_NAME, Known};
use super::view::View;

const KINDS: [&str; 2] = ["WasmPlugin", "TrafficExtension"];
/// What everything that is rendered carries.
pub(super) const DOCUMENT: &str = "postern.dev/document";
/// The name of the plugin, and of the provider.
pub(super) const NAME: &str = "postern";

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

/// Our plugins that do not say which document they came of.
pub(super) fn of_no_document<'v>(view: &'v View<'_>) -> impl Iterator<Item = &'v Resource> {
    ours(view).filter(|plugin| plugin.annotation(DOCUMENT).is_none())
}

/// Whether the bundle runs on a port of a workload, in front of the policies there.
pub(super) fn guards(view: &View<'_>, known: &Known, port: u16) -> bool {
    let runs = || selecting(view, known).any(|plugin| idle(plugin, known, port).is_none());
    view.kind(known).guards(port, runs)
}

/// Whether the document's rules are held on a port of a workload that guards itself.
pub(super) fn judges(view: &View<'_>, known: &Known, port: u16) -> bool {
    let named = known.named.as_ref();
    let is_by_it = |route: &std::sync::Arc<postern_document::Route>| {
        route.guarded_by().is_some_and(|workload| Some(&workload.name) == named)
    };
    known.served.contains(&port)
        && view.document.routes.iter().any(is_by_it)
        && guards(view, known, port)
}

/// Why no plugin of ours does anything on a port of a workload.
pub(super) fn why_not(view: &View<'_>, known: &Known, port: u16) -> String {
    let told = |plugin: &Resource| {
        let why = idle(plugin, known, port).unwrap_or_default();
        format!("{} {why}", plugin.subject())
    };
    let all: Vec<String> = selecting(view, known).map(told).collect();
    if all.is_empty() { "no plugin of ours is for it".to_owned() } else { all.join("; ") }
}

/// Plugins of ours that are for a workload.
pub(super) fn selecting<'v>(
    view: &'v View<'_>,
    known: &'v Known,
) -> impl Iterator<Item = &'v Resource> {
    ours(view).filter(|plugin| selects(view, plugin, known))
}

/// Why a plugin that is for a workload does nothing there that could be relied on: it runs behind
/// the policies, on connections, in the other direction, or on other ports.
fn idle(plugin: &Resource, known: &Known, port: u16) -> Option<String> {
    // Without a phase it stands right in front of the router, behind all policies.
    let phase = plugin.text("/spec/phase").unwrap_or("UNSPECIFIED_PHASE");
    if phase != "AUTHN" {
        return Some(format!("is of phase {phase}, behind the policies"));
    }
    let module = if plugin.kind == "WasmPlugin" { "/spec/type" } else { "/spec/wasm/type" };
    if plugin.text(module) == Some("NETWORK") {
        return Some("is for connections (NETWORK), and sees no request".to_owned());
    }
    let matches = plugin.list("/spec/match");
    if matches.is_empty() {
        return None;
    }
    let wanted = if known.is_gateway() { "CLIENT" } else { "SERVER" };
    let is_its_way = |one: &&Value| {
        let mode = one.get("mode").and_then(Value::as_str).unwrap_or("UNDEFINED");
        mode == wanted || matches!(mode, "CLIENT_AND_SERVER" | "UNDEFINED")
    };
    let its_way: Vec<&Value> = matches.iter().filter(is_its_way).collect();
    if its_way.is_empty() {
        return Some(format!("never runs there: it has no mode {wanted}"));
    }
    let takes = |one: &&Value| {
        let ports = one.get("ports").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let number = |port: &Value| port.get("number").and_then(Value::as_u64);
        ports.is_empty() || ports.iter().any(|one| number(one) == Some(u64::from(port)))
    };
    if its_way.iter().any(takes) {
        return None;
    }
    Some(match port {
        0 => "runs on some of its ports alone".to_owned(),
        port => format!("does not run on port {port}"),
    })
}

/// Whether a resource is for a workload: of the same namespace or the root's, by labels or by the
/// gateway's name.
pub(super) fn selects(view: &View<'_>, plugin: &Resource, known: &Known) -> bool {
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
    // EnvoyFilters have a word of their own for labels.
    let mut labels = plugin.labels("/spec/selector/matchLabels");
    labels.extend(plugin.labels("/spec/workloadSelector/labels"));
    labels.iter().all(|(name, value)| workload.labels.get(name) == Some(value))
}
