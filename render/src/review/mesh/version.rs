//! The expressions by which patches name versions of data planes: as much of RE2 as people write
//! there. What is beyond that is not guessed at.

/// A piece of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    /// This character.
    Literal(char),
    /// Any character.
    Any,
    /// One of these ranges.
    Class(Vec<(char, char)>),
    /// One of these.
    Group(Vec<Vec<Repeated>>),
    /// The beginning.
    Start,
    /// The end.
    End,
}

/// A piece, and how often it may stand there.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Repeated {
    piece: Piece,
    fewest: usize,
    most: usize,
}

/// Most characters of an expression, and so of what is tried.
const LONGEST: usize = 200;
/// Most steps of one search: what is beyond that was written against its reader.
const STEPS: usize = 4_000;

/// Whether an expression is found in a version; none where it is not understood.
pub(super) fn matches(pattern: &str, version: &str) -> Option<bool> {
    if pattern.len() > LONGEST {
        return None;
    }
    let mut chars: Vec<char> = pattern.chars().rev().collect();
    let alternatives = alternatives(&mut chars)?;
    if !chars.is_empty() {
        return None;
    }
    let mut search = Search { text: version.chars().collect(), left: STEPS };
    for from in 0..=search.text.len() {
        for one in &alternatives {
            if !search.run(one, from)?.is_empty() {
                return Some(true);
            }
        }
    }
    Some(false)
}

/// Reads up to the end or a closing bracket; characters stand in `chars` from the end.
fn alternatives(chars: &mut Vec<char>) -> Option<Vec<Vec<Repeated>>> {
    let mut all = vec![Vec::new()];
    while let Some(char) = chars.last().copied() {
        if char == ')' {
            break;
        }
        chars.pop();
        if char == '|' {
            all.push(Vec::new());
            continue;
        }
        let piece = piece(char, chars)?;
        let (fewest, most) = match chars.last() {
            Some('*') => (0, LONGEST),
            Some('+') => (1, LONGEST),
            Some('?') => (0, 1),
            Some('{') => return None,
            _ => (1, 1),
        };
        if (fewest, most) != (1, 1) {
            chars.pop();
        }
        all.last_mut()?.push(Repeated { piece, fewest, most });
    }
    Some(all)
}

fn piece(char: char, chars: &mut Vec<char>) -> Option<Piece> {
    Some(match char {
        '^' => Piece::Start,
        '$' => Piece::End,
        '.' => Piece::Any,
        '\\' => match chars.pop()? {
            'd' => Piece::Class(vec![('0', '9')]),
            plain if !plain.is_ascii_alphanumeric() => Piece::Literal(plain),
            _ => return None,
        },
        '(' => {
            if chars.last() == Some(&'?') {
                chars.pop();
                if chars.pop()? != ':' {
                    return None;
                }
            }
            let inner = alternatives(chars)?;
            if chars.pop()? != ')' {
                return None;
            }
            Piece::Group(inner)
        }
        '[' => Piece::Class(class(chars)?),
        '*' | '+' | '?' | '{' | '}' | ']' => return None,
        plain => Piece::Literal(plain),
    })
}

fn class(chars: &mut Vec<char>) -> Option<Vec<(char, char)>> {
    let mut ranges = Vec::new();
    loop {
        match chars.pop()? {
            ']' if !ranges.is_empty() => return Some(ranges),
            ']' | '^' | '[' | '\\' => return None,
            // Right in front of the closing bracket, a hyphen is one.
            from if chars.last() == Some(&'-') && chars.iter().nth_back(1) != Some(&']') => {
                chars.pop();
                let to = chars.pop().filter(|to| *to != ']' && *to >= from)?;
                ranges.push((from, to));
            }
            one => ranges.push((one, one)),
        }
    }
}

/// A search in a text; none of what it finds where it takes too many steps.
struct Search {
    text: Vec<char>,
    left: usize,
}

