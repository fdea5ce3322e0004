use postern_limits::{Algorithm, Anchor, Rate, Spec};

use crate::{Allowed, Descriptors, Source};

mod files;
mod format;
mod matching;
mod metrics;
mod properties;
mod refusals;

fn source(name: &str, text: &str) -> Source {
    Source { name: name.to_owned(), text: text.to_owned() }
}

fn load(text: &str) -> Descriptors {
    Descriptors::load(&[source("limits.yaml", text)], false).unwrap_or_else(|problems| {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        panic!("{}\n{text}", problems.join("\n"))
    })
}

/// A configuration of one domain, `d`, from descriptors that are each written on one line.
fn flow(descriptors: &str) -> String {
    format!("domain: d\ndescriptors: [{descriptors}]")
}

/// All problems of one file, each as it is shown.
fn problems(text: &str) -> Vec<String> {
    let found = Descriptors::load(&[source("f", text)], false).err().unwrap_or_default();
    found.iter().map(ToString::to_string).collect()
}

fn per(requests: u64, secs: u64) -> Allowed {
    let rate = Rate::new(requests, secs * 1000).unwrap();
    Allowed::Rate(Spec::new(Algorithm::FixedWindow, rate, None, Anchor::Clock).unwrap())
}

/// How much a descriptor may; none without a rule.
fn allowed(descriptors: &Descriptors, domain: &str, entries: &[(&str, &str)]) -> Option<Allowed> {
    descriptors.find(domain, entries).map(|found| found.rule.allowed)
}

/// Under which name it is counted.
fn counter(descriptors: &Descriptors, domain: &str, entries: &[(&str, &str)]) -> String {
    descriptors.find(domain, entries).unwrap().counter_key
}
