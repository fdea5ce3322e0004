//! `./dev image`: what ships, as OCI image layouts, without an engine for containers.
//!
//! Images are put together in memory from what was built, and written in the end. Nothing in them
//! depends on this machine, its user or its clock.

mod archive;
mod bundle;
mod crates;
mod elf;
mod leaks;
mod libraries;
mod oci;
mod provenance;
mod report;
mod rustc;
mod sbom;
mod server;
mod source;
mod system;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::cli::{ImageName, ImageOptions};
use crate::paths::{self, Workspace};
use crate::remap::{self, Remap};
use crate::setup::packages;
use crate::wasm::Builder;
use crate::{process, say};
use crates::{Crates, Lock};
use leaks::Folders;
use oci::{Annotations, Descriptor, Digest, Layout};
use provenance::Build;
use rustc::Rustc;
use sbom::Subject;
use source::Source;

/// The profile that the server ships by.
const PROFILE: &str = "dist";
/// Who builds, where nobody says.
const BUILDER: &str = "https://postern.dev/builders/local";
const LICENCE: &str = "Apache-2.0";
/// The target folder of what is compiled a second time.
const AGAIN: &str = "again";

/// Makes the images, and with `--check` makes them again.
pub fn run(workspace: &Workspace, options: &ImageOptions) -> Result<()> {
    let out = match &options.out {
        Some(folder) => paths::as_called(folder),
        None => workspace.target().join("images"),
    };
    let maker = Maker::new(workspace, options)?;
    let images = maker.images(false)?;
    for image in &images {
        image.write(&out)?;
    }
    println!("{}", report::table(&images));
    say::ok(&format!("image layouts in {}", workspace.shown(&out)));
    if options.check {
        maker.check(&images, &out)?;
    }
    if let Some(file) = &options.json {
        let file = paths::as_called(file);
        let text = format!("{:#}\n", report::json(&images));
        fs::write(&file, text).with_context(|| format!("writing {}", file.display()))?;
    }
    Ok(())
}

/// What all images of a run have in common.
struct Maker<'a> {
    workspace: &'a Workspace,
    options: &'a ImageOptions,
    build: Build,
    lock: Lock,
    folders: Folders,
}

impl<'a> Maker<'a> {
    fn new(workspace: &'a Workspace, options: &'a ImageOptions) -> Result<Self> {
        let lock = Lock::read(workspace)?;
        let build = Build {
            source: Source::read(workspace)?,
            url: options.source.clone(),
            builder: options.builder.clone().unwrap_or_else(|| BUILDER.to_owned()),
            lock: lock.digest.clone(),
        };
        Ok(Self { workspace, options, build, lock, folders: Folders::of(workspace) })
    }

    /// The images that are asked for. `anew` compiles from nothing, in other folders.
    fn images(&self, anew: bool) -> Result<Vec<Image>> {
        let asked =
            |name: ImageName| self.options.images.is_empty() || self.options.images.contains(&name);
        let mut images = Vec::new();
        if asked(ImageName::Bundle) {
            images.push(self.bundle(anew)?);
        }
        if asked(ImageName::Server) {
            images.push(self.server(anew)?);
        }
        for image in &images {
            for (_, bytes) in image.layout.blobs() {
                self.folders.check(image.name, bytes)?;
            }
        }
        Ok(images)
    }

    fn bundle(&self, anew: bool) -> Result<Image> {
        let builder = Builder::get(self.workspace)?;
        let toolchain = builder.toolchain();
        // Before it is compiled: cargo unpacks crates, and then there is a folder to leave out.
        let mut tree = toolchain.cargo(self.workspace, "tree")?;
        let crates = Crates::of(bundle::NAME, &mut tree, &self.lock)?;
        let path = if anew {
            builder.bundle_again()?
        } else {
            let modules = builder.modules()?;
            modules.check_size()?;
            modules.bundle
        };
        let parts = bundle::Parts {
            module: read(&path)?,
            crates,
            rustc: Rustc::ask(&mut toolchain.rustc(self.workspace))?,
            binaryen: builder.binaryen(),
        };
        parts.check(&self.folders)?;
        parts.image(&self.build)
    }

    fn server(&self, anew: bool) -> Result<Image> {
        let crates = Crates::of(server::NAME, self.workspace.cargo().arg("tree"), &self.lock)?;
        let (path, rustc) = match &self.options.binary {
            Some(path) => (paths::as_called(path), None),
            None => {
                let mut rustc = Command::new("rustc");
                rustc.current_dir(self.workspace.root());
                (self.build_server(anew)?, Some(Rustc::ask(&mut rustc)?))
            }
        };
        let parts = server::Parts::find(self.workspace, read(&path)?, crates, rustc)?;
        parts.check(&self.folders)?;
        parts.image(&self.build)
    }

    fn build_server(&self, anew: bool) -> Result<PathBuf> {
        packages::c_compiler(self.workspace)?;
        let mut target = self.workspace.target().to_path_buf();
        if anew {
            target = target.join(AGAIN);
            remove(&target)?;
        }
        let mut command = self.workspace.cargo();
        command
            .args(["build", "--locked", "--profile", PROFILE, "--package", server::NAME])
            .arg("--target-dir")
            .arg(&target);
        Remap::of(self.workspace).with(&target, remap::TARGET).apply(&mut command);
        process::run("building the server as it ships", &mut command)?;
        Ok(target.join(PROFILE).join("postern"))
    }

