//! Who an Envoy says it is.

use std::collections::BTreeMap;

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::config::core::v3::node::UserAgentVersionType;
use envoy_types::pb::google::protobuf::{Struct, Value, value::Kind};
use postern_render::envoy::{MAX_NODE_ID_BYTES, is_node_id};

/// The member of a node's metadata that `render` writes.
const METADATA: &str = "postern";
/// The longest value of an option: paths have 4096 bytes at most.
const MAX_VALUE_BYTES: usize = 4096;
/// How many options there may be. There are eleven.
const MAX_OPTIONS: usize = 16;

/// The options of an Envoy that what it is told depends on, by their names.
pub(crate) type Told = BTreeMap<String, String>;

/// An Envoy, as it introduces itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Introduced {
    /// Its name for itself.
    pub(crate) id: String,
    /// Its version; empty where it does not say.
    pub(crate) version: String,
    /// What it was rendered with.
    pub(crate) told: Told,
}

/// Why somebody is no Envoy of ours: its fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NodeError {
    #[error("the first message must say who sends it (`node`)")]
    Missing,
    #[error("`node.id` must have 1 to {} characters, all of them visible ASCII", MAX_NODE_ID_BYTES)]
    Id,
    #[error(
        "`node.metadata.postern` must hold texts, as `postern render envoy --source ads` writes \
         them"
    )]
    Metadata,
}

/// Reads the introduction in an Envoy's first message.
pub(crate) fn read(node: Option<Node>) -> Result<Introduced, NodeError> {
    let node = node.ok_or(NodeError::Missing)?;
    if !is_node_id(&node.id) {
        return Err(NodeError::Id);
    }
    let metadata = node.metadata.and_then(|mut metadata| metadata.fields.remove(METADATA));
    let told = metadata.and_then(|Value { kind }| match kind {
        Some(Kind::StructValue(members)) => texts(members),
        _ => None,
    });
    let told = told.ok_or(NodeError::Metadata)?;
    Ok(Introduced { id: node.id, version: version(node.user_agent_version_type), told })
}

fn texts(members: Struct) -> Option<Told> {
    if members.fields.len() > MAX_OPTIONS {
        return None;
    }
    let text = |(name, Value { kind }): (String, Value)| match kind {
        Some(Kind::StringValue(value)) if value.len() <= MAX_VALUE_BYTES => Some((name, value)),
        _ => None,
    };
    members.fields.into_iter().map(text).collect()
}

fn version(version: Option<UserAgentVersionType>) -> String {
    match version {
        Some(UserAgentVersionType::UserAgentBuildVersion(build)) => {
            let version = build.version.unwrap_or_default();
            format!("{}.{}.{}", version.major_number, version.minor_number, version.patch)
        }
        Some(UserAgentVersionType::UserAgentVersion(_)) | None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn an_envoy_says_who_it_is_and_how_it_was_rendered() {
        let found = read(Some(testing::node("edge-1", &testing::edge()))).unwrap();
        assert_eq!((found.id.as_str(), found.version.as_str()), ("edge-1", "1.40.0"));
        assert_eq!(found.told, testing::edge());
    }

    #[test]
    fn who_does_not_is_told_nothing() {
        assert_eq!(read(None), Err(NodeError::Missing));
        for id in ["", "a b", "a\n", "é", &"a".repeat(257)] {
            let node = testing::node(id, &testing::edge());
            assert_eq!(read(Some(node)), Err(NodeError::Id), "{id:?}");
        }
        let good = testing::node("a", &testing::edge());
        assert_eq!(read(Some(Node { metadata: None, ..good.clone() })), Err(NodeError::Metadata));
        let many = (0..17).map(|name| (name.to_string(), String::new())).collect();
        let long = Told::from([("wasm".to_owned(), "a".repeat(4097))]);
        for told in [many, long] {
            assert_eq!(read(Some(testing::node("a", &told))), Err(NodeError::Metadata));
        }
        let mut other = good;
        let fields = &mut other.metadata.as_mut().unwrap().fields;
        fields.insert(METADATA.to_owned(), Value { kind: Some(Kind::BoolValue(true)) });
        assert_eq!(read(Some(other)), Err(NodeError::Metadata));
    }
}
