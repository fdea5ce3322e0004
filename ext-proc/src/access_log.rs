//! Envoy's protocol (`envoy.service.accesslog.v3.AccessLogService`): how requests have ended, for
//! limits that wait for it, and for circuits.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::Metadata;
use envoy_types::pb::envoy::data::accesslog::v3::{
    AccessLogCommon, AccessLogType, HttpAccessLogEntry, HttpResponseProperties,
};
use envoy_types::pb::envoy::service::accesslog::v3::access_log_service_server::{
    AccessLogService, AccessLogServiceServer,
};
use envoy_types::pb::envoy::service::accesslog::v3::stream_access_logs_message::LogEntries;
use envoy_types::pb::envoy::service::accesslog::v3::{
    StreamAccessLogsMessage, StreamAccessLogsResponse,
};
use envoy_types::pb::google::protobuf::{Value, value::Kind};
use postern_document::Skip;
use postern_ext_authz::keeps_circuits;
use postern_request::evidence::{METADATA_NAMESPACE, SETTLE_KEY};
use postern_store::volatile::ReporterId;
use postern_telemetry::{Drain, Moment};
use tonic::{Request, Response, Status, Streaming};

use crate::outcomes::{LOG_NAME, LoggedOutcomes};
use crate::settlement::{Ended, Settlement};

/// Largest message. Envoy sends an entry as soon as it has one, and the largest holds a request's
/// path and a few of its headers, 60 kB of them all.
const MAX_MESSAGE_BYTES: usize = 1 << 20;
/// How long what is on its way is still read after the server was told to go. Streams have no end
/// of their own.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// The gRPC service.
#[derive(Clone)]
pub struct SettlementService {
    settlement: Arc<Settlement>,
    outcomes: LoggedOutcomes,
    drain: Drain,
}

/// What is known of a stream.
struct Log {
    /// Whose outcomes it tells; none where it is not meant for circuits, or where the Envoy's
    /// bundle reports them.
    reporter: Option<ReporterId>,
}

impl SettlementService {
    /// Serves a settlement, and counts outcomes, until the server goes down.
    #[must_use]
    pub fn server(
        settlement: Arc<Settlement>,
        outcomes: LoggedOutcomes,
        drain: Drain,
    ) -> AccessLogServiceServer<Self> {
        AccessLogServiceServer::new(Self { settlement, outcomes, drain })
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    async fn take(&self, log: &Log, message: StreamAccessLogsMessage) {
        let entries = match message.log_entries {
            Some(LogEntries::HttpLogs(logs)) => logs.log_entry,
            Some(LogEntries::TcpLogs(_)) | None => return,
        };
        self.settlement.metrics.entries.inc_by(u64::try_from(entries.len()).unwrap_or_default());
        let now = Moment::now().wall;
        if let Some(reporter) = log.reporter {
            self.outcomes.count(reporter, entries.iter().filter(|entry| is_end(entry)), now);
        }
        let ended: Vec<Ended> = entries.into_iter().filter_map(read).collect();
        self.settlement.settle(&ended, now).await;
    }
}

#[tonic::async_trait]
impl AccessLogService for SettlementService {
    /// Envoy waits for no answer; the end of the stream makes it begin another one.
    async fn stream_access_logs(
        &self,
        request: Request<Streaming<StreamAccessLogsMessage>>,
    ) -> Result<Response<StreamAccessLogsResponse>, Status> {
        let (metadata, extensions, mut messages) = request.into_parts();
        let arrived = Request::from_parts(metadata, extensions, ());
        let mut log = Log { reporter: None };
        let shutdown = self.drain.shutdown_signal();
        let mut over = pin!(async move {
            shutdown.await;
            tokio::time::sleep(LAST_WORDS).await;
        });
        loop {
            let message = tokio::select! {
                () = &mut over => break,
                message = messages.message() => message?,
            };
            // The next message waits until this one is settled: Envoy drops what it cannot send
            // for long, so nothing piles up here.
            match message {
                Some(message) => {
                    // Only the first message of a stream says so.
                    let name = message.identifier.as_ref().map(|identifier| &identifier.log_name);
                    if name.is_some_and(|name| name == LOG_NAME)
                        && !keeps_circuits(arrived.metadata())
                    {
                        log.reporter = Some(self.outcomes.reporter(&arrived));
                    }
                    self.take(&log, message).await;
                }
                None => break,
            }
        }
        Ok(Response::new(StreamAccessLogsResponse {}))
    }
}

/// A log may speak of requests that have only begun, too, if somebody wants it so.
fn is_end(entry: &HttpAccessLogEntry) -> bool {
    let ends = [AccessLogType::NotSet, AccessLogType::DownstreamEnd].map(i32::from);
    entry.common_properties.as_ref().is_some_and(|common| ends.contains(&common.access_log_type))
}

/// None where there is nothing to settle, or not yet.
fn read(entry: HttpAccessLogEntry) -> Option<Ended> {
    if !is_end(&entry) {
        return None;
    }
    let HttpAccessLogEntry { common_properties, response, .. } = entry;
    let AccessLogCommon { metadata, .. } = common_properties?;
    let Metadata { mut filter_metadata, .. } = metadata?;
    let mut evidence = filter_metadata.remove(METADATA_NAMESPACE)?;
    match evidence.fields.remove(SETTLE_KEY)? {
        Value { kind: Some(Kind::StringValue(ticket)) } => {
            Some(Ended { ticket, successful: is_success(response.as_ref()) })
        }
        Value { .. } => None,
    }
}

/// Whether the answer that went out is none of an error. To a client that left before it began,
/// none did: what it took stays taken, or whoever hangs up early would get past every limit that
/// skips failures. The status of a gRPC answer is in its headers or behind it.
fn is_success(response: Option<&HttpResponseProperties>) -> Option<bool> {
    let response = response?;
    let status = u16::try_from(response.response_code.as_ref()?.value).ok()?;
    let grpc_status = [&response.response_headers, &response.response_trailers]
        .into_iter()
        .find_map(|headers| headers.get("grpc-status"));
    (status > 0).then(|| Skip::is_successful(status, grpc_status.map(String::as_bytes)))
}

#[cfg(test)]
mod tests;
