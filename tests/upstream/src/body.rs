//! Reading and writing bodies.

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;

/// What every answer's body is.
pub(crate) type AnswerBody = BoxBody<Bytes, hyper::Error>;

/// FNV-1a with 64 bits: enough to tell a body from a damaged one, and two lines to write
/// again wherever a test needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fnv64(u64);

impl Default for Fnv64 {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv64 {
    /// The hash of all bytes at once.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut hash = Self::default();
        hash.add(bytes);
        hash
    }

    /// Adds bytes that come after those so far.
    pub fn add(&mut self, bytes: &[u8]) {
        self.0 = bytes
            .iter()
            .fold(self.0, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    }

    /// 16 hexadecimal digits.
    #[must_use]
    pub fn to_hex(self) -> String {
        format!("{:016x}", self.0)
    }
}

/// What arrived of a body.
pub(crate) struct Read {
    pub(crate) bytes: u64,
    pub(crate) hash: Fnv64,
    /// The body ended as it should, not by a broken connection.
    pub(crate) complete: bool,
}

/// Reads a body to its end and keeps nothing of it.
pub(crate) async fn read(mut body: Incoming) -> Read {
    let mut read = Read { bytes: 0, hash: Fnv64::default(), complete: true };
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            read.complete = false;
            break;
        };
        if let Ok(data) = frame.into_data() {
            read.bytes = read.bytes.saturating_add(data.len() as u64);
            read.hash.add(&data);
        }
    }
    read
}

/// A body that is there as a whole.
pub(crate) fn whole(text: impl Into<Bytes>) -> AnswerBody {
    Full::new(text.into()).map_err(|never| match never {}).boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_fnv_1a() {
        // Test vectors of the algorithm's authors.
        assert_eq!(Fnv64::of(b"").to_hex(), "cbf29ce484222325");
        assert_eq!(Fnv64::of(b"a").to_hex(), "af63dc4c8601ec8c");
        assert_eq!(Fnv64::of(b"foobar").to_hex(), "85944171f73967e8");
        let mut parts = Fnv64::default();
        parts.add(b"foo");
        parts.add(b"bar");
        assert_eq!(parts, Fnv64::of(b"foobar"));
    }
}
