//! Files that a configuration stands in: one of them, or those of a folder. Which there are, what
//! they hold, and whether something about them may have changed since somebody looked.
//!
//! Looked at is by name, size, time and where a file really is: a mounted ConfigMap is a folder of
//! links through one link, and an update turns that one around. Nothing needs the kernel to tell,
//! so that it works on every file system that can be mounted.
//!
//! Deliberately absent: what texts mean, and when to look.

mod stamp;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod watched;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

pub use stamp::Stamp;
pub use watched::Watched;

/// Files of one folder.
pub const MAX_FILES: usize = 1000;
/// Bytes of one file.
pub const MAX_FILE_BYTES: usize = 4 << 20;

/// The files of a configuration, in the order of their names: the file itself, or the `*.yaml` and
/// `*.yml` files of a folder. Hidden ones are none: the folder of a ConfigMap has its own affairs
/// there.
///
/// # Errors
/// When it cannot be looked at, or there are more than [`MAX_FILES`].
pub fn list(place: &Path) -> io::Result<Vec<PathBuf>> {
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

/// The text of a file. What is longer than [`MAX_FILE_BYTES`] is refused by its size alone, and what
/// is no file at all may never end.
///
/// # Errors
/// When there is none.
pub fn read(path: &Path) -> io::Result<String> {
    // To open a pipe without a writer would be to wait for one.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("this is not a file"));
    }
    let most = u64::try_from(MAX_FILE_BYTES).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() > MAX_FILE_BYTES {
        return Err(io::Error::other(format!("a file has at most {MAX_FILE_BYTES} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::other("this is not UTF-8"))
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
        let texts: Vec<String> =
            list(folder.path()).unwrap().iter().map(|path| read(path).unwrap()).collect();
        assert_eq!(texts, ["a.yaml", "b.yml"]);
        let named = folder.path().join("c.txt");
        let only = list(&named).unwrap();
        assert_eq!(only, [named], "a file that is named may be called as it likes");
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.yaml");
        let message = || read(&file).unwrap_err().to_string();
        assert!(list(&file).is_err() && message().contains("No such file"));
        fs::write(&file, b"\xff").unwrap();
        assert!(message().contains("UTF-8"));
        fs::write(&file, vec![b' '; MAX_FILE_BYTES + 1]).unwrap();
        assert!(message().contains("at most"));
        fs::remove_file(&file).unwrap();
        fs::create_dir(&file).unwrap();
        assert!(message().contains("not a file"));
        fs::remove_dir(&file).unwrap();
        let mode = Mode::RUSR | Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &file, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        assert!(message().contains("not a file"), "nobody ever writes to it");
    }
}
