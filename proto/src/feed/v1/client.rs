//! A client on tonic, for tests and benches.

use prost::Message;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{IntoRequest, Request, Response, Status};
use tonic_prost::ProstCodec;

use super::{BORROW_PATH, BorrowRequest, BorrowResponse};
use super::{EXCHANGE_PATH, ExchangeRequest, ExchangeResponse};
use super::{REPORT_PATH, ReportRequest, ReportResponse};

/// Asks over a channel. Clones share it.
#[derive(Debug, Clone)]
pub struct FeedClient {
    inner: Grpc<Channel>,
}

impl FeedClient {
    /// Asks over `channel`.
    #[must_use]
    pub fn new(channel: Channel) -> Self {
        Self { inner: Grpc::new(channel) }
    }

    /// What is new since the asker's cursor.
    ///
    /// # Errors
    /// The server's status, or `Unavailable` when it cannot be reached.
    pub async fn exchange(
        &mut self,
        request: impl IntoRequest<ExchangeRequest>,
    ) -> Result<Response<ExchangeResponse>, Status> {
        self.unary(request.into_request(), EXCHANGE_PATH).await
    }

    /// Slices of leased limits.
    ///
    /// # Errors
    /// The server's status, or `Unavailable` when it cannot be reached.
    pub async fn borrow(
        &mut self,
        request: impl IntoRequest<BorrowRequest>,
    ) -> Result<Response<BorrowResponse>, Status> {
        self.unary(request.into_request(), BORROW_PATH).await
    }

    /// How services do.
    ///
    /// # Errors
    /// The server's status, or `Unavailable` when it cannot be reached.
    pub async fn report(
        &mut self,
        request: impl IntoRequest<ReportRequest>,
    ) -> Result<Response<ReportResponse>, Status> {
        self.unary(request.into_request(), REPORT_PATH).await
    }

    async fn unary<I, O>(
        &mut self,
        request: Request<I>,
        path: &'static str,
    ) -> Result<Response<O>, Status>
    where
        I: Message + 'static,
        O: Message + Default + 'static,
    {
        self.inner.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        let codec = ProstCodec::<I, O>::default();
        self.inner.unary(request, PathAndQuery::from_static(path), codec).await
    }
}
