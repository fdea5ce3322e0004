//! Documents with an authorization server: where clients get tokens, and people log in.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::{Guard, NEVER_REACHED};

/// Who gives the tokens, and what they are for.
pub const ISSUER: &str = "https://gate.example.test";
/// What a client, and a user, may ask for.
pub const SCOPES: &str = "content.read content.write";
/// What users are.
pub const ROLE: &str = "student";

/// What passwords are hashed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hashing {
    /// What a document says that says nothing.
    Default,
    /// As little as a document may: what is measured is something else.
    Cheap,
}

impl Hashing {
    const fn fragment(self) -> &'static str {
        match self {
            Self::Default => "",
            Self::Cheap => "  passwords: {memory: 8, iterations: 1}\n",
        }
    }
}

/// Writes a document into a folder; its file. Its routes ask the server, as those of
/// [`Guard::TokenAndExactLimits`] do, for tokens of others: its own are asked about, and never
/// shown. Log-ins have no limit to speak of: whoever hangs up at the end of a run has tried, and
/// tries again in the next one.
pub fn write(folder: &Path, hashing: Hashing) -> Result<PathBuf> {
    let file = folder.join("identity.yaml");
    fs::write(&file, document(hashing)).with_context(|| format!("writing {}", file.display()))?;
    Ok(file)
}

fn document(hashing: Hashing) -> String {
    let (routes, passwords) = (Guard::TokenAndExactLimits.document(), hashing.fragment());
    let scopes = SCOPES.replace(' ', ", ");
    format!(
        "{routes}
issuer: {ISSUER}

oauth:
  scopes:
    content.read: See courses and lessons
    content.write: Change courses and lessons
  access_token: {{algorithm: RS256, lifetime: 24h}}

login:
  roles:
    {ROLE}:
      scopes: [{scopes}]
  limits: {{pair: {NEVER_REACHED}, email: {NEVER_REACHED}, ip: {NEVER_REACHED}}}
{passwords}"
    )
}

#[cfg(test)]
mod tests {
    use postern_document::{Document, Source};

    use super::*;

    fn load(hashing: Hashing) -> Document {
        let source = Source { name: "identity.yaml".to_owned(), text: document(hashing) };
        let no_file = |name: &str| Err(format!("no file {name}"));
        postern_document::load(&[source], &no_file)
            .unwrap_or_else(|problems| panic!("{hashing:?}: {problems:?}"))
    }

    #[test]
    fn tokens_live_longer_than_all_rounds() {
        let document = load(Hashing::Cheap);
        assert_eq!(document.oauth.unwrap().access_token_secs, 86_400);
        assert!(document.issuer.is_some());
    }

    #[test]
    fn passwords_are_hashed_as_by_default_or_for_as_little_as_can_be() {
        let of = |hashing| {
            let passwords = load(hashing).login.unwrap().passwords;
            (passwords.memory_kib, passwords.iterations)
        };
        assert_eq!(of(Hashing::Default), (19 * 1024, 2));
        assert_eq!(of(Hashing::Cheap), (8 * 1024, 1));
    }

    #[test]
    fn users_may_what_clients_may() {
        let login = load(Hashing::Default).login.unwrap();
        assert_eq!((login.roles.len(), login.default_role.as_str()), (1, ROLE));
        assert_eq!(login.roles[0].scopes.join(" "), SCOPES);
    }

    #[test]
    fn its_routes_are_those_that_ask_the_server() {
        let document = load(Hashing::Default);
        assert!(document.needs_ext_authz());
        assert!(document.routes.iter().all(|route| route.exact_limits.len() == 4));
    }
}
