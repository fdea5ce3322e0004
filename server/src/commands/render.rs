//! `postern render`.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use postern_render::envoy::{self, ClientCertificate, EnvoyOptions, ServerTls};
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
        node_id: arguments.node_id.clone(),
        workload: arguments.workload.clone(),
        listen: arguments.listen,
        admin: arguments.envoy_admin,
        server_grpc: arguments.server_grpc.clone(),
        server_tls: server_tls(arguments),
        server_public: arguments.server_public.clone(),
        feed_credential: arguments.feed_credential_file.clone(),
        wasm: arguments.wasm.clone(),
        access_log: (arguments.access_log != "none").then(|| arguments.access_log.clone()),
    };
    for warning in envoy::warnings(&document, &options) {
        output::warn(warning);
    }
    write(&arguments.out, "envoy.json", &envoy::render(&document, &options))?;
    Ok(ExitCode::SUCCESS)
}

/// The command line has made sure that what belongs together is there together.
fn server_tls(arguments: &RenderEnvoy) -> Option<ServerTls> {
    let client = arguments.client_cert.clone().zip(arguments.client_key.clone());
    Some(ServerTls {
        ca: arguments.server_ca.clone()?,
        name: arguments.server_name.clone(),
        client: client.map(|(chain, key)| ClientCertificate { chain, key }),
    })
}

fn render_istio(arguments: &RenderIstio) -> Result<ExitCode> {
    let document = documents::load_checked(&arguments.document)?;
    let options = IstioOptions {
        istio_version: read_version(&arguments.istio_version)?,
        namespace: arguments.namespace.clone(),
        workload: arguments.workload.clone(),
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

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    /// What is rendered with these options; none where they are refused.
    fn parsed(options: &[&str]) -> Option<RenderEnvoy> {
        let words = ["postern", "render", "envoy", "a.yaml", "--out", "b"];
        let command = Cli::try_parse_from(words.iter().chain(options)).ok()?.command;
        match command {
            Command::Render(Render { target: RenderTarget::Envoy(arguments) }) => Some(*arguments),
            _ => None,
        }
    }

    #[test]
    fn files_that_belong_together_are_asked_for_together() {
        for (options, fits) in [
            (&["--server-ca", "ca"][..], true),
            (&["--server-ca", "ca", "--server-name", "n"], true),
            (&["--server-ca", "ca", "--client-cert", "c", "--client-key", "k"], true),
            (&["--feed-credential-file", "f"], true),
            (&["--server-name", "n"], false),
            (&["--client-cert", "c", "--client-key", "k"], false),
            (&["--server-ca", "ca", "--client-cert", "c"], false),
            (&["--server-ca", "ca", "--client-key", "k"], false),
            (&["--server-ca", ""], false),
            (&["--workload", ""], false),
        ] {
            assert_eq!(parsed(options).is_some(), fits, "{options:?}");
        }
    }

    #[test]
    fn the_server_is_spoken_to_over_tls_where_its_authority_is_named() {
        assert_eq!(server_tls(&parsed(&[]).unwrap()), None);
        let tls = |options: &[&str]| server_tls(&parsed(options).unwrap()).unwrap();
        let bare = ServerTls { ca: "ca".to_owned(), name: None, client: None };
        assert_eq!(tls(&["--server-ca", "ca"]), bare);
        let client = ClientCertificate { chain: "c".to_owned(), key: "k".to_owned() };
        let whole = ServerTls { name: Some("n".to_owned()), client: Some(client), ..bare };
        let options = ["--server-ca", "ca", "--server-name", "n", "--client-cert", "c"];
        let options = [&options[..], &["--client-key", "k"]].concat();
        assert_eq!(tls(&options), whole);
    }
}
