//! A mesh's own policies, behind a port: whoever knows them answers, and the walk goes by that.

use std::net::IpAddr;

use postern_document::{Route, Workload};
use postern_request::{ErrorCode, Principal};

use crate::envoy::Incoming;
use crate::failure;
use crate::step::{By, Stage, Verdict};
use crate::walk::{Stop, Walk};

/// When a mesh's policies are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Before `ext_authz`: mutual TLS, and `action: CUSTOM`, which says who is asked.
    Custom,
    /// Behind the bundle: tokens that the mesh verifies, `DENY`, then `ALLOW`.
    Rbac,
}

/// A request as a workload's proxy sees it.
#[derive(Debug, Clone, Copy)]
pub struct MeshRequest<'a> {
    /// The workload whose proxy it is; none at the edge of a document that does not name it.
    pub workload: Option<&'a Workload>,
    /// When it is looked at.
    pub phase: Phase,
    /// The route that the proxy has picked, where it has picked one of the document's.
    pub route: Option<&'a Route>,
    /// Method.
    pub method: &'a str,
    /// `http` or `https`.
    pub scheme: &'a str,
    /// Host, with the port where there is one.
    pub authority: &'a str,
    /// Path and query, normalised.
    pub target: &'a str,
    /// The headers as they came.
    pub headers: &'a [(String, Vec<u8>)],
    /// The headers as the bundle has left them; none before it.
    pub rewritten: Option<&'a [(String, Vec<u8>)]>,
    /// Whom the certificate at the other end names, by its SPIFFE id.
    pub peer: Option<&'a str>,
    /// The other end's address.
    pub address: Option<IpAddr>,
    /// The client's, behind trusted proxies.
    pub client: Option<IpAddr>,
    /// Who calls, as far as the bundle knows.
    pub caller: Option<&'a Principal>,
}

/// What a mesh's policies say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeshVerdict {
    /// The status of a refusal; none where it may go on.
    pub refused: Option<u16>,
    /// In [`Phase::Custom`]: whether the suite's server is asked.
    pub asks_server: bool,
    /// Which of them, in a line.
    pub text: String,
    /// What was taken for granted.
    pub assumed: Vec<String>,
}

/// A mesh's own policies.
pub trait MeshPolicies {
    /// Judges a request.
    fn judge(&self, request: &MeshRequest<'_>) -> MeshVerdict;
}

impl Walk<'_, '_> {
    /// Whether Envoy asks the server here: the mesh's policies say so, and without any the route
    /// that it has picked.
    pub(crate) fn is_server_asked(&mut self, incoming: &Incoming) -> Result<bool, Stop> {
        let verdict = self.ask_mesh(Phase::Custom, incoming, None, None)?;
        let by_route = || {
            self.route().is_some_and(|route| self.here.enforces(route) && route.needs_ext_authz())
        };
        Ok(verdict.map_or_else(by_route, |verdict| verdict.asks_server))
    }

    /// Asks the mesh's policies; none where there are none.
    pub(crate) fn ask_mesh(
        &mut self,
        phase: Phase,
        incoming: &Incoming,
        caller: Option<&Principal>,
        rewritten: Option<&[(String, Vec<u8>)]>,
    ) -> Result<Option<MeshVerdict>, Stop> {
        let Some(policies) = self.assume.policies else { return Ok(None) };
        let verdict = policies.judge(&MeshRequest {
            workload: self.here.workload(self.document),
            phase,
            route: self.route().map(|route| &**route),
            method: &incoming.method,
            scheme: &incoming.scheme,
            authority: &incoming.authority,
            target: &incoming.target,
            headers: &incoming.headers,
            rewritten,
            peer: incoming.peer.as_deref(),
            address: incoming.address,
            client: incoming.client,
            caller,
        });
        for text in &verdict.assumed {
            self.assumed(text.clone());
        }
        let stage = match phase {
            Phase::Custom => Stage::MeshCustom,
            Phase::Rbac => Stage::MeshRbac,
        };
        let Some(status) = verdict.refused else {
            self.push(stage, By::Istio, Verdict::Passed, Vec::new(), verdict.text.clone());
            return Ok(Some(verdict));
        };
        let code = match status {
            401 => ErrorCode::Unauthorized,
            503 => ErrorCode::Unavailable,
            _ => ErrorCode::Forbidden,
        };
        let denial = failure::of_envoy(code);
        self.push(stage, By::Istio, Verdict::Refused(denial.clone()), Vec::new(), verdict.text);
        Err(self.stop(By::Istio, status, denial))
    }
}
