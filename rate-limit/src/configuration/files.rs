//! Files: which there are, what they hold, and whether something about them has changed.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use postern_descriptors::{Problem, Source};
use sha2::{Digest as _, Sha256};

/// Files of one folder.
const MAX_FILES: usize = 1000;
/// Bytes of one file: what their reader takes.
const MAX_FILE_BYTES: usize = 4 << 20;
/// How often files are read that change while they are read.
const ATTEMPTS: usize = 3;

/// What tells whether something has changed, without reading it.
///
/// Where files really are is part of it: a mounted ConfigMap is a folder of links through one
/// link, and an update turns that one around.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stamp(Result<Vec<FileStamp>, ErrorKind>);

#[derive(Debug, PartialEq, Eq)]
struct FileStamp {
    path: PathBuf,
    resolved: Option<PathBuf>,
    /// None where it cannot be looked at.
    state: Option<(u64, Option<SystemTime>)>,
}

/// What was read: texts, or why there are none.
pub(super) struct Content(Result<Vec<Source>, Vec<Problem>>);

impl Stamp {
    /// Looks.
    pub(super) fn of(place: &Path) -> Self {
        let stamp = |path: PathBuf| {
            let state = fs::metadata(&path).ok();
            FileStamp {
                resolved: fs::canonicalize(&path).ok(),
                state: state.map(|state| (state.len(), state.modified().ok())),
                path,
            }
        };
        let files = list(place).map(|files| files.into_iter().map(stamp).collect());
        Self(files.map_err(|error| error.kind()))
    }

    /// Whether every file was written at least so long before `now`. Times to come do not count:
    /// they tell nothing about when something was written.
    pub(super) fn is_older_than(&self, age: Duration, now: SystemTime) -> bool {
        let files = self.0.as_deref().unwrap_or_default();
        files
            .iter()
            .filter_map(|file| file.state.and_then(|(_, modified)| modified))
            .all(|modified| now.duration_since(modified).map_or(true, |found| found >= age))
    }
}

/// Reads what is there, with the stamp of before it was read: what changes afterwards is found
/// by the next look. What changes meanwhile is read again, so that files of two states are not
/// taken for one.
pub(super) fn read(place: &Path) -> (Stamp, Content) {
    let mut before = Stamp::of(place);
    for _ in 1..ATTEMPTS {
        let content = read_once(place);
        let after = Stamp::of(place);
        if before == after {
            return (before, content);
        }
        before = after;
    }
    let content = read_once(place);
    (before, content)
}

fn read_once(place: &Path) -> Content {
    let files = match list(place) {
        Ok(files) if files.is_empty() => {
            let message = "there is no `.yaml` or `.yml` file in this folder";
            return Content(Err(vec![problem(place, message.to_owned())]));
        }
        Ok(files) => files,
        Err(error) => return Content(Err(vec![problem(place, error.to_string())])),
    };
    let (mut sources, mut problems) = (Vec::with_capacity(files.len()), Vec::new());
    for path in files {
        match read_file(&path) {
            Ok(text) => sources.push(Source { name: path.display().to_string(), text }),
            Err(error) => problems.push(problem(&path, error.to_string())),
        }
    }
    Content(if problems.is_empty() { Ok(sources) } else { Err(problems) })
}

/// The files of a configuration, in the order of their names. Hidden ones are none: the folder
/// of a ConfigMap has its own affairs there.
fn list(place: &Path) -> io::Result<Vec<PathBuf>> {
    if !fs::metadata(place)?.is_dir() {
        return Ok(vec![place.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(place)? {
        let path = entry?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let extension = path.extension().and_then(OsStr::to_str);
        if hidden || !matches!(extension, Some("yaml" | "yml")) {
            continue;
        }
        if files.len() == MAX_FILES {
            let message = format!("there are more than {MAX_FILES} files in this folder");
            return Err(io::Error::other(message));
        }
        files.push(path);
    }
    files.sort_unstable();
    Ok(files)
}

/// No more than what will be read: what is longer is refused by its size alone, and what is no
/// file at all may never end.
fn read_file(path: &Path) -> io::Result<String> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("this is not a file"));
    }
    let most = u64::try_from(MAX_FILE_BYTES).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    File::open(path)?.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() > MAX_FILE_BYTES {
        return Err(io::Error::other(format!("a file has at most {MAX_FILE_BYTES} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::other("this is not UTF-8"))
}

fn problem(place: &Path, message: String) -> Problem {
    Problem { file: place.display().to_string(), line: 0, path: String::new(), message }
}

impl Content {
    /// The same for the same content, good or bad.
    pub(super) fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        let mut add = |text: &str| {
            digest.update(text.len().to_le_bytes());
            digest.update(text.as_bytes());
        };
        match &self.0 {
            Ok(sources) => sources.iter().for_each(|source| {
                add(&source.name);
                add(&source.text);
            }),
            Err(problems) => problems.iter().for_each(|problem| add(&problem.to_string())),
        }
        digest.finalize().into()
    }

    pub(super) fn into_sources(self) -> Result<Vec<Source>, Vec<Problem>> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_taken_by_their_names_and_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.yml", "a.yaml", "c.txt", ".hidden.yaml", "d"] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        let (_, content) = read(folder.path());
        let texts: Vec<_> = content.0.unwrap().into_iter().map(|source| source.text).collect();
        assert_eq!(texts, ["a.yaml", "b.yml"]);
        let (_, content) = read(&folder.path().join("c.txt"));
        assert_eq!(content.0.unwrap().len(), 1, "a file that is named may be called as it likes");
    }

    #[test]
    fn what_cannot_be_read_is_a_problem_of_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let message = |place: &Path| {
            let (_, content) = read(place);
            let problems = content.0.unwrap_err();
            assert_eq!(problems.len(), 1, "{problems:?}");
            problems[0].message.clone()
        };
        assert!(message(folder.path()).contains("no `.yaml`"));
        let missing = message(&folder.path().join("missing.yaml"));
        assert!(missing.contains("No such file"), "{missing}");
        fs::write(folder.path().join("a.yaml"), b"\xff").unwrap();
        assert!(message(folder.path()).contains("UTF-8"));
        fs::write(folder.path().join("a.yaml"), vec![b' '; MAX_FILE_BYTES + 1]).unwrap();
        assert!(message(folder.path()).contains("at most"));
        fs::remove_file(folder.path().join("a.yaml")).unwrap();
        fs::create_dir(folder.path().join("a.yaml")).unwrap();
        assert!(message(folder.path()).contains("not a file"));
    }

    #[test]
    fn a_stamp_changes_with_size_time_and_place() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.yaml");
        let stamp = || Stamp::of(folder.path());
        let missing = Stamp::of(&file);
        fs::write(&file, "1").unwrap();
        let first = stamp();
        assert_ne!(Stamp::of(&file), missing);
        assert_eq!(stamp(), first);
        let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
        File::options().append(true).open(&file).unwrap().set_modified(long_ago).unwrap();
        let second = stamp();
        assert_ne!(second, first);
        assert!(second.is_older_than(Duration::from_secs(2), SystemTime::now()));
        assert!(!first.is_older_than(Duration::from_secs(3600), SystemTime::now()));
        fs::write(folder.path().join("b.yaml"), "1").unwrap();
        assert_ne!(stamp(), second);
    }
}
