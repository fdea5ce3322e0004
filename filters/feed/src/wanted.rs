//! Keys that are missing: a token named one that its issuer's set does not have.
//!
//! Any VM says so by a bit in shared data, and the elected one tells the server. By the best of
//! everyone's efforts: a token that comes later says it again.

use postern_filter_shared_data::SharedData;

use crate::Settings;
use crate::keys::MOST_ISSUERS;
use crate::pace::hash;

const WANTED: &str = name!("wanted");
/// How often the server is told of one issuer.
const AGAIN_MS: u64 = 10_000;
/// How often the bits are written again when another VM was faster.
const ATTEMPTS: u32 = 3;

/// An issuer's bit. It goes by the name and not by the place in a document, for two documents
/// may be in use. Where issuers share a bit, the server is told of both.
pub(crate) fn bit(issuer: &str) -> u64 {
    1 << place(issuer)
}

fn place(issuer: &str) -> usize {
    usize::try_from(hash(issuer) >> 58).unwrap_or_default()
}

/// Says that an issuer's keys are wanted.
pub(crate) fn want(shared: &dyn SharedData, bit: u64) {
    change(shared, |bits| bits | bit);
}

/// The bits that were there.
fn change(shared: &dyn SharedData, change: impl Fn(u64) -> u64) -> u64 {
    for _ in 0..ATTEMPTS {
        let (value, version) = shared.get(WANTED).unzip();
        let bits = value.and_then(|value| value.try_into().ok()).map_or(0, u64::from_le_bytes);
        let changed = change(bits);
        if changed == bits || shared.set(WANTED, &changed.to_le_bytes(), version) {
            return bits;
        }
    }
    0
}

/// What the elected VM has to tell.
#[derive(Debug)]
pub(crate) struct Wanted {
    bits: u64,
    /// Those of the call that is on its way.
    told: u64,
    /// Ticks since the server was told, by the number of the bit.
    since: [u64; 64],
}

impl Wanted {
    pub(crate) const fn new() -> Self {
        Self { bits: 0, told: 0, since: [u64::MAX; 64] }
    }

    /// Once a tick: collects the bits.
    pub(crate) fn tick(&mut self, shared: &dyn SharedData) {
        self.since.iter_mut().for_each(|ticks| *ticks = ticks.saturating_add(1));
        self.bits |= change(shared, |_| 0);
    }

    /// Whether there is an issuer that the server should be told of now.
    pub(crate) fn is_due(&self, settings: &Settings) -> bool {
        self.bits != 0 && self.due(settings).next().is_some()
    }

    /// The issuers to tell the server of.
    pub(crate) fn tell(&mut self, settings: &Settings) -> Vec<String> {
        let due: Vec<String> = self.due(settings).cloned().collect();
        self.told = due.iter().fold(0, |bits, issuer| bits | bit(issuer));
        self.set_since(self.told, 0);
        due
    }

    /// The server has been told.
    pub(crate) const fn heard(&mut self) {
        self.bits &= !self.told;
        self.told = 0;
    }

    /// Nobody knows whether it has.
    pub(crate) fn failed(&mut self) {
        self.set_since(self.told, u64::MAX);
        self.told = 0;
    }

    fn due<'s>(&'s self, settings: &'s Settings) -> impl Iterator<Item = &'s String> {
        let again = settings.ticks(AGAIN_MS);
        settings.issuers.iter().take(MOST_ISSUERS).filter(move |issuer| {
            let since = self.since.get(place(issuer)).copied().unwrap_or_default();
            self.bits & bit(issuer) != 0 && since >= again
        })
    }

    fn set_since(&mut self, bits: u64, ticks: u64) {
        let numbered = self.since.iter_mut().enumerate();
        numbered
            .filter(|(number, _)| (bits >> number) & 1 == 1)
            .for_each(|(_, since)| *since = ticks);
    }
}
