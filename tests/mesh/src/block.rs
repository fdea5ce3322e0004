//! Addresses of one mesh: a block of this machine's own, which no other mesh uses.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// `127.64.0.0` to `127.127.255.255`, in blocks of 256.
const FIRST: u32 = 64;
const COUNT: u32 = 64 * 256;
/// Whoever listens here has the block.
const MARK: (u8, u16) = (254, 15999);

/// 253 addresses that are this mesh's alone while the value lives, so that every port is free on
/// every one of them.
#[derive(Debug)]
pub struct Block {
    second: u8,
    third: u8,
    _mark: TcpListener,
}

impl Block {
    /// Takes one that nobody has.
    ///
    /// # Panics
    /// When all are taken.
    #[must_use]
    pub fn take() -> Self {
        let began = std::process::id();
        for next in 0..COUNT {
            let (second, third) = of_number(began.wrapping_add(next) % COUNT);
            let (last, port) = MARK;
            if let Ok(mark) = TcpListener::bind((Ipv4Addr::new(127, second, third, last), port)) {
                return Self { second, third, _mark: mark };
            }
        }
        panic!("no block of loopback addresses is free: 127.64.0.0 to 127.127.255.255");
    }

    /// One of its addresses.
    #[must_use]
    pub const fn address(&self, last: u8) -> Ipv4Addr {
        Ipv4Addr::new(127, self.second, self.third, last)
    }

    /// A port on one of its addresses.
    #[must_use]
    pub fn socket(&self, last: u8, port: u16) -> SocketAddr {
        SocketAddr::from((self.address(last), port))
    }
}

fn of_number(number: u32) -> (u8, u8) {
    let part = |value: u32| u8::try_from(value).expect("a block's number lies below their count");
    (part(FIRST + number / 256), part(number % 256))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_stay_in_their_range() {
        assert_eq!(of_number(0), (64, 0));
        assert_eq!(of_number(257), (65, 1));
        assert_eq!(of_number(COUNT - 1), (127, 255));
    }

    #[test]
    fn no_two_meshes_share_addresses() {
        let (one, other) = (Block::take(), Block::take());
        assert_ne!(one.address(1), other.address(1));
        assert!(one.address(1).is_loopback());
    }
}
