use crate::{Source, load};

const MAIN: &str = "\
version: 1
owners:
  freight: {paths: [/shipments/, /tracking/]}
  web: {hosts: ['*.web.test']}
services:
  s: {upstream: 's:80'}
limits:
  few: {key: [ip], mode: local, rate: 5/1m}
routes:
  - {name: docs, match: {path: /docs}, service: postern, auth: none}
";

/// What is wrong with a fragment beside the main file.
fn problems(fragment: &str) -> Vec<String> {
    let source = |name: &str, text: &str| Source { name: name.to_owned(), text: text.to_owned() };
    let sources = [source("f.yaml", fragment), source("postern.yaml", MAIN)];
    let found = load(&sources, &|_| Err(String::new())).err().unwrap_or_default();
    found.iter().map(ToString::to_string).collect()
}

#[test]
fn what_is_beyond_an_owners_rights_is_named_with_its_place() {
    let found = problems(
        "owner: freight
routes:
  - name: tracking
    match: {path: /billing/x}
    service: s
    auth: none
",
    );
    assert_eq!(
        found,
        ["f.yaml:4: routes.tracking.match.path: /billing/x is not `freight`'s, who may speak \
             for /shipments/, /tracking/ only"]
    );
    let route = |hosts: &str| {
        problems(&format!(
            "owner: web\nroutes:\n  - {{name: r, match: {{path: /r{hosts}}}, service: s, auth: \
             none}}\n"
        ))
    };
    let only = "`web`'s, who may speak for the hosts *.web.test only";
    assert_eq!(route(", hosts: [a.web.test]"), [""; 0]);
    assert_eq!(
        route(", hosts: [a.web.test, b.test]"),
        [format!("f.yaml:3: routes.r.match.hosts[1]: b.test is not {only}")]
    );
    assert_eq!(
        route(""),
        [format!("f.yaml:3: routes.r.match.hosts: a route for all hosts is not {only}")]
    );
}

#[test]
fn what_is_there_already_is_named_with_its_file() {
    let found = problems(
        "owner: freight
services:
  s: {upstream: 't:80'}
limits:
  few: {key: [ip], mode: local, rate: 5/1m}
routes:
  - {name: docs, match: {path: /tracking/x}, service: s, auth: none}
",
    );
    assert_eq!(
        found,
        [
            "f.yaml:3: services.s: there is a service `s` already, at postern.yaml:6",
            "f.yaml:5: limits.few: there is a limit `few` already, at postern.yaml:8",
            "f.yaml:7: routes.docs.name: there is a route `docs` already, at postern.yaml:10",
        ]
    );
}

#[test]
fn what_stands_in_a_fragment_without_rights_is_checked_all_the_same() {
    let found = problems(
        "owner: freigth
services:
  mine: {upstream: 'mine:80'}
routes:
  - {name: r, match: {path: /tracking/x}, service: mine, auth: none, limits: [fwe]}
",
    );
    let [owner, limit] = found.as_slice() else { panic!("{found:?}") };
    assert!(owner.starts_with("f.yaml:1: the main file has no owner `freigth`"), "{owner}");
    assert!(limit.starts_with("f.yaml:5: routes.r.limits: there is no limit `fwe`"), "{limit}");
}
