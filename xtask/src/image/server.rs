//! `postern-server`: the server, what it needs to start, and nothing else: no shell, no package
//! manager, no user but the one that it runs as.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::archive::{self, Tree};
use super::crates::Crates;
use super::elf::{Elf, Machine};
use super::leaks::Folders;
use super::libraries::{self, Library};
use super::oci::{self, Digest, Layout, Manifest};
use super::provenance::{self, Build, Material};
use super::rustc::Rustc;
use super::sbom::Subject;
use super::system::{self, Package};
use super::{Image, PROFILE};
use crate::paths::Workspace;
use crate::{remap, say};

/// The image's name.
pub const NAME: &str = "postern-server";
const DESCRIPTION: &str = "Postern's server: ext_authz, ext_proc, rate limits, tokens and the feed";
const PROGRAM: &str = "/usr/local/bin/postern";
/// A number that no system gives to a user of its own, and many images give to theirs.
const USER: u32 = 65_532;
/// gRPC, public HTTP, admin HTTP, metrics.
const PORTS: [u16; 4] = [9191, 9192, 9193, 9194];

/// The authorities of the distribution's package. What somebody added to this machine, such as a
/// proxy's own authority, is not to be trusted by whoever runs the image.
const AUTHORITIES: &str = "/usr/share/ca-certificates/mozilla";
const AUTHORITIES_PACKAGE: &str = "ca-certificates";
/// Where programs look for authorities on Debian, and Rust's programs on any system.
const AUTHORITIES_FILE: &str = "/etc/ssl/certs/ca-certificates.crt";

/// What the image is made of.
pub struct Parts {
    /// The program.
    pub program: Vec<u8>,
    /// What it runs on.
    pub machine: Machine,
    /// The crates in it.
    pub crates: Crates,
    /// What compiled it; none for a program that was brought along.
    pub rustc: Option<Rustc>,
    /// Its libraries and their loader.
    pub libraries: Vec<Library>,
    /// Certificates of authorities, one after the other.
    pub authorities: Option<Vec<u8>>,
    /// Packages of the distribution that are in the image.
    pub system: Vec<Package>,
    /// Our own terms.
    pub licence: Vec<u8>,
}

impl Parts {
    /// Finds on this machine what the program needs beside itself.
    pub fn find(
        workspace: &Workspace,
        program: Vec<u8>,
        crates: Crates,
        rustc: Option<Rustc>,
    ) -> Result<Self> {
        let machine = Elf::read(&program).context("the server")?.machine;
        let libraries = libraries::of(&program).context("the server's libraries")?;
        let files =
            libraries.iter().map(|library| (library.path.as_str(), library.bytes.as_slice()));
        let mut system = system::packages(files);
        let authorities = authorities(Path::new(AUTHORITIES))?;
        match &authorities {
            Some(bytes) => {
                if let Some(package) = system::named(AUTHORITIES_PACKAGE) {
                    let file = (AUTHORITIES_FILE.to_owned(), Digest::of(bytes));
                    system.push(Package { files: vec![file], ..package });
                }
            }
            None => say::note(&format!(
                "no {AUTHORITIES} here: the server's image trusts no authority by itself; mount \
                 yours as {AUTHORITIES_FILE}"
            )),
        }
        let licence = workspace.root().join("LICENSE");
        let licence = fs::read(&licence).with_context(|| format!("{}", licence.display()))?;
        Ok(Self { program, machine, crates, rustc, libraries, authorities, system, licence })
    }

    /// Refuses a program of ours that tells where it was built; of one that was brought along, it
    /// is only said.
    pub fn check(&self, folders: &Folders) -> Result<()> {
        if self.rustc.is_some() {
            return folders.check("the server", &self.program);
        }
        let named = folders.named_in(&self.program);
        if !named.is_empty() {
            say::note(&format!("this server names folders of this machine: {}", named.join(", ")));
        }
        Ok(())
    }

    /// The image.
    pub fn image(&self, build: &Build) -> Result<Image> {
        let mut layout = Layout::default();
        let tar = self.tree().tar()?;
        let annotations = super::annotations(NAME, DESCRIPTION, build);
        let config = layout.json(oci::CONFIG, &self.config(build, &tar))?;
        let layer = layout.blob(oci::LAYER, archive::gzip(&tar)?);
        let manifest = Manifest { config, layers: vec![layer], annotations };
        let image = layout.image(&build.source.version, &manifest)?;

        let digest = Digest::of(&self.program);
        let subject = Subject {
            name: NAME,
            file: PROGRAM.trim_start_matches('/'),
            digest: &digest,
            crates: &self.crates,
            rustc: self.rustc.as_ref(),
            system: &self.system,
        };
        let statement = provenance::statement(
            &[(NAME, &image.digest), ("postern", &digest)],
            build,
            &self.parameters(),
            self.materials(&digest),
        );
        Image::finish(NAME, layout, &[image], &subject, &statement, build)
    }

