//! `postern render`.

mod envoy;
mod folder;
mod istio;

use std::process::ExitCode;

use anyhow::{Error, Result};
use postern_document::Document;

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

/// What cannot be rendered, with the line of the document that says it.
fn placed<E>(document: &Document, path: Option<String>, error: E) -> Error
where
    E: std::error::Error + Send + Sync + 'static,
{
    let place = path.and_then(|path| document.place_of(&path));
    match place.filter(|place| place.line > 0) {
        Some(place) => Error::new(error).context(format!("{}:{}", place.file, place.line)),
        None => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use postern_document::{Source, load};
    use postern_render::istio::{self, Api, IstioOptions};

    use super::*;
    use crate::output;

    const TEXT: &str = "\
version: 1
services:
  shop:
    upstream: shop.store.svc.cluster.local:8080
    versions:
      v1: {labels: {version: v1}}
routes:
  - {name: a, match: {path: /a}, service: shop, auth: none, split: {v1: 100}}
";

    #[test]
    fn what_cannot_be_rendered_is_told_with_its_line() {
        let source = Source { name: "a.yaml".to_owned(), text: TEXT.to_owned() };
        let document = load(&[source], &|_: &str| Err(String::new())).unwrap();
        let told = |options: &IstioOptions| {
            let error = istio::render(&document, options).unwrap_err();
            output::chain(&placed(&document, error.path(), error))
        };
        let version = told(&IstioOptions { api: Api::Gateway, ..IstioOptions::default() });
        assert!(version.starts_with("a.yaml:6: "), "{version}");
        assert!(version.ends_with("give the version an `upstream` of its own"), "{version}");
        let hash = Some("sha256:00".to_owned());
        let option = told(&IstioOptions { wasm_sha256: hash, ..IstioOptions::default() });
        assert!(option.starts_with("--wasm-sha256: write 64 "), "{option}");
    }
}
