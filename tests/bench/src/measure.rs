//! Rounds of runs.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::cli::Options;
use crate::cpu::TICK_MICROS;
use crate::entries::{Entry, Gateway};
use crate::launcher::Launcher;
use crate::load::Load;
use crate::outcome::Outcome;
use crate::reading::Section;
use crate::station::{Starter, Station};
use crate::timings::Timings;
use crate::tokens::Tokens;

/// Before the first round: connections, caches and compiled code are there then.
const WARM_UP_SECONDS: u32 = 1;
/// Before each run of an entry that spends leases. An Envoy asks for as much as three seconds
/// took; what it held has ended while the other entries ran.
const LEAD_IN_SECONDS: u32 = 3;
/// The bundle hands its counts to Envoy every second.
const COUNTS_ARRIVE: Duration = Duration::from_millis(1500);
/// One tick of 10 ms more or less must not count: fewer ticks than this are worth a note.
const FEWEST_TICKS: u64 = 100;
/// More remembered tokens than this make a cold run a warm one.
const COLD_ENOUGH: f64 = 0.05;

/// Everything that is needed to measure entries.
#[derive(Debug)]
pub struct Bench<'a> {
    launcher: &'a Launcher,
    entries: &'a [&'static Entry],
    token: String,
    load: Load<'a>,
    runs: u32,
    seconds: u32,
}

/// What is measured once in every round.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// The row that it is compared with; itself where there is nothing to compare.
    pub base: String,
    /// Whose CPU time it is.
    pub whose: &'static str,
    /// Microseconds of CPU time per request, by round.
    pub values: Vec<f64>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Measured {
    /// All rows, each with as many values as there were rounds.
    pub rows: Vec<Row>,
    /// What to know when reading them.
    pub notes: Vec<String>,
}

impl<'a> Bench<'a> {
    /// Makes the tokens and writes the requests. Nothing runs yet.
    pub fn prepare(
        launcher: &'a Launcher,
        entries: &'a [&'static Entry],
        options: &Options,
    ) -> Result<Self> {
        let tokens = Tokens::get(&launcher.home.join("tokens.txt"))?;
        let token = tokens.warm().first().cloned().unwrap_or_default();
        let load = Load::prepare(launcher, &tokens)?;
        let Options { runs, seconds, .. } = *options;
        Ok(Self { launcher, entries, token, load, runs, seconds })
    }

    /// Starts everything, measures, and stops everything. All entries run from the beginning to
    /// the end: those that wait cost nothing, and no run pays for a start.
    pub async fn run(&self) -> Result<(Measured, Section)> {
        let Self { runs, seconds, .. } = *self;
        let count = self.entries.len();
        let cores = self.launcher.cores.describe();
        eprintln!("{count} entries, {runs} rounds of {seconds} s each; {cores}");
        let mut stations = self.start().await?;
        let mut measured = Measured::default();
        for watched in stations.iter().flat_map(|station| &station.watched) {
            measured.rows.push(Row {
                name: watched.row.clone(),
                base: watched.base.clone(),
                whose: watched.whose,
                values: Vec::new(),
            });
        }
        let mut timings = Timings::of(self.entries);
        for round in 1..=runs {
            let mut values = Vec::new();
            for station in &mut stations {
                let run = self.measure(station, seconds).await?;
                eprintln!("round {round}/{runs}  {}", describe(station.entry, &run));
                measured.notes.extend(coarse(station.entry, &run));
                timings.add(station.entry, &run.outcome);
                values.extend(run.micros);
            }
            for (row, value) in measured.rows.iter_mut().zip(values) {
                row.values.push(value);
            }
        }
        measured.notes.sort();
        measured.notes.dedup();
        measured.notes.extend(remembered(&stations).await);
        Ok((measured, timings.section()))
    }

    async fn start(&self) -> Result<Vec<Station>> {
        let starter = Starter { launcher: self.launcher, token: &self.token };
        let mut stations = Vec::with_capacity(self.entries.len());
        for entry in self.entries {
            eprintln!("starting {}", entry.name);
            stations.push(starter.start(entry).await?);
        }
        for station in &mut stations {
            eprintln!("warming up {}", station.entry.name);
            self.measure(station, WARM_UP_SECONDS).await?;
        }
        Ok(stations)
    }

    /// Sends until what requests spend is lent, where it is; says how many slices that were by
    /// then. Refusals do not matter here.
    async fn lead_in(&self, station: &Station) -> Result<Option<f64>> {
        if station.entry.spends_leases() {
            Box::pin(self.load.run(station.target, LEAD_IN_SECONDS)).await?;
        }
        station.slices_lent().await
    }

    async fn measure(&self, station: &mut Station, seconds: u32) -> Result<Run> {
        let name = station.entry.name;
        let lent = self.lead_in(station).await.with_context(|| format!("before {name}"))?;
        let reports = station.reports_counted().await?;
        let good = station.called_good().await?;
        let before = ticks(station)?;
        let sending = self.load.run(station.target, seconds);
        let outcome = Box::pin(sending).await.with_context(|| format!("loading {name}"))?;
        let after = ticks(station)?;
        station.check()?;
        outcome.check().with_context(|| format!("{name} did not answer as it should"))?;
        let lent_by_now = station.slices_lent().await?;
        if lent.zip(lent_by_now).is_some_and(|(before, after)| after <= before) {
            bail!("{name}: the server lent no slices during the run");
        }
        let reports_by_now = station.reports_counted().await?;
        if reports.zip(reports_by_now).is_some_and(|(before, after)| after <= before) {
            bail!("{name}: nothing was reported of circuits during the run");
        }
        let good_by_now = station.called_good().await?;
        if good.zip(good_by_now).is_some_and(|(before, after)| outcome.exceeds(after - before)) {
            bail!("{name}: not every token was good that the server was asked about");
        }
        if outcome.bad_status > 0 {
            let (bad, all) = (outcome.bad_status, outcome.requests);
            eprintln!("note: {name}: {bad} of {all} answers of this run were errors");
        }
        let used: Vec<u64> = after
            .iter()
            .zip(&before)
            .map(|(after, before)| after.saturating_sub(*before))
            .collect();
        let micros = used.iter().map(|ticks| per_request(*ticks, outcome.requests)).collect();
        Ok(Run { outcome, own_ticks: used.first().copied(), micros })
    }
}

