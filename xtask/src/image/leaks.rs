//! Folders of this machine that nothing that ships may name.

use std::env;
use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::paths::Workspace;
use crate::remap;

/// The folders.
pub struct Folders(Vec<String>);

impl Folders {
    /// The repository, the target folder, cargo's, rustup's and the user's.
    pub fn of(workspace: &Workspace) -> Self {
        let of = |name: &str| env::var_os(name).map(PathBuf::from);
        Self::new(
            [workspace.root().to_path_buf(), workspace.target().to_path_buf()]
                .into_iter()
                .chain(remap::cargo_home())
                .chain(of("RUSTUP_HOME"))
                .chain(of("HOME")),
        )
    }

    pub(super) fn new(folders: impl Iterator<Item = PathBuf>) -> Self {
        let texts = folders.map(|folder| format!("{}/", folder.display()));
        // The root, as the home of a user without one, is a part of every path.
        let mut texts: Vec<String> =
            texts.filter(|text| text.starts_with('/') && text.len() > 2).collect();
        texts.sort();
        texts.dedup();
        Self(texts)
    }

    /// Those that are named in `bytes`.
    pub fn named_in(&self, bytes: &[u8]) -> Vec<&str> {
        let starts = || {
            let at = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'/');
            at.filter_map(|(at, _)| bytes.get(at..))
        };
        self.0
            .iter()
            .map(String::as_str)
            .filter(|folder| starts().any(|rest| rest.starts_with(folder.as_bytes())))
            .collect()
    }

    /// Refuses what names any of them.
    pub fn check(&self, what: &str, bytes: &[u8]) -> Result<()> {
        let named = self.named_in(bytes);
        if named.is_empty() {
            return Ok(());
        }
        bail!(
            "{what} names folders of this machine ({}): it would not come out the same elsewhere",
            named.join(", ")
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_found_and_others_are_not() {
        let paths = ["/srv/here", "/home", "/", "relative", "/home"].map(PathBuf::from);
        let folders = Folders::new(paths.into_iter());
        for (text, expected) in [
            ("at /home/.cargo/registry/src/x.rs:1", &["/home/"][..]),
            ("//home//home/x", &["/home/"]),
            ("/srv/here/core and /home/x", &["/home/", "/srv/here/"]),
            ("/srv/hereabouts /homely relative/ / //", &[]),
            ("", &[]),
        ] {
            assert_eq!(folders.named_in(text.as_bytes()), expected, "{text}");
        }
        assert!(folders.check("it", b"/home/x").is_err());
        folders.check("it", b"/usr/lib").unwrap();
    }
}