impl Search {
    /// Where a sequence can end that begins at `from`, each place once.
    fn run(&mut self, sequence: &[Repeated], from: usize) -> Option<Vec<usize>> {
        let mut places = vec![from];
        for repeated in sequence {
            let mut next = Vec::new();
            for place in places {
                self.ends(repeated, place, &mut next)?;
            }
            next.sort_unstable();
            next.dedup();
            places = next;
        }
        Some(places)
    }

    /// Where a piece that may be repeated can end.
    fn ends(&mut self, repeated: &Repeated, from: usize, found: &mut Vec<usize>) -> Option<()> {
        let mut places = vec![from];
        for count in 0..=repeated.most.min(self.text.len() + 1) {
            if count >= repeated.fewest {
                found.extend(&places);
            }
            if count == repeated.most {
                break;
            }
            let mut next = Vec::new();
            for place in &places {
                next.extend(self.once(&repeated.piece, *place)?);
            }
            next.sort_unstable();
            next.dedup();
            if next.is_empty() {
                break;
            }
            places = next;
        }
        Some(())
    }

    /// Where a piece can end.
    fn once(&mut self, piece: &Piece, from: usize) -> Option<Vec<usize>> {
        self.left = self.left.checked_sub(1)?;
        let is = |wanted: bool| if wanted { vec![from + 1] } else { Vec::new() };
        let here = self.text.get(from).copied();
        Some(match piece {
            Piece::Literal(char) => is(here == Some(*char)),
            Piece::Any => is(here.is_some()),
            Piece::Class(ranges) => {
                is(here.is_some_and(|c| ranges.iter().any(|(a, b)| (*a..=*b).contains(&c))))
            }
            Piece::Start if from == 0 => vec![from],
            Piece::End if from == self.text.len() => vec![from],
            Piece::Start | Piece::End => Vec::new(),
            Piece::Group(all) => {
                let mut places = Vec::new();
                for one in all {
                    places.extend(self.run(one, from)?);
                }
                places
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_as_expressions_name_them() {
        for (pattern, version, expected) in [
            (r"^1\.(29|30)\.", "1.29.6", Some(true)),
            (r"^1\.(29|30)\.", "1.30.0", Some(true)),
            (r"^1\.(29|30)\.", "1.31.0", Some(false)),
            (r"^1\.(29|30)\.", "11.29.0", Some(false)),
            (r"^1\.28.*", "1.28.0", Some(true)),
            (r"^1\.2[89]\.\d+$", "1.29.0", Some(true)),
            (r"^1\.2[89]\.\d+$", "1.27.0", Some(false)),
            ("1.3", "1.30.0", Some(true)),
            (r"^1\.(?:29|3[0-9])", "1.31.0", Some(true)),
            (r"^1\.(30|31)[.-]", "1.31.0", Some(true)),
            (r"^1\.(30|31)[.-]", "1.31-alpha.abc", Some(true)),
            (r"^1\.(30|31)[.-]", "1.310.0", Some(false)),
            ("", "1.30.0", Some(true)),
            (r"^1\.30\.0$", "1.30.01", Some(false)),
            (r"(a", "a", None),
            (r"a)", "a", None),
            (r"1\.3{2}", "1.33.0", None),
            (r"[^1]", "2", None),
            (r"\w", "a", None),
            ("*", "a", None),
        ] {
            assert_eq!(matches(pattern, version), expected, "{pattern} {version}");
        }
    }

    #[test]
    fn expressions_that_nobody_can_finish_are_not_understood() {
        let nested = |piece: &str, depth: usize| {
            format!("{}{}", format!("({piece}").repeat(depth), ")*".repeat(depth)) + "x$"
        };
        for pattern in
            [nested("a*", 38), nested(".*", 38), nested(".?.?.?", 20), nested("(.|.|.)+", 12)]
        {
            assert_eq!(matches(&pattern, "1.30.0-alpha.0123456789abcdef"), None, "{pattern}");
        }
        assert_eq!(matches(r"^(1\.(2[89]|3[01]))(\..*)?$", "1.30.0"), Some(true));
    }
}
