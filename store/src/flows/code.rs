//! Authorization codes.

/// What became of an authorization code (RFC 6749 §4.1.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redeemed {
    /// The first time: what was kept under it.
    Fresh(Vec<u8>),
    /// It was used before; the mark of whoever used it.
    Used(Vec<u8>),
    /// There is no such code, or its time is over.
    Unknown,
}
