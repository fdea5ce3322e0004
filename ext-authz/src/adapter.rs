//! Envoy's protocol (`envoy.service.auth.v3.Authorization`): converted in, asked, converted out.

use std::collections::HashMap;
use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3::{
    HeaderValue, HeaderValueOption, address, header_value_option::HeaderAppendAction,
};
use envoy_types::pb::envoy::service::auth::v3::authorization_server::{
    Authorization, AuthorizationServer,
};
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{
    AttributeContext, CheckRequest, CheckResponse, DeniedHttpResponse, OkHttpResponse,
    attribute_context,
};
use envoy_types::pb::envoy::r#type::v3::HttpStatus;
use envoy_types::pb::google::protobuf::{Struct, Value, value::Kind};
use envoy_types::pb::google::rpc::Status as RpcStatus;
use postern_request::evidence::{Evidence, METADATA_KEY};
use postern_request::{RenderedDenial, address as client_address};
use postern_telemetry::Moment;
use tonic::{Request, Response, Status};

use crate::authorizer::{Answer, Authorizer, Incoming};

/// google.rpc.Code
const OK: i32 = 0;
const PERMISSION_DENIED: i32 = 7;

/// The gRPC service.
#[derive(Clone)]
pub struct AuthorizationService {
    authorizer: Arc<Authorizer>,
}

impl AuthorizationService {
    /// Serves an authorizer.
    #[must_use]
    pub fn server(authorizer: Arc<Authorizer>) -> AuthorizationServer<Self> {
        AuthorizationServer::new(Self { authorizer })
    }
}

#[tonic::async_trait]
impl Authorization for AuthorizationService {
    async fn check(
        &self,
        request: Request<CheckRequest>,
    ) -> Result<Response<CheckResponse>, Status> {
        let attributes = request.into_inner().attributes;
        let incoming = attributes
            .and_then(read)
            .ok_or_else(|| Status::invalid_argument("a CheckRequest without an HTTP request"))?;
        let answer = self.authorizer.check(&incoming, Moment::now().wall).await;
        Ok(Response::new(match answer {
            Answer::Allow(evidence) => allow(&evidence),
            Answer::Deny(denial) => deny(denial),
        }))
    }
}

fn read(attributes: AttributeContext) -> Option<Incoming> {
    let address = attributes.source.and_then(read_address);
    let http = attributes.request?.http?;
    let attribute_context::HttpRequest { method, path, host, headers, header_map, .. } = http;
    // With `encode_raw_headers` every header is there as it came; without (Istio has no switch
    // for it) repeated ones are joined by commas, which no token survives.
    let headers = match header_map {
        Some(map) if !map.headers.is_empty() => map
            .headers
            .into_iter()
            .map(|header| {
                let value = if header.raw_value.is_empty() {
                    header.value.into_bytes()
                } else {
                    header.raw_value
                };
                (header.key, value)
            })
            .collect(),
        _ => from_map(headers),
    };
    Some(Incoming { method, authority: host, target: path, headers, address })
}

fn from_map(headers: HashMap<String, String>) -> Vec<(String, Vec<u8>)> {
    headers.into_iter().map(|(name, value)| (name, value.into_bytes())).collect()
}

fn read_address(peer: attribute_context::Peer) -> Option<std::net::IpAddr> {
    match peer.address?.address? {
        address::Address::SocketAddress(socket) => client_address::parse(&socket.address),
        _ => None,
    }
}

fn allow(evidence: &Evidence) -> CheckResponse {
    let value = Value { kind: Some(Kind::StringValue(evidence.encode())) };
    let metadata = Struct { fields: HashMap::from([(METADATA_KEY.to_owned(), value)]) };
    CheckResponse {
        status: Some(RpcStatus { code: OK, ..RpcStatus::default() }),
        http_response: Some(HttpResponse::OkResponse(OkHttpResponse::default())),
        dynamic_metadata: Some(metadata),
    }
}

fn deny(denial: RenderedDenial) -> CheckResponse {
    let headers = denial.headers.into_iter().map(|(name, value)| HeaderValueOption {
        header: Some(HeaderValue { key: name.to_owned(), value, ..HeaderValue::default() }),
        append_action: HeaderAppendAction::OverwriteIfExistsOrAdd.into(),
        ..HeaderValueOption::default()
    });
    CheckResponse {
        status: Some(RpcStatus { code: PERMISSION_DENIED, ..RpcStatus::default() }),
        http_response: Some(HttpResponse::DeniedResponse(DeniedHttpResponse {
            status: Some(HttpStatus { code: i32::from(denial.status) }),
            headers: headers.collect(),
            body: denial.body,
        })),
        dynamic_metadata: None,
    }
}
