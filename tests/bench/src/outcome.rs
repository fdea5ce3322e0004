//! What a load generator says of a run.

use std::collections::BTreeMap;

use anyhow::{Result, bail};

/// How the line begins that a program reads, whatever else a generator writes.
const REPORT: &str = "postern-bench ";
/// One answer in so many may be an error.
const ONE_IN: u64 = 50;

/// One run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Requests that were answered.
    pub requests: u64,
    /// How long it took.
    pub micros: u64,
    /// Half of the answers came within so many microseconds.
    pub p50_micros: u64,
    /// And 99 % of them within so many.
    pub p99_micros: u64,
    /// Answers of 400 and above, or other codes than OK.
    pub bad_status: u64,
    /// Connections that failed or broke.
    pub broken: u64,
    /// Answers that took longer than two seconds.
    pub late: u64,
}

impl Outcome {
    /// Reads the line.
    pub fn read(report: &str) -> Option<Self> {
        let line = report.lines().find_map(|line| line.strip_prefix(REPORT))?;
        let figures: BTreeMap<&str, u64> = line
            .split_ascii_whitespace()
            .map(|pair| {
                let (name, value) = pair.split_once('=')?;
                Some((name, value.parse::<u64>().ok()?))
            })
            .collect::<Option<_>>()?;
        let figure = |name: &str| figures.get(name).copied();
        Some(Self {
            requests: figure("requests")?,
            micros: figure("microseconds")?,
            p50_micros: figure("p50")?,
            p99_micros: figure("p99")?,
            bad_status: figure("status")?,
            broken: figure("connect")? + figure("read")? + figure("write")?,
            late: figure("timeout")?,
        })
    }

    /// The line, as wrk's script writes it.
    pub fn line(&self) -> String {
        let Self { requests, micros, p50_micros, p99_micros, bad_status, broken, late } = self;
        format!(
            "{REPORT}requests={requests} microseconds={micros} p50={p50_micros} p99={p99_micros} \
             status={bad_status} connect={broken} read=0 write=0 timeout={late}"
        )
    }

    /// That all went well: a refusal costs other CPU time than what is to be measured.
    pub fn check(&self) -> Result<()> {
        // A stalled machine makes Envoy give a call-out up; a run in which that happened now and
        // then still says what a request costs. More than that is another path than the one meant.
        let tolerated = self.requests / ONE_IN;
        if self.requests == 0 || self.bad_status > tolerated || self.broken > 0 {
            bail!(
                "{} answers, {} of them of 400 and above or not OK, {} connections broken",
                self.requests,
                self.bad_status,
                self.broken
            );
        }
        Ok(())
    }

    /// Whether more requests were answered well than so many.
    pub fn exceeds(&self, count: f64) -> bool {
        self.requests.saturating_sub(self.bad_status) as f64 > count + 0.5
    }

    /// Requests a second.
    pub fn per_second(&self) -> f64 {
        self.requests as f64 * 1e6 / self.micros.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRK: &str = "Running 1s test @ http://127.0.0.1:20900
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency    13.23ms   17.10ms  86.56ms   85.65%
    Req/Sec     4.25k     3.58k   11.71k    80.00%
  4528 requests in 1.09s, 521.78KB read
  Non-2xx or 3xx responses: 7
Requests/sec:   4146.19
Transfer/sec:    477.78KB

postern-bench requests=4528 microseconds=1092088 p50=4271 p99=71012 status=7 connect=1 read=2 write=3 timeout=9
";

    #[test]
    fn the_report_is_read() {
        let outcome = Outcome::read(WRK).unwrap();
        let expected = Outcome {
            requests: 4528,
            micros: 1_092_088,
            p50_micros: 4271,
            p99_micros: 71_012,
            bad_status: 7,
            broken: 6,
            late: 9,
        };
        assert_eq!(outcome, expected);
        assert!((outcome.per_second() - 4146.19).abs() < 0.01);
        assert_eq!(Outcome::read(&outcome.line()), Some(expected));
    }

    #[test]
    fn what_is_no_report_is_none() {
        for broken in [
            "",
            "unable to connect to 127.0.0.1:1 Connection refused",
            "postern-bench requests=1",
            "postern-bench requests=x microseconds=1",
            &WRK.replace("timeout=9", "timeout"),
        ] {
            assert_eq!(Outcome::read(broken), None, "{broken}");
        }
    }

    #[test]
    fn good_answers_are_compared_with_a_count() {
        let outcome = Outcome { requests: 10, bad_status: 2, ..Outcome::read(WRK).unwrap() };
        // The server may have answered what nobody waited for any more.
        assert!(!outcome.exceeds(8.0) && !outcome.exceeds(9.0));
        assert!(outcome.exceeds(7.0));
    }

    #[test]
    fn many_refusals_or_one_broken_connection_are_too_many() {
        let good = Outcome { bad_status: 0, broken: 0, ..Outcome::read(WRK).unwrap() };
        assert!(good.check().is_ok());
        assert!(Outcome { bad_status: good.requests / 10, ..good }.check().is_err());
        assert!(Outcome { broken: 1, ..good }.check().is_err());
        assert!(Outcome { requests: 0, ..good }.check().is_err());
    }
}
