//! Postern's own protocols, as `postern/**/*.proto` in this folder describe them.
//!
//! The messages are written by hand: few, and no build waits for a generator. A test compiles
//! the `.proto` files and compares. By default there is nothing here but messages and their
//! framing, for filters too; the features `server` and `grpc-client` add tonic.
//!
//! Deliberately absent: what the messages mean to either side, and Envoy's own protocols.

mod answered;
pub mod feed;
pub mod framing;

pub use answered::{Answered, CallError};
