//! A client on tonic, for tests and benches.

use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{IntoRequest, Response, Status};
use tonic_prost::ProstCodec;

use super::{EXCHANGE_PATH, ExchangeRequest, ExchangeResponse};

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
        self.inner.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        let codec = ProstCodec::<ExchangeRequest, ExchangeResponse>::default();
        let path = PathAndQuery::from_static(EXCHANGE_PATH);
        self.inner.unary(request.into_request(), path, codec).await
    }
}
