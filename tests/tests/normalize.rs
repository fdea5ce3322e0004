//! How Envoys read paths, beside what `core/request/src/normalize.rs` says of them: for the
//! configuration that we render, and for each of Istio's four. What we say of a path, in `explain`
//! and in reviews of policies, is true only as long as this holds.
//!
//! And what follows from their not reading all paths alike: such a path reaches nobody.

mod dots;
mod proxies;
mod targets;

use std::collections::BTreeMap;

use postern_request::normalize::{Normalization, Rejected, normalize};

use proxies::{Proxies, WAYS, Way};

/// How many targets are made up, beside those that are written out.
const MADE_UP: usize = 1_800;

/// What becomes of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Reading {
    /// It is passed on like this.
    Read(String),
    /// 400.
    Refused,
}

/// What we say of a target: the path is normalised, and the query only looked at.
fn expected(target: &str, rules: Normalization) -> Result<String, Rejected> {
    let (path, query) = match target.split_once('?') {
        Some((path, _)) => (path, &target[path.len()..]),
        None => (target, ""),
    };
    if query.contains('#') {
        return Err(Rejected::Fragment);
    }
    if query.bytes().any(|byte| byte <= 0x20 || byte >= 0x7f) {
        return Err(Rejected::Character);
    }
    Ok(normalize(path, rules)? + query)
}

/// What came of the comparison with one way.
#[derive(Default)]
struct Compared {
    /// A line for each.
    mismatches: Vec<String>,
    /// How often we said what.
    said: BTreeMap<String, usize>,
}

async fn compare(way: Way, port: u16, dot_parameters: bool, targets: Vec<Vec<u8>>) -> Compared {
    let rules = Normalization { dot_parameters, ..way.rules };
    let mut compared = Compared::default();
    for target in targets {
        // What is no text has a byte outside ASCII, and so has what stands for it here.
        let text = String::from_utf8_lossy(&target);
        let ours = expected(&text, rules);
        let said = match &ours {
            Ok(read) if *read == *text => "as it is".to_owned(),
            Ok(_) => "changed".to_owned(),
            Err(rejected) => format!("{rejected:?}"),
        };
        *compared.said.entry(said).or_default() += 1;
        let ours = ours.map_or(Reading::Refused, Reading::Read);
        let envoys = proxies::read(port, &target).await;
        if ours != envoys {
            let name = way.name;
            compared.mismatches.push(format!("{name} {text:?}: we say {ours:?}, Envoy {envoys:?}"));
        }
    }
    compared
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn envoys_read_paths_as_we_say() {
    let proxies = Proxies::start().await;
    let dot_parameters = proxies.read_dots_with_parameters().await;
    println!("dots with parameters are dots to this Envoy: {dot_parameters}");
    let targets = targets::all(MADE_UP);
    let tasks = WAYS.map(|way| {
        let port = proxies.port(way);
        (way, tokio::spawn(compare(way, port, dot_parameters, targets.clone())))
    });
    let mut mismatches = Vec::new();
    for (way, task) in tasks {
        let compared = task.await.expect("a comparison");
        println!("{}: {:?}", way.name, compared.said);
        assert_has_compared(way, &compared.said, targets.len());
        mismatches.extend(compared.mismatches);
    }
    assert!(
        mismatches.is_empty(),
        "{} of {} targets are read otherwise:\n{}",
        mismatches.len(),
        WAYS.len() * targets.len(),
        mismatches.join("\n")
    );
}

/// Targets that are all refused, or all left as they are, would compare nothing.
fn assert_has_compared(way: Way, said: &BTreeMap<String, usize>, targets: usize) {
    let count = |what: &str| said.get(what).copied().unwrap_or_default();
    let changed_at_least = if way.rules.base { targets / 3 } else { 0 };
    assert!(count("changed") >= changed_at_least, "{}: {said:?}", way.name);
    assert!(count("as it is") >= targets / 30, "{}: {said:?}", way.name);
    let mut kinds = vec![Rejected::NotAbsolute, Rejected::Fragment, Rejected::Character];
    if way.rules == Normalization::ENVOY {
        kinds.push(Rejected::EscapedSlash);
    }
    if way.rules.base {
        kinds.push(Rejected::EscapedZero);
    }
    for kind in kinds {
        assert!(count(&format!("{kind:?}")) >= 3, "{}, {kind:?}: {said:?}", way.name);
    }
}
