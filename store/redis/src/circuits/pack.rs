//! Keys and arguments of the scripts of circuits.

use postern_circuit::{Forced, Probes};
use postern_request::UnixMillis;
use postern_store::volatile::{
    CircuitAsk, CircuitReport, CircuitWord, ProbeAsk, ProbesOf, ReporterId, Reporting,
};
use redis::Cmd;

use crate::pack::circuit_key;
use crate::script::Scripts;

/// Room for a key or a few numbers.
const BYTES: usize = 64;
/// The largest number that scripts tell from its neighbours, but for the one that is added.
const LARGEST: u64 = (1 << 53) - 2;

fn reporters_key(service: &str) -> String {
    format!("postern:circuit:{{{service}}}:reporters")
}

fn heard_key(service: &str) -> String {
    format!("postern:circuit:{{{service}}}:heard")
}

/// The three keys of a circuit.
fn push_keys(call: &mut Cmd, service: &str) {
    call.arg(circuit_key(service)).arg(reporters_key(service)).arg(heard_key(service));
}

fn push_reporter(call: &mut Cmd, reporter: ReporterId) {
    let ReporterId { peer, envoy } = reporter;
    call.arg(format!("{peer:016x}")).arg(format!("{envoy:016x}")).arg(reporter.shared());
}

/// A call of `report.lua`.
pub(super) fn report(
    scripts: &Scripts,
    reporting: Reporting,
    one: &CircuitReport,
    random: u32,
) -> Cmd {
    let CircuitReport { circuit, report, probes } = one;
    let settings = &circuit.settings;
    let Probes { interval_ms, successes, .. } = settings.probes;
    let mut call = scripts.report.call(3, 22, 8 * BYTES);
    push_keys(&mut call, &circuit.service);
    push_reporter(&mut call, reporting.reporter);
    match reporting.number {
        Some(number) => call.arg(number.min(LARGEST)),
        None => call.arg(""),
    };
    call.arg(report.calls).arg(report.failures).arg(report.slow).arg(report.run);
    call.arg(probes.through).arg(probes.failed);
    call.arg(u8::from(reporting.probes_of == ProbesOf::Decisions));
    call.arg(settings.slot_ms()).arg(settings.window_ms).arg(interval_ms.max(1));
    call.arg(successes.max(1));
    let recovery = settings.recovery;
    call.arg(recovery.first_ms).arg(recovery.longest_ms).arg(recovery.jitter.0).arg(random >> 16);
    call
}

/// Reads all that is kept of a circuit's reporters.
pub(super) fn reporters(service: &str) -> Cmd {
    let mut command = redis::cmd("HGETALL");
    command.arg(reporters_key(service));
    command
}

/// A call of `open.lua`.
pub(super) fn open(scripts: &Scripts, service: &str, version: u64, wait_ms: u64) -> Cmd {
    let mut call = scripts.open.call(1, 3, 2 * BYTES);
    call.arg(circuit_key(service)).arg(version).arg(wait_ms);
    call
}

/// A call of `grant.lua`.
pub(super) fn grant(scripts: &Scripts, reporter: ReporterId, ask: &ProbeAsk) -> Cmd {
    let settings = &ask.circuit.settings;
    let Probes { per_interval, interval_ms, .. } = settings.probes;
    let mut call = scripts.grant.call(3, 10, 5 * BYTES);
    push_keys(&mut call, &ask.circuit.service);
    push_reporter(&mut call, reporter);
    call.arg(ask.wanted).arg(per_interval.clamp(1, u16::MAX.into())).arg(interval_ms.max(1));
    call.arg(u8::from(settings.reporters > 1));
    call
}

/// A call of `look.lua`.
pub(super) fn look(scripts: &Scripts, circuits: &[CircuitAsk]) -> Cmd {
    let count = circuits.len();
    let mut call = scripts.look.call(2 * count, 3 * count, 3 * count * BYTES);
    for circuit in circuits {
        call.arg(circuit_key(&circuit.service)).arg(heard_key(&circuit.service));
    }
    for circuit in circuits {
        call.arg(circuit.settings.window_ms);
    }
    call
}

