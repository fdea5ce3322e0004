//! Medians and how far runs lie apart.

/// What several rounds say of one figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// Median of the values.
    pub value: f64,
    /// Median of the base's values.
    pub base: f64,
    /// Median of the differences to the base of the same round.
    pub added: f64,
    /// Median of the ratios to the base of the same round.
    pub ratio: f64,
    /// Interquartile range of the differences: the middle half of the rounds lies within it.
    pub spread: f64,
}

impl Summary {
    /// Rounds beside the rounds of a base; none where there is no round, or one without cost.
    pub fn of(values: &[f64], base: &[f64]) -> Option<Self> {
        let pairs = || values.iter().zip(base);
        let added: Vec<f64> = pairs().map(|(value, base)| value - base).collect();
        let ratios: Vec<f64> = pairs().map(|(value, base)| value / base).collect();
        if ratios.iter().any(|ratio| !ratio.is_finite()) {
            return None;
        }
        Some(Self {
            value: median(values)?,
            base: median(base)?,
            added: median(&added)?,
            ratio: median(&ratios)?,
            spread: spread(&added)?,
        })
    }

    /// Figures that are their own base.
    pub fn alone(values: &[f64]) -> Option<Self> {
        let value = median(values)?;
        Some(Self { value, base: value, added: 0.0, ratio: 1.0, spread: spread(values)? })
    }
}

/// The median.
pub fn median(values: &[f64]) -> Option<f64> {
    quartile(values, 2)
}

/// The interquartile range: the middle half of the values lies within it.
pub fn spread(values: &[f64]) -> Option<f64> {
    Some(quartile(values, 3)? - quartile(values, 1)?)
}

/// The smallest value that so many thousandths of the values do not exceed.
pub fn per_mille(values: &[f64], share: usize) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() * share).div_ceil(1000);
    sorted.get(rank.max(1) - 1).copied()
}

/// The first, second or third quartile; between two values in proportion.
fn quartile(values: &[f64], which: usize) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let quarters = which * sorted.len().checked_sub(1)?;
    let below = *sorted.get(quarters / 4)?;
    let above = *sorted.get(quarters.div_ceil(4))?;
    let share = (quarters % 4) as f64 / 4.0;
    Some(below + (above - below) * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: Option<f64>, b: f64) -> bool {
        a.is_some_and(|a| (a - b).abs() < 1e-9)
    }

    #[test]
    fn medians_of_odd_even_and_no_values() {
        assert!(near(median(&[5.0, 1.0, 3.0]), 3.0));
        assert!(near(median(&[4.0, 1.0, 3.0, 2.0]), 2.5));
        assert!(near(median(&[7.0]), 7.0));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn quartiles_lie_between_values() {
        let five = [1.0, 2.0, 3.0, 4.0, 100.0];
        assert!(near(quartile(&five, 1), 2.0));
        assert!(near(quartile(&five, 3), 4.0), "one wild run moves nothing");
        assert!(near(quartile(&[0.0, 10.0], 1), 2.5));
        assert!(near(quartile(&[0.0, 10.0], 3), 7.5));
    }

    #[test]
    fn thousandths_are_values_that_were_measured() {
        let values: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        for (share, expected) in
            [(0, 1.0), (5, 1.0), (500, 100.0), (990, 198.0), (999, 200.0), (1000, 200.0)]
        {
            assert!(near(per_mille(&values, share), expected), "{share}");
        }
        assert!(near(per_mille(&[7.0], 990), 7.0));
        assert_eq!(per_mille(&[], 990), None);
        assert!(near(spread(&values), 99.5));
    }

    #[test]
    fn differences_are_taken_within_a_round() {
        // The machine got slower from round to round; what is added did not change.
        let base = [20.0, 30.0, 40.0];
        let values = [26.0, 36.0, 46.0];
        let summary = Summary::of(&values, &base).unwrap();
        assert!(near(Some(summary.added), 6.0));
        assert!(near(Some(summary.spread), 0.0));
        assert!(near(Some(summary.value), 36.0));
        assert!(near(Some(summary.base), 30.0));
        assert!(near(Some(summary.ratio), 1.2));
    }

    #[test]
    fn nothing_comes_of_nothing() {
        assert_eq!(Summary::of(&[], &[]), None);
        assert_eq!(Summary::of(&[1.0], &[0.0]), None);
        assert_eq!(Summary::alone(&[]), None);
        let alone = Summary::alone(&[2.0, 4.0]).unwrap();
        assert!(near(Some(alone.ratio), 1.0) && near(Some(alone.added), 0.0));
    }
}
