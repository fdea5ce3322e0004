//! Cases about Istio's policies, and what Envoys under istiod answered.
//!
//! A [`Case`] is a set of policies and requests to one workload, `guarded`, in a namespace of its
//! own. The mesh tests put the policies into force and send the requests; what came back is
//! written down in a file ([`Recorded`]). What `postern-policies` makes of the same requests is
//! compared with it ([`expected`]): there, and in an ordinary test that takes no mesh.
//!
//! A request is answered by `pass`, or by `asked` where a CUSTOM policy's provider was asked
//! before; by `denied` and the DENY rule that did it, or `none` where no ALLOW rule matched; by
//! `provider` and the CUSTOM rule whose provider cannot be asked; by `token` and the status; by
//! `closed` where no answer came at all. `audited` stands behind where an AUDIT rule matched.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use serde_json::{Map, Value, json};

mod answer;
pub mod expected;
mod kinds;
mod sent;
mod token;

pub use self::answer::Answer;
pub use self::kinds::{REQUIRED, of_case};
pub use self::sent::{Caller, HOST, Sent, TCP_PORT};
pub use self::token::{Place, Placed, Token};

/// How often each of [`REQUIRED`] is there at least.
pub const LEAST: usize = 10;
/// How many cases there are at least.
pub const LEAST_CASES: usize = 400;
/// The namespace of every workload of the mesh.
pub const ROOT: &str = "istio-system";
/// What stands for the workload's own namespace in a case.
const HOME: &str = "$HOME";
/// What stands for the value of the label that the workload alone has.
const SLOT: &str = "$SLOT";
/// What stands for the issuers' keys.
const JWKS: &str = "$JWKS";

/// What `$WORDS` in cases stand for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// The workload's namespace.
    pub home: String,
    /// The value of its label `slot`.
    pub slot: String,
    /// The keys that sign tokens, as text.
    pub jwks: String,
}

impl Places {
    /// Fills in texts and names of members.
    #[must_use]
    pub fn fill(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.fill_text(text)),
            Value::Array(items) => items.iter().map(|item| self.fill(item)).collect(),
            Value::Object(members) => members
                .iter()
                .map(|(name, value)| (self.fill_text(name), self.fill(value)))
                .collect::<Map<String, Value>>()
                .into(),
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }

    /// Fills in a text.
    #[must_use]
    pub fn fill_text(&self, text: &str) -> String {
        text.replace(HOME, &self.home).replace(SLOT, &self.slot).replace(JWKS, &self.jwks)
    }

    /// The other way round, for a rule: its policy's namespace and name, and its number.
    #[must_use]
    pub fn rule(&self, namespace: &str, name: &str, number: &str) -> String {
        let namespace = if namespace == self.home { HOME } else { namespace };
        let own = name.strip_suffix(&self.slot).filter(|rest| rest.ends_with('-'));
        match own {
            Some(rest) => format!("{namespace}/{rest}{SLOT}/{number}"),
            None => format!("{namespace}/{name}/{number}"),
        }
    }
}

/// Policies, and requests to the workload that they are for.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// What it is about; no two are alike.
    pub name: String,
    /// `kind`, `name`, `spec`, and where they are not as usual `namespace` and `annotations`.
    pub policies: Vec<Value>,
    /// The requests, each with its answer once it was given.
    pub requests: Vec<(Sent, Option<Answer>)>,
}

