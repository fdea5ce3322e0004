//! The lines of a file, as they are read. Whoever wrote it is not trusted to have meant well:
//! everything has a bound, and nothing is passed over.

use std::io::{self, BufRead, BufReader, Read};

use aws_lc_rs::digest::{Context, SHA256};
use postern_request::UnixMillis;
use serde_json::{Map, Value};

use super::cell::{self, Row};
use super::seal::{NotOpened, Opener, Salt};
use super::tables::{TABLES, Table};
use super::{BackupError, BackupSecret, FORMAT};
use crate::column::digest_from_hex;

/// The longest first line: a release, and the names of some migrations.
const LONGEST_FIRST: u64 = 65_536;
/// The longest row. A document of 1 MiB is the longest thing that one holds.
const LONGEST_ROW: u64 = 4 * 1_024 * 1_024;
/// Most migrations that a file names.
const MOST_MIGRATIONS: usize = 1_000;

/// What the first line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) made_at: UnixMillis,
    pub(super) release: String,
    pub(super) migrations: Vec<String>,
    salt: Option<Salt>,
}

impl Header {
    pub(super) const fn is_sealed(&self) -> bool {
        self.salt.is_some()
    }

    /// Nothing may be missing, and nothing may stand there that nobody here writes.
    fn parse(line: &[u8]) -> Option<Self> {
        let Ok(Value::Object(mut members)) = serde_json::from_slice::<Value>(line) else {
            return None;
        };
        let mut take = |name: &str| members.remove(name);
        let format = take("format")?;
        let made_at = take("made_at")?.as_u64()?;
        let release = take("release")?.as_str()?.to_owned();
        let migrations = match take("migrations")? {
            Value::Array(names) if names.len() <= MOST_MIGRATIONS => names,
            _ => return None,
        };
        let migrations = migrations.iter().map(|name| name.as_str().map(str::to_owned));
        let migrations = migrations.collect::<Option<Vec<_>>>()?;
        let salt = match (take("sealed")?.as_bool()?, take("salt")?) {
            (true, Value::String(salt)) => Some(digest_from_hex(&salt)?),
            (false, Value::Null) => None,
            _ => return None,
        };
        let is_ours = format.as_str() == Some(FORMAT)
            && members.is_empty()
            // It is shown, and somebody else may have written it.
            && release.len() <= 64
            && release.bytes().all(|byte| byte.is_ascii_graphic());
        is_ours.then_some(Self { made_at: UnixMillis(made_at), release, migrations, salt })
    }
}

/// What a line says.
pub(super) enum Line {
    /// A row of the table with this place in [`TABLES`].
    Row(usize, Row),
    /// The last line, and it fits all before it.
    End,
}

/// Reads lines, and hashes them.
pub(super) struct Input<'a> {
    from: Box<dyn BufRead + 'a>,
    digest: Context,
    number: u64,
    /// The table that the last row was of.
    place: usize,
    counts: Vec<u64>,
}

