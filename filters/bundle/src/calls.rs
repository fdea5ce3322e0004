//! Calls of the VM that speaks to the server: gRPC, with one message each way.

use postern_filter_host::{HeaderList, HttpCall};
use postern_proto::Answered;
use postern_proto::feed::v1::NEXT_POLL_METADATA;

use crate::configuration::FeedSource;

/// As `grpc-status` has it.
const UNAVAILABLE: &[u8] = b"14";

/// Calls of one kind, of which one is on its way at a time.
#[derive(Debug)]
pub(crate) struct Line {
    purpose: usize,
    path: &'static str,
    source: FeedSource,
    /// The call that is on its way.
    call: Option<u32>,
}

impl Line {
    pub(crate) const fn new(purpose: usize, path: &'static str, source: FeedSource) -> Self {
        Self { purpose, path, source, call: None }
    }

    /// A call to make.
    pub(crate) fn call(&self, message: Vec<u8>, timeout_ms: u64) -> HttpCall {
        HttpCall {
            purpose: self.purpose,
            cluster: self.source.cluster.clone(),
            authority: self.source.authority.clone(),
            path: self.path.to_owned(),
            timeout_ms,
            message: Some(message),
        }
    }

    /// It was made, or could not be; false then.
    pub(crate) const fn sent(&mut self, token: Option<u32>) -> bool {
        self.call = token;
        token.is_some()
    }

    /// Whether an answer is this one's; once.
    pub(crate) fn takes(&mut self, token: u32) -> bool {
        self.call.take_if(|call| *call == token).is_some()
    }
}

/// gRPC's errors have no body, and their metadata among the headers.
pub(crate) fn read<'a>(
    (status, headers, body): (Option<u16>, &HeaderList, &'a [u8]),
) -> Answered<'a> {
    match status {
        None => Answered::Nothing,
        Some(200) if !body.is_empty() => Answered::Body(body),
        Some(_) => {
            let pause = headers.iter().find(|(name, _)| name == NEXT_POLL_METADATA);
            let pause = pause.and_then(|(_, value)| core::str::from_utf8(value).ok()?.parse().ok());
            let away = |(name, value): &(String, Vec<u8>)| {
                name == "grpc-status" && value.as_slice() == UNAVAILABLE
            };
            // Envoy's own words where nothing listens; a server that is busy says for how long.
            if pause.is_none() && (status != Some(200) || headers.iter().any(away)) {
                return Answered::Nothing;
            }
            Answered::Refused { next_poll_ms: pause }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_body_or_a_refusal_or_nothing() {
        let headers = |value: &[u8]| vec![(NEXT_POLL_METADATA.to_owned(), value.to_vec())];
        let none = HeaderList::new();
        let grpc = |status: &[u8]| vec![("grpc-status".to_owned(), status.to_vec())];
        let busy = [grpc(b"14"), headers(b"9")].concat();
        let refused = |next_poll_ms| Answered::Refused { next_poll_ms };
        for (status, headers, body, expected) in [
            (None, &none, &b""[..], Answered::Nothing),
            (Some(200), &none, b"x", Answered::Body(b"x")),
            (Some(200), &none, b"", refused(None)),
            (Some(200), &headers(b"1500"), b"", refused(Some(1500))),
            (Some(200), &headers(b"-1"), b"", refused(None)),
            (Some(200), &headers(b"\xff"), b"", refused(None)),
            (Some(200), &grpc(b"14"), b"", Answered::Nothing),
            (Some(200), &busy, b"", refused(Some(9))),
            (Some(200), &grpc(b"7"), b"", refused(None)),
            (Some(200), &grpc(b"16"), b"", refused(None)),
            (Some(503), &none, b"no healthy upstream", Answered::Nothing),
            (Some(503), &headers(b"7"), b"no healthy upstream", refused(Some(7))),
        ] {
            assert_eq!(read((status, headers, body)), expected, "{status:?} {headers:?}");
        }
    }

    #[test]
    fn an_answer_is_taken_once_and_by_whom_it_is_for() {
        let source = FeedSource {
            cluster: "c".to_owned(),
            authority: "a".to_owned(),
            workload: "w".to_owned(),
            wait_ms: 0,
            poll_ms: 0,
        };
        let mut line = Line::new(3, "/p", source);
        assert!(!line.takes(7) && !line.sent(None) && line.sent(Some(7)));
        assert_eq!([line.takes(8), line.takes(7), line.takes(7)], [false, true, false]);
        let call = line.call(vec![1], 9);
        assert_eq!((call.purpose, call.path.as_str(), call.timeout_ms), (3, "/p", 9));
    }
}
