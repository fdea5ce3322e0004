//! A request that is kept here under a `request_uri`: one that its client has pushed (RFC 9126),
//! or one that a browser has sent as a form. What sends a form brings no cookie of ours from
//! another site, so it is kept, and the browser comes again for it.

use postern_request::UnixMillis;

use crate::kept::{Reader, Writer};

/// A request that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptRequest {
    /// Whose it is.
    pub client_id: String,
    /// [`Received::to_query`](crate::Received::to_query).
    pub parameters: String,
    /// Whether the client itself has pushed it, and proven who it is. A browser's form is as good
    /// as a query, and no better.
    pub is_pushed: bool,
    /// The key that came with it (RFC 9449 §10.1).
    pub dpop_jkt: Option<[u8; 32]>,
    /// Since when it is kept: who has authenticated later has done so for this request.
    pub kept_at: UnixMillis,
}

impl KeptRequest {
    /// As it is kept.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        Writer::default()
            .text("client_id", &self.client_id)
            .text("parameters", &self.parameters)
            .flag("is_pushed", self.is_pushed)
            .maybe_hash("dpop_jkt", self.dpop_jkt)
            .moment("kept_at", self.kept_at)
            .finish()
    }

    /// Reads what [`KeptRequest::encode`] wrote; none for everything else.
    #[must_use]
    pub fn decode(kept: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(kept)?;
        let request = Self {
            client_id: reader.text("client_id")?,
            parameters: reader.text("parameters")?,
            is_pushed: reader.flag("is_pushed")?,
            dpop_jkt: reader.maybe_hash("dpop_jkt")?,
            kept_at: reader.moment("kept_at")?,
        };
        reader.finish().map(|()| request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// What is kept is what was sent; everything else is no request.
        #[test]
        fn requests_are_read_as_they_are_written(
            client_id in "\\PC{0,20}",
            parameters in "\\PC{0,60}",
            is_pushed in any::<bool>(),
            dpop_jkt in any::<Option<[u8; 32]>>(),
            kept_at in 0..u64::from(u32::MAX),
            junk in prop::collection::vec(any::<u8>(), 0..100),
        ) {
            let kept_at = UnixMillis(kept_at);
            let request = KeptRequest { client_id, parameters, is_pushed, dpop_jkt, kept_at };
            prop_assert_eq!(KeptRequest::decode(&request.encode()), Some(request));
            prop_assert_eq!(KeptRequest::decode(&junk), None);
        }
    }
}
