//! Leases: converted in, converted out.

use postern_leases::{Ask, LeaseId, Return};
use postern_proto::feed::v1::{BorrowRequest, BorrowResponse, LeaseGrant};
use postern_store::LimitKey;
use tonic::Status;

use super::later;
use crate::borrowing::{BorrowError, BorrowRefusal, Borrowing, Lease, LeasedKey, Lent};

pub(super) fn read(request: BorrowRequest) -> Result<Borrowing, BorrowError> {
    let returns = request.returns.into_iter().map(|back| {
        let of = leased_key(back.stamp, back.owner, &back.key)?;
        Ok((of, Return { id: LeaseId(bytes(&back.id)?), unused: back.unused }))
    });
    let asks = request.asks.into_iter().map(|ask| {
        let of = leased_key(ask.stamp, ask.owner, &ask.key)?;
        Ok((of, Ask { id: LeaseId(bytes(&ask.id)?), asked: ask.asked }))
    });
    Ok(Borrowing {
        workload: request.workload,
        envoy_id: request.envoy_id,
        document_digest: request.document_digest,
        returns: returns.collect::<Result<_, BorrowError>>()?,
        asks: asks.collect::<Result<_, BorrowError>>()?,
    })
}

fn leased_key(stamp: u64, owner: u64, hash: &[u8]) -> Result<LeasedKey, BorrowError> {
    Ok(LeasedKey { stamp, key: LimitKey { owner, hash: bytes(hash)? } })
}

fn bytes(bytes: &[u8]) -> Result<[u8; 16], BorrowError> {
    bytes.try_into().map_err(|_| BorrowError::Bytes)
}

pub(super) fn write(lent: Lent) -> BorrowResponse {
    BorrowResponse {
        grants: lent.leases.iter().map(write_lease).collect(),
        next_ms: u32::try_from(lent.next.as_millis()).unwrap_or(u32::MAX),
        returned: lent.returned.iter().map(|id| id.0.to_vec()).collect(),
        document_digest: lent.document_digest,
    }
}

fn write_lease(lease: &Lease) -> LeaseGrant {
    let id = lease.id.0.to_vec();
    let Some(grant) = lease.grant else {
        return LeaseGrant { id, unknown: true, ..LeaseGrant::default() };
    };
    LeaseGrant {
        id,
        granted: grant.granted,
        life_ms: u32::try_from(grant.life_ms).unwrap_or(u32::MAX),
        remaining: grant.remaining,
        reset_ms: grant.reset_ms,
        unknown: false,
    }
}

pub(super) fn refuse(refusal: &BorrowRefusal) -> Status {
    let text = refusal.to_string();
    match refusal {
        BorrowRefusal::Invalid(_) => Status::invalid_argument(text),
        BorrowRefusal::NotPermitted => Status::permission_denied(text),
        BorrowRefusal::OverQuota { next_poll } => {
            later(Status::resource_exhausted(text), *next_poll)
        }
        BorrowRefusal::Unavailable { next_poll } => later(Status::unavailable(text), *next_poll),
    }
}
