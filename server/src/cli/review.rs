//! The command line of `postern review`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::render::InMesh;

/// `postern review`
#[derive(Debug, Args)]
pub struct Review {
    /// The document: a file, or a folder of fragments.
    pub document: PathBuf,
    /// How the review is written; md by default, on a terminal text.
    #[arg(long, value_enum)]
    pub format: Option<ReviewFormat>,
    /// Write it to a file; to standard output by default.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Manifests of the mesh, with everything below it: Istio's policies, workloads, services,
    /// plugins, MeshConfig.
    #[arg(long, value_name = "DIR")]
    pub policies: Option<PathBuf>,
    /// What to compare with: an older document, or a review as JSON (a file that ends in .json).
    #[arg(long, value_name = "OLD")]
    pub diff: Option<PathBuf>,
    /// The manifests that the older document was applied with.
    #[arg(long, value_name = "DIR", requires = "diff", requires = "policies")]
    pub policies_old: Option<PathBuf>,
    /// Findings that somebody has accepted.
    #[arg(long, value_name = "FILE")]
    pub accept: Option<PathBuf>,
    /// Exit with 3 when a finding that nobody has accepted is as grave as this, or graver.
    #[arg(long, value_enum, default_value_t = FailOn::High)]
    pub fail_on: FailOn,
    /// Exit with 3 when the change opens something.
    #[arg(long, requires = "diff")]
    pub fail_on_open: bool,
    /// How the mesh's proxies read paths; what MeshConfig says by default, else BASE.
    #[arg(long, value_name = "WORD", requires = "policies",
        value_parser = postern_render::review::NORMALIZATIONS)]
    pub normalization: Option<String>,
    /// The day for which acceptances count, in UTC, for example 2026-01-31; today by default.
    #[arg(long, value_name = "DAY")]
    pub today: Option<String>,
    /// The options of `render istio` that the manifests were rendered with: what differs from that
    /// rendering has drifted.
    #[command(flatten)]
    pub mesh: InMesh,
}

/// How a review is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReviewFormat {
    /// For a terminal: findings and counts, without the matrix.
    Text,
    /// Markdown, for a pull request.
    Md,
    /// One page for a browser.
    Html,
    /// For machines, and to compare with later.
    Json,
}

/// What makes the command fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// Only critical findings.
    Critical,
    /// High and above.
    High,
    /// Medium and above.
    Medium,
    /// Low and above.
    Low,
    /// None.
    Never,
}
