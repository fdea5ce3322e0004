//! The real programs and modules that tests and benches run against.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::paths::Workspace;
use crate::setup::redis::{self, Redis};
use crate::setup::{envoy, packages};
use crate::wasm::{Builder, Modules, Stages};

/// Everything a test kit needs to know where to find. Test programs get it by
/// environment variables and look nowhere else.
pub struct Parts {
    envoy: PathBuf,
    redis: Redis,
    modules: Modules,
    stages: Option<Stages>,
}

impl Parts {
    /// Gets what is missing and builds the modules.
    pub fn get(workspace: &Workspace) -> Result<Self> {
        packages::c_compiler(workspace)?;
        let builder = Builder::get(workspace)?;
        let envoy = envoy::get(workspace)?;
        let redis = redis::get(workspace)?;
        Ok(Self { envoy, redis, modules: builder.modules()?, stages: None })
    }

    /// The same around this Envoy, with the modules of one stage, which only
    /// tests load.
    pub fn for_tests(workspace: &Workspace, envoy: PathBuf) -> Result<Self> {
        packages::c_compiler(workspace)?;
        let builder = Builder::get(workspace)?;
        let redis = redis::get(workspace)?;
        let modules = builder.modules()?;
        Ok(Self { envoy, redis, modules, stages: Some(builder.stages()?) })
    }

    /// From now on this Envoy is meant.
    pub fn run_on(&mut self, envoy: PathBuf) {
        self.envoy = envoy;
    }

    /// Whether Envoy loads the smallest module there is.
    pub fn check_envoy(&self) -> Result<()> {
        envoy::check_loads(&self.envoy, &self.modules.trivial)
    }

    /// Tells a program where the parts are. `POSTERN_SCHEMAS`, which somebody
    /// else may have set, is inherited.
    pub fn hand_to(&self, command: &mut Command, postern: &Path) {
        command
            .env("POSTERN_ENVOY", &self.envoy)
            .env("POSTERN_BUNDLE_WASM", &self.modules.bundle)
            .env("POSTERN_TRIVIAL_WASM", &self.modules.trivial)
            .env("POSTERN_BIN", postern);
        if let Some(stages) = &self.stages {
            command
                .env("POSTERN_JWT_AUTH_WASM", &stages.jwt_auth)
                .env("POSTERN_LOCAL_RATE_LIMIT_WASM", &stages.local_rate_limit)
                .env("POSTERN_CIRCUIT_BREAKER_WASM", &stages.circuit_breaker);
        }
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
