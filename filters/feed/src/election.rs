//! Which VM of the process speaks to the server.
//!
//! Every VM has a number. The elected one writes a beat at every tick; when the others have
//! seen the same beat for two seconds, one of them takes over. No clock is asked, so none can
//! be wrong. A VM that serves no requests (Envoy's main thread has one) is preferred, so that
//! what the feed brings is written down by nobody who has requests waiting; and one that runs a
//! newer document, so that the issuers of that one are asked for at once.
//!
//! For a moment two VMs may both think that they are the one: when one was held up between its
//! tick and its writing. What they write is ordered by the numbers in the values, see
//! [`crate::tagged`].

use postern_filter_shared_data::SharedData;

use crate::tagged::is_after;

const VMS: &str = name!("vms");
const LEADER: &str = name!("leader");

/// Ticks without a beat after which the elected VM counts as gone.
const SILENT_TICKS: u32 = 20;
/// Ticks that an idle VM lets pass before it relieves one that serves requests: by then it is
/// clear which VMs serve.
const SETTLING_TICKS: u32 = 50;
/// The first tick at which a VM may take over. The very first comes while it is being configured:
/// Envoy tries every configuration out in a VM that never sees another one, and whoever is
/// elected there leaves all others waiting.
const FIRST_TICK: u32 = 2;
/// How often a number is asked for when others are faster.
const ATTEMPTS: u32 = 64;
/// Bytes of what the elected VM writes.
const ENTRY_BYTES: usize = 13;

/// One VM's part in the election.
#[derive(Debug)]
pub(crate) struct Election {
    me: u32,
    /// Tells one document from another.
    document: u32,
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
    document: u32,
    serving: bool,
}

impl Election {
    /// Takes a number.
    pub(crate) fn new(shared: &dyn SharedData, document: u32) -> Self {
        Self {
            me: take_number(shared),
            document,
            ticks: 0,
            seen_beat: 0,
            silent: 0,
            serving: false,
            elected: false,
        }
    }

    /// This VM serves requests.
    pub(crate) const fn serves(&mut self) {
        self.serving = true;
    }

    /// This VM's number.
    pub(crate) const fn me(&self) -> u32 {
        self.me
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
        let (found, version) = shared.get(LEADER).unzip();
        let leader = found.and_then(|bytes| Leader::decode(&bytes));
        let beat = leader.map_or(0, |leader| leader.beat);
        self.elected = self.should_lead(leader)
            && shared.set(LEADER, &self.entry(beat.wrapping_add(1)).encode(), version);
        self.elected
    }

    fn should_lead(&mut self, leader: Option<Leader>) -> bool {
        let may_take_over = self.ticks >= FIRST_TICK;
        let Some(leader) = leader else { return may_take_over };
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
        let outdated = leader.document != self.document && is_after(self.me, leader.vm);
        may_take_over && (gone || relieved || outdated)
    }

    const fn entry(&self, beat: u32) -> Leader {
        Leader { vm: self.me, beat, document: self.document, serving: self.serving }
    }
}

impl Leader {
    fn encode(self) -> Vec<u8> {
        let numbers = [self.vm, self.beat, self.document].map(u32::to_le_bytes);
        [numbers.concat(), vec![u8::from(self.serving)]].concat()
    }

    /// What has another length was written by another version, and is nobody's.
    fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != ENTRY_BYTES {
            return None;
        }
        let (vm, rest) = bytes.split_first_chunk()?;
        let (beat, rest) = rest.split_first_chunk()?;
        let (document, rest) = rest.split_first_chunk()?;
        Some(Self {
            vm: u32::from_le_bytes(*vm),
            beat: u32::from_le_bytes(*beat),
            document: u32::from_le_bytes(*document),
            serving: rest == [1],
        })
    }
}

