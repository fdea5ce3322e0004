//! Which VM of the process speaks to the server.
//!
//! Every VM has a number. The elected one writes a beat at every tick; when the others have
//! seen the same beat for two seconds, one of them takes over. No clock is asked, so none can
//! be wrong. A VM that serves no requests (Envoy's main thread has one) is preferred, so that
//! what the feed brings is written down by nobody who has requests waiting.

use postern_filter_shared_data::SharedData;

const VMS: &str = "postern.feed.vms";
const LEADER: &str = "postern.feed.leader";

/// Ticks without a beat after which the elected VM counts as gone.
const SILENT_TICKS: u32 = 20;
/// Ticks that an idle VM lets pass before it relieves one that serves requests: by then it is
/// clear which VMs serve.
const SETTLING_TICKS: u32 = 50;
/// How often a number is asked for when others are faster.
const ATTEMPTS: u32 = 64;

/// One VM's part in the election.
#[derive(Debug)]
pub(crate) struct Election {
    me: u32,
    ticks: u32,
    seen_beat: u32,
    silent: u32,
    serving: bool,
    elected: bool,
}

/// What the elected VM writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Leader {
    vm: u32,
    beat: u32,
    serving: bool,
}

impl Election {
    /// Takes a number.
    pub(crate) fn new(shared: &dyn SharedData) -> Self {
        let me = take_number(shared);
        Self { me, ticks: 0, seen_beat: 0, silent: 0, serving: false, elected: false }
    }

    /// This VM serves requests.
    pub(crate) const fn serves(&mut self) {
        self.serving = true;
    }

    /// Whether this VM was the elected one at its last tick.
    pub(crate) const fn is_elected(&self) -> bool {
        self.elected
    }

    /// Whether it still is: another may have taken over while this one was held up.
    pub(crate) fn is_still_elected(&self, shared: &dyn SharedData) -> bool {
        self.elected
            && shared.get(LEADER).and_then(|(bytes, _)| Leader::decode(&bytes)).map(|l| l.vm)
                == Some(self.me)
    }

    /// Once a tick: whether this VM is the elected one.
    pub(crate) fn tick(&mut self, shared: &dyn SharedData) -> bool {
        self.ticks = self.ticks.saturating_add(1);
        let found = shared.get(LEADER);
        let version = found.as_ref().map(|(_, version)| *version);
        let leader = found.and_then(|(bytes, _)| Leader::decode(&bytes));
        let beat = leader.map_or(0, |leader| leader.beat);
        self.elected = self.should_lead(leader)
            && shared.set(LEADER, &self.entry(beat.wrapping_add(1)).encode(), version);
        self.elected
    }

    fn should_lead(&mut self, leader: Option<Leader>) -> bool {
        let Some(leader) = leader else { return true };
        if leader.vm == self.me {
            return true;
        }
        if leader.beat == self.seen_beat {
            self.silent = self.silent.saturating_add(1);
        } else {
            self.silent = 0;
            self.seen_beat = leader.beat;
        }
        let gone = self.silent >= SILENT_TICKS;
        let relieved = leader.serving && !self.serving && self.ticks >= SETTLING_TICKS;
        gone || relieved
    }

    const fn entry(&self, beat: u32) -> Leader {
        Leader { vm: self.me, beat, serving: self.serving }
    }
}

impl Leader {
    fn encode(self) -> [u8; 12] {
        let [v0, v1, v2, v3] = self.vm.to_le_bytes();
        let [b0, b1, b2, b3] = self.beat.to_le_bytes();
        [v0, v1, v2, v3, b0, b1, b2, b3, u8::from(self.serving), 0, 0, 0]
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (vm, rest) = bytes.split_first_chunk()?;
        let (beat, rest) = rest.split_first_chunk()?;
        let (vm, beat) = (u32::from_le_bytes(*vm), u32::from_le_bytes(*beat));
        Some(Self { vm, beat, serving: rest.first() == Some(&1) })
    }
}

fn take_number(shared: &dyn SharedData) -> u32 {
    for _ in 0..ATTEMPTS {
        let found = shared.get(VMS);
        let last = found.as_ref().and_then(|(bytes, _)| bytes.first_chunk().copied());
        let number = last.map_or(1, |last| u32::from_le_bytes(last).wrapping_add(1));
        if shared.set(VMS, &number.to_le_bytes(), found.map(|(_, version)| version)) {
            return number;
        }
    }
    // Two VMs with one number would both lead: harmless, the head is written by compare-and-swap.
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use postern_filter_shared_data::Memory;

    fn elected(vms: &mut [Election], shared: &Memory) -> Vec<u32> {
        let mut leading = Vec::new();
        for vm in vms {
            if vm.tick(shared) {
                leading.push(vm.me);
            }
        }
        leading
    }

    #[test]
    fn one_vm_leads_and_keeps_leading() {
        let shared = Memory::default();
        let mut vms: Vec<Election> = (0..4).map(|_| Election::new(&shared)).collect();
        assert_eq!(vms.iter().map(|vm| vm.me).collect::<Vec<_>>(), [1, 2, 3, 4]);
        for _ in 0..200 {
            assert_eq!(elected(&mut vms, &shared), [1]);
        }
    }

    #[test]
    fn a_silent_leader_is_replaced_by_one() {
        let shared = Memory::default();
        let mut vms: Vec<Election> = (0..3).map(|_| Election::new(&shared)).collect();
        assert_eq!(elected(&mut vms, &shared), [1]);
        let mut gone = vms.remove(0);
        let mut ticks = 0;
        let new = loop {
            ticks += 1;
            match elected(&mut vms, &shared).as_slice() {
                [] => {}
                leading => break leading.to_vec(),
            }
        };
        assert_eq!(new.len(), 1);
        assert!((SILENT_TICKS..=SILENT_TICKS + 2).contains(&ticks), "{ticks}");
        assert!(!gone.is_still_elected(&shared));
        assert!(!gone.tick(&shared), "back again, and not in charge");
        assert_eq!(elected(&mut vms, &shared), new);
    }

    #[test]
    fn a_vm_without_requests_relieves_one_with() {
        let shared = Memory::default();
        let mut vms: Vec<Election> = (0..3).map(|_| Election::new(&shared)).collect();
        for vm in vms.iter_mut().take(2) {
            vm.serves();
        }
        let mut last = Vec::new();
        for _ in 0..SETTLING_TICKS + 2 {
            last = elected(&mut vms, &shared);
        }
        assert_eq!(last, [3]);
    }

    #[test]
    fn what_is_no_entry_is_no_leader() {
        let shared = Memory::default();
        shared.put(LEADER, b"x");
        assert!(Election::new(&shared).tick(&shared));
    }
}
