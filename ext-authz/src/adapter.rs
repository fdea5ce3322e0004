//! Envoy's protocol (`envoy.service.auth.v3.Authorization`): converted in, asked, converted out.

use std::collections::HashMap;
use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3::{
    Address, HeaderValue, HeaderValueOption, address, header_value_option::HeaderAppendAction,
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
use postern_request::evidence::{DOCUMENT_METADATA, Evidence, METADATA_KEY, SETTLE_KEY};
use postern_request::headers::{CIRCUITS_BY_BUNDLE, CIRCUITS_METADATA};
use postern_request::{RenderedDenial, address as client_address};
use postern_telemetry::Moment;
use tonic::metadata::MetadataMap;
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
        let told = document_of(request.metadata());
        let keeps_circuits = keeps_circuits(request.metadata());
        let attributes = request.into_inner().attributes;
        let incoming = attributes
            .and_then(read)
            .ok_or_else(|| Status::invalid_argument("a CheckRequest without an HTTP request"))?;
        let document = incoming.document.or(told);
        let incoming = Incoming { document, keeps_circuits, ..incoming };
        let answer = self.authorizer.check(&incoming, Moment::now().wall).await;
        Ok(Response::new(match answer {
            Answer::Allow { evidence, settle } => allow(&evidence, settle),
            Answer::Deny(denial) => deny(denial),
        }))
    }
}

/// The digest of the document that an Envoy runs, where its calls say so.
#[must_use]
pub fn document_of(metadata: &MetadataMap) -> Option<String> {
    // The last one: what stands before it may be somebody else's.
    let told = metadata.get_all(DOCUMENT_METADATA).iter().next_back()?;
    told.to_str().ok().map(str::to_owned)
}

/// Whether an Envoy says of itself that its bundle keeps circuits. It is the Envoy's configuration
/// that says so, and nothing that a client can send.
#[must_use]
pub fn keeps_circuits(metadata: &MetadataMap) -> bool {
    metadata
        .get(CIRCUITS_METADATA)
        .is_some_and(|who| who.as_bytes() == CIRCUITS_BY_BUNDLE.as_bytes())
}

/// The document is there where the configuration of routes says which it is, rather than the filter.
fn read(mut attributes: AttributeContext) -> Option<Incoming> {
    let document = attributes.context_extensions.remove(DOCUMENT_METADATA);
    let attribute_context::Peer { address, certificate, principal, .. } =
        attributes.source.unwrap_or_default();
    let address = address.and_then(read_address);
    let given = |text: String| Some(text).filter(|text| !text.is_empty());
    let (certificate, peer) = (given(certificate), given(principal));
    let http = attributes.request?.http?;
    let attribute_context::HttpRequest { method, scheme, path, host, headers, header_map, .. } =
        http;
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
    let (authority, target) = (host, path);
    Some(Incoming {
        method,
        scheme,
        authority,
        target,
        headers,
        address,
        certificate,
        peer,
        document,
        keeps_circuits: false,
    })
}

fn from_map(headers: HashMap<String, String>) -> Vec<(String, Vec<u8>)> {
    headers.into_iter().map(|(name, value)| (name, value.into_bytes())).collect()
}

fn read_address(address: Address) -> Option<std::net::IpAddr> {
    match address.address? {
        address::Address::SocketAddress(socket) => client_address::parse(&socket.address),
        _ => None,
    }
}

