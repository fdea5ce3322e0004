//! What a route asks of its callers, and how two such demands go together.

use std::collections::{BTreeMap, BTreeSet};

/// Who may call.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Auth {
    pub(super) tokens: Tokens,
    /// SPIFFE ids of connections, one of which it must be; none asks for nothing.
    pub(super) peers: Option<BTreeSet<String>>,
}

/// What becomes of tokens.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum Tokens {
    /// Nobody looks at them.
    #[default]
    Ignored,
    /// There may be none; one that is there must be such.
    Optional(Rules),
    /// There must be such a one.
    Required(Rules),
}

/// What a token must be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Rules {
    /// Its issuer is one of these, each with audiences, of which it must name one where there are
    /// any.
    pub(super) issuers: BTreeMap<String, BTreeSet<String>>,
    /// It must name one of these too.
    pub(super) audiences: Option<BTreeSet<String>>,
    /// It grants all of these.
    pub(super) scopes: BTreeSet<String>,
    /// Each of these claims says one of its values.
    pub(super) claims: BTreeMap<String, BTreeSet<String>>,
}

impl Auth {
    pub(super) fn of_token(rules: Rules) -> Self {
        Self { tokens: Tokens::Required(rules), peers: None }
    }

    pub(super) fn of_peers(peers: BTreeSet<String>) -> Self {
        Self { tokens: Tokens::Ignored, peers: Some(peers) }
    }

    /// What meets both, or less; none where that is nothing that could be written.
    pub(super) fn and(&self, other: &Self) -> Option<Self> {
        use Tokens::{Ignored, Optional, Required};
        let tokens = match (&self.tokens, &other.tokens) {
            (Ignored, tokens) | (tokens, Ignored) => tokens.clone(),
            (Optional(a), Optional(b)) => Optional(a.and(b)?),
            (Optional(a) | Required(a), Optional(b) | Required(b)) => Required(a.and(b)?),
        };
        let peers = match (&self.peers, &other.peers) {
            (None, peers) | (peers, None) => peers.clone(),
            (Some(a), Some(b)) => Some(common(a, b)?),
        };
        Some(Self { tokens, peers })
    }

    /// What meets one or the other, exactly; none where no route says so.
    pub(super) fn or(&self, other: &Self) -> Option<Self> {
        use Tokens::{Optional, Required};
        if self.implies(other) {
            return Some(other.clone());
        }
        if other.implies(self) {
            return Some(self.clone());
        }
        if self.tokens == other.tokens {
            let peers = self.peers.as_ref()?.union(other.peers.as_ref()?).cloned().collect();
            return Some(Self { tokens: self.tokens.clone(), peers: Some(peers) });
        }
        if self.peers != other.peers {
            return None;
        }
        let tokens = match (&self.tokens, &other.tokens) {
            (Required(a), Required(b)) => Required(a.or(b)?),
            (Optional(a), Optional(b)) => Optional(a.or(b)?),
            _ => return None,
        };
        Some(Self { tokens, peers: self.peers.clone() })
    }

    /// What is asked where tokens of some issuers do not arrive; none where nobody meets that.
    pub(super) fn without(&self, issuers: &BTreeSet<String>) -> Option<Self> {
        let left = |rules: &Rules| {
            let mut rules = rules.clone();
            rules.issuers.retain(|issuer, _| !issuers.contains(issuer));
            (!rules.issuers.is_empty()).then_some(rules)
        };
        let tokens = match &self.tokens {
            Tokens::Ignored => Tokens::Ignored,
            Tokens::Optional(rules) => left(rules).map_or(Tokens::Ignored, Tokens::Optional),
            Tokens::Required(rules) => Tokens::Required(left(rules)?),
        };
        Some(Self { tokens, peers: self.peers.clone() })
    }

    /// Whether whoever meets this meets the other.
    pub(super) fn implies(&self, other: &Self) -> bool {
        use Tokens::{Ignored, Optional, Required};
        let by_token = match (&self.tokens, &other.tokens) {
            (_, Ignored) => true,
            (Optional(a) | Required(a), Optional(b)) | (Required(a), Required(b)) => a.implies(b),
            (Ignored | Optional(_), _) => false,
        };
        let by_peer = match (&self.peers, &other.peers) {
            (_, None) => true,
            (Some(a), Some(b)) => a.is_subset(b),
            (None, Some(_)) => false,
        };
        by_token && by_peer
    }
}

impl Rules {
    fn and(&self, other: &Self) -> Option<Self> {
        let mut issuers = BTreeMap::new();
        for (issuer, audiences) in &self.issuers {
            let Some(others) = other.issuers.get(issuer) else { continue };
            let both = match (audiences.is_empty(), others.is_empty()) {
                (true, _) => Some(others.clone()),
                (_, true) => Some(audiences.clone()),
                // A token may name two audiences; one that is in both lists is enough, and one
                // list is all that can be asked.
                (false, false) => common(audiences, others),
            };
            issuers.extend(both.map(|both| (issuer.clone(), both)));
        }
        if issuers.is_empty() {
            return None;
        }
        let audiences = match (&self.audiences, &other.audiences) {
            (None, audiences) | (audiences, None) => audiences.clone(),
            (Some(a), Some(b)) => Some(common(a, b)?),
        };
        let mut claims = self.claims.clone();
        for (claim, values) in &other.claims {
            let values = match claims.get(claim) {
                Some(known) => common(known, values)?,
                None => values.clone(),
            };
            claims.insert(claim.clone(), values);
        }
        let scopes = self.scopes.union(&other.scopes).cloned().collect();
        Some(Self { issuers, audiences, scopes, claims })
    }

