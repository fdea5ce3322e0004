//! What commands print: the one place that writes to the terminal.
//!
//! When nobody reads any more (`postern check … | head -1`), the rest is dropped and the command
//! goes on to its own exit code; any other failure to write is an error, because a token that
//! did not fit on the disk was not issued.

use std::io::{self, ErrorKind, IsTerminal as _, Write as _};

use anyhow::{Context as _, Error, Result};

/// A line of a command's answer.
///
/// # Errors
/// When it cannot be written although somebody reads.
pub fn line(text: impl AsRef<str>) -> Result<()> {
    bytes(format!("{}\n", text.as_ref()).as_bytes())
}

/// A command's answer as it is.
///
/// # Errors
/// As [`line`].
pub fn bytes(bytes: &[u8]) -> Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to standard output")
        }
        _ => Ok(()),
    }
}

/// Whether somebody looks at a command's answer as it comes.
pub fn is_looked_at() -> bool {
    io::stdout().is_terminal()
}

/// A remark beside the answer, which stays fit for a pipe.
pub fn remark(text: impl AsRef<str>) {
    // Without standard error there is nobody to tell.
    let _ = writeln!(io::stderr().lock(), "{}", text.as_ref());
}

/// A remark on something that is hardly meant.
pub fn warn(text: impl AsRef<str>) {
    remark(format!("warning: {}", text.as_ref()));
}

/// A remark on something that is meant, and needs to be known.
pub fn note(text: impl AsRef<str>) {
    remark(format!("note: {}", text.as_ref()));
}

/// An error with everything that led to it.
pub fn error(error: &Error) {
    let (on, off) = if colours() { ("\x1b[31m", "\x1b[0m") } else { ("", "") };
    remark(format!("{on}error:{off} {}", chain(error)));
}

/// An error and its causes, none twice: the texts of many libraries end with their cause's.
pub fn chain(error: &Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if text.ends_with(&cause) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause);
    }
    text
}

/// A number with its noun: `1 route`, `2 routes`.
pub fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// A table with aligned columns.
///
/// # Errors
/// As [`line`].
pub fn table(header: &[&str], rows: &[Vec<String>]) -> Result<()> {
    let mut widths: Vec<usize> = header.iter().map(|title| title.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let print = |cells: &mut dyn Iterator<Item = &str>| {
        let padded = cells.zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        line(padded.collect::<Vec<_>>().join("  ").trim_end())
    };
    print(&mut header.iter().copied())?;
    rows.iter().try_for_each(|row| print(&mut row.iter().map(String::as_str)))
}

/// What is known of one thing, a line each; what is empty is left out.
///
/// # Errors
/// As [`line`].
pub fn fields(fields: &[(&str, String)]) -> Result<()> {
    let shown = fields.iter().filter(|(_, value)| !value.is_empty());
    let width = shown.clone().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    for (name, value) in shown {
        line(format!("{name:<width$}  {value}"))?;
    }
    Ok(())
}

/// A text that moves no terminal's cursor: parts of it came from outside.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

fn colours() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn no_cause_is_told_twice() {
        let error = anyhow!("file is not a database");
        let error = error.context("the database failed: file is not a database").context("a.db");
        assert_eq!(chain(&error), "a.db: the database failed: file is not a database");
        let error = anyhow!("refused").context("no answer");
        assert_eq!(chain(&error), "no answer: refused");
    }

    #[test]
    fn one_of_a_kind_is_no_plural() {
        assert_eq!([count(0, "route"), count(1, "route")], ["0 routes", "1 route"]);
    }

    #[test]
    fn what_came_from_outside_moves_no_cursor() {
        assert_eq!(visible("a\u{1b}[2Jb\u{9b}c\n"), "a\\u{1b}[2Jb\\u{9b}c\\u{a}");
        assert_eq!(visible("grüße \"x\""), "grüße \"x\"");
    }
}
