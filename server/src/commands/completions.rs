//! `postern completions`.

use std::process::ExitCode;

use anyhow::Result;
use clap::CommandFactory as _;

use crate::cli::{Cli, Shell};
use crate::output;

/// Writes completions to standard output.
///
/// # Errors
/// When they cannot be written.
pub fn run(shell: Shell) -> Result<ExitCode> {
    let shell = match shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "postern", &mut script);
    output::bytes(&script)?;
    Ok(ExitCode::SUCCESS)
}
