//! How Envoys ask the server, and which of them may.

pub use crate::raw::RawForwardedCert as ForwardedCert;

/// How Envoys ask the server for revoked tokens and keys.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Feed {
    /// Whose word on an Envoy's certificate the server takes; nobody's where it is none.
    pub forwarded_client_cert: Option<ForwardedCert>,
    /// How often they ask, in milliseconds; none where each question waits for its answer.
    pub poll_ms: Option<u64>,
    /// Who may ask from other machines. Not part of what filters get.
    pub peers: Vec<FeedPeer>,
}

/// Envoys that may ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedPeer {
    /// How they prove it.
    pub identity: FeedIdentity,
    /// What they may ask for; at least one.
    pub workloads: Vec<String>,
}

/// How an Envoy proves who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FeedIdentity {
    /// By a certificate of the mesh with this SPIFFE id.
    Spiffe(String),
    /// By a credential.
    Credential {
        /// Its name, for logs and quotas.
        name: String,
        /// SHA-256 of the credential.
        sha256: [u8; 32],
    },
}
