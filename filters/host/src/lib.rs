//! Envoy as the filters see it. The only crate that knows proxy-wasm.
//!
//! Two halves: traits and values that any host can offer (so that the stages run in plain
//! tests), and, on wasm32, their implementation over the proxy-wasm SDK.
//!
//! The SDK panics on texts that are not UTF-8 and on statuses that it does not expect; here
//! only its byte-wise calls are used, and every call with a status that can occur is mapped.

mod foreign;
mod port;
mod verifier;

#[cfg(target_arch = "wasm32")]
mod envoy;
#[cfg(target_arch = "wasm32")]
pub mod plugin;

pub use foreign::ForeignFunctions;
pub use port::{Answer, Effects, HeaderList, HttpCall, Outcome, Plugin, RequestHost};
pub use verifier::{HostVerifier, SoftBudget, VerifierSupport};

#[cfg(target_arch = "wasm32")]
pub use envoy::EnvoyHost;

#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub use proxy_wasm;

/// Makes a module of a plugin: its entry point, and everything Envoy calls.
#[macro_export]
macro_rules! filter {
    ($plugin:ty) => {
        $crate::proxy_wasm::main! {{ $crate::plugin::run::<$plugin>(); }}
    };
}
