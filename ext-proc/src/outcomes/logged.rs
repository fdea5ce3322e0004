//! Outcomes out of an access log.

use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3::RequestMethod;
use envoy_types::pb::envoy::data::accesslog::v3::{
    AccessLogCommon, HttpAccessLogEntry, HttpRequestProperties, HttpResponseProperties,
};
use envoy_types::pb::google::protobuf::Duration;
use postern_circuit::{Ended, MadeBy};
use postern_document::{Current, Document, Route};
use postern_request::{UnixMillis, path};
use postern_store::volatile::ReporterId;
use tonic::Request;

use super::{Outcomes, WhoReports};

/// The name of a log that is meant for circuits. Others tell of requests whose outcomes `ext_proc`
/// sees, or the bundle: each call counts once.
pub const LOG_NAME: &str = "postern-circuits";

/// Counts outcomes of logs that are meant for it.
#[derive(Clone)]
pub struct LoggedOutcomes {
    /// Which route a request was on.
    pub document: Current<Document>,
    /// Reports them.
    pub outcomes: Arc<Outcomes>,
    /// Whose they are.
    pub who: WhoReports,
}

impl LoggedOutcomes {
    /// Who speaks.
    pub(crate) fn reporter(&self, request: &Request<()>) -> ReporterId {
        (self.who)(request)
    }

    /// Takes entries of requests that have ended.
    pub(crate) fn count<'e>(
        &self,
        reporter: ReporterId,
        entries: impl IntoIterator<Item = &'e HttpAccessLogEntry>,
        now: UnixMillis,
    ) {
        let document = self.document.load();
        for entry in entries {
            if let Some((route, ended)) = read(&document, entry) {
                self.outcomes.ended(reporter, route, &ended, now);
            }
        }
    }
}

/// Which route it was, and how it has ended; none where that does not stand there.
fn read<'e>(
    document: &'e Document,
    entry: &'e HttpAccessLogEntry,
) -> Option<(&'e Arc<Route>, Ended<'e>)> {
    let common = entry.common_properties.as_ref()?;
    let route = route_of(document, entry.request.as_ref()?)?;
    Some((route, ended(common, entry.response.as_ref()?)))
}

fn route_of<'d>(document: &'d Document, request: &HttpRequestProperties) -> Option<&'d Arc<Route>> {
    let method = RequestMethod::try_from(request.request_method).ok()?.as_str_name();
    let original = Some(request.original_path.as_str()).filter(|path| !path.is_empty());
    let path = path::without_query(original.unwrap_or(&request.path));
    document.find_route(&request.authority, method, path).ok().flatten()
}

fn ended<'e>(common: &AccessLogCommon, response: &'e HttpResponseProperties) -> Ended<'e> {
    let took_ms = took_ms(common);
    let status = response.response_code.as_ref().map_or(0, |code| code.value);
    let flags = common.response_flags.as_ref();
    if flags.is_some_and(|flags| flags.downstream_connection_termination) {
        return Ended::Reset { by_caller: true, took_ms };
    }
    match u16::try_from(status) {
        Ok(status) if status > 0 => Ended::Answered {
            status,
            grpc: grpc_status(response),
            made_by: made_by(&response.response_code_details),
            took_ms,
        },
        _ => Ended::Reset { by_caller: false, took_ms },
    }
}

/// From the end of the request to the answer: who sends slowly makes no service slow. Of an answer
/// that never came, all of it.
fn took_ms(common: &AccessLogCommon) -> u64 {
    let ended = |first| {
        let last = common.time_to_last_rx_byte.as_ref();
        last.map_or(0, |last| millis(first).saturating_sub(millis(last)))
    };
    let whole = || common.duration.as_ref().map_or(0, millis);
    common.time_to_first_upstream_rx_byte.as_ref().map_or_else(whole, ended)
}

/// An Envoy that does not say who made an answer speaks of the service's own.
fn made_by(details: &str) -> MadeBy<'_> {
    if details.is_empty() { MadeBy::Upstream } else { MadeBy::Details(details) }
}

