//! The authorization server over HTTP: reads requests into the protocol's terms, asks stores and
//! clock, writes the answers. What a client is told and what the log says are two texts.

pub(crate) mod oauth;
pub(crate) mod reply;
pub(crate) mod router;

pub use router::{Browsers, Identity, Told, router};

#[cfg(test)]
mod tests;
