//! The feed.

pub mod v1;
