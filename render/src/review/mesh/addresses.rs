//! Addresses that policies tell apart: one within each block that they name, and one just beside.

use std::net::IpAddr;

use postern_policies::{Attribute, AuthorizationPolicy, Rule};

/// An address that is nobody's: a block of it is for documentation.
pub(super) const ANYWHERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 77));

/// Most addresses that are tried for a workload.
const MOST: usize = 48;

/// An address within a block.
pub(super) fn inside(block: &str) -> Option<IpAddr> {
    block.split('/').next()?.parse().ok()
}

/// The nearest address behind a block: all of its bits but the last that counts.
pub(super) fn outside(block: &str) -> Option<IpAddr> {
    let bits = bits(block)?;
    Some(match inside(block)? {
        IpAddr::V4(address) => {
            let flipped = 1_u32.checked_shl(32_u32.checked_sub(bits)?)?;
            IpAddr::V4((u32::from(address) ^ flipped).into())
        }
        IpAddr::V6(address) => {
            let flipped = 1_u128.checked_shl(128_u32.checked_sub(bits)?)?;
            IpAddr::V6((u128::from(address) ^ flipped).into())
        }
    })
}

/// Whether an address is within a block.
pub(super) fn is_within(block: &str, address: IpAddr) -> bool {
    let (Some(own), Some(bits)) = (inside(block), bits(block)) else { return false };
    let differs = match (own, address) {
        (IpAddr::V4(a), IpAddr::V4(b)) => {
            (u32::from(a) ^ u32::from(b)).checked_shr(32_u32.saturating_sub(bits)).unwrap_or(0) != 0
        }
        (IpAddr::V6(a), IpAddr::V6(b)) => {
            (u128::from(a) ^ u128::from(b)).checked_shr(128_u32.saturating_sub(bits)).unwrap_or(0)
                != 0
        }
        _ => true,
    };
    !differs
}

fn bits(block: &str) -> Option<u32> {
    match block.split_once('/') {
        Some((_, bits)) => bits.parse().ok(),
        None => Some(if inside(block)?.is_ipv4() { 32 } else { 128 }),
    }
}

/// Addresses that callers of a workload are given, and whether these are all that its policies
/// tell apart. The first is nobody's.
pub(super) fn told_apart(policies: &[&AuthorizationPolicy]) -> (Vec<IpAddr>, bool) {
    let rules = policies.iter().flat_map(|policy| &policy.rules);
    let tests = rules.flat_map(Rule::tests);
    let blocks = tests
        .filter(|test| matches!(test.attribute, Attribute::SourceIp | Attribute::RemoteIp))
        .flat_map(|test| test.values.iter().chain(&test.not_values));
    let mut all = vec![ANYWHERE];
    for block in blocks {
        for address in [inside(block.as_str()), outside(block.as_str())].into_iter().flatten() {
            if !all.contains(&address) {
                if all.len() == MOST {
                    return (all, false);
                }
                all.push(address);
            }
        }
    }
    (all, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_has_an_inside_and_a_neighbour() {
        for (block, within, beside) in [
            ("10.0.0.0/8", "10.0.0.0", Some("11.0.0.0")),
            ("10.1.2.3/8", "10.1.2.3", Some("11.1.2.3")),
            ("10.1.2.3", "10.1.2.3", Some("10.1.2.2")),
            ("128.0.0.0/1", "128.0.0.0", Some("0.0.0.0")),
            ("0.0.0.0/0", "0.0.0.0", None),
            ("2001:db8::/32", "2001:db8::", Some("2001:db9::")),
            ("::1", "::1", Some("::")),
        ] {
            let (first, second) = (inside(block).unwrap(), outside(block));
            assert_eq!(first.to_string(), within, "{block}");
            assert_eq!(second.map(|ip| ip.to_string()).as_deref(), beside, "{block}");
            assert!(is_within(block, first), "{block}");
            assert!(second.is_none_or(|second| !is_within(block, second)), "{block}");
        }
        assert!(is_within("0.0.0.0/0", ANYWHERE) && !is_within("::/0", ANYWHERE));
        assert!(is_within("::/0", "2001:db8::1".parse().unwrap()));
    }
}
