//! A message of Envoy's, in our own terms.

use envoy_types::pb::envoy::extensions::common::ratelimit::v3 as common;
use envoy_types::pb::envoy::extensions::common::ratelimit::v3::rate_limit_descriptor as part;
use envoy_types::pb::envoy::service::ratelimit::v3::RateLimitRequest;
use postern_descriptors::Unit;

use crate::ask::{Ask, Descriptor, Hits, Override};

/// Reads a message; whether it makes sense is said by [`Ask::check`]. Texts are moved.
pub(super) fn ask(message: RateLimitRequest) -> Ask {
    let RateLimitRequest { domain, descriptors, hits_addend } = message;
    // Zero is the protocol's way to say nothing.
    let hits = u64::from(hits_addend.max(1));
    let descriptors = descriptors.into_iter().map(|one| descriptor(one, hits)).collect();
    Ask { domain, descriptors }
}

fn descriptor(message: common::RateLimitDescriptor, hits: u64) -> Descriptor {
    let common::RateLimitDescriptor { entries, limit, hits_addend, is_negative_hits } = message;
    // Here a zero that is written is meant.
    let hits = hits_addend.map_or(hits, |own| own.value);
    Descriptor {
        entries: entries.into_iter().map(|entry| (entry.key, entry.value)).collect(),
        instead: limit.map(brought_along),
        hits: if is_negative_hits { Hits::GiveBack(hits) } else { Hits::Take(hits) },
    }
}

const fn brought_along(limit: part::RateLimitOverride) -> Override {
    Override { requests: limit.requests_per_unit, unit: unit(limit.unit) }
}

/// `envoy.type.v3.RateLimitUnit`, by its numbers: the week is younger than the rest.
const fn unit(number: i32) -> Option<Unit> {
    Some(match number {
        1 => Unit::Second,
        2 => Unit::Minute,
        3 => Unit::Hour,
        4 => Unit::Day,
        5 => Unit::Month,
        6 => Unit::Year,
        7 => Unit::Week,
        _ => return None,
    })
}
