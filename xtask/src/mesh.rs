//! `./dev test mesh`: real Envoys under a real Istio control plane.
//!
//! What they need is two programs of Go: Istio's parts (`tests/mesh/go`) and a Kubernetes API
//! server (`tests/mesh/kube`). Each is built when its files change: some ten minutes on two cores,
//! and 3 GB in Go's build cache. What it was built from names its folder.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::cli::{ImageName, ImageOptions};
use crate::paths::{self, Workspace};
use crate::setup::{envoy, go};
use crate::test::Kit;
use crate::{image, process, say};

/// The parts to do without, separated by commas.
const SKIP: &str = "POSTERN_MESH_SKIP";
/// How many builds of a program are kept.
const KEPT: usize = 2;

/// A program of Go.
struct Program {
    name: &'static str,
    /// The folder with its module.
    folder: &'static str,
    /// The variable that tells tests where it is; set, nothing is built.
    variable: &'static str,
    /// As `POSTERN_MESH_SKIP` names it.
    part: &'static str,
    what: &'static str,
    /// For the linker.
    flags: &'static str,
}

const MESH: Program = Program {
    name: "mesh",
    folder: "go",
    variable: "POSTERN_MESH",
    part: "control-plane",
    what: "Istio's parts",
    flags: "-s -w",
};
const KUBE: Program = Program {
    name: "kube",
    folder: "kube",
    variable: "POSTERN_KUBE",
    part: "api-server",
    what: "the API server",
    // Clients want a version that they can read; that of k8s.io/kubernetes in go.mod.
    flags: "-s -w -X k8s.io/component-base/version.gitVersion=v1.36.1",
};

/// Runs the tests; `arguments` go to the test programs.
pub fn run(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    if MESH.is_skipped() {
        say::note(&format!("SKIPPED {}: nothing of these tests was run", MESH.part));
        return Ok(());
    }
    let mesh = MESH.get(workspace)?;
    // Whoever runs without it reads from the tests what was not measured.
    let kube = if KUBE.is_skipped() { None } else { Some(KUBE.get(workspace)?) };
    let kit = Kit::get(workspace, envoy::get(workspace)?)?;
    let image = bundle_image(workspace)?;
    let report = workspace.state().join("mesh").join("report");
    fs::write(&report, "").with_context(|| format!("writing {}", report.display()))?;
    let mut command = kit.test_of(workspace, &["-p", "postern-mesh"]);
    command
        .env(MESH.variable, mesh)
        .env(KUBE.variable, kube.unwrap_or_default())
        .env("POSTERN_BUNDLE_IMAGE", image)
        .env("POSTERN_MESH_REPORT", &report);
    // Each test has a control plane and four Envoys of its own.
    command.args(["--no-fail-fast", "--", "--test-threads=1"]).args(arguments);
    let outcome = process::run("mesh tests", &mut command);
    for line in fs::read_to_string(&report).unwrap_or_default().lines() {
        say::note(line);
    }
    outcome
}

/// The module as meshes fetch it.
fn bundle_image(workspace: &Workspace) -> Result<PathBuf> {
    let out = workspace.target().join("mesh-images");
    let options = ImageOptions {
        images: vec![ImageName::Bundle],
        out: Some(out.clone()),
        binary: None,
        source: None,
        builder: None,
        check: false,
        rebuild: false,
        json: None,
    };
    image::run(workspace, &options)?;
    Ok(out.join("postern-bundle"))
}

impl Program {
    fn is_skipped(&self) -> bool {
        let list = env::var(SKIP).unwrap_or_default();
        list.split(',').any(|name| name.trim() == self.part)
    }

    /// The one that is named, the one built earlier of the same files, or built now.
    fn get(&self, workspace: &Workspace) -> Result<PathBuf> {
        self.find_or_build(workspace).with_context(|| {
            let Self { what, variable, part, .. } = self;
            format!(
                "{what} cannot be had; {variable}=/path/to/it names another, and {SKIP}={part} \
                 does without"
            )
        })
    }

    fn find_or_build(&self, workspace: &Workspace) -> Result<PathBuf> {
        let builds = workspace.state().join("mesh").join(self.name);
        fs::create_dir_all(&builds).with_context(|| format!("creating {}", builds.display()))?;
        if let Some(path) = paths::from_env(self.variable) {
            if !paths::is_executable(&path) {
                bail!("{} names {}, which nobody can run", self.variable, path.display());
            }
            say::ok(&format!("{} ({}, from {})", self.what, path.display(), self.variable));
            return Ok(path);
        }
        let sources = workspace.root().join("tests").join("mesh").join(self.folder);
        let go = go::get(workspace)?;
        let folder = builds.join(digest(&sources, go.version())?);
        let program = folder.join(self.name);
        if !paths::is_executable(&program) {
            self.build(workspace, &go, &sources, &program)?;
            forget_old(&builds, &folder)?;
        }
        say::ok(&format!("{} ({})", self.what, workspace.shown(&program)));
        Ok(program)
    }

