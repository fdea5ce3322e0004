//! What this process takes of the machine, from Linux' `/proc`.
//!
//! Where there is no `/proc` the numbers are absent, never invented. Free space on disk is not
//! among them: asking for it (`statvfs`) takes a system call that std does not offer.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Milliseconds of one tick in `/proc/self/stat`: Linux counts there in hundredths of a second
/// (`USER_HZ`) on every architecture that we build for.
const MILLIS_PER_TICK: u64 = 10;

/// The shortest span that a CPU percentage is worked out over. A span of a few ticks would say
/// more about the tick than about the process.
const SHORTEST_SPAN: Duration = Duration::from_secs(1);

/// One look at the process.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ProcessUsage {
    /// CPU time of wall time, 100 for one core used fully. Absent in the first second.
    pub cpu_percentage: Option<f64>,
    /// Memory that is in RAM.
    pub rss_bytes: Option<u64>,
    /// Address space.
    pub virtual_bytes: Option<u64>,
    /// Read from storage since the start.
    pub read_bytes: Option<u64>,
    /// Written to storage since the start.
    pub written_bytes: Option<u64>,
}

/// Looks at the process; remembers the last look, as CPU usage is a difference.
#[derive(Debug)]
pub struct ProcessSampler {
    last: Mutex<CpuReading>,
}

/// CPU time up to a point in time, and the percentage over the span that ended there.
#[derive(Debug, Clone, Copy, PartialEq)]
struct CpuReading {
    at: Instant,
    used: Option<Duration>,
    percentage: Option<f64>,
}

impl ProcessSampler {
    /// The first span begins `now`.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        let first = CpuReading { at: now, used: read("stat", cpu_time), percentage: None };
        Self { last: Mutex::new(first) }
    }

    /// Looks at the process. Whoever asks shares the span: the CPU percentage is that since the
    /// look before, by whomever, at least a second long.
    #[must_use]
    pub fn sample(&self, now: Instant) -> ProcessUsage {
        let used = read("stat", cpu_time);
        let cpu_percentage = {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            *last = last.advance(now, used);
            last.percentage
        };
        // `status` rather than `statm`: it counts in kB, not in pages of a size to be known.
        let memory = |name| read("status", |text| number(text, name)?.checked_mul(1024));
        let storage = |name| read("io", |text| number(text, name));
        ProcessUsage {
            cpu_percentage,
            rss_bytes: memory("VmRSS"),
            virtual_bytes: memory("VmSize"),
            read_bytes: storage("read_bytes"),
            written_bytes: storage("write_bytes"),
        }
    }
}

impl CpuReading {
    fn advance(self, now: Instant, used: Option<Duration>) -> Self {
        let span = now.saturating_duration_since(self.at);
        if span < SHORTEST_SPAN {
            return self;
        }
        let percentage = self.used.zip(used).map(|(before, after)| {
            after.saturating_sub(before).as_secs_f64() / span.as_secs_f64() * 100.0
        });
        Self { at: now, used, percentage }
    }
}

fn read<T>(file: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
    std::fs::read_to_string(format!("/proc/self/{file}")).ok().and_then(|text| parse(&text))
}

/// User and system time, fields 14 and 15 of proc_pid_stat(5). The second field, the program's
/// name in brackets, may itself hold spaces and brackets, so counting begins after the last one.
fn cpu_time(stat: &str) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    user.checked_add(system)?.checked_mul(MILLIS_PER_TICK).map(Duration::from_millis)
}

/// The number in a line such as `VmRSS:     5124 kB`.
fn number(text: &str, name: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    value.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_found_behind_a_hostile_name() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194560 100 0 0 0 120 30 0 0 20 0 8 0 999 1 1";
        assert_eq!(cpu_time(stat), Some(Duration::from_millis(1500)));
        for bad in ["", "7 (a", "7 (a) S 1 2", "7 (a) S 1 7 7 0 -1 4194560 100 0 0 0 x y"] {
            assert_eq!(cpu_time(bad), None, "{bad}");
        }
    }

    #[test]
    fn numbers_are_found_by_their_whole_name() {
        let status = "VmRSSX:\t1 kB\nVmRSS:\t    5124 kB\nVmSize:\tnone\n";
        assert_eq!(number(status, "VmRSS"), Some(5124));
        assert_eq!(number(status, "VmSize"), None);
        assert_eq!(number(status, "VmPeak"), None);
    }

    #[test]
    fn a_percentage_covers_at_least_a_second() {
        let start = Instant::now();
        let used = |millis| Some(Duration::from_millis(millis));
        let first = CpuReading { at: start, used: used(100), percentage: None };
        assert_eq!(first.advance(start + Duration::from_millis(999), used(900)), first);
        let second = first.advance(start + Duration::from_secs(2), used(3100));
        assert_eq!(second.percentage, Some(150.0));
        assert_eq!(second.advance(start + Duration::from_secs(4), None).percentage, None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_uses_memory() {
        let start = Instant::now();
        let usage = ProcessSampler::new(start).sample(start + Duration::from_secs(1));
        assert!(usage.rss_bytes.is_some_and(|bytes| bytes > 100_000), "{usage:?}");
        assert!(usage.virtual_bytes >= usage.rss_bytes, "{usage:?}");
        assert!(usage.cpu_percentage.is_some(), "{usage:?}");
    }
}
