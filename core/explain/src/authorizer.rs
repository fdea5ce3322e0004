//! What `ext_authz` decides: `decide` of `ext-authz/src/authorizer.rs`, step by step.

use std::sync::Arc;

use postern_document::{Auth, ClaimRule, Proof, Route, TokenRules};
use postern_jose::VerifiedToken;
use postern_request::principal::Credential;
use postern_request::{Denial, Principal, ShownToken, tokens};

use crate::assume::Part;
use crate::envoy::Incoming;
use crate::possession::Seen;
use crate::request::Shown;
use crate::rule::{Effect, Rule};
use crate::session::{self, Authenticated};
use crate::step::{By, Stage, Verdict};
use crate::walk::{Stop, Walk};

const BY: By = By::ExtAuthz;
/// Why it is asked about what needs no asking.
const BY_POLICY: &str = "the mesh's policies say so";

/// What `ext_authz` says of a request that it lets through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Vouched {
    pub(crate) route: String,
    pub(crate) principal: Option<Principal>,
    pub(crate) key: Option<[u8; 32]>,
    pub(crate) stepped_up: bool,
}

/// Who calls; nobody by default.
#[derive(Default)]
struct Identified {
    principal: Option<Principal>,
    seen: Seen,
    authenticated: Option<Authenticated>,
    stepped_up: bool,
}

impl Walk<'_, '_> {
    /// Asks `ext_authz`. None where it said nothing.
    pub(crate) fn ask_ext_authz(
        &mut self,
        incoming: &Incoming,
        shown: &Shown,
    ) -> Result<Option<Vouched>, Stop> {
        if self.assume.has_failed(&Part::Server) {
            return self.server_is_away().map(|()| None);
        }
        let text = match self.route() {
            Some(route) => format!("route {}: {}", route.name, why_asked(route)),
            None => BY_POLICY.to_owned(),
        };
        self.push(Stage::ExtAuthzAsked, By::Envoy, Verdict::Noted, Vec::new(), text);
        match self.vouch(incoming, shown) {
            Ok(vouched) => Ok(Some(vouched)),
            Err(denial) => {
                let mut stop = self.stop(BY, denial.code.status(), denial);
                stop.sent = self.sent.take();
                if stop.sent.is_some() {
                    stop.status = 302;
                }
                Err(stop)
            }
        }
    }

    fn vouch(&mut self, incoming: &Incoming, shown: &Shown) -> Result<Vouched, Denial> {
        let route = self.find_route(BY, incoming)?;
        let identified = match self.identify_there(&route, incoming, shown) {
            Err(_) if !self.held => Identified::default(),
            identified => identified?,
        };
        let Identified { mut principal, mut seen, mut stepped_up, .. } = identified;
        let spent = self.store_answers(&route, principal.as_ref());
        if seen.by_proof {
            self.unless_shadowed(spent)?;
            let spent = self.spend_exact(&route, incoming, principal.as_ref());
            self.unless_shadowed(spent)?;
            match self.first_use(seen) {
                Err(_) if !self.held => {
                    (principal, seen, stepped_up) = (None, Seen::default(), false);
                }
                remembered => remembered?,
            }
        } else if spent.is_ok() {
            let spent = self.spend_exact(&route, incoming, principal.as_ref());
            self.unless_shadowed(spent)?;
        } else {
            // Of all limits, nobody has answered for one.
            self.unless_shadowed(spent)?;
        }
        Ok(Vouched { route: route.name.clone(), principal, key: seen.shown.key, stepped_up })
    }

    /// In shadow a denial is told, and the request passes.
    pub(crate) fn unless_shadowed(&self, spent: Result<(), Denial>) -> Result<(), Denial> {
        if self.held { spent } else { Ok(()) }
    }

