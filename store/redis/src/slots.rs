//! Decisions in a cluster, where keys of several owners lie in several slots.
//!
//! A script has the keys of one slot, so what lies in one is decided at once, and is taken from
//! all or from none. What lies in several is asked first without taking anything; when all have
//! room it is taken from each, and given back where one has none any more. In between others may
//! be refused for what is given back a moment later; nobody ever gets more than a limit allows.
//! Whoever gives up waiting in between leaves what was taken: limits may count such a request,
//! and never too few.
//!
//! A circuit is alone in its slot. Its probe is taken last: one that is not used is in the way
//! of others until it is given up for lost.

use std::future::{Future, poll_fn};
use std::task::Poll;

use postern_circuit::Admission;
use postern_limits::Outcome;
use postern_store::StoreError;
use postern_store::volatile::{
    CircuitAsk, Decision, DecisionAsk, GiveBack, LimitAsk, LimitKey, Take,
};
use redis::cluster_routing::Slot;

use crate::pack::slot;

/// What can be said to one slot.
pub(crate) trait Slots: Sync {
    /// Decides on limits of one slot, or on a circuit.
    fn ask(
        &self,
        looks: bool,
        limits: &[LimitAsk],
        circuit: Option<&CircuitAsk>,
    ) -> impl Future<Output = Result<Decision, StoreError>> + Send;

    /// Gives back to one slot.
    fn give_back(&self, taken: &[GiveBack]) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// What lies in one slot, and the places it has in the whole.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Group<T> {
    pub(crate) items: Vec<T>,
    places: Vec<usize>,
}

/// Everything by its slot, in order.
pub(crate) fn by_slot<T: Copy>(items: &[T], key: impl Fn(&T) -> LimitKey) -> Vec<Group<T>> {
    let mut slots: Vec<Slot> = Vec::new();
    let mut groups: Vec<Group<T>> = Vec::new();
    for (place, item) in items.iter().enumerate() {
        let slot = slot(key(item));
        let found = slots.iter().position(|known| *known == slot);
        if let Some(group) = found.and_then(|at| groups.get_mut(at)) {
            group.items.push(*item);
            group.places.push(place);
        } else {
            slots.push(slot);
            groups.push(Group { items: vec![*item], places: vec![place] });
        }
    }
    groups
}

/// Decides on one request.
pub(crate) async fn decide<S: Slots>(slots: &S, ask: &DecisionAsk) -> Result<Decision, StoreError> {
    let groups = by_slot(&ask.limits, |limit| limit.key);
    let circuit = ask.circuit.as_ref();
    if groups.is_empty() || groups.len() == 1 && circuit.is_none() {
        return slots.ask(false, &ask.limits, circuit).await;
    }
    // One group alone is asked when it is taken from.
    let looked_at = if groups.len() > 1 { groups.as_slice() } else { &[] };
    let looks = looked_at.iter().map(|group| slots.ask(true, &group.items, None));
    let looks = looks.chain(circuit.map(|circuit| slots.ask(true, &[], Some(circuit))));
    let mut looks: Vec<Decision> =
        all(looks.collect()).await.into_iter().collect::<Result<_, _>>()?;
    let looked = circuit.and_then(|_| looks.pop());
    let admission = looked.map_or(Admission::Pass, |circuit| circuit.admission);
    if matches!(admission, Admission::Refused { .. }) {
        return Ok(Decision { limits: Vec::new(), admission, allowed: false });
    }
    if looks.iter().any(|said| !said.allowed) {
        return Ok(Decision { limits: merged(&groups, &looks), admission, allowed: false });
    }
    take(slots, &groups, looks, circuit, admission).await
}

/// Takes from all that have been looked at, or gives back.
async fn take<S: Slots>(
    slots: &S,
    groups: &[Group<LimitAsk>],
    looks: Vec<Decision>,
    circuit: Option<&CircuitAsk>,
    mut admission: Admission,
) -> Result<Decision, StoreError> {
    let takes = groups.iter().map(|group| slots.ask(false, &group.items, None));
    let taken = all(takes.collect()).await;
    let mut failed = None;
    let mut said = Vec::with_capacity(groups.len());
    for answer in taken {
        match answer {
            Ok(decision) => said.push(Some(decision)),
            Err(error) => {
                failed = Some(error);
                said.push(None);
            }
        }
    }
    let passes = said.iter().all(|said| said.as_ref().is_some_and(|said| said.allowed));
    if let Some(circuit) = circuit.filter(|_| passes && admission == Admission::Probe) {
        match slots.ask(false, &[], Some(circuit)).await {
            Ok(decision) => admission = decision.admission,
            Err(error) => failed = Some(error),
        }
    }
    let is_refused = matches!(admission, Admission::Refused { .. });
    if passes && failed.is_none() && !is_refused {
        let limits = merged(groups, &said.into_iter().flatten().collect::<Vec<_>>());
        return Ok(Decision { limits, admission, allowed: true });
    }
    let groups_taken = groups.iter().zip(&said).filter_map(|(group, said)| {
        let said = said.as_ref().filter(|said| said.allowed)?;
        Some(taken_of(group, said))
    });
    let groups_taken: Vec<Vec<GiveBack>> = groups_taken.collect();
    // What cannot be given back ends with its period.
    let given_back = groups_taken.iter().map(|taken| slots.give_back(taken));
    drop(all(given_back.collect()).await);
    if let Some(error) = failed {
        return Err(error);
    }
    if is_refused {
        return Ok(Decision { limits: Vec::new(), admission, allowed: false });
    }
    // What was given back stands where it stood when it was looked at.
    let mut looks = looks.into_iter();
    let stands = said.into_iter().flatten().map(|said| {
        let look = looks.next();
        if said.allowed { look.unwrap_or(said) } else { said }
    });
    let limits = merged(groups, &stands.collect::<Vec<_>>());
    Ok(Decision { limits, admission, allowed: false })
}

/// What was taken of a group that let a request pass.
fn taken_of(group: &Group<LimitAsk>, said: &Decision) -> Vec<GiveBack> {
    let has_taken = |(limit, outcome): &(&LimitAsk, &Outcome)| {
        outcome.allowed && !matches!(limit.take, Take::Rate { cost: 0, .. })
    };
    let taken = group.items.iter().zip(&said.limits).filter(has_taken);
    taken.map(|(limit, _)| GiveBack { key: limit.key, take: limit.take }).collect()
}

/// All outcomes, in the places that their limits have.
fn merged(groups: &[Group<LimitAsk>], said: &[Decision]) -> Vec<Outcome> {
    let placed = groups.iter().zip(said);
    let placed = placed.flat_map(|(group, said)| group.places.iter().zip(&said.limits));
    let mut placed: Vec<_> = placed.collect();
    placed.sort_unstable_by_key(|(place, _)| **place);
    placed.into_iter().map(|(_, outcome)| *outcome).collect()
}

/// Waits for all of them at the same time.
pub(crate) async fn all<T, F: Future<Output = T>>(calls: Vec<F>) -> Vec<T> {
    let mut calls: Vec<_> = calls.into_iter().map(|call| (Box::pin(call), None)).collect();
    poll_fn(|cx| {
        let mut is_waiting = false;
        for (call, answer) in &mut calls {
            if answer.is_none() {
                match call.as_mut().poll(cx) {
                    Poll::Ready(ready) => *answer = Some(ready),
                    Poll::Pending => is_waiting = true,
                }
            }
        }
        if is_waiting { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    calls.into_iter().filter_map(|(_, answer)| answer).collect()
}

#[cfg(test)]
mod tests;
