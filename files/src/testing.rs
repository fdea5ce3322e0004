//! Files that nobody writes to any more, for tests that do not wait for that.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// Each time is another one, so that every change is seen by it.
static SECONDS: AtomicU64 = AtomicU64::new(1_000_000);

/// Writes a file as if that had been long ago.
///
/// # Errors
/// When it cannot be written.
pub fn write(file: &Path, text: impl AsRef<[u8]>) -> io::Result<()> {
    fs::write(file, text)?;
    settle(file)?;
    file.parent().map_or(Ok(()), settle)
}

/// Removes a file as if that had been long ago.
///
/// # Errors
/// When it cannot be removed.
pub fn remove(file: &Path) -> io::Result<()> {
    fs::remove_file(file)?;
    file.parent().map_or(Ok(()), settle)
}

/// As if a file or a folder had changed last long ago.
///
/// # Errors
/// When its time cannot be set.
pub fn settle(place: &Path) -> io::Result<()> {
    let seconds = SECONDS.fetch_add(1, Ordering::Relaxed);
    File::open(place)?.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}
