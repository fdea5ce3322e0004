//! What the elected worker tells the others, and whoever is elected next.

use postern_filter_shared_data::SharedData;
use postern_leases::Terms;
use postern_request::UnixMillis;

const HEAD: &str = "postern.lease.head";

/// The longest that requests are refused for want of a slice while the server does not answer.
const PATIENCE_MS: u64 = 3_000;

/// For how long a limit waits for the server before it takes leases for not to be had: for two
/// lives of a lease, or three seconds where those are longer. A slice that was had before outlives
/// that in most cases, so that nobody is refused in between.
pub(crate) fn patience_ms(terms: &Terms) -> u64 {
    terms.life_ms().saturating_mul(2).min(PATIENCE_MS)
}

/// What all workers know of the elected one's work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Head {
    /// What its clock has shown last, all slices having been ended that were lent by a later one.
    pub(crate) latest: UnixMillis,
    /// For how long the server has answered none of its calls; zero where it has answered the
    /// last. Counted in ticks, which no clock hurries.
    pub(crate) failing_ms: u64,
}

impl Head {
    pub(crate) fn read(shared: &dyn SharedData) -> Self {
        let (found, _) = shared.get(HEAD).unzip();
        let (words, rest) = found.as_deref().unwrap_or_default().as_chunks::<8>();
        match words {
            [latest, failing_ms] if rest.is_empty() => Self {
                latest: UnixMillis(u64::from_le_bytes(*latest)),
                failing_ms: u64::from_le_bytes(*failing_ms),
            },
            _ => Self::default(),
        }
    }

    pub(crate) fn write(self, shared: &dyn SharedData) {
        shared.put(HEAD, &[self.latest.0, self.failing_ms].map(u64::to_le_bytes).concat());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use postern_filter_shared_data::Memory;
    use postern_leases::Start;

    #[test]
    fn what_is_told_is_read() {
        let shared = Memory::default();
        assert_eq!(Head::read(&shared), Head::default());
        let head = Head { latest: UnixMillis(7), failing_ms: 300 };
        head.write(&shared);
        assert_eq!(Head::read(&shared), head);
        shared.put(HEAD, &[1; 17]);
        assert_eq!(Head::read(&shared), Head::default());
    }

    #[test]
    fn patience_ends_before_a_long_lease_does() {
        let patience = |life_ms| patience_ms(&Terms::new(1, 10, life_ms, Start::Strict).unwrap());
        assert_eq!([1000, 1400, 5000, 60_000].map(patience), [2000, 2800, 3000, 3000]);
    }
}
