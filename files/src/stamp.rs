//! What tells whether files have changed, without reading them.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::list;

/// What is seen of the files of a place, and of others beside them.
///
/// Where files really are is part of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Stamp {
    files: Result<Vec<FileStamp>, ErrorKind>,
    besides: Vec<FileStamp>,
}

#[derive(Debug, PartialEq, Eq)]
struct FileStamp {
    path: PathBuf,
    resolved: Option<PathBuf>,
    /// None where it cannot be looked at.
    state: Option<(u64, Option<SystemTime>)>,
}

impl FileStamp {
    fn of(path: PathBuf) -> Self {
        let state = fs::metadata(&path).ok();
        Self {
            resolved: fs::canonicalize(&path).ok(),
            state: state.map(|state| (state.len(), state.modified().ok())),
            path,
        }
    }
}

impl Stamp {
    /// Looks.
    #[must_use]
    pub fn of(place: &Path, besides: &[PathBuf]) -> Self {
        // The folder tells when one of them went.
        let all = |files: Vec<PathBuf>| files.into_iter().chain([place.to_owned()]);
        let files = list(place).map(|files| all(files).map(FileStamp::of).collect());
        Self {
            files: files.map_err(|error| error.kind()),
            besides: besides.iter().cloned().map(FileStamp::of).collect(),
        }
    }

    /// Whether every file was written at least so long before `now`. Times to come do not count:
    /// they tell nothing about when something was written.
    #[must_use]
    pub fn is_older_than(&self, age: Duration, now: SystemTime) -> bool {
        let files = self.files.as_deref().unwrap_or_default();
        files
            .iter()
            .chain(&self.besides)
            .filter_map(|file| file.state.and_then(|(_, modified)| modified))
            .all(|modified| now.duration_since(modified).map_or(true, |found| found >= age))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{remove, settle};

    #[test]
    fn a_stamp_changes_with_size_time_and_place() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.yaml");
        let stamp = || Stamp::of(folder.path(), &[]);
        let missing = Stamp::of(&file, &[]);
        fs::write(&file, "1").unwrap();
        let first = stamp();
        assert_ne!(Stamp::of(&file, &[]), missing);
        assert_eq!(stamp(), first);
        settle(&file).unwrap();
        settle(folder.path()).unwrap();
        let second = stamp();
        assert_ne!(second, first);
        let is_settled =
            |stamp: Stamp| stamp.is_older_than(Duration::from_secs(2), SystemTime::now());
        assert!(is_settled(stamp()));
        assert!(!first.is_older_than(Duration::from_secs(3600), SystemTime::now()));
        let other = folder.path().join("b.yaml");
        fs::write(&other, "1").unwrap();
        assert_ne!(stamp(), second);
        fs::remove_file(&other).unwrap();
        assert!(!is_settled(stamp()), "more of them may go");
        fs::write(&other, "1").unwrap();
        remove(&other).unwrap();
        assert!(is_settled(stamp()));
    }

    #[test]
    fn files_beside_the_place_count_too() {
        let folder = tempfile::tempdir().unwrap();
        let (file, beside) = (folder.path().join("a.yaml"), folder.path().join("keys.json"));
        fs::write(&file, "1").unwrap();
        let besides = [beside.clone()];
        let stamp = || Stamp::of(&file, &besides);
        let missing = stamp();
        fs::write(&beside, "1").unwrap();
        let there = stamp();
        assert_ne!(there, missing);
        fs::write(&beside, "12").unwrap();
        assert_ne!(stamp(), there);
    }
}
