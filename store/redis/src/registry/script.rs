//! The scripts of the registry.

use crate::script::Script;

/// How many there are.
pub(crate) const COUNT: usize = 7;

/// All of them.
#[derive(Debug)]
pub(crate) struct RegistryScripts {
    pub(crate) register: Script,
    pub(crate) heartbeat: Script,
    pub(crate) deregister: Script,
    pub(crate) index: Script,
    pub(crate) claim: Script,
    pub(crate) report: Script,
    pub(crate) ring: Script,
}

impl Default for RegistryScripts {
    fn default() -> Self {
        Self {
            register: Script::new(include_str!("../../scripts/registry/register.lua")),
            heartbeat: Script::new(include_str!("../../scripts/registry/heartbeat.lua")),
            deregister: Script::new(include_str!("../../scripts/registry/deregister.lua")),
            index: Script::new(include_str!("../../scripts/registry/index.lua")),
            claim: Script::new(include_str!("../../scripts/registry/claim.lua")),
            report: Script::new(include_str!("../../scripts/registry/report.lua")),
            ring: Script::new(include_str!("../../scripts/registry/ring.lua")),
        }
    }
}

impl RegistryScripts {
    /// Each, to be loaded.
    pub(crate) const fn all(&self) -> [&Script; COUNT] {
        [
            &self.register,
            &self.heartbeat,
            &self.deregister,
            &self.index,
            &self.claim,
            &self.report,
            &self.ring,
        ]
    }
}
