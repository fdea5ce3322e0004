//! `postern`: the one native binary.
//!
//! Load → check → build → bind → ready → serve → drain; every other command is an operator's
//! tool over the same pieces. Only this file exits.

mod cli;
mod commands;
mod counts;
mod documents;
mod fixed;
mod key_command;
mod output;
mod recording;
mod revisions;
mod revoking;
mod serve;
mod settings;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::{Cli, Command};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Command::Check(arguments) => commands::check::run(&arguments),
        Command::Schema => commands::check::schema(),
        Command::Render(arguments) => commands::render::run(&arguments),
        Command::Review(arguments) => commands::review::run(&arguments),
        Command::Explain(arguments) => commands::blocking(commands::explain::run(&arguments)),
        Command::Test(arguments) => commands::test::run(&arguments),
        Command::Import(arguments) => commands::import::run(&arguments),
        Command::Migrate(arguments) => commands::blocking(commands::migrate::run(&arguments)),
        Command::Keys(arguments) => commands::blocking(commands::keys::run(&arguments)),
        Command::Circuit(arguments) => commands::blocking(commands::circuit::run(&arguments)),
        Command::Client(arguments) => commands::blocking(commands::client::run(&arguments)),
        Command::User(arguments) => commands::blocking(commands::user::run(&arguments)),
        Command::Apikey(arguments) => commands::blocking(commands::apikey::run(&arguments)),
        Command::Session(arguments) => commands::blocking(commands::session::run(&arguments)),
        Command::Consent(arguments) => commands::blocking(commands::consent::run(&arguments)),
        Command::Service(arguments) => commands::blocking(commands::service::run(&arguments)),
        Command::Token(arguments) => commands::blocking(commands::token::run(&arguments)),
        Command::Audit(arguments) => commands::blocking(commands::audit::run(&arguments)),
        Command::Backup(arguments) => commands::blocking(commands::backup::run(&arguments)),
        Command::Restore(arguments) => commands::blocking(commands::backup::restore(&arguments)),
        Command::Config(arguments) => commands::blocking(commands::config::run(&arguments)),
        Command::Xds(arguments) => commands::blocking(commands::xds::run(&arguments)),
        Command::Limits(arguments) => commands::blocking(commands::limits::run(&arguments)),
        Command::Serve(arguments) => commands::blocking(serve::run(*arguments)),
        Command::Completions { shell } => commands::completions::run(shell),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            output::error(&error);
            ExitCode::FAILURE
        }
    }
}
