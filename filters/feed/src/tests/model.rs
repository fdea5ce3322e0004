//! Anything in any order: revocations, servers that are behind, away or forgetful, other stores,
//! VMs that die, answers that come late, clocks that jump, filters that are made anew. Whoever
//! has ticked since an answer was taken judges by it.

use super::*;
use proptest::prelude::*;

const SUBJECTS: usize = 12;
const VMS: usize = 3;

#[derive(Debug, Clone)]
enum Step {
    Revoke {
        subject: usize,
        lives_secs: u32,
    },
    Tick(u32),
    Away(bool),
    /// For one tick, no deltas are to be had.
    Forget,
    Hidden(usize),
    OtherStore,
    Kill(usize),
    /// The answers of one tick are held back.
    HoldBack,
    Deliver,
    Clocks {
        here: bool,
        there: bool,
    },
    Conflicts(u32),
    /// The filter is said to hold too much.
    Overfull,
}

fn a_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..SUBJECTS, 1..200_u32)
            .prop_map(|(subject, lives_secs)| Step::Revoke { subject, lives_secs }),
        6 => (1..8_u32).prop_map(Step::Tick),
        1 => (100..280_u32).prop_map(Step::Tick),
        1 => any::<bool>().prop_map(Step::Away),
        1 => Just(Step::Forget),
        2 => (0..4_usize).prop_map(Step::Hidden),
        1 => Just(Step::OtherStore),
        1 => (0..VMS).prop_map(Step::Kill),
        2 => Just(Step::HoldBack),
        2 => Just(Step::Deliver),
        1 => any::<(bool, bool)>().prop_map(|(here, there)| Step::Clocks { here, there }),
        1 => (1..12_u32).prop_map(Step::Conflicts),
        1 => Just(Step::Overfull),
    ]
}

/// A token that was found good, in which epoch and generation.
type Found = Option<(u64, u32)>;

struct World {
    process: Process,
    is_away: bool,
    /// All records of every store, and how far some answer that was taken went.
    logs: BTreeMap<u64, Vec<Record>>,
    applied: BTreeMap<u64, usize>,
    holds_back: bool,
    held_back: Option<(usize, ExchangeResponse)>,
    found: Vec<[Found; SUBJECTS]>,
}

fn name(subject: usize) -> String {
    format!("s{subject}")
}

impl World {
    fn new() -> Self {
        let mut process = Process::synced(VMS, &["x"]);
        // More than one tick's worth of pieces.
        process.server().piece = Some(200);
        let applied = BTreeMap::from([(5, 1)]);
        let found = vec![[None; SUBJECTS]; VMS];
        Self {
            process,
            is_away: false,
            logs: BTreeMap::new(),
            applied,
            holds_back: false,
            held_back: None,
            found,
        }
    }

