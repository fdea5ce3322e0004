//! What a client says.

/// What a client says about one kind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ask {
    /// The answer that it judges; none where it judges none.
    pub nonce: Option<u64>,
    /// Why it refuses that answer; none where it has taken it.
    pub error: Option<String>,
    /// What it wants.
    pub names: Names,
}

/// What a client wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Names {
    /// State of the world: these, and nothing else. None at the beginning: all, of a kind that is
    /// sent whole.
    All(Vec<String>),
    /// Delta: what is different from before.
    Change {
        /// These too; `*` for all. None at the beginning: as in the state of the world.
        subscribe: Vec<String>,
        /// These no more.
        unsubscribe: Vec<String>,
        /// What it has from an earlier stream, with its versions; counts at the beginning alone.
        has: Vec<(String, String)>,
    },
}

impl Default for Names {
    fn default() -> Self {
        Self::Change { subscribe: Vec::new(), unsubscribe: Vec::new(), has: Vec::new() }
    }
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// It has said what it wants.
    Asked,
    /// It has taken an answer.
    Taken,
    /// It has refused one.
    Refused,
    /// It judges an answer that is not waited for any more.
    Stale,
}

/// Why a client is not listened to any longer: its fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooMuch {
    /// [`crate::Bounds::names`]
    #[error("more names than a stream may subscribe to")]
    Names,
    /// [`crate::Bounds::name_bytes`]
    #[error("a name that is longer than any may be")]
    Name,
}
