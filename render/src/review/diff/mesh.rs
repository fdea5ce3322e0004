//! What the mesh lets through after a change, and did not before: the requests that either state
//! of it has a reason to ask, asked of both; how strict mutual TLS is; what holds around all
//! policies; and findings that are new.

mod around;
mod asked;

use std::collections::BTreeMap;

use postern_policies::MtlsMode;
use serde_json::Value;

use super::super::inventory::Policies;
use super::super::mesh::{self, View};
use super::super::model::{ChangeKind, Finding, Review, Severity};
use super::super::{Input, NoReview};
use super::{Noted, fact, way};
use asked::asked;

/// `before` is what is reviewed, with the document and the policies as they were.
pub(super) fn changes(
    before: &Input<'_>,
    policies: &Policies,
    new: &View<'_>,
    review: &Review,
    unknown: &mut Vec<String>,
) -> Vec<Noted> {
    let old = View::new(before, policies);
    let mut noted = transports(&old, new);
    noted.extend(fact::compare(&around::facts(&old), &around::facts(new)));
    noted.extend(asked(&old, new, unknown));
    let known = mesh::look(before, &old, &mut []).findings;
    let known: Vec<Known> = known.iter().map(Known::of).collect();
    noted.extend(findings(&known, review, &ASKED));
    noted
}

fn noted(kind: ChangeKind, owner: String, before: &str, after: &str) -> Noted {
    Noted {
        kind,
        owner,
        member: String::new(),
        caller: String::new(),
        request: String::new(),
        before: before.to_owned(),
        after: after.to_owned(),
    }
}

fn subject(workload: &str, port: u16) -> String {
    match port {
        0 => format!("Workload {workload}"),
        port => format!("Workload {workload} port {port}"),
    }
}

/// The more callers need no certificate, the more open.
const fn openness(mode: MtlsMode) -> u8 {
    match mode {
        MtlsMode::Strict => 0,
        MtlsMode::Permissive => 1,
        MtlsMode::Disable => 2,
    }
}

fn of_mode(owner: &str, old: MtlsMode, new: MtlsMode) -> Option<Noted> {
    let kind = match openness(old).cmp(&openness(new)) {
        core::cmp::Ordering::Less => ChangeKind::Opened,
        core::cmp::Ordering::Greater => ChangeKind::Closed,
        core::cmp::Ordering::Equal => return None,
    };
    Some(noted(kind, format!("{owner} mutual TLS"), old.as_str(), new.as_str()))
}

/// Mutual TLS of each port; of one that was not known, as of the workload's others.
fn transports(old: &View<'_>, new: &View<'_>) -> Vec<Noted> {
    let (before, after) = (old.transports(), new.transports());
    let compare = |((workload, port), mode): (&(String, u16), &MtlsMode)| {
        let unknown = || before.get(&(workload.clone(), 0));
        let was = before.get(&(workload.clone(), *port)).or_else(unknown);
        let owner = subject(workload, *port);
        match was {
            Some(was) => of_mode(&owner, *was, *mode),
            // Whether calls get through is for the requests to show.
            None if *mode == MtlsMode::Strict => None,
            None => {
                let owner = format!("{owner} mutual TLS");
                Some(noted(ChangeKind::Opened, owner, "no such port", mode.as_str()))
            }
        }
    };
    after.iter().filter_map(compare).collect()
}

/// A finding of an earlier review, as far as it tells it from others.
struct Known {
    id: String,
    subject: String,
    text: String,
    severity: String,
}

impl Known {
    fn of(finding: &Finding) -> Self {
        Self {
            id: finding.id.to_owned(),
            subject: finding.subject.clone(),
            text: finding.text.clone(),
            severity: finding.severity.as_str().to_owned(),
        }
    }

    fn read(value: &Value) -> Option<Self> {
        let word = |name: &str| value.get(name)?.as_str().map(str::to_owned);
        let (id, subject) = (word("id")?, word("subject")?);
        Some(Self { id, subject, text: word("text")?, severity: word("severity")? })
    }
}

/// Checks whose texts name callers who get through: where both meshes are asked, the requests tell
/// of each, and a caller less would only be another text.
const ASKED: [&str; 1] = ["PR222"];