    fn secs(&self) -> u32 {
        u32::try_from(self.process.wall().as_secs()).unwrap()
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Revoke { subject, lives_secs } => {
                let now = u32::try_from(self.process.now.as_secs()).unwrap();
                self.process.server().revoke_until(&name(subject), now + lives_secs);
            }
            Step::Tick(count) => (0..count).for_each(|_| self.tick()),
            Step::Away(is_away) => self.is_away = is_away,
            Step::Forget => {
                self.process.server().forgetful = true;
                self.tick();
                self.process.server().forgetful = false;
            }
            Step::Hidden(hidden) => self.process.server().hidden = hidden,
            Step::OtherStore => {
                let server = self.process.server();
                (server.epoch, server.hidden) = (server.epoch + 1, 0);
                server.log.clear();
            }
            Step::Kill(at) => {
                self.process.vms.remove(at);
                self.found.remove(at);
                self.process.start_vm("d1");
                self.found.push([None; SUBJECTS]);
                self.held_back = None;
            }
            Step::HoldBack => {
                self.holds_back = true;
                self.tick();
                self.holds_back = false;
            }
            Step::Deliver => {
                if let Some((at, answer)) = self.held_back.take() {
                    let _ = self.deliver(at, &answer);
                }
            }
            Step::Clocks { here, there } => {
                let ahead = |jumps: bool| if jumps { 3_600_000 } else { 0 };
                self.process.ahead_ms = ahead(here);
                self.process.server().ahead_ms = ahead(there);
            }
            Step::Conflicts(count) => self.process.shared.conflicts.set(count),
            Step::Overfull => {
                let (head, version) = head::Head::load(&self.process.shared);
                if let Some(mut head) = head {
                    head.filtered = head.capacity + 1;
                    let _ = head.write(&self.process.shared, version);
                }
            }
        }
    }

    /// Every VM ticks. What had been applied before is known to all of them after.
    fn tick(&mut self) {
        let before = self.applied.clone();
        self.process.now.0 += 100;
        for at in 0..VMS {
            let mut next = self.process.vms[at].tick(&self.process.shared);
            while let Some(body) = next.take() {
                next = self.exchange(at, &body);
            }
        }
        self.check(&before);
    }

    fn exchange(&mut self, at: usize, body: &[u8]) -> Option<Vec<u8>> {
        let now = self.process.now;
        let asked = ExchangeRequest::decode(framing::unframe(body).unwrap()).unwrap();
        if self.is_away {
            let wall = self.process.wall();
            let vm = &mut self.process.vms[at];
            return vm.answered(&self.process.shared, Answered::Nothing, wall).unwrap_or_default();
        }
        let answer = self.process.server().respond(&asked, now);
        if self.holds_back {
            self.held_back = Some((at, answer));
            return None;
        }
        self.deliver(at, &answer)
    }

    fn deliver(&mut self, at: usize, answer: &ExchangeResponse) -> Option<Vec<u8>> {
        let wall = self.process.wall();
        let body = framing::frame(answer).unwrap();
        let vm = &mut self.process.vms[at];
        let taken = vm.answered(&self.process.shared, Answered::Body(&body), wall).ok()?;
        let is_whole = answer.snapshot.as_ref().is_none_or(|piece| piece.last);
        if is_whole && self.process.vms[at].epoch() == answer.epoch {
            let applied = self.applied.entry(answer.epoch).or_default();
            *applied = usize::try_from(answer.cursor).unwrap().max(*applied);
        }
        taken
    }

    fn check(&mut self, applied: &BTreeMap<u64, usize>) {
        let server = self.process.server();
        self.logs.insert(server.epoch, server.log.clone());
        // The clock that only ticks counts a twentieth too much.
        let slack = u32::try_from((self.process.now.0 - NOW.0) / 20_000).unwrap() + 2;
        let (now, wall) = (self.secs(), self.process.wall());
        for (vm, found) in self.process.vms.iter().zip(&mut self.found) {
            let known = applied.get(&vm.epoch()).copied().unwrap_or_default();
            let log = self.logs.get(&vm.epoch()).map_or(&[][..], Vec::as_slice);
            for (subject, found) in found.iter_mut().enumerate() {
                let name = name(subject);
                let fingerprint = fingerprint(&name);
                let concerns = |one: &&Record| one.fingerprint == fingerprint;
                // A token is over before a record that concerns it is.
                if log.iter().filter(concerns).any(|one| one.expires_at <= now) {
                    continue;
                }
                let since = found.filter(|(epoch, _)| *epoch == vm.epoch()).map(|(_, at)| at);
                let judged = vm.judge(&self.process.shared, &marks(&name), Some(1), since, wall);
                let mut revoked = log.iter().take(known).filter(concerns);
                if revoked.any(|one| one.expires_at > now + slack) {
                    assert_ne!(judged, Good, "{name} at {now}");
                }
                *found = (judged == Good).then(|| (vm.epoch(), vm.generation()));
            }
            let stranger = vm.judge(&self.process.shared, &marks("stranger"), Some(1), None, wall);
            assert_ne!(stranger, Revoked);
        }
    }

    /// Once everything works again, everybody knows everything.
    fn settle(&mut self) {
        let end = u32::try_from(self.process.now.as_secs()).unwrap() + 1_000;
        self.is_away = false;
        self.process.ahead_ms = 0;
        let server = self.process.server();
        (server.ahead_ms, server.hidden) = (0, 0);
        server.revoke_until("s0", end);
        self.process.shared.conflicts.set(0);
        for _ in 0..300 {
            self.tick();
        }
        assert_eq!(self.process.judge("s0"), [Revoked; VMS]);
        assert_eq!(self.process.judge("stranger"), [Good; VMS]);
        assert!(self.process.vms.iter().all(|vm| vm.view.is_complete));
        let epoch = self.process.server().epoch;
        assert!(self.process.vms.iter().all(|vm| vm.epoch() == epoch));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn what_was_taken_is_judged_by(steps in prop::collection::vec(a_step(), 1..40)) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
        }
        world.settle();
    }
}
