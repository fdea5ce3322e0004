//! The command line of `postern render istio`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};
use postern_render::istio::{Api, IstioOptions, RequestAuth};

/// How routes and the gateway are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum IstioApi {
    /// Istio's Gateway and VirtualService.
    Istio,
    /// The Kubernetes Gateway API.
    Gateway,
}

/// Whether Istio verifies tokens as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RequestAuthentication {
    /// The bundle alone does.
    Off,
    /// In front of workloads all of whose routes take tokens.
    Workloads,
}

/// `postern render istio`
#[derive(Debug, Args)]
pub struct RenderIstio {
    /// The document: a file, or a folder of fragments.
    pub document: PathBuf,
    /// The folder to write to. Files that an earlier rendering left there go.
    #[arg(long)]
    pub out: PathBuf,
    /// Writes nothing: says which files differ from those in the folder, and fails if any does.
    #[arg(long)]
    pub check: bool,
    /// Leaves out the notes on what is rendered as it is meant; warnings stay.
    #[arg(long)]
    pub no_notes: bool,
    /// Where things are in the mesh.
    #[command(flatten)]
    pub mesh: InMesh,
}

/// Where things are in the mesh, and what of Istio is used.
#[derive(Debug, Args)]
pub struct InMesh {
    /// The control plane's version, MAJOR.MINOR.
    #[arg(long, default_value = "1.30", value_parser = version)]
    pub istio_version: (u32, u32),
    /// The oldest version among the data planes; one minor version below by default.
    #[arg(long, value_name = "VERSION", value_parser = minor_version)]
    pub data_plane_from: Option<u32>,
    /// How routes and the gateway are written.
    #[arg(long, value_enum, default_value = "istio")]
    pub api: IstioApi,
    /// The namespace of the suite.
    #[arg(long, default_value = "postern-system")]
    pub namespace: String,
    /// The workload that the gateway guards, as `feed.peers` names it; the document's gateway, or
    /// `edge`, by default.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub workload: Option<String>,
    /// A host that the gateway serves: exact, *.example.test, or * (the default).
    #[arg(long = "host", value_name = "HOST", default_value = "*")]
    pub hosts: Vec<String>,
    /// The namespace of the gateway's pods; the document's, or istio-system, by default.
    #[arg(long)]
    pub gateway_namespace: Option<String>,
    /// A label of the gateway's pods; the document's, or istio=ingressgateway, by default.
    #[arg(long = "gateway-selector", value_name = "NAME=VALUE", value_parser = label)]
    pub gateway_selector: Vec<(String, String)>,
    /// The Gateway's name. With the Gateway API, istiod runs its pods.
    #[arg(long, default_value = "postern")]
    pub gateway_name: String,
    /// The Secret with the gateway's certificate; HOST=SECRET for one of the hosts.
    #[arg(
        long = "tls-secret",
        value_name = "[HOST=]SECRET",
        default_value = "postern-gateway-tls",
        value_parser = tls_secret
    )]
    pub tls_secrets: Vec<TlsSecret>,
    /// Plain HTTP on port 80, behind something else that ends TLS.
    #[arg(long, conflicts_with = "tls_secrets")]
    pub no_tls: bool,
    /// A namespace, beside those of the document's workloads, that takes mutual TLS only.
    #[arg(long = "workload-namespace", value_name = "NAMESPACE")]
    pub workload_namespaces: Vec<String>,
    /// The host of the suite's Service; postern in its namespace by default.
    #[arg(long, value_name = "HOST")]
    pub server_host: Option<String>,
    /// The host of the Service with the role message; postern-message there by default.
    #[arg(long, value_name = "HOST")]
    pub message_host: Option<String>,
    /// The gRPC port of both.
    #[arg(long, default_value_t = 9191)]
    pub grpc_port: u16,
    /// The public HTTP port of the suite's Service.
    #[arg(long, default_value_t = 9192)]
    pub public_port: u16,
    /// A host outside the cluster that the mesh knows already: no ServiceEntry is written for it.
    #[arg(long = "registered-host", value_name = "HOST")]
    pub registered_hosts: Vec<String>,
    /// The cluster's DNS domain.
    #[arg(long, default_value = "cluster.local")]
    pub cluster_domain: String,
    /// Where the mesh gets the filter module; an example's address by default.
    #[arg(long)]
    pub wasm_url: Option<String>,
    /// SHA-256 of the filter module, to pin it.
    #[arg(long)]
    pub wasm_sha256: Option<String>,
    /// The Secret by which its image is pulled.
    #[arg(long, value_name = "SECRET")]
    pub wasm_pull_secret: Option<String>,
    /// Whether Istio verifies tokens as well.
    #[arg(long, value_enum, default_value = "off")]
    pub request_authentication: RequestAuthentication,
    /// Leaves out the policies that let nobody in whom no other names, for namespaces that the
    /// document's workloads share with others.
    #[arg(long)]
    pub no_default_deny: bool,
}

