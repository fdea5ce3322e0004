//! `postern-bundle`: the module in the two forms that meshes fetch.
//!
//! Istio's agent (`pkg/wasm/imagefetcher.go`), and what was made after it, takes an ordinary image
//! whose last layer holds `plugin.wasm`, and else an artifact of exactly two layers, module and
//! runtime configuration. It tries them in this order, so the ordinary one has the plain tag; every
//! registry and every tool takes that, too. In the artifact the module is a blob of its own, which
//! `oras pull` writes out as a file, for an Envoy that reads modules from its disk.

use anyhow::{Context, Result, bail};
use serde_json::json;
use wasmparser::{Parser, Payload};

use super::crates::Crates;
use super::leaks::Folders;
use super::oci::{self, Digest, Layout, Manifest};
use super::provenance::{self, Build, Material};
use super::rustc::Rustc;
use super::sbom::Subject;
use super::{Image, archive};
use crate::remap;

/// The image's name.
pub const NAME: &str = "postern-bundle";
/// What the tag of the artifact ends in.
const ARTIFACT: &str = "-artifact";
/// The name that meshes look for.
const FILE: &str = "plugin.wasm";
/// A module, by the specification of Wasm images.
const CONTENT: &str = "application/vnd.module.wasm.content.layer.v1+wasm";
/// What a runtime should know of it.
const RUNTIME: &str = "application/vnd.module.wasm.config.v1+json";
const DESCRIPTION: &str = "Postern's filter for Envoy and Istio, by the proxy-wasm ABI";

/// What the image is made of.
pub struct Parts {
    /// The module.
    pub module: Vec<u8>,
    /// The crates in it.
    pub crates: Crates,
    /// What compiled it.
    pub rustc: Rustc,
    /// The version of Binaryen, which optimised it.
    pub binaryen: u32,
}

impl Parts {
    /// Refuses a module that tells where it was built.
    pub fn check(&self, folders: &Folders) -> Result<()> {
        folders.check("the module", &self.module)
    }

    /// The image.
    pub fn image(&self, build: &Build) -> Result<Image> {
        let mut layout = Layout::default();
        let version = &build.source.version;
        let ordinary = self.ordinary(&mut layout, build)?;
        let ordinary = layout.image(version, &ordinary)?;
        let artifact = self.artifact(&mut layout, build)?;
        let artifact = layout.image(&format!("{version}{ARTIFACT}"), &artifact)?;

        let digest = Digest::of(&self.module);
        let subject = Subject {
            name: NAME,
            file: FILE,
            digest: &digest,
            crates: &self.crates,
            rustc: Some(&self.rustc),
            system: &[],
        };
        let statement = provenance::statement(
            &[(NAME, &ordinary.digest), (NAME, &artifact.digest), (FILE, &digest)],
            build,
            &json!({
                "package": NAME,
                "profile": "wasm",
                "target": "wasm32-unknown-unknown",
                "rustflags": remap::callers_flags(),
            }),
            vec![
                Material::rustc(&self.rustc),
                Material::tool("wasm-opt", "binaryen", &self.binaryen.to_string()),
            ],
        );
        Image::finish(NAME, layout, &[ordinary, artifact], &subject, &statement, build)
    }

    /// One layer with the module in it: the variant `compat`.
    fn ordinary(&self, layout: &mut Layout, build: &Build) -> Result<Manifest> {
        let mut tree = archive::Tree::default();
        tree.file(FILE, archive::READABLE, self.module.clone());
        let tar = tree.tar()?;
        let annotations = super::annotations(NAME, DESCRIPTION, build);
        let config = json!({
            // A module runs on whatever Envoy runs on.
            "architecture": "wasm",
            "os": "unknown",
            "created": build.source.created,
            "config": {"Labels": annotations},
            "rootfs": {"type": "layers", "diff_ids": [Digest::of(&tar).to_string()]},
            "history": [super::history(build)],
        });
        let config = layout.json(oci::CONFIG, &config)?;
        let layer = layout.blob(oci::LAYER, archive::gzip(&tar)?);
        Ok(Manifest { config, layers: vec![layer], annotations })
    }

    /// The module as it is, and its runtime configuration: the variant `oci`.
    fn artifact(&self, layout: &mut Layout, build: &Build) -> Result<Manifest> {
        let runtime = json!({
            "type": "envoy_proxy",
            "abiVersions": [abi_version(&self.module)?],
            // One root context, whatever it is called.
            "config": {"root_ids": []},
        });
        let config = layout.json(RUNTIME, &runtime)?.titled("runtime-config.json");
        let module = layout.blob(CONTENT, self.module.clone()).titled(FILE);
        Ok(Manifest {
            config: config.clone(),
            layers: vec![config, module],
            annotations: super::annotations(NAME, DESCRIPTION, build),
        })
    }
}

/// The version of the ABI that a module says it speaks, by an export: `v0.2.1`.
fn abi_version(module: &[u8]) -> Result<String> {
    const PREFIX: &str = "proxy_abi_version_";
    for payload in Parser::new(0).parse_all(module) {
        let Payload::ExportSection(exports) = payload.context("not a WASM module")? else {
            continue;
        };
        for export in exports {
            let name = export.context("an export of the module")?.name;
            if let Some(version) = name.strip_prefix(PREFIX) {
                return Ok(format!("v{}", version.replace('_', ".")));
            }
        }
    }
    bail!("the module exports no {PREFIX}…: it is no filter")
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::image::crates;
    use wasm_encoder::{
        CodeSection, ExportKind, ExportSection, Function, FunctionSection, Module, TypeSection,
    };

    /// A module with these exports.
    pub fn module(exports: &[&str]) -> Vec<u8> {
        let mut module = Module::new();
        let mut types = TypeSection::new();
        types.ty().function([], []);
        let mut functions = FunctionSection::new();
        functions.function(0);
        let mut section = ExportSection::new();
        for name in exports {
            section.export(name, ExportKind::Func, 0);
        }
        let mut function = Function::new([]);
        function.instructions().end();
        let mut code = CodeSection::new();
        code.function(&function);
        module.section(&types).section(&functions).section(&section).section(&code);
        module.finish()
    }

    /// A small filter and what it is made of.
    pub fn sample() -> Parts {
        Parts {
            module: module(&["malloc", "proxy_abi_version_0_2_1"]),
            crates: crates::tests::sample(),
            rustc: Rustc { release: "1.95.0".to_owned(), commit: Some("5980".to_owned()) },
            binaryen: 108,
        }
    }

    #[test]
    fn a_filter_names_its_abi() {
        assert_eq!(abi_version(&sample().module).unwrap(), "v0.2.1");
        assert!(abi_version(&module(&["malloc"])).is_err());
        assert!(abi_version(b"\x7fELF").is_err());
    }
}
