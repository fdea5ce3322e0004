//! Addresses and blocks of them.

use std::net::IpAddr;

/// Addresses that begin with the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Block {
    address: IpAddr,
    bits: u8,
}

impl Block {
    /// Reads `10.1.2.3`, `10.0.0.0/8`, `2001:db8::1` or `2001:db8::/32`. Bits behind the length
    /// may be set; they count for nothing.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address.parse().ok()?, Some(bits)),
            None => (text.parse().ok()?, None),
        };
        let most = length(address);
        let bits = match bits {
            None => most,
            Some(digits) => {
                let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
                let leading_zero = digits.len() > 1 && digits.starts_with('0');
                digits.parse::<u8>().ok().filter(|bits| plain && !leading_zero && *bits <= most)?
            }
        };
        Some(Self { address, bits })
    }

    /// Envoy compares addresses of one version only: `::ffff:10.0.0.1` is in no block of IPv4.
    pub(crate) fn contains(self, address: IpAddr) -> bool {
        let behind = 128_u32.saturating_sub(u32::from(self.bits));
        let mask = u128::MAX.checked_shl(behind).unwrap_or(0);
        length(self.address) == length(address)
            && (aligned(self.address) ^ aligned(address)) & mask == 0
    }

    /// Whether the other block lies in this one.
    pub(crate) fn covers(self, other: Self) -> bool {
        self.bits <= other.bits && self.contains(other.address)
    }

    pub(crate) fn meets(self, other: Self) -> bool {
        self.covers(other) || other.covers(self)
    }
}

/// How many bits an address has.
const fn length(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// The address's bits from the left.
fn aligned(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)) << 96,
        IpAddr::V6(v6) => u128::from(v6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_both_versions() {
        for (block, inside, outside) in [
            ("10.1.2.3", "10.1.2.3", "10.1.2.4"),
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
            ("10.1.2.3/8", "10.255.0.1", "11.0.0.1"),
            ("0.0.0.0/0", "203.0.113.9", "::1"),
            ("::/0", "2001:db8::1", "10.0.0.1"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::1"),
            ("2001:db8::1", "2001:db8::1", "2001:db8::2"),
            ("::ffff:10.0.0.0/104", "::ffff:10.9.9.9", "10.9.9.9"),
            ("128.0.0.0/1", "255.0.0.1", "127.0.0.1"),
        ] {
            let read = Block::read(block).unwrap();
            assert!(read.contains(inside.parse().unwrap()), "{block} {inside}");
            assert!(!read.contains(outside.parse().unwrap()), "{block} {outside}");
        }
    }

    #[test]
    fn what_is_no_block() {
        for text in [
            "",
            "10.0.0",
            "10.0.0.0/33",
            "10.0.0.0/08",
            "10.0.0.0/+8",
            "10.0.0.0/",
            "::1/129",
            "fe80::1%eth0",
            "010.0.0.1",
            "10.0.0.1:80",
            "*",
        ] {
            assert_eq!(Block::read(text), None, "{text}");
        }
    }

    #[test]
    fn which_blocks_meet() {
        let block = |text| Block::read(text).unwrap();
        assert!(block("10.0.0.0/8").covers(block("10.1.0.0/16")));
        assert!(!block("10.1.0.0/16").covers(block("10.0.0.0/8")));
        assert!(block("10.1.0.0/16").meets(block("10.0.0.0/8")));
        assert!(!block("10.1.0.0/16").meets(block("10.2.0.0/16")));
        assert!(!block("0.0.0.0/0").meets(block("::/0")));
    }
}