    /// Makes the images a second time in another folder, and compares every file.
    fn check(&self, first: &[Image], out: &Path) -> Result<()> {
        let again = self.workspace.target().join("images-again");
        remove(&again)?;
        let images = self.images(self.options.rebuild)?;
        for image in &images {
            image.write(&again)?;
        }
        let mut differ = Vec::new();
        for (image, second) in first.iter().zip(&images) {
            let (one, other) = (contents(image, out)?, contents(second, &again)?);
            differ.extend(differences(&one, &other));
        }
        if !differ.is_empty() {
            bail!(
                "two builds differ in {} (the second one is in {})",
                differ.join(", "),
                self.workspace.shown(&again)
            );
        }
        remove(&again)?;
        remove(&self.workspace.target().join(AGAIN))?;
        let what = if self.options.rebuild { "compiled" } else { "put together" };
        say::ok(&format!("{what} twice, and every file is the same"));
        Ok(())
    }
}

/// An image with what is attached to it.
struct Image {
    name: &'static str,
    layout: Layout,
    sbom: Vec<u8>,
    provenance: Vec<u8>,
}

impl Image {
    /// Attaches SBOM and provenance to each form of an image.
    fn finish(
        name: &'static str,
        mut layout: Layout,
        forms: &[Descriptor],
        subject: &Subject,
        statement: &Value,
        build: &Build,
    ) -> Result<Self> {
        let sbom = oci::canonical(&sbom::document(subject, &build.source))?;
        let provenance = oci::canonical(statement)?;
        for form in forms {
            let created = ("org.opencontainers.image.created", build.source.created.as_str());
            let layer = layout.blob(sbom::MEDIA_TYPE, sbom.clone()).titled("sbom.spdx.json");
            layout.attach(form, sbom::MEDIA_TYPE, &layer, &words([created]))?;

            let layer = layout.blob(provenance::MEDIA_TYPE, provenance.clone());
            let layer = layer.titled("provenance.intoto.json");
            let predicate = ("in-toto.io/predicate-type", provenance::PREDICATE_TYPE);
            let annotations = words([created, predicate]);
            layout.attach(form, provenance::MEDIA_TYPE, &layer, &annotations)?;
        }
        Ok(Self { name, layout, sbom, provenance })
    }

    /// Writes the layout, and beside it what is attached, for people to read.
    fn write(&self, folder: &Path) -> Result<()> {
        self.layout.write(&folder.join(self.name))?;
        for (path, bytes) in self.beside(folder).into_iter().zip([&self.sbom, &self.provenance]) {
            fs::write(&path, bytes).with_context(|| format!("writing {}", path.display()))?;
        }
        Ok(())
    }

    fn beside(&self, folder: &Path) -> [PathBuf; 2] {
        ["spdx.json", "provenance.json"].map(|end| folder.join(format!("{}.{end}", self.name)))
    }
}

/// What the specification has words for, on manifests and in configurations.
fn annotations(name: &str, description: &str, build: &Build) -> Annotations {
    let source = &build.source;
    let revision = source.revision();
    let known = [
        ("title", Some(name)),
        ("description", Some(description)),
        ("version", Some(source.version.as_str())),
        ("created", Some(source.created.as_str())),
        ("licenses", Some(LICENCE)),
        ("revision", revision.as_deref()),
        ("source", build.url.as_deref()),
    ];
    let known = known.into_iter().filter_map(|(key, value)| Some((key, value?)));
    known
        .map(|(key, value)| (format!("org.opencontainers.image.{key}"), value.to_owned()))
        .collect()
}

fn words<const N: usize>(pairs: [(&str, &str); N]) -> Annotations {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// How the one layer came to be.
fn history(build: &Build) -> Value {
    json!({"created": build.source.created, "created_by": "cargo xtask image"})
}

/// Every file of an image by its path within the folder. Blobs are what their names say.
fn contents(image: &Image, folder: &Path) -> Result<BTreeMap<String, Digest>> {
    let mut files = image.beside(folder).to_vec();
    let mut folders = vec![folder.join(image.name)];
    while let Some(next) = folders.pop() {
        let entries = fs::read_dir(&next).with_context(|| format!("reading {}", next.display()))?;
        for entry in entries {
            let path = entry.with_context(|| format!("reading {}", next.display()))?.path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    let mut contents = BTreeMap::new();
    for path in files {
        let digest = Digest::of(&read(&path)?);
        let name = path.strip_prefix(folder).unwrap_or(&path).display().to_string();
        if let Some((_, blob)) = name.split_once("/blobs/sha256/")
            && blob != digest.hex()
        {
            bail!("{} is not the blob that it is called", path.display());
        }
        contents.insert(name, digest);
    }
    Ok(contents)
}

/// The files that are not the same in both, or not in both.
fn differences(one: &BTreeMap<String, Digest>, other: &BTreeMap<String, Digest>) -> Vec<String> {
    let names: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    names.into_iter().filter(|name| one.get(*name) != other.get(*name)).cloned().collect()
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("reading {}", path.display()))
}

fn remove(folder: &Path) -> Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    fs::remove_dir_all(folder).with_context(|| format!("removing {}", folder.display()))
}

#[cfg(test)]
mod tests;
