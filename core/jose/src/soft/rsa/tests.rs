use proptest::prelude::*;

use super::*;
use crate::algorithm::KeyType;

const HASHES: [HashFunction; 3] =
    [HashFunction::Sha256, HashFunction::Sha384, HashFunction::Sha512];
const TEXT: &[u8] = b"text";

/// What PSS makes of a text, and what may be wrong with it.
#[derive(Debug, Clone)]
struct Pss {
    hash: HashFunction,
    /// Of the modulus, in bytes.
    length: usize,
    /// Bits above the modulus in its first byte.
    unused: u32,
    salt: Vec<u8>,
    /// Between the zeros and the salt.
    separator: u8,
    /// Spoils the zeros at this place.
    not_zero: Option<usize>,
    trailer: u8,
}

impl Pss {
    fn new(hash: HashFunction, length: usize, unused: u32) -> Self {
        let salt = vec![0xa5; digest(hash, &[]).len()];
        Self { hash, length, unused, salt, separator: 1, not_zero: None, trailer: 0xbc }
    }

    /// §9.1.1, and the zero in front where the modulus has one bit in its first byte.
    fn encoded(&self) -> Vec<u8> {
        let bits = self.length * 8 - self.unused as usize - 1;
        let length = bits.div_ceil(8);
        let text = digest(self.hash, &[TEXT]);
        let h = digest(self.hash, &[&[0; 8], &text, &self.salt]);
        let mut block = vec![0; length - self.salt.len() - h.len() - 2];
        if let Some(place) = self.not_zero {
            let places = block.len();
            block[place % places] = 0x01;
        }
        block.push(self.separator);
        block.extend(&self.salt);
        block.iter_mut().zip(mask(self.hash, &h)).for_each(|(byte, mask)| *byte ^= mask);
        block[0] &= 0xff >> (length * 8 - bits);
        let front = vec![0; self.length - length];
        [&front, &block, &h, &[self.trailer][..]].concat()
    }

    fn holds(&self) -> bool {
        self.judge(&self.encoded())
    }

    fn judge(&self, message: &[u8]) -> bool {
        is_pss(message, self.unused, self.hash, TEXT).unwrap_or(false)
    }
}

/// §B.2.1, byte by byte.
fn mask(hash: HashFunction, seed: &[u8]) -> impl Iterator<Item = u8> {
    (0..=u8::MAX).flat_map(move |counter| digest(hash, &[&[seed, &[0, 0, 0, counter]].concat()]))
}

/// §9.2, with another DigestInfo or padding where the test says so.
fn pkcs1_of(start: &[u8], padding: usize, info: &[u8]) -> Vec<u8> {
    [start, &vec![0xff; padding], &[0], info].concat()
}

fn pkcs1(hash: HashFunction, length: usize) -> Vec<u8> {
    let info = [&info(hash)[..], &digest(hash, &[TEXT])].concat();
    pkcs1_of(&[0, 1], length - info.len() - 3, &info)
}

