//! Powers modulo an odd number, by Montgomery's multiplication.
//!
//! Numbers are limbs of 32 bits, the least one first: two of them multiply in one instruction
//! of WASM, where 64 bits would need several. Nothing runs in constant time, so no private key
//! may come here.

use std::num::NonZeroU32;

/// `base` to the power of `exponent` modulo `modulus`; numbers are big-endian bytes. None where
/// the modulus is even, 1 or has a zero in front, and where the base is not below it or not
/// written in as many bytes.
pub(super) fn power(base: &[u8], exponent: NonZeroU32, modulus: &[u8]) -> Option<Vec<u8>> {
    let (bytes, modulus) = (modulus.len(), Modulus::new(modulus)?);
    let number = limbs(base);
    if base.len() != bytes || modulus.is_at_most(&number) {
        return None;
    }
    let base = modulus.product(&number, &modulus.r_squared());
    let power = modulus.power(&base, exponent);
    let power = modulus.product(&power, &modulus.single(0, 1));
    let padding = power.len() * 4 - bytes;
    let padded: Vec<u8> = power.iter().rev().flat_map(|limb| limb.to_be_bytes()).collect();
    padded.get(padding..).map(<[u8]>::to_vec)
}

/// An odd number n above 1. R is 2^32 to the power of its limbs, and a number x is in
/// Montgomery's form as xR mod n.
struct Modulus {
    limbs: Vec<u32>,
    /// -1/n mod 2^32
    negative_inverse: u32,
}

impl Modulus {
    fn new(bytes: &[u8]) -> Option<Self> {
        if bytes.first().is_none_or(|first| *first == 0) || bytes == [1] {
            return None;
        }
        let limbs = limbs(bytes);
        let lowest = limbs.first().copied().filter(|lowest| lowest % 2 == 1)?;
        // Newton: an odd number is its own inverse modulo 8, and each step doubles those 3 bits.
        let inverse = (0..4).fold(lowest, |inverse, _| {
            inverse.wrapping_mul(2_u32.wrapping_sub(lowest.wrapping_mul(inverse)))
        });
        Some(Self { limbs, negative_inverse: inverse.wrapping_neg() })
    }

    /// R² mod n, by which a product brings a number into Montgomery's form.
    fn r_squared(&self) -> Vec<u32> {
        let above = self.limbs.last().map_or(0, |highest| highest.leading_zeros());
        // The highest bit of n alone is below n. Doubled until it is R, then 32 times more, it
        // is 2^32 in Montgomery's form; that to the power of the limbs is R, likewise.
        let mut number = self.single(self.limbs.len() - 1, 1 << (31 - above));
        for _ in 0..above + 1 + 32 {
            self.double(&mut number);
        }
        let limbs = u32::try_from(self.limbs.len()).ok().and_then(NonZeroU32::new);
        self.power(&number, limbs.unwrap_or(NonZeroU32::MIN))
    }

    /// Of a number in Montgomery's form, and in it again: from the left, by squares.
    fn power(&self, base: &[u32], exponent: NonZeroU32) -> Vec<u32> {
        let mut power = base.to_vec();
        for place in (0..exponent.ilog2()).rev() {
            power = self.product(&power, &power);
            if exponent.get() >> place & 1 == 1 {
                power = self.product(&power, base);
            }
        }
        power
    }

    /// ab/R mod n, for numbers below n. Each limb of `a` adds its product with `b`, and as much
    /// of n as makes the lowest limb zero: the next one goes on above it. The sum stays below
    /// 2n there, so that one bit is enough for what overflows.
    fn product(&self, a: &[u32], b: &[u32]) -> Vec<u32> {
        let length = self.limbs.len();
        let mut sum = vec![0; 2 * length];
        let mut overflows = false;
        for (place, a) in a.iter().enumerate() {
            let window = sum.get_mut(place..).and_then(|sum| sum.split_at_mut_checked(length));
            let Some((window, above)) = window else { break };
            let lowest = a.wrapping_mul(first(b)).wrapping_add(first(window));
            let times = lowest.wrapping_mul(self.negative_inverse);
            let (mut carry, mut carry_of_n) = (0, 0);
            for ((limb, b), n) in window.iter_mut().zip(b).zip(&self.limbs) {
                (*limb, carry) = a.carrying_mul_add(*b, *limb, carry);
                (*limb, carry_of_n) = times.carrying_mul_add(*n, *limb, carry_of_n);
            }
            if let Some(next) = above.first_mut() {
                (*next, overflows) = carry.carrying_add(carry_of_n, overflows);
            }
        }
        let mut product = sum.get(length..).unwrap_or_default().to_vec();
        self.reduce(&mut product, overflows);
        product
    }

    fn double(&self, number: &mut [u32]) {
        let mut carry = 0;
        for limb in number.iter_mut() {
            (*limb, carry) = (*limb << 1 | carry, *limb >> 31);
        }
        self.reduce(number, carry == 1);
    }

    /// Of a number below 2n, `overflows` being the bit above its limbs.
    fn reduce(&self, number: &mut [u32], overflows: bool) {
        if overflows || self.is_at_most(number) {
            let mut borrow = false;
            for (limb, n) in number.iter_mut().zip(&self.limbs) {
                (*limb, borrow) = limb.borrowing_sub(*n, borrow);
            }
        }
    }

    fn is_at_most(&self, number: &[u32]) -> bool {
        self.limbs.iter().rev().le(number.iter().rev())
    }

    /// A number as long as n of which all limbs but one are zero.
    fn single(&self, place: usize, limb: u32) -> Vec<u32> {
        let mut number = vec![0; self.limbs.len()];
        if let Some(there) = number.get_mut(place) {
            *there = limb;
        }
        number
    }
}

fn first(number: &[u32]) -> u32 {
    number.first().copied().unwrap_or_default()
}

fn limbs(bytes: &[u8]) -> Vec<u32> {
    let limb = |bytes: &[u8]| bytes.iter().fold(0, |limb, byte| limb << 8 | u32::from(*byte));
    bytes.rchunks(4).map(limb).collect()
}

#[cfg(test)]
mod tests;