/// One run of one entry.
#[derive(Debug)]
struct Run {
    outcome: Outcome,
    /// Of the entry's own row; none where nobody knows its processes.
    own_ticks: Option<u64>,
    /// Per request, in the order of what is watched.
    micros: Vec<f64>,
}

fn ticks(station: &Station) -> Result<Vec<u64>> {
    station.watched.iter().map(|watched| watched.ticks()).collect()
}

fn per_request(ticks: u64, requests: u64) -> f64 {
    ticks as f64 * f64::from(TICK_MICROS) / requests.max(1) as f64
}

fn describe(entry: &Entry, run: &Run) -> String {
    let millis = |micros: u64| micros as f64 / 1e3;
    let micros: Vec<String> = run.micros.iter().map(|micros| format!("{micros:.2}")).collect();
    let outcome = &run.outcome;
    let late = match outcome.late {
        0 => String::new(),
        late => format!("  ({late} answers took more than two seconds)"),
    };
    format!(
        "{:<32} {:>7} µs  {:>7.0} requests/s  p50 {:.2} ms  p99 {:.2} ms{late}",
        entry.name,
        micros.join(" + "),
        outcome.per_second(),
        millis(outcome.p50_micros),
        millis(outcome.p99_micros),
    )
}

/// CPU time is told in ticks: of a short run, or on a starved machine, too few to be exact.
fn coarse(entry: &Entry, run: &Run) -> Option<String> {
    run.own_ticks.is_some_and(|ticks| ticks < FEWEST_TICKS).then(|| {
        format!("{}: some runs used less than a second of CPU time; measure for longer", entry.name)
    })
}

/// Whether caches did what the entries are about.
async fn remembered(stations: &[Station]) -> Vec<String> {
    let gateways =
        stations.iter().filter_map(|station| Some((station, station.entry.as_gateway()?)));
    let ours: Vec<(&Station, &Gateway)> =
        gateways.filter(|(_, gateway)| gateway.chain.is_ours()).collect();
    if ours.is_empty() {
        return Vec::new();
    }
    tokio::time::sleep(COUNTS_ARRIVE).await;
    let mut notes = Vec::new();
    for (station, gateway) in ours {
        let Some(share) = station.remembered().await else { continue };
        let too_warm = gateway.load.is_cold() && share > COLD_ENOUGH;
        let remark = if too_warm { ": too many for what is to be cold" } else { "" };
        let (name, percent) = (station.entry.name, share * 100.0);
        notes.push(format!("{name}: {percent:.1} % of the tokens were remembered{remark}"));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_is_ten_milliseconds() {
        assert!((per_request(300, 150_000) - 20.0).abs() < 1e-9);
        assert!((per_request(300, 0) - 3_000_000.0).abs() < 1e-9, "no division by zero");
    }
}