    fn build(
        &self,
        workspace: &Workspace,
        go: &go::Go,
        sources: &Path,
        program: &Path,
    ) -> Result<()> {
        if let Some(folder) = program.parent() {
            fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
        }
        // Moved into place when it is whole.
        let part = program.with_extension("part");
        let modules = ["-mod=readonly", "-buildvcs=false", "-trimpath"];
        let mut command = go.command(sources);
        command
            .arg("build")
            .args(modules)
            .args(["-ldflags", self.flags])
            .arg("-o")
            .arg(&part)
            .arg(".");
        let title = format!("building {} (once; some ten minutes)", self.what);
        let log = workspace.log(&format!("{}-build", self.name));
        process::run_logged(&title, &log, &mut command)?;
        let mut test = go.command(sources);
        test.arg("test").args(modules).args(["-vet=off", "./..."]);
        let log = workspace.log(&format!("{}-test", self.name));
        process::run_logged(&format!("trying {}", self.what), &log, &mut test)?;
        fs::rename(&part, program).with_context(|| format!("moving it to {}", program.display()))
    }
}

/// What a program is made of: modules, their sums, our own files and the compiler.
fn digest(sources: &Path, version: &str) -> Result<String> {
    let mut files = Vec::new();
    list(sources, &mut files)?;
    files.sort();
    let mut hash = Sha256::new();
    hash.update(version);
    for file in &files {
        let name = file.strip_prefix(sources).unwrap_or(file);
        let content = fs::read(file).with_context(|| format!("reading {}", file.display()))?;
        hash.update(name.as_os_str().as_encoded_bytes());
        hash.update([0_u8]);
        hash.update(content.len().to_le_bytes());
        hash.update(content);
    }
    let hex: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(hex.chars().take(32).collect())
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    for entry in entries {
        let path = entry.with_context(|| format!("reading {}", folder.display()))?.path();
        if path.is_dir() {
            list(&path, files)?;
        } else if is_source(&path) {
            files.push(path);
        }
    }
    Ok(())
}

fn is_source(path: &Path) -> bool {
    let is_go = path.extension().is_some_and(|extension| extension == "go");
    is_go || ["go.mod", "go.sum"].iter().any(|name| path.ends_with(name))
}

/// Removes builds of other files, some 100 MB each, but for the newest of them.
fn forget_old(builds: &Path, current: &Path) -> Result<()> {
    let entries = fs::read_dir(builds).with_context(|| format!("reading {}", builds.display()))?;
    let mut others: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_dir() && path != current)
        .filter_map(|path| Some((path.metadata().ok()?.modified().ok()?, path)))
        .collect();
    others.sort();
    let spare = others.len().saturating_sub(KEPT - 1);
    for (_, path) in others.into_iter().take(spare) {
        fs::remove_dir_all(&path).with_context(|| format!("removing {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = env::temp_dir().join(format!("xtask-mesh-{name}-{}", std::process::id()));
        fs::create_dir_all(folder.join("inner")).unwrap();
        folder
    }

    #[test]
    fn a_build_is_known_by_what_it_is_made_of() {
        let folder = folder("digest");
        let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
        write("go.mod", "module a");
        write("inner/a.go", "package a");
        let first = digest(&folder, "go1.26.6").unwrap();
        assert_eq!(first.len(), 32);
        write("notes.txt", "nothing that is compiled");
        assert_eq!(digest(&folder, "go1.26.6").unwrap(), first);
        assert_ne!(digest(&folder, "go1.26.7").unwrap(), first);
        write("inner/a.go", "package b");
        let second = digest(&folder, "go1.26.6").unwrap();
        assert_ne!(second, first);
        write("go.sum", "");
        assert_ne!(digest(&folder, "go1.26.6").unwrap(), second);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn the_newest_builds_stay() {
        let folder = folder("builds");
        fs::remove_dir_all(folder.join("inner")).unwrap();
        for name in ["a", "b", "c"] {
            fs::create_dir(folder.join(name)).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        fs::write(folder.join("report"), "").unwrap();
        forget_old(&folder, &folder.join("c")).unwrap();
        let stays = |name: &str| folder.join(name).exists();
        assert!(!stays("a") && stays("b") && stays("c") && stays("report"));
        fs::remove_dir_all(&folder).unwrap();
    }
}
