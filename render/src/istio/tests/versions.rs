//! What is rendered for one version of Istio, and not for another.

use super::*;

/// Fields and values that not every supported version has.
const NEWER: [&str; 10] = [
    "MERGE_AND_REPLACE_LIST",
    "budgetInterval",
    "disableContextPropagation",
    "http2KeepAlive",
    "insecureSkipVerify",
    "notTrustDomains",
    "outlierDetectionHttpErrorCodes",
    "prefixRewrite",
    "trustDomains",
    "zoneAwareLbSetting",
];

/// Everything in one: traffic rules, workloads, admission.
fn documents() -> [Document; 3] {
    [document(), sidecar::document(), traffic::document()]
}

#[test]
fn only_what_must_differ_differs_between_versions() {
    for document in documents() {
        let rendered = |minor: u32| -> Vec<RenderedFile> {
            let files = render(&document, &options(minor)).unwrap().into_iter();
            let files = files.filter(|file| file.name != "plugin.yaml");
            files
                .map(|mut file| {
                    let lines = file.content.lines();
                    let lines = lines.filter(|line| !line.contains("proxyVersion:"));
                    file.content = lines.collect::<Vec<_>>().join("\n");
                    file
                })
                .collect()
        };
        let oldest = rendered(28);
        for minor in 29..=31 {
            assert!(rendered(minor) == oldest, "1.{minor} differs from 1.28");
        }
    }
}

#[test]
fn nothing_is_rendered_that_an_older_version_has_not() {
    for document in documents() {
        for file in render(&document, &options(31)).unwrap() {
            for newer in NEWER {
                assert!(!file.content.contains(newer), "{}: {newer}", file.name);
            }
        }
    }
}

/// `istioctl analyze` warns of patches with a version and without a priority, and a patch without
/// a version goes to data planes that nobody has tried.
#[test]
fn every_patch_has_a_priority_and_its_data_planes() {
    for document in documents() {
        for filter in envoy_filters(&document) {
            assert!(filter["spec"]["priority"].is_i64(), "{filter}");
            for patch in filter["spec"]["configPatches"].as_array().unwrap() {
                assert!(patch["match"]["proxy"]["proxyVersion"].is_string(), "{patch}");
                assert_ne!(patch["match"]["context"], "ANY", "{patch}");
            }
        }
    }
}

#[test]
fn no_two_resources_are_called_the_same() {
    for document in documents() {
        let options = options(30);
        let mut seen = std::collections::BTreeSet::new();
        for (_, _, resources) in parts(&rendering(&document, &options)).unwrap() {
            for resource in resources {
                let metadata = &resource["metadata"];
                let id = [&resource["kind"], &metadata["namespace"], &metadata["name"]];
                let id = id.map(ToString::to_string);
                assert!(seen.insert(id.clone()), "{id:?} is there twice");
            }
        }
    }
}

const PAGE: &str = include_str!("../../../../docs/istio.md");

#[test]
fn the_page_says_which_data_planes_patches_are_for() {
    let row = PAGE.lines().find(|line| line.starts_with("| patches are for |")).unwrap();
    let cells: Vec<&str> =
        row.split(" | ").skip(1).map(|cell| cell.trim_end_matches(" |")).collect();
    let expected: Vec<String> = VERSIONS
        .map(|minor| {
            let version = options(minor).version().unwrap().proxy_versions();
            format!("`{}`", version.replace('|', "\\|"))
        })
        .collect();
    assert_eq!(cells, expected);
}

#[test]
fn the_page_names_every_filter_and_every_policy() {
    for document in documents() {
        made(&document, |rendering| {
            let destinations = Destinations::of(rendering).unwrap();
            let filters = envoy_filter::resources(rendering, &destinations).unwrap();
            for resource in filters.iter().chain(&policies(rendering).unwrap()) {
                let name = resource["metadata"]["name"].as_str().unwrap();
                let name = rendering.workloads.iter().fold(name.to_owned(), |name, placed| {
                    name.replace(&format!("postern-{}-", placed.workload), "postern-WORKLOAD-")
                });
                let of_filters = name.replace("postern-WORKLOAD-", "postern-");
                let is_there = |name: &str| PAGE.contains(&format!("`{name}`"));
                let role = name.strip_prefix("postern-workloads");
                let is_role = role.is_some_and(is_there);
                assert!(is_there(&name) || is_there(&of_filters) || is_role, "{name}");
            }
        });
    }
}