/// In its headers or behind it, where the log was told to hold that.
fn grpc_status(response: &HttpResponseProperties) -> Option<u32> {
    let all = [&response.response_headers, &response.response_trailers];
    all.into_iter().find_map(|headers| headers.get("grpc-status"))?.parse().ok()
}

fn millis(time: &Duration) -> u64 {
    let seconds = u64::try_from(time.seconds).unwrap_or(0);
    let nanos = u64::try_from(time.nanos).unwrap_or(0);
    seconds.saturating_mul(1_000).saturating_add(nanos / 1_000_000)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use envoy_types::pb::envoy::data::accesslog::v3::ResponseFlags;
    use envoy_types::pb::google::protobuf::UInt32Value;

    use super::*;

    fn response(status: u32, details: &str) -> HttpResponseProperties {
        HttpResponseProperties {
            response_code: Some(UInt32Value { value: status }),
            response_code_details: details.to_owned(),
            ..HttpResponseProperties::default()
        }
    }

    fn common() -> AccessLogCommon {
        let sent = Duration { seconds: 1, nanos: 0 };
        let first = Duration { seconds: 2, nanos: 250_000_000 };
        let whole = Duration { seconds: 9, nanos: 0 };
        AccessLogCommon {
            time_to_last_rx_byte: Some(sent),
            time_to_first_upstream_rx_byte: Some(first),
            duration: Some(whole),
            ..AccessLogCommon::default()
        }
    }

    #[test]
    fn how_a_call_has_ended_is_what_the_log_says() {
        let answered =
            |status, made_by| Ended::Answered { status, grpc: None, made_by, took_ms: 1_250 };
        for (status, details, expected) in [
            (200, "via_upstream", answered(200, MadeBy::Details("via_upstream"))),
            (503, "no_healthy_upstream", answered(503, MadeBy::Details("no_healthy_upstream"))),
            (502, "", answered(502, MadeBy::Upstream)),
            (0, "upstream_x", Ended::Reset { by_caller: false, took_ms: 1_250 }),
            (99_999, "", Ended::Reset { by_caller: false, took_ms: 1_250 }),
        ] {
            assert_eq!(ended(&common(), &response(status, details)), expected, "{status}");
        }
        let flags =
            ResponseFlags { downstream_connection_termination: true, ..ResponseFlags::default() };
        let hung_up = AccessLogCommon { response_flags: Some(flags), ..common() };
        let expected = Ended::Reset { by_caller: true, took_ms: 1_250 };
        assert_eq!(ended(&hung_up, &response(503, "via_upstream")), expected);
    }

    #[test]
    fn without_an_answer_it_took_as_long_as_all_of_it() {
        let common = AccessLogCommon { time_to_first_upstream_rx_byte: None, ..common() };
        let Ended::Answered { took_ms, .. } = ended(&common, &response(504, "response_timeout"))
        else {
            panic!("an answer")
        };
        assert_eq!(took_ms, 9_000);
    }

    #[test]
    fn who_sends_slowly_makes_no_service_slow() {
        assert_eq!(took_ms(&common()), 1_250);
        let early = AccessLogCommon { time_to_last_rx_byte: None, ..common() };
        assert_eq!(took_ms(&early), 0, "the request has never ended");
    }

    #[test]
    fn the_status_of_grpc_stands_before_or_behind_the_answer() {
        let status = |text: &str| HashMap::from([("grpc-status".to_owned(), text.to_owned())]);
        let mut before = response(200, "via_upstream");
        before.response_headers = status("14");
        let mut behind = response(200, "via_upstream");
        behind.response_trailers = status("4");
        let mut odd = response(200, "via_upstream");
        odd.response_trailers = status("no number");
        let read = [&before, &behind, &odd, &response(200, "")].map(grpc_status);
        assert_eq!(read, [Some(14), Some(4), None, None]);
    }
}
