//! CPU time of processes, and which core they run on.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

/// Microseconds of a tick: Linux tells every program of 100 ticks a second (`USER_HZ`).
pub const TICK_MICROS: u32 = 10_000;

/// Ticks that a process has used so far, in all of its threads, in user and kernel mode.
pub fn ticks(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    read_ticks(&text).with_context(|| format!("{path} has another form than proc(5) says"))
}

/// proc(5): `utime` and `stime` are fields 14 and 15; field 2, the name, stands in parentheses
/// and may hold anything, parentheses and spaces included.
fn read_ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    user.checked_add(system)
}

/// Where a process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The core of what is measured: an Envoy, or a server that is asked without one.
    Gateway,
    /// The core of everything else: load, other servers, upstream, Redis.
    Beside,
    /// Wherever the kernel likes.
    Anywhere,
}

/// The two cores, where there are two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cores {
    pair: Option<(u32, u32)>,
}

impl Cores {
    /// The first two that this process may use. With fewer, or without `taskset`, nothing is
    /// pinned.
    pub fn find() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        let cores = read_list(list.unwrap_or_default());
        let pair = match cores.as_slice() {
            [first, second, ..] if has_taskset() => Some((*first, *second)),
            _ => None,
        };
        Self { pair }
    }

    /// In words.
    pub fn describe(self) -> String {
        match self.pair {
            Some((gateway, beside)) => {
                format!("what is asked on core {gateway}, load and the rest on core {beside}")
            }
            None => "nothing is pinned (one core, or no taskset): expect more noise".to_owned(),
        }
    }

    /// A program at a place.
    pub fn command(self, place: Place, program: &Path) -> Command {
        match self.core(place) {
            None => Command::new(program),
            Some(core) => {
                // taskset becomes the program, so the process id is the program's.
                let mut command = Command::new("taskset");
                command.arg("-c").arg(core.to_string()).arg(program);
                command
            }
        }
    }

    /// A command, with its arguments and folder, at a place.
    pub fn place(self, place: Place, command: &Command) -> Command {
        let mut placed = self.command(place, Path::new(command.get_program()));
        placed.args(command.get_args());
        if let Some(folder) = command.get_current_dir() {
            placed.current_dir(folder);
        }
        placed
    }

    fn core(self, place: Place) -> Option<u32> {
        let (gateway, beside) = self.pair?;
        match place {
            Place::Gateway => Some(gateway),
            Place::Beside => Some(beside),
            Place::Anywhere => None,
        }
    }
}

fn has_taskset() -> bool {
    Command::new("taskset").arg("--version").output().is_ok_and(|output| output.status.success())
}

/// `0-2,5` (cpuset(7), "List format").
fn read_list(list: &str) -> Vec<u32> {
    list.trim()
        .split(',')
        .filter_map(|range| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            Some(first.parse::<u32>().ok()?..=last.parse::<u32>().ok()?)
        })
        .flatten()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_user_and_system_time_whatever_the_name() {
        let rest = "S 13182 13182 30684 0 -1 4194304 4633 0 0 0 21 15 7 9 20 0 7 0 580832";
        for name in ["envoy", "a) R 1 2 (b", "two words"] {
            assert_eq!(read_ticks(&format!("13184 ({name}) {rest}")), Some(36));
        }
        for broken in ["", "1 (a", "1 (a) S 1 2", "1 (a) S 1 2 3 4 5 6 7 8 9 10 x 1"] {
            assert_eq!(read_ticks(broken), None, "{broken}");
        }
    }

    #[test]
    fn a_process_knows_itself() {
        let before = ticks(std::process::id()).unwrap();
        assert!(ticks(std::process::id()).unwrap() >= before);
        assert!(ticks(u32::MAX).is_err());
    }

    #[test]
    fn core_lists_are_read() {
        assert_eq!(read_list("\t0-1\n"), [0, 1]);
        assert_eq!(read_list("4-6,9"), [4, 5, 6, 9]);
        assert_eq!(read_list("3"), [3]);
        assert!(read_list("").is_empty());
    }

    #[test]
    fn pinned_commands_keep_their_arguments() {
        let cores = Cores { pair: Some((2, 5)) };
        let mut command = Command::new("program");
        command.args(["--one", "two"]).current_dir("/tmp");
        let placed = cores.place(Place::Beside, &command);
        let arguments: Vec<_> = placed.get_args().collect();
        assert_eq!(placed.get_program(), "taskset");
        assert_eq!(arguments, ["-c", "5", "program", "--one", "two"]);
        assert_eq!(placed.get_current_dir(), Some(Path::new("/tmp")));
        assert_eq!(cores.place(Place::Anywhere, &command).get_program(), "program");
        assert_eq!(Cores { pair: None }.place(Place::Gateway, &command).get_program(), "program");
    }
}
