//! The command line of `postern import`.

use std::path::PathBuf;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

/// `postern import`
#[derive(Debug, Args)]
pub struct Import {
    /// Istio's policies, VirtualServices, Services, Deployments, and configuration of
    /// envoyproxy/ratelimit: files, or folders with everything below them.
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Write the document to a file; to standard output by default.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Exit with 3 when something could not be carried over, or has to be filled in.
    #[arg(long)]
    pub strict: bool,
    /// Print JSON: the document and everything to know.
    #[arg(long)]
    pub json: bool,
    /// The mesh's trust domain.
    #[arg(long, default_value = "cluster.local", value_parser = NonEmptyStringValueParser::new())]
    pub trust_domain: String,
    /// The namespace whose policies are for all others.
    #[arg(long, default_value = "istio-system", value_parser = NonEmptyStringValueParser::new())]
    pub root_namespace: String,
}
