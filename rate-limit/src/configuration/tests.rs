use std::fs;
use std::os::unix::fs::symlink;
use std::time::Instant;

use postern_files::testing::{remove, settle, write};
use postern_telemetry::MetricsRegistry;
use tempfile::TempDir;

use super::*;

/// Rules that allow so many, all of the same length.
fn rules(requests: u8) -> String {
    assert!(requests < 10);
    let rule = format!("    rate_limit: {{unit: hour, requests_per_unit: {requests}}}");
    format!("domain: d\ndescriptors:\n  - key: k\n{rule}\n")
}

fn allows(configuration: &Configuration, requests: u8) -> bool {
    configuration.current().dump().contains(&format!("requests_per_unit={requests}"))
}

fn load(place: &Path) -> Configuration {
    match Configuration::load(place, false) {
        Ok(configuration) => configuration,
        Err(problems) => panic!("{problems:#?}"),
    }
}

fn refused(refreshed: Refreshed) -> Vec<Problem> {
    match refreshed {
        Refreshed::Refused(problems) => problems,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_that_changes_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.yaml");
    write(&file, rules(1)).unwrap();
    let configuration = load(&file);
    assert_eq!(configuration.refresh(), Refreshed::Unchanged);
    fs::write(&file, rules(2)).unwrap();
    assert_eq!(configuration.refresh(), Refreshed::Unchanged, "it may be written to yet");
    // Of the same size.
    write(&file, rules(3)).unwrap();
    assert_eq!(configuration.refresh(), Refreshed::Applied);
    write(&file, rules(3)).unwrap();
    assert_eq!(configuration.refresh(), Refreshed::Unchanged, "another time is no other rule");
    assert!(allows(&configuration, 3));
}

#[test]
fn a_bad_file_keeps_the_last_good_one_and_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.yaml");
    write(&file, rules(1)).unwrap();
    let configuration = load(folder.path());
    for bad in [
        "domain: [",
        "domain: d\nunknown: 1\n",
        "",
        "domain: d\ndescriptors: [{key: k, rate_limit: {unit: eon, requests_per_unit: -1}}]\n",
    ] {
        write(&file, bad).unwrap();
        let problems = refused(configuration.refresh());
        assert!(!problems.is_empty() && problems[0].file.ends_with("rules.yaml"), "{problems:?}");
        assert_eq!(configuration.refresh(), Refreshed::Unchanged);
        assert!(allows(&configuration, 1));
    }
    remove(&file).unwrap();
    refused(configuration.refresh());
    assert!(allows(&configuration, 1));
    write(&file, rules(2)).unwrap();
    assert_eq!(configuration.refresh(), Refreshed::Applied);
    assert!(allows(&configuration, 2));
}

#[test]
fn all_files_are_applied_or_none_is() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("a.yaml"), rules(1)).unwrap();
    write(&folder.path().join("b.yml"), rules(1).replace("domain: d", "domain: e")).unwrap();
    let configuration = load(folder.path());
    assert_eq!(configuration.current().domains(), ["d", "e"]);
    write(&folder.path().join("a.yaml"), rules(2)).unwrap();
    write(&folder.path().join("b.yml"), "domain: e\ndescriptors: 7\n").unwrap();
    refused(configuration.refresh());
    assert!(allows(&configuration, 1) && !allows(&configuration, 2));
    remove(&folder.path().join("b.yml")).unwrap();
    assert_eq!(configuration.refresh(), Refreshed::Applied);
    assert_eq!(configuration.current().domains(), ["d"]);
    write(&folder.path().join("c.yaml"), rules(3)).unwrap();
    let twice = refused(configuration.refresh());
    assert!(twice[0].file.ends_with("c.yaml"), "{twice:?}");
    let merged = rules(3).replace("key: k", "key: other");
    write(&folder.path().join("c.yaml"), merged).unwrap();
    let merging = Configuration::load(folder.path(), true);
    assert_eq!(merging.ok().unwrap().current().rules().len(), 2);
}

/// As a ConfigMap is mounted: links to files through a link to a folder.
struct Mounted(TempDir);

impl Mounted {
    fn new(text: &str) -> Self {
        let mounted = Self(tempfile::tempdir().unwrap());
        mounted.update("..1", text);
        symlink("..data/rules.yaml", mounted.0.path().join("rules.yaml")).unwrap();
        mounted
    }

    /// The new folder is complete before the link is turned around in one step.
    fn update(&self, version: &str, text: &str) {
        let place = self.0.path();
        fs::create_dir(place.join(version)).unwrap();
        write(&place.join(version).join("rules.yaml"), text).unwrap();
        symlink(version, place.join("..data_tmp")).unwrap();
        fs::rename(place.join("..data_tmp"), place.join("..data")).unwrap();
        settle(place).unwrap();
    }
}

#[test]
fn a_config_map_is_followed_when_its_link_is_turned_around() {
    let mounted = Mounted::new(&rules(1));
    let place = mounted.0.path();
    let (by_folder, by_file) = (load(place), load(&place.join("rules.yaml")));
    for (version, requests) in [("..2", 2), ("..3", 3)] {
        assert_eq!(by_folder.refresh(), Refreshed::Unchanged);
        // Of the same size.
        mounted.update(version, &rules(requests));
        for configuration in [&by_folder, &by_file] {
            assert_eq!(configuration.refresh(), Refreshed::Applied);
            assert!(allows(configuration, requests));
        }
    }
    mounted.update("..4", "domain: d\ndescriptors: bad\n");
    refused(by_folder.refresh());
    assert!(allows(&by_folder, 3));
}

#[test]
fn what_cannot_be_loaded_is_told_whole() {
    let folder = tempfile::tempdir().unwrap();
    let problems = |place: &Path| Configuration::load(place, false).err().unwrap();
    assert_eq!(problems(folder.path()).len(), 1, "an empty folder limits nothing");
    fs::write(folder.path().join("a.yaml"), "domain: ''\n").unwrap();
    fs::write(folder.path().join("b.yaml"), "domain: e\nunknown: 1\n").unwrap();
    let found = problems(folder.path());
    for name in ["a.yaml", "b.yaml"] {
        assert!(found.iter().any(|problem| problem.file.ends_with(name)), "{found:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn changes_are_found_while_requests_go_on() {
    let mounted = Mounted::new(&rules(1));
    let configuration = Arc::new(load(mounted.0.path()));
    let registry = MetricsRegistry::new("test", Instant::now()).unwrap();
    let metrics = Metrics::new(&registry).unwrap();
    let keeping = tokio::spawn(Arc::clone(&configuration).keep_current(metrics));
    let loads = |outcome: &str| {
        let start = format!("postern_rate_limit_configuration_loads_total{{outcome=\"{outcome}\"",);
        let text = registry.encode(Instant::now()).unwrap();
        text.lines().any(|line| line.starts_with(&start) && line.ends_with(" 1"))
    };
    let until = async |found: &dyn Fn() -> bool| {
        let looking = async {
            while !found() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), looking).await.unwrap();
    };
    mounted.update("..2", "domain: d\ndescriptors: bad\n");
    until(&|| loads("refused")).await;
    assert!(allows(&configuration, 1));
    mounted.update("..3", &rules(3));
    until(&|| allows(&configuration, 3) && loads("applied")).await;
    keeping.abort();
}
