//! Somebody else's rate limit service, to measure ours beside.
//!
//! It runs already, wherever and however whoever runs it likes, by the rules of
//! [`crate::rate_limits`]. Nobody here knows which processes it consists of: whoever wants their
//! CPU time in the report says so.

use std::net::{SocketAddr, ToSocketAddrs as _};

use anyhow::{Context as _, Result};

/// `HOST:PORT` of its gRPC port.
pub const ADDRESS: &str = "POSTERN_PEER_RLS";
/// Its process id; several, such as that of its Redis, with commas in between.
pub const PIDS: &str = "POSTERN_PEER_RLS_PID";

/// Where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its gRPC port.
    pub server: SocketAddr,
    /// Its processes, as far as they are known.
    pub pids: Vec<u32>,
}

impl Peer {
    /// The one that is named, if there is one.
    pub fn find() -> Result<Option<Self>> {
        let Some(address) = variable(ADDRESS) else { return Ok(None) };
        let pids = variable(PIDS).unwrap_or_default();
        Self::read(&address, &pids).map(Some)
    }

    fn read(address: &str, pids: &str) -> Result<Self> {
        let mut found =
            address.to_socket_addrs().with_context(|| format!("{ADDRESS} is {address}"))?;
        let server = found.next().with_context(|| format!("{ADDRESS}: {address} is nowhere"))?;
        let pids = pids
            .split(',')
            .map(str::trim)
            .filter(|pid| !pid.is_empty())
            .map(|pid| {
                pid.parse::<u32>().with_context(|| format!("{PIDS}: {pid} is no process id"))
            })
            .collect::<Result<_>>()?;
        Ok(Self { server, pids })
    }
}

/// Whether one is named.
pub fn is_named() -> bool {
    variable(ADDRESS).is_some()
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_and_perhaps_processes() {
        let server = SocketAddr::from(([127, 0, 0, 1], 8081));
        for (pids, expected) in [("", vec![]), ("7", vec![7]), ("7, 12,", vec![7, 12])] {
            let peer = Peer::read("127.0.0.1:8081", pids).unwrap();
            assert_eq!(peer, Peer { server, pids: expected });
        }
        assert!(Peer::read("127.0.0.1", "").is_err(), "no port");
        assert!(Peer::read("127.0.0.1:8081", "seven").is_err());
    }
}
