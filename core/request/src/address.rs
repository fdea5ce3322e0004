//! Addresses: the client's above all.
//!
//! Envoy works it out of the connection and the configured number of trusted hops
//! (`xff_num_trusted_hops`). Where it hands over the connection's address only,
//! [`behind_proxies`] reads `x-forwarded-for` the way Envoy does, so that all parts count the
//! same client.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::headers::HeaderView;

/// Reads an address as Envoy writes it in `source.address`: `192.0.2.1:443`, `[2001:db8::1]:443`
/// or without the port.
///
/// An IPv4 address mapped into IPv6 becomes the IPv4 one, so that a client has one key
/// however the socket was opened.
#[must_use]
pub fn parse(text: &str) -> Option<IpAddr> {
    let address = match text.parse::<SocketAddr>() {
        Ok(socket) => socket.ip(),
        Err(_) => text.parse::<IpAddr>().ok()?,
    };
    Some(address.to_canonical())
}

/// The part of an address that a limit counts by: the whole of IPv4, the first `ipv6_prefix`
/// bits of IPv6 (one household usually has a /64 or more to rotate through).
#[must_use]
pub fn limit_key(address: IpAddr, ipv6_prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => IpAddr::V4(Ipv4Addr::from(u32::from(v4))),
        IpAddr::V6(v6) => {
            let keep = u32::from(ipv6_prefix.min(128));
            let mask = u128::MAX.checked_shl(128 - keep).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from(u128::from(v6) & mask))
        }
    }
}

/// The IPv4 address that this one stands for: mapped or compatible (RFC 4291 §2.5.5), or by the
/// well-known prefix of NAT64 (RFC 6052 §2.1).
#[must_use]
pub fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.segments() {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            Some(Ipv4Addr::from_bits((u32::from(high) << 16) | u32::from(low)))
        }
        _ => None,
    }
}

/// The client's address behind trusted proxies, as Envoy works it out
/// (`xff_num_trusted_hops`): the entry `hops` places before the last one of `x-forwarded-for`.
/// None without trusted proxies, when the header has fewer entries than that, or when that
/// entry is no bare address (`192.0.2.1:443` is none): Envoy takes the connection's then.
#[must_use]
pub fn behind_proxies(headers: &dyn HeaderView, hops: usize) -> Option<IpAddr> {
    if hops == 0 {
        return None;
    }
    let mut entries: Vec<Option<IpAddr>> = Vec::new();
    headers.for_each(&mut |name, value| {
        if name == "x-forwarded-for" {
            let text = core::str::from_utf8(value).unwrap_or_default();
            let address = |entry: &str| entry.trim().parse::<IpAddr>().ok();
            entries.extend(text.split(',').map(|entry| address(entry).map(|a| a.to_canonical())));
        }
    });
    entries.into_iter().rev().nth(hops).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envoy_spellings_are_read() {
        for (text, expected) in [
            ("127.0.0.1:5000", Some("127.0.0.1")),
            ("127.0.0.1", Some("127.0.0.1")),
            ("[2001:db8::1]:443", Some("2001:db8::1")),
            ("::ffff:192.0.2.7", Some("192.0.2.7")),
            ("unix:/run/socket", None),
            ("", None),
        ] {
            assert_eq!(parse(text), expected.map(|e| e.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn the_client_stands_before_the_trusted_proxies() {
        let forwarded = |lines: &[&str]| -> Vec<(String, Vec<u8>)> {
            let header = |line: &&str| ("x-forwarded-for".to_owned(), line.as_bytes().to_vec());
            lines.iter().map(header).collect()
        };
        let list = forwarded(&["6.6.6.6, 192.0.2.1", "10.0.0.1,10.0.0.2"]);
        for (hops, expected) in
            [(0, None), (1, Some("10.0.0.1")), (2, Some("192.0.2.1")), (4, None)]
        {
            let expected = expected.map(|text| text.parse().unwrap());
            assert_eq!(behind_proxies(&list, hops), expected, "{hops}");
        }
        for odd in ["nonsense", "192.0.2.1:443", "[2001:db8::1]"] {
            assert_eq!(behind_proxies(&forwarded(&[odd, "10.0.0.1"]), 1), None, "{odd}");
        }
    }

    #[test]
    fn an_ipv6_address_may_stand_for_an_ipv4_one() {
        for (text, expected) in [
            ("::ffff:192.0.2.7", Some("192.0.2.7")),
            ("::192.0.2.7", Some("192.0.2.7")),
            ("64:ff9b::192.0.2.7", Some("192.0.2.7")),
            ("64:ff9b:1::192.0.2.7", None),
            ("2001:db8::1", None),
        ] {
            let expected = expected.map(|text| text.parse().unwrap());
            assert_eq!(embedded(text.parse().unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn ipv6_is_counted_by_prefix() {
        let a = parse("2001:db8:1:2:3::4").unwrap();
        let b = parse("2001:db8:1:2:ffff::9").unwrap();
        assert_eq!(limit_key(a, 64), limit_key(b, 64));
        assert_ne!(limit_key(a, 128), limit_key(b, 128));
        assert_eq!(limit_key(a, 0), "::".parse::<IpAddr>().unwrap());
    }
}
