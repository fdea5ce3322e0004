//! What the person in front of the terminal gets to read: one line per step.

use std::io::IsTerminal;
use std::time::Duration;

/// A step that is done, or that was done already.
pub fn ok(text: &str) {
    line("ok", "32", text);
}

/// A step that begins and may take a while.
pub fn start(text: &str) {
    line("run", "36", text);
}

/// A captured step that is still going on.
pub fn busy(text: &str, elapsed: Duration) {
    line("...", "2", &format!("{text} ({})", seconds(elapsed)));
}

/// Something worth knowing that is no failure.
pub fn note(text: &str) {
    line("note", "33", text);
}

/// A check that came out as promised, or did not.
pub fn verdict(passed: bool, text: &str) {
    if passed { ok(text) } else { line("FAILED", "31", text) }
}

/// The error that ends the run, with its causes.
pub fn error(error: &anyhow::Error) {
    let coloured = std::io::stderr().is_terminal() && colours_wanted();
    let word = if coloured { "\u{1b}[31merror:\u{1b}[0m" } else { "error:" };
    eprintln!("{word} {error:#}");
}

/// `text` in the given ANSI style where the output is a terminal.
pub fn painted(style: &str, text: &str) -> String {
    if std::io::stdout().is_terminal() && colours_wanted() {
        format!("\u{1b}[{style}m{text}\u{1b}[0m")
    } else {
        text.to_owned()
    }
}

/// A duration as people read it.
pub fn seconds(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 10.0 { format!("{seconds:.1} s") } else { format!("{seconds:.0} s") }
}

fn line(word: &str, style: &str, text: &str) {
    println!("  {} {text}", painted(style, &format!("{word:<7}")));
}

fn colours_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
