//! The test kit: starts the real parts on free ports, talks to them, and cleans up.
//!
//! A [`gateway::Gateway`] is a whole stack (sample upstream, Redis where asked for, `postern
//! serve`, Envoy with the bundle) that runs as long as the value lives. Nothing here knows the
//! server's code: the kit runs the binaries that it is told of by environment variables.
//!
//! The kit panics instead of returning errors: a part that does not start is a failed test,
//! and the panic says where to look. What a program wrote is printed when its test fails.
//!
//! Deliberately absent: skipping. A missing part fails the test; the one exception is
//! [`redis::is_skipped`].
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "test code: a panic is how it reports, and standard error is where it explains"
)]

pub mod browser;
pub mod client;
pub mod config_map;
pub mod consul;
pub mod documents;
pub mod env;
pub mod envoy;
pub mod fault_proxy;
pub mod faulty_module;
pub mod gateway;
pub mod grpc;
pub mod keys;
pub mod load;
pub mod oauth;
pub mod passkey;
mod plain_http;
pub mod policies;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod provider;
pub mod raw;
pub mod redis;
pub mod replay;
pub mod server;
pub mod totp;
pub mod upstream;
pub mod wait;
pub mod watch;
