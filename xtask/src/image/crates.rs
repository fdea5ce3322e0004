//! Which crates are in a module or a program.
//!
//! `cargo tree` says it, as it resolves features for the one package that is built. `cargo
//! metadata` would tell those that any member of the workspace turns on, tests included.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::oci::Digest;
use crate::paths::Workspace;
use crate::process;

/// What `cargo tree` writes behind a crate whose dependencies stand elsewhere.
const SEEN: &str = " (*)";

/// A crate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crate {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its licences, as an SPDX expression.
    pub licence: Option<String>,
    /// SHA-256 of the package that was published, in hexadecimal; none for our own.
    pub checksum: Option<String>,
}

/// Crates, and who uses whom.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Crates {
    /// The crates; the first one is what is built.
    pub all: Vec<Crate>,
    /// Pairs of places in that list: a user, and what it uses.
    pub uses: BTreeSet<(usize, usize)>,
}

impl Crates {
    /// What is linked into `package`. `tree` is `cargo tree`, for the machine that is built for.
    pub fn of(package: &str, tree: &mut Command, lock: &Lock) -> Result<Self> {
        // Build scripts and procedural macros run while it is built, and are not in it.
        tree.args(["--locked", "--package", package, "--edges", "normal,no-proc-macro"])
            .args(["--prefix", "depth", "--format", "{p}\t{l}"]);
        Self::parse(&process::output(tree)?, lock)
    }

    fn parse(text: &str, lock: &Lock) -> Result<Self> {
        let mut crates = Self::default();
        let mut places = BTreeMap::new();
        // From the root down to the line before.
        let mut above: Vec<usize> = Vec::new();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let node = Node::read(line).with_context(|| format!("`cargo tree` wrote {line:?}"))?;
            if node.depth > above.len() {
                bail!("`cargo tree` left out what uses {line:?}");
            }
            above.truncate(node.depth);
            let place = match places.get(&(node.name, node.version)) {
                Some(place) => *place,
                None => {
                    crates.all.push(node.with_checksum(lock)?);
                    let place = crates.all.len() - 1;
                    places.insert((node.name, node.version), place);
                    place
                }
            };
            crates.uses.extend(above.last().map(|user| (*user, place)));
            above.push(place);
        }
        Ok(crates)
    }
}

/// A line of `cargo tree`: `2serde v1.0.229<TAB>MIT OR Apache-2.0`.
struct Node<'a> {
    depth: usize,
    name: &'a str,
    version: &'a str,
    licence: &'a str,
}

impl<'a> Node<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let (package, licence) = line.split_once('\t')?;
        let start = package.find(|c: char| !c.is_ascii_digit())?;
        let (depth, package) = package.split_at_checked(start)?;
        let mut words = package.split_whitespace();
        Some(Self {
            depth: depth.parse().ok()?,
            name: words.next()?,
            version: words.next()?.strip_prefix('v')?,
            licence: licence.strip_suffix(SEEN).unwrap_or(licence).trim(),
        })
    }

    fn with_checksum(&self, lock: &Lock) -> Result<Crate> {
        let (name, version) = (self.name.to_owned(), self.version.to_owned());
        let checksum = lock
            .checksums
            .get(&(name.clone(), version.clone()))
            .with_context(|| format!("Cargo.lock does not name {name} {version}"))?;
        // `MIT/Apache-2.0` is how licences were listed before there were expressions.
        let licence: Vec<&str> = self.licence.split('/').map(str::trim).collect();
        let licence = licence.join(" OR ");
        let licence = (!licence.is_empty()).then_some(licence);
        Ok(Crate { name, version, licence, checksum: checksum.clone() })
    }
}

/// `Cargo.lock`: every crate of the workspace with the checksum that cargo insists on.
pub struct Lock {
    /// The file's digest.
    pub digest: Digest,
    checksums: BTreeMap<(String, String), Option<String>>,
}

impl Lock {
    /// Reads the workspace's.
    pub fn read(workspace: &Workspace) -> Result<Self> {
        let path = workspace.root().join("Cargo.lock");
        let text = fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
        Ok(Self::parse(&text))
    }

    /// Cargo writes one field a line; of these, three are enough.
    pub fn parse(text: &str) -> Self {
        let packages = text.split("[[package]]").skip(1).filter_map(|package| {
            let field = |name: &str| {
                let line = package.lines().find_map(|line| line.strip_prefix(name))?;
                Some(line.strip_prefix(" = \"")?.strip_suffix('"')?.to_owned())
            };
            Some(((field("name")?, field("version")?), field("checksum")))
        });
        Self { digest: Digest::of(text.as_bytes()), checksums: packages.collect() }
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A lock file of three crates, one of them ours.
    pub const LOCK: &str = "\
# This file is automatically @generated by Cargo.
version = 4

[[package]]
name = \"postern-bundle\"
version = \"0.1.0\"
dependencies = [
 \"serde\",
]

[[package]]
name = \"serde\"
version = \"1.0.229\"
source = \"registry+https://registry.example.test/index\"
checksum = \"00aa\"

[[package]]
name = \"itoa\"
version = \"1.0.1+x\"
source = \"registry+https://registry.example.test/index\"
checksum = \"00bb\"
";
    const TREE: &str = "\
0postern-bundle v0.1.0 (/somewhere/filters/bundle)\tApache-2.0
1itoa v1.0.1+x\tMIT/Apache-2.0
1serde v1.0.229\tMIT OR Apache-2.0
2itoa v1.0.1+x\tMIT/Apache-2.0 (*)
";

    /// The crates of that file.
    pub fn sample() -> Crates {
        Crates::parse(TREE, &Lock::parse(LOCK)).unwrap()
    }

    #[test]
    fn a_tree_is_read() {
        let crates = sample();
        let known = |name: &str, version: &str, licence: &str, checksum: Option<&str>| Crate {
            name: name.to_owned(),
            version: version.to_owned(),
            licence: Some(licence.to_owned()),
            checksum: checksum.map(str::to_owned),
        };
        assert_eq!(
            crates.all,
            [
                known("postern-bundle", "0.1.0", "Apache-2.0", None),
                known("itoa", "1.0.1+x", "MIT OR Apache-2.0", Some("00bb")),
                known("serde", "1.0.229", "MIT OR Apache-2.0", Some("00aa")),
            ]
        );
        assert_eq!(crates.uses, BTreeSet::from([(0, 1), (0, 2), (2, 1)]));
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        let lock = Lock::parse(LOCK);
        for text in [
            "error: no such package",
            "0unknown v1.0.0\tMIT",
            "1serde v1.0.229\tMIT",
            "0serde 1.0.229\tMIT",
            "serde v1.0.229\tMIT",
        ] {
            assert!(Crates::parse(text, &lock).is_err(), "{text}");
        }
        assert_eq!(Crates::parse("", &lock).unwrap(), Crates::default());
    }

    #[test]
    fn a_crate_without_a_licence_has_none() {
        let crates = Crates::parse("0serde v1.0.229\t (*)\n", &Lock::parse(LOCK)).unwrap();
        assert_eq!(crates.all.first().unwrap().licence, None);
    }
}
