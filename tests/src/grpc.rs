//! The server asked as Envoy asks it, without an Envoy in between.

use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::HeaderValueOption;
use envoy_types::pb::envoy::service::auth::v3::attribute_context::HttpRequest;
use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{
    AttributeContext, CheckRequest, CheckResponse, DeniedHttpResponse, attribute_context,
};
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_service_client::RateLimitServiceClient;
use envoy_types::pb::envoy::service::ratelimit::v3::{RateLimitRequest, RateLimitResponse};
use envoy_types::pb::google::protobuf::value::Kind;
use serde_json::Value;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use crate::ports;

/// The longest that a call may take.
const LONGEST: Duration = Duration::from_secs(20);
/// What `ext_authz` writes for the bundle, in its dynamic metadata.
const EVIDENCE: &str = "postern";
/// By which an Envoy says which document it runs.
const DOCUMENT: &str = "x-postern-document";

/// A connection to a server's gRPC port; made with the first call, and again after a loss.
#[derive(Debug, Clone)]
pub struct Grpc(Channel);

/// What `ext_authz` says of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// 200 where the request may pass, else the status of the refusal.
    pub status: u16,
    /// What is left of the tightest limit; none where no limit was counted.
    pub left: Option<u64>,
}

impl Grpc {
    /// A connection that nobody else uses.
    ///
    /// # Panics
    /// Outside of a runtime.
    #[must_use]
    pub fn to(port: u16) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{}", ports::local(port)));
        let endpoint = endpoint.expect("an address").timeout(LONGEST);
        Self(endpoint.connect_lazy())
    }

    /// Asks `ext_authz` about a `GET`.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn check(&self, path: &str, headers: &[(&str, &str)]) -> Verdict {
        Verdict::of(&self.ask(None, path, headers).await)
    }

    /// By which document `ext_authz` judges a `GET` through an Envoy that says that it runs this
    /// one, or says nothing.
    ///
    /// # Panics
    /// When the request may not pass.
    pub async fn judged_by(&self, told: Option<&str>, path: &str) -> String {
        let evidence = evidence(&self.ask(told, path, &[]).await).expect("evidence");
        evidence["document"].as_str().expect("a digest").to_owned()
    }

    async fn ask(&self, told: Option<&str>, path: &str, headers: &[(&str, &str)]) -> CheckResponse {
        let text = |text: &str| text.to_owned();
        let http = HttpRequest {
            method: text("GET"),
            scheme: text("http"),
            host: text("gateway.test"),
            path: text(path),
            headers: headers.iter().map(|(name, value)| (text(name), text(value))).collect(),
            ..HttpRequest::default()
        };
        let request = attribute_context::Request { http: Some(http), ..Default::default() };
        let attributes = AttributeContext { request: Some(request), ..Default::default() };
        let mut message = Request::new(CheckRequest { attributes: Some(attributes) });
        if let Some(told) = told {
            message.metadata_mut().insert(DOCUMENT, told.parse().expect("a digest"));
        }
        let answer = AuthorizationClient::new(self.0.clone()).check(message).await;
        answer.unwrap_or_else(|status| panic!("{path}: {status}")).into_inner()
    }

    /// Asks the rate limit service.
    ///
    /// # Errors
    /// What it says in place of an answer.
    pub async fn should_rate_limit(
        &self,
        message: RateLimitRequest,
    ) -> Result<RateLimitResponse, Status> {
        let mut client = RateLimitServiceClient::new(self.0.clone());
        client.should_rate_limit(message).await.map(tonic::Response::into_inner)
    }
}

impl Verdict {
    fn of(answer: &CheckResponse) -> Self {
        match &answer.http_response {
            Some(HttpResponse::DeniedResponse(denied)) => Self::of_refusal(denied),
            Some(HttpResponse::OkResponse(_)) => Self { status: 200, left: left(answer) },
            other => panic!("neither yes nor no: {other:?}"),
        }
    }

    fn of_refusal(denied: &DeniedHttpResponse) -> Self {
        let status = denied.status.as_ref().and_then(|status| u16::try_from(status.code).ok());
        let value = |option: &HeaderValueOption| {
            let header = option.header.as_ref()?;
            (header.key == "x-ratelimit-remaining").then(|| header.value.parse().ok())?
        };
        let left = denied.headers.iter().find_map(value);
        Self { status: status.expect("a status"), left }
    }
}

fn left(answer: &CheckResponse) -> Option<u64> {
    // Limit, what is left, seconds until there is more, seconds of a window.
    evidence(answer)?["limit"].get(1)?.as_u64()
}

/// What the bundle gets of an answer.
fn evidence(answer: &CheckResponse) -> Option<Value> {
    let Some(Kind::StringValue(evidence)) =
        &answer.dynamic_metadata.as_ref()?.fields.get(EVIDENCE)?.kind
    else {
        return None;
    };
    Some(serde_json::from_str(evidence).expect("JSON"))
}
