//! The scripts, and calls of them.

use redis::{Cmd, Pipeline};

use crate::flows::script::{self, FlowScripts};
use crate::registry::script::{self as registry, RegistryScripts};

/// How many scripts there are.
pub(crate) const COUNT: usize = 10 + script::COUNT + registry::COUNT;

/// A script, hashed once.
#[derive(Debug)]
pub(crate) struct Script {
    text: &'static str,
    sha: String,
}

impl Script {
    pub(crate) fn new(text: &'static str) -> Self {
        Self { text, sha: redis::Script::new(text).get_hash().to_owned() }
    }

    /// Begins a call: `keys` keys have to follow, and then the arguments. `arguments` and `bytes`
    /// say what room both together take, so that it is made once.
    pub(crate) fn call(&self, keys: usize, arguments: usize, bytes: usize) -> Cmd {
        let mut call = Cmd::with_capacity(3 + arguments, 56 + bytes);
        call.arg("EVALSHA").arg(&self.sha).arg(keys);
        call
    }

    fn load(&self) -> Cmd {
        let mut load = redis::cmd("SCRIPT");
        load.arg("LOAD").arg(self.text);
        load
    }
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Scripts {
    pub(crate) decide: Script,
    pub(crate) give_back: Script,
    pub(crate) lend: Script,
    pub(crate) take_back: Script,
    pub(crate) report: Script,
    pub(crate) open: Script,
    pub(crate) grant: Script,
    pub(crate) look: Script,
    pub(crate) word: Script,
    pub(crate) publish: Script,
    pub(crate) flows: FlowScripts,
    pub(crate) registry: RegistryScripts,
}

impl Default for Scripts {
    fn default() -> Self {
        Self {
            decide: Script::new(concat!(
                include_str!("../scripts/limits.lua"),
                include_str!("../scripts/decide.lua")
            )),
            give_back: Script::new(concat!(
                include_str!("../scripts/limits.lua"),
                include_str!("../scripts/credit.lua"),
                include_str!("../scripts/give_back.lua")
            )),
            lend: Script::new(concat!(
                include_str!("../scripts/limits.lua"),
                include_str!("../scripts/ledger.lua"),
                include_str!("../scripts/lend.lua")
            )),
            take_back: Script::new(concat!(
                include_str!("../scripts/limits.lua"),
                include_str!("../scripts/credit.lua"),
                include_str!("../scripts/ledger.lua"),
                include_str!("../scripts/take_back.lua")
            )),
            report: Script::new(concat!(
                include_str!("../scripts/circuit.lua"),
                include_str!("../scripts/reporter.lua"),
                include_str!("../scripts/report.lua")
            )),
            open: Script::new(concat!(
                include_str!("../scripts/circuit.lua"),
                include_str!("../scripts/open.lua")
            )),
            grant: Script::new(concat!(
                include_str!("../scripts/circuit.lua"),
                include_str!("../scripts/reporter.lua"),
                include_str!("../scripts/grant.lua")
            )),
            look: Script::new(concat!(
                include_str!("../scripts/circuit.lua"),
                include_str!("../scripts/look.lua")
            )),
            word: Script::new(concat!(
                include_str!("../scripts/circuit.lua"),
                include_str!("../scripts/word.lua")
            )),
            publish: Script::new(include_str!("../scripts/publish.lua")),
            flows: FlowScripts::default(),
            registry: RegistryScripts::default(),
        }
    }
}

impl Scripts {
    /// What makes them known to a server.
    pub(crate) fn loads(&self) -> Pipeline {
        let limits = [&self.decide, &self.give_back, &self.lend, &self.take_back];
        let circuits = [&self.report, &self.open, &self.grant, &self.look, &self.word];
        let scripts = limits.into_iter().chain(circuits).chain([&self.publish]);
        let scripts = scripts.chain(self.flows.all()).chain(self.registry.all());
        let mut loads = Pipeline::with_capacity(COUNT);
        for script in scripts {
            loads.add_command(script.load());
        }
        loads
    }
}

#[cfg(test)]
mod tests {
    use postern_store::volatile::circuits;

    use super::*;

    #[test]
    fn a_call_names_a_script_by_the_hash_of_what_is_loaded() {
        let scripts = Scripts::default();
        let mut call = scripts.publish.call(1, 2, 2);
        call.arg("k").arg(7);
        let packed = String::from_utf8(call.get_packed_command()).unwrap();
        // What `redis-cli SCRIPT LOAD` answers is the SHA-1 of the text.
        let sha = redis::Script::new(scripts.publish.text).get_hash().to_owned();
        let expected =
            format!("*5\r\n$7\r\nEVALSHA\r\n$40\r\n{sha}\r\n$1\r\n1\r\n$1\r\nk\r\n$1\r\n7\r\n");
        assert_eq!(packed, expected);
        let loads = String::from_utf8(scripts.loads().get_packed_pipeline()).unwrap();
        assert_eq!(loads.matches("$6\r\nSCRIPT\r\n$4\r\nLOAD\r\n").count(), COUNT);
        assert!(loads.contains(scripts.publish.text));
    }

    #[test]
    fn the_numbers_of_reporters_are_those_of_the_port() {
        let numbers = format!(
            "local OWN, MOST, MAX_CALLS, SLOTS = {}, {}, {}, {}",
            circuits::OWN_REPORTERS,
            circuits::MAX_REPORTERS,
            postern_circuit::Window::MAX_CALLS,
            postern_circuit::Window::SLOTS,
        );
        let idle = format!("local IDLE = {}\n", circuits::IDLE_MS);
        let scripts = Scripts::default();
        for script in [scripts.report, scripts.grant] {
            assert!(script.text.contains(&numbers), "{numbers}");
            assert!(script.text.contains(&idle), "{idle}");
        }
    }

    #[test]
    fn the_numbers_of_leases_are_those_of_the_core() {
        let numbers = format!(
            "local JITTER, GUARD, MOST, LONGEST_LIFE = {}, {}, {}, {}",
            postern_leases::ledger::JITTER_MS,
            postern_leases::GUARD_MS,
            postern_leases::ledger::MAX_LEASES,
            postern_leases::terms::MAX_LIFE_MS,
        );
        let scripts = Scripts::default();
        for script in [scripts.lend, scripts.take_back] {
            assert!(script.text.contains(&numbers), "{numbers}");
        }
    }
}
