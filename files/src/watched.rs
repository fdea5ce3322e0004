//! Files that are looked at again and again.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::stamp::Stamp;

/// A file that was written so short a time ago may be written again without its size or its time
/// telling so: clocks of file systems tick coarsely.
const SETTLED_AFTER: Duration = Duration::from_secs(2);
/// How often files are read that change while they are read.
const ATTEMPTS: usize = 3;

/// The files of a place, and those beside it that they refer to.
#[derive(Debug)]
pub struct Watched {
    place: PathBuf,
    besides: Vec<PathBuf>,
    /// None when they may have changed unseen.
    stamp: Option<Stamp>,
}

impl Watched {
    /// Files that nobody has looked at yet.
    #[must_use]
    pub const fn new(place: PathBuf) -> Self {
        Self { place, besides: Vec::new(), stamp: None }
    }

    /// Where they are.
    #[must_use]
    pub fn place(&self) -> &Path {
        &self.place
    }

    /// What `read` makes of the files, where something about them may have changed since they were
    /// read last; always the first time. It also says which files beside the place it has read.
    ///
    /// What changes while it is read is read again, so that files of two states are not taken for
    /// one; what changes afterwards is found by the next look.
    pub fn changed<T>(&mut self, mut read: impl FnMut(&Path) -> (T, Vec<PathBuf>)) -> Option<T> {
        let mut before = Stamp::of(&self.place, &self.besides);
        if self.stamp.as_ref() == Some(&before) {
            return None;
        }
        for _ in 1..ATTEMPTS {
            let (content, besides) = read(&self.place);
            // Of files that nobody knew of, nobody knows since when they are what they are.
            let known = besides == self.besides;
            self.besides = besides;
            let after = Stamp::of(&self.place, &self.besides);
            if known && before == after {
                self.stamp = settled(before);
                return Some(content);
            }
            before = after;
        }
        let (content, besides) = read(&self.place);
        self.stamp = if besides == self.besides { settled(before) } else { None };
        self.besides = besides;
        Some(content)
    }
}

/// The stamp, unless the files are too new for it to tell the next change.
fn settled(stamp: Stamp) -> Option<Stamp> {
    stamp.is_older_than(SETTLED_AFTER, SystemTime::now()).then_some(stamp)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::*;

    /// As if it had been written long ago, so that nothing but a change is a reason to read it.
    fn write_settled(file: &Path, text: &str) {
        fs::write(file, text).unwrap();
        let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        File::options().append(true).open(file).unwrap().set_modified(long_ago).unwrap();
    }

    #[test]
    fn files_are_read_once_for_each_change() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.yaml");
        write_settled(&file, "1");
        let mut watched = Watched::new(file.clone());
        let mut look = || watched.changed(|place| (fs::read_to_string(place).ok(), Vec::new()));
        assert_eq!(look(), Some(Some("1".to_owned())));
        assert_eq!(look(), None);
        fs::write(&file, "2").unwrap();
        assert_eq!(look(), Some(Some("2".to_owned())));
        assert!(look().is_some(), "it may be written again within the same tick");
        fs::remove_file(&file).unwrap();
        assert_eq!(look(), Some(None));
    }

    #[test]
    fn what_a_file_refers_to_is_looked_at_too() {
        let folder = tempfile::tempdir().unwrap();
        let (file, keys) = (folder.path().join("a.yaml"), folder.path().join("keys.json"));
        write_settled(&file, "1");
        write_settled(&keys, "a");
        let mut watched = Watched::new(file);
        let mut look = || {
            let keys = keys.clone();
            watched.changed(move |_| (fs::read_to_string(&keys).unwrap(), vec![keys.clone()]))
        };
        assert_eq!(look().as_deref(), Some("a"));
        assert_eq!(look(), None);
        write_settled(&keys, "bc");
        assert_eq!(look().as_deref(), Some("bc"));
        assert_eq!(look(), None);
    }

    #[test]
    fn what_changes_while_it_is_read_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.yaml");
        write_settled(&file, "1");
        let mut watched = Watched::new(file.clone());
        let mut times = 0;
        let content = watched.changed(|place| {
            let text = fs::read_to_string(place).unwrap();
            times += 1;
            if times == 1 {
                write_settled(&file, "22");
            }
            (text, Vec::new())
        });
        assert_eq!((content.as_deref(), times), (Some("22"), 2));
    }
}
