//! What an Envoy makes of a path before anybody decides: Envoy's `normalize_path`,
//! `merge_slashes` and `path_with_escaped_slashes_action`, and Istio's names for them.
//!
//! Envoy normalises as a browser does, not as RFC 3986 alone would have it: `\` becomes `/`, what
//! needs no escape loses it, what needs one gets it, and an escape that is none stays. Every rule
//! here was compared with real Envoys.

use core::fmt;

/// What becomes of `%2F` and `%5C`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EscapedSlashes {
    /// They stay.
    Keep,
    /// The request is refused.
    Reject,
    /// They become `/` and `\`.
    Decode,
}

/// How a proxy reads paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Normalization {
    /// Dot segments are resolved, `\` becomes `/`, and characters are escaped where they must be
    /// and only there.
    pub base: bool,
    /// Several slashes become one.
    pub merge_slashes: bool,
    /// What becomes of escaped slashes.
    pub escaped_slashes: EscapedSlashes,
    /// With `base`: `..;a` is read as `..`, and `.;a` as `.`. Envoys from CVE-2026-73551 on do
    /// that, among them 1.39.3 and 1.40.0; earlier ones, among them 1.36.4, 1.37.0 and 1.38.3, do
    /// not. [`crate::path::check`] refuses what is left of them behind either.
    pub dot_parameters: bool,
}

impl Normalization {
    /// As we configure Envoy.
    pub const ENVOY: Self = Self {
        base: true,
        merge_slashes: true,
        escaped_slashes: EscapedSlashes::Reject,
        dot_parameters: false,
    };
    /// Istio's `NONE`.
    pub const ISTIO_NONE: Self = Self {
        base: false,
        merge_slashes: false,
        escaped_slashes: EscapedSlashes::Keep,
        dot_parameters: false,
    };
    /// Istio's `BASE`, which is its default.
    pub const ISTIO_BASE: Self = Self { base: true, ..Self::ISTIO_NONE };
    /// Istio's `MERGE_SLASHES`.
    pub const ISTIO_MERGE: Self = Self { merge_slashes: true, ..Self::ISTIO_BASE };
    /// Istio's `DECODE_AND_MERGE_SLASHES`.
    pub const ISTIO_DECODE: Self =
        Self { escaped_slashes: EscapedSlashes::Decode, ..Self::ISTIO_MERGE };
}

/// Why a proxy refuses a path with 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejected {
    /// It does not begin with a slash.
    NotAbsolute,
    /// It has a `#`.
    Fragment,
    /// It has a space, a control character, or a byte outside ASCII.
    Character,
    /// It has an escaped slash or backslash.
    EscapedSlash,
    /// It has an escaped zero.
    EscapedZero,
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAbsolute => "the path does not begin with a slash",
            Self::Fragment => "the path has a `#`",
            Self::Character => "the path has a character that HTTP does not allow",
            Self::EscapedSlash => "the path has an escaped slash or backslash",
            Self::EscapedZero => "the path has an escaped zero",
        })
    }
}

/// A path, without its query, as a proxy reads it.
///
/// # Errors
/// When the proxy answers 400.
pub fn normalize(path: &str, rules: Normalization) -> Result<String, Rejected> {
    if path.contains('#') {
        return Err(Rejected::Fragment);
    }
    if path.bytes().any(|byte| byte <= 0x20 || byte >= 0x7f) {
        return Err(Rejected::Character);
    }
    if !path.starts_with('/') {
        return Err(Rejected::NotAbsolute);
    }
    let mut path = match rules.escaped_slashes {
        EscapedSlashes::Keep => path.to_owned(),
        EscapedSlashes::Decode => decode_slashes(path),
        EscapedSlashes::Reject => {
            if decode_slashes(path) != path {
                return Err(Rejected::EscapedSlash);
            }
            path.to_owned()
        }
    };
    if rules.base {
        if rules.dot_parameters {
            path = without_dot_parameters(&path);
        }
        path = Canonical::of(&path)?;
    }
    if rules.merge_slashes && path.contains("//") {
        path = merged(&path);
    }
    Ok(path)
}

fn decode_slashes(path: &str) -> String {
    path.replace("%2F", "/").replace("%2f", "/").replace("%5C", "\\").replace("%5c", "\\")
}

fn without_dot_parameters(path: &str) -> String {
    let segments: Vec<&str> = path.split('/').map(dots_alone).collect();
    segments.join("/")
}

fn dots_alone(segment: &str) -> &str {
    if segment.starts_with("..;") {
        ".."
    } else if segment.starts_with(".;") {
        "."
    } else {
        segment
    }
}

/// A path of slashes alone keeps two of them: Envoy joins what stands between slashes and puts
/// the first and the last one back.
fn merged(path: &str) -> String {
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let last = if path.ends_with('/') { "/" } else { "" };
    ["/", &segments.join("/"), last].concat()
}

