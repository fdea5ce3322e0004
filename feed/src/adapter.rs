//! The protocol (`postern.feed.v1.Feed`): converted in, asked, converted out.

mod lending;
mod reporting;

use std::sync::Arc;
use std::time::Duration;

use postern_proto::feed::v1::server::{Feed, FeedServer};
use postern_proto::feed::v1::{
    BorrowRequest, BorrowResponse, CREDENTIAL_METADATA, ExchangeRequest, ExchangeResponse, KeySet,
    NEXT_POLL_METADATA, ReportRequest, ReportResponse, Snapshot,
};
use postern_revocation::Record;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

use crate::answer::{Answer, Content, Refusal};
use crate::ask::{Ask, Progress};
use crate::circuits::Circuits;
use crate::exchange::Exchange;
use crate::leases::Lender;
use crate::peer::PeerIdentity;
use crate::trust::{Arrival, CurrentTrust, Trust, Unidentified};

/// Where Envoy says whose certificate it has seen.
const FORWARDED_CLIENT_CERT: &str = "x-forwarded-client-cert";

/// What is served. A part that is none is there for nobody.
#[derive(Clone)]
pub struct Served {
    /// Tells what is new.
    pub exchange: Option<Arc<Exchange>>,
    /// Lends slices of limits.
    pub lender: Option<Arc<Lender>>,
    /// Takes reports of services.
    pub circuits: Option<Arc<Circuits>>,
    /// Whom to believe.
    pub trust: CurrentTrust,
}

/// The gRPC service.
pub struct FeedService(Served);

impl FeedService {
    /// Serves those whom it believes.
    #[must_use]
    pub fn server(served: Served) -> FeedServer<Self> {
        FeedServer::new(Self(served))
    }

    fn identify<T>(&self, request: &Request<T>) -> Result<PeerIdentity, Status> {
        let peer = identify(&(self.0.trust)(), request);
        peer.map_err(|problem| Status::unauthenticated(problem.to_string()))
    }
}

/// Who has sent a request, whichever service it is for; who is turned away stands in the log.
///
/// # Errors
/// When it is nobody known.
pub fn identify<T>(trust: &Trust, request: &Request<T>) -> Result<PeerIdentity, Unidentified> {
    peer_of(trust, request).inspect_err(|problem| {
        let remote = request.remote_addr().map(|address| address.ip());
        let remote = remote.map(tracing::field::display);
        tracing::debug!(remote, %problem, "an Envoy is refused");
    })
}

/// The same where nobody is turned away for it.
///
/// # Errors
/// When it is nobody known.
pub fn peer_of<T>(trust: &Trust, request: &Request<T>) -> Result<PeerIdentity, Unidentified> {
    let metadata = request.metadata();
    let certificate = certificate(request);
    trust.identify(&Arrival {
        remote: request.remote_addr().map(|address| address.ip()),
        certificate: certificate.as_deref(),
        forwarded: last(metadata, FORWARDED_CLIENT_CERT),
        credential: last(metadata, CREDENTIAL_METADATA),
    })
}

impl Feed for FeedService {
    async fn exchange(
        &self,
        request: Request<ExchangeRequest>,
    ) -> Result<Response<ExchangeResponse>, Status> {
        let exchange = self.0.exchange.as_ref().ok_or_else(not_served)?;
        let peer = self.identify(&request).inspect_err(|_| exchange.unidentified())?;
        let ask = read(request.into_inner());
        match exchange.exchange(&peer, &ask).await {
            Ok(answer) => Ok(Response::new(write(answer))),
            Err(refusal) => {
                tracing::debug!(%peer, workload = ask.workload, %refusal, "an exchange is refused");
                Err(refuse(&refusal))
            }
        }
    }

    async fn borrow(
        &self,
        request: Request<BorrowRequest>,
    ) -> Result<Response<BorrowResponse>, Status> {
        let lender = self.0.lender.as_ref().ok_or_else(not_served)?;
        let peer = self.identify(&request).inspect_err(|_| lender.unidentified())?;
        let answered = match lending::read(request.into_inner()) {
            Ok(borrowing) => lender.borrow(&peer, &borrowing).await,
            Err(error) => Err(lender.unreadable(error)),
        };
        match answered {
            Ok(lent) => Ok(Response::new(lending::write(lent))),
            Err(refusal) => {
                tracing::debug!(%peer, %refusal, "nothing is lent");
                Err(lending::refuse(&refusal))
            }
        }
    }

    async fn report(
        &self,
        request: Request<ReportRequest>,
    ) -> Result<Response<ReportResponse>, Status> {
        let circuits = self.0.circuits.as_ref().ok_or_else(not_served)?;
        let peer = self.identify(&request).inspect_err(|_| circuits.unidentified())?;
        let reports = reporting::read(request.into_inner());
        match circuits.report(&peer, &reports).await {
            Ok(heard) => Ok(Response::new(reporting::write(heard))),
            Err(refusal) => {
                let workload = reports.workload;
                tracing::debug!(%peer, workload, %refusal, "a report is refused");
                Err(reporting::refuse(&refusal))
            }
        }
    }
}

fn not_served() -> Status {
    Status::unimplemented("not served here")
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
        circuits_version: request.circuits_version,
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
        circuits: answer.circuits.map(reporting::write_all),
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
    match refusal {
        Refusal::Invalid(_) => Status::invalid_argument(text),
        Refusal::NotPermitted => Status::permission_denied(text),
        Refusal::OverQuota { next_poll } | Refusal::Busy { next_poll } => {
            later(Status::resource_exhausted(text), *next_poll)
        }
        Refusal::Loading { next_poll } => later(Status::unavailable(text), *next_poll),
    }
}

/// Says when to ask again.
fn later(mut status: Status, next_poll: Duration) -> Status {
    status.metadata_mut().insert(NEXT_POLL_METADATA, millis(next_poll).into());
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
