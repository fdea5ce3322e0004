//! The configuration of envoyproxy/ratelimit: domains, trees of descriptors, and which rule a
//! request's descriptor falls under.
//!
//! Texts become [`Descriptors`], all problems of all files in one run. [`Descriptors::find`]
//! goes down one level an entry: the exact value first, then values with `*`, the most of
//! literal text first, then the key alone. It never goes back up: an exact value without a
//! rule is how an exception is written. A rule counts only where it is as deep as the
//! descriptor is long.
//!
//! Where this differs from that service: `*` counts by how much it leaves open, not by the
//! order of lines; keys and values are compared apart, so `a_b` is never `a` with the value
//! `b`; unknown fields are refused where they stand, and so is a rule without
//! `requests_per_unit`, which there refuses everything.
//!
//! Deliberately absent: reading files, counting, the protocol, and its numbers for units.

mod fields;
mod key;
mod limit;
mod load;
mod pattern;
mod reader;
mod replaces;
mod rule;
mod tree;
mod unit;

pub use key::counter_key;
pub use postern_document::{Problem, Source};
pub use replaces::drop_replaced;
pub use rule::{Allowed, Match, Rule};
pub use tree::Descriptors;
pub use unit::Unit;

/// How deep descriptors nest at most; the service takes no longer ones from requests either.
/// In YAML each takes two levels, and the reader's own bound may come first.
pub const MAX_DEPTH: usize = 32;
/// How many descriptors all files may hold together.
pub const MAX_DESCRIPTORS: usize = 100_000;
/// How many bytes the keys and values down to a descriptor may take together; the service takes
/// no more from requests either.
pub const MAX_PATH_BYTES: usize = 16 << 10;

#[cfg(test)]
mod tests;
