//! What the bundle decides: `decide` of `filters/bundle/src/gatekeeper.rs` and `identify` of
//! `filters/bundle/src/gatekeeper/authenticate.rs`, step by step.

use std::sync::Arc;

use postern_document::{Auth, Document, OnFailure, Route};
use postern_request::principal::Credential;
use postern_request::{Denial, Principal};

use crate::authorizer::Vouched;
use crate::envoy::Incoming;
use crate::request::Shown;
use crate::step::{By, Stage, Verdict};
use crate::walk::{Stop, Walk};

const BY: By = By::Bundle;

/// A request that may pass.
#[derive(Debug, Clone)]
pub(crate) struct Admitted {
    pub(crate) route: Arc<Route>,
    pub(crate) principal: Option<Principal>,
}

impl Admitted {
    /// What upstreams are told of who calls.
    pub(crate) fn identity_headers(&self, document: &Document) -> Vec<(String, String)> {
        let principal = self.principal.as_ref();
        principal.map(|known| known.headers(&document.identity_headers)).unwrap_or_default()
    }
}

impl Walk<'_, '_> {
    /// Asks the bundle.
    pub(crate) fn ask_bundle(
        &mut self,
        incoming: &Incoming,
        shown: &Shown,
        vouched: Option<Vouched>,
    ) -> Result<Admitted, Stop> {
        let admitted = self
            .admit(incoming, shown, vouched)
            .map_err(|denial| self.stop(BY, denial.code.status(), denial))?;
        if self.here.enforces(&admitted.route) {
            self.pass_circuit(&admitted.route)?;
        }
        Ok(admitted)
    }

    fn admit(
        &mut self,
        incoming: &Incoming,
        shown: &Shown,
        vouched: Option<Vouched>,
    ) -> Result<Admitted, Denial> {
        let route = self.find_route(BY, incoming)?;
        if !self.here.enforces(&route) {
            let verdict = Verdict::Skipped("a workload enforces it");
            let text = match route.guarded_by() {
                Some(guard) => format!("open here: {} enforces it", guard.name),
                None => "open here".to_owned(),
            };
            self.push(Stage::Auth, BY, verdict, Vec::new(), text);
            return Ok(Admitted { route, principal: None });
        }
        let principal = match self.identify_here(&route, incoming, shown, vouched) {
            Err(_) if !self.held => None,
            identified => identified?,
        };
        let spent = self.spend_here(&route, incoming, principal.as_ref());
        self.unless_shadowed(spent)?;
        Ok(Admitted { route, principal })
    }

    fn identify_here(
        &mut self,
        route: &Arc<Route>,
        incoming: &Incoming,
        shown: &Shown,
        vouched: Option<Vouched>,
    ) -> Result<Option<Principal>, Denial> {
        self.check_peer(BY, route, incoming)?;
        let vouched = self.check_evidence(route, vouched)?;
        if route.auth.mfa().is_some() && !vouched.as_ref().is_some_and(|known| known.stepped_up) {
            let denial = Denial::unavailable("evidence_missing", 1);
            let text = "`ext_authz` did not see the second factor that the route asks for";
            return Err(self.deny(Stage::Evidence, BY, denial, Vec::new(), text));
        }
        let principal = self.authenticate_here(route, incoming, shown, vouched)?;
        self.authorize(BY, route, principal.as_ref())?;
        Ok(principal)
    }

    /// What `ext_authz` said, where the route needs it.
    fn check_evidence(
        &mut self,
        route: &Route,
        vouched: Option<Vouched>,
    ) -> Result<Option<Vouched>, Denial> {
        if !route.needs_ext_authz() {
            return Ok(None);
        }
        match vouched {
            Some(vouched) if vouched.route == route.name => {
                let text = "for this route and this document";
                self.push(Stage::Evidence, BY, Verdict::Passed, Vec::new(), text);
                Ok(Some(vouched))
            }
            None if self.document.failures.ext_authz == OnFailure::Allow => {
                let verdict = Verdict::Skipped("the server does not answer");
                let text = "there is none, and `failures.ext_authz` is `allow`";
                self.push(Stage::Evidence, BY, verdict, Vec::new(), text);
                Ok(None)
            }
            _ => {
                let denial = Denial::unavailable("evidence_missing", 1);
                let text = "`ext_authz` did not vouch for this route";
                Err(self.deny(Stage::Evidence, BY, denial, Vec::new(), text))
            }
        }
    }

    /// The caller: by a token where the route takes tokens and one is there, else by the evidence.
    fn authenticate_here(
        &mut self,
        route: &Route,
        incoming: &Incoming,
        shown: &Shown,
        vouched: Option<Vouched>,
    ) -> Result<Option<Principal>, Denial> {
        if route.auth.accepts(Credential::Jwt)
            && let Some(token) = self.find_token(BY, incoming)?
        {
            let verified = self.verify(BY, &token, shown)?;
            let proven = vouched.and_then(|vouched| vouched.key);
            self.confirm_here(incoming, &token, &verified, proven)?;
            self.check_revoked(BY, &verified)?;
            self.check_token_rules(BY, route, &verified)?;
            return Ok(Some(verified.claims.principal));
        }
        if route.auth == Auth::None {
            return Ok(None);
        }
        // For a token nobody vouches: where there is none to see, none was shown.
        let principal = vouched.and_then(|vouched| vouched.principal);
        Ok(principal.filter(|principal| principal.credential != Credential::Jwt))
    }
}
