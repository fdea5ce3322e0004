//! Streams, and a client that believes what it is told.

mod before;
mod delta;
mod model;
mod order;
mod state_of_the_world;

use std::sync::Arc;
use std::time::Duration;

use super::*;

pub(crate) fn resource(kind: Kind, name: &str, says: &str) -> Resource {
    Resource {
        kind,
        name: Arc::from(name),
        version: Version::of([name.as_bytes(), says.as_bytes()]),
        body: Arc::from(says.as_bytes()),
    }
}

/// `(kind, name, what it says)`
fn snapshot(resources: &[(Kind, &str, &str)]) -> Arc<Snapshot> {
    let made = resources.iter();
    let made = made.map(|(kind, name, says)| Arc::new(resource(*kind, name, says)));
    Arc::new(Snapshot::new("d", made.collect::<Vec<_>>()))
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn stream(protocol: Protocol, target: &Arc<Snapshot>) -> Stream {
    Stream::new(protocol, Settings::default(), Arc::clone(target))
}

/// What an answer brings and takes: `kind +name -name`.
fn told(answer: &Answer) -> String {
    let mut text = answer.kind.as_str().to_owned();
    for resource in &answer.resources {
        text.push_str(&format!(" +{}", resource.name));
    }
    for name in &answer.removed {
        text.push_str(&format!(" -{name}"));
    }
    text
}

/// All that is sent now.
fn answers(stream: &mut Stream, now: Duration) -> Vec<Answer> {
    std::iter::from_fn(|| stream.next_answer(now)).collect()
}

fn all_told(stream: &mut Stream, now: Duration) -> Vec<String> {
    answers(stream, now).iter().map(told).collect()
}

fn change(subscribe: &[&str], unsubscribe: &[&str]) -> Names {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Names::Change { subscribe: owned(subscribe), unsubscribe: owned(unsubscribe), has: Vec::new() }
}

fn all(names: &[&str]) -> Names {
    Names::All(names.iter().map(|name| (*name).to_owned()).collect())
}

fn wants(names: Names) -> Ask {
    Ask { names, ..Ask::default() }
}

/// The client takes what it was sent.
fn take(stream: &mut Stream, answers: &[Answer], now: Duration) {
    judge(stream, answers, None, now);
}

fn judge(stream: &mut Stream, answers: &[Answer], error: Option<&str>, now: Duration) {
    for answer in answers {
        let ask = Ask {
            nonce: Some(answer.nonce),
            error: error.map(str::to_owned),
            names: Names::default(),
        };
        let expected = if error.is_some() { Heard::Refused } else { Heard::Taken };
        assert_eq!(stream.heard(answer.kind, ask, now), Ok(expected), "{}", told(answer));
    }
}
