//! The command line of `postern explain`.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;
use postern_explain::Part;
use postern_request::token_places::is_token;

/// `postern explain`
#[derive(Debug, Args)]
pub struct Explain {
    /// The document: a file, or a folder of fragments.
    pub document: PathBuf,
    /// The method, for example GET.
    #[arg(value_parser = method)]
    pub method: String,
    /// Where the request goes: https://HOST/PATH, or with --host a path as it is sent.
    pub url: String,
    /// The host, port included where there is one; the URL is a path then.
    #[arg(long)]
    pub host: Option<String>,
    /// A header of the request; repeat it for more. The host stands in the URL, or in --host.
    // Whatever is wrong with it, nothing of it may be printed, and clap would.
    #[arg(long = "header", value_name = "NAME:VALUE")]
    pub headers: Vec<String>,
    /// A token, sent in `authorization`; read from standard input with `-`.
    #[arg(long, group = "credential", allow_hyphen_values = true)]
    pub token: Option<String>,
    /// Claims that count as signed: a JSON object, or @FILE with one. Where it does not say them,
    /// `iss`, `aud` and `exp` are as the document asks.
    #[arg(long, group = "credential", value_name = "JSON")]
    pub claims: Option<String>,
    /// An API key, sent in `x-api-key`; read from standard input with `-`.
    #[arg(long, group = "credential", allow_hyphen_values = true)]
    pub api_key: Option<String>,
    /// A session that counts as known: a JSON object with `subject`, and where they matter `scopes`
    /// (a list), `tier`, `role`, and `mfa`, how long ago a second factor was shown, such as 5m.
    #[arg(long, group = "credential", value_name = "JSON")]
    pub session: Option<String>,
    /// With --claims: the token comes with a DPoP proof that holds.
    #[arg(long, requires = "claims")]
    pub with_proof: bool,
    /// Whose the claims of --claims or the keys of --keys are; the only issuer of the document by
    /// default.
    #[arg(long, value_name = "ISS")]
    pub issuer: Option<String>,
    /// The issuer's keys, as a JWK set: without them a signature by keys that do not stand in the
    /// document counts as good.
    #[arg(long, value_name = "FILE")]
    pub keys: Option<PathBuf>,
    /// The durable store, for the suite's own keys, for API keys, and for what was revoked of
    /// tokens, of API keys and of all sessions of somebody:
    /// sqlite:PATH, postgres://… or env:NAME.
    #[arg(long, value_name = "STORE")]
    pub durable: Option<String>,
    /// The certificate that the client shows on its connection, as PEM.
    #[arg(long, value_name = "FILE")]
    pub certificate: Option<PathBuf>,
    /// The workload that a caller inside the mesh goes to, past the edge.
    #[arg(long, value_name = "NAME")]
    pub workload: Option<String>,
    /// With --workload: who calls, by SPIFFE id or as a workload of the document.
    #[arg(long, value_name = "ID", requires = "workload")]
    pub peer: Option<String>,
    /// Manifests of the mesh, with everything below it: Istio's own policies are asked, too.
    #[arg(long, value_name = "DIR")]
    pub policies: Option<PathBuf>,
    /// The address at the other end of the connection.
    #[arg(long, default_value = "203.0.113.7")]
    pub address: IpAddr,
    /// The time, in UTC, for example 2026-01-02T03:04:05Z; now by default.
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
    /// A part that does not answer; repeat it for more: server, ext-proc, volatile-store,
    /// durable-store, feed, keys:ISSUER, keys-never:ISSUER, bundle, rate-limit-service,
    /// upstream:refused, upstream:hang, upstream:reset or upstream:5xx.
    #[arg(long = "failed", value_name = "PART", value_parser = part)]
    pub failed: Vec<Part>,
    /// A service whose circuit is open; repeat it for more.
    #[arg(long = "open", value_name = "SERVICE")]
    pub open: Vec<String>,
    /// A limit that has nothing left for this caller; repeat it for more.
    #[arg(long = "used-up", value_name = "LIMIT")]
    pub used_up: Vec<String>,
    /// The credential was revoked.
    #[arg(long)]
    pub revoked: bool,
    /// The request is of the share that its route's `fault` is for.
    #[arg(long)]
    pub fault: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// Exit with 3 where something had to be taken for granted.
    #[arg(long)]
    pub strict: bool,
}

fn part(text: &str) -> Result<Part, String> {
    Part::parse(text).ok_or_else(|| format!("`{text}` is none of {}", Part::KNOWN))
}

/// Methods are compared as they are written.
fn method(text: &str) -> Result<String, String> {
    if !is_token(text.as_bytes()) {
        return Err("a method is one word, for example GET".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    fn parsed(more: &[&str]) -> Result<Box<Explain>, String> {
        let words = ["postern", "explain", "a.yaml", "GET", "https://a.test/"];
        let cli = Cli::try_parse_from(words.iter().chain(more));
        match cli.map_err(|error| error.to_string())?.command {
            Command::Explain(explain) => Ok(explain),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_request_has_one_credential_beside_its_headers() {
        assert!(parsed(&["--token", "a.b.c"]).is_ok());
        assert!(parsed(&["--claims", "{}", "--with-proof"]).is_ok());
        assert!(parsed(&["--token", "a", "--claims", "{}"]).is_err());
        assert!(parsed(&["--token", "a", "--api-key", "b"]).is_err());
        assert!(parsed(&["--session", "{}", "--api-key", "b"]).is_err());
        assert!(parsed(&["--with-proof"]).is_err());
        assert!(parsed(&["--workload", "w", "--peer", "spiffe://m/a"]).is_ok());
        assert!(parsed(&["--peer", "spiffe://m/a"]).is_err());
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_what_can() {
        let failed = parsed(&["--failed", "feed", "--failed", "keys:https://i.test"]).unwrap();
        assert_eq!(failed.failed.len(), 2);
        for (option, value, expected) in
            [("--failed", "redis", "volatile-store"), ("--address", "here", "invalid")]
        {
            let error = parsed(&[option, value]).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        for method in ["", "GET /x", "G\tT"] {
            let words = ["postern", "explain", "a.yaml", method, "https://a.test/"];
            let error = Cli::try_parse_from(words).unwrap_err().to_string();
            assert!(error.contains("a method is one word"), "{error}");
        }
    }
}
