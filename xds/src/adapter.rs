//! Envoy's protocol (`envoy.service.discovery.v3.AggregatedDiscoveryService`).

use std::sync::Arc;

use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_server::{
    AggregatedDiscoveryService, AggregatedDiscoveryServiceServer,
};
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::conversation;
use crate::discovery::Discovery;
use crate::wire::{Delta, Wire, World};

/// Answers of one stream.
type Answers<R> = ReceiverStream<Result<R, Status>>;

/// The gRPC service.
pub struct DiscoveryService(Arc<Discovery>);

impl DiscoveryService {
    /// Serves those whom it believes.
    #[must_use]
    pub fn server(discovery: Arc<Discovery>) -> AggregatedDiscoveryServiceServer<Self> {
        let bytes = discovery.settings.message_bytes;
        AggregatedDiscoveryServiceServer::new(Self(discovery)).max_decoding_message_size(bytes)
    }

    fn begin<W: Wire>(
        &self,
        request: Request<Streaming<W::Request>>,
    ) -> Result<Response<Answers<W::Response>>, Status> {
        let (metadata, extensions, requests) = request.into_parts();
        let asker = self.0.identify(Request::from_parts(metadata, extensions, ()))?;
        // One is being sent while the next one is made.
        let (answers, sent) = mpsc::channel(1);
        tokio::spawn(conversation::hold::<W>(Arc::clone(&self.0), asker, requests, answers));
        Ok(Response::new(ReceiverStream::new(sent)))
    }
}

#[tonic::async_trait]
impl AggregatedDiscoveryService for DiscoveryService {
    type StreamAggregatedResourcesStream = Answers<DiscoveryResponse>;
    type DeltaAggregatedResourcesStream = Answers<DeltaDiscoveryResponse>;

    async fn stream_aggregated_resources(
        &self,
        request: Request<Streaming<DiscoveryRequest>>,
    ) -> Result<Response<Self::StreamAggregatedResourcesStream>, Status> {
        self.begin::<World>(request)
    }

    async fn delta_aggregated_resources(
        &self,
        request: Request<Streaming<DeltaDiscoveryRequest>>,
    ) -> Result<Response<Self::DeltaAggregatedResourcesStream>, Status> {
        self.begin::<Delta>(request)
    }
}