/// A Secret with a certificate, perhaps for one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSecret {
    /// The host that it is for; none for all others.
    pub host: Option<String>,
    /// Its name.
    pub name: String,
}

fn tls_secret(text: &str) -> Result<TlsSecret, String> {
    let (host, name) = match text.split_once('=') {
        Some((host, name)) => (Some(host.to_owned()), name),
        None => (None, text),
    };
    if name.is_empty() || host.as_ref().is_some_and(String::is_empty) {
        return Err(format!("`{text}` is not SECRET or HOST=SECRET"));
    }
    Ok(TlsSecret { host, name: name.to_owned() })
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => {
            Ok((name.to_owned(), value.to_owned()))
        }
        _ => Err(format!("`{text}` is not NAME=VALUE, for example istio=ingressgateway")),
    }
}

/// A patch version may stand behind, and means nothing.
fn version(text: &str) -> Result<(u32, u32), String> {
    let version = text.split_once('.').and_then(|(major, rest)| {
        let minor = rest.split('.').next()?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    });
    version.ok_or_else(|| format!("`{text}` is not an Istio version such as 1.30"))
}

/// Of Istio 1 there is no other major version.
fn minor_version(text: &str) -> Result<u32, String> {
    match version(text)? {
        (1, minor) => Ok(minor),
        _ => Err(format!("`{text}` is not an Istio version such as 1.29")),
    }
}

