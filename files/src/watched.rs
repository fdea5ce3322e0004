//! Files that are looked at again and again.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use crate::stamp::Stamp;

/// A file that was written so short a time ago may not be written to its end yet, and may be written
/// again without its size or its time telling so: clocks of file systems tick coarsely.
const SETTLED_AFTER: Duration = Duration::from_secs(2);
/// What is written to again and again is taken after so long all the same, if two looks in a row find
/// the same texts.
const LONGEST: Duration = Duration::from_secs(30);
/// How often files are read that change while they are read.
const ATTEMPTS: usize = 3;

/// The files of a place, and those beside it that they refer to.
#[derive(Debug)]
pub struct Watched {
    place: PathBuf,
    besides: Vec<PathBuf>,
    /// None when they may have changed unseen.
    stamp: Option<Stamp>,
    /// Whether anything was made of them: until then nobody can go on with what was before.
    taken: bool,
    /// Since when something is there that is not taken, because it is still being written.
    waits: Option<Instant>,
    /// What the texts were at the last look, once it is late.
    texts: Option<u64>,
    /// It is late, and they were others at each look.
    overdue: bool,
}

impl Watched {
    /// Files that nobody has looked at yet.
    #[must_use]
    pub const fn new(place: PathBuf) -> Self {
        Self {
            place,
            besides: Vec::new(),
            stamp: None,
            taken: false,
            waits: None,
            texts: None,
            overdue: false,
        }
    }

    /// Where they are.
    #[must_use]
    pub fn place(&self) -> &Path {
        &self.place
    }

    /// Whether nothing was taken for long, because the files are others at each look.
    #[must_use]
    pub const fn is_overdue(&self) -> bool {
        self.overdue
    }

    /// What `read` makes of the files, where something about them may have changed since they were
    /// read last; always the first time. It also says which files beside the place it has read.
    ///
    /// What is still being written waits for a later look: half of a text may be a text, too. What
    /// changes while it is read is read again, so that files of two states are not taken for one.
    pub fn changed<T>(&mut self, read: impl FnMut(&Path) -> (T, Vec<PathBuf>)) -> Option<T> {
        self.changed_at(Instant::now(), read)
    }

    fn changed_at<T>(
        &mut self,
        now: Instant,
        mut read: impl FnMut(&Path) -> (T, Vec<PathBuf>),
    ) -> Option<T> {
        let mut before = Stamp::of(&self.place, &self.besides);
        if self.stamp.as_ref() == Some(&before) {
            self.waits_no_more();
            return None;
        }
        for _ in 0..ATTEMPTS {
            let settled = before.is_older_than(SETTLED_AFTER, SystemTime::now());
            if self.taken && !settled && !self.says_the_same(now) {
                return None;
            }
            let (content, besides) = read(&self.place);
            // Of files that nobody knew of, nobody knows since when they are what they are.
            let known = besides == self.besides;
            self.besides = besides;
            let after = Stamp::of(&self.place, &self.besides);
            if known && before == after {
                self.stamp = settled.then_some(before);
                self.taken = true;
                self.waits_no_more();
                return Some(content);
            }
            before = after;
        }
        // They are never the same twice.
        self.stamp = None;
        if self.taken {
            return None;
        }
        let (content, besides) = read(&self.place);
        self.besides = besides;
        self.taken = true;
        Some(content)
    }

    /// Whether what is still being written has waited for long, and says what it said at the last
    /// look.
    fn says_the_same(&mut self, now: Instant) -> bool {
        let since = *self.waits.get_or_insert(now);
        if now.saturating_duration_since(since) < LONGEST {
            return false;
        }
        let texts = texts(&self.place, &self.besides);
        let before = self.texts.replace(texts);
        self.overdue = before.is_some_and(|before| before != texts);
        before == Some(texts)
    }

    fn waits_no_more(&mut self) {
        (self.waits, self.texts, self.overdue) = (None, None, false);
    }
}

