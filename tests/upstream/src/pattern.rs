//! Bytes that both ends can work out, so that a download is checked without a copy of it.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

/// The longest download, in bytes: 64 MiB.
pub const MAX_PATTERN_BYTES: u64 = 64 << 20;
/// Bytes a frame: no multiple of the pattern's period, so that a lost or repeated frame shows.
const FRAME_BYTES: u64 = 16 * 1024;

/// The byte at a place of the download: `(at × 31 + 7) mod 251`. 251 is prime, so the pattern
/// lines up with no buffer size.
#[must_use]
pub fn pattern_byte(at: u64) -> u8 {
    let value = (at % 251 * 31 + 7) % 251;
    // Below 251 by construction.
    u8::try_from(value).unwrap_or(u8::MAX)
}

/// A download of a known length, made frame by frame.
#[derive(Debug)]
pub(crate) struct Pattern {
    next: u64,
    end: u64,
    tells_length: bool,
}

impl Pattern {
    /// The first `length` bytes; with `tells_length` the answer gets a `content-length`.
    pub(crate) const fn new(length: u64, tells_length: bool) -> Self {
        Self { next: 0, end: length, tells_length }
    }
}

impl Body for Pattern {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if self.next >= self.end {
            return Poll::Ready(None);
        }
        let end = self.next.saturating_add(FRAME_BYTES).min(self.end);
        let frame: Vec<u8> = (self.next..end).map(pattern_byte).collect();
        self.next = end;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(frame)))))
    }

    fn is_end_stream(&self) -> bool {
        // Without a length, an empty chunked body is still sent as one.
        self.tells_length && self.next >= self.end
    }

    fn size_hint(&self) -> SizeHint {
        if self.tells_length {
            SizeHint::with_exact(self.end.saturating_sub(self.next))
        } else {
            SizeHint::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn a_download_is_the_pattern_from_its_beginning() {
        for length in [0, 1, FRAME_BYTES - 1, FRAME_BYTES, FRAME_BYTES + 1, 70_000] {
            let body = Pattern::new(length, true).collect().await.unwrap().to_bytes();
            assert_eq!(body.len() as u64, length);
            assert!(body.iter().zip(0_u64..).all(|(byte, at)| *byte == pattern_byte(at)));
        }
    }

    #[test]
    fn the_pattern_is_the_documented_one() {
        for at in [0_u64, 1, 7, 250, 251, 252, 1_000_003, u64::MAX] {
            let documented = (u128::from(at) * 31 + 7) % 251;
            assert_eq!(u128::from(pattern_byte(at)), documented, "{at}");
        }
    }
}