impl Case {
    /// Reads one.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn read(value: &Value) -> Self {
        let name = value["name"].as_str().unwrap_or_else(|| panic!("no name: {value}")).to_owned();
        let list = |member: &str| {
            let items = value[member].as_array().cloned();
            items.unwrap_or_else(|| panic!("{name}: no {member}"))
        };
        let requests = list("requests");
        let requests = requests.iter().map(|one| (Sent::read(one), answer_of(one))).collect();
        Self { policies: list("policies"), requests, name }
    }

    fn write(&self) -> Value {
        let request = |(sent, answer): &(Sent, Option<Answer>)| {
            let mut written = sent.write();
            if let Some(answer) = answer {
                written["answer"] = json!(answer.to_string());
            }
            written
        };
        let requests: Vec<Value> = self.requests.iter().map(request).collect();
        json!({"name": self.name, "policies": self.policies, "requests": requests})
    }

    /// The policies as Kubernetes has them.
    ///
    /// # Panics
    /// When one has no name.
    #[must_use]
    pub fn resources(&self, places: &Places) -> Vec<Value> {
        let one = |policy: &Value| {
            let member = |name: &str| policy.get(name).cloned();
            let mut metadata = json!({
                "name": member("name").expect("a name"),
                "namespace": member("namespace").unwrap_or_else(|| json!(HOME)),
            });
            if let Some(annotations) = member("annotations") {
                metadata["annotations"] = annotations;
            }
            places.fill(&json!({
                "apiVersion": "security.istio.io/v1",
                "kind": member("kind").expect("a kind"),
                "metadata": metadata,
                "spec": member("spec").expect("a spec"),
            }))
        };
        self.policies.iter().map(one).collect()
    }

    /// Whether it changes what other workloads answer: no other case can be in force beside it.
    #[must_use]
    pub fn is_for_all(&self) -> bool {
        let is_for_all = |policy: &Value| {
            policy["namespace"] == ROOT && !policy["spec"]["selector"].to_string().contains(SLOT)
        };
        self.policies.iter().any(is_for_all)
    }
}

fn answer_of(request: &Value) -> Option<Answer> {
    let text = request["answer"].as_str()?;
    Some(Answer::read(text).unwrap_or_else(|| panic!("no answer: {text}")))
}

/// What a run of the mesh tests was answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// Which istiod, as Go's modules name it.
    pub istiod: String,
    /// Which Envoy.
    pub envoy: String,
    /// The cases, by name.
    pub cases: Vec<Case>,
}

impl Recorded {
    /// Where it is kept.
    #[must_use]
    pub fn path() -> PathBuf {
        crate::env::repository().join("tests").join("mesh").join("recorded").join("policies.json")
    }

    /// Reads what was kept.
    ///
    /// # Panics
    /// When nothing was, with what to run.
    #[must_use]
    pub fn load() -> Self {
        let path = Self::path();
        let text = fs::read_to_string(&path);
        let text = text.unwrap_or_else(|error| {
            panic!(
                "{}: {error}. Real Envoys write it: POSTERN_WRITE_RECORDED=1 ./dev test mesh -- \
                 policies",
                path.display()
            )
        });
        Self::read(&text)
    }

    fn read(text: &str) -> Self {
        let value: Value = serde_json::from_str(text).expect("JSON");
        let member = |name: &str| value[name].as_str().expect("a version").to_owned();
        let cases = value["cases"].as_array().expect("cases").iter().map(Case::read).collect();
        Self { istiod: member("istiod"), envoy: member("envoy"), cases }
    }