/// A call of `word.lua`. An operator's clock need not be Redis': what counts is for how long.
pub(super) fn word(
    scripts: &Scripts,
    circuit: &CircuitAsk,
    word: CircuitWord,
    now: UnixMillis,
) -> Cmd {
    let mut call = scripts.word.call(3, 5, 4 * BYTES);
    push_keys(&mut call, &circuit.service);
    match word {
        CircuitWord::Force(Forced { state, until }) => {
            call.arg(state.as_str()).arg(until.millis_since(now).min(LARGEST));
        }
        CircuitWord::Reset => {
            call.arg("RESET").arg(0);
        }
    }
    call
}

#[cfg(test)]
mod tests {
    use postern_circuit::{ForcedState, Report, Settings};
    use postern_store::volatile::ProbeOutcomes;
    use redis::Arg;

    use super::*;

    fn words(command: &Cmd) -> Vec<String> {
        let text = |argument: Arg<&[u8]>| match argument {
            Arg::Simple(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
            _ => panic!("a cursor"),
        };
        command.args_iter().map(text).skip(2).collect()
    }

    fn circuit() -> CircuitAsk {
        CircuitAsk { service: "pay".to_owned(), settings: Settings::default() }
    }

    const REPORTER: ReporterId = ReporterId { peer: 0x1f, envoy: 0xab };
    const KEYS: &str = "postern:circuit:{pay} postern:circuit:{pay}:reporters \
                        postern:circuit:{pay}:heard";
    const WHO: &str = "000000000000001f 00000000000000ab 3";

    #[test]
    fn a_report_brings_all_that_it_is_judged_by() {
        let scripts = Scripts::default();
        let one = CircuitReport {
            circuit: circuit(),
            report: Report { calls: 1, failures: 2, slow: 3, run: 4 },
            probes: ProbeOutcomes { through: 5, failed: 6 },
        };
        for (number, probes_of, expected) in [
            (Some(7), ProbesOf::Reporter, "7 1 2 3 4 5 6 0"),
            (Some(u64::MAX), ProbesOf::Decisions, "9007199254740990 1 2 3 4 5 6 1"),
            (None, ProbesOf::Decisions, " 1 2 3 4 5 6 1"),
        ] {
            let reporting = Reporting { reporter: REPORTER, number, probes_of };
            let packed = words(&report(&scripts, reporting, &one, u32::MAX)).join(" ");
            let settings = "1000 10000 1000 1 60000 300000 100000 65535";
            assert_eq!(packed, format!("3 {KEYS} {WHO} {expected} {settings}"));
        }
    }

    #[test]
    fn who_may_try_is_asked_with_what_an_interval_has() {
        let mut ask = ProbeAsk { circuit: circuit(), wanted: 2 };
        let scripts = Scripts::default();
        let packed = words(&grant(&scripts, REPORTER, &ask)).join(" ");
        assert_eq!(packed, format!("3 {KEYS} {WHO} 2 1 1000 1"));
        ask.circuit.settings.reporters = 1;
        assert!(words(&grant(&scripts, REPORTER, &ask)).join(" ").ends_with(" 1000 0"));
    }

    #[test]
    fn circuits_are_looked_at_together() {
        let other = CircuitAsk {
            service: "ship".to_owned(),
            settings: Settings { window_ms: 5_000, ..Settings::default() },
        };
        let packed = words(&look(&Scripts::default(), &[circuit(), other])).join(" ");
        let expected = "4 postern:circuit:{pay} postern:circuit:{pay}:heard \
                        postern:circuit:{ship} postern:circuit:{ship}:heard 10000 5000";
        assert_eq!(packed, expected);
    }

    #[test]
    fn a_word_holds_for_as_long_as_it_was_meant_to() {
        let (scripts, now) = (Scripts::default(), UnixMillis(1_000));
        let forced = Forced { state: ForcedState::Open, until: UnixMillis(61_000) };
        let packed = words(&word(&scripts, &circuit(), CircuitWord::Force(forced), now)).join(" ");
        assert_eq!(packed, format!("3 {KEYS} OPEN 60000"));
        let packed = words(&word(&scripts, &circuit(), CircuitWord::Reset, now)).join(" ");
        assert_eq!(packed, format!("3 {KEYS} RESET 0"));
        let packed = words(&open(&scripts, "pay", 7, 9)).join(" ");
        assert_eq!(packed, "1 postern:circuit:{pay} 7 9");
    }
}
