use proptest::prelude::*;

use super::*;

/// Primes 2^bits - c: c is 1 (limbs all ones), small, and with one bit in the highest byte.
const PRIMES: [(u32, u16); 4] = [(255, 19), (521, 1), (2048, 1557), (2049, 1449)];

fn power_of(base: &[u8], exponent: u32, modulus: &[u8]) -> Option<Vec<u8>> {
    power(base, NonZeroU32::new(exponent).unwrap(), modulus)
}

/// 2^bits - c
fn below_power_of_two(bits: u32, c: u16) -> Vec<u8> {
    let mut bytes = vec![0xff; bits.div_ceil(8) as usize];
    bytes[0] >>= bits.next_multiple_of(8) - bits;
    let lowest = bytes.len() - 2;
    bytes[lowest..].copy_from_slice(&(u16::MAX - (c - 1)).to_be_bytes());
    bytes
}

/// As long as the modulus, and below it.
fn number(modulus: &[u8], bytes: &[u8]) -> Vec<u8> {
    let mut number: Vec<u8> = bytes.iter().copied().cycle().take(modulus.len()).collect();
    number[0] = number[0].min(modulus[0] - 1);
    number
}

/// By schoolbook, which 128 bits are enough for.
fn small_power(base: u64, exponent: u32, modulus: u64) -> u64 {
    let modulus = u128::from(modulus);
    let mut power = 1;
    for place in (0..32).rev() {
        power = power * power % modulus;
        if exponent >> place & 1 == 1 {
            power = power * u128::from(base) % modulus;
        }
    }
    u64::try_from(power).unwrap()
}

fn exponents() -> impl Strategy<Value = u32> {
    prop_oneof![Just(1), Just(2), Just(3), Just(65537), Just(u32::MAX), 1..u32::MAX]
}

/// Odd, of one to eight bytes, the bounds of a limb and of a byte more often than others.
fn small_moduli() -> impl Strategy<Value = u64> {
    let edge = (1_u32..=64, -9_i64..9)
        .prop_map(|(bits, offset)| (u64::MAX >> (64 - bits)).wrapping_add_signed(offset));
    prop_oneof![edge, any::<u64>(), any::<u32>().prop_map(u64::from)]
        .prop_map(|number| number | 1)
        .prop_filter("above 1", |number| *number > 1)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn small_powers_are_right(
        modulus in small_moduli(),
        base in prop_oneof![any::<u64>(), Just(u64::MAX), Just(0)],
        exponent in exponents(),
    ) {
        let bytes = modulus.to_be_bytes();
        let zeros = modulus.leading_zeros() as usize / 8;
        let base = if base == u64::MAX { modulus - 1 } else { base % modulus };
        let power = power_of(&base.to_be_bytes()[zeros..], exponent, &bytes[zeros..]);
        let expected = small_power(base, exponent, modulus).to_be_bytes();
        prop_assert_eq!(power.as_deref(), Some(&expected[zeros..]));
    }

    #[test]
    fn powers_of_powers_multiply_their_exponents(
        modulus in prop::collection::vec(any::<u8>(), 2..300),
        base in prop::collection::vec(any::<u8>(), 1..300),
        (first, second) in (1..=u32::from(u16::MAX), 1..=u32::from(u16::MAX)),
    ) {
        let mut modulus = modulus;
        modulus[0] |= 2;
        *modulus.last_mut().unwrap() |= 1;
        let base = number(&modulus, &base);
        let once = power_of(&base, first * second, &modulus);
        let twice = power_of(&power_of(&base, first, &modulus).unwrap(), second, &modulus);
        prop_assert!(once.is_some());
        prop_assert_eq!(once, twice);
    }

    #[test]
    fn the_powers_of_zero_one_and_minus_one_are_known(
        modulus in prop::collection::vec(any::<u8>(), 1..300),
        exponent in exponents(),
    ) {
        let mut modulus = modulus;
        modulus[0] |= 2;
        *modulus.last_mut().unwrap() |= 1;
        let zero = vec![0; modulus.len()];
        let mut one = zero.clone();
        *one.last_mut().unwrap() = 1;
        let mut minus_one = modulus.clone();
        *minus_one.last_mut().unwrap() -= 1;
        for (base, expected) in [
            (&zero, &zero),
            (&one, &one),
            (&minus_one, if exponent % 2 == 0 { &one } else { &minus_one }),
        ] {
            prop_assert_eq!(power_of(base, exponent, &modulus), Some(expected.clone()));
        }
    }
}

/// Fermat: modulo a prime p = 2^k - c, b to the power of p is b, so that b to the power of 2^k
/// is b to the power of c + 1.
#[test]
fn primes_obey_fermat() {
    for (bits, c) in PRIMES {
        let prime = below_power_of_two(bits, c);
        for seed in [&[2][..], &[0xff], &[0x12, 0x34, 0x56, 0x78, 0x9a], &[0, 0, 0, 0, 1, 0, 0]] {
            let base = number(&prime, seed);
            let mut power = base.clone();
            for start in (0..bits).step_by(31) {
                let exponent = 1 << (bits - start).min(31);
                power = power_of(&power, exponent, &prime).unwrap();
            }
            assert_eq!(Some(power), power_of(&base, u32::from(c) + 1, &prime), "{bits} {seed:?}");
        }
    }
}

#[test]
fn what_is_no_modulus_and_what_is_not_below_it_has_no_powers() {
    for modulus in [&[][..], &[0], &[1], &[4], &[0, 3], &[0, 0, 0, 0, 5], &[1, 0, 0, 0, 0]] {
        assert_eq!(power_of(&vec![0; modulus.len()], 3, modulus), None, "{modulus:?}");
    }
    let modulus = [0x80, 0, 0, 0, 3];
    assert_eq!(power_of(&[0x80, 0, 0, 0, 2], 1, &modulus), Some(vec![0x80, 0, 0, 0, 2]));
    for base in [
        &modulus[..],
        &[0x80, 0, 0, 0, 4],
        &[0xff; 5],
        &[],
        &[2],
        &[0, 0, 0, 2],
        &[0, 0, 0, 0, 0, 2],
        &[0, 0, 0, 0, 0, 0, 0, 0, 2],
    ] {
        assert_eq!(power_of(base, 3, &modulus), None, "{base:?}");
    }
}
