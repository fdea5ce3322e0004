//! Calendar months in UTC. Days need no calendar: Unix time gives each the same length.

use postern_request::UnixMillis;

const DAY_MS: u64 = 86_400_000;

/// When the month of `now` began.
#[must_use]
pub const fn month_start(now: UnixMillis) -> UnixMillis {
    UnixMillis(first_day(now.0 / DAY_MS).saturating_mul(DAY_MS))
}

/// When the month after that of `now` begins.
#[must_use]
pub const fn next_month(now: UnixMillis) -> UnixMillis {
    // 31 days after the first of any month is within the month after it.
    let next = first_day(first_day(now.0 / DAY_MS) + 31);
    UnixMillis(next.saturating_mul(DAY_MS))
}

/// The first day of a day's month, both counted since 1970-01-01. Years are taken to begin in
/// March: the leap day is then the last one, and months begin at days that one line gives.
const fn first_day(day: u64) -> u64 {
    // From 0000-03-01, in eras of 400 years, which all have the same length.
    let day_of_era = (day + 719_468) % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    day - (day_of_year - (153 * month + 2) / 5)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn months_begin_on_the_first() {
        for (now, start, next) in [
            (0, "1970-01-01", "1970-02-01"),
            (951_782_400_000, "2000-02-01", "2000-03-01"),
            (1_709_251_199_999, "2024-02-01", "2024-03-01"),
            (1_709_251_200_000, "2024-03-01", "2024-04-01"),
            (1_703_980_800_000, "2023-12-01", "2024-01-01"),
            (4_102_444_799_999, "2099-12-01", "2100-01-01"),
            (4_107_542_399_999, "2100-02-01", "2100-03-01"),
        ] {
            let at_midnight = |date: &str| format!("{date}T00:00:00.000Z");
            assert_eq!(month_start(UnixMillis(now)).to_rfc3339(), at_midnight(start), "{now}");
            assert_eq!(next_month(UnixMillis(now)).to_rfc3339(), at_midnight(next), "{now}");
        }
    }

    proptest! {
        #[test]
        fn every_moment_is_in_its_month(now in prop_oneof![any::<u64>(), 0..9_000_000_000_000_u64]) {
            let (start, next) = (month_start(UnixMillis(now)), next_month(UnixMillis(now)));
            prop_assert!(start.0 <= now);
            prop_assert!(now < next.0 || next.0 == u64::MAX);
            if next.0 < u64::MAX {
                let days = (next.0 - start.0) / DAY_MS;
                prop_assert!((28..=31).contains(&days));
                prop_assert_eq!(month_start(next), next);
            }
        }
    }
}
