//! Numbers that look random and are always the same.

/// SplitMix64: two lines, and more than good enough to choose by.
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `bound`.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).expect("a small number");
        usize::try_from(self.next() % bound).expect("a small number")
    }

    /// One in `of`.
    pub(super) fn one_in(&mut self, of: usize) -> bool {
        self.below(of) == 0
    }

    /// One of these.
    pub(super) fn pick<'t, T>(&mut self, among: &'t [T]) -> &'t T {
        &among[self.below(among.len())]
    }

    /// One or two of these, none twice.
    pub(super) fn some<'t>(&mut self, among: &[&'t str]) -> Vec<&'t str> {
        let mut chosen = vec![*self.pick(among)];
        let other = *self.pick(among);
        if self.one_in(2) && other != chosen[0] {
            chosen.push(other);
        }
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_same_and_differ() {
        let all = |seed: u64| {
            let mut random = Random::new(seed);
            (0..100).map(|_| random.below(10)).collect::<Vec<usize>>()
        };
        assert_eq!(all(1), all(1));
        assert_ne!(all(1), all(2));
        assert!((0..10).all(|number| all(1).contains(&number)));
    }
}
