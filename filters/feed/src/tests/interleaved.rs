//! Two VMs that both think that they are the elected one, one interrupted by the other at every
//! single step: whatever was written down well is known to all afterwards.

use std::cell::RefCell;

use super::*;

/// When answers come: after all ticks, so that what they say is fresh.
const LATER: UnixMillis = UnixMillis(NOW.0 + 60_000);

/// Shared data that lets somebody else act before one of its calls.
struct Interrupted<'a> {
    inner: &'a Memory,
    calls_left: Cell<u32>,
    then: RefCell<Option<Box<dyn FnOnce() + 'a>>>,
}

impl Interrupted<'_> {
    fn step(&self) {
        match self.calls_left.get().checked_sub(1) {
            Some(left) => self.calls_left.set(left),
            None => {
                let then = self.then.borrow_mut().take();
                if let Some(then) = then {
                    then();
                }
            }
        }
    }
}

impl SharedData for Interrupted<'_> {
    fn get(&self, key: &str) -> Option<(Vec<u8>, u32)> {
        self.step();
        self.inner.get(key)
    }

    fn set(&self, key: &str, value: &[u8], version: Option<u32>) -> bool {
        self.step();
        self.inner.set(key, value, version)
    }

    fn put(&self, key: &str, value: &[u8]) {
        self.step();
        self.inner.put(key, value);
    }
}

/// Writes an answer down as the elected VM does, whoever is elected.
fn write(feed: &mut Feed, shared: &dyn SharedData, answer: &ExchangeResponse) -> bool {
    let me = feed.election.me();
    let lead = feed.lead.get_or_insert_with(|| Lead::new(shared, &feed.settings, me));
    let written = lead.write(shared, &mut feed.view, answer, &feed.settings, LATER).is_ok();
    feed.view.catch_up(shared);
    written
}

/// What an answer of a server with these revocations is, to somebody who knows the first few.
fn answer(epoch: u64, revoked: &[&str], known: u64) -> ExchangeResponse {
    let mut server = Server::new();
    (server.epoch, server.piece) = (epoch, Some(BUCKETS));
    revoked.iter().for_each(|subject| server.revoke(subject));
    server.respond(&ExchangeRequest { epoch: 5, cursor: known, ..ExchangeRequest::default() }, NOW)
}

/// A VM's doing, and whether it was done.
type Doing<'d> = &'d dyn Fn(&mut Feed, &dyn SharedData) -> bool;

/// Lets the first VM of a process act, and the second one before each of its calls in turn. The
/// check is told who was done.
fn interrupt(
    prepare: &dyn Fn() -> Process,
    first: Doing<'_>,
    second: Doing<'_>,
    check: &dyn Fn(&Process, bool, bool),
) {
    for calls in 0.. {
        let mut process = prepare();
        let (mut one, mut other) = (process.vms.remove(0), process.vms.remove(0));
        let second_done = Cell::new(None);
        let (first_done, interrupted) = {
            let then = || second_done.set(Some(second(&mut other, &process.shared)));
            let shared = Interrupted {
                inner: &process.shared,
                calls_left: Cell::new(calls),
                then: RefCell::new(Some(Box::new(then))),
            };
            let first_done = first(&mut one, &shared);
            let interrupted = shared.then.borrow().is_none();
            (first_done, interrupted)
        };
        let Some(second_done) = second_done.get().filter(|_| interrupted) else {
            assert!(calls > 4, "hardly interrupted");
            return;
        };
        assert!(first_done || second_done, "neither at {calls}");
        process.vms.extend([one, other]);
        process.now = LATER;
        process.start_vm("d1");
        for vm in &mut process.vms {
            vm.view.tick(&process.shared);
        }
        check(&process, first_done, second_done);
        // And once more with nothing but what lies in shared data.
        process.vms.clear();
        process.start_vm("d1");
        process.vms[0].view.tick(&process.shared);
        check(&process, first_done, second_done);
    }
}

fn all_revoked(process: &Process, subjects: &[&str]) {
    for subject in subjects {
        let judged = process.judge(subject);
        assert!(judged.iter().all(|judged| *judged == Revoked), "{subject}: {judged:?}");
    }
    assert!(process.judge("alice").iter().all(|judged| *judged == Good));
}