impl InMesh {
    /// For the rendering.
    #[must_use]
    pub fn options(&self) -> IstioOptions {
        let selector: BTreeMap<String, String> = self.gateway_selector.iter().cloned().collect();
        let mut tls_secret = None;
        let mut host_tls_secrets = BTreeMap::new();
        for secret in self.tls_secrets.iter().filter(|_| !self.no_tls) {
            match &secret.host {
                Some(host) => {
                    host_tls_secrets.insert(host.clone(), secret.name.clone());
                }
                None => tls_secret = Some(secret.name.clone()),
            }
        }
        let default = IstioOptions::default();
        // Where hosts alone have Secrets, the others keep the one by default.
        let with_tls = || tls_secret.or(default.gateway_tls_secret);
        let gateway_tls_secret = if self.no_tls { None } else { with_tls() };
        IstioOptions {
            istio_version: self.istio_version,
            data_plane_from: self.data_plane_from,
            api: match self.api {
                IstioApi::Istio => Api::Istio,
                IstioApi::Gateway => Api::Gateway,
            },
            namespace: self.namespace.clone(),
            workload_namespaces: self.workload_namespaces.clone(),
            gateway_namespace: self.gateway_namespace.clone(),
            gateway_selector: (!selector.is_empty()).then_some(selector),
            gateway_name: self.gateway_name.clone(),
            gateway_tls_secret,
            host_tls_secrets,
            workload: self.workload.clone(),
            hosts: self.hosts.clone(),
            wasm_url: self.wasm_url.clone().unwrap_or(default.wasm_url),
            wasm_sha256: self.wasm_sha256.clone(),
            wasm_pull_secret: self.wasm_pull_secret.clone(),
            server_host: self.server_host.clone(),
            message_host: self.message_host.clone(),
            grpc_port: self.grpc_port,
            public_port: self.public_port,
            registered_hosts: self.registered_hosts.iter().cloned().collect(),
            cluster_domain: self.cluster_domain.clone(),
            request_authentication: match self.request_authentication {
                RequestAuthentication::Off => RequestAuth::Off,
                RequestAuthentication::Workloads => RequestAuth::Workloads,
            },
            default_deny: !self.no_default_deny,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command, Render, RenderTarget};

    #[test]
    fn values_are_read_or_refused_with_what_can_be_meant() {
        assert_eq!(version("1.30"), Ok((1, 30)));
        assert_eq!(version("1.29.6"), Ok((1, 29)));
        assert_eq!(label("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        let secret = |host: Option<&str>, name: &str| {
            Ok(TlsSecret { host: host.map(str::to_owned), name: name.to_owned() })
        };
        assert_eq!(tls_secret("a"), secret(None, "a"));
        assert_eq!(tls_secret("*.a.test=b"), secret(Some("*.a.test"), "b"));
        for bad in ["", "1", "x.30", "1.x", "v1.30"] {
            assert!(version(bad).unwrap_err().contains("such as 1.30"), "{bad}");
        }
        assert_eq!(minor_version("1.29"), Ok(29));
        assert!(minor_version("2.29").unwrap_err().contains("such as 1.29"));
        for bad in ["", "a", "=b", "a="] {
            assert!(label(bad).unwrap_err().contains("NAME=VALUE"), "{bad}");
        }
        for bad in ["", "=b", "a="] {
            assert!(tls_secret(bad).unwrap_err().contains("HOST=SECRET"), "{bad}");
        }
    }

    fn parsed(options: &[&str]) -> Option<RenderIstio> {
        let words = ["postern", "render", "istio", "a.yaml", "--out", "b"];
        let command = Cli::try_parse_from(words.iter().chain(options)).ok()?.command;
        match command {
            Command::Render(Render { target: RenderTarget::Istio(arguments) }) => Some(*arguments),
            _ => None,
        }
    }

    #[test]
    fn without_options_the_rendering_is_the_one_by_default() {
        let default = IstioOptions::default();
        assert_eq!(parsed(&[]).unwrap().mesh.options(), default);
    }

    #[test]
    fn hosts_have_certificates_of_their_own_where_somebody_says_so() {
        let options = |words: &[&str]| parsed(words).unwrap().mesh.options();
        let hosts = ["--host", "a.test", "--host", "b.test", "--tls-secret", "b.test=other"];
        let rendered = options(&hosts);
        assert_eq!(rendered.hosts, ["a.test", "b.test"]);
        assert_eq!(rendered.gateway_tls_secret.as_deref(), Some("postern-gateway-tls"));
        assert_eq!(rendered.host_tls_secrets.get("b.test").unwrap(), "other");
        let both = options(&[&hosts[..], &["--tls-secret", "all"]].concat());
        assert_eq!(both.gateway_tls_secret.as_deref(), Some("all"));
        assert_eq!(options(&["--no-tls"]).gateway_tls_secret, None);
        assert!(parsed(&["--no-tls", "--tls-secret", "a"]).is_none());
    }

    #[test]
    fn what_the_document_may_say_is_left_to_it() {
        let options =
            parsed(&["--gateway-selector", "a=b", "--no-default-deny"]).unwrap().mesh.options();
        let selector = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
        assert_eq!(options.gateway_selector, Some(selector));
        assert!(!options.default_deny);
        let options = parsed(&[]).unwrap().mesh.options();
        let unsaid = (options.gateway_namespace, options.gateway_selector, options.workload);
        assert_eq!(unsaid, (None, None, None));
    }
}
