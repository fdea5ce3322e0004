//! What is rendered in one way for one minor version of Istio, and in another for the next.
//!
//! As little as can be: the kind that loads the bundle, and the data planes that patches are for.
//! Whatever a newer version has besides is not rendered, so that one body of output serves all.

use std::ops::RangeInclusive;

use super::RenderError;

/// Minor versions of Istio 1 that can be rendered for.
pub const VERSIONS: RangeInclusive<u32> = 28..=31;

/// The first minor version that has TrafficExtension, which supersedes WasmPlugin.
const FIRST_WITH_TRAFFIC_EXTENSION: u32 = 30;

/// A version of the control plane, and how old a data plane may be beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct IstioVersion {
    minor: u32,
    data_plane_from: u32,
}

impl IstioVersion {
    /// `data_plane_from` is a minor version too; none for one below the control plane's, which is
    /// what an upgrade leaves behind for a while.
    pub(super) fn new(
        (major, minor): (u32, u32),
        data_plane_from: Option<u32>,
    ) -> Result<Self, RenderError> {
        if major != 1 || !VERSIONS.contains(&minor) {
            return Err(RenderError::UnsupportedVersion { major, minor });
        }
        let oldest = *VERSIONS.start();
        let data_plane_from = data_plane_from.unwrap_or(minor.saturating_sub(1).max(oldest));
        if !(oldest..=minor).contains(&data_plane_from) {
            return Err(RenderError::BadOption {
                option: "data_plane_from",
                problem: format!(
                    "1.{data_plane_from} is not between 1.{oldest} and the control plane's 1.{minor}"
                ),
            });
        }
        Ok(Self { minor, data_plane_from })
    }

    /// Whether the bundle is a TrafficExtension; else it is a WasmPlugin. With both, it would run
    /// twice.
    pub(super) const fn has_traffic_extension(self) -> bool {
        self.minor >= FIRST_WITH_TRAFFIC_EXTENSION
    }

    /// The data planes that a patch is for, as the expression that EnvoyFilters take. A patch for
    /// the control plane's version alone would be missing, without a word, in all pods that have
    /// not been restarted since the upgrade. Builds between releases have a hyphen behind the
    /// minor version (`1.31-alpha`).
    pub(super) fn proxy_versions(self) -> String {
        let minors: Vec<String> =
            (self.data_plane_from..=self.minor).map(|minor| minor.to_string()).collect();
        match minors.as_slice() {
            [one] => format!("^1\\.{one}[.-]"),
            several => format!("^1\\.({})[.-]", several.join("|")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_are_for_the_control_planes_version_and_the_one_before() {
        for (minor, from, expected) in [
            (28, None, "^1\\.28[.-]"),
            (29, None, "^1\\.(28|29)[.-]"),
            (30, None, "^1\\.(29|30)[.-]"),
            (31, None, "^1\\.(30|31)[.-]"),
            (31, Some(28), "^1\\.(28|29|30|31)[.-]"),
            (31, Some(31), "^1\\.31[.-]"),
        ] {
            let version = IstioVersion::new((1, minor), from).unwrap();
            assert_eq!(version.proxy_versions(), expected);
            assert_eq!(version.has_traffic_extension(), minor >= 30);
        }
    }

    #[test]
    fn versions_that_nobody_has_tried_are_refused() {
        for version in [(1, 27), (1, 32), (2, 30), (0, 30)] {
            let error = IstioVersion::new(version, None).unwrap_err();
            assert!(matches!(error, RenderError::UnsupportedVersion { .. }), "{error}");
        }
        for from in [27, 30, 31] {
            let error = IstioVersion::new((1, 29), Some(from)).unwrap_err().to_string();
            assert!(error.contains("--data-plane-from") && error.contains(&from.to_string()));
        }
    }
}
