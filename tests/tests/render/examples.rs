//! The examples that ship: what stands there is what their documents render to now.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use postern_e2e::{env, server};

/// With this set, the examples are written anew instead of being compared.
const WRITE: &str = "POSTERN_WRITE_EXAMPLES";

/// Folders below `istio`, the document of each, and how it is rendered.
const EXAMPLES: [(&str, &str, &[&str]); 3] = [
    ("sample", "envoy/sample.yaml", &[]),
    ("sample-gateway-api", "envoy/sample.yaml", &["--api", "gateway"]),
    // A gateway, and a workload that guards itself.
    ("sample-sidecar", "tests/fixtures/istio.yaml", &["--request-authentication", "workloads"]),
];

/// The files of a folder, by their names; none where there is no folder.
fn read(folder: &Path) -> BTreeMap<String, String> {
    let Ok(entries) = fs::read_dir(folder) else { return BTreeMap::new() };
    entries
        .map(|entry| entry.expect("an entry").path())
        .map(|path| {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            (name, fs::read_to_string(&path).expect("a manifest"))
        })
        .collect()
}

#[tokio::test]
async fn they_are_current() {
    let writes = std::env::var_os(WRITE).is_some_and(|value| value == "1");
    let mut stale = Vec::new();
    for (folder, document, options) in EXAMPLES {
        let shipped = env::repository().join("istio").join(folder);
        let out = tempfile::tempdir().expect("a folder");
        let target = if writes { shipped.clone() } else { out.path().to_path_buf() };
        let written = target.display().to_string();
        let arguments = ["render", "istio", document, "--out", &written];
        let arguments = arguments.into_iter().chain(options.iter().copied());
        server::run(arguments).await.expect_success();
        let rendered = read(&target);
        assert!(rendered.contains_key("plugin.yaml"), "{folder}: {:?}", rendered.keys());
        if rendered != read(&shipped) {
            stale.push(folder);
        }
    }
    assert!(
        stale.is_empty(),
        "{stale:?} under istio/ are not what their documents render to: run this test with \
         {WRITE}=1 and look at the change"
    );
}
