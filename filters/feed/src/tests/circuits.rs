//! What comes by for circuits.

use super::*;

fn circuits(version: u64) -> Option<Circuits> {
    Some(Circuits { version, services: Vec::new() })
}

#[test]
fn what_is_said_of_circuits_is_handed_on_once() {
    let mut process = Process::synced(1, &[]);
    assert_eq!(process.vms[0].take_circuits(), None);
    process.server().circuits = circuits(7);
    process.ticks(3);
    assert_eq!(process.vms[0].take_circuits(), circuits(7));
    process.ticks(3);
    assert_eq!(process.vms[0].take_circuits(), None, "the server has heard of it");
    assert_eq!(process.asked().last().unwrap().circuits_version, 7);
    process.server().circuits = circuits(8);
    process.ticks(3);
    assert_eq!(process.vms[0].take_circuits(), circuits(8));
    process.vms[0].miss_circuits();
    process.ticks(3);
    assert_eq!(process.vms[0].take_circuits(), circuits(8), "said once more");
}

#[test]
fn who_is_elected_next_is_told_everything() {
    let mut process = Process::synced(2, &[]);
    process.server().circuits = circuits(7);
    process.ticks(3);
    let elected = process.vms.iter().position(Feed::is_elected).unwrap();
    assert_eq!(process.vms[elected].take_circuits(), circuits(7));
    assert_eq!(process.vms[1 - elected].take_circuits(), None);
    process.vms.remove(elected);
    process.ticks(30);
    assert_eq!(process.vms[0].take_circuits(), circuits(7));
}
