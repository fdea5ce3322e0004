//! The protocol (`postern.feed.v1.Feed`): converted in, asked, converted out.

use std::sync::Arc;
use std::time::Duration;

use postern_proto::feed::v1::server::{Feed, FeedServer};
use postern_proto::feed::v1::{
    CREDENTIAL_METADATA, ExchangeRequest, ExchangeResponse, KeySet, NEXT_POLL_METADATA, Snapshot,
};
use postern_revocation::Record;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

use crate::answer::{Answer, Content, Refusal};
use crate::ask::{Ask, Progress};
use crate::exchange::Exchange;
use crate::peer::PeerIdentity;
use crate::trust::{Arrival, Trust};

/// Where Envoy says whose certificate it has seen.
const FORWARDED_CLIENT_CERT: &str = "x-forwarded-client-cert";

/// The gRPC service.
pub struct FeedService {
    exchange: Arc<Exchange>,
    trust: Trust,
}

impl FeedService {
    /// Serves an exchange to those whom `trust` knows.
    #[must_use]
    pub fn server(exchange: Arc<Exchange>, trust: Trust) -> FeedServer<Self> {
        FeedServer::new(Self { exchange, trust })
    }

    fn identify<T>(&self, request: &Request<T>) -> Result<PeerIdentity, Status> {
        let metadata = request.metadata();
        let certificate = certificate(request);
        let arrival = Arrival {
            remote: request.remote_addr().map(|address| address.ip()),
            certificate: certificate.as_deref(),
            forwarded: last(metadata, FORWARDED_CLIENT_CERT),
            credential: last(metadata, CREDENTIAL_METADATA),
        };
        self.trust.identify(&arrival).map_err(|problem| {
            self.exchange.unidentified();
            tracing::debug!(remote = ?arrival.remote, %problem, "an exchange is refused");
            Status::unauthenticated(problem.to_string())
        })
    }
}

impl Feed for FeedService {
    async fn exchange(
        &self,
        request: Request<ExchangeRequest>,
    ) -> Result<Response<ExchangeResponse>, Status> {
        let peer = self.identify(&request)?;
        let ask = read(request.into_inner());
        match self.exchange.exchange(&peer, &ask).await {
            Ok(answer) => Ok(Response::new(write(answer))),
            Err(refusal) => {
                tracing::debug!(%peer, workload = ask.workload, %refusal, "an exchange is refused");
                Err(refuse(&refusal))
            }
        }
    }
}

/// The leaf of the chain that the other end of a TLS connection has shown.
#[cfg(feature = "tls")]
fn certificate<T>(request: &Request<T>) -> Option<Vec<u8>> {
    request.peer_certs()?.first().map(|certificate| certificate.to_vec())
}

/// Without TLS nobody shows one.
#[cfg(not(feature = "tls"))]
const fn certificate<T>(_: &Request<T>) -> Option<Vec<u8>> {
    None
}

/// The last value of that name: what stands before it may be anybody's.
fn last<'m>(metadata: &'m MetadataMap, name: &str) -> Option<&'m [u8]> {
    metadata.get_all(name).iter().next_back().map(|value| value.as_bytes())
}

fn read(request: ExchangeRequest) -> Ask {
    let snapshot = (request.snapshot_bucket > 0).then_some(Progress {
        epoch: (request.snapshot_epoch != 0).then_some(request.snapshot_epoch),
        cursor: request.snapshot_cursor,
        next_bucket: request.snapshot_bucket,
    });
    let max_bytes = usize::try_from(request.max_bytes).unwrap_or(usize::MAX);
    Ask {
        workload: request.workload,
        envoy_id: request.envoy_id,
        document_digest: request.document_digest,
        epoch: request.epoch,
        cursor: request.cursor,
        snapshot,
        wait: Duration::from_millis(request.wait_ms.into()),
        idle: Duration::from_millis(request.idle_ms.into()),
        max_bytes: (max_bytes > 0).then_some(max_bytes),
        key_digests: request.key_digests,
        wanted_keys: request.wanted_keys,
    }
}

fn write(answer: Answer) -> ExchangeResponse {
    let key_sets = answer.key_sets.iter().map(|keys| KeySet {
        issuer: keys.issuer.clone(),
        jwks: keys.jwks.clone(),
        digest: keys.digest.clone(),
    });
    let response = ExchangeResponse {
        epoch: answer.epoch,
        cursor: answer.cursor,
        key_sets: key_sets.collect(),
        next_poll_ms: u32::try_from(answer.next_poll.as_millis()).unwrap_or(u32::MAX),
        server_time_ms: answer.server_time.0,
        document_digest: answer.document_digest,
        staleness_ms: millis(answer.staleness),
        ..ExchangeResponse::default()
    };
    match answer.content {
        Content::Nothing => response,
        Content::Added(records) => {
            ExchangeResponse { added: Record::encode_all(&records), ..response }
        }
        Content::Snapshot { key, piece, total_records } => ExchangeResponse {
            fingerprint_key: key.expose().to_vec(),
            snapshot: Some(Snapshot {
                cursor: answer.cursor,
                first_bucket: piece.first_bucket,
                buckets: piece.buckets,
                last: piece.last,
                total_records: u64::try_from(total_records).unwrap_or(u64::MAX),
            }),
            ..response
        },
    }
}

fn refuse(refusal: &Refusal) -> Status {
    let text = refusal.to_string();
    let (mut status, next_poll) = match refusal {
        Refusal::Invalid(_) => return Status::invalid_argument(text),
        Refusal::NotPermitted => return Status::permission_denied(text),
        Refusal::OverQuota { next_poll } | Refusal::Busy { next_poll } => {
            (Status::resource_exhausted(text), next_poll)
        }
        Refusal::Loading { next_poll } => (Status::unavailable(text), next_poll),
    };
    status.metadata_mut().insert(NEXT_POLL_METADATA, millis(*next_poll).into());
    status
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
#[cfg(test)]
#[cfg(feature = "tls")]
mod tls_tests;
