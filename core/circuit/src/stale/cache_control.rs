//! What `cache-control` says, as far as it matters to answers that are given out unasked.

/// The longest time that a directive can say (RFC 9111 §1.2.2).
const LONGEST_S: u32 = 1 << 31;

/// The directives of all its lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct CacheControl {
    pub(super) no_store: bool,
    /// For one caller alone.
    pub(super) private: bool,
    pub(super) public: bool,
    /// It must not be given out without asking the service: at all, or once it is stale.
    pub(super) must_ask: bool,
    pub(super) max_age: Option<u32>,
    pub(super) s_maxage: Option<u32>,
    /// RFC 5861 §4.
    pub(super) stale_if_error: Option<u32>,
}

impl CacheControl {
    /// Reads one more line. A directive about some headers alone counts as one about all; of a time
    /// that is said twice the shorter counts, and one that is none is no time at all.
    pub(super) fn add(&mut self, line: &str) {
        // A quotation without end may hide anything.
        self.no_store |= line.matches('"').count() % 2 == 1;
        for directive in elements(line) {
            let (name, argument) = directive.split_once('=').unwrap_or((directive, ""));
            let time = match name.trim_end().to_ascii_lowercase().as_str() {
                "no-store" => {
                    self.no_store = true;
                    continue;
                }
                "private" => {
                    self.private = true;
                    continue;
                }
                "public" => {
                    self.public = true;
                    continue;
                }
                "no-cache" | "must-revalidate" | "proxy-revalidate" => {
                    self.must_ask = true;
                    continue;
                }
                "max-age" => &mut self.max_age,
                "s-maxage" => &mut self.s_maxage,
                "stale-if-error" => &mut self.stale_if_error,
                _ => continue,
            };
            let said = seconds(argument).unwrap_or(0);
            *time = Some(time.map_or(said, |known| known.min(said)));
        }
    }
}

/// The elements of a list; commas within quotations separate nothing.
pub(super) fn elements(list: &str) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let separates = move |c: char| {
        let was_escaped = is_escaped;
        is_escaped = is_quoted && !was_escaped && c == '\\';
        if c == '"' && !was_escaped {
            is_quoted = !is_quoted;
        }
        c == ',' && !is_quoted
    };
    list.split(separates).map(str::trim).filter(|element| !element.is_empty())
}

/// A time in seconds; none where it is not one.
pub(super) fn seconds(text: &str) -> Option<u32> {
    let text = text.trim().trim_matches('"');
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(LONGEST_S).min(LONGEST_S))
}