impl<'a> Input<'a> {
    /// Reads the first line.
    pub(super) fn begin<R: Read + 'a>(
        from: R,
        secret: Option<BackupSecret<'_>>,
    ) -> Result<(Header, Self), BackupError> {
        const NOTHING: BackupError = BackupError::NoBackup("its first line is none of ours");
        let mut from = BufReader::new(from);
        let mut first = Vec::new();
        (&mut from).take(LONGEST_FIRST).read_until(b'\n', &mut first)?;
        let line = first.strip_suffix(b"\n").ok_or(NOTHING)?;
        let header = Header::parse(line).ok_or(NOTHING)?;
        let mut digest = Context::new(&SHA256);
        digest.update(&first);
        let from: Box<dyn BufRead + 'a> = match (&header.salt, secret) {
            (None, None) => Box::new(from),
            (None, Some(_)) => return Err(BackupError::NotSealed),
            (Some(salt), Some(secret)) => {
                Box::new(BufReader::new(Opener::new(from, secret, salt, first)?))
            }
            (Some(_), None) => return Err(BackupError::Sealed),
        };
        let counts = vec![0; TABLES.len()];
        Ok((header, Self { from, digest, number: 1, place: 0, counts }))
    }

    /// The next line. After [`Line::End`] there is nothing to ask for.
    pub(super) fn next(&mut self) -> Result<Line, BackupError> {
        let mut line = Vec::new();
        self.number += 1;
        let read = (&mut self.from).take(LONGEST_ROW).read_until(b'\n', &mut line);
        read.map_err(of_reader)?;
        let Some(content) = line.strip_suffix(b"\n") else {
            return Err(self.bad(match line.len() {
                0 => "the file ends before its last line: it was cut",
                _ => "it has no end: the file was cut, or a line is too long",
            }));
        };
        if content.first() == Some(&b'{') {
            self.end(content)?;
            return Ok(Line::End);
        }
        let row = self.row(content)?;
        self.digest.update(&line);
        Ok(row)
    }

    /// The rows of each table so far.
    pub(super) fn counts(&self) -> Vec<(&'static str, u64)> {
        TABLES.iter().zip(&self.counts).map(|(table, count)| (table.name, *count)).collect()
    }

    /// The rows of one of them so far.
    pub(super) fn count_of(&self, table: &Table) -> u64 {
        let counts = TABLES.iter().zip(&self.counts);
        counts.filter(|(known, _)| known.name == table.name).map(|(_, count)| *count).sum()
    }

    fn bad(&self, reason: &'static str) -> BackupError {
        BackupError::Line { line: self.number, reason }
    }

    fn row(&mut self, content: &[u8]) -> Result<Line, BackupError> {
        let Ok((name, values)) = serde_json::from_slice::<(String, Vec<Value>)>(content) else {
            return Err(self.bad("it is no row"));
        };
        let Some((place, table)) = find(&name) else {
            return Err(self.bad("there is no such table"));
        };
        if place < self.place {
            return Err(self.bad("its table stands before the one of the line before it"));
        }
        let Some(row) = cell::from_json(table, values) else {
            return Err(self.bad("its values do not fit the columns of its table"));
        };
        self.place = place;
        if let Some(count) = self.counts.get_mut(place) {
            *count += 1;
        }
        Ok(Line::Row(place, row))
    }

    fn end(&mut self, content: &[u8]) -> Result<(), BackupError> {
        let Ok(Value::Object(mut members)) = serde_json::from_slice::<Value>(content) else {
            return Err(self.bad("it is no row, and not the last line"));
        };
        let counts: Map<String, Value> =
            self.counts().into_iter().map(|(name, n)| (name.to_owned(), n.into())).collect();
        if members.remove("rows") != Some(Value::Object(counts)) {
            return Err(self.bad("it counts other rows than there are: some are missing"));
        }
        let digest = hex(self.digest.clone().finish().as_ref());
        if members.remove("sha256") != Some(Value::String(digest)) || !members.is_empty() {
            return Err(self.bad("the hash of all lines is another one: some were changed"));
        }
        let mut more = [0];
        if self.from.read(&mut more).map_err(of_reader)? > 0 {
            return Err(self.bad("there is something behind it"));
        }
        Ok(())
    }
}

fn find(name: &str) -> Option<(usize, &'static Table)> {
    TABLES.iter().enumerate().find(|(_, table)| table.name == name)
}

