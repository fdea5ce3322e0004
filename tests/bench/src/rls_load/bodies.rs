//! Messages, made and framed before they are sent.

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use envoy_types::pb::envoy::extensions::common::ratelimit::v3::RateLimitDescriptor;
use envoy_types::pb::envoy::extensions::common::ratelimit::v3::rate_limit_descriptor::Entry;
use envoy_types::pb::envoy::service::ratelimit::v3::RateLimitRequest;

use crate::grpc;
use crate::rate_limits::{DOMAIN, MOST_KEYS, RULES, value};

/// One message for each key. All are equally long, so they stand in one piece of memory, and a
/// million of them cost nothing but their bytes.
#[derive(Debug)]
pub struct Bodies {
    all: Bytes,
    each: usize,
}

impl Bodies {
    /// For so many keys, with so many descriptors each.
    pub fn of(first_key: u32, keys: u32, limits: u32) -> Result<Self> {
        let end = first_key.checked_add(keys).filter(|end| *end <= MOST_KEYS);
        let end = end.with_context(|| format!("there are {MOST_KEYS} keys"))?;
        let limits = usize::try_from(limits).context("a number of limits")?;
        let mut all = Vec::new();
        let mut each = 0;
        for key in first_key..end {
            let before = all.len();
            grpc::frame(&message(key, limits), &mut all)?;
            each = all.len() - before;
        }
        if each == 0 {
            bail!("at least one key is needed");
        }
        Ok(Self { all: all.into(), each })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.all.len() / self.each.max(1)
    }

    /// That of a key; after the last one comes the first one again.
    pub fn get(&self, number: usize) -> Bytes {
        let from = (number % self.count().max(1)) * self.each;
        self.all.slice(from..from + self.each)
    }
}

fn message(key: u32, limits: usize) -> RateLimitRequest {
    let value = value(key);
    let descriptor = |rule: &&str| {
        let entry = Entry { key: (*rule).to_owned(), value: value.clone() };
        RateLimitDescriptor { entries: vec![entry], ..RateLimitDescriptor::default() }
    };
    let descriptors = RULES.iter().take(limits).map(descriptor).collect();
    RateLimitRequest { domain: DOMAIN.to_owned(), descriptors, ..RateLimitRequest::default() }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::grpc::PREFIX;

    #[test]
    fn every_key_has_its_message() {
        for limits in [1, 4] {
            let bodies = Bodies::of(MOST_KEYS - 12, 12, limits).unwrap();
            assert_eq!(bodies.count(), 12);
            for (number, key) in [(0, MOST_KEYS - 12), (11, MOST_KEYS - 1), (13, MOST_KEYS - 11)] {
                let body = bodies.get(number);
                let (prefix, message) = body.split_at(PREFIX);
                let length = u32::try_from(message.len()).unwrap();
                assert_eq!(prefix, [&[0][..], &length.to_be_bytes()].concat());
                let message = RateLimitRequest::decode(message).unwrap();
                assert_eq!((message.domain.as_str(), message.hits_addend), (DOMAIN, 0));
                let entries = message.descriptors.iter().flat_map(|found| &found.entries);
                let pairs: Vec<_> =
                    entries.map(|entry| (entry.key.as_str(), &entry.value)).collect();
                let expected = value(key);
                let rules = RULES.iter().take(usize::try_from(limits).unwrap());
                assert_eq!(pairs, rules.map(|rule| (*rule, &expected)).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn there_are_not_more_keys_than_there_are() {
        assert!(Bodies::of(MOST_KEYS, 1, 1).is_err());
        assert!(Bodies::of(u32::MAX, u32::MAX, 1).is_err());
        assert!(Bodies::of(0, 0, 1).is_err());
    }
}
