//! What commands print: the one place that writes to the terminal.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::io::IsTerminal as _;

/// A line of a command's answer.
pub fn line(text: impl AsRef<str>) {
    println!("{}", text.as_ref());
}

/// A remark beside the answer, which stays fit for a pipe.
pub fn remark(text: impl AsRef<str>) {
    eprintln!("{}", text.as_ref());
}

/// An error with everything that led to it.
pub fn error(error: &anyhow::Error) {
    let (on, off) = if colours() { ("\x1b[31m", "\x1b[0m") } else { ("", "") };
    eprintln!("{on}error:{off} {error:#}");
}

/// A table with aligned columns.
pub fn table(header: &[&str], rows: &[Vec<String>]) {
    let mut widths: Vec<usize> = header.iter().map(|title| title.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let print = |cells: &mut dyn Iterator<Item = &str>| {
        let padded = cells.zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        line(padded.collect::<Vec<_>>().join("  ").trim_end());
    };
    print(&mut header.iter().copied());
    for row in rows {
        print(&mut row.iter().map(String::as_str));
    }
}

fn colours() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}
