//! The requests that either state of a mesh has a reason to ask, asked of both.

use std::collections::{BTreeMap, BTreeSet};

use postern_policies::Decision;

use super::super::super::mesh::{Allowance, Each, Example, Judged, Known, View};
use super::super::super::model::ChangeKind;
use super::{Noted, noted, subject};

/// What is told of together: which way it is, on which port, by whom, what was and what is.
type SameAnswers = (ChangeKind, u16, String, String, String);

/// Each with a request that shows it, and whether everything was asked.
type Answers = (Vec<(SameAnswers, String)>, bool);

/// What requests get other answers, told of each workload.
pub(super) fn asked(old: &View<'_>, new: &View<'_>, unknown: &mut Vec<String>) -> Vec<Noted> {
    let (before, now) = (by_name(old), by_name(new));
    // What was left out of the new ones, the review itself says.
    for known in old.ours() {
        if let Some(more) = old.asked(known).left_out() {
            let subject = known.subject();
            unknown.push(format!("{subject}: before the change, its policies were about {more}"));
        }
    }
    let names: BTreeSet<&str> = old.ours().chain(new.ours()).map(Known::called).collect();
    let nothing = Vec::new();
    // Workloads that are alike in both get the same answers.
    let mut folded: BTreeMap<[Vec<usize>; 2], Answers> = BTreeMap::new();
    let mut all = Vec::new();
    for name in names {
        let two = Two {
            old: State { view: old, known: before.get(name).unwrap_or(&nothing) },
            new: State { view: new, known: now.get(name).unwrap_or(&nothing) },
        };
        let key = [two.old.kinds(), two.new.kinds()];
        let (answers, is_all) = folded.entry(key).or_insert_with(|| two.compare());
        if !*is_all {
            unknown.push(format!(
                "Workload {name}: the policies before and after are about more than was asked of \
                 both"
            ));
        }
        all.extend(answers.iter().map(|((kind, port, caller, was, is), request)| Noted {
            caller: caller.clone(),
            request: request.clone(),
            ..noted(*kind, subject(name, *port), was, is)
        }));
    }
    all
}

/// Workloads by their names, of which manifests may have several alike.
fn by_name<'v>(view: &'v View<'_>) -> BTreeMap<&'v str, Vec<&'v Known>> {
    let mut all: BTreeMap<&str, Vec<&Known>> = BTreeMap::new();
    for known in view.all() {
        all.entry(known.called()).or_default().push(known);
    }
    all
}

/// A workload in one state of the mesh.
struct State<'v, 'a> {
    view: &'v View<'a>,
    /// Empty where it is not known.
    known: &'v [&'v Known],
}

impl<'v, 'a> State<'v, 'a> {
    fn kinds(&self) -> Vec<usize> {
        self.known.iter().map(|known| known.number()).collect()
    }

    fn ours(&self) -> impl Iterator<Item = &'v Known> {
        self.known.iter().copied().filter(|known| known.is_of_document())
    }

    /// The ports that manifests name; none where this is a gateway, or not known.
    fn ports(&self) -> BTreeSet<u16> {
        let sidecars = self.ours().filter(|known| !known.is_gateway());
        sidecars.flat_map(Known::ports).map(|port| port.number).collect()
    }

    fn judge(&self, example: &Example, work: &Allowance) -> Option<Judged> {
        let decision: Decision<'a> = self.view.decide_within(self.known.first()?, example, work);
        Some(Judged::of(&decision))
    }
}

/// A workload before and after.
struct Two<'v, 'o, 'n> {
    old: State<'v, 'o>,
    new: State<'v, 'n>,
}

impl Two<'_, '_, '_> {
    /// Which answers differ, with a request that shows it, and whether everything was asked.
    fn compare(&self) -> Answers {
        let of_new: Vec<_> = self.new.ours().map(|known| self.new.view.asked(known)).collect();
        let of_old: Vec<_> = self.old.ours().map(|known| self.old.view.asked(known)).collect();
        let mut each = Each::new();
        for example in of_new.iter().flat_map(|asked| &asked.examples) {
            each.push(example);
        }
        for example in of_old.iter().flat_map(|asked| &asked.examples) {
            each.push(example);
        }
        let ports = [self.old.ports(), self.new.ports()];
        let work = self.new.view.budget.crossing();
        let mut folded: BTreeMap<SameAnswers, (String, usize)> = BTreeMap::new();
        let mut is_all = true;
        for example in each.all {
            if work.is_spent() {
                is_all = false;
                break;
            }
            let Some((kind, was, is)) = self.answers(example, &ports, &work) else { continue };
            let key = (kind, example.port, example.who.told(), was, is);
            let (_, count) = folded.entry(key).or_insert_with(|| (example.line(), 0));
            *count += 1;
        }
        self.new.view.budget.settle_crossing(&work);
        let request = |(line, count): (String, usize)| match count {
            1 => line,
            count => format!("{line} and {} more", count - 1),
        };
        (folded.into_iter().map(|(key, told)| (key, request(told))).collect(), is_all)
    }

    /// What was answered and what is, where that differs.
    fn answers(
        &self,
        example: &Example,
        ports: &[BTreeSet<u16>; 2],
        work: &Allowance,
    ) -> Option<(ChangeKind, String, String)> {
        // A port that manifests name on one side alone. What nobody names may be there all the
        // same: policies are asked about it.
        let there = |ports: &BTreeSet<u16>| {
            ports.is_empty() || ports.contains(&0) || ports.contains(&example.port)
        };
        let [had, has] = ports.each_ref().map(there);
        let was = self.old.judge(example, work).filter(|_| had || !has);
        let is = self.new.judge(example, work).filter(|_| has || !had);
        let gone = || "no such port".to_owned();
        match (was, is) {
            (Some(was), Some(is)) => way_of(&was, &is).map(|kind| (kind, was.text, is.text)),
            (None, Some(is)) if is.passes.may_pass() => Some((ChangeKind::Opened, gone(), is.text)),
            (Some(was), None) if was.passes.may_pass() => {
                Some((ChangeKind::Changed, was.text, gone()))
            }
            (None | Some(_), None | Some(_)) => None,
        }
    }
}

/// Which way it goes; none where nothing but the names of rules differs. Where a provider is not
/// asked any more, or another one in its place, somebody gets in whom it refused.
fn way_of(was: &Judged, is: &Judged) -> Option<ChangeKind> {
    match was.passes.cmp(&is.passes) {
        core::cmp::Ordering::Less => Some(ChangeKind::Opened),
        core::cmp::Ordering::Greater => Some(ChangeKind::Closed),
        core::cmp::Ordering::Equal if was.asked == is.asked => None,
        core::cmp::Ordering::Equal if was.asked.is_subset(&is.asked) => Some(ChangeKind::Closed),
        core::cmp::Ordering::Equal => Some(ChangeKind::Opened),
    }
}