    fn identify_there(
        &mut self,
        route: &Arc<Route>,
        incoming: &Incoming,
        shown: &Shown,
    ) -> Result<Identified, Denial> {
        self.check_peer(BY, route, incoming)?;
        let mut identified = self.authenticate_there(route, incoming, shown)?;
        let principal = identified.principal.as_ref();
        let by_session = principal.is_some_and(|p| p.credential == Credential::Session);
        let judged = match self.authorize(BY, route, principal) {
            Ok(()) => self.check_step_up(route, identified.authenticated),
            Err(denial) => Err(denial),
        };
        match judged {
            Ok(stepped_up) => {
                identified.stepped_up = stepped_up;
                Ok(identified)
            }
            Err(denial) => {
                self.send_to_log_in(route, incoming, &denial, by_session);
                Err(denial)
            }
        }
    }

    fn authenticate_there(
        &mut self,
        route: &Arc<Route>,
        incoming: &Incoming,
        shown: &Shown,
    ) -> Result<Identified, Denial> {
        if route.auth.accepts(Credential::Jwt)
            && let Some(token) = self.find_token(BY, incoming)?
        {
            return self.by_token(route, incoming, shown, &token);
        }
        if route.auth.accepts(Credential::ApiKey)
            && let Some(principal) = self.by_api_key(incoming, shown)?
        {
            return Ok(Identified { principal: Some(principal), ..Identified::default() });
        }
        if route.auth.accepts(Credential::Session)
            && let Some(session) = self.by_session(route, incoming, shown)?
        {
            return Ok(Identified {
                principal: Some(session.principal),
                authenticated: Some(session.authenticated),
                ..Identified::default()
            });
        }
        Ok(Identified::default())
    }

    fn by_token(
        &mut self,
        route: &Route,
        incoming: &Incoming,
        shown: &Shown,
        token: &ShownToken<'_>,
    ) -> Result<Identified, Denial> {
        let verified = self.verify(BY, token, shown)?;
        if let Err(denial) = verified.claims.confirmation.check_scheme(token.with_proof) {
            let text = "sent with a scheme that does not fit what the token is bound to";
            return Err(self.deny(Stage::Possession, BY, denial, Vec::new(), text));
        }
        self.check_revoked(BY, &verified)?;
        self.check_token_rules(BY, route, &verified)?;
        let seen = self.confirm_there(incoming, shown, token, &verified)?;
        let authenticated =
            route.auth.mfa().map(|_| session::of_token(self.document, token, &verified));
        Ok(Identified {
            principal: Some(verified.claims.principal),
            seen,
            authenticated,
            stepped_up: false,
        })
    }

