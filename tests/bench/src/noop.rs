//! Servers that do nothing: what a call-out costs before anybody has decided anything.

use std::net::SocketAddr;
use std::pin::Pin;

use anyhow::{Context as _, Result};
use envoy_types::pb::envoy::service::auth::v3::authorization_server::{
    Authorization, AuthorizationServer,
};
use envoy_types::pb::envoy::service::auth::v3::{CheckRequest, CheckResponse};
use envoy_types::pb::envoy::service::ext_proc::v3::external_processor_server::{
    ExternalProcessor, ExternalProcessorServer,
};
use envoy_types::pb::envoy::service::ext_proc::v3::{
    BodyResponse, HeadersResponse, ProcessingRequest, ProcessingResponse, TrailersResponse,
    processing_request::Request as Phase, processing_response::Response as Reply,
};
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_response::Code;
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_service_server::{
    RateLimitService, RateLimitServiceServer,
};
use envoy_types::pb::envoy::service::ratelimit::v3::{RateLimitRequest, RateLimitResponse};
use envoy_types::pb::google::rpc::Status as RpcStatus;
use tokio_stream::{Stream, StreamExt as _};
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};

/// An `ext_authz` server, until it is killed.
pub async fn serve_authz(address: SocketAddr) -> Result<()> {
    let service = AuthorizationServer::new(Noop);
    Server::builder().add_service(service).serve(address).await.context("the server failed")
}

/// An `ext_proc` server, until it is killed.
pub async fn serve_proc(address: SocketAddr) -> Result<()> {
    let service = ExternalProcessorServer::new(Noop);
    Server::builder().add_service(service).serve(address).await.context("the server failed")
}

/// A rate limit service, until it is killed.
pub async fn serve_rls(address: SocketAddr) -> Result<()> {
    let service = RateLimitServiceServer::new(Noop);
    Server::builder().add_service(service).serve(address).await.context("the server failed")
}

struct Noop;

#[tonic::async_trait]
impl Authorization for Noop {
    async fn check(&self, _: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        // Code 0 is OK (google.rpc.Code).
        let status = Some(RpcStatus::default());
        Ok(Response::new(CheckResponse { status, ..CheckResponse::default() }))
    }
}

type Replies = Pin<Box<dyn Stream<Item = Result<ProcessingResponse, Status>> + Send>>;

#[tonic::async_trait]
impl ExternalProcessor for Noop {
    type ProcessStream = Replies;

    async fn process(
        &self,
        request: Request<Streaming<ProcessingRequest>>,
    ) -> Result<Response<Replies>, Status> {
        let replies = request.into_inner().map(|message| Ok(reply(message?)));
        Ok(Response::new(Box::pin(replies)))
    }
}

/// Goes on, whatever it is.
fn reply(message: ProcessingRequest) -> ProcessingResponse {
    let response = message.request.map(|phase| match phase {
        Phase::RequestHeaders(_) => Reply::RequestHeaders(HeadersResponse::default()),
        Phase::ResponseHeaders(_) => Reply::ResponseHeaders(HeadersResponse::default()),
        Phase::RequestBody(_) => Reply::RequestBody(BodyResponse::default()),
        Phase::ResponseBody(_) => Reply::ResponseBody(BodyResponse::default()),
        Phase::RequestTrailers(_) => Reply::RequestTrailers(TrailersResponse::default()),
        Phase::ResponseTrailers(_) => Reply::ResponseTrailers(TrailersResponse::default()),
    });
    ProcessingResponse { response, ..ProcessingResponse::default() }
}

#[tonic::async_trait]
impl RateLimitService for Noop {
    async fn should_rate_limit(
        &self,
        _: Request<RateLimitRequest>,
    ) -> Result<Response<RateLimitResponse>, Status> {
        let overall_code = Code::Ok.into();
        Ok(Response::new(RateLimitResponse { overall_code, ..RateLimitResponse::default() }))
    }
}