    /// Keeps it.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn store(&self) {
        let path = Self::path();
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder for what is kept");
        fs::write(&path, self.text()).expect("what is kept");
    }

    /// One line a case, by name, so that differences can be read.
    fn text(&self) -> String {
        let mut cases: Vec<&Case> = self.cases.iter().collect();
        cases.sort_by(|a, b| a.name.cmp(&b.name));
        let lines: Vec<String> = cases.iter().map(|case| case.write().to_string()).collect();
        let (istiod, envoy) = (json!(self.istiod), json!(self.envoy));
        let lines = lines.join(",\n");
        format!("{{\"istiod\":{istiod},\"envoy\":{envoy},\"cases\":[\n{lines}\n]}}\n")
    }

    /// How many requests were answered.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.cases.iter().map(|case| case.requests.len()).sum()
    }

    /// The same without requests that repeat a header: Envoys differ there. Newer ones compare each
    /// of several values, older ones what they make together.
    #[must_use]
    pub fn without_repeated_headers(&self) -> Self {
        let mut left = self.clone();
        for case in &mut left.cases {
            case.requests.retain(|(sent, _)| !kinds::repeats_a_header(sent));
        }
        left
    }

    /// In how many cases there is each thing that a case can have.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for kind in self.cases.iter().flat_map(of_case) {
            *counts.entry(kind).or_insert(0) += 1;
        }
        counts
    }

    /// What of [`REQUIRED`] is there less often than it must be.
    #[must_use]
    pub fn too_few(&self) -> Vec<String> {
        let counts = self.counts();
        let count = |kind: &str| counts.get(kind).copied().unwrap_or(0);
        let mut few: Vec<String> = REQUIRED
            .iter()
            .filter(|kind| count(kind) < LEAST)
            .map(|kind| format!("{kind}: {}", count(kind)))
            .collect();
        few.extend((self.cases.len() < LEAST_CASES).then(|| format!("{} cases", self.cases.len())));
        few
    }

    /// Where `postern-policies` says something else.
    #[must_use]
    pub fn differences(&self) -> Vec<String> {
        self.cases.iter().flat_map(expected::differences).collect()
    }

    /// Where this run was answered otherwise than another one.
    #[must_use]
    pub fn changes_since(&self, before: &Self) -> Vec<String> {
        let known: BTreeMap<&str, &Case> =
            before.cases.iter().map(|case| (case.name.as_str(), case)).collect();
        let mut changes = Vec::new();
        for case in &self.cases {
            match known.get(case.name.as_str()) {
                None => changes.push(format!("{}: is new", case.name)),
                Some(other) if *other != case => {
                    changes.push(format!("{}: {} was {}", case.name, case.write(), other.write()));
                }
                Some(_) => {}
            }
        }
        let now: BTreeSet<&str> = self.cases.iter().map(|case| case.name.as_str()).collect();
        let gone = known.keys().filter(|name| !now.contains(**name));
        changes.extend(gone.map(|name| format!("{name}: is gone")));
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Places {
        let jwks = "{\"keys\": []}".to_owned();
        Places { home: "home-07".to_owned(), slot: "07".to_owned(), jwks }
    }

    fn case() -> Case {
        Case::read(&json!({
            "name": "a case",
            "policies": [{
                "kind": "AuthorizationPolicy", "name": "p-$SLOT", "namespace": "istio-system",
                "spec": {"selector": {"matchLabels": {"slot": "$SLOT"}}, "action": "DENY",
                         "rules": [{"from": [{"source": {"namespaces": ["$HOME"]}}]}]},
            }],
            "requests": [
                {"answer": "pass"},
                {"from": "neighbour", "answer": "denied istio-system/p-$SLOT/0"},
            ],
        }))
    }

    #[test]
    fn places_are_filled_in_and_forgotten() {
        let resources = case().resources(&places());
        assert_eq!(resources[0]["metadata"]["name"], "p-07");
        assert_eq!(resources[0]["spec"]["selector"]["matchLabels"]["slot"], "07");
        let rule = |namespace: &str, name: &str| places().rule(namespace, name, "0");
        assert_eq!(rule("istio-system", "p-07"), "istio-system/p-$SLOT/0");
        assert_eq!(rule("home-07", "p"), "$HOME/p/0");
        assert_eq!(rule("home-07", "x07"), "$HOME/x07/0");
    }

    #[test]
    fn what_is_for_all_cannot_stand_beside_others() {
        assert!(!case().is_for_all());
        let mut other = case();
        other.policies[0]["spec"]["selector"] = json!({"matchLabels": {"app": "guarded"}});
        assert!(other.is_for_all());
    }

    #[test]
    fn what_is_kept_is_read_as_it_was() {
        let (istiod, envoy) = ("v1".to_owned(), "1.40.0".to_owned());
        let recorded = Recorded { istiod, envoy, cases: vec![case()] };
        assert_eq!(Recorded::read(&recorded.text()), recorded);
        assert!(recorded.changes_since(&recorded).is_empty());
        let mut other = recorded.clone();
        other.cases[0].requests[0].1 = Some(Answer::Closed);
        assert_eq!(other.changes_since(&recorded).len(), 1);
        other.cases[0].name = "another".to_owned();
        assert_eq!(other.changes_since(&recorded).len(), 2);
    }

    #[test]
    fn an_answer_that_is_not_expected_is_a_difference() {
        assert_eq!(expected::differences(&case()), Vec::<String>::new());
        let other = |at: usize, answer: Answer| {
            let mut case = case();
            case.requests[at].1 = Some(answer);
            expected::differences(&case).len()
        };
        let denied =
            |by: Option<&str>| Answer::Denied { by: by.map(str::to_owned), audited: false };
        assert_eq!(other(0, denied(None)), 1);
        assert_eq!(other(1, denied(None)), 1);
        assert_eq!(other(1, denied(Some("istio-system/q-$SLOT/0"))), 1);
        assert_eq!(other(0, Answer::Passed { asked: true, audited: false }), 1);
        assert_eq!(other(0, Answer::Passed { asked: false, audited: true }), 1);
        assert_eq!(other(0, Answer::Closed), 1);
        assert_eq!(other(1, Answer::Token(401)), 1);
    }
}