/// All lengths that a modulus may have, the shortest ones more often.
fn encodings() -> impl Strategy<Value = Pss> {
    let length = prop_oneof![256..260_usize, 256..1025_usize];
    (prop::sample::select(&HASHES[..]), length, 0..8_u32)
        .prop_map(|(hash, length, unused)| Pss::new(hash, length, unused))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pss_holds_with_any_salt_of_the_right_length(
        pss in encodings(),
        salt in prop::collection::vec(any::<u8>(), 64),
    ) {
        let salt = salt[..pss.salt.len()].to_vec();
        let holds = Pss { salt, ..pss }.holds();
        prop_assert!(holds);
    }

    #[test]
    fn no_bit_of_pss_may_be_another(pss in encodings(), bit in any::<prop::sample::Index>()) {
        let mut message = pss.encoded();
        let bit = bit.index(message.len() * 8);
        message[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(!pss.judge(&message));
    }

    #[test]
    fn pss_with_padding_other_than_zeros_and_one_does_not_hold(
        pss in encodings(),
        place in any::<usize>(),
        separator in any::<u8>(),
    ) {
        let holds = Pss { separator, ..pss.clone() }.holds();
        prop_assert_eq!(holds, separator == 1);
        let holds = Pss { not_zero: Some(place), ..pss }.holds();
        prop_assert!(!holds);
    }

    #[test]
    fn no_bit_of_pkcs1_may_be_another(
        hash in prop::sample::select(&HASHES[..]),
        length in 256..1025_usize,
        bit in any::<prop::sample::Index>(),
    ) {
        let mut message = pkcs1(hash, length);
        prop_assert!(is_pkcs1(&message, hash, TEXT));
        prop_assert!(!is_pkcs1(&message, hash, b"other"));
        let bit = bit.index(message.len() * 8);
        message[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(!is_pkcs1(&message, hash, TEXT));
    }
}

#[test]
fn pss_with_a_salt_of_another_length_does_not_hold() {
    for hash in HASHES {
        let pss = Pss::new(hash, 256, 0);
        assert!(pss.holds());
        let right = pss.salt.len();
        for length in [0, 1, 20, right - 1, right + 1, 96] {
            assert!(!Pss { salt: vec![0; length], ..pss.clone() }.holds(), "{hash:?} {length}");
        }
    }
}

#[test]
fn pss_of_another_text_hash_or_trailer_does_not_hold() {
    for (hash, other) in HASHES.into_iter().zip(HASHES.into_iter().cycle().skip(1)) {
        let pss = Pss::new(hash, 257, 7);
        let message = pss.encoded();
        assert_eq!(is_pss(&message, 7, hash, TEXT), Some(true));
        assert_eq!(is_pss(&message, 7, hash, b"other"), Some(false));
        assert_ne!(is_pss(&message, 7, other, TEXT), Some(true));
        // Trailers of X9.31 and of ISO 9796-2.
        for trailer in [0xcc, 0xba, 0x00] {
            assert!(!Pss { trailer, ..pss.clone() }.holds());
        }
    }
}

#[test]
fn pss_in_too_few_bytes_does_not_hold() {
    for length in 0..130 {
        for last in [0, 0xbc] {
            let mut message = vec![0; length];
            if let Some(byte) = message.last_mut() {
                *byte = last;
            }
            for unused in 0..8 {
                assert_ne!(is_pss(&message, unused, HashFunction::Sha512, TEXT), Some(true));
            }
        }
    }
}

#[test]
fn pkcs1_is_compared_as_a_whole() {
    let hash = HashFunction::Sha256;
    let info = [&info(hash)[..], &digest(hash, &[TEXT])].concat();
    let is_good = |message: &[u8]| is_pkcs1(message, hash, TEXT);
    assert!(is_good(&pkcs1_of(&[0, 1], 202, &info)));
    for length in 0..62 {
        assert!(!is_good(&vec![0; length]), "{length}");
    }
    // Bleichenbacher's forgery for an exponent of 3: little padding, and room behind.
    let trailing = [&info[..], &[0; 194]].concat();
    assert!(!is_good(&pkcs1_of(&[0, 1], 8, &trailing)));
    // The NULL left out, and a length in two bytes: DER that some parsers take.
    let mut no_null = info.clone();
    no_null.drain(15..17);
    (no_null[1], no_null[3]) = (0x2f, 0x0b);
    assert!(!is_good(&pkcs1_of(&[0, 1], 204, &no_null)));
    let mut long = info.clone();
    long.insert(1, 0x81);
    assert!(!is_good(&pkcs1_of(&[0, 1], 201, &long)));
    // No DigestInfo, the padding for encryption, and that of type 0.
    assert!(!is_good(&pkcs1_of(&[0, 1], 221, &digest(hash, &[TEXT]))));
    assert!(!is_good(&pkcs1_of(&[0, 2], 202, &info)));
    assert!(!is_good(&[&[0; 205], &info[..]].concat()));
    for other in [HashFunction::Sha384, HashFunction::Sha512] {
        assert!(!is_good(&pkcs1(other, 256)));
    }
}

#[test]
fn only_keys_of_jwks_and_signatures_as_long_as_they_are_used() {
    let modulus = |length: usize, first: u8, last: u8| {
        let mut modulus = vec![0x5a; length];
        (modulus[0], modulus[length - 1]) = (first, last);
        modulus
    };
    let is_used = |modulus: &[u8], exponent: &[u8], signature: &[u8]| {
        public_operation(modulus, exponent, signature).is_some()
    };
    for (length, first) in [(256, 0x80), (257, 1), (1024, 0xff)] {
        assert!(is_used(&modulus(length, first, 1), &[3], &vec![0; length]));
    }
    for (length, first, last) in
        [(255, 0xff, 1), (256, 0x7f, 1), (257, 0, 1), (1025, 1, 1), (256, 0x80, 2)]
    {
        assert!(!is_used(&modulus(length, first, last), &[3], &vec![0; length]), "{length}");
    }
    let good = modulus(256, 0x80, 1);
    for exponent in [&[1, 0, 1][..], &[0xff; 4]] {
        assert!(is_used(&good, exponent, &[0; 256]));
    }
    for exponent in [&[][..], &[0], &[1], &[2], &[0, 1], &[0, 3], &[1, 0, 0], &[1, 0, 0, 0, 1]] {
        assert!(!is_used(&good, exponent, &[0; 256]), "{exponent:?}");
    }
    for length in [0, 1, 255, 257, 260, 512] {
        assert!(!is_used(&good, &[3], &vec![0; length]), "{length}");
    }
    assert!(!is_used(&good, &[3], &good) && !is_used(&good, &[3], &[0xff; 256]));
    // By an exponent of 1, anybody signs.
    let signature = pkcs1(HashFunction::Sha256, 256);
    for exponent in [&[1][..], &[0, 1]] {
        assert!(!verify(&good, exponent, Algorithm::Rs256, TEXT, &signature));
    }
}

#[test]
fn algorithms_without_rsa_verify_nothing() {
    let modulus = vec![0xff; 256];
    for algorithm in
        Algorithm::ALL.into_iter().filter(|algorithm| algorithm.key_type() != KeyType::Rsa)
    {
        assert!(!verify(&modulus, &[3], algorithm, TEXT, &[0; 256]), "{algorithm:?}");
    }
}
