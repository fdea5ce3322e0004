//! Envoy's protocol (`envoy.service.ext_proc.v3.ExternalProcessor`).

use std::pin::Pin;
use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3::{
    HeaderMap, HeaderValue, HeaderValueOption, header_value_option::HeaderAppendAction,
};
use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::{
    ProcessingMode, processing_mode::HeaderSendMode,
};
use envoy_types::pb::envoy::service::ext_proc::v3::external_processor_server::{
    ExternalProcessor, ExternalProcessorServer,
};
use envoy_types::pb::envoy::service::ext_proc::v3::{
    BodyResponse, CommonResponse, HeaderMutation, HeadersResponse, HttpHeaders, ProcessingRequest,
    ProcessingResponse, TrailersResponse, processing_request::Request as Phase,
    processing_response::Response as Reply,
};
use postern_ext_authz::{document_of, keeps_circuits};
use postern_telemetry::Moment;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status, Streaming};

use crate::outcomes::WhoReports;
use crate::processor::{HeaderChanges, Processor, StreamState};

/// The gRPC service.
#[derive(Clone)]
pub struct ProcessingService {
    processor: Arc<Processor>,
    who: WhoReports,
}

impl ProcessingService {
    /// Serves a processor; `who` tells whose outcomes it sees.
    #[must_use]
    pub fn server(processor: Arc<Processor>, who: WhoReports) -> ExternalProcessorServer<Self> {
        ExternalProcessorServer::new(Self { processor, who })
    }
}

/// Counts a stream for as long as it lives.
struct Counted(prometheus::IntGauge);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

type Replies = Pin<Box<dyn Stream<Item = Result<ProcessingResponse, Status>> + Send>>;

#[tonic::async_trait]
impl ExternalProcessor for ProcessingService {
    type ProcessStream = Replies;

    async fn process(
        &self,
        request: Request<Streaming<ProcessingRequest>>,
    ) -> Result<Response<Replies>, Status> {
        let processor = Arc::clone(&self.processor);
        processor.metrics.streams.inc();
        let counted = Counted(processor.metrics.streams.clone());
        let (metadata, extensions, messages) = request.into_parts();
        let arrived = Request::from_parts(metadata, extensions, ());
        let counts = !keeps_circuits(arrived.metadata());
        let reporter = counts.then(|| (self.who)(&arrived));
        let mut state = StreamState::of(document_of(arrived.metadata()), reporter);
        let replies = messages.map(move |message| {
            let _ = &counted;
            Ok(answer(&processor, &mut state, message?))
        });
        Ok(Response::new(Box::pin(replies)))
    }
}

fn answer(
    processor: &Processor,
    state: &mut StreamState,
    message: ProcessingRequest,
) -> ProcessingResponse {
    let mut mode_override = None;
    let reply = match message.request {
        Some(Phase::RequestHeaders(headers)) => {
            let changes = processor.on_request(state, &read(headers), Moment::now().wall);
            mode_override = state.wants_response().then(send_response_headers);
            Some(Reply::RequestHeaders(headers_response(changes)))
        }
        Some(Phase::ResponseHeaders(headers)) => {
            let changes = processor.on_response(state, &read(headers), Moment::now().wall);
            Some(Reply::ResponseHeaders(headers_response(changes)))
        }
        // Not asked for; answered all the same, so that a differently configured Envoy waits
        // for nothing.
        Some(Phase::RequestBody(_)) => Some(Reply::RequestBody(BodyResponse::default())),
        Some(Phase::ResponseBody(_)) => Some(Reply::ResponseBody(BodyResponse::default())),
        Some(Phase::RequestTrailers(_)) => {
            Some(Reply::RequestTrailers(TrailersResponse::default()))
        }
        Some(Phase::ResponseTrailers(_)) => {
            Some(Reply::ResponseTrailers(TrailersResponse::default()))
        }
        None => None,
    };
    ProcessingResponse { response: reply, mode_override, ..ProcessingResponse::default() }
}

fn read(headers: HttpHeaders) -> Vec<(String, Vec<u8>)> {
    let HeaderMap { headers } = headers.headers.unwrap_or_default();
    headers
        .into_iter()
        .map(|header| {
            let value = if header.raw_value.is_empty() {
                header.value.into_bytes()
            } else {
                header.raw_value
            };
            (header.key, value)
        })
        .collect()
}

/// `raw_value`: Envoy takes `value` for an empty one here.
fn headers_response(changes: HeaderChanges) -> HeadersResponse {
    let set_headers = changes.into_iter().map(|(key, value)| HeaderValueOption {
        header: Some(HeaderValue { key, raw_value: value.into_bytes(), ..HeaderValue::default() }),
        append_action: HeaderAppendAction::OverwriteIfExistsOrAdd.into(),
        ..HeaderValueOption::default()
    });
    let mutation =
        HeaderMutation { set_headers: set_headers.collect(), remove_headers: Vec::new() };
    let common = CommonResponse { header_mutation: Some(mutation), ..CommonResponse::default() };
    HeadersResponse { response: Some(common) }
}

/// Send the response's headers too; everything else stays as configured.
fn send_response_headers() -> ProcessingMode {
    ProcessingMode {
        request_header_mode: HeaderSendMode::Send.into(),
        response_header_mode: HeaderSendMode::Send.into(),
        request_trailer_mode: HeaderSendMode::Skip.into(),
        response_trailer_mode: HeaderSendMode::Skip.into(),
        ..ProcessingMode::default()
    }
}
