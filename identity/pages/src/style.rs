//! The style of all pages, with the operator's colours.

use std::fmt::Write as _;

const STYLE: &str = include_str!("../assets/style.css");

/// Of the style sheet: by day and by night.
const BACKGROUNDS: [&str; 2] = ["#ffffff", "#15181d"];
const TEXTS: [&str; 2] = ["#1b1d22", "#e9eaed"];
const ACCENTS: [&str; 2] = ["#1d4ed8", "#9db8ff"];
const PROBLEMS: [&str; 2] = ["#b3261e", "#ffb4ab"];
/// Text on what has the accent's colour.
const ON_ACCENTS: [&str; 2] = ["#ffffff", "#111418"];

/// An operator's colours, each `#rrggbb`; of others, and where there are none, the pages' own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Colours<'a> {
    /// Of buttons and links.
    pub accent: Option<&'a str>,
    /// Behind the text.
    pub background: Option<&'a str>,
    /// Of the text.
    pub text: Option<&'a str>,
}

/// The style sheet. An operator's colours hold whether or not the browser asks for dark pages:
/// half of them would be no colours that go together. For the same reason, beside a background or
/// a text of the operator's, what is not named is chosen to be read well.
#[must_use]
pub fn style(colours: &Colours<'_>) -> String {
    let is_colour = |value: &&str| channels(value).is_some();
    let text = colours.text.filter(is_colour);
    let background = colours
        .background
        .filter(is_colour)
        .or_else(|| text.and_then(|text| better_on(text, BACKGROUNDS)));
    let beside = |choices| background.and_then(|behind| better_on(behind, choices));
    let accent = colours.accent.filter(is_colour).or_else(|| beside(ACCENTS));
    let mut rules = String::new();
    for (name, value) in [
        ("background", background),
        ("text", text.or_else(|| beside(TEXTS))),
        ("accent", accent),
        ("on-accent", accent.and_then(|accent| better_on(accent, ON_ACCENTS))),
        ("problem", beside(PROBLEMS)),
    ] {
        if let Some(value) = value {
            // Writing to a text does not fail.
            let _ = write!(rules, "--{name}:{value};");
        }
    }
    if rules.is_empty() {
        return STYLE.to_owned();
    }
    format!("{STYLE}:root{{{rules}}}\n@media (prefers-color-scheme: dark){{:root{{{rules}}}}}\n")
}

/// Contrast of two colours of the form `#rrggbb`, from 1 to 21 (WCAG 2.2, relative luminance).
#[must_use]
pub fn contrast(one: &str, other: &str) -> Option<f64> {
    let (one, other) = (luminance(one)?, luminance(other)?);
    Some((one.max(other) + 0.05) / (one.min(other) + 0.05))
}

/// Of two colours, the one that can be told better from another one.
fn better_on(colour: &str, [one, other]: [&'static str; 2]) -> Option<&'static str> {
    Some(if contrast(colour, one)? >= contrast(colour, other)? { one } else { other })
}

fn luminance(colour: &str) -> Option<f64> {
    let [red, green, blue] = channels(colour)?.map(|channel| {
        let part = f64::from(channel) / 255.0;
        if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    });
    Some(0.2126 * red + 0.7152 * green + 0.0722 * blue)
}

fn channels(colour: &str) -> Option<[u8; 3]> {
    let digits = colour.strip_prefix('#')?;
    if digits.len() != 6 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let [_, red, green, blue] = u32::from_str_radix(digits, 16).ok()?.to_be_bytes();
    Some([red, green, blue])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a block of the style sheet, the value of a custom property.
    fn property<'a>(block: &'a str, name: &str) -> &'a str {
        let at = block.split_once(&format!("--{name}: ")).unwrap().1;
        at.split_once(';').unwrap().0
    }

    #[test]
    fn contrast_is_as_wcag_has_it() {
        for (one, other, expected) in [
            ("#ffffff", "#ffffff", 1.0),
            ("#000000", "#ffffff", 21.0),
            ("#FFFFFF", "#767676", 4.54),
        ] {
            let ratio = contrast(one, other).unwrap();
            assert!((ratio - expected).abs() < 0.01, "{one} {other}: {ratio}");
        }
        for no_colour in ["", "#fff", "#gggggg", "ffffff", "#ffffff;", "red"] {
            assert_eq!(contrast(no_colour, "#000000"), None, "{no_colour}");
        }
    }

    #[test]
    fn our_own_colours_can_be_read_by_day_and_by_night() {
        let (day, night) = STYLE.split_once("prefers-color-scheme: dark").unwrap();
        for block in [day, night] {
            let value = |name| property(block, name);
            for (text, behind) in [
                ("text", "background"),
                ("accent", "background"),
                ("on-accent", "accent"),
                ("problem", "background"),
            ] {
                let ratio = contrast(value(text), value(behind)).unwrap();
                assert!(ratio >= 4.5, "{text} on {behind}: {ratio}");
            }
        }
    }

    #[test]
    fn the_colours_here_are_those_of_the_style_sheet() {
        let (day, night) = STYLE.split_once("prefers-color-scheme: dark").unwrap();
        for (name, [by_day, by_night]) in [
            ("background", BACKGROUNDS),
            ("text", TEXTS),
            ("accent", ACCENTS),
            ("on-accent", ON_ACCENTS),
            ("problem", PROBLEMS),
        ] {
            assert_eq!((property(day, name), property(night, name)), (by_day, by_night), "{name}");
        }
    }

    #[test]
    fn an_operators_colours_hold_by_day_and_by_night() {
        let accent = style(&Colours { accent: Some("#ffcc00"), ..Colours::default() });
        assert_eq!(accent.matches("{--accent:#ffcc00;--on-accent:#111418;}").count(), 2);
        let dark = style(&Colours { background: Some("#000000"), ..Colours::default() });
        let rules = "{--background:#000000;--text:#e9eaed;--accent:#9db8ff;--on-accent:#111418;\
                     --problem:#ffb4ab;}";
        assert_eq!(dark.matches(rules).count(), 2, "{dark}");
        let light = style(&Colours { text: Some("#222222"), ..Colours::default() });
        assert!(light.contains("{--background:#ffffff;--text:#222222;--accent:#1d4ed8;"));
        assert_eq!(style(&Colours::default()), STYLE);
    }

    #[test]
    fn nothing_but_colours_gets_into_the_style() {
        for hostile in ["red", "#fff}body{display:none", "url(https://a.test)", "#12345g", ""] {
            let colours =
                Colours { accent: Some(hostile), background: Some(hostile), text: Some(hostile) };
            assert_eq!(style(&colours), STYLE, "{hostile}");
        }
    }

    #[test]
    fn the_style_loads_nothing() {
        for word in ["url(", "@import", "http", "expression"] {
            assert!(!STYLE.contains(word), "{word}");
        }
    }
}
