//! Sizes in bytes.

use postern_request::json::Value;

use super::Decode;
use crate::node::{Kind, Node};
use crate::problem::{Position, Problems, told};
use crate::schema;

/// Units, the largest first.
const UNITS: [(&str, u64); 3] = [("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// A size, written `512B`, `64KiB` or `1MiB`. Checks know its bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Size {
    /// In bytes.
    pub bytes: u64,
    /// Its place.
    pub at: Position,
}

fn read(text: &str) -> Option<u64> {
    let (digits, unit) =
        UNITS.iter().find_map(|(name, unit)| Some((text.strip_suffix(*name)?, unit)))?;
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = digits.parse().ok().filter(|_| is_number)?;
    number.checked_mul(*unit)
}

/// In its shortest form: the digest does not tell `1024KiB` from `1MiB`.
fn write(bytes: u64) -> String {
    let fits = |unit: u64| bytes > 0 && bytes.is_multiple_of(unit);
    let found = UNITS.iter().find(|(_, unit)| fits(*unit));
    let (name, unit) = found.copied().unwrap_or(("B", 1));
    format!("{}{name}", bytes / unit)
}

impl Decode for Size {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        let read = match &node.kind {
            Kind::Text(text) => read(text),
            _ => None,
        };
        if read.is_none() {
            let written = "a size as a whole number and B, KiB or MiB, for example 64KiB";
            problems.report(node.at, told!("write {written}"));
        }
        read.map(|bytes| Self { bytes, at: node.at })
    }

    fn encode(&self) -> Option<Value> {
        Some(Value::String(write(self.bytes)))
    }

    fn place(&self, _: &[&str]) -> Option<Position> {
        Some(self.at)
    }

    fn schema() -> Value {
        schema::text_like("^[0-9]+(B|KiB|MiB)$")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_two() {
        for (text, bytes, written) in [
            ("0B", 0, "0B"),
            ("512B", 512, "512B"),
            ("64KiB", 65_536, "64KiB"),
            ("1024KiB", 1_048_576, "1MiB"),
            ("1536B", 1_536, "1536B"),
            ("007MiB", 7_340_032, "7MiB"),
        ] {
            assert_eq!(read(text), Some(bytes), "{text}");
            assert_eq!(write(bytes), written);
            assert_eq!(read(written), Some(bytes), "{written}");
        }
        for bad in [
            "",
            "B",
            "KiB",
            "64",
            "64KB",
            "64kib",
            "-1B",
            "+1B",
            " 1B",
            "1 B",
            "1.5MiB",
            "99999999999999MiB",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