/// A path while its canonical form is made of it.
struct Canonical<'p> {
    path: &'p [u8],
    /// ASCII alone.
    out: Vec<u8>,
    /// Where in `out` a percent sign stands that began no escape.
    broken: Option<usize>,
}

/// What a dot after a slash is.
enum Dots {
    /// A part of a name.
    Name,
    /// This segment; so many bytes more belong to it.
    Here(usize),
    /// The one above.
    Above(usize),
}

impl<'p> Canonical<'p> {
    fn of(path: &'p str) -> Result<String, Rejected> {
        let mut canonical =
            Self { path: path.as_bytes(), out: Vec::with_capacity(path.len()), broken: None };
        let mut at = 0;
        while let Some(byte) = canonical.path.get(at) {
            at += match dot_at(canonical.path, at) {
                Some(len) => canonical.dot(at, len),
                None => canonical.push(at, *byte)?,
            };
        }
        Ok(canonical.out.into_iter().map(char::from).collect())
    }

    /// Takes over a dot of so many bytes, and says how many bytes that took.
    fn dot(&mut self, at: usize, len: usize) -> usize {
        let dots = match self.out.last() {
            Some(b'/') => dots(self.path, at + len),
            _ => Dots::Name,
        };
        match dots {
            Dots::Name => {
                self.out.push(b'.');
                len
            }
            Dots::Here(more) => len + more,
            Dots::Above(more) => {
                self.go_up();
                len + more
            }
        }
    }

    /// Takes the last segment away; above the first there is none.
    fn go_up(&mut self) {
        let above = self.out.split_last().map_or(&[][..], |(_, above)| above);
        let slash = above.iter().rposition(|byte| *byte == b'/');
        self.out.truncate(slash.unwrap_or(0) + 1);
    }

    /// Takes over anything but a dot, and says how many bytes that took.
    fn push(&mut self, at: usize, byte: u8) -> Result<usize, Rejected> {
        match byte {
            b'\\' => self.out.push(b'/'),
            b'%' => return self.escape(at),
            b'"' | b'<' | b'>' | b'?' | b'^' | b'`' | b'{' | b'|' | b'}' => {
                self.out.extend(format!("%{byte:02X}").into_bytes());
            }
            _ => self.out.push(byte),
        }
        Ok(1)
    }

    fn escape(&mut self, at: usize) -> Result<usize, Rejected> {
        match escaped_at(self.path, at) {
            None => {
                self.broken = Some(self.out.len());
                self.out.push(b'%');
                Ok(1)
            }
            Some(0) => Err(Rejected::EscapedZero),
            Some(byte) if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~') => {
                self.out.push(byte);
                if let Some(broken) = self.broken.filter(|broken| broken + 3 >= self.out.len()) {
                    self.guard(broken, byte, at + 3);
                }
                Ok(3)
            }
            Some(_) => {
                // As it is written: capitals may matter to somebody.
                self.out.extend(self.path.iter().skip(at).take(3));
                Ok(3)
            }
        }
    }

    /// An escape was decoded behind a percent sign that began none. If that one begins one now, it
    /// is escaped itself: whoever decodes once more must not read something else.
    fn guard(&mut self, broken: usize, decoded: u8, next: usize) {
        let len = self.out.len();
        let lacks_one = broken + 2 == len;
        if lacks_one {
            let Some(next) = self.path.get(next) else { return };
            self.out.push(*next);
        }
        if escaped_at(&self.out, broken).is_none() {
            self.out.truncate(len);
            return;
        }
        let first = self.out.get(broken + 1).copied();
        self.out.truncate(broken + 1);
        self.out.extend(b"25");
        if !lacks_one {
            self.out.extend(first);
        }
        self.out.push(decoded);
    }
}

/// The byte that is escaped there.
fn escaped_at(path: &[u8], at: usize) -> Option<u8> {
    let mut bytes = path.iter().skip(at).copied();
    if bytes.next() != Some(b'%') {
        return None;
    }
    let (high, low) = (crate::path::hex(bytes.next()?)?, crate::path::hex(bytes.next()?)?);
    Some(high * 16 + low)
}

/// How long the dot is that stands there, plain or escaped.
fn dot_at(path: &[u8], at: usize) -> Option<usize> {
    match path.get(at) {
        Some(b'.') => Some(1),
        Some(b'%') if escaped_at(path, at) == Some(b'.') => Some(3),
        _ => None,
    }
}

/// What a dot is that stands after a slash, by what comes after it.
fn dots(path: &[u8], after: usize) -> Dots {
    match path.get(after) {
        None => return Dots::Here(0),
        Some(b'/' | b'\\') => return Dots::Here(1),
        Some(_) => {}
    }
    let Some(len) = dot_at(path, after) else { return Dots::Name };
    match path.get(after + len) {
        None => Dots::Above(len),
        Some(b'/' | b'\\') => Dots::Above(len + 1),
        Some(_) => Dots::Name,
    }
}

#[cfg(test)]
mod tests;
