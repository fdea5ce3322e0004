//! The gateway document as configuration of Envoy and Istio.
//!
//! Output is stable and sorted: the same document gives the same bytes, so a difference in a
//! pull request is a difference in meaning. What cannot be expressed is an error, never left out.

mod circuits;
pub mod envoy;
mod feed;
pub mod import;
pub mod istio;
mod manifests;
mod path_tree;
mod places;
mod rate_limit;
pub mod review;
mod routing;
mod security_headers;
mod settlement;
mod traffic;
mod yaml;

#[cfg(test)]
mod tests;
