//! Envoy's protocol (`envoy.service.ratelimit.v3.RateLimitService`): converted in, asked,
//! converted out.

mod metadata;
mod read;

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3::HeaderValue;
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_response::rate_limit::Unit as WireUnit;
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_response::{
    Code, DescriptorStatus, RateLimit,
};
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_service_server as wire;
use envoy_types::pb::envoy::service::ratelimit::v3::{RateLimitRequest, RateLimitResponse};
use envoy_types::pb::google::protobuf::Duration;
use postern_descriptors::Unit;
use postern_request::{Denial, RateLimitStatus, UnixMillis, correlation, headers};
use postern_telemetry::Moment;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

use crate::answer::{Answer, CurrentLimit, Standing};
use crate::ask::Refusal;
use crate::limiter::RateLimiter;
use crate::settings::Settings;

/// Longest message. The most that makes sense is a hundred descriptors of 16 KiB each; what is a
/// little longer is refused by what it says, and the rest by its length alone.
pub(crate) const MAX_MESSAGE_BYTES: usize = 2 * 1024 * 1024;
const RETRY_AFTER: &str = "retry-after";

/// The gRPC service.
#[derive(Clone)]
pub struct RateLimitService {
    limiter: Arc<RateLimiter>,
}

impl RateLimitService {
    /// Serves a limiter.
    #[must_use]
    pub fn server(limiter: Arc<RateLimiter>) -> wire::RateLimitServiceServer<Self> {
        let server = wire::RateLimitServiceServer::new(Self { limiter });
        server.max_decoding_message_size(MAX_MESSAGE_BYTES)
    }
}

#[tonic::async_trait]
impl wire::RateLimitService for RateLimitService {
    async fn should_rate_limit(
        &self,
        request: Request<RateLimitRequest>,
    ) -> Result<Response<RateLimitResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        let id = || correlation_id(&metadata);
        let descriptors = message.descriptors.len();
        match answer(&self.limiter, message, Moment::now().wall, id).await {
            Ok(response) => Ok(Response::new(response)),
            Err(Refusal::Unavailable) => Err(Status::unavailable(Refusal::Unavailable.to_string())),
            // What is too much is the caller's caller's choice. A call that fails is one that most
            // Envoys let pass: a long header would be the way around every limit.
            Err(Refusal::TooLong | Refusal::Hits) => Ok(Response::new(too_much(descriptors))),
            Err(refusal) => Err(Status::invalid_argument(refusal.to_string())),
        }
    }
}

fn too_much(descriptors: usize) -> RateLimitResponse {
    let over = Standing { over: true, ..Standing::default() };
    RateLimitResponse {
        overall_code: code(true).into(),
        statuses: (0..descriptors).map(|_| descriptor_status(over.clone())).collect(),
        ..RateLimitResponse::default()
    }
}

/// Answers a message, however it came. `correlation_id` is asked for a refusal with a body.
pub(crate) async fn answer(
    limiter: &RateLimiter,
    message: RateLimitRequest,
    now: UnixMillis,
    correlation_id: impl FnOnce() -> String,
) -> Result<RateLimitResponse, Refusal> {
    let hits_addend = message.hits_addend;
    let ask = read::ask(message);
    let answer = limiter.decide(&ask, now).await?;
    let settings = limiter.settings();
    let mut response = RateLimitResponse {
        overall_code: code(answer.over).into(),
        dynamic_metadata: metadata::of(&ask, hits_addend, &answer, settings.metadata),
        ..RateLimitResponse::default()
    };
    if let Some(status) = answer.status {
        write_headers(&mut response, &answer, status, settings, now, correlation_id);
    }
    response.statuses = answer.standings.into_iter().map(descriptor_status).collect();
    Ok(response)
}

const fn code(over: bool) -> Code {
    if over { Code::OverLimit } else { Code::Ok }
}

fn descriptor_status(standing: Standing) -> DescriptorStatus {
    let Standing { over, limit, remaining, reset_secs } = standing;
    let until_reset =
        || Duration { seconds: i64::try_from(reset_secs).unwrap_or(i64::MAX), nanos: 0 };
    DescriptorStatus {
        code: code(over).into(),
        duration_until_reset: limit.as_ref().map(|_| until_reset()),
        current_limit: limit.map(current_limit),
        limit_remaining: remaining,
        quota: None,
    }
}

fn current_limit(limit: CurrentLimit) -> RateLimit {
    let CurrentLimit { name, requests, unit } = limit;
    RateLimit { name, requests_per_unit: requests, unit: wire_unit(unit).into() }
}

const fn wire_unit(unit: Unit) -> WireUnit {
    match unit {
        Unit::Second => WireUnit::Second,
        Unit::Minute => WireUnit::Minute,
        Unit::Hour => WireUnit::Hour,
        Unit::Day => WireUnit::Day,
        Unit::Week => WireUnit::Week,
        Unit::Month => WireUnit::Month,
        Unit::Year => WireUnit::Year,
    }
}

/// Envoy adds these to its answer, whoever gave that; with a body it needs to be told its type,
/// too. It reads `value`, and nothing else.
fn write_headers(
    response: &mut RateLimitResponse,
    answer: &Answer,
    status: RateLimitStatus,
    settings: Settings,
    now: UnixMillis,
    correlation_id: impl FnOnce() -> String,
) {
    let to_add = &mut response.response_headers_to_add;
    if answer.over && settings.denial_body {
        let mut denial = Denial::rate_limited(status);
        denial.limit_headers = settings.header_form;
        let denial = denial.render(&correlation_id(), now, false);
        response.raw_body = denial.body.into_bytes();
        let tells_limit =
            |name: &'static str| name == RETRY_AFTER || RateLimitStatus::HEADERS.contains(&name);
        let headers = denial.headers.into_iter();
        let headers = headers.filter(|(name, _)| settings.headers || !tells_limit(name));
        to_add.extend(headers.map(|(name, value)| header(name, value)));
    } else if settings.headers {
        to_add.reserve_exact(RateLimitStatus::HEADERS.len() + usize::from(answer.over));
        status.for_each_header(settings.header_form, |name, value| {
            to_add.push(header(name, value.to_owned()));
        });
        if answer.over {
            to_add.push(header(RETRY_AFTER, status.reset_secs.max(1).to_string()));
        }
    }
}

fn header(name: &str, value: String) -> HeaderValue {
    HeaderValue { key: name.to_owned(), value, ..HeaderValue::default() }
}

/// Envoy does not say which request it asks for, unless it is made to.
fn correlation_id(metadata: &MetadataMap) -> String {
    let value = |name: &str| metadata.get(name).map(|value| value.as_bytes());
    correlation::choose(value(headers::CORRELATION_ID), value(headers::REQUEST_ID), fresh_id)
}

/// It must be another one each time and need not be hard to guess, so the standard library's
/// seeds will do.
pub(crate) fn fresh_id() -> u128 {
    let half = || u128::from(RandomState::new().build_hasher().finish());
    (half() << 64) | half()
}

#[cfg(test)]
mod tests;
