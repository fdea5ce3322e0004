//! `postern user`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Durable, Ends};

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
    /// List users.
    List {
        /// The durable store.
        #[command(flatten)]
        durable: Durable,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show a user.
    Show {
        /// The durable store.
        #[command(flatten)]
        durable: Durable,
        /// The user, by id or e-mail.
        user: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Change a user. What is not said stays. Another password or role logs them out everywhere.
    Update(UserUpdate),
    /// Switch a user off, who is logged out everywhere; the record stays.
    Deactivate(OfUser),
    /// Log a user out everywhere.
    EndSessions(OfUser),
    /// Take all second factors of a user away, who has lost them; they are logged out everywhere.
    ResetMfa(OfUser),
}

/// What is done to one user.
#[derive(Debug, Args)]
pub struct OfUser {
    /// The durable store.
    #[command(flatten)]
    pub durable: Durable,
    /// Where sessions are, and whose tokens end.
    #[command(flatten)]
    pub ends: Ends,
    /// The user, by id or e-mail.
    pub user: String,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `postern user update`
#[derive(Debug, Args)]
pub struct UserUpdate {
    /// The durable store.
    #[command(flatten)]
    pub durable: Durable,
    /// Where sessions are, and what users may be.
    #[command(flatten)]
    pub ends: Ends,
    /// The user, by id or e-mail.
    pub user: String,
    /// What the user logs in with.
    #[arg(long)]
    pub email: Option<String>,
    /// First name.
    #[arg(long)]
    pub first_name: Option<String>,
    /// Last name.
    #[arg(long)]
    pub last_name: Option<String>,
    /// A role of the document.
    #[arg(long)]
    pub role: Option<String>,
    /// Tier, instead of the role's.
    #[arg(long, group = "another_tier")]
    pub tier: Option<String>,
    /// The role's tier again.
    #[arg(long, group = "another_tier")]
    pub no_tier: bool,
    /// Switch the user on again.
    #[arg(long)]
    pub active: bool,
    /// Make another password; it is shown once, on standard output.
    #[arg(long, group = "password")]
    pub generate: bool,
    /// Read another password from standard input: one line.
    #[arg(long, group = "password")]
    pub password_stdin: bool,
    /// The next log-in asks for one more password.
    #[arg(long, requires = "password")]
    pub must_change: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
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
