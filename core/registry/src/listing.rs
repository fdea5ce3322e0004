//! What a registry says of a service.

use postern_request::UnixMillis;

use crate::instance::Instance;
use crate::standing::{Standing, spread};

/// Which state of a service. Within an epoch later ones are greater; with another epoch, the
/// registry has forgotten what there was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Version {
    /// Since when the registry remembers.
    pub epoch: u64,
    /// Counts up with every change.
    pub number: u64,
}

impl Version {
    /// Whether the registry knows nothing of what it said before: it forgot, or somebody who was
    /// told less took its place.
    #[must_use]
    pub const fn has_forgotten(self, before: Self) -> bool {
        self.epoch != before.epoch || self.number < before.number
    }
}

/// An instance as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// What it is.
    pub instance: Instance,
    /// How it does.
    pub standing: Standing,
    /// How long it is there unless it is renewed; none where the registry does not say.
    pub expires_in_ms: Option<u64>,
}

impl Listed {
    /// When its next check is due; never where it is not checked.
    #[must_use]
    pub fn due_at(&self) -> Option<UnixMillis> {
        let check = self.instance.check.as_ref()?;
        let spread = spread(&self.instance.id, self.standing.last_check);
        Some(self.standing.due_at(check, spread))
    }
}

/// All instances of a service, by their ids.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listing {
    /// Which state this is.
    pub version: Version,
    /// The registry's own time, which all times in here are by.
    pub at: UnixMillis,
    /// The instances.
    pub entries: Vec<Listed>,
    /// How many there were that make no sense, and are left out.
    pub left_out: u32,
}
