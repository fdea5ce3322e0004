//! What is sent.

use std::sync::Arc;

use crate::kind::Kind;
use crate::resource::{Resource, Version};

/// What to send next.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Of which kind.
    pub kind: Kind,
    /// By which the client's judgement finds back; unique in its stream.
    pub nonce: u64,
    /// What all resources of the kind say together.
    pub version: Version,
    /// What they were made from.
    pub label: Arc<str>,
    /// What there is. In the state of the world: all of it for a kind that is sent whole.
    pub resources: Vec<Arc<Resource>>,
    /// What there is no more, or never was. The state of the world has no words for it.
    pub removed: Vec<Arc<str>>,
}
