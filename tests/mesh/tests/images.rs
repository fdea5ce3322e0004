//! The module's image, fetched by the code that pilot-agent fetches modules with.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};

use postern_e2e::env;
use postern_e2e::process::Finished;
use postern_mesh::program;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// The variable that names the image's layout, as `./dev image` writes it.
const LAYOUT: &str = "POSTERN_BUNDLE_IMAGE";
/// What a layout calls its images by.
const TAG: &str = "org.opencontainers.image.ref.name";

fn layout() -> PathBuf {
    let folder = std::env::var_os(LAYOUT).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| panic!("{LAYOUT} is not set: run ./dev test mesh"));
    assert!(folder.join("index.json").is_file(), "{} is no layout", folder.display());
    folder
}

/// Tags with the digests of their manifests.
fn images(layout: &Path) -> Vec<(String, String)> {
    let text = fs::read_to_string(layout.join("index.json")).expect("the layout's index");
    let index: Value = serde_json::from_str(&text).expect("JSON");
    let manifests = index["manifests"].as_array().expect("manifests");
    let named = manifests.iter().filter_map(|one| {
        let tag = one["annotations"][TAG].as_str()?;
        let digest = one["digest"].as_str()?.strip_prefix("sha256:")?;
        Some((tag.to_owned(), digest.to_owned()))
    });
    named.collect()
}

async fn fetch(layout: &Path, tag: &str, pin: &str) -> Finished {
    let layout = layout.display().to_string();
    program::run("fetch", ["-layout", &layout, "-tag", tag, "-sha256", pin]).await
}

#[tokio::test]
async fn a_mesh_fetches_the_module_and_pins_it_by_its_image() {
    let layout = layout();
    let module = fs::read(env::bundle()).expect("the module");
    let digest = Sha256::digest(&module);
    let module: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let images = images(&layout);
    // For container engines, and for tools that know artifacts.
    assert_eq!(images.len(), 2, "{images:?}");
    for (tag, manifest) in images {
        for pin in ["", &manifest] {
            let text = fetch(&layout, &tag, pin).await.expect_success();
            assert_eq!(text.lines().last(), Some(module.as_str()), "{tag}, pinned to `{pin}`");
        }
        // The module's own hash is none of its image.
        let refused = fetch(&layout, &tag, &module).await.expect_code(1);
        assert!(refused.contains("does not match"), "{tag}: {refused}");
    }
}
