//! Which VM of the process speaks to the server.
//!
//! Every VM has a number. The elected one writes a beat at every tick; when the others have
//! seen the same beat for two seconds, one of them takes over. No clock is asked, so none can
//! be wrong. A VM that serves no requests (Envoy's main thread has one) is preferred, so that
//! what the feed brings is written down by nobody who has requests waiting; and one that runs a
//! newer document, so that the issuers of that one are asked for at once.
//!
//! Newer is not always what is in force: where a document comes back while connections of it are
//! still drained, Envoy goes on with the VMs that it has of it, and theirs are older numbers than
//! those of the document in between. So documents say whether they serve requests, and a newer one
//! that has long had none gives way to an older one that has.
//!
//! For a moment two VMs may both think that they are the one: when one was held up between its
//! tick and its writing. What they write is ordered by the numbers in the values, see
//! [`crate::tagged`].

use postern_filter_shared_data::SharedData;

use crate::tagged::is_after;

const VMS: &str = name!("vms");
const LEADER: &str = name!("leader");
/// Where documents say that they serve. Shared data forgets no key: some documents share one.
const SERVED: &str = name!("served.");
const SERVED_PLACES: u32 = 16;

/// Ticks without a beat after which the elected VM counts as gone.
const SILENT_TICKS: u32 = 20;
/// Ticks that an idle VM lets pass before it relieves one that serves requests: by then it is
/// clear which VMs serve.
const SETTLING_TICKS: u32 = 50;
/// The first tick at which a VM may take over. The very first comes while it is being configured:
/// Envoy tries every configuration out in a VM that never sees another one, and whoever is
/// elected there leaves all others waiting.
const FIRST_TICK: u32 = 2;
/// Ticks without a request after which a document counts as one that serves none.
const QUIET_TICKS: u32 = 50;
/// Ticks that a newer document has to be given its first request: meanwhile all that it needs is
/// asked for.
const FRESH_TICKS: u32 = 300;
/// Ticks from one word to the next that a document serves.
const SERVED_TICKS: u32 = 5;
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
    /// Requests have come since its document has last said so.
    served: bool,
    elected: bool,
    /// Another document's VM leads.
    rival: Option<Rival>,
}

/// The document of a leader that runs another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rival {
    document: u32,
    /// For how many ticks it has led.
    ticks: u32,
    theirs: Served,
    ours: Served,
}

/// What is known of a document's requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Served {
    count: u32,
    /// Ticks since that has changed.
    quiet: u32,
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
            served: false,
            elected: false,
            rival: None,
        }
    }

    /// This VM serves requests.
    pub(crate) const fn serves(&mut self) {
        self.serving = true;
        self.served = true;
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
        if self.served && self.ticks.is_multiple_of(SERVED_TICKS) {
            self.served = false;
            say_served(shared, self.document);
        }
        self.look_at_rival(shared, leader);
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
        let preferred = match self.rival {
            Some(rival) => self.is_in_force(&rival, leader.vm),
            None => leader.serving && !self.serving && self.ticks >= SETTLING_TICKS,
        };
        may_take_over && (gone || preferred)
    }

    /// Whether its document is the one to lead, rather than the leader's.
    const fn is_in_force(&self, rival: &Rival, leader: u32) -> bool {
        let (ours, theirs) = (rival.ours.is_recent(), rival.theirs.is_recent());
        if is_after(self.me, leader) {
            return ours || !theirs || self.ticks < FRESH_TICKS;
        }
        ours && !theirs && rival.ticks >= FRESH_TICKS
    }

    fn look_at_rival(&mut self, shared: &dyn SharedData, leader: Option<Leader>) {
        let other = leader.map(|leader| leader.document).filter(|other| *other != self.document);
        self.rival = other.map(|document| {
            let (ours, theirs) = (served(shared, self.document), served(shared, document));
            match self.rival.filter(|known| known.document == document) {
                Some(known) => Rival {
                    document,
                    ticks: known.ticks.saturating_add(1),
                    theirs: known.theirs.go_on(theirs),
                    ours: known.ours.go_on(ours),
                },
                None => Rival {
                    document,
                    ticks: 0,
                    theirs: Served { count: theirs, quiet: 0 },
                    ours: Served { count: ours, quiet: QUIET_TICKS },
                },
            }
        });
    }

    const fn entry(&self, beat: u32) -> Leader {
        Leader { vm: self.me, beat, document: self.document, serving: self.serving }
    }
}

