//! Whatever is lost, late, asked twice or by two workers, and whatever clocks do: no more passes
//! than the server has lent, and what is owed.

use super::*;
use proptest::prelude::*;

const VMS: usize = 3;
const CLIENTS: [&str; 3] = ["192.0.2.1", "192.0.2.2", "192.0.2.3"];

#[derive(Debug, Clone, Copy)]
enum Step {
    Spend {
        vm: usize,
        client: usize,
        times: usize,
    },
    /// All tick; their calls end so.
    Tick(Ends),
    /// One ticks; the answer to its call is on its way.
    Call {
        vm: usize,
    },
    Deliver {
        vm: usize,
    },
    /// Who thinks that it is elected, by bits.
    Elect(usize),
    Wait(u64),
    /// How far the clock is behind from now on.
    Clock(u64),
    /// Writes that fail.
    Slower(u32),
}

struct World {
    process: Process,
    late: [Option<BorrowResponse>; VMS],
    passed: u64,
}

impl World {
    fn step(&mut self, step: Step) {
        let process = &mut self.process;
        match step {
            Step::Spend { vm, client, times } => {
                let passes = (0..times).filter(|_| {
                    let verdict = process.ask(vm, CLIENTS[client]);
                    verdict.denial.is_none()
                });
                self.passed += u64::try_from(passes.count()).unwrap();
            }
            Step::Tick(ends) => {
                process.now += TICK_MS;
                for vm in 0..VMS {
                    let Some(request) = process.tick_vm(vm) else { continue };
                    // Envoy has given up the call before.
                    self.late[vm] = None;
                    process.ends = ends;
                    process.end(vm, &request);
                }
            }
            Step::Call { vm } => {
                if let Some(request) = process.tick_vm(vm) {
                    let now = UnixMillis(process.now);
                    self.late[vm] = Some(process.server.answer(&request, now));
                }
            }
            Step::Deliver { vm } => {
                if let Some(answer) = self.late[vm].take() {
                    let _ = process.hand_in(vm, &answer);
                }
            }
            Step::Elect(bits) => {
                process.elected = (0..VMS).map(|vm| (bits >> vm) & 1 == 1).collect();
            }
            Step::Wait(ms) => process.now += ms,
            Step::Clock(behind_ms) => process.behind_ms = behind_ms,
            Step::Slower(times) => process.shared.conflicts.set(times),
        }
    }

    fn check(&self) {
        let owed: u64 = self.process.entries().iter().map(|one| one.borrower.debt()).sum();
        let (passed, taken) = (self.passed, self.process.server.taken());
        assert!(passed <= taken + owed, "{passed} passed, {taken} were taken, {owed} are owed");
    }
}

fn any_ends() -> impl Strategy<Value = Ends> {
    prop_oneof![
        6 => Just(Ends::Answered),
        1 => Just(Ends::Lost),
        2 => Just(Ends::AnswerLost),
        1 => Just(Ends::Refused(Some(100))),
    ]
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..VMS, 0..CLIENTS.len(), 1..20_usize)
            .prop_map(|(vm, client, times)| Step::Spend { vm, client, times }),
        10 => any_ends().prop_map(Step::Tick),
        3 => (0..VMS).prop_map(|vm| Step::Call { vm }),
        3 => (0..VMS).prop_map(|vm| Step::Deliver { vm }),
        2 => (0..1_usize << VMS).prop_map(Step::Elect),
        3 => prop_oneof![3 => 1_u64..200, 1 => 200_u64..8000].prop_map(Step::Wait),
        1 => prop_oneof![1_u64..300, 300_u64..20_000].prop_map(Step::Clock),
        1 => prop_oneof![1..20_u32, Just(TOO_MANY)].prop_map(Step::Slower),
    ]
}

proptest! {
    #[test]
    fn no_more_passes_than_was_lent(
        allowance in 0_u32..4,
        steps in prop::collection::vec(any_step(), 1..300),
    ) {
        let start = match allowance {
            0 => STRICT.to_owned(),
            allowance => format!(r#""allowance": {allowance}"#),
        };
        let document = gateway(&limit("l", &start, r#", "when_store_fails": "deny""#), r#""l""#);
        let process = Process::new(document, VMS);
        let mut world = World { process, late: [const { None }; VMS], passed: 0 };
        for step in steps {
            world.step(step);
        }
        world.check();
    }
}