fn never_good(process: &Process, subjects: &[&str]) {
    for subject in subjects {
        let judged = process.judge(subject);
        assert!(judged.iter().all(|judged| *judged != Good), "{subject}: {judged:?}");
    }
}

#[test]
fn a_set_that_was_written_over_is_sent_again() {
    let mut process = Process::synced(3, &["x"]);
    let before = process.vms[0].view.head;
    // As one does that still goes by the head before the first.
    let other = set::begin(&process.shared, 0).unwrap();
    assert!(tagged::is_after(other, before.set));
    process.ticks(30);
    all_revoked(&process, &["x"]);
    assert!(tagged::is_after(process.vms[0].view.head.set, before.set));
}

#[test]
fn two_deltas() {
    let (a, ab) = (answer(5, &["x", "a"], 1), answer(5, &["x", "a", "b"], 1));
    for (one, other) in [(&a, &ab), (&ab, &a), (&ab, &ab)] {
        interrupt(
            &|| Process::synced(3, &["x"]),
            &|feed, shared| write(feed, shared, one),
            &|feed, shared| write(feed, shared, other),
            &|process, one_done, other_done| {
                all_revoked(process, &["x"]);
                for (answer, done) in [(one, one_done), (other, other_done)] {
                    if done {
                        all_revoked(process, &["a", "b"][..answer.added.len() / 16]);
                    }
                }
            },
        );
    }
}

#[test]
fn a_delta_and_the_set_of_another_store() {
    let delta = answer(5, &["x", "a"], 1);
    let other_store = answer(6, &["x", "z"], 0);
    let (delta, other_store) = (&delta, &other_store);
    for (one, other) in [(delta, other_store), (other_store, delta)] {
        interrupt(
            &|| Process::synced(3, &["x"]),
            &|feed, shared| write(feed, shared, one),
            &|feed, shared| write(feed, shared, other),
            &|process, one_done, other_done| {
                let delta_done = if one.epoch == 5 { one_done } else { other_done };
                all_revoked(process, &["x"]);
                if process.vms.iter().all(|vm| vm.epoch() == 6) {
                    all_revoked(process, &["z"]);
                } else {
                    assert!(process.vms.iter().all(|vm| vm.epoch() == 5));
                    assert!(delta_done);
                    all_revoked(process, &["a"]);
                }
            },
        );
    }
}

#[test]
fn two_sets_of_another_store() {
    let (z, zy) = (answer(6, &["x", "z"], 0), answer(6, &["x", "z", "y"], 0));
    for (one, other) in [(&z, &zy), (&zy, &z)] {
        interrupt(
            &|| Process::synced(3, &["x"]),
            &|feed, shared| write(feed, shared, one),
            &|feed, shared| write(feed, shared, other),
            // Who is held up long enough begins where the other's set is in use by now. Then
            // nobody knows anything of what lay there, until it is sent again.
            &|process, one_done, other_done| {
                never_good(process, &["x", "z"]);
                if (one_done && one.cursor == 3) || (other_done && other.cursor == 3) {
                    never_good(process, &["y"]);
                }
            },
        );
    }
}

#[test]
fn a_new_filter_and_a_delta() {
    let delta = answer(5, &["x", "a"], 1);
    let overfull = || {
        let mut process = Process::synced(3, &["x"]);
        let (head, version) = head::Head::load(&process.shared);
        let mut head = head.unwrap();
        head.filtered = head.capacity + 1;
        assert!(head.write(&process.shared, version));
        // The next tick ends the walk that makes it.
        process.ticks(255);
        process
    };
    let tick = |feed: &mut Feed, shared: &dyn SharedData| {
        let filter = feed.view.head.filter;
        let _ = feed.tick(shared);
        feed.view.head.filter != filter
    };
    interrupt(
        &overfull,
        &tick,
        &|feed, shared| write(feed, shared, &delta),
        &|process, _, delta_done| {
            all_revoked(process, &["x"]);
            if delta_done {
                all_revoked(process, &["a"]);
            }
        },
    );
}
