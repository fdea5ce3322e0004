//! The rate limit service of `postern serve`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// What becomes of a limit of the rate limit service while the volatile store is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RateLimitFailure {
    /// The call fails, and `failure_mode_deny` of Envoy's filter decides.
    Deny,
    /// The request passes.
    Allow,
    /// Each replica counts its share of the limit in its own memory.
    #[value(name = "local_share")]
    LocalShare,
}

/// The rate limit service of `postern serve`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Rate limit service")]
pub struct RateLimit {
    /// Answer Envoy's `ratelimit` filters by this configuration of envoyproxy/ratelimit: a file,
    /// or a folder of *.yaml files. Read again when it changes.
    #[arg(long, value_name = "PATH")]
    pub rate_limit_config: Option<PathBuf>,
    /// Take a domain that several files configure for one domain.
    #[arg(long, requires = "rate_limit_config")]
    pub rate_limit_merge_domains: bool,
    /// What becomes of its limits while the volatile store is away.
    #[arg(long, value_enum, default_value = "deny", requires = "rate_limit_config")]
    pub rate_limit_when_store_fails: RateLimitFailure,
    /// Write no limit headers and no body of refusals: Envoy does.
    #[arg(long, requires = "rate_limit_config")]
    pub rate_limit_plain: bool,
    /// Tell as dynamic metadata what was asked and which rules it met.
    #[arg(long, requires = "rate_limit_config")]
    pub rate_limit_metadata: bool,
}
