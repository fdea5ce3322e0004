//! What people are shown of what others wrote.

/// Whether a text can be shown to people on one line: 1 to `most` characters, no space at its ends,
/// and nothing that ends the line or turns its direction.
#[must_use]
pub fn is_one_line(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.chars().count())
        && text.trim() == text
        && !text.chars().any(leaves_line)
}

/// Control characters, Unicode's separators of lines and paragraphs, and what embeds, overrides or
/// isolates a direction.
fn leaves_line(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_and_reads_as_it_is_written() {
        for good in ["a", "its database is moving", "مرحبا", "می\u{200c}خواهم", "äöü"]
        {
            assert!(is_one_line(good, 22), "{good:?}");
        }
        assert!(is_one_line("ääää", 4) && !is_one_line("ääää", 3), "characters, not bytes");
        for bad in ["", " ", " a", "a ", "a\nb", "a\rb", "a\u{1b}[2J", "a\u{85}b", "a\u{7f}b"] {
            assert!(!is_one_line(bad, 22), "{bad:?}");
        }
        for turns in ('\u{2028}'..='\u{202e}').chain('\u{2066}'..='\u{2069}') {
            assert!(!is_one_line(&format!("a{turns}b"), 22), "{turns:?}");
        }
    }
}
