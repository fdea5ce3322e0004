//! Who may call a route.

use postern_jose::VerifiedToken;
use postern_request::principal::{Credential, Principal};
use postern_request::{Denial, ErrorCode};

use super::Mfa;
pub use crate::raw::RawProof as Proof;

/// Who may call a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    /// Everybody; no credential is looked at.
    None,
    /// Those with one of these credentials and all of the scopes.
    Rules {
        /// One of these.
        any: Vec<Credential>,
        /// All of these.
        scopes: Vec<String>,
        /// Without a credential: through, as nobody.
        optional: bool,
        /// What a token must be besides; asks nothing of API keys and sessions.
        token: TokenRules,
        /// Only callers who have authenticated by several factors. The server judges it.
        mfa: Option<Mfa>,
    },
}

impl Auth {
    /// Whether the rules accept a caller, or the absence of one.
    ///
    /// # Errors
    /// The denial for the client.
    pub fn authorize(&self, principal: Option<&Principal>) -> Result<(), Denial> {
        let Self::Rules { any, scopes, optional, .. } = self else {
            return Ok(());
        };
        match principal {
            None if *optional => Ok(()),
            None => Err(Denial::missing_credential()),
            Some(principal) if !any.contains(&principal.credential) => {
                Err(Denial::missing_credential())
            }
            Some(principal) if !principal.has_scopes(scopes) => {
                Err(Denial::insufficient_scope(scopes))
            }
            Some(_) => Ok(()),
        }
    }

    /// What a token must be; none where no credential is looked at.
    #[must_use]
    pub const fn token(&self) -> Option<&TokenRules> {
        match self {
            Self::None => None,
            Self::Rules { token, .. } => Some(token),
        }
    }

    /// What is asked of how callers have authenticated.
    #[must_use]
    pub const fn mfa(&self) -> Option<Mfa> {
        match self {
            Self::None => None,
            Self::Rules { mfa, .. } => *mfa,
        }
    }

    /// Whether a kind of credential is accepted.
    #[must_use]
    pub fn accepts(&self, credential: Credential) -> bool {
        matches!(self, Self::Rules { any, .. } if any.contains(&credential))
    }
}

/// What a route asks of tokens besides their scopes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TokenRules {
    /// Only tokens of these, by their places in the document's issuers; of all where it is empty.
    pub issuers: Vec<usize>,
    /// `aud` names one of these, beside one of the issuer's; any where it is empty.
    pub audiences: Vec<String>,
    /// All of these hold.
    pub claims: Vec<ClaimRule>,
    /// What it must be bound to.
    pub proof: Option<Proof>,
}

/// What a claim must say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimRule {
    /// Its name or path.
    pub claim: String,
    /// One of these.
    pub values: Vec<String>,
    /// Its place in `rules.kept` of each issuer, by the issuer's place; none for issuers whose
    /// tokens no rule about it takes.
    pub kept: Vec<Option<usize>>,
}

impl TokenRules {
    /// Whether nothing is asked.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.issuers.is_empty()
            && self.audiences.is_empty()
            && self.claims.is_empty()
            && self.proof.is_none()
    }

    /// Judges a token that was verified with the document's issuers, in their order. Whether
    /// who shows it may is another question, asked of every token: [`VerifiedToken::confirm`].
    ///
    /// # Errors
    /// The denial for the client.
    pub fn check(&self, token: &VerifiedToken) -> Result<(), Denial> {
        self.check_proof(token)?;
        if !self.issuers.is_empty() && !self.issuers.contains(&token.issuer_index) {
            return Err(Denial::new(ErrorCode::Forbidden, "token_issuer"));
        }
        let names = |audience: &String| token.claims.audiences.contains(audience);
        if !self.audiences.is_empty() && !self.audiences.iter().any(names) {
            return Err(Denial::new(ErrorCode::Forbidden, "token_audience"));
        }
        if !self.claims.iter().all(|rule| rule.holds(token)) {
            return Err(Denial::new(ErrorCode::Forbidden, "token_claims"));
        }
        Ok(())
    }

    /// Whether the token is bound to what the route asks for. That its holder has shown it is
    /// not judged here.
    ///
    /// # Errors
    /// The denial for the client: as for any token that does not hold, because one without a
    /// binding is a bearer token that anybody could have found.
    pub fn check_proof(&self, token: &VerifiedToken) -> Result<(), Denial> {
        let bound = &token.claims.confirmation;
        let is_bound = match self.proof {
            None => true,
            Some(Proof::Dpop) => bound.key.is_some(),
            Some(Proof::Certificate) => bound.certificate.is_some(),
        };
        if is_bound { Ok(()) } else { Err(Denial::invalid_token("token_unbound")) }
    }
}

impl ClaimRule {
    /// A claim that is not there, or that no rule can be about, says none of the values.
    fn holds(&self, token: &VerifiedToken) -> bool {
        let place = self.kept.get(token.issuer_index).copied().flatten();
        let claim = place.and_then(|place| token.kept(place));
        claim.is_some_and(|claim| self.values.iter().any(|value| claim.matches(value)))
    }
}

#[cfg(test)]
mod tests {
    use postern_jose::{Claims, ClaimsRules};

    use super::*;