fn allow(evidence: &Evidence, settle: Option<String>) -> CheckResponse {
    let text = |text: String| Value { kind: Some(Kind::StringValue(text)) };
    let mut fields = HashMap::from([(METADATA_KEY.to_owned(), text(evidence.encode()))]);
    if let Some(ticket) = settle {
        fields.insert(SETTLE_KEY.to_owned(), text(ticket));
    }
    let metadata = Struct { fields };
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

#[cfg(test)]
mod tests {
    use super::*;
    use envoy_types::pb::envoy::config::core::v3::{HeaderMap, SocketAddress};

    fn attributes(http: attribute_context::HttpRequest) -> AttributeContext {
        let socket = SocketAddress { address: "192.0.2.1".to_owned(), ..SocketAddress::default() };
        let address = Address { address: Some(address::Address::SocketAddress(socket)) };
        let source = attribute_context::Peer {
            address: Some(address),
            certificate: "PEM".to_owned(),
            principal: "spiffe://mesh/web".to_owned(),
            ..attribute_context::Peer::default()
        };
        let request = attribute_context::Request { http: Some(http), ..Default::default() };
        AttributeContext {
            source: Some(source),
            request: Some(request),
            ..AttributeContext::default()
        }
    }

    #[test]
    fn what_envoy_tells_is_read_whole() {
        let header = |value: &str, raw: &[u8]| HeaderValue {
            key: "x".to_owned(),
            value: value.to_owned(),
            raw_value: raw.to_vec(),
        };
        let headers = vec![header("", b"\xff"), header("b", b"")];
        let http = attribute_context::HttpRequest {
            method: "GET".to_owned(),
            scheme: "https".to_owned(),
            host: "a.test".to_owned(),
            path: "/x?y=1".to_owned(),
            header_map: Some(HeaderMap { headers }),
            ..attribute_context::HttpRequest::default()
        };
        let expected = Incoming {
            method: "GET".to_owned(),
            scheme: "https".to_owned(),
            authority: "a.test".to_owned(),
            target: "/x?y=1".to_owned(),
            headers: vec![("x".to_owned(), b"\xff".to_vec()), ("x".to_owned(), b"b".to_vec())],
            address: Some([192, 0, 2, 1].into()),
            certificate: Some("PEM".to_owned()),
            peer: Some("spiffe://mesh/web".to_owned()),
            document: None,
            keeps_circuits: false,
        };
        assert_eq!(read(attributes(http)), Some(expected));
    }

    #[test]
    fn an_envoy_says_which_document_it_runs() {
        let mut metadata = MetadataMap::new();
        assert_eq!(document_of(&metadata), None);
        metadata.append(DOCUMENT_METADATA, "somebody's".parse().unwrap());
        metadata.append(DOCUMENT_METADATA, "00ff".parse().unwrap());
        assert_eq!(document_of(&metadata).as_deref(), Some("00ff"));
        let told = HashMap::from([(DOCUMENT_METADATA.to_owned(), "ff00".to_owned())]);
        let http = attribute_context::HttpRequest::default();
        let by_route = AttributeContext { context_extensions: told, ..attributes(http) };
        assert_eq!(read(by_route).unwrap().document.as_deref(), Some("ff00"));
    }

    #[test]
    fn only_an_envoy_that_says_so_keeps_circuits() {
        let mut metadata = MetadataMap::new();
        assert!(!keeps_circuits(&metadata));
        for (who, expected) in [("server", false), ("bundle", true)] {
            metadata.insert(CIRCUITS_METADATA, who.parse().unwrap());
            assert_eq!(keeps_circuits(&metadata), expected, "{who}");
        }
    }

    #[test]
    fn a_ticket_goes_beside_the_evidence() {
        let evidence = Evidence {
            route: "r".to_owned(),
            document: "d".to_owned(),
            principal: None,
            limit: None,
            shown_certificate: None,
            shown_key: None,
            stepped_up: false,
        };
        let fields = |settle: Option<&str>| {
            let answer = allow(&evidence, settle.map(str::to_owned));
            let metadata = answer.dynamic_metadata.unwrap();
            let read = |(name, value): (String, Value)| match value.kind {
                Some(Kind::StringValue(text)) => (name, text),
                other => panic!("{other:?}"),
            };
            let mut fields: Vec<(String, String)> = metadata.fields.into_iter().map(read).collect();
            fields.sort();
            fields
        };
        let own = ("postern".to_owned(), evidence.encode());
        assert_eq!(
            fields(None),
            std::slice::from_ref(&own),
            "the log's filter goes by whether it is there"
        );
        assert_eq!(fields(Some("ticket")), [own, ("settle".to_owned(), "ticket".to_owned())]);
    }

    #[test]
    fn without_a_peer_there_is_neither_address_nor_certificate() {
        let http = attribute_context::HttpRequest {
            headers: HashMap::from([("x".to_owned(), "a".to_owned())]),
            ..attribute_context::HttpRequest::default()
        };
        let bare = AttributeContext { source: None, ..attributes(http.clone()) };
        let read_bare = read(bare).unwrap();
        assert_eq!((read_bare.address, read_bare.certificate), (None, None));
        assert_eq!(read_bare.peer, None);
        assert_eq!(read_bare.headers, [("x".to_owned(), b"a".to_vec())]);
        let mut without = attributes(http);
        without.source = Some(attribute_context::Peer::default());
        let read_without = read(without).unwrap();
        let texts = (read_without.certificate, read_without.peer);
        assert_eq!(texts, (None, None), "an empty text is none");
        assert_eq!(read(AttributeContext::default()), None);
    }
}
