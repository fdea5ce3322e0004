//! `postern xds`

use std::path::PathBuf;

use clap::{Args, Subcommand};

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
    /// that it should have.
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
        assert!(!status.json);
    }
}
