//! RequestAuthentication: which tokens hold, and what that changes.
//!
//! istiod asks Envoy for this (`convertToEnvoyJwtConfig`): with one rule, a token of its issuer or
//! none; with several, a token of any of them or, for each, a token or none. What follows is
//! Envoy's way through it, with all that it does on the way: a token that holds is taken out of
//! where it stands, and so is no longer there for the next rule.

mod places;

use postern_request::json::Value;

use super::facts::values;
use crate::request::{Http, Proof, Token, TokenPlace};
use crate::resources::{JwtRule, RequestAuthentication};
use crate::verdict::{BadToken, TokenProblem};

/// What stands in a header whose value depends on more than is known here. The header is there,
/// and its value is none that a policy would name.
const UNKNOWN: &str = "\u{fffd}";

/// What is left of a request when its tokens are verified.
pub(super) struct Authenticated {
    /// The headers, without tokens that hold and with what the rules write.
    pub(super) headers: Vec<(String, String)>,
    /// What the token says that holds; of several, the one that was looked at last.
    pub(super) claims: Option<Value>,
}

/// What came of trying one rule.
enum Status<'r> {
    Holds,
    /// There is no token where the rule looks for one.
    Missing,
    Bad(BadToken<'r>),
}

/// All rules, in the order in which they are tried.
pub(super) fn rules<'r>(resources: &[&'r RequestAuthentication]) -> Vec<&'r JwtRule> {
    let mut rules: Vec<&'r JwtRule> =
        resources.iter().flat_map(|resource| &resource.rules).collect();
    rules.sort_by(|a, b| a.issuer.cmp(&b.issuer));
    rules
}

/// Looks for tokens and verifies them; also says which one does not hold.
pub(super) fn authenticate<'r>(
    rules: &[&'r JwtRule],
    http: &Http,
) -> (Authenticated, Option<BadToken<'r>>) {
    let headers = http.rewritten.as_ref().unwrap_or(&http.headers).clone();
    // Browsers ask without credentials whether they may ask (`bypass_cors_preflight`).
    let filled = |name| values(&headers, name).any(|value| !value.is_empty());
    let is_preflight =
        http.method == "OPTIONS" && filled("origin") && filled("access-control-request-method");
    let rules = if is_preflight { &[][..] } else { rules };
    let mut state = State { headers, tokens: http.tokens.iter().collect(), claims: None };
    let bad = state.require(rules).err();
    let State { headers, claims, .. } = state;
    (Authenticated { headers, claims }, bad)
}

struct State<'q> {
    headers: Vec<(String, String)>,
    /// The tokens that are still there.
    tokens: Vec<&'q Token>,
    claims: Option<Value>,
}

impl State<'_> {
    fn require<'r>(&mut self, rules: &[&'r JwtRule]) -> Result<(), BadToken<'r>> {
        let mut worst = None;
        if rules.len() > 1 {
            for rule in rules.iter().copied() {
                match self.verify(rule) {
                    Status::Holds => return Ok(()),
                    Status::Missing => {}
                    Status::Bad(bad) => worst = Some(graver(worst, bad)),
                }
            }
        }
        for rule in rules.iter().copied() {
            if let Status::Bad(bad) = self.verify(rule) {
                return Err(graver(worst, bad));
            }
        }
        Ok(())
    }

    /// Tries the tokens that stand where a rule looks for them, the last one first. All must hold.
    fn verify<'r>(&mut self, rule: &'r JwtRule) -> Status<'r> {
        let claims = rule.claim_headers.iter().map(|header| &header.header);
        for written in claims.chain(&rule.payload_header) {
            self.headers.retain(|(name, _)| !name.eq_ignore_ascii_case(written));
        }
        let mut found = places::find(rule, &self.tokens);
        let mut status = Status::Missing;
        while let Some((token, is_clean)) = found.pop() {
            match check(rule, token, is_clean) {
                Err(why) => return Status::Bad(BadToken { rule, why }),
                Ok(claims) => self.accept(rule, &token.place, claims),
            }
            status = Status::Holds;
        }
        status
    }

    fn accept(&mut self, rule: &JwtRule, place: &TokenPlace, claims: &Value) {
        if let Some(name) = &rule.payload_header {
            self.headers.push((name.clone(), UNKNOWN.to_owned()));
        }
        for written in &rule.claim_headers {
            let value = written.claim.split('.').try_fold(claims, |value, name| value.get(name));
            let value = value.and_then(as_header);
            self.headers.extend(value.map(|value| (written.header.clone(), value)));
        }
        if !rule.forward {
            self.remove(place);
        }
        self.claims = Some(normalized(rule, claims));
    }

    /// Takes a token out. Envoy leaves cookies alone.
    fn remove(&mut self, place: &TokenPlace) {
        match place {
            TokenPlace::Header { name, .. } => {
                self.headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
                self.tokens.retain(|token| {
                    !matches!(&token.place, TokenPlace::Header { name: other, .. }
                        if other.eq_ignore_ascii_case(name))
                });
            }
            TokenPlace::Param(_) => self.tokens.retain(|token| token.place != *place),
            TokenPlace::Cookie(_) => {}
        }
    }
}

