//! What the one who checks a service knows of it: which checks are due, and which are under way.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use postern_registry::{Listed, Listing, Standing, Version};
use postern_request::UnixMillis;
use tokio::time::Instant;

/// How long nothing is due where there is nothing to check.
const NOTHING: Duration = Duration::from_secs(3_600);

/// A service's instances, by their ids.
pub struct Known {
    version: Option<Version>,
    entries: BTreeMap<String, Listed>,
    under_way: BTreeSet<String>,
    /// The registry's time, and when that was.
    at: (UnixMillis, Instant),
}

impl Known {
    /// Nothing.
    pub fn new() -> Self {
        Self {
            version: None,
            entries: BTreeMap::new(),
            under_way: BTreeSet::new(),
            at: (UnixMillis(0), Instant::now()),
        }
    }

    /// The state that was heard of last.
    pub const fn version(&self) -> Option<Version> {
        self.version
    }

    /// Takes in what the registry says.
    pub fn learn(&mut self, listing: Listing) {
        self.version = Some(listing.version);
        self.at = (listing.at, Instant::now());
        let by_id = |listed: Listed| (listed.instance.id.clone(), listed);
        self.entries = listing.entries.into_iter().map(by_id).collect();
    }

    /// A check has ended. Where the instance has moved meanwhile, it says nothing of it.
    pub fn done(&mut self, id: &str, place: SocketAddr, standing: Standing) {
        self.under_way.remove(id);
        let listed = self.entries.get_mut(id);
        if let Some(listed) = listed.filter(|listed| listed.instance.socket() == place) {
            listed.standing = standing;
        }
    }

    /// Nobody knows which check has ended.
    pub fn lost(&mut self) {
        self.under_way.clear();
    }

    /// The registry's time.
    pub fn now(&self) -> UnixMillis {
        let (at, heard) = self.at;
        let passed = u64::try_from(heard.elapsed().as_millis()).unwrap_or(u64::MAX);
        UnixMillis(at.0.saturating_add(passed))
    }

    /// The checks that are due. From now on they are under way.
    pub fn take_due(&mut self) -> Vec<Listed> {
        let now = self.now();
        let is_due = |listed: &&Listed| {
            let id = &listed.instance.id;
            !self.under_way.contains(id) && listed.due_at().is_some_and(|due| due <= now)
        };
        let due: Vec<Listed> = self.entries.values().filter(is_due).cloned().collect();
        self.under_way.extend(due.iter().map(|listed| listed.instance.id.clone()));
        due
    }

    /// When the next one is.
    pub fn next_due(&self) -> Instant {
        let now = self.now();
        let waits = self.entries.values().filter(|one| !self.under_way.contains(&one.instance.id));
        let next = waits.filter_map(Listed::due_at).min();
        let wait = next.map_or(NOTHING, |due| Duration::from_millis(due.millis_since(now)));
        Instant::now() + wait.min(NOTHING)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use postern_registry::{Check, Health, Instance, Probe};

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

    fn listed(id: &str, last_check: Option<UnixMillis>) -> Listed {
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let mut instance = Instance::new("shop".to_owned(), id.to_owned(), address, 80);
        instance.check = Some(Check::new(Probe::Tcp));
        let standing = Standing { health: Health::Healthy, last_check, ..Standing::new(NOW) };
        Listed { instance, standing, expires_in_ms: None }
    }

    fn ids(listed: &[Listed]) -> Vec<&str> {
        listed.iter().map(|listed| listed.instance.id.as_str()).collect()
    }

    #[test]
    fn a_check_is_due_once() {
        let mut known = Known::new();
        assert!(known.take_due().is_empty());
        let unchecked = {
            let mut unchecked = listed("c", None);
            unchecked.instance.check = None;
            unchecked
        };
        let entries = vec![listed("a", None), listed("b", Some(NOW)), unchecked];
        known.learn(Listing { at: NOW, entries: entries.clone(), ..Listing::default() });
        assert_eq!(ids(&known.take_due()), ["a"]);
        assert!(known.take_due().is_empty(), "it is under way");
        known.learn(Listing { at: NOW, entries, ..Listing::default() });
        assert!(known.take_due().is_empty(), "it still is");
        let wait = known.next_due().duration_since(Instant::now());
        assert!(wait > Duration::from_secs(29) && wait < Duration::from_secs(34), "{wait:?}");
        let place = listed("a", None).instance.socket();
        known.done("a", place, Standing { last_check: Some(NOW), ..Standing::new(NOW) });
        assert!(known.take_due().is_empty(), "it was checked just now");
        known.done("a", place, Standing::new(NOW));
        assert_eq!(ids(&known.take_due()), ["a"]);
        known.lost();
        assert_eq!(ids(&known.take_due()), ["a"]);
    }

    #[test]
    fn who_has_moved_is_checked_where_it_is_now() {
        let mut known = Known::new();
        let before = listed("a", None);
        let mut after = before.clone();
        after.instance.port = 81;
        known.learn(Listing { at: NOW, entries: vec![before.clone()], ..Listing::default() });
        assert_eq!(known.take_due(), std::slice::from_ref(&before));
        known.learn(Listing { at: NOW, entries: vec![after.clone()], ..Listing::default() });
        let failed =
            Standing { health: Health::Unhealthy, last_check: Some(NOW), ..Standing::new(NOW) };
        known.done("a", before.instance.socket(), failed);
        assert_eq!(known.take_due(), [after.clone()], "as it was registered");
        known.done("a", after.instance.socket(), failed);
        assert!(known.take_due().is_empty());
    }
}
