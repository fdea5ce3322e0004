//! What the host of a URL says about where it leads, as it is written: names are not resolved,
//! and what one leads to may be another thing by the time it is asked.

use std::net::{IpAddr, Ipv4Addr};

use postern_request::address::embedded;
use reqwest::Url;

/// Whether it is this machine.
pub fn is_loopback(url: &Url) -> bool {
    let Some(host) = host(url) else { return false };
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// Whether it is this machine, or an address that means something in a network of one's own only:
/// loopback, private, shared (RFC 6598), link-local, unique-local, and the unspecified, which
/// many systems take for loopback.
pub fn is_internal(url: &Url) -> bool {
    let Some(host) = host(url) else { return false };
    // RFC 6761 §6.3: whatever is under `localhost` is loopback.
    let name = host.trim_end_matches('.');
    if name == "localhost" || name.ends_with(".localhost") {
        return true;
    }
    host.parse().is_ok_and(is_internal_address)
}

/// The same of an address that a name has led to.
pub fn is_internal_address(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_internal_v4(address),
        IpAddr::V6(address) => {
            address.is_loopback()
                || address.is_unspecified()
                || address.is_unique_local()
                || address.is_unicast_link_local()
                || embedded(address).is_some_and(is_internal_v4)
        }
    }
}

fn is_internal_v4(address: Ipv4Addr) -> bool {
    // RFC 1122 §3.2.1.3 for 0.0.0.0/8, RFC 6598 for 100.64.0.0/10.
    matches!(address.octets(), [0, ..] | [100, 64..=127, ..])
        || address.is_loopback()
        || address.is_private()
        || address.is_link_local()
}

/// Without brackets. `Url` has written every spelling of an address in one way.
fn host(url: &Url) -> Option<&str> {
    Some(url.host_str()?.trim_start_matches('[').trim_end_matches(']'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_ones_own_network_is_known_in_every_spelling() {
        for (host, expected) in [
            ("127.0.0.1", true),
            ("127.9.9.9", true),
            ("0x7f.1", true),
            ("2130706433", true),
            ("127.0.0.1.", true),
            ("0.0.0.0", true),
            ("0.1.2.3", true),
            ("10.0.0.1", true),
            ("172.16.0.1", true),
            ("172.32.0.1", false),
            ("192.168.1.1", true),
            ("169.254.169.254", true),
            ("100.64.0.1", true),
            ("100.127.255.255", true),
            ("100.128.0.1", false),
            ("100.63.255.255", false),
            ("8.8.8.8", false),
            ("[::1]", true),
            ("[::]", true),
            ("[fe80::1]", true),
            ("[fc00::1]", true),
            ("[fd12:3456::1]", true),
            ("[::ffff:10.0.0.1]", true),
            ("[::ffff:8.8.8.8]", false),
            ("[::10.0.0.1]", true),
            ("[64:ff9b::169.254.169.254]", true),
            ("[64:ff9b::8.8.8.8]", false),
            ("[2001:db8::1]", false),
            ("localhost", true),
            ("LOCALHOST", true),
            ("localhost.", true),
            ("a.localhost", true),
            ("localhost.test", false),
            // Names are left.
            ("internal.test", false),
        ] {
            let url = Url::parse(&format!("https://{host}:8443/j")).unwrap();
            assert_eq!(is_internal(&url), expected, "{host}");
        }
    }
}
