//! Memory of processes.

use std::fs;

use anyhow::{Context as _, Result};

/// What a process has in memory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Now (`VmRSS`).
    pub now: u64,
    /// The most there has been since the process began, or since [`forget_peak`] (`VmHWM`).
    pub peak: u64,
}

/// What a process has in memory.
pub fn of(pid: u32) -> Result<Memory> {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    read(&text).with_context(|| format!("{path} has another form than proc(5) says"))
}

/// From now on the peak is counted anew (proc(5), `clear_refs`).
pub fn forget_peak(pid: u32) -> Result<()> {
    let path = format!("/proc/{pid}/clear_refs");
    fs::write(&path, "5").with_context(|| format!("writing {path}"))
}

/// Bytes in millions.
pub fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// How many bytes there are more, in millions; less than none where there are fewer.
pub fn grown(before: u64, after: u64) -> f64 {
    megabytes(after) - megabytes(before)
}

fn read(status: &str) -> Option<Memory> {
    let kilobytes = |name: &str| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.strip_prefix(':')?.trim().strip_suffix("kB")?.trim().parse().ok()
    };
    Some(Memory { now: kilobytes("VmRSS")? * 1024, peak: kilobytes("VmHWM")? * 1024 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sizes_are_read() {
        let status = "Name:\tenvoy\nVmPeak:\t 2000 kB\nVmHWM:\t  119268 kB\nVmRSS:\t  100000 kB\n";
        let expected = Memory { now: 102_400_000, peak: 122_130_432 };
        assert_eq!(read(status), Some(expected));
        for broken in ["", "VmHWM:\t1 kB", "VmRSS: x kB\nVmHWM: 1 kB", "VmRSS: 1\nVmHWM: 1"] {
            assert_eq!(read(broken), None, "{broken}");
        }
        let grown = grown(2_500_000, 1_000_000);
        assert!((grown + 1.5).abs() < 1e-9, "{grown}");
    }

    #[test]
    fn a_process_knows_its_own() {
        let memory = of(std::process::id()).unwrap();
        assert!(memory.now > 0 && memory.peak >= memory.now);
        assert!(of(u32::MAX).is_err());
    }
}
