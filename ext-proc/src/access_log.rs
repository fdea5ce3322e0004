//! Envoy's protocol (`envoy.service.accesslog.v3.AccessLogService`): how requests have ended.

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
use postern_request::evidence::{METADATA_NAMESPACE, SETTLE_KEY};
use postern_telemetry::{Drain, Moment};
use tonic::{Request, Response, Status, Streaming};

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
    drain: Drain,
}

impl SettlementService {
    /// Serves a settlement until the server goes down.
    #[must_use]
    pub fn server(settlement: Arc<Settlement>, drain: Drain) -> AccessLogServiceServer<Self> {
        AccessLogServiceServer::new(Self { settlement, drain })
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    async fn settle(&self, message: StreamAccessLogsMessage) {
        let entries = match message.log_entries {
            Some(LogEntries::HttpLogs(logs)) => logs.log_entry,
            Some(LogEntries::TcpLogs(_)) | None => return,
        };
        self.settlement.metrics.entries.inc_by(u64::try_from(entries.len()).unwrap_or_default());
        let ended: Vec<Ended> = entries.into_iter().filter_map(read).collect();
        self.settlement.settle(&ended, Moment::now().wall).await;
    }
}

#[tonic::async_trait]
impl AccessLogService for SettlementService {
    /// Envoy waits for no answer; the end of the stream makes it begin another one.
    async fn stream_access_logs(
        &self,
        request: Request<Streaming<StreamAccessLogsMessage>>,
    ) -> Result<Response<StreamAccessLogsResponse>, Status> {
        let mut messages = request.into_inner();
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
                Some(message) => self.settle(message).await,
                None => break,
            }
        }
        Ok(Response::new(StreamAccessLogsResponse {}))
    }
}

/// None where there is nothing to settle, or not yet.
fn read(entry: HttpAccessLogEntry) -> Option<Ended> {
    let HttpAccessLogEntry { common_properties, response, .. } = entry;
    let AccessLogCommon { metadata, access_log_type, .. } = common_properties?;
    // A log may speak of requests that have only begun, too, if somebody wants it so.
    let is_end = [AccessLogType::NotSet, AccessLogType::DownstreamEnd]
        .into_iter()
        .any(|end| access_log_type == i32::from(end));
    if !is_end {
        return None;
    }
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
