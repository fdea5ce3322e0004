//! Instances, and what may be registered as one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;

use postern_request::address::embedded;

use crate::check::Check;

/// The most instances of one service.
pub const MAX_INSTANCES: usize = 1_000;
/// How long an instance is there unless it is renewed, where nobody says.
pub const DEFAULT_TTL_MS: u64 = 300_000;
/// How long one may be there unless it is renewed.
pub const TTL_MS: RangeInclusive<u64> = 5_000..=3_600_000;
/// The least for one that stays: servers renew it once a minute.
pub const LEAST_STAYING_MS: u64 = 180_000;
/// Weights that an instance may have.
pub const WEIGHTS: RangeInclusive<u32> = 1..=1_000;
/// How many connections an instance may say that it takes.
pub const CONNECTIONS: RangeInclusive<u32> = 1..=1_000_000;

/// Where AWS keeps them besides the link-local address of all clouds.
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

const MAX_SERVICE_BYTES: usize = 63;
const MAX_ID_BYTES: usize = 128;
const MAX_LABEL_BYTES: usize = 63;

/// A value that cannot be. Whoever registers can change that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {reason}")]
pub struct Invalid {
    /// Which value.
    pub what: &'static str,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// One program that runs a service, at one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// The service, as the registry calls it.
    pub service: String,
    /// Its own name, of which the service has one.
    pub id: String,
    /// Where it is. Names are Envoy's to resolve, by `upstream` of the document.
    pub address: IpAddr,
    /// Its port.
    pub port: u16,
    /// Its share of the service's requests, beside those of the others.
    pub weight: u32,
    /// What stands before the paths of its checks; empty, or `/…` without a slash at its end.
    pub base_path: String,
    /// How it is checked; without, it is taken at its word for as long as it is renewed.
    pub check: Option<Check>,
    /// How many connections it takes. Told to whoever asks; Envoy's bounds are the document's.
    pub max_connections: u32,
    /// What runs there.
    pub version: Option<String>,
    /// What it is for, such as `production`.
    pub environment: Option<String>,
    /// Where it is.
    pub region: Option<String>,
    /// Where within that.
    pub zone: Option<String>,
    /// How long it is there unless it is renewed.
    pub ttl_ms: u64,
    /// Whether it is kept in the durable store, and renewed by the servers until somebody takes it
    /// out.
    pub stays: bool,
}

impl Instance {
    /// An instance of which nobody has said more.
    #[must_use]
    pub const fn new(service: String, id: String, address: IpAddr, port: u16) -> Self {
        Self {
            service,
            id,
            address,
            port,
            weight: 1,
            base_path: String::new(),
            check: None,
            max_connections: 100,
            version: None,
            environment: None,
            region: None,
            zone: None,
            ttl_ms: DEFAULT_TTL_MS,
            stays: false,
        }
    }

