//! What a server has heard of one service.

use std::collections::BTreeMap;

use postern_request::UnixMillis;

use crate::listing::{Listed, Listing, Version};
use crate::snapshot::{Endpoint, ServiceEndpoints};
use crate::standing::Health;

/// What is known of a service, over many listings. `now` is always of the same clock, which need
/// not be the registry's.
#[derive(Debug, Clone, Default)]
pub struct View {
    seen: Option<Version>,
    entries: BTreeMap<String, Entry>,
    /// The registry's time, at one of ours.
    at: (UnixMillis, UnixMillis),
}

#[derive(Debug, Clone)]
struct Entry {
    listed: Listed,
    /// When it is over unless it was renewed; none where nobody says.
    ends: Option<UnixMillis>,
    /// The registry has forgotten it. Whoever is there says so until then.
    is_forgotten: bool,
}

impl View {
    /// The state that was heard of last; none before anything was.
    #[must_use]
    pub const fn seen(&self) -> Option<Version> {
        self.seen
    }

    /// Takes in what the registry says. Whoever is missing is gone, unless the registry has
    /// forgotten what there was: then an instance stays until its time is over, by which it has
    /// renewed itself if it is there.
    pub fn apply(&mut self, listing: Listing, now: UnixMillis) {
        let has_forgotten = self.seen.is_some_and(|seen| listing.version.has_forgotten(seen));
        let mut before = std::mem::take(&mut self.entries);
        for listed in listing.entries {
            let ends = listed.expires_in_ms.map(|left| UnixMillis(now.0.saturating_add(left)));
            before.remove(&listed.instance.id);
            let id = listed.instance.id.clone();
            self.entries.insert(id, Entry { listed, ends, is_forgotten: false });
        }
        for (id, entry) in before {
            let stays = entry.ends.is_some_and(|ends| ends > now);
            if stays && (has_forgotten || entry.is_forgotten) {
                self.entries.insert(id, Entry { is_forgotten: true, ..entry });
            }
        }
        self.seen = Some(listing.version);
        self.at = (listing.at, now);
    }

    /// How many instances are kept although the registry has forgotten them.
    #[must_use]
    pub fn forgotten(&self) -> usize {
        self.entries.values().filter(|entry| entry.is_forgotten).count()
    }

    /// All instances with their standing, by id.
    pub fn listed(&self) -> impl Iterator<Item = &Listed> {
        self.entries.values().map(|entry| &entry.listed)
    }

    /// What Envoys are told of the service; none before anything was heard.
    #[must_use]
    pub fn endpoints(&self, service: &str, now: UnixMillis) -> Option<ServiceEndpoints> {
        self.seen?;
        let theirs = self.registry_time(now);
        let endpoint = |entry: &Entry| {
            let Listed { instance, standing, .. } = &entry.listed;
            Endpoint {
                instance: instance.id.clone(),
                address: instance.address,
                port: instance.port,
                weight: instance.weight * standing.tenths(instance.check.as_ref(), theirs),
                is_healthy: standing.health != Health::Unhealthy,
                region: instance.region.clone(),
                zone: instance.zone.clone(),
                version: instance.version.clone(),
            }
        };
        let endpoints = self.entries.values().map(endpoint).collect();
        Some(ServiceEndpoints::new(service.to_owned(), endpoints))
    }

    /// When [`View::endpoints`] says something else by the passing of time alone.
    #[must_use]
    pub fn next_step(&self, now: UnixMillis) -> Option<UnixMillis> {
        let theirs = self.registry_time(now);
        let step = |entry: &Entry| {
            let Listed { instance, standing, .. } = &entry.listed;
            let at = standing.next_step(instance.check.as_ref(), theirs)?;
            Some(UnixMillis(now.0.saturating_add(at.millis_since(theirs))))
        };
        self.entries.values().filter_map(step).min()
    }

    /// When to ask the registry again even where it says nothing: the first instance's time is
    /// over then, and only the registry knows whether it was renewed.
    #[must_use]
    pub fn next_end(&self) -> Option<UnixMillis> {
        self.entries.values().filter_map(|entry| entry.ends).min()
    }

    /// The registry's time, by ours and how far apart they were last.
    fn registry_time(&self, now: UnixMillis) -> UnixMillis {
        let (theirs, ours) = self.at;
        UnixMillis(theirs.0.saturating_add(now.millis_since(ours)))
    }
}
