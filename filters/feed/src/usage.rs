//! Whether anybody in this process has use for what the feed brings. An Envoy that judges no
//! token need not ask as often.

use postern_filter_shared_data::SharedData;

const USED: &str = name!("used");
/// A VM says at most this often that it has judged a token.
const PERIOD_MS: u64 = 1_000;

/// One VM's part.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    used: bool,
    /// Ticks until it may be said again.
    rest: u64,
}

impl Usage {
    /// A token was judged.
    pub(crate) const fn mark(&mut self) {
        self.used = true;
    }

    /// Once a tick: tells the others.
    pub(crate) fn tick(&mut self, shared: &dyn SharedData, tick_ms: u64) {
        self.rest = self.rest.saturating_sub(1);
        if self.used && self.rest == 0 {
            // That it is written is all that it says: every write has a version of its own.
            shared.put(USED, &[1]);
            self.rest = PERIOD_MS.div_ceil(tick_ms.max(1));
            self.used = false;
        }
    }
}

/// What the elected VM sees of it.
#[derive(Debug, Default)]
pub(crate) struct Idle {
    version: Option<u32>,
    ticks: u64,
}

impl Idle {
    /// Once a tick.
    pub(crate) fn tick(&mut self, shared: &dyn SharedData) {
        let version = shared.get(USED).map(|(_, version)| version);
        if version == self.version {
            self.ticks = self.ticks.saturating_add(1);
        } else {
            *self = Self { version, ticks: 0 };
        }
    }

    /// For how long nobody has judged a token, as far as this VM has seen; in milliseconds.
    pub(crate) const fn millis(&self, tick_ms: u64) -> u64 {
        self.ticks.saturating_mul(tick_ms)
    }
}
