//! Free ports.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Below the range from which the kernel takes ports for outgoing connections (32768 and up):
/// otherwise one of those could take a port between this check and the program's start.
const FIRST: u32 = 20_000;
const COUNT: u32 = 12_000;
/// How far apart two processes begin, so that test programs can run side by side.
const APART: u32 = 240;

/// A port on 127.0.0.1 that nobody listens on, and that this process has not handed out yet.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn free() -> u16 {
    static NEXT: OnceLock<AtomicU32> = OnceLock::new();
    let next = NEXT.get_or_init(|| AtomicU32::new(std::process::id() % (COUNT / APART) * APART));
    for _ in 0..COUNT {
        let offset = next.fetch_add(1, Ordering::Relaxed) % COUNT;
        let port = u16::try_from(FIRST + offset).expect("the range lies within 16 bits");
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no port between {FIRST} and {} is free", FIRST + COUNT);
}

/// A port of this machine as an address.
#[must_use]
pub fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}
