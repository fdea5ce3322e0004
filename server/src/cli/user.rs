//! `postern user`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Durable;

/// `postern user`
#[derive(Debug, Args)]
pub struct User {
    /// What to do.
    #[command(subcommand)]
    pub action: UserAction,
}

/// Actions of `user`.
#[derive(Debug, Subcommand)]
pub enum UserAction {
    /// Create a user who logs in with an e-mail address.
    Create(UserCreate),
}

/// `postern user create`
#[derive(Debug, Args)]
pub struct UserCreate {
    /// The document, whose `login` says what users may be: a file, or a folder of fragments.
    #[arg(long)]
    pub document: PathBuf,
    /// The durable store.
    #[command(flatten)]
    pub durable: Durable,
    /// What the user logs in with.
    #[arg(long)]
    pub email: String,
    /// First name.
    #[arg(long)]
    pub first_name: String,
    /// Last name.
    #[arg(long)]
    pub last_name: String,
    /// A role of the document; its default one without it.
    #[arg(long, group = "may")]
    pub role: Option<String>,
    /// The first role of the document whose users may administer the gateway.
    #[arg(long, group = "may")]
    pub admin: bool,
    /// Tier, instead of the role's.
    #[arg(long)]
    pub tier: Option<String>,
    /// Make a password; it is shown once, on standard output.
    #[arg(long, group = "password")]
    pub generate: bool,
    /// Read the password from standard input: one line. Without any password the user cannot log
    /// in with one.
    #[arg(long, group = "password")]
    pub password_stdin: bool,
    /// The first log-in asks for another password.
    #[arg(long, requires = "password")]
    pub must_change: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}