    /// Where they differ in one thing alone, that thing is either.
    fn or(&self, other: &Self) -> Option<Self> {
        let with_issuers = Self { issuers: self.issuers.clone(), ..other.clone() };
        if with_issuers == *self {
            let mut either = self.clone();
            for (issuer, audiences) in &other.issuers {
                let known = either.issuers.entry(issuer.clone()).or_insert(audiences.clone());
                if known.is_empty() || audiences.is_empty() {
                    known.clear();
                } else {
                    known.extend(audiences.iter().cloned());
                }
            }
            return Some(either);
        }
        let with_audiences = Self { audiences: self.audiences.clone(), ..other.clone() };
        if with_audiences == *self {
            let audiences = self.audiences.as_ref()?.union(other.audiences.as_ref()?).cloned();
            return Some(Self { audiences: Some(audiences.collect()), ..self.clone() });
        }
        let with_claims = Self { claims: self.claims.clone(), ..other.clone() };
        if with_claims != *self || !self.claims.keys().eq(other.claims.keys()) {
            return None;
        }
        let differs = |claim: &&String| self.claims.get(*claim) != other.claims.get(*claim);
        let mut differing = self.claims.keys().filter(differs);
        let (claim, None) = (differing.next()?, differing.next()) else { return None };
        let values = self.claims.get(claim)?.union(other.claims.get(claim)?).cloned().collect();
        let mut either = self.clone();
        either.claims.insert(claim.clone(), values);
        Some(either)
    }

    fn implies(&self, other: &Self) -> bool {
        let issuers = self.issuers.iter().all(|(issuer, audiences)| {
            let others = other.issuers.get(issuer);
            others.is_some_and(|others| {
                others.is_empty() || !audiences.is_empty() && audiences.is_subset(others)
            })
        });
        let audiences = match (&self.audiences, &other.audiences) {
            (_, None) => true,
            (Some(a), Some(b)) => a.is_subset(b),
            (None, Some(_)) => false,
        };
        let claims = other.claims.iter().all(|(claim, others)| {
            self.claims.get(claim).is_some_and(|values| values.is_subset(others))
        });
        issuers && audiences && claims && other.scopes.is_subset(&self.scopes)
    }
}

/// What is in both; none where nothing is.
fn common(a: &BTreeSet<String>, b: &BTreeSet<String>) -> Option<BTreeSet<String>> {
    let both: BTreeSet<String> = a.intersection(b).cloned().collect();
    (!both.is_empty()).then_some(both)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(values: &[&str]) -> BTreeSet<String> {
        values.iter().map(|value| (*value).to_owned()).collect()
    }

    fn rules(issuers: &[&str], claims: &[(&str, &[&str])]) -> Rules {
        Rules {
            issuers: issuers.iter().map(|issuer| ((*issuer).to_owned(), set(&[]))).collect(),
            claims: claims.iter().map(|(name, values)| ((*name).to_owned(), set(values))).collect(),
            ..Rules::default()
        }
    }

    fn token(issuers: &[&str], claims: &[(&str, &[&str])]) -> Auth {
        Auth::of_token(rules(issuers, claims))
    }

    #[test]
    fn both_is_never_more_than_either() {
        let open = Auth::default();
        let optional = Auth { tokens: Tokens::Optional(rules(&["a", "b"], &[])), peers: None };
        let either = token(&["a", "b"], &[]);
        let of_a = token(&["a"], &[("role", &["x", "y"])]);
        let of_b = token(&["b"], &[]);
        let web = Auth::of_peers(set(&["web"]));
        let all = [open, optional, either.clone(), of_a, of_b, web];
        for a in &all {
            for b in &all {
                let Some(both) = a.and(b) else { continue };
                assert!(both.implies(a) && both.implies(b), "{a:?} {b:?}");
                let one = a.or(b);
                assert!(one.is_none_or(|one| a.implies(&one) && b.implies(&one)), "{a:?} {b:?}");
            }
        }
        assert_eq!(token(&["a"], &[]).and(&token(&["b"], &[])), None);
        assert_eq!(either.and(&all[1]), Some(either));
    }

    #[test]
    fn either_is_said_where_one_thing_differs() {
        let x = token(&["a"], &[("role", &["x"])]);
        let y = token(&["a"], &[("role", &["y"])]);
        assert_eq!(x.or(&y), Some(token(&["a"], &[("role", &["x", "y"])])));
        assert_eq!(token(&["a"], &[]).or(&token(&["b"], &[])), Some(token(&["a", "b"], &[])));
        assert_eq!(x.or(&token(&["a"], &[])), Some(token(&["a"], &[])));
        assert_eq!(x.or(&token(&["b"], &[("role", &["y"])])), None, "two things differ");
        assert_eq!(x.or(&token(&["a"], &[("team", &["x"])])), None, "two claims");
        let peers = |id: &str| Auth { peers: Some(set(&[id])), ..x.clone() };
        let both = Auth { peers: Some(set(&["p", "q"])), ..x.clone() };
        assert_eq!(peers("p").or(&peers("q")), Some(both));
        assert_eq!(peers("p").or(&Auth { peers: Some(set(&["q"])), ..y }), None);
    }

    #[test]
    fn a_token_that_may_be_missing_asks_less_than_one_that_may_not() {
        let required = token(&["a"], &[]);
        let optional = Auth { tokens: Tokens::Optional(rules(&["a"], &[])), peers: None };
        assert!(required.implies(&optional) && !optional.implies(&required));
        assert!(optional.implies(&Auth::default()) && !Auth::default().implies(&optional));
        assert_eq!(optional.and(&required), Some(required.clone()));
        let taken = set(&["a"]);
        assert_eq!(optional.without(&taken), Some(Auth::default()));
        assert_eq!(required.without(&taken), None);
        assert_eq!(required.without(&set(&["b"])), Some(required));
    }
}
