//! The little DER (X.690) that taking key pairs apart needs.

const INTEGER: u8 = 0x02;
#[cfg(test)]
const OCTET_STRING: u8 = 0x04;
const SEQUENCE: u8 = 0x30;

/// The `RSAPrivateKey` (RFC 8017, A.1.2) within a `PrivateKeyInfo` (RFC 5208 §5).
#[cfg(test)]
pub(crate) fn pkcs1_of_pkcs8(pkcs8: &[u8]) -> Option<&[u8]> {
    let mut info = Reader(Reader(pkcs8).element(SEQUENCE)?);
    info.element(INTEGER)?;
    info.element(SEQUENCE)?;
    info.element(OCTET_STRING)
}

/// Modulus and exponent of an `RSAPublicKey` (RFC 8017, A.1.1), unsigned and without leading
/// zeros.
pub(crate) fn rsa_public_numbers(key: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut key = Reader(Reader(key).element(SEQUENCE)?);
    Some((unsigned(key.element(INTEGER)?)?, unsigned(key.element(INTEGER)?)?))
}

fn unsigned(number: &[u8]) -> Option<&[u8]> {
    let first = number.iter().position(|byte| *byte != 0)?;
    number.get(first..)
}

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// The content of the next element, which must have this tag.
    fn element(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (found, rest) = self.0.split_first()?;
        let (first, rest) = rest.split_first()?;
        let (length, rest) = if *first < 0x80 {
            (usize::from(*first), rest)
        } else {
            let digits = usize::from(*first & 0x7f);
            if !(1..=4).contains(&digits) {
                return None;
            }
            let (digits, rest) = rest.split_at_checked(digits)?;
            (digits.iter().fold(0, |length, digit| (length << 8) | usize::from(*digit)), rest)
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        (*found == tag).then_some(content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_without_their_sign_byte() {
        let key = [0x30, 9, 2, 3, 0, 0x80, 1, 2, 2, 1, 1];
        assert_eq!(rsa_public_numbers(&key), Some((&[0x80, 1][..], &[1, 1][..])));
    }

    #[test]
    fn long_lengths_are_read() {
        let mut number = vec![2, 0x81, 200];
        number.extend([7; 200]);
        let mut key = vec![0x30, 0x81, 206];
        key.extend(&number);
        key.extend([2, 1, 3]);
        let (modulus, exponent) = rsa_public_numbers(&key).unwrap();
        assert_eq!((modulus.len(), exponent), (200, &[3][..]));
    }

    #[test]
    fn broken_keys_are_none() {
        let whole = [0x30, 9, 2, 3, 0, 0x80, 1, 2, 2, 1, 1];
        for length in 0..whole.len() {
            assert_eq!(rsa_public_numbers(&whole[..length]), None, "{length}");
        }
        for bad in [&[0x30, 0x85, 0, 0, 0, 0, 0][..], &[0x30, 0x80][..], &[0x31, 0][..]] {
            assert_eq!(rsa_public_numbers(bad), None);
            assert_eq!(pkcs1_of_pkcs8(bad), None);
        }
    }
}