fn take_number(shared: &dyn SharedData) -> u32 {
    for _ in 0..ATTEMPTS {
        let (found, version) = shared.get(VMS).unzip();
        let last = found.and_then(|bytes| bytes.first_chunk().copied());
        let number = last.map_or(1, |last| u32::from_le_bytes(last).wrapping_add(1));
        if shared.set(VMS, &number.to_le_bytes(), version) {
            return number;
        }
    }
    // Two VMs with one number may both lead, which does no harm.
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use postern_filter_shared_data::Memory;

    fn vms(shared: &Memory, count: usize) -> Vec<Election> {
        (0..count).map(|_| Election::new(shared, 7)).collect()
    }

    fn elected(vms: &mut [Election], shared: &Memory) -> Vec<u32> {
        let mut leading = Vec::new();
        for vm in vms {
            if vm.tick(shared) {
                leading.push(vm.me);
            }
        }
        leading
    }

    /// Ticks until somebody leads, and who does.
    fn until_elected(vms: &mut [Election], shared: &Memory) -> (u32, Vec<u32>) {
        let mut tries = (1..=SILENT_TICKS * 3).map(|tick| (tick, elected(vms, shared)));
        tries.find(|(_, leading)| !leading.is_empty()).unwrap()
    }

    #[test]
    fn one_vm_leads_and_keeps_leading() {
        let shared = Memory::default();
        let mut vms = vms(&shared, 4);
        assert_eq!(vms.iter().map(|vm| vm.me).collect::<Vec<_>>(), [1, 2, 3, 4]);
        assert_eq!(until_elected(&mut vms, &shared), (FIRST_TICK, vec![1]));
        for _ in 0..200 {
            assert_eq!(elected(&mut vms, &shared), [1]);
        }
    }

    #[test]
    fn a_vm_that_never_sees_a_second_tick_keeps_nobody_waiting() {
        let shared = Memory::default();
        let mut tried_out = Election::new(&shared, 7);
        assert!(!tried_out.tick(&shared));
        assert_eq!(until_elected(&mut vms(&shared, 2), &shared), (FIRST_TICK, vec![2]));
    }

    #[test]
    fn a_silent_leader_is_replaced_by_one() {
        let shared = Memory::default();
        let mut vms = vms(&shared, 3);
        assert_eq!(until_elected(&mut vms, &shared).1, [1]);
        assert_eq!(elected(&mut vms, &shared), [1]);
        let mut gone = vms.remove(0);
        let (ticks, new) = until_elected(&mut vms, &shared);
        assert_eq!(new.len(), 1);
        assert!((SILENT_TICKS..=SILENT_TICKS + 2).contains(&ticks), "{ticks}");
        assert!(!gone.is_still_elected(&shared));
        assert!(!gone.tick(&shared), "back again, and not in charge");
        assert_eq!(elected(&mut vms, &shared), new);
    }

    #[test]
    fn after_a_reload_another_leads_within_two_seconds() {
        let shared = Memory::default();
        let mut before = vms(&shared, 3);
        assert_eq!(until_elected(&mut before, &shared).1, [1]);
        drop(before);
        let (ticks, new) = until_elected(&mut vms(&shared, 3), &shared);
        assert_eq!(new.len(), 1);
        assert!(ticks <= SILENT_TICKS + 2, "{ticks}");
    }

    #[test]
    fn a_newer_document_takes_over_at_once_and_keeps_leading() {
        let shared = Memory::default();
        let mut old = vms(&shared, 2);
        assert_eq!(until_elected(&mut old, &shared).1, [1]);
        let mut new: Vec<Election> = (0..2).map(|_| Election::new(&shared, 8)).collect();
        assert_eq!(until_elected(&mut new, &shared), (FIRST_TICK, vec![3]));
        // Requests of before are still served by those of before.
        for _ in 0..200 {
            assert!(elected(&mut old, &shared).is_empty());
            assert_eq!(elected(&mut new, &shared), [3]);
        }
        drop(new);
        assert_eq!(until_elected(&mut old, &shared).1.len(), 1, "back to the one before");
    }

    #[test]
    fn a_vm_without_requests_relieves_one_with() {
        let shared = Memory::default();
        let mut vms = vms(&shared, 3);
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
        for value in [&b"x"[..], &[0; 12], &[0; 14]] {
            let shared = Memory::default();
            shared.put(LEADER, value);
            assert_eq!(until_elected(&mut vms(&shared, 1), &shared), (FIRST_TICK, vec![1]));
        }
    }
}
