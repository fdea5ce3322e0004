//! `postern render`.

mod envoy;
mod folder;
mod istio;

use std::process::ExitCode;

use anyhow::Result;

use crate::cli::{Render, RenderTarget};

/// Renders a document.
///
/// # Errors
/// When the document has problems, something in it cannot be expressed, or the folder cannot be
/// written.
pub fn run(arguments: &Render) -> Result<ExitCode> {
    match &arguments.target {
        RenderTarget::Envoy(arguments) => envoy::run(arguments),
        RenderTarget::Istio(arguments) => istio::run(arguments),
    }
}