    /// The token, or what stands where one should.
    pub(crate) fn find_token<'i>(
        &mut self,
        by: By,
        incoming: &'i Incoming,
    ) -> Result<Option<ShownToken<'i>>, Denial> {
        let (places, request) = (&self.document.token_places, incoming.whole());
        let accepts_dpop = self.document.bound.dpop.is_some();
        tokens::find(places, &request, accepts_dpop).map_err(|denial| {
            let text = match tokens::find(places, &request, true) {
                Ok(_) => "the document takes no tokens that are bound to keys",
                Err(_) => "the first place that holds anything holds no token",
            };
            self.deny(Stage::Credential, by, denial, Vec::new(), text)
        })
    }

    /// What the route asks of tokens.
    pub(crate) fn check_token_rules(
        &mut self,
        by: By,
        route: &Route,
        verified: &VerifiedToken,
    ) -> Result<(), Denial> {
        let Some(rules) = route.auth.token().filter(|rules| !rules.is_empty()) else {
            return Ok(());
        };
        let Err(denial) = rules.check(verified) else {
            let text = "issuer, audience, claims and proof are as the route asks";
            self.push(Stage::TokenRules, by, Verdict::Passed, Vec::new(), text);
            return Ok(());
        };
        let refused = |member: &str| vec![Rule::route(route, member, Effect::Refused)];
        let (decided, text) = match denial.reason {
            "token_issuer" => {
                let names = rules.issuers.iter().filter_map(|at| self.document.issuers.get(*at));
                let names: Vec<&str> = names.map(|i| i.issuer.issuer.as_str()).collect();
                (refused("auth.issuers"), format!("`iss` is none of {}", names.join(", ")))
            }
            "token_audience" => {
                let text = format!("`aud` names none of {}", rules.audiences.join(", "));
                (refused("auth.audiences"), text)
            }
            "token_claims" => {
                let alone = |rule: &ClaimRule| TokenRules {
                    claims: vec![rule.clone()],
                    ..TokenRules::default()
                };
                let failed = rules.claims.iter().find(|rule| alone(rule).check(verified).is_err());
                let claim = failed.map_or("", |rule| rule.claim.as_str());
                let values = failed.map(|rule| rule.values.join(", ")).unwrap_or_default();
                let rule = Rule::route_item(route, "auth.claims", claim, Effect::Refused);
                (vec![rule], format!("the claim `{claim}` says none of {values}"))
            }
            _ => (refused("auth.proof"), "it is not bound as the route asks".to_owned()),
        };
        Err(self.deny(Stage::TokenRules, by, denial, decided, text))
    }

    /// The route's `auth`.
    pub(crate) fn authorize(
        &mut self,
        by: By,
        route: &Route,
        principal: Option<&Principal>,
    ) -> Result<(), Denial> {
        let decided = route.auth.authorize(principal);
        let Auth::Rules { any, scopes, .. } = &route.auth else {
            self.push(Stage::Auth, by, Verdict::Passed, Vec::new(), "none: everybody may call");
            return Ok(());
        };
        let kinds = any.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ");
        let Err(denial) = decided else {
            let (rule, text) = match principal {
                None => {
                    let rule = Rule::route(route, "auth.optional", Effect::PassedWithout);
                    (rule, "without a credential, which is optional".to_owned())
                }
                Some(principal) => {
                    let kind = principal.credential.as_str();
                    let rule = Rule::route_item(route, "auth.any", kind, Effect::Passed);
                    (rule, format!("{kind}{}", in_brackets(" with scopes", scopes)))
                }
            };
            self.push(Stage::Auth, by, Verdict::Passed, vec![rule], text);
            return Ok(());
        };
        let (rules, text) = match principal {
            Some(principal) if denial.reason == "scope_missing" => {
                let missing: Vec<String> = scopes
                    .iter()
                    .filter(|scope| !principal.scopes.contains(scope))
                    .cloned()
                    .collect();
                let rule =
                    |scope: &String| Rule::route_item(route, "auth.scopes", scope, Effect::Refused);
                let has = match principal.scopes.as_slice() {
                    [] => "no scope".to_owned(),
                    scopes => scopes.join(" "),
                };
                let text = format!("asks for {}; the caller has {has}", missing.join(" "));
                (missing.iter().map(rule).collect(), text)
            }
            Some(principal) => {
                let text = format!("takes {kinds}; this is {}", principal.credential.as_str());
                (vec![Rule::route(route, "auth.any", Effect::Refused)], text)
            }
            None => {
                let text = format!("takes {kinds}; the request has none");
                (vec![Rule::route(route, "auth.any", Effect::Refused)], text)
            }
        };
        Err(self.deny(Stage::Auth, by, denial, rules, text))
    }
}

fn in_brackets(before: &str, texts: &[String]) -> String {
    if texts.is_empty() { String::new() } else { format!("{before} [{}]", texts.join(", ")) }
}

/// What the server is needed for: as in [`Route::needs_ext_authz`].
fn why_asked(route: &Route) -> String {
    let mut reasons: Vec<String> = Vec::new();
    if route.auth.accepts(Credential::ApiKey) {
        reasons.push("API keys".to_owned());
    }
    if route.auth.accepts(Credential::Session) {
        reasons.push("sessions".to_owned());
    }
    if route.auth.mfa().is_some() {
        reasons.push("second factors".to_owned());
    }
    if route.auth.token().is_some_and(|token| token.proof == Some(Proof::Dpop)) {
        reasons.push("proofs of possession".to_owned());
    }
    for applied in &route.exact_limits {
        reasons.push(format!("exact limit {}", applied.limit.name));
    }
    if reasons.is_empty() {
        let why = if route.needs_ext_authz() { "it says so" } else { BY_POLICY };
        reasons.push(why.to_owned());
    }
    reasons.join(", ")
}
