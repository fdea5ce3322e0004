//! What comes of a unary call that a filter makes through Envoy, whatever was asked.

use core::fmt;

use prost::Message;

use crate::framing::unframe;

/// What came of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answered<'a> {
    /// The body of an answer.
    Body(&'a [u8]),
    /// A gRPC error in place of one.
    Refused {
        /// When to ask again, where the server says so (`x-postern-next-poll-ms`).
        next_poll_ms: Option<u64>,
    },
    /// Nothing: the call failed, or could not be made, or nobody is there.
    Nothing,
}

/// Why an answer was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallError {
    /// It is not what the protocol says: the server's fault.
    Malformed,
    /// Another worker has been elected meanwhile, and asks again; nobody's fault.
    TakenOver,
    /// No answer was waited for.
    NotAsked,
    /// The server does not want to answer now; it is asked again.
    Refused,
    /// There was none; the server is asked again.
    Unanswered,
}

impl Answered<'_> {
    /// When the server wants to be asked again, where it says so.
    #[must_use]
    pub const fn next_poll_ms(self) -> Option<u64> {
        match self {
            Self::Refused { next_poll_ms } => next_poll_ms,
            Self::Body(_) | Self::Nothing => None,
        }
    }

    /// The message of an answer.
    ///
    /// # Errors
    /// Where there is none, or another one.
    pub fn message<M: Message + Default>(self) -> Result<M, CallError> {
        match self {
            Self::Body(body) => {
                let message = unframe(body).map_err(|_| CallError::Malformed)?;
                M::decode(message).map_err(|_| CallError::Malformed)
            }
            Self::Refused { .. } => Err(CallError::Refused),
            Self::Nothing => Err(CallError::Unanswered),
        }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the answer is not what the protocol says",
            Self::TakenOver => "another worker speaks to the server now",
            Self::NotAsked => "an answer that nobody waited for",
            Self::Refused => "the server refuses to answer",
            Self::Unanswered => "the server cannot be reached, or does not answer",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::v1::KeySet;
    use crate::framing::frame;

    #[test]
    fn a_message_or_why_there_is_none() {
        let sent = KeySet { issuer: "i".to_owned(), ..KeySet::default() };
        let body = frame(&sent).unwrap();
        assert_eq!(Answered::Body(&body).message(), Ok(sent));
        let refused = Answered::Refused { next_poll_ms: Some(7) };
        assert_eq!((refused.next_poll_ms(), Answered::Nothing.next_poll_ms()), (Some(7), None));
        for (answered, error) in [
            (refused, CallError::Refused),
            (Answered::Nothing, CallError::Unanswered),
            (Answered::Body(b"no frame"), CallError::Malformed),
            (Answered::Body(&[0, 0, 0, 0, 1, 0xff]), CallError::Malformed),
        ] {
            assert_eq!(answered.message::<KeySet>(), Err(error));
        }
    }
}
