//! A list in a file: SHA-1 in hexadecimal, sorted, one a line, whatever stands behind a colon. Such
//! a file has some forty gigabytes, so it is searched where it lies: two small reads for each
//! halving, some seventy in all.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use postern_store::BoxFuture;
use zeroize::Zeroizing;

use super::hex;
use crate::ports::{BreachedPasswords, OutboundError};

/// Digits of a hash.
const DIGITS: usize = 40;
/// Longest line, its end included: a hash, a colon and a count.
const MAX_LINE: usize = 128;
/// Most halvings: more than a file could need.
const MAX_STEPS: usize = 256;

/// A list of breached passwords in a file.
pub struct BreachedFile {
    path: Arc<PathBuf>,
}

impl BreachedFile {
    /// The list at this path. It may be replaced by another one at any time.
    ///
    /// # Errors
    /// When it cannot be read now, or does not begin with a hash.
    pub fn open(path: PathBuf) -> io::Result<Self> {
        let file = File::open(&path)?;
        line_at(&file, 0)?;
        Ok(Self { path: Arc::new(path) })
    }
}

impl BreachedPasswords for BreachedFile {
    fn is_breached(&self, sha1: [u8; 20]) -> BoxFuture<'_, Result<bool, OutboundError>> {
        let path = Arc::clone(&self.path);
        Box::pin(async move {
            let wanted = Zeroizing::new(hex(sha1));
            let looked = tokio::task::spawn_blocking(move || {
                File::open(&*path).and_then(|file| holds(&file, &wanted))
            });
            match looked.await {
                Ok(Ok(found)) => Ok(found),
                Ok(Err(error)) => Err(OutboundError::Unreachable(error.to_string())),
                Err(_) => Err(OutboundError::Unreachable("the search did not end".to_owned())),
            }
        })
    }
}

/// A line of the list.
struct Line {
    hash: String,
    /// Where the next one begins.
    next: u64,
}

/// Whether a hash, in capitals, is in a sorted list.
///
/// Lines that begin before `low` are smaller, those that begin from `high` on are greater, and at
/// `low` there always begins one.
fn holds(file: &File, wanted: &str) -> io::Result<bool> {
    let (mut low, mut high) = (0, file.metadata()?.len());
    for _ in 0..MAX_STEPS {
        if low >= high {
            return Ok(false);
        }
        let middle = low + (high - low) / 2;
        let start = if middle == low { low } else { line_after(file, middle - 1)? };
        if start >= high {
            high = middle;
            continue;
        }
        let line = line_at(file, start)?;
        match line.hash.as_str().cmp(wanted) {
            std::cmp::Ordering::Equal => return Ok(true),
            std::cmp::Ordering::Less => low = line.next,
            std::cmp::Ordering::Greater => high = middle,
        }
    }
    Err(no_list())
}

/// Where the line begins that follows the first line end from `at` on.
fn line_after(file: &File, at: u64) -> io::Result<u64> {
    let (bytes, is_end) = read(file, at)?;
    match bytes.iter().position(|byte| *byte == b'\n') {
        Some(place) => Ok(at + u64::try_from(place).unwrap_or(0) + 1),
        None if is_end => Ok(at + u64::try_from(bytes.len()).unwrap_or(0)),
        None => Err(no_list()),
    }
}

fn line_at(file: &File, at: u64) -> io::Result<Line> {
    let (bytes, is_end) = read(file, at)?;
    let (line, length) = match bytes.iter().position(|byte| *byte == b'\n') {
        Some(place) => (bytes.get(..place), place + 1),
        None if is_end => (Some(bytes.as_slice()), bytes.len()),
        None => return Err(no_list()),
    };
    let line = line.and_then(|line| std::str::from_utf8(line).ok()).ok_or_else(no_list)?;
    let hash = line.trim_end_matches('\r').split(':').next().unwrap_or_default();
    if hash.len() != DIGITS || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(no_list());
    }
    let next = at + u64::try_from(length).unwrap_or(0);
    Ok(Line { hash: hash.to_ascii_uppercase(), next })
}

/// Up to a line's length, and whether the file ends there.
fn read(file: &File, at: u64) -> io::Result<(Vec<u8>, bool)> {
    let mut bytes = vec![0; MAX_LINE];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        let from = at + u64::try_from(filled).unwrap_or(0);
        match file.read_at(rest, from) {
            Ok(0) => {
                bytes.truncate(filled);
                return Ok((bytes, true));
            }
            Ok(more) => filled += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok((bytes, false))
}

fn no_list() -> io::Error {
    let text = "it is no sorted list of SHA-1 in hexadecimal, one a line";
    io::Error::new(ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn hash(number: u32) -> [u8; 20] {
        let mut hash = [0; 20];
        // In the middle, so that beginnings are alike.
        for (to, from) in hash.iter_mut().skip(8).zip(number.to_be_bytes()) {
            *to = from;
        }
        hash
    }

    fn list(numbers: &[u32], tail: impl Fn(u32) -> String) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text: String =
            numbers.iter().map(|number| hex(hash(*number)) + &tail(*number)).collect();
        fs::write(file.path(), text).unwrap();
        file
    }

    #[tokio::test]
    async fn each_line_is_found_and_nothing_between_them() {
        for count in [1_u32, 2, 3, 7, 64, 501] {
            let numbers: Vec<u32> = (0..count).map(|place| place * 3 + 1).collect();
            let tails: [fn(u32) -> String; 3] = [
                |_| "\n".to_owned(),
                |_| "\r\n".to_owned(),
                |number| format!(":{}\n", number * number),
            ];
            for tail in tails {
                let file = list(&numbers, tail);
                let known = BreachedFile::open(file.path().to_owned()).unwrap();
                for number in 0..=count * 3 + 1 {
                    let expected = numbers.contains(&number);
                    let found = known.is_breached(hash(number)).await;
                    assert_eq!(found, Ok(expected), "{number} of {count}");
                }
            }
        }
    }

    #[tokio::test]
    async fn the_last_line_needs_no_end_and_letters_any_case() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let lines = [hex(hash(1)), hex([0xab; 20]).to_lowercase()].join("\n");
        fs::write(file.path(), lines).unwrap();
        let known = BreachedFile::open(file.path().to_owned()).unwrap();
        assert_eq!(known.is_breached([0xab; 20]).await, Ok(true));
        assert_eq!(known.is_breached([0xac; 20]).await, Ok(false));
    }

    #[tokio::test]
    async fn what_is_no_list_says_nothing() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for text in ["", "password\n", &"A".repeat(5000), &format!("{}x\n", hex([1; 20]))] {
            fs::write(file.path(), text).unwrap();
            assert!(BreachedFile::open(file.path().to_owned()).is_err(), "{text}");
        }
        let good = list(&[1, 2, 3], |_| "\n".to_owned());
        let known = BreachedFile::open(good.path().to_owned()).unwrap();
        fs::write(good.path(), ["é"; 200].join("\n")).unwrap();
        assert!(known.is_breached(hash(2)).await.is_err(), "it was replaced by another thing");
        fs::write(good.path(), "A".repeat(10_000)).unwrap();
        assert!(known.is_breached(hash(2)).await.is_err());
        drop(good);
        assert!(known.is_breached(hash(2)).await.is_err(), "it is gone");
    }
}
