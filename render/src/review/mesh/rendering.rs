//! What was rendered, and what is there: other documents, other data planes, drift.

use std::collections::{BTreeMap, BTreeSet};

use postern_document::yaml::{Problems, parse_all};
use serde_json::Value;

use super::super::Input;
use super::super::catalogue::{DRIFT, OTHER_DOCUMENT, PATCH_VERSION};
use super::super::inventory::{Resource, text, value};
use super::super::model::Finding;
use super::plugins::{DOCUMENT, of_no_document};
use super::version::matches;
use super::view::View;
use crate::istio;

pub(super) fn look(
    view: &View<'_>,
    input: &Input<'_>,
    found: &mut Vec<Finding>,
    unknown: &mut Vec<String>,
) {
    patches(view, input, found, unknown);
    unknown.extend(of_no_document(view).map(|plugin| {
        format!("{}: by which document it judges, for it lacks `{DOCUMENT}`", plugin.subject())
    }));
    let ours: Vec<&Resource> = view
        .inventory
        .resources
        .iter()
        .filter(|resource| resource.annotation(DOCUMENT).is_some())
        .collect();
    if ours.is_empty() {
        unknown.push("nothing among the policies was rendered from a document".to_owned());
        return;
    }
    let digest = view.document.digest.as_str();
    let others = |one: &&&Resource| one.annotation(DOCUMENT) != Some(digest);
    for resource in ours.iter().filter(others) {
        let text = format!(
            "it was rendered from document {}, not from {digest}",
            resource.annotation(DOCUMENT).unwrap_or_default()
        );
        let finding = Finding::new(&OTHER_DOCUMENT, resource.subject(), text);
        found.push(finding.at(Some(resource.place.clone())));
    }
    match rendered(input) {
        Ok(rendered) => compare(&ours, &rendered, digest, input, found),
        Err(error) => unknown.push(format!("whether anything has drifted: {error}")),
    }
}

/// A resource that the document renders to now.
struct Rendered {
    subject: String,
    value: Value,
}

fn rendered(input: &Input<'_>) -> Result<Vec<Rendered>, istio::RenderError> {
    let mut all = Vec::new();
    for file in istio::render(input.document, input.options)? {
        let mut problems = Problems::new(vec![file.name.clone()]);
        for node in parse_all(&file.content, 0, &mut problems) {
            let value = value(&node);
            // The fragment of MeshConfig and the list of files are no resources.
            let Some(namespace) = text(&value, "/metadata/namespace") else { continue };
            let kind = text(&value, "/kind").unwrap_or_default();
            let name = text(&value, "/metadata/name").unwrap_or_default();
            all.push(Rendered { subject: format!("{kind} {namespace}/{name}"), value });
        }
    }
    Ok(all)
}

fn compare(
    ours: &[&Resource],
    rendered: &[Rendered],
    digest: &str,
    input: &Input<'_>,
    found: &mut Vec<Finding>,
) {
    let mut by_subject: BTreeMap<String, &Resource> = BTreeMap::new();
    for resource in ours {
        by_subject.entry(resource.subject()).or_insert(resource);
    }
    for one in rendered {
        let there = by_subject.get(&one.subject);
        let text = match there {
            None => "the document renders to it, and it is not there",
            // What came of another document differs for that reason.
            Some(there) if there.annotation(DOCUMENT) != Some(digest) => continue,
            Some(there) if spec(&there.value, input) != spec(&one.value, input) => {
                "it differs from what the document renders to"
            }
            Some(_) => continue,
        };
        let place = there.map(|there| there.place.clone());
        found.push(Finding::new(&DRIFT, one.subject.clone(), text).at(place));
    }
    let known: BTreeSet<&str> = rendered.iter().map(|one| one.subject.as_str()).collect();
    for resource in ours {
        let subject = resource.subject();
        if !known.contains(subject.as_str()) {
            let text = "the document does not render to it";
            found.push(Finding::new(&DRIFT, subject, text).at(Some(resource.place.clone())));
        }
    }
}

/// What a resource asks for. Where the module comes from, only the options of the rendering say:
/// it is compared where the review was told.
fn spec(value: &Value, input: &Input<'_>) -> Value {
    let mut spec = value.get("spec").cloned().unwrap_or(Value::Null);
    if !input.module_is_known {
        for pointer in ["", "/wasm"] {
            if let Some(Value::Object(members)) = spec.pointer_mut(pointer) {
                for name in ["url", "sha256", "imagePullSecret"] {
                    members.remove(name);
                }
            }
        }
    }
    spec
}

/// PR219: patches of ours for data planes that are not the mesh's. Whom others' are for, is theirs.
fn patches(
    view: &View<'_>,
    input: &Input<'_>,
    found: &mut Vec<Finding>,
    unknown: &mut Vec<String>,
) {
    let (major, control) = input.options.istio_version;
    let oldest = input.options.data_plane_from.unwrap_or(control.saturating_sub(1)).min(control);
    let is_ours = |filter: &&Resource| filter.annotation(DOCUMENT).is_some();
    for filter in view.inventory.of(&["EnvoyFilter"]).filter(is_ours) {
        let versions: Vec<Option<&str>> = filter
            .list("/spec/configPatches")
            .iter()
            .map(|patch| text(patch, "/match/proxy/proxyVersion"))
            .collect();
        for minor in oldest..=control {
            let version = format!("{major}.{minor}.0");
            let mut is_unclear = false;
            let mut is_patched = |pattern: &Option<&str>| match pattern {
                None => true,
                Some(pattern) => matches(pattern, &version).unwrap_or_else(|| {
                    is_unclear = true;
                    false
                }),
            };
            if versions.is_empty() || versions.iter().any(&mut is_patched) {
                continue;
            }
            if is_unclear {
                unknown
                    .push(format!("{}: whether its patches are for {version}", filter.subject()));
                continue;
            }
            let from = if minor < control {
                format!(" --data-plane-from {major}.{minor}")
            } else {
                String::new()
            };
            let text = format!(
                "none of its patches is for data planes of {major}.{minor}: render with \
                 --istio-version {major}.{control}{from}"
            );
            let finding = Finding::new(&PATCH_VERSION, filter.subject(), text);
            found.push(finding.at(Some(filter.place.clone())));
        }
    }
}
