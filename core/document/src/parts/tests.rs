use crate::{Document, Problem, Source, load};

const MAIN: &str = "\
version: 1
owners:
  team: {paths: [/team/]}
routes:
  - {name: docs, match: {path: /docs}, service: postern, auth: none}
";
const TEAM: &str = "\
owner: team
services:
  s: {upstream: 's:80'}
routes:
  - {name: own, match: {path: /team/x}, service: s, auth: none}
";

fn read(files: &[(&str, &str)]) -> Result<Document, Vec<Problem>> {
    let source =
        |(name, text): &(&str, &str)| Source { name: (*name).to_owned(), text: (*text).to_owned() };
    let sources: Vec<Source> = files.iter().map(source).collect();
    load(&sources, &|_| Err(String::new()))
}

fn problems(files: &[(&str, &str)]) -> Vec<String> {
    let found = read(files).err().unwrap_or_default();
    found.iter().map(ToString::to_string).collect()
}

#[test]
fn the_main_file_is_the_one_with_the_version_whatever_it_is_called() {
    for name in ["a.yaml", "z.yaml"] {
        let document = read(&[("m.yaml", TEAM), (name, MAIN)]).unwrap();
        assert_eq!(document.routes.len(), 2);
        assert!(document.notes().is_empty());
    }
}

#[test]
fn a_kubernetes_resource_in_the_folder_is_one_problem() {
    let resource = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n";
    let found =
        problems(&[("kustomization.yaml", resource), ("postern.yaml", MAIN), ("team.yaml", TEAM)]);
    assert_eq!(found, ["kustomization.yaml:1: a Kubernetes resource: move it out of this folder"]);
    let alone = problems(&[("postern.yaml", resource)]);
    assert_eq!(alone, ["postern.yaml:1: a Kubernetes resource, and no gateway document"]);
}

#[test]
fn a_fragment_without_owner_is_told_so_and_read_all_the_same() {
    let ownerless = TEAM.replace("owner: team\n", "").replace("auth: none", "auth: nobody");
    let found = problems(&[("freight.yaml", &ownerless), ("postern.yaml", MAIN)]);
    let [owner, auth] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(
        owner,
        "freight.yaml:1: a fragment begins with `owner`; the main file is postern.yaml"
    );
    assert!(auth.starts_with("freight.yaml:4: routes[0].auth: expected `none`"), "{auth}");
}

#[test]
fn what_is_nothing_of_a_document_is_moved_out() {
    let found = problems(&[("postern.yaml", MAIN), ("values.yaml", "image: x\n"), ("x.yaml", "x")]);
    assert_eq!(
        found,
        [
            "values.yaml:1: neither the main file, which is postern.yaml, nor a fragment: move it \
             out of this folder",
            "x.yaml:1: expected a mapping, found text",
        ]
    );
}

#[test]
fn an_owner_in_the_main_file_is_told_so() {
    let main = format!("owner: team\n{MAIN}");
    let expected = "`owner` begins a fragment, and `version` the main file: leave one of them out";
    let main = ("postern.yaml", main.as_str());
    for files in [&[main][..], &[("a.yaml", TEAM), main]] {
        assert_eq!(problems(files), [format!("postern.yaml:1: {expected}")]);
    }
}

#[test]
fn fields_of_the_main_file_in_a_fragment_are_told_so() {
    let fragment = TEAM.replace("services:", "version: 1\nfeed: {poll: 1s}\nservices:");
    let found = problems(&[("freight.yaml", &fragment), ("postern.yaml", MAIN)]);
    assert_eq!(
        found,
        [
            "freight.yaml:2: `version` stands in the main file alone, which is postern.yaml",
            "freight.yaml:3: `feed` stands in the main file alone, which is postern.yaml",
        ]
    );
}

#[test]
fn two_main_files_are_one_too_many() {
    let other = "version: 1\nroutes: []\n";
    let found = problems(&[("a.yaml", other), ("postern.yaml", MAIN)]);
    let expected =
        "a.yaml:1: a second main file beside postern.yaml; a fragment begins with `owner`";
    assert_eq!(found, [expected]);
}

#[test]
fn without_a_main_file_nothing_is_guessed() {
    let alone = problems(&[("team.yaml", TEAM)]);
    let [only] = alone.as_slice() else { panic!("{alone:?}") };
    assert!(only.contains("a fragment alone: name the folder"), "{only}");
    let found = problems(&[("a.yaml", TEAM), ("b.yaml", TEAM)]);
    assert_eq!(found, ["a.yaml: no main file: one with `version` and `routes`"]);
    // The one that could not be read may be it.
    let found = problems(&[("postern.yaml", "version: [\n"), ("team.yaml", TEAM)]);
    assert!(found.len() == 1 && found[0].contains("not YAML"), "{found:?}");
    let ownerless = TEAM.replace("owner: team\n", "");
    let found = problems(&[("postern.yaml", "version: [\n"), ("team.yaml", &ownerless)]);
    assert!(found.len() == 1 && found[0].contains("not YAML"), "{found:?}");
}

#[test]
fn an_owner_without_a_name_is_no_way_round_what_it_may_speak_for() {
    let nameless = TEAM.replace("owner: team", "owner: ''");
    let found = problems(&[("a.yaml", &nameless), ("postern.yaml", MAIN)]);
    assert!(found.iter().any(|problem| problem.contains("has no owner ``")), "{found:?}");
}

#[test]
fn the_main_file_alone_is_noted() {
    let notes = read(&[("postern.yaml", MAIN)]).unwrap().notes();
    let [only] = notes.as_slice() else { panic!("{notes:?}") };
    assert_eq!(
        only.to_string(),
        "postern.yaml:3: owners: `team` has no fragment here: is this one file of a folder?"
    );
    let main = MAIN.replace("owners:", "owners:\n  late: {paths: [/late/]}");
    let notes = read(&[("postern.yaml", &main), ("team.yaml", TEAM)]).unwrap().notes();
    let [only] = notes.as_slice() else { panic!("{notes:?}") };
    assert_eq!(only.to_string(), "postern.yaml:3: owners: `late` has no fragment here");
}
