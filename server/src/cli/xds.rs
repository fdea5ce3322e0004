//! `postern xds`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::values::digest;

/// `postern xds`
#[derive(Debug, Args)]
pub struct Xds {
    /// What to do.
    #[command(subcommand)]
    pub action: XdsAction,
}

/// Actions of `xds`.
#[derive(Debug, Subcommand)]
pub enum XdsAction {
    /// List the Envoys of one server, and how they stand; exits with 3 where one has not taken all
    /// that it should have, and where there is none.
    Status(XdsStatus),
}

/// `postern xds status`
#[derive(Debug, Args)]
pub struct XdsStatus {
    /// The server's admin port: http://HOST:PORT.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9193")]
    pub server: String,
    /// A file with the admin API's credential, or with an access token that has the scope
    /// postern.admin.
    #[arg(long, value_name = "FILE", env = "POSTERN_ADMIN_TOKEN_FILE")]
    pub admin_token_file: PathBuf,
    /// The digest of a document, as `postern check` prints it, or its first 8 digits and more:
    /// exits with 3 until each Envoy has that one.
    #[arg(long, value_name = "DIGEST", value_parser = digest)]
    pub document: Option<String>,
    /// Print JSON, as the admin API has it.
    #[arg(long)]
    pub json: bool,
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::cli::{Cli, Command, XdsAction};

    #[test]
    fn the_server_of_this_machine_is_asked_by_default() {
        let words = ["postern", "xds", "status", "--admin-token-file", "a"];
        let cli = Cli::try_parse_from(words).unwrap();
        let Command::Xds(xds) = cli.command else { panic!("{cli:?}") };
        let XdsAction::Status(status) = xds.action;
        assert_eq!(status.server, "http://127.0.0.1:9193");
        assert!(!status.json && status.document.is_none());
    }

    #[test]
    fn a_document_is_named_by_its_digest_or_the_beginning() {
        let parsed = |digest: &str| {
            let words = ["postern", "xds", "status", "--admin-token-file", "a", "--document"];
            let cli = Cli::try_parse_from(words.into_iter().chain([digest])).ok()?;
            let Command::Xds(xds) = cli.command else { panic!("{cli:?}") };
            let XdsAction::Status(status) = xds.action;
            status.document
        };
        let whole = "0123456789abcdef0123456789abcdef";
        for (digest, expected) in [
            (whole, Some(whole)),
            ("01234567", Some("01234567")),
            ("9F2CAB00", Some("9f2cab00")),
            ("0123456", None),
            ("0123456g", None),
            ("0123456789abcdef0123456789abcdef0", None),
        ] {
            assert_eq!(parsed(digest).as_deref(), expected, "{digest}");
        }
    }
}