/// Findings about the mesh that are new, or graver than they were: what they are about is open now.
/// Of those that are `asked` it is enough that there was one.
fn findings(known: &[Known], review: &Review, asked: &[&str]) -> Vec<Noted> {
    // What is about the document alone, the document's own changes tell.
    let of_mesh = |finding: &&Finding| finding.subject.contains(' ');
    let mut severities: BTreeMap<[&str; 3], &str> = BTreeMap::new();
    for known in known {
        let Known { id, subject, text, severity } = known;
        let text = if asked.contains(&id.as_str()) { "" } else { text };
        severities.entry([id, subject, text]).or_insert(severity);
    }
    let mut noted_all = Vec::new();
    for finding in review.findings.iter().filter(of_mesh) {
        if finding.severity > Severity::Medium {
            continue;
        }
        let word = finding.severity.as_str();
        let text = if asked.contains(&finding.id) { "" } else { finding.text.as_str() };
        let same = severities.get(&[finding.id, finding.subject.as_str(), text]);
        let was = match same {
            Some(severity) if graver(word, severity) => format!("{} {severity}", finding.id),
            Some(_) => continue,
            None => format!("no {}", finding.id),
        };
        let is = format!("{} {word}: {}", finding.id, finding.text);
        noted_all.push(noted(ChangeKind::Opened, finding.subject.clone(), &was, &is));
    }
    noted_all
}

/// Whether a severity is graver than another one; what nobody knows is less grave than all.
fn graver(one: &str, other: &str) -> bool {
    let place = |word: &str| Severity::ALL.iter().position(|severity| severity.as_str() == word);
    place(one).unwrap_or(Severity::ALL.len()) < place(other).unwrap_or(Severity::ALL.len())
}

/// The same of a written review, as far as it has a mesh: its rows and its findings. It does not
/// keep what else the policies could be asked.
pub(super) fn of_written(
    value: &Value,
    review: &Review,
    unknown: &mut Vec<String>,
) -> Result<Vec<Noted>, NoReview> {
    let list = |name: &str| {
        let all = value.get(name).and_then(Value::as_array);
        all.ok_or_else(|| NoReview(format!("`{name}` is missing")))
    };
    let rows = list("mesh")?;
    if rows.is_empty() {
        unknown.push(
            "the older review has no mesh: what the change opens there is not known".to_owned(),
        );
        return Ok(Vec::new());
    }
    unknown.push(
        "of the mesh, an older review keeps its rows and findings alone: give the older document \
         and `--policies-old` to ask both of all that the policies are about"
            .to_owned(),
    );
    let accepted = list("accepted")?.iter().filter_map(|one| one.get("finding"));
    let known = list("findings")?.iter().chain(accepted).map(Known::read);
    let known: Option<Vec<Known>> = known.collect();
    let known = known.ok_or_else(|| NoReview("a finding cannot be read".to_owned()))?;
    let mut noted_all = findings(&known, review, &[]);
    for row in &review.mesh {
        let of_workload: Vec<&Value> = rows
            .iter()
            .filter(|old| {
                old.get("workload").and_then(Value::as_str) == Some(row.workload.as_str())
            })
            .collect();
        let port = |old: &Value| old.get("port").and_then(Value::as_u64);
        let old = of_workload.iter().find(|old| port(old) == row.port.map(u64::from));
        let old = old.or_else(|| of_workload.iter().find(|old| port(old).is_none()));
        let owner = subject(&row.workload, row.port.unwrap_or(0));
        if let Some(was) = old.and_then(|old| mode(old.get("mtls")?.as_str()?))
            && let Some(is) = mode(&row.mtls)
        {
            noted_all.extend(of_mode(&owner, was, is));
        }
        for (who, is) in &row.reach {
            // Whom nothing named before, what is for everybody was for, too.
            let was = old.and_then(|old| reached(old, who).or_else(|| reached(old, ANYBODY)));
            let was = was.unwrap_or("no such call");
            let kind = way(passes(was), passes(is));
            if kind != ChangeKind::Changed {
                let caller = who.clone();
                noted_all.push(Noted { caller, ..noted(kind, owner.clone(), was, is) });
            }
        }
    }
    Ok(noted_all)
}

/// As rows call a workload that nothing names.
const ANYBODY: &str = "any workload of the mesh";

/// The mode that a row begins with; none of a gateway.
fn mode(text: &str) -> Option<MtlsMode> {
    let word = text.split(' ').next()?;
    [MtlsMode::Strict, MtlsMode::Permissive, MtlsMode::Disable]
        .into_iter()
        .find(|mode| mode.as_str() == word)
}

fn reached<'v>(row: &'v Value, who: &str) -> Option<&'v str> {
    let mut all = row.get("reach")?.as_array()?.iter();
    all.find(|one| one.get("who").and_then(Value::as_str) == Some(who))?.get("what")?.as_str()
}

fn passes(what: &str) -> bool {
    what.starts_with("passes")
}
