//! Workers in any order.

use std::collections::VecDeque;

use super::*;
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    /// A request comes in at a worker.
    Ask(usize),
    /// The oldest call that is under way ends so.
    End(usize, u16),
    /// Or vanishes.
    Vanish,
    Tick,
    Wait(u64),
    /// So many writes are too late.
    Conflicts(u32),
}

fn step() -> impl Strategy<Value = Step> {
    let status = prop_oneof![2 => Just(500), 1 => Just(200)];
    prop_oneof![
        4 => (0..3_usize).prop_map(Step::Ask),
        4 => (0..3_usize, status).prop_map(|(vm, status)| Step::End(vm, status)),
        1 => Just(Step::Vanish),
        1 => Just(Step::Tick),
        2 => (1..700_u64).prop_map(Step::Wait),
        1 => (1..20_u32).prop_map(Step::Conflicts),
    ]
}

proptest! {
    /// However workers take turns: of a half-open breaker no more than `per_interval` calls pass
    /// within any interval, and every failure that was seen while it was closed is counted.
    #[test]
    fn probes_stay_within_their_intervals_and_failures_are_counted(
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let circuit = r#""failures": 3, "recovery": "1s", "recovery_longest": "2s",
            "jitter": "20%", "probes": {"per_interval": 2, "interval": "500ms", "successes": 3}"#;
        let mut process = Process::new(circuit, 3, false);
        let mut under_way: VecDeque<Ticket> = VecDeque::new();
        let mut probes: Vec<u64> = Vec::new();
        for step in steps {
            match step {
                Step::Ask(vm) => {
                    if let Ok(ticket) = process.ask(vm) {
                        if ticket.is_probe {
                            probes.push(process.now);
                        }
                        under_way.push_back(ticket);
                    }
                }
                Step::End(vm, status) => {
                    let Some(ticket) = under_way.pop_front() else { continue };
                    let before = process.entry();
                    process.end(vm, ticket, status);
                    let after = process.entry();
                    if status == 500 && before.is_closed() {
                        let failures = |entry: &Entry| entry.breaker.totals(process.time()).failures;
                        prop_assert_eq!(failures(&after), failures(&before) + 1);
                        prop_assert!(after.breaker.run() > before.run());
                        prop_assert_eq!(after.is_closed(), after.breaker.run() < 3);
                    }
                }
                Step::Vanish => {
                    under_way.pop_front();
                }
                Step::Tick => drop(process.tick()),
                Step::Wait(millis) => process.now += millis,
                Step::Conflicts(writes) => process.shared.conflicts.set(writes),
            }
        }
        // An interval begins with its first probe.
        let (mut start, mut count) = (0, 0);
        for probe in probes {
            if probe < start + 500 {
                count += 1;
            } else {
                (start, count) = (probe, 1);
            }
            prop_assert!(count <= 2, "more than two from {} on", start);
        }
    }
}