/// What tells texts of files from others.
fn texts(place: &Path, besides: &[PathBuf]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for file in crate::list(place).unwrap_or_default().iter().chain(besides) {
        (file, crate::read(file).ok()).hash(&mut hasher);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::testing::{remove, write};

    #[test]
    fn files_are_read_once_for_each_change() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.yaml");
        write(&file, "1").unwrap();
        let mut watched = Watched::new(file.clone());
        let mut look = || watched.changed(|place| (fs::read_to_string(place).ok(), Vec::new()));
        assert_eq!(look(), Some(Some("1".to_owned())));
        assert_eq!(look(), None);
        write(&file, "22").unwrap();
        assert_eq!(look(), Some(Some("22".to_owned())));
        assert_eq!(look(), None);
        remove(&file).unwrap();
        assert_eq!(look(), Some(None));
    }

    #[test]
    fn what_is_still_being_written_is_taken_for_nothing_but_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let (file, keys) = (folder.path().join("a.yaml"), folder.path().join("keys.json"));
        fs::write(&file, "1").unwrap();
        let mut watched = Watched::new(file.clone());
        let mut besides = Vec::new();
        let mut look = |besides: &[PathBuf]| {
            let read = |place: &Path| (fs::read_to_string(place).unwrap(), besides.to_vec());
            watched.changed(read)
        };
        assert_eq!(look(&besides).as_deref(), Some("1"), "without it there would be nothing");
        assert_eq!(look(&besides), None);
        fs::write(&file, "1, and ha").unwrap();
        assert_eq!(look(&besides), None);
        write(&file, "1, and half").unwrap();
        assert_eq!(look(&besides).as_deref(), Some("1, and half"));
        // A file that was not known before has as much time.
        besides.push(keys.clone());
        fs::write(&keys, "{").unwrap();
        write(&file, "1, with keys").unwrap();
        assert_eq!(look(&besides), None);
        write(&keys, "{}").unwrap();
        assert_eq!(look(&besides).as_deref(), Some("1, with keys"));
        assert_eq!(look(&besides), None);
    }

    #[test]
    fn what_is_written_again_and_again_is_taken_once_it_says_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.yaml");
        write(&file, "1").unwrap();
        let mut watched = Watched::new(file.clone());
        let began = Instant::now();
        // Each time the file was written just now.
        let mut look = |seconds: u64, text: &str| {
            fs::write(&file, text).unwrap();
            let now = began + Duration::from_secs(seconds);
            let read = |place: &Path| (fs::read_to_string(place).unwrap(), Vec::new());
            (watched.changed_at(now, read), watched.is_overdue())
        };
        assert_eq!(look(0, "1"), (Some("1".to_owned()), false));
        for second in 1..=31 {
            assert_eq!(look(second, "22"), (None, false), "{second}");
        }
        assert_eq!(look(32, "22"), (Some("22".to_owned()), false));
        for second in 33..=63 {
            assert_eq!(look(second, &format!("{second}")), (None, false), "{second}");
        }
        assert_eq!(look(64, "64"), (None, true), "others each time");
        assert_eq!(look(65, "65"), (None, true));
        assert_eq!(look(66, "65"), (Some("65".to_owned()), false));
    }

    #[test]
    fn what_is_never_the_same_twice_is_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.yaml");
        write(&file, "1").unwrap();
        let mut watched = Watched::new(file.clone());
        assert!(watched.changed(|_| ((), Vec::new())).is_some());
        write(&file, "22").unwrap();
        let mut text = String::new();
        let mut times = 0;
        let found = watched.changed(|_| {
            times += 1;
            text.push('1');
            write(&file, format!("22{text}")).unwrap();
            ((), Vec::new())
        });
        assert_eq!((found, times), (None, ATTEMPTS));
        assert!(watched.changed(|_| ((), Vec::new())).is_some(), "it has come to rest");
    }

    #[test]
    fn what_a_file_refers_to_is_looked_at_too() {
        let folder = tempfile::tempdir().unwrap();
        let (file, keys) = (folder.path().join("a.yaml"), folder.path().join("keys.json"));
        write(&file, "1").unwrap();
        write(&keys, "a").unwrap();
        let mut watched = Watched::new(file);
        let mut look = || {
            let keys = keys.clone();
            watched.changed(move |_| (fs::read_to_string(&keys).unwrap(), vec![keys.clone()]))
        };
        assert_eq!(look().as_deref(), Some("a"));
        assert_eq!(look(), None);
        write(&keys, "bc").unwrap();
        assert_eq!(look().as_deref(), Some("bc"));
        assert_eq!(look(), None);
    }

    #[test]
    fn what_changes_while_it_is_read_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.yaml");
        write(&file, "1").unwrap();
        let mut watched = Watched::new(file.clone());
        let mut times = 0;
        let content = watched.changed(|place| {
            let text = fs::read_to_string(place).unwrap();
            times += 1;
            if times == 1 {
                write(&file, "22").unwrap();
            }
            (text, Vec::new())
        });
        assert_eq!((content.as_deref(), times), (Some("22"), 2));
    }
}
