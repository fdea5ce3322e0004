//! The command line of `postern review`.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};

/// `postern review`
#[derive(Debug, Args)]
pub struct Review {
    /// The document: a file, or a folder of fragments.
    pub document: PathBuf,
    /// How the review is written.
    #[arg(long, value_enum, default_value_t = ReviewFormat::Md)]
    pub format: ReviewFormat,
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
    /// How the manifests were rendered.
    #[command(flatten)]
    pub rendered: Rendered,
}

/// The options of `postern render istio` that the manifests were rendered with: what differs from
/// that rendering has drifted.
#[derive(Debug, Args)]
pub struct Rendered {
    /// The mesh's version, MAJOR.MINOR.
    #[arg(long, default_value = "1.30")]
    pub istio_version: String,
    /// The oldest minor version of Istio 1 among the data planes, such as 29; one below the
    /// control plane's by default.
    #[arg(long, value_name = "MINOR")]
    pub data_plane_from: Option<u32>,
    /// Which API routes are written in.
    #[arg(long, default_value = "istio", value_parser = ["istio", "gateway"])]
    pub api: String,
    /// The name of the Gateway.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub gateway_name: Option<String>,
    /// The Secret with the gateway's certificate.
    #[arg(long, value_name = "NAME")]
    pub tls_secret: Option<String>,
    /// The gateway ends no TLS.
    #[arg(long, conflicts_with = "tls_secret")]
    pub no_tls: bool,
    /// The namespace of the suite.
    #[arg(long, default_value = "postern-system")]
    pub namespace: String,
    /// The workload that the gateway guards, as `feed.peers` names it.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub workload: Option<String>,
    /// A host that the gateway serves; repeat it for more. All by default.
    #[arg(long = "host", value_name = "HOST")]
    pub hosts: Vec<String>,
    /// The namespace of the gateway's pods.
    #[arg(long)]
    pub gateway_namespace: Option<String>,
    /// A label of the gateway's pods; repeat it for more.
    #[arg(long, value_name = "NAME=VALUE", value_parser = label)]
    pub gateway_selector: Vec<(String, String)>,
    /// Where the mesh gets the filter module; not compared by default.
    #[arg(long)]
    pub wasm_url: Option<String>,
    /// SHA-256 of the filter module.
    #[arg(long, requires = "wasm_url")]
    pub wasm_sha256: Option<String>,
}

/// How a review is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReviewFormat {
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

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => {
            Ok((name.to_owned(), value.to_owned()))
        }
        _ => Err(format!("`{text}` is not NAME=VALUE")),
    }
}