    /// Address and port.
    #[must_use]
    pub const fn socket(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.port)
    }

    /// The same as a text, an IPv6 address in brackets.
    #[must_use]
    pub fn place(&self) -> String {
        self.socket().to_string()
    }

    /// Whether it may be registered.
    ///
    /// # Errors
    /// The first value that cannot be.
    pub fn validate(&self) -> Result<(), Invalid> {
        check_service(&self.service)?;
        check_id(&self.id)?;
        check_address(self.address)?;
        if self.port == 0 {
            return Err(Invalid { what: "port", reason: "it must be 1 to 65535" });
        }
        within("weight", self.weight, WEIGHTS, "it must be 1 to 1000")?;
        within("connections", self.max_connections, CONNECTIONS, "it must be 1 to 1000000")?;
        within("ttl", self.ttl_ms, TTL_MS, "it must be 5s to 1h")?;
        if self.stays && self.ttl_ms < LEAST_STAYING_MS {
            let reason = "servers renew what stays once a minute: it must be 3m to 1h";
            return Err(Invalid { what: "ttl", reason });
        }
        if !self.base_path.is_empty()
            && (!is_path(&self.base_path) || self.base_path.ends_with('/'))
        {
            let reason = "it must begin with a slash, and not end with one";
            return Err(Invalid { what: "base path", reason });
        }
        for (what, label) in [
            ("version", &self.version),
            ("environment", &self.environment),
            ("region", &self.region),
            ("zone", &self.zone),
        ] {
            if label.as_ref().is_some_and(|label| !fits_label(label)) {
                let reason = "it must be 1 to 63 letters, digits, `-`, `_` and `.`, the first a \
                              letter or digit";
                return Err(Invalid { what, reason });
            }
        }
        if self.zone.is_some() && self.region.is_none() {
            return Err(Invalid { what: "zone", reason: "a zone is one of a region: say which" });
        }
        self.check.as_ref().map_or(Ok(()), Check::validate)
    }

    /// The path that is asked for by its checks; none where they ask for none.
    #[must_use]
    pub fn health_path(&self) -> Option<String> {
        let path = self.check.as_ref()?.probe.path()?;
        Some(format!("{}{path}", self.base_path))
    }
}

/// Whether a service may be called so.
///
/// # Errors
/// Why not.
pub fn check_service(name: &str) -> Result<(), Invalid> {
    if is_name(name, MAX_SERVICE_BYTES) {
        return Ok(());
    }
    let reason =
        "it must be 1 to 63 letters, digits, `-`, `_` and `.`, the first a letter or digit";
    Err(Invalid { what: "service", reason })
}

/// Whether an instance may be called so.
///
/// # Errors
/// Why not.
pub fn check_id(id: &str) -> Result<(), Invalid> {
    if is_name(id, MAX_ID_BYTES) {
        return Ok(());
    }
    let reason =
        "it must be 1 to 128 letters, digits, `-`, `_` and `.`, the first a letter or digit";
    Err(Invalid { what: "instance", reason })
}

/// Whether a version, an environment, a region or a zone may be called so.
#[must_use]
pub fn fits_label(text: &str) -> bool {
    is_name(text, MAX_LABEL_BYTES)
}

/// Names become parts of the store's keys, of paths and of logs.
fn is_name(text: &str, longest: usize) -> bool {
    (1..=longest).contains(&text.len())
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.bytes().all(is_name_byte)
}

const fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

/// Whether an address may be one that requests go to: one of one machine. What is link-local is
/// where clouds keep the secrets of a machine, for whoever asks from it; and so is [`METADATA_V6`].
///
/// # Errors
/// Why not.
pub fn check_address(address: IpAddr) -> Result<(), Invalid> {
    let is_wrong = match address {
        IpAddr::V4(v4) => is_wrong_v4(v4),
        IpAddr::V6(v6) => {
            v6.is_unspecified()
                || v6.is_multicast()
                || v6.is_unicast_link_local()
                || v6 == METADATA_V6
                || embedded(v6).is_some_and(is_wrong_v4)
        }
    };
    if is_wrong {
        let reason = "it must be the address of one machine, not a link-local one, and not where \
                      clouds keep a machine's secrets";
        return Err(Invalid { what: "address", reason });
    }
    Ok(())
}

const fn is_wrong_v4(address: Ipv4Addr) -> bool {
    address.is_unspecified()
        || address.is_multicast()
        || address.is_broadcast()
        || address.is_link_local()
}

/// Whether it is an absolute path that needs no quoting anywhere.
pub(crate) fn is_path(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~:@!$&'()*+,;=%?".contains(&byte);
    text.len() <= 255 && text.starts_with('/') && text.bytes().all(fits)
}

pub(crate) fn within<T: PartialOrd + Copy>(
    what: &'static str,
    value: T,
    bounds: RangeInclusive<T>,
    reason: &'static str,
) -> Result<(), Invalid> {
    if bounds.contains(&value) { Ok(()) } else { Err(Invalid { what, reason }) }
}
