//! `postern render envoy`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use postern_render::envoy::{self, EnvoyOptions, Kind, Source};

use super::folder;
use crate::cli::RenderEnvoy;
use crate::{documents, output};

pub(super) fn run(arguments: &RenderEnvoy) -> Result<ExitCode> {
    let document = documents::load_checked(&arguments.document)?;
    let options = options(arguments)?;
    let files = envoy::render(&document, &options)
        .map_err(|error| super::placed(&document, error.path(), error))?;
    for warning in envoy::warnings(&document, &options) {
        output::warn(warning);
    }
    if Path::new(&arguments.wasm).is_relative() {
        output::warn(format!(
            "--wasm {}: Envoy looks for a relative path in the folder that it is started in; name \
             the module by an absolute one",
            arguments.wasm
        ));
    }
    for file in files {
        folder::write(&arguments.out, &file.name, &file.content)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn options(arguments: &RenderEnvoy) -> Result<EnvoyOptions> {
    let kind = arguments.kind();
    let source = arguments.source().context("--source wants --source-folder or --xds-server")?;
    // What would mean nothing is meant for something else.
    if arguments.upstream_port.is_some() && kind == Kind::Edge {
        bail!("--upstream-port is for --kind sidecar: the edge sends to all services");
    }
    if arguments.source_folder.is_some() && !matches!(source, Source::Files { .. }) {
        bail!("--source-folder is for --source files");
    }
    if arguments.xds_server.is_some() && !matches!(source, Source::Ads { .. }) {
        bail!("--xds-server is for --source ads");
    }
    Ok(EnvoyOptions {
        kind,
        source,
        node_id: arguments.node_id.clone(),
        zone: arguments.zone.clone(),
        workload: arguments.workload.clone(),
        mesh_tls: arguments.mesh_tls(),
        listen: arguments.listen,
        admin: arguments.envoy_admin,
        server_grpc: arguments.server_grpc(),
        server_tls: arguments.server_tls(),
        server_public: arguments.server_public.clone(),
        feed_credential: arguments.feed_credential_file.clone(),
        wasm: arguments.wasm.clone(),
        access_log: (arguments.access_log != "none").then(|| arguments.access_log.clone()),
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use postern_render::envoy::{ClientCertificate, HostPort, MeshTls, ServerTls, XdsProtocol};

    use super::*;
    use crate::cli::{Cli, Command, Render, RenderTarget};

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
            (&["--mesh-ca", "a", "--mesh-cert", "c", "--mesh-key", "k"], true),
            (&["--mesh-agent", "s"], true),
            (&["--source", "files", "--source-folder", "f"], true),
            (&["--source", "ads", "--xds-server", "a:1"], true),
            (&["--source", "ads", "--xds-server", "a:1", "--xds-protocol", "sotw"], true),
            (&["--kind", "sidecar", "--workload", "w", "--upstream-port", "8080"], true),
            (&["--server-name", "n"], false),
            (&["--client-cert", "c", "--client-key", "k"], false),
            (&["--server-ca", "ca", "--client-cert", "c"], false),
            (&["--server-ca", "ca", "--client-key", "k"], false),
            (&["--server-ca", ""], false),
            (&["--workload", ""], false),
            (&["--mesh-ca", "a"], false),
            (&["--mesh-cert", "c", "--mesh-key", "k"], false),
            (
                &["--mesh-agent", "s", "--mesh-ca", "a", "--mesh-cert", "c", "--mesh-key", "k"],
                false,
            ),
            (&["--source", "files"], false),
            (&["--source", "ads"], false),
            (&["--xds-ca", "a"], false),
            (&["--xds-protocol", "delta"], false),
            (&["--upstream-port", "0"], false),
        ] {
            assert_eq!(parsed(options).is_some(), fits, "{options:?}");
        }
    }

    #[test]
    fn the_server_is_spoken_to_over_tls_where_its_authority_is_named() {
        let tls = |words: &[&str]| options(&parsed(words).unwrap()).unwrap().server_tls;
        assert_eq!(tls(&[]), None);
        let bare = ServerTls { ca: "ca".to_owned(), name: None, client: None };
        assert_eq!(tls(&["--server-ca", "ca"]), Some(bare.clone()));
        let client = ClientCertificate { chain: "c".to_owned(), key: "k".to_owned() };
        let whole = ServerTls { name: Some("n".to_owned()), client: Some(client), ..bare };
        let words = ["--server-ca", "ca", "--server-name", "n", "--client-cert", "c"];
        let words = [&words[..], &["--client-key", "k"]].concat();
        assert_eq!(tls(&words), Some(whole));
    }

    #[test]
    fn options_of_something_else_are_refused() {
        for words in [
            &["--upstream-port", "8080"][..],
            &["--source-folder", "f"],
            &["--xds-server", "a:1"],
            &["--source", "files", "--source-folder", "f", "--xds-server", "a:1"],
            &["--source", "ads", "--source-folder", "f", "--xds-server", "a:1"],
        ] {
            assert!(options(&parsed(words).unwrap()).is_err(), "{words:?}");
        }
    }

    #[test]
    fn who_tells_an_envoy_what_it_runs_also_decides() {
        let grpc = |words: &[&str]| {
            let HostPort { host, port } = options(&parsed(words).unwrap()).unwrap().server_grpc;
            format!("{host}:{port}")
        };
        assert_eq!(grpc(&[]), "127.0.0.1:9191");
        assert_eq!(grpc(&["--server-grpc", "b:2"]), "b:2");
        let ads = ["--source", "ads", "--xds-server", "a:1"];
        assert_eq!(grpc(&ads), "a:1");
        assert_eq!(grpc(&[&ads[..], &["--server-grpc", "b:2"]].concat()), "b:2");
    }

    #[test]
    fn an_envoy_is_what_and_where_the_options_say() {
        let options = |words: &[&str]| options(&parsed(words).unwrap()).unwrap();
        let edge = options(&[]);
        assert_eq!((edge.kind, edge.source, edge.mesh_tls), (Kind::Edge, Source::Static, None));
        let sidecar = options(&["--kind", "sidecar", "--upstream-port", "9000"]);
        assert_eq!(sidecar.kind, Kind::Sidecar { upstream_port: Some(9000) });
        let files = options(&["--source", "files", "--source-folder", "/etc/envoy"]);
        assert_eq!(files.source, Source::Files { folder: "/etc/envoy".to_owned() });
        let ads = options(&["--source", "ads", "--xds-server", "a:1", "--xds-ca", "ca"]);
        let Source::Ads { server, tls, protocol } = ads.source else { panic!("{:?}", ads.source) };
        assert_eq!((server.host.as_str(), server.port), ("a", 1));
        assert_eq!(tls.unwrap().ca, "ca");
        assert_eq!(protocol, XdsProtocol::Delta);
        let sotw = ["--source", "ads", "--xds-server", "a:1", "--xds-protocol", "sotw"];
        let Source::Ads { protocol, .. } = options(&sotw).source else { panic!("{sotw:?}") };
        assert_eq!(protocol, XdsProtocol::StateOfTheWorld);
        let agent = options(&["--mesh-agent", "/run/agent.sock"]);
        assert_eq!(agent.mesh_tls, Some(MeshTls::Agent { socket: "/run/agent.sock".to_owned() }));
    }
}
