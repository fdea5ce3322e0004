//! `postern render`.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use postern_render::envoy::{self, EnvoyOptions};
use postern_render::istio::{self, IstioOptions};

use crate::cli::{Render, RenderEnvoy, RenderIstio, RenderTarget};
use crate::{documents, output};

/// Renders a document.
///
/// # Errors
/// When the document has problems, something in it cannot be expressed, or the folder cannot be
/// written.
pub fn run(arguments: &Render) -> Result<ExitCode> {
    match &arguments.target {
        RenderTarget::Envoy(arguments) => render_envoy(arguments),
        RenderTarget::Istio(arguments) => render_istio(arguments),
    }
}

fn render_envoy(arguments: &RenderEnvoy) -> Result<ExitCode> {
    let document = documents::load_checked(&arguments.document)?;
    let options = EnvoyOptions {
        listen: arguments.listen,
        admin: arguments.envoy_admin,
        server_grpc: arguments.server_grpc.clone(),
        server_public: arguments.server_public.clone(),
        wasm: arguments.wasm.clone(),
        access_log: (arguments.access_log != "none").then(|| arguments.access_log.clone()),
    };
    write(&arguments.out, "envoy.json", &envoy::render(&document, &options))?;
    Ok(ExitCode::SUCCESS)
}

fn render_istio(arguments: &RenderIstio) -> Result<ExitCode> {
    let document = documents::load_checked(&arguments.document)?;
    let options = IstioOptions {
        istio_version: read_version(&arguments.istio_version)?,
        namespace: arguments.namespace.clone(),
        wasm_url: arguments.wasm_url.clone(),
        wasm_sha256: arguments.wasm_sha256.clone(),
        ..IstioOptions::default()
    };
    let files = istio::render(&document, &options)?;
    for warning in istio::warnings(&document, &options) {
        output::warn(warning);
    }
    for file in files {
        write(&arguments.out, &file.name, &file.content)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn read_version(text: &str) -> Result<(u32, u32)> {
    let version = text.split_once('.').and_then(|(major, rest)| {
        let minor = rest.split('.').next()?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    });
    match version {
        Some(version) => Ok(version),
        None => bail!("`{text}` is not an Istio version such as 1.30"),
    }
}

fn write(folder: &Path, name: &str, content: &str) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let path = folder.join(name);
    fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
    output::remark(format!("wrote {}", path.display()));
    Ok(())
}
