//! How well somebody has authenticated (OpenID Connect Core §2, `acr`).

use postern_request::login::{ONE_FACTOR, SEVERAL_FACTORS};

/// A class of authentication; a later one satisfies whoever asks for an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Acr {
    /// By one factor.
    OneFactor,
    /// By several, or by a passkey that has verified its user.
    SeveralFactors,
}

impl Acr {
    /// All of them, weakest first.
    pub const ALL: [Self; 2] = [Self::OneFactor, Self::SeveralFactors];

    /// As `acr` spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OneFactor => ONE_FACTOR,
            Self::SeveralFactors => SEVERAL_FACTORS,
        }
    }

    /// Reads one of `acr_values`; none for a class of others.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|acr| acr.as_str() == text)
    }

    /// Whether this is enough for whoever asks for `wanted`.
    #[must_use]
    pub fn satisfies(self, wanted: Self) -> bool {
        self >= wanted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_factors_satisfy_those_who_ask_for_fewer() {
        for (has, wanted, expected) in [
            (Acr::OneFactor, Acr::OneFactor, true),
            (Acr::SeveralFactors, Acr::OneFactor, true),
            (Acr::SeveralFactors, Acr::SeveralFactors, true),
            (Acr::OneFactor, Acr::SeveralFactors, false),
        ] {
            assert_eq!(has.satisfies(wanted), expected, "{has:?} {wanted:?}");
        }
    }

    #[test]
    fn classes_of_others_are_unknown() {
        for acr in Acr::ALL {
            assert_eq!(Acr::parse(acr.as_str()), Some(acr));
        }
        for other in ["", "0", "urn:postern:acr:3", "URN:postern:acr:1"] {
            assert_eq!(Acr::parse(other), None, "{other}");
        }
    }
}