/// Which of two problems is answered: that a token is of another issuer counts only where it is
/// the only one, and of the others the last.
fn graver<'r>(before: Option<BadToken<'r>>, now: BadToken<'r>) -> BadToken<'r> {
    match before {
        Some(before) if now.why == TokenProblem::Issuer => before,
        _ => now,
    }
}

/// Envoy's checks of one token, in their order; returns its claims.
fn check<'t>(rule: &JwtRule, token: &'t Token, is_clean: bool) -> Result<&'t Value, TokenProblem> {
    let claims = token.claims.as_ref().filter(|claims| is_clean && claims.as_object().is_some());
    let claims = claims.ok_or(TokenProblem::Invalid)?;
    let issuer = match claims.get("iss") {
        None => "",
        Some(issuer) => issuer.as_str().ok_or(TokenProblem::Invalid)?,
    };
    if !rule.issuer.is_empty() && rule.issuer != issuer {
        return Err(TokenProblem::Issuer);
    }
    if token.proof == Proof::OutOfTime {
        return Err(TokenProblem::Invalid);
    }
    if !rule.audiences.is_empty() && !is_for(claims, &rule.audiences) {
        return Err(TokenProblem::Audience);
    }
    if token.proof == Proof::NotSigned {
        return Err(TokenProblem::Invalid);
    }
    Ok(claims)
}

/// Whether a token is for one of these, whatever scheme and slash at the end they have.
fn is_for(claims: &Value, audiences: &[String]) -> bool {
    fn bare(audience: &str) -> &str {
        let http = audience.strip_prefix("http://");
        let rest = http.or_else(|| audience.strip_prefix("https://")).unwrap_or(audience);
        rest.strip_suffix('/').unwrap_or(rest)
    }
    let named = |value: &Value| {
        value.as_str().is_some_and(|text| audiences.iter().any(|one| bare(one) == bare(text)))
    };
    match claims.get("aud") {
        Some(Value::Array(items)) => items.iter().any(named),
        Some(value) => named(value),
        None => false,
    }
}

/// A claim as Envoy writes it into a header; none where it writes none.
fn as_header(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Integer(number) if *number >= 0 => Some(number.to_string()),
        Value::Integer(number) => Some(format!("{number}.000000")),
        Value::Number(_) | Value::Array(_) | Value::Object(_) => Some(UNKNOWN.to_owned()),
        Value::Null => None,
    }
}

/// The claims as policies see them: `scope` and `permission` are lists
/// (`buildSpaceDelimitedClaims`).
fn normalized(rule: &JwtRule, claims: &Value) -> Value {
    let is_list = |name: &str| {
        matches!(name, "scope" | "permission") || rule.space_delimited.iter().any(|one| one == name)
    };
    let one = |(name, value): &(String, Value)| {
        let items: Vec<Value> = match value {
            Value::String(text) if is_list(name) => {
                let words = text.split(' ').filter(|word| !word.is_empty());
                words.map(|word| Value::String(word.to_owned())).collect()
            }
            _ => Vec::new(),
        };
        (name.clone(), if items.is_empty() { value.clone() } else { Value::Array(items) })
    };
    Value::Object(claims.as_object().unwrap_or_default().iter().map(one).collect())
}
