//! Shares of all requests, which may be far below one in a hundred.

use postern_request::json::Value;

use super::Decode;
use crate::node::{Kind, Node};
use crate::problem::{Position, Problems, told};
use crate::schema;

/// Decimals after the point: what is finer than one in a million has no place in Envoy.
const DECIMALS: usize = 4;
/// All requests.
const WHOLE: u32 = 1_000_000;

/// A share of all requests, written `25%` or `0.1%`, with up to four decimals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// How many of a million: 1 to 1,000,000.
    pub parts_per_million: u32,
    /// Its place.
    pub at: Position,
}

/// Reads `0.1%`; none where it is no share, or one of nothing, or more than all.
fn read(text: &str) -> Option<u32> {
    let number = text.strip_suffix('%')?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !is_digits(fraction) || fraction.len() > DECIMALS || whole.len() > 3 {
        return None;
    }
    let parts: u32 = format!("{whole}{fraction:0<DECIMALS$}").parse().ok()?;
    (1..=WHOLE).contains(&parts).then_some(parts)
}

/// In its shortest form: the digest does not tell `0.10%` from `0.1%`.
fn write(parts: u32) -> String {
    let (whole, fraction) = (parts / 10_000, parts % 10_000);
    if fraction == 0 {
        return format!("{whole}%");
    }
    let fraction = format!("{fraction:0>DECIMALS$}");
    format!("{whole}.{}%", fraction.trim_end_matches('0'))
}

impl Decode for Share {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        let written = "a share of all requests, above 0% and at most 100%, with up to four \
                       decimals, for example 0.1%";
        let read = match &node.kind {
            Kind::Text(text) => read(text),
            _ => None,
        };
        if read.is_none() {
            problems.report(node.at, told!("write {written}"));
        }
        read.map(|parts_per_million| Self { parts_per_million, at: node.at })
    }

    fn encode(&self) -> Option<Value> {
        Some(Value::String(write(self.parts_per_million)))
    }

    fn place(&self, _: &[&str]) -> Option<Position> {
        Some(self.at)
    }

    fn schema() -> Value {
        schema::text_like(r"^[0-9]{1,3}(\.[0-9]{1,4})?%$")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_counted_in_a_million() {
        for (text, parts, written) in [
            ("100%", 1_000_000, "100%"),
            ("25%", 250_000, "25%"),
            ("0.1%", 1_000, "0.1%"),
            ("0.10%", 1_000, "0.1%"),
            ("0.0001%", 1, "0.0001%"),
            ("99.9999%", 999_999, "99.9999%"),
            ("05.5%", 55_000, "5.5%"),
        ] {
            assert_eq!(read(text), Some(parts), "{text}");
            assert_eq!(write(parts), written);
            assert_eq!(read(written), Some(parts), "{written}");
        }
        for bad in [
            "",
            "%",
            "0%",
            "0.0000%",
            "0.00001%",
            "100.0001%",
            "101%",
            "1000%",
            "1",
            "-1%",
            "1,5%",
            ".5%",
            "5.%",
            "1e1%",
            "+1%",
            " 1%",
            "0.1.1%",
            "১%",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
