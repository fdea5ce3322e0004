//! Envoy's messages: converted in, and out.

use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3::{ControlPlane, Node};
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
    Resource as SentResource,
};
use envoy_types::pb::google::protobuf::Any;
use envoy_types::pb::google::rpc;
use postern_xds::{Answer, Ask, Names, Protocol, Resource};

/// Who speaks, for Envoys that ask.
const IDENTIFIER: &str = "postern";

/// What an Envoy says.
pub(crate) struct Said {
    /// Who it is; in the first message.
    pub(crate) node: Option<Node>,
    /// What about.
    pub(crate) type_url: String,
    pub(crate) ask: Ask,
}

/// One form of the protocol.
pub(crate) trait Wire: 'static {
    type Request: Send + 'static;
    type Response: Send + 'static;
    const PROTOCOL: Protocol;

    fn read(request: Self::Request) -> Said;
    fn write(answer: &Answer) -> Self::Response;
}

/// What is different.
pub(crate) struct Delta;

/// What there is.
pub(crate) struct World;

impl Wire for Delta {
    type Request = DeltaDiscoveryRequest;
    type Response = DeltaDiscoveryResponse;
    const PROTOCOL: Protocol = Protocol::Delta;

    fn read(request: DeltaDiscoveryRequest) -> Said {
        let names = Names::Change {
            subscribe: request.resource_names_subscribe,
            unsubscribe: request.resource_names_unsubscribe,
            has: request.initial_resource_versions.into_iter().collect(),
        };
        let ask = Ask {
            nonce: nonce(&request.response_nonce),
            error: error(request.error_detail),
            names,
        };
        Said { node: request.node, type_url: request.type_url, ask }
    }

    fn write(answer: &Answer) -> DeltaDiscoveryResponse {
        let resources = answer.resources.iter().map(|resource| SentResource {
            name: resource.name.to_string(),
            version: resource.version.to_string(),
            resource: Some(message(resource)),
            ..SentResource::default()
        });
        DeltaDiscoveryResponse {
            system_version_info: answer.label.to_string(),
            resources: resources.collect(),
            type_url: answer.kind.type_url().to_owned(),
            removed_resources: answer.removed.iter().map(ToString::to_string).collect(),
            nonce: answer.nonce.to_string(),
            control_plane: Some(control_plane()),
            ..DeltaDiscoveryResponse::default()
        }
    }
}

impl Wire for World {
    type Request = DiscoveryRequest;
    type Response = DiscoveryResponse;
    const PROTOCOL: Protocol = Protocol::StateOfTheWorld;

    fn read(request: DiscoveryRequest) -> Said {
        let ask = Ask {
            nonce: nonce(&request.response_nonce),
            error: error(request.error_detail),
            names: Names::All(request.resource_names),
        };
        Said { node: request.node, type_url: request.type_url, ask }
    }

    fn write(answer: &Answer) -> DiscoveryResponse {
        let Answer { label, version, .. } = answer;
        DiscoveryResponse {
            // The document for people, and what makes a difference.
            version_info: format!("{label}-{version}"),
            resources: answer.resources.iter().map(message).collect(),
            type_url: answer.kind.type_url().to_owned(),
            nonce: answer.nonce.to_string(),
            control_plane: Some(control_plane()),
            ..DiscoveryResponse::default()
        }
    }
}

fn message(resource: &Arc<Resource>) -> Any {
    Any { type_url: resource.kind.type_url().to_owned(), value: resource.body.to_vec() }
}

fn control_plane() -> ControlPlane {
    ControlPlane { identifier: IDENTIFIER.to_owned() }
}

/// One that is none of ours is that of no answer.
fn nonce(text: &str) -> Option<u64> {
    (!text.is_empty()).then(|| text.parse().unwrap_or(0))
}

fn error(detail: Option<rpc::Status>) -> Option<String> {
    detail.map(|status| status.message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use postern_xds::{Kind, Version};

    #[test]
    fn what_is_said_is_read_in_both_forms() {
        let detail = || Some(rpc::Status { message: "no".to_owned(), ..rpc::Status::default() });
        let said = Delta::read(DeltaDiscoveryRequest {
            type_url: "t".to_owned(),
            resource_names_subscribe: vec!["a".to_owned()],
            resource_names_unsubscribe: vec!["b".to_owned()],
            initial_resource_versions: [("c".to_owned(), "1".to_owned())].into(),
            response_nonce: "7".to_owned(),
            error_detail: detail(),
            ..DeltaDiscoveryRequest::default()
        });
        assert_eq!(said.type_url, "t");
        let names = Names::Change {
            subscribe: vec!["a".to_owned()],
            unsubscribe: vec!["b".to_owned()],
            has: vec![("c".to_owned(), "1".to_owned())],
        };
        let error = Some("no".to_owned());
        assert_eq!(said.ask, Ask { nonce: Some(7), error: error.clone(), names });
        let said = World::read(DiscoveryRequest {
            resource_names: vec!["a".to_owned()],
            response_nonce: "another server's".to_owned(),
            error_detail: detail(),
            ..DiscoveryRequest::default()
        });
        let names = Names::All(vec!["a".to_owned()]);
        assert_eq!(said.ask, Ask { nonce: Some(0), error, names });
        assert_eq!(World::read(DiscoveryRequest::default()).ask.nonce, None);
    }

    #[test]
    fn answers_are_written_in_both_forms() {
        let resource = Resource {
            kind: Kind::Routes,
            name: "r".into(),
            version: Version::of(["v".as_bytes()]),
            body: Arc::from(b"body".as_slice()),
        };
        let answer = Answer {
            kind: Kind::Routes,
            nonce: 7,
            version: Version::of(["all".as_bytes()]),
            label: "digest".into(),
            resources: vec![Arc::new(resource.clone())],
            removed: vec!["gone".into()],
        };
        let any = Any {
            type_url: "type.googleapis.com/envoy.config.route.v3.RouteConfiguration".to_owned(),
            value: b"body".to_vec(),
        };
        let delta = Delta::write(&answer);
        assert_eq!((delta.type_url.as_str(), delta.nonce.as_str()), (any.type_url.as_str(), "7"));
        assert_eq!(delta.removed_resources, ["gone"]);
        assert_eq!(delta.resources[0].version, resource.version.to_string());
        assert_eq!(delta.resources[0].resource, Some(any.clone()));
        let world = World::write(&answer);
        assert_eq!((world.resources, world.nonce.as_str()), (vec![any], "7"));
        assert!(world.version_info.starts_with("digest-"), "{}", world.version_info);
    }
}
