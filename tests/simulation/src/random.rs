//! Chance, from a seed.

use std::time::Duration;

use postern_leases::LeaseId;

/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014): small,
/// fast, and the same everywhere.
#[derive(Debug, Clone)]
pub struct Random {
    state: u64,
}

impl Random {
    /// A stream of its own for each seed.
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// Any number.
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; zero when that is zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        let product = u128::from(self.bits()) * u128::from(bound);
        u64::try_from(product >> 64).unwrap_or(0)
    }

    /// A place in a list of this length.
    pub fn place(&mut self, length: usize) -> usize {
        let length = u64::try_from(length).unwrap_or(u64::MAX);
        usize::try_from(self.below(length)).unwrap_or(0)
    }

    /// A number from 0 up to, and without, 1.
    pub fn unit(&mut self) -> f64 {
        const STEPS: f64 = 9_007_199_254_740_992.0;
        (self.bits() >> 11) as f64 / STEPS
    }

    /// Whether something happens that happens with this probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Microseconds until the next of events that come independently, so many a second.
    pub fn wait_us(&mut self, per_second: f64) -> u64 {
        let seconds = -(1.0 - self.unit()).ln() / per_second;
        let wait = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        u64::try_from(wait.as_micros()).unwrap_or(u64::MAX)
    }

    /// The name of a new lease.
    pub fn lease_id(&mut self) -> LeaseId {
        let high = u128::from(self.bits()) << 64;
        LeaseId((high | u128::from(self.bits())).to_le_bytes())
    }
}

/// Places in a list, the first the most likely: the n-th by n to the power of minus the exponent.
#[derive(Debug, Clone)]
pub struct Zipf {
    /// The sum of the weights up to each place.
    sums: Vec<f64>,
}

impl Zipf {
    /// A distribution over so many places.
    pub fn new(places: u32, exponent: f64) -> Self {
        let weights = (1..=places).map(|place| f64::from(place).powf(-exponent));
        let sums = weights.scan(0.0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        });
        Self { sums: sums.collect() }
    }

    fn total(&self) -> f64 {
        self.sums.last().copied().unwrap_or(1.0)
    }

    /// How likely the first place is.
    pub fn first(&self) -> f64 {
        self.sums.first().copied().unwrap_or(1.0) / self.total()
    }

    /// A place.
    pub fn pick(&self, random: &mut Random) -> usize {
        let at = random.unit() * self.total();
        let place = self.sums.partition_point(|sum| *sum <= at);
        place.min(self.sums.len().saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_generator_of_the_paper() {
        let mut random = Random::new(1_234_567);
        let first: Vec<u64> = (0..3).map(|_| random.bits()).collect();
        let expected =
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!(first, expected);
    }

    #[test]
    fn events_come_as_often_as_they_should() {
        let mut random = Random::new(7);
        let waited: u64 = (0..10_000).map(|_| random.wait_us(100.0)).sum();
        assert!((95_000_000..105_000_000).contains(&waited), "{waited}");
        assert_eq!(random.below(0), 0);
        assert!((0..1000).all(|_| random.below(3) < 3));
    }

    #[test]
    fn the_first_places_are_the_most_likely() {
        let zipf = Zipf::new(4, 1.0);
        assert!((zipf.first() - 0.48).abs() < 1e-9);
        let mut random = Random::new(7);
        let mut counts = [0_u32; 4];
        for _ in 0..25_000 {
            counts[zipf.pick(&mut random)] += 1;
        }
        let expected = [12_000_u32, 6000, 4000, 3000];
        for (count, expected) in counts.into_iter().zip(expected) {
            assert!(count.abs_diff(expected) < 400, "{counts:?}");
        }
    }
}