impl Served {
    const fn go_on(self, count: u32) -> Self {
        let quiet = if count == self.count { self.quiet.saturating_add(1) } else { 0 };
        Self { count, quiet }
    }

    const fn is_recent(self) -> bool {
        self.quiet < QUIET_TICKS
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

/// How often a document has said that it serves; 0 where another one has its place.
fn served(shared: &dyn SharedData, document: u32) -> u32 {
    let found = shared.get(&place(document)).map(|(bytes, _)| bytes).unwrap_or_default();
    read_served(&found, document)
}

fn read_served(bytes: &[u8], document: u32) -> u32 {
    let Some((whose, rest)) = bytes.split_first_chunk() else { return 0 };
    let count = rest.first_chunk().filter(|_| u32::from_le_bytes(*whose) == document);
    count.map_or(0, |count| u32::from_le_bytes(*count))
}

/// Where somebody else was faster, that has been said.
fn say_served(shared: &dyn SharedData, document: u32) {
    let (found, version) = shared.get(&place(document)).unzip();
    let count = read_served(&found.unwrap_or_default(), document).wrapping_add(1);
    let value = [document, count].map(u32::to_le_bytes).concat();
    shared.set(&place(document), &value, version);
}

fn place(document: u32) -> String {
    [SERVED, &(document % SERVED_PLACES).to_string()].concat()
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

    /// So many ticks, in which the VMs of these serve, and who leads in the end.
    fn ticks(
        count: u32,
        shared: &Memory,
        (old, old_serves): (&mut [Election], bool),
        (new, new_serves): (&mut [Election], bool),
    ) -> Vec<u32> {
        let mut last = Vec::new();
        for _ in 0..count {
            last.clear();
            for (vms, serve) in [(&mut *old, old_serves), (&mut *new, new_serves)] {
                if serve && let Some(worker) = vms.last_mut() {
                    worker.serves();
                }
                last.extend(elected(vms, shared));
            }
        }
        last
    }

    #[test]
    fn a_document_that_comes_back_leads_once_the_one_in_between_serves_nobody() {
        let shared = Memory::default();
        let mut old = vms(&shared, 2);
        assert_eq!(until_elected(&mut old, &shared).1, [1]);
        let mut new: Vec<Election> = (0..2).map(|_| Election::new(&shared, 8)).collect();
        let both = (QUIET_TICKS + FRESH_TICKS) * 2;
        assert_eq!(ticks(both, &shared, (&mut old, true), (&mut new, true)), [3]);
        // The old one is in force again: its VMs are those of before.
        assert_eq!(ticks(QUIET_TICKS - 1, &shared, (&mut old, true), (&mut new, false)), [3]);
        let back = ticks(2 * SERVED_TICKS, &shared, (&mut old, true), (&mut new, false));
        assert!(matches!(back[..], [1 | 2]), "{back:?}");
        let back = ticks(1_000, &shared, (&mut old, true), (&mut new, false));
        assert!(matches!(back[..], [1 | 2]), "{back:?}");
        // And the newer one is, with its first request.
        let forth = ticks(2 * SERVED_TICKS, &shared, (&mut old, true), (&mut new, true));
        assert!(matches!(forth[..], [3 | 4]), "{forth:?}");
    }

    #[test]
    fn a_newer_document_is_given_time_for_its_first_request() {
        let shared = Memory::default();
        let mut old = vms(&shared, 2);
        assert_eq!(until_elected(&mut old, &shared).1, [1]);
        let mut new: Vec<Election> = (0..2).map(|_| Election::new(&shared, 8)).collect();
        assert_eq!(ticks(FRESH_TICKS - 10, &shared, (&mut old, true), (&mut new, false)), [3]);
        // Where nobody serves, the newer one is the better guess.
        assert_eq!(ticks(1_000, &shared, (&mut old, false), (&mut new, false)).len(), 1);
        let idle = ticks(1_000, &shared, (&mut old, false), (&mut new, false));
        assert!(matches!(idle[..], [3 | 4]), "{idle:?}");
    }

    #[test]
    fn what_documents_say_of_themselves_has_a_bound() {
        let shared = Memory::default();
        for document in 0..100 {
            say_served(&shared, document);
            say_served(&shared, document);
            assert_eq!(served(&shared, document), 2);
        }
        assert_eq!(shared.keys(), usize::try_from(SERVED_PLACES).unwrap());
        assert_eq!(served(&shared, 3), 0, "its place is another's");
        assert_eq!(read_served(b"short", 0), 0);
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