    fn tree(&self) -> Tree {
        let mut tree = Tree::default();
        tree.file(PROGRAM, archive::RUNNABLE, self.program.clone());
        for library in &self.libraries {
            // Loaders and libraries are programs, as far as modes go.
            tree.file(&library.path, archive::RUNNABLE, library.bytes.clone());
        }
        for (path, text) in [
            ("/etc/passwd", format!("nonroot:x:{USER}:{USER}:nonroot:/tmp:/sbin/nologin\n")),
            ("/etc/group", format!("nonroot:x:{USER}:\n")),
            // Names in /etc/hosts before DNS: glibc's own order without this file is another.
            ("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n".to_owned()),
        ] {
            tree.file(path, archive::READABLE, text.into_bytes());
        }
        tree.folder("/tmp", archive::SHARED);
        if let Some(authorities) = &self.authorities {
            tree.file(AUTHORITIES_FILE, archive::READABLE, authorities.clone());
        }
        let mut terms = vec![("postern", &self.licence)];
        for package in &self.system {
            terms.extend(package.copyright.as_ref().map(|terms| (package.name.as_str(), terms)));
        }
        for (package, text) in terms {
            let path = format!("/usr/share/doc/{package}/copyright");
            tree.file(&path, archive::READABLE, text.clone());
        }
        tree
    }

    fn config(&self, build: &Build, tar: &[u8]) -> Value {
        let ports: serde_json::Map<String, Value> =
            PORTS.iter().map(|port| (format!("{port}/tcp"), json!({}))).collect();
        json!({
            "architecture": self.machine.architecture(),
            "os": "linux",
            "created": build.source.created,
            "config": {
                "User": format!("{USER}:{USER}"),
                "Entrypoint": [PROGRAM],
                "Env": ["PATH=/usr/local/bin"],
                "ExposedPorts": ports,
                "WorkingDir": "/tmp",
                "StopSignal": "SIGTERM",
                "Labels": super::annotations(NAME, DESCRIPTION, build),
            },
            "rootfs": {"type": "layers", "diff_ids": [Digest::of(tar).to_string()]},
            "history": [super::history(build)],
        })
    }

    fn parameters(&self) -> Value {
        if self.rustc.is_none() {
            return json!({"package": NAME, "binary": "given"});
        }
        json!({
            "package": NAME,
            "profile": PROFILE,
            "target": self.machine.architecture(),
            "rustflags": remap::callers_flags(),
        })
    }

    fn materials(&self, digest: &Digest) -> Vec<Material> {
        let program = match &self.rustc {
            Some(rustc) => Material::rustc(rustc),
            None => Material::file("postern", digest),
        };
        [program].into_iter().chain(self.system.iter().map(Material::system)).collect()
    }
}

/// The certificates of a folder, by their files' names; none where there is no such folder.
fn authorities(folder: &Path) -> Result<Option<Vec<u8>>> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(None) };
    let mut files: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "crt"))
        .collect();
    files.sort();
    let mut all = Vec::new();
    for file in &files {
        let certificate = fs::read(file).with_context(|| format!("reading {}", file.display()))?;
        all.extend(certificate);
        if !all.ends_with(b"\n") {
            all.push(b'\n');
        }
    }
    Ok((!files.is_empty()).then_some(all))
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::image::{crates, elf};

    /// A program that does nothing, with one library.
    pub fn sample() -> Parts {
        let library = Library { path: "/lib/libc.so.6".to_owned(), bytes: b"libc".to_vec() };
        let digest = Digest::of(&library.bytes);
        Parts {
            program: elf::tests::program(183),
            machine: Machine::Arm,
            crates: crates::tests::sample(),
            rustc: Some(Rustc { release: "1.95.0".to_owned(), commit: None }),
            libraries: vec![library],
            authorities: Some(b"certificates\n".to_vec()),
            system: vec![Package {
                name: "libc6".to_owned(),
                version: Some("2.36".to_owned()),
                purl: None,
                copyright: Some(b"terms\n".to_vec()),
                files: vec![("/lib/libc.so.6".to_owned(), digest)],
            }],
            licence: b"our terms\n".to_vec(),
        }
    }

    #[test]
    fn only_a_program_of_ours_must_not_tell_where_it_was_built() {
        let folders = Folders::new([PathBuf::from("/work/here")].into_iter());
        let mut parts = sample();
        parts.check(&folders).unwrap();
        parts.program.extend(b"/work/here/core/src/lib.rs");
        assert!(parts.check(&folders).is_err());
        parts.rustc = None;
        parts.check(&folders).unwrap();
    }

    #[test]
    fn certificates_follow_each_other_by_name() {
        let folder = std::env::temp_dir().join(format!("xtask-authorities-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        assert_eq!(authorities(&folder).unwrap(), None);
        for (name, text) in [("b.crt", "b"), ("a.crt", "a\n"), ("README", "no")] {
            fs::write(folder.join(name), text).unwrap();
        }
        assert_eq!(authorities(&folder).unwrap().unwrap(), b"a\nb\n");
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(authorities(&folder).unwrap(), None);
    }
}
