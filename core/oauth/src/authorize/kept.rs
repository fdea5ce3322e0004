//! A request that is kept here under a `request_uri`: one that its client has pushed (RFC 9126),
//! or one that a browser has sent as a form. What sends a form brings no cookie of ours from
//! another site, so it is kept, and the browser comes again for it.

use postern_request::UnixMillis;

use crate::kept::{Reader, Writer};

/// How long a pushed request waits for its browser, in seconds (RFC 9126 §2.2).
pub const PUSHED_SECS: u64 = 60;

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
    /// Whether a browser has come with it in time: logging in may take longer than that.
    pub is_opened: bool,
}

impl KeptRequest {
    /// Whether it still counts: one that was pushed has to be opened soon.
    #[must_use]
    pub const fn is_current(&self, now: UnixMillis) -> bool {
        !self.is_pushed || self.is_opened || now.millis_since(self.kept_at) < PUSHED_SECS * 1000
    }

    /// The same once its browser is there; none where it need not be written down.
    #[must_use]
    pub fn opened(&self) -> Option<Self> {
        (self.is_pushed && !self.is_opened).then(|| Self { is_opened: true, ..self.clone() })
    }

    /// As it is kept.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        Writer::default()
            .text("client_id", &self.client_id)
            .text("parameters", &self.parameters)
            .flag("is_pushed", self.is_pushed)
            .maybe_hash("dpop_jkt", self.dpop_jkt)
            .moment("kept_at", self.kept_at)
            .flag("is_opened", self.is_opened)
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
            is_opened: reader.flag("is_opened")?,
        };
        reader.finish().map(|()| request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::NOW;
    use proptest::prelude::*;

    #[test]
    fn a_pushed_request_waits_a_minute_for_its_browser_and_longer_for_its_user() {
        let pushed = KeptRequest {
            client_id: "web".to_owned(),
            parameters: String::new(),
            is_pushed: true,
            dpop_jkt: None,
            kept_at: NOW,
            is_opened: false,
        };
        let form = KeptRequest { is_pushed: false, ..pushed.clone() };
        let opened = pushed.opened().unwrap();
        let at = |millis| UnixMillis(NOW.0 + millis);
        for (request, after_ms, expected) in [
            (&pushed, 0, true),
            (&pushed, 59_999, true),
            (&pushed, 60_000, false),
            (&opened, 60_000, true),
            (&form, 60_000, true),
        ] {
            assert_eq!(request.is_current(at(after_ms)), expected, "{request:?} {after_ms}");
        }
        assert_eq!((opened.opened(), form.opened()), (None, None));
    }

    proptest! {
        /// What is kept is what was sent; everything else is no request.
        #[test]
        fn requests_are_read_as_they_are_written(
            client_id in "\\PC{0,20}",
            parameters in "\\PC{0,60}",
            is in any::<(bool, bool)>(),
            dpop_jkt in any::<Option<[u8; 32]>>(),
            kept_at in 0..u64::from(u32::MAX),
            junk in prop::collection::vec(any::<u8>(), 0..100),
        ) {
            let (is_pushed, is_opened) = is;
            let kept_at = UnixMillis(kept_at);
            let request =
                KeptRequest { client_id, parameters, is_pushed, dpop_jkt, kept_at, is_opened };
            prop_assert_eq!(KeptRequest::decode(&request.encode()), Some(request));
            prop_assert_eq!(KeptRequest::decode(&junk), None);
        }
    }
}