/// What a reader said; of a sealed file, which piece does not open.
fn of_reader(error: io::Error) -> BackupError {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<NotOpened>()).copied();
    match inner {
        Some(NotOpened { piece }) => BackupError::Opened { piece },
        None => BackupError::Io(error),
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::super::output::Output;
    use super::*;

    const SECRET: BackupSecret<'_> = BackupSecret(&[7; 32]);
    const COUNTER: &str = r#"["revocation_counter",[1,5]]"#;

    fn file(lines: &[&str], secret: Option<BackupSecret<'_>>) -> Vec<u8> {
        let names = ["0001_identity".to_owned()];
        let mut output = Output::begin(Vec::new(), UnixMillis(5), &names, secret).unwrap();
        let mut counts: Vec<(&'static str, u64)> =
            TABLES.iter().map(|table| (table.name, 0)).collect();
        for line in lines {
            output.line((*line).to_owned()).unwrap();
            for (name, count) in &mut counts {
                *count += u64::from(line.starts_with(&format!("[\"{name}\"")));
            }
        }
        output.end(&counts).unwrap()
    }

    /// How many rows there are, or what is wrong.
    fn read(file: &[u8], secret: Option<BackupSecret<'_>>) -> Result<u64, BackupError> {
        let (_, mut input) = Input::begin(file, secret)?;
        let mut rows = 0;
        while let Line::Row(..) = input.next()? {
            rows += 1;
        }
        Ok(rows)
    }

    #[test]
    fn what_is_written_is_read_sealed_or_not() {
        for secret in [None, Some(SECRET)] {
            let file = file(&[COUNTER], secret);
            let (header, _) = Input::begin(file.as_slice(), secret).unwrap();
            assert_eq!((header.made_at, header.is_sealed()), (UnixMillis(5), secret.is_some()));
            assert_eq!(header.migrations, ["0001_identity"]);
            assert_eq!(read(&file, secret).unwrap(), 1);
        }
        let clear = read(&file(&[COUNTER], None), Some(SECRET));
        assert!(matches!(clear, Err(BackupError::NotSealed)), "{clear:?}");
        let sealed = file(&[COUNTER], Some(SECRET));
        assert!(matches!(read(&sealed, None), Err(BackupError::Sealed)));
        let wrong = read(&sealed, Some(BackupSecret(&[8; 32])));
        assert!(matches!(wrong, Err(BackupError::Opened { piece: 1 })), "{wrong:?}");
        assert!(!sealed.windows(18).any(|part| part == b"revocation_counter"));
    }

    #[test]
    fn hostile_lines_are_refused_with_their_number_and_nothing_else_of_them() {
        for (line, word) in [
            ("", "no row"),
            ("[]", "no row"),
            (r#"["users"]"#, "no row"),
            (r#"["hush",[]]"#, "no such table"),
            (r#"["feed_identity",[1,2,"hush"]]"#, "no such table"),
            (r#"["revocation_counter",[1]]"#, "do not fit"),
            (r#"["revocation_counter",[1,"hush"]]"#, "do not fit"),
            (r#"["revocation_counter",[1,2,3]]"#, "do not fit"),
            (r#"["revocation_counter",[1,1e99]]"#, "do not fit"),
            (r#"["users",["hush"]] "#, "do not fit"),
            ("{\"hush\":1}", "counts other rows"),
        ] {
            let error = read(&file(&[line], None), None).unwrap_err();
            let text = error.to_string();
            assert!(text.contains("line 2") && text.contains(word), "{line}: {text}");
            assert!(!text.contains("hush"), "{text}");
        }
        let backwards = [r#"["audit_head",[1,0,"00"]]"#, COUNTER];
        let error = read(&file(&backwards, None), None).unwrap_err().to_string();
        assert!(error.contains("line 3"), "{error}");
    }

    #[test]
    fn a_file_that_was_cut_or_changed_is_refused() {
        let whole = file(&[COUNTER, COUNTER], None);
        for length in 0..whole.len() {
            assert!(read(&whole[..length], None).is_err(), "{length}");
        }
        for at in 0..whole.len() {
            for bit in [1, 4, 32, 128] {
                let mut changed = whole.clone();
                changed[at] ^= bit;
                assert!(read(&changed, None).is_err(), "bit {bit} of byte {at}");
            }
        }
        let text = String::from_utf8(whole).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let without = |at: usize| {
            let kept: Vec<&str> =
                lines.iter().enumerate().filter(|(n, _)| *n != at).map(|(_, l)| *l).collect();
            kept.join("\n") + "\n"
        };
        for at in 0..lines.len() {
            assert!(read(without(at).as_bytes(), None).is_err(), "without line {}", at + 1);
        }
        let changed = text.replacen("[1,5]", "[1,6]", 1);
        let error = read(changed.as_bytes(), None).unwrap_err().to_string();
        assert!(error.contains("hash"), "{error}");
        assert!(read(format!("{text}\n").as_bytes(), None).is_err(), "something behind it");
    }

    #[test]
    fn only_first_lines_of_ours_are_read() {
        let text = String::from_utf8(file(&[], None)).unwrap();
        let (first, rest) = text.split_once('\n').unwrap();
        for bad in [
            String::new(),
            "{}".to_owned(),
            "[]".to_owned(),
            first.replace("backup-1", "backup-2"),
            first.replace("\"made_at\":5", "\"made_at\":-5"),
            first.replace("\"sealed\":false", "\"sealed\":true"),
            first.replace("\"salt\":null", "\"salt\":\"00\""),
            first.replace("\"salt\":null", "\"salt\":null,\"more\":1"),
            first.replace("0001_identity\"", "0001_identity\",5"),
            "x".repeat(100_000),
        ] {
            assert_ne!(bad, first);
            let file = format!("{bad}\n{rest}");
            let error = Input::begin(file.as_bytes(), Some(SECRET)).err().unwrap();
            assert!(matches!(error, BackupError::NoBackup(_)), "{bad}: {error}");
        }
    }

    #[test]
    fn a_line_without_an_end_takes_no_more_memory_than_a_row() {
        let mut file = file(&[], None);
        file.truncate(file.iter().position(|byte| *byte == b'\n').unwrap() + 1);
        let endless = file.as_slice().chain(io::repeat(b'['));
        let (_, mut input) = Input::begin(endless, None).unwrap();
        assert!(matches!(input.next(), Err(BackupError::Line { line: 2, .. })));
    }
}
