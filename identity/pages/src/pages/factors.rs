//! Setting a second factor up.

use std::fmt::Write as _;

use askama::Template;
use qrcode::{Color, QrCode};

use super::{described_by, told};
use crate::look::Frame;
use crate::{Look, Page, Problem};

/// Modules around a code that stay light (ISO/IEC 18004).
const QUIET: usize = 4;

/// The page that sets an application up.
#[derive(Clone, Copy)]
pub struct EnrolTotpView<'a> {
    /// Where the form goes.
    pub action: &'a str,
    /// The form's token.
    pub csrf: &'a str,
    /// The key; none where it was shown before, because nobody is shown one twice.
    pub key: Option<TotpKey<'a>>,
    /// Where it begins anew, with another key.
    pub restart: &'a str,
    /// Whether nothing else goes on before it.
    pub is_forced: bool,
    /// Why the form is shown again.
    pub problem: Option<Problem>,
    /// Where else the form's answer may lead, as a source of a policy.
    pub targets: &'a [&'a str],
}

/// What an application makes its codes of: a secret.
#[derive(Clone, Copy)]
pub struct TotpKey<'a> {
    /// In base32, for people to type.
    pub secret: &'a str,
    /// The same as an `otpauth:` URI, for the QR code.
    pub uri: &'a str,
}

/// The page that shows recovery codes, once.
#[derive(Clone, Copy)]
pub struct RecoveryCodesView<'a> {
    /// The codes: secrets.
    pub codes: &'a [&'a str],
    /// Where it goes on.
    pub go_on: &'a str,
}

/// A QR code as a path: a square for each dark module.
struct Qr {
    width: usize,
    path: String,
}

impl Qr {
    /// None where the text is too long for one; the key can still be typed.
    fn of(text: &str) -> Option<Self> {
        let code = QrCode::new(text.as_bytes()).ok()?;
        let width = code.width().max(1);
        let mut path = String::new();
        for (at, colour) in code.to_colors().into_iter().enumerate() {
            if colour == Color::Dark {
                let (x, y) = (at % width + QUIET, at / width + QUIET);
                // Writing to a text does not fail.
                let _ = write!(path, "M{x} {y}h1v1h-1z");
            }
        }
        Some(Self { width: width + 2 * QUIET, path })
    }
}

#[derive(Template)]
#[template(path = "enrol_totp.html")]
struct EnrolTotpPage<'a> {
    frame: &'a Frame<'a>,
    view: &'a EnrolTotpView<'a>,
    problem: Option<String>,
    qr: Option<Qr>,
    key: Option<String>,
    described_by: &'static str,
}

#[derive(Template)]
#[template(path = "recovery_codes.html")]
struct RecoveryCodesPage<'a> {
    frame: &'a Frame<'a>,
    view: &'a RecoveryCodesView<'a>,
}

/// Shows the key of an application, and asks for its first code.
#[must_use]
pub fn enrol_totp(view: &EnrolTotpView<'_>, look: &Look<'_>) -> Page {
    let texts = look.language.texts();
    let frame = Frame::new(look, texts.enrol.to_owned(), view.targets);
    let (problem, status) = told(view.problem, &frame);
    let described_by = described_by(problem.as_ref());
    let qr = view.key.and_then(|key| Qr::of(key.uri));
    let key = view.key.map(|key| in_groups(key.secret));
    frame.page(&EnrolTotpPage { frame: &frame, view, problem, qr, key, described_by }, status)
}

/// Shows recovery codes.
#[must_use]
pub fn recovery_codes(view: &RecoveryCodesView<'_>, look: &Look<'_>) -> Page {
    let frame = Frame::new(look, look.language.texts().recovery_codes.to_owned(), &[]);
    frame.page(&RecoveryCodesPage { frame: &frame, view }, 200)
}

/// Four characters at a time, as people read them off.
fn in_groups(secret: &str) -> String {
    let mut groups = String::new();
    for (at, character) in secret.chars().enumerate() {
        if at > 0 && at % 4 == 0 {
            groups.push(' ');
        }
        groups.push(character);
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_off_in_groups() {
        assert_eq!(in_groups("JBSWY3DPEHPK3PXP"), "JBSW Y3DP EHPK 3PXP");
        assert_eq!(in_groups("ABCDE"), "ABCD E");
        assert_eq!(in_groups(""), "");
    }

    #[test]
    fn a_qr_code_has_its_corner_and_its_border() {
        let qr = Qr::of("otpauth://totp/Example:ada?secret=JBSWY3DPEHPK3PXP").unwrap();
        assert!(qr.path.starts_with("M4 4h1v1h-1z"), "a finder pattern begins dark");
        // 17 + 4 × version modules a side, and the quiet zone.
        assert_eq!((qr.width - 2 * QUIET - 17) % 4, 0);
        assert!(Qr::of(&"x".repeat(8000)).is_none());
    }
}
