//! Which Istio this was, and what was not measured for want of a part.
#![allow(clippy::expect_used, clippy::panic, reason = "tests")]

use postern_mesh::program;
use postern_mesh::skip::{self, Part};

#[tokio::test]
async fn nothing_that_is_skipped_is_misspelt() {
    let list = std::env::var(skip::VARIABLE).unwrap_or_default();
    let unknown = skip::unknown_names(&list);
    let names: Vec<&str> = Part::ALL.iter().map(|part| part.name()).collect();
    assert!(unknown.is_empty(), "{}: {unknown:?} are none of {names:?}", skip::VARIABLE);
}

#[tokio::test]
async fn the_control_plane_is_of_istio_1_29() {
    let version = program::istio_version().await;
    skip::report(&format!("istiod: istio.io/istio {version}"));
    if !version.starts_with("v1.29.") {
        let why = format!("no module of Istio 1.29 can be had, and istiod is of {version}");
        assert!(Part::Istio129.is_skipped(&why));
    }
}
