//! How long and how hard: in full by `./dev test chaos`, in short by `./dev test chaos --short` and
//! so by every change. What is asserted is the same.

use std::time::Duration;

/// What differs.
#[derive(Debug, Clone, Copy)]
pub struct Profile {
    /// Requests a second where a part fails under load.
    pub rate: u32,
    /// Requests a second where none may fail: below what makes a machine stand still that starts
    /// servers at the same time.
    pub calm_rate: u32,
    /// How long load goes on before something fails, and after it.
    pub load: Duration,
    /// How long the feed is cut, and how old what it told may be.
    pub cut: Duration,
    /// The same as the document spells it; less than the cut.
    pub staleness: &'static str,
}

impl Profile {
    /// As `POSTERN_CHAOS` says: `full`, else short.
    pub fn get() -> Self {
        let is_full = std::env::var_os("POSTERN_CHAOS").is_some_and(|value| value == "full");
        if is_full { FULL } else { SHORT }
    }

    /// How many requests go out in [`Profile::load`].
    pub fn requests(&self) -> u32 {
        self.rate * u32::try_from(self.load.as_secs()).expect("seconds")
    }
}

const FULL: Profile = Profile {
    rate: 2_000,
    calm_rate: 500,
    load: Duration::from_secs(10),
    cut: Duration::from_secs(60),
    staleness: "20s",
};
const SHORT: Profile = Profile {
    rate: 150,
    calm_rate: 100,
    load: Duration::from_secs(2),
    cut: Duration::from_secs(6),
    staleness: "3s",
};