    #[test]
    fn rules_are_judged_per_route() {
        let rules = |optional, scopes: &[&str]| Auth::Rules {
            any: vec![Credential::Jwt],
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            optional,
            token: TokenRules::default(),
            mfa: None,
        };
        let principal = Principal { scopes: vec!["read".to_owned()], ..Principal::default() };
        let status = |auth: &Auth, principal| {
            auth.authorize(principal).err().map(|denial| denial.code.status())
        };
        assert_eq!(status(&rules(false, &["read"]), Some(&principal)), None);
        assert_eq!(status(&rules(false, &["write"]), Some(&principal)), Some(403));
        assert_eq!(status(&rules(false, &[]), None), Some(401));
        assert_eq!(status(&rules(true, &[]), None), None);
        assert_eq!(status(&Auth::None, None), None);
        let by_key = Principal { credential: Credential::ApiKey, ..principal.clone() };
        assert_eq!(status(&rules(false, &[]), Some(&by_key)), Some(401));
    }

    /// A token of the second of two issuers, whose rules keep `duty` and `org.id`.
    fn token(more: &str) -> VerifiedToken {
        let rules = ClaimsRules {
            kept: ["duty", "org.id"].map(str::to_owned).to_vec(),
            ..ClaimsRules::default()
        };
        let payload = format!(r#"{{"iss":"i","sub":"s","exp":1{more}}}"#);
        let claims = Claims::parse(payload.as_bytes(), &rules).unwrap();
        VerifiedToken { issuer_index: 1, key_id: None, claims }
    }

    /// Status and reason.
    fn judged(rules: &TokenRules, more: &str) -> Option<(u16, &'static str)> {
        let denial = rules.check(&token(more)).err()?;
        Some((denial.code.status(), denial.reason))
    }

    #[test]
    fn a_route_takes_tokens_of_its_issuers_and_audiences() {
        let nothing = TokenRules::default();
        assert!(nothing.is_empty());
        assert_eq!(judged(&nothing, ""), None);
        for (issuers, expected) in
            [(vec![1], None), (vec![0, 1], None), (vec![0], Some((403, "token_issuer")))]
        {
            let rules = TokenRules { issuers, ..TokenRules::default() };
            assert!(!rules.is_empty());
            assert_eq!(judged(&rules, ""), expected, "{rules:?}");
        }
        let audiences = ["payments", "orders"].map(str::to_owned).to_vec();
        let rules = TokenRules { audiences, ..TokenRules::default() };
        for (aud, expected) in [
            (r#","aud":"payments""#, None),
            (r#","aud":["api","orders"]"#, None),
            (r#","aud":"api""#, Some((403, "token_audience"))),
            ("", Some((403, "token_audience"))),
        ] {
            assert_eq!(judged(&rules, aud), expected, "{aud}");
        }
    }

    #[test]
    fn every_claim_must_say_one_of_its_values() {
        let rule = |claim: &str, values: &[&str], kept| ClaimRule {
            claim: claim.to_owned(),
            values: values.iter().map(|value| (*value).to_owned()).collect(),
            kept,
        };
        let duty = rule("duty", &["teacher", "admin"], vec![None, Some(0)]);
        let org = rule("org.id", &["7"], vec![Some(0), Some(1)]);
        let rules = TokenRules { claims: vec![duty, org], ..TokenRules::default() };
        for (claims, holds) in [
            (r#","duty":"admin","org":{"id":7}"#, true),
            (r#","duty":["pupil","teacher"],"org":{"id":"7"}"#, true),
            (r#","duty":"pupil","org":{"id":7}"#, false),
            (r#","duty":"admin","org":{"id":8}"#, false),
            (r#","duty":"admin""#, false),
            (r#","duty":{"admin":1},"org":{"id":7}"#, false),
            ("", false),
        ] {
            let expected = if holds { None } else { Some((403, "token_claims")) };
            assert_eq!(judged(&rules, claims), expected, "{claims}");
        }
        for kept in [vec![], vec![Some(0)], vec![Some(0), None], vec![None, Some(9)]] {
            let rules =
                TokenRules { claims: vec![rule("duty", &["a"], kept)], ..TokenRules::default() };
            assert_eq!(judged(&rules, r#","duty":"a""#), Some((403, "token_claims")));
        }
    }

    #[test]
    fn a_route_that_asks_for_a_proof_takes_no_bearer_token() {
        const HASH: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
        let key = format!(r#","cnf":{{"jkt":"{HASH}"}}"#);
        let certificate = format!(r#","cnf":{{"x5t#S256":"{HASH}"}}"#);
        let unbound = Some((401, "token_unbound"));
        for (proof, cnf, expected) in [
            (None, "", None),
            (None, key.as_str(), None),
            (Some(Proof::Dpop), key.as_str(), None),
            (Some(Proof::Dpop), certificate.as_str(), unbound),
            (Some(Proof::Dpop), "", unbound),
            (Some(Proof::Certificate), certificate.as_str(), None),
            (Some(Proof::Certificate), key.as_str(), unbound),
        ] {
            let rules = TokenRules { proof, ..TokenRules::default() };
            assert_eq!(rules.is_empty(), proof.is_none());
            assert_eq!(judged(&rules, cnf), expected, "{proof:?} {cnf}");
        }
    }
}
