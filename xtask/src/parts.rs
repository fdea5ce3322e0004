//! The real programs and modules that tests and benches run against.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::paths::Workspace;
use crate::setup::redis::{self, Redis};
use crate::setup::{envoy, packages, toolchain};
use crate::wasm::{self, Modules};

/// Everything a test kit needs to know where to find. Test programs get it by
/// environment variables and look nowhere else.
pub struct Parts {
    envoy: PathBuf,
    redis: Redis,
    modules: Modules,
}

impl Parts {
    /// Gets what is missing and builds the modules.
    pub fn get(workspace: &Workspace) -> Result<Self> {
        packages::c_compiler(workspace)?;
        let toolchain = toolchain::wasm(workspace)?;
        let envoy = envoy::get(workspace)?;
        let redis = redis::get(workspace)?;
        let modules = wasm::build(workspace, &toolchain)?;
        Ok(Self { envoy, redis, modules })
    }

    /// Tells a program where the parts are. `POSTERN_SCHEMAS`, which somebody
    /// else may have set, is inherited.
    pub fn hand_to(&self, command: &mut Command, postern: &Path) {
        command
            .env("POSTERN_ENVOY", &self.envoy)
            .env("POSTERN_BUNDLE_WASM", &self.modules.bundle)
            .env("POSTERN_TRIVIAL_WASM", &self.modules.trivial)
            .env("POSTERN_BIN", postern);
        match &self.redis.lent {
            Some(url) => command.env("POSTERN_REDIS_URL", url.url()),
            None => command.env_remove("POSTERN_REDIS_URL"),
        };
        match &self.redis.server {
            Some(path) => command.env("POSTERN_REDIS_SERVER", path),
            None => command.env_remove("POSTERN_REDIS_SERVER"),
        };
    }
}
