//! gRPC's framing of one message, for those who speak it over a plain HTTP/2 POST: a byte that
//! says whether it is compressed (never, here), its length in 32 bits with the highest byte
//! first, and the message.
//!
//! The request's headers are `:method: POST`, `:path` (such as
//! [`EXCHANGE_PATH`](crate::feed::v1::EXCHANGE_PATH)), `content-type: application/grpc` and
//! `te: trailers`. The outcome is the trailer `grpc-status`, or the header of that name when
//! there is no body.

use prost::Message;

/// `content-type` of requests and answers.
pub const CONTENT_TYPE: &str = "application/grpc";

const PREFIX: usize = 5;
const PLAIN: u8 = 0;

/// Why a body was not taken: always the other side's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FramingError {
    /// Shorter than it says, or than a prefix.
    #[error("the message is cut short")]
    Short,
    /// Something follows the message; a unary call has one.
    #[error("something follows the message")]
    Trailing,
    /// Compressed, which nobody asked for.
    #[error("the message is compressed")]
    Compressed,
}

/// A message as the body of a unary call. None when it is longer than the framing can say:
/// 4 GiB.
#[must_use]
pub fn frame(message: &impl Message) -> Option<Vec<u8>> {
    let length = message.encoded_len();
    let prefix = u32::try_from(length).ok()?.to_be_bytes();
    let mut body = Vec::with_capacity(PREFIX.saturating_add(length));
    body.push(PLAIN);
    body.extend_from_slice(&prefix);
    message.encode(&mut body).ok()?;
    Some(body)
}

/// The message's bytes in the body of a unary call.
///
/// # Errors
/// When it is anything but one whole message, uncompressed.
pub fn unframe(body: &[u8]) -> Result<&[u8], FramingError> {
    let (compressed, rest) = body.split_first().ok_or(FramingError::Short)?;
    if *compressed != PLAIN {
        return Err(FramingError::Compressed);
    }
    let (length, message) = rest.split_first_chunk().ok_or(FramingError::Short)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| FramingError::Short)?;
    match message.len().cmp(&length) {
        core::cmp::Ordering::Less => Err(FramingError::Short),
        core::cmp::Ordering::Equal => Ok(message),
        core::cmp::Ordering::Greater => Err(FramingError::Trailing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::v1::{ExchangeRequest, KeySet};

    #[test]
    fn what_is_framed_comes_back() {
        let message = KeySet { issuer: "a".repeat(300), ..KeySet::default() };
        let body = frame(&message).unwrap();
        assert_eq!(body[..5], [0, 0, 0, 1, 47], "1 tag byte, 2 of length, 300 of text");
        assert_eq!(KeySet::decode(unframe(&body).unwrap()).unwrap(), message);
        assert_eq!(frame(&ExchangeRequest::default()).unwrap(), [0; 5]);
        assert_eq!(unframe(&[0; 5]), Ok(&[][..]));
    }

    #[test]
    fn anything_else_is_refused() {
        for (body, error) in [
            (&[][..], FramingError::Short),
            (&[0, 0, 0, 0][..], FramingError::Short),
            (&[0, 0, 0, 0, 2, 1][..], FramingError::Short),
            (&[0, 0, 0, 0, 1, 1, 1][..], FramingError::Trailing),
            (&[1, 0, 0, 0, 1, 1][..], FramingError::Compressed),
            (&[0, 255, 255, 255, 255, 1][..], FramingError::Short),
        ] {
            assert_eq!(unframe(body), Err(error), "{body:?}");
        }
    }
}
