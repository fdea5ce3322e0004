//! Which compiler it is.

use std::process::Command;

use anyhow::{Context, Result};

use crate::process;

/// A compiler's version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rustc {
    /// As it is released: `1.95.0`.
    pub release: String,
    /// The commit of Rust's repository; a distribution's compiler may not say.
    pub commit: Option<String>,
}

impl Rustc {
    /// Asks it.
    pub fn ask(rustc: &mut Command) -> Result<Self> {
        let text = process::output(rustc.arg("--version").arg("--verbose"))?;
        Self::parse(&text).with_context(|| format!("rustc wrote {text:?}"))
    }

    fn parse(text: &str) -> Option<Self> {
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))?;
            (line != "unknown").then(|| line.to_owned())
        };
        Some(Self { release: field("release")?, commit: field("commit-hash") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read() {
        let text = "rustc 1.95.0 (59807616e 2026-04-14)\nbinary: rustc\ncommit-hash: 5980\n\
                    host: x86_64-unknown-linux-gnu\nrelease: 1.95.0\n";
        let rustc = Rustc::parse(text).unwrap();
        assert_eq!((rustc.release.as_str(), rustc.commit.as_deref()), ("1.95.0", Some("5980")));
        let debian = Rustc::parse("commit-hash: unknown\nrelease: 1.94.1\n").unwrap();
        assert_eq!(debian.commit, None);
        assert_eq!(Rustc::parse("bash 5.2"), None);
    }
}
